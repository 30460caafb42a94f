//! A relay daemon that goes away, or answers no more, while a session streams to it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use system_tests::Toolchain::{Ours, Stock};
use system_tests::{
    App, DEADLINE, Output, Relay, Signal, Target, Toolchain, Trace, World, check_indexes,
    cpu_seconds, distinct_numbers, eventually, here, isolated, run, signal, steady,
    trees_with_metadata,
};

/// What a command may take that waits for nobody, but half a second for a consumer daemon that is busy: less than the
/// 10 s after which an output takes nothing, and as much as a busy machine may need.
const PROMPT: Duration = Duration::from_secs(8);
const BLOCK: &str = "--blocking-timeout=inf";

fn create(target: &Target, network: &str, mode: &str) -> Result<()> {
    target.script(&format!(
        "create s {network}
         enable-channel -u c --subbuf-size=16k --num-subbuf=32 {mode}
         enable-event -u -c c emitter:small
         start"
    ))
}

fn network(relay: &Relay) -> String {
    let [control, data, _] = relay.ports();
    format!("--network 127.0.0.1:{data}:{control}")
}

/// Waits until `lttng status` shows `text`.
fn wait_for_status(target: &Target, text: &str) -> Result<Output> {
    eventually(&format!("`lttng status` shows {text:?}"), || {
        let status = target.lttng("status")?.ok()?;
        Ok(status.stdout.contains(text).then_some(status))
    })
}

/// An application whose events are in one stream, and never lost.
fn one_stream(w: &World, args: &str) -> Result<App> {
    w.app(&format!("--quiet {args}"))
        .blocking()
        .start_on_one_cpu()
}

/// `range` and nothing else.
fn ensure_exactly(numbers: &BTreeSet<i64>, range: std::ops::Range<i64>) -> Result<()> {
    let (first, last) = (numbers.first(), numbers.last());
    let found = numbers.len();
    let whole = numbers.iter().copied().eq(range.clone());
    ensure!(
        whole,
        "{found} events from {first:?} to {last:?}, not {range:?}"
    );
    Ok(())
}

/// Waits until the relay daemon has stored all whole packets. Of 1000 events of 22 bytes one sub-buffer is full, and the
/// next one is not.
fn wait_until_settled(relay: &Relay) -> Result<()> {
    eventually("the relay daemon has stored the full sub-buffer", || {
        let stored = check_indexes(relay.output());
        Ok(stored.is_ok_and(|all| all.packets == 1).then_some(()))
    })
}

/// Waits until the consumer daemon has ended, and the relay daemon has what it was sent.
fn wait_until_delivered(target: &Target, relay: &Relay) -> Result<()> {
    eventually("the consumer daemon is done", || {
        Ok(target.consumers().is_empty().then_some(()))
    })?;
    relay.wait_until_left()
}

/// The relay daemon dies when nothing is on its way to it: then nothing is missing.
fn comes_back(w: &mut World, toolchain: Toolchain) -> Result<()> {
    let first = w.relay(toolchain)?;
    let target = w.target(Ours)?;
    create(&target, &network(&first), BLOCK)?;
    let mut app = one_stream(w, "--events 1000")?;
    app.round()?;
    wait_until_settled(&first)?;
    first.daemon().kill()?;
    wait_for_status(&target, "Output state: reconnecting")?;
    // Less than the buffers hold.
    app.round()?;
    let second = w.relay_in_place_of(&first, toolchain, &w.path("second"))?;
    wait_for_status(&target, "Output state: connected")?;
    app.round()?;
    app.finish()?;
    target.script("stop\n destroy")?;
    let mut all = distinct_numbers(first.output())?;
    let after = distinct_numbers(second.output())?;
    ensure!(
        (1000..3000).all(|n| after.contains(&n)),
        "emitted after the loss: {} of 2000 events",
        after.range(1000..).count()
    );
    for n in after {
        ensure!(all.insert(n), "event {n} is in both places");
    }
    ensure_exactly(&all, 0..3000)
}

#[test]
fn a_relay_daemon_that_comes_back_gets_the_rest() {
    isolated(here!(), |w| comes_back(w, Ours));
}

#[test]
fn a_stock_relay_daemon_that_comes_back_gets_the_rest() {
    isolated(here!(), |w| comes_back(w, Stock));
}

/// The relay daemon is killed under load. What it had been given and had not stored is gone; that is one piece of
/// the stream: everything before it is at the old place, everything behind it at the new one, once.
#[test]
fn under_load_only_what_was_on_its_way_is_lost() {
    isolated(here!(), |w| {
        let first = w.relay(Ours)?;
        let target = w.target(Ours)?;
        create(&target, &network(&first), BLOCK)?;
        let mut app = one_stream(w, "--rate 100000 --until-told")?;
        let arrives = |relay: &Relay| {
            eventually("packets arrive", || {
                let trees = trees_with_metadata(relay.output())?;
                let sizes = trees.iter().map(|tree| biggest_file(tree));
                Ok((sizes.max() > Some(1 << 20)).then_some(()))
            })
        };
        let mut second = None;
        let round = app.round_beside(|| {
            arrives(&first)?;
            first.daemon().kill()?;
            wait_for_status(&target, "Output state: reconnecting")?;
            let next = w.relay_in_place_of(&first, Ours, &w.path("second"))?;
            wait_for_status(&target, "Output state: connected")?;
            arrives(&next)?;
            second = Some(next);
            Ok(())
        })?;
        let second = second.context("no second relay daemon")?;
        let emitted = round.loops.cast_signed();
        app.finish()?;
        target.script("stop\n destroy")?;
        let after = distinct_numbers(second.output())?;
        let &first_after = after.first().context("nothing at the new place")?;
        ensure_exactly(&after, first_after..emitted)?;
        ensure!(
            (1..emitted).contains(&first_after),
            "the new place begins with event {first_after}"
        );
        let before = readable_numbers(first.output())?;
        let until = before.last().context("nothing at the old place")? + 1;
        ensure_exactly(&before, 0..until)?;
        ensure!(
            until <= first_after,
            "events {first_after} to {until} are in both places"
        );
        Ok(())
    });
}

fn biggest_file(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let sizes = entries.filter_map(|entry| Some(entry.metadata().ok()?.len()));
    sizes.max().unwrap_or(0)
}

/// The numbers of the events that can be read where a relay daemon was killed: the last packet may be cut.
fn readable_numbers(dir: &Path) -> Result<BTreeSet<i64>> {
    let mut numbers = BTreeSet::new();
    for tree in trees_with_metadata(dir)? {
        let read = run(std::process::Command::new("babeltrace2").arg(&tree))?;
        for line in read.stdout.lines() {
            let n = line.split_once(" n = ").and_then(|(_, rest)| {
                let word = rest.split([',', ' ']).next()?;
                word.parse::<i64>().ok()
            });
            let n = n.with_context(|| format!("babeltrace2 printed {line:?}"))?;
            ensure!(numbers.insert(n), "event {n} is there twice");
        }
    }
    Ok(numbers)
}

/// Where the session goes on by itself, below the home directory.
fn local_traces(w: &World) -> PathBuf {
    w.home().join("lttng-traces")
}

/// With `--on-relay-loss=local` the session goes on in a directory of the target.
#[test]
fn a_session_can_go_on_locally() {
    isolated(here!(), |w| {
        let relay = w.relay(Ours)?;
        let target = w.target(Ours)?;
        create(
            &target,
            &format!("{} --on-relay-loss=local", network(&relay)),
            BLOCK,
        )?;
        let mut app = one_stream(w, "--events 1000")?;
        app.round()?;
        wait_until_settled(&relay)?;
        target
            .lttng("status")?
            .ok()?
            .shows("On relay loss: collect on this machine")?;
        relay.daemon().kill()?;
        let status = wait_for_status(&target, "Streaming: disabled")?;
        status
            .shows("127.0.0.1")?
            .shows("lttng-traces/s-20")?
            .shows("Relay daemon lost, collected on this machine since: ")?;
        let listed = target.lttng("--mi xml list s")?.ok()?;
        listed
            .shows("<on_relay_loss>LOCAL</on_relay_loss>")?
            .shows("<fallback_reason>")?;
        // Twice what the buffers hold: somebody takes it.
        for _ in 0..20 {
            app.round()?;
        }
        app.finish()?;
        target.script("stop\n destroy")?;
        let mut all = distinct_numbers(relay.output())?;
        let after = distinct_numbers(&local_traces(w))?;
        ensure!((1000..21_000).all(|n| after.contains(&n)));
        for n in after {
            ensure!(all.insert(n), "event {n} is in both places");
        }
        ensure_exactly(&all, 0..21_000)
    });
}

fn prompt(target: &Target, line: &str) -> Result<Output> {
    let begin = Instant::now();
    let output = target.lttng(line)?;
    let took = begin.elapsed();
    ensure!(took < PROMPT, "it took {took:?}\n{output}");
    output.ok()
}

/// Starts a session that its relay daemon, which is stopped, takes nothing of, and an application that fills the
/// buffers; gives the application.
fn get_stuck(w: &World, target: &Target, relay: &Relay, mode: &str) -> Result<App> {
    create(target, &network(relay), mode)?;
    let mut app = one_stream(w, &format!("--events {MANY}"))?;
    signal(relay.daemon().pid(), Signal::STOP)?;
    app.begin_round()?;
    steady("the consumer daemon waits for the relay daemon", || {
        let consumers = target.consumers();
        Ok(consumers.into_iter().map(cpu_seconds).sum::<f64>())
    })?;
    Ok(app)
}

/// Events that neither the buffers nor the sockets can hold.
const MANY: u64 = 1_000_000;

/// A relay daemon that is there and takes nothing delays no other session, and can be left.
#[test]
fn a_stuck_relay_daemon_delays_nobody_else() {
    isolated(here!(), |w| {
        let relay = w.relay(Ours)?;
        let target = w.target(Ours)?;
        let mut app = get_stuck(w, &target, &relay, "--discard")?;
        app.end_round(DEADLINE)?;
        for _ in 0..3 {
            prompt(&target, "status")?.shows("s: [active")?;
            prompt(&target, "list")?;
        }
        // Another session lives its whole life meanwhile.
        let out = w.path("traces/other");
        for line in [
            &format!("create other -o {}", out.display()),
            "enable-event -u -s other emitter:arrays",
            "start other",
        ] {
            prompt(&target, line)?;
        }
        let round = w.app("--kind fields --events 50").run_once()?;
        for line in ["stop other", "list other", "destroy other"] {
            prompt(&target, line)?;
        }
        let mut arrays = round.lines;
        arrays.retain(|line| line.starts_with("emitter:arrays"));
        ensure!(arrays.len() == 50, "{} events", arrays.len());
        Trace::read(&out)?.assert_lines(&arrays)?;
        prompt(&target, "destroy --no-wait s")?;
        prompt(&target, "list")?;
        app.finish()?;
        // When the relay daemon wakes up, it gets what had been in the buffers.
        signal(relay.daemon().pid(), Signal::CONT)?;
        wait_until_delivered(&target, &relay)?;
        let numbers = distinct_numbers(relay.output())?;
        ensure!(numbers.first() == Some(&0));
        let found = numbers.len() as u64;
        ensure!(found < MANY, "nothing was held up");
        Ok(())
    });
}

/// An application that waits for space is let go when the session ends, also if it could not answer meanwhile:
/// another session's rules made its listener wait for the thread that waits.
#[test]
fn a_waiting_application_is_let_go() {
    isolated(here!(), |w| {
        let relay = w.relay(Ours)?;
        let target = w.target(Ours)?;
        let mut app = get_stuck(w, &target, &relay, BLOCK)?;
        target.script(
            "create other
             enable-event -u -s other emitter:arrays
             start other
             destroy other
             destroy --no-wait s",
        )?;
        signal(relay.daemon().pid(), Signal::CONT)?;
        app.end_round(DEADLINE)?;
        app.finish()?;
        wait_until_delivered(&target, &relay)?;
        let numbers = distinct_numbers(relay.output())?;
        let until = numbers.last().context("no events")? + 1;
        ensure_exactly(&numbers, 0..until)
    });
}
