//! Sessions that are stopped and destroyed while their relay daemon is away, or takes nothing: no command hangs,
//! what could not be delivered is counted, and where the user wanted it so it is collected on this machine.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use system_tests::Toolchain::Ours;
use system_tests::{
    App, Output, Relay, Signal, Target, World, check_indexes, cpu_seconds, distinct_numbers,
    eventually, here, isolated, signal, steady,
};

/// Exit status of `lttng destroy` when the trace is not complete.
const INCOMPLETE: i32 = 6;
/// Longer than all of the limits together that commands may wait for a relay daemon: none is tied to its behaviour.
const BOUND: Duration = Duration::from_secs(60);
/// Events that neither the buffers nor the sockets can hold.
const MANY: u64 = 1_000_000;
/// Events that the buffers hold: of 22 bytes each, so that one sub-buffer is full and the next one is not.
const FEW: u64 = 1000;

fn network(host: &str, relay: &Relay) -> String {
    let [control, data, _] = relay.ports();
    format!("--network {host}:{data}:{control}")
}

fn create(target: &Target, output: &str) -> Result<()> {
    target.script(&format!(
        "create s {output}
         enable-channel -u c --subbuf-size=16k --num-subbuf=32 --discard
         enable-event -u -c c emitter:small
         start"
    ))
}

fn app(w: &World, target: &Target, events: u64) -> Result<App> {
    w.app(&format!("--threads 1 --quiet --events {events}"))
        .as_user(target.who())
        .start_on_one_cpu()
}

/// The consumer daemon has sent what it could.
fn wait_until_quiet(target: &Target) -> Result<()> {
    steady("the consumer daemon does nothing more", || {
        Ok(target.consumers().into_iter().map(cpu_seconds).sum::<f64>())
    })
    .map(drop)
}

fn wait_for_status(target: &Target, text: &str) -> Result<()> {
    eventually(&format!("`lttng status` shows {text:?}"), || {
        let status = target.lttng("status")?.ok()?;
        Ok(status.stdout.contains(text).then_some(()))
    })
}

/// A command that ends in time.
fn bounded(target: &Target, line: &str) -> Result<Output> {
    let begin = Instant::now();
    let output = target.lttng(line)?;
    let took = begin.elapsed();
    ensure!(took < BOUND, "it took {took:?}\n{output}");
    Ok(output)
}

/// Events and packets of "Warning: E events in P packets of session s were given up".
fn given_up(output: &Output) -> Result<[u64; 2]> {
    let line = output
        .stderr
        .lines()
        .find(|line| line.contains("were given up"));
    let line = line.with_context(|| format!("nothing was given up\n{output}"))?;
    let words: Vec<_> = line.split_whitespace().collect();
    ensure!(words[0] == "Warning:" && words[2..4] == ["events", "in"]);
    Ok([words[1].parse()?, words[4].parse()?])
}

/// Events of "Warning: N events were discarded".
fn discarded(output: &Output) -> Result<u64> {
    let line = output
        .stdout
        .lines()
        .find(|line| line.contains("events were discarded"));
    match line {
        Some(line) => Ok(line
            .split_whitespace()
            .nth(1)
            .context("no number")?
            .parse()?),
        None => Ok(0),
    }
}

fn ensure_no_consumer(target: &Target) -> Result<()> {
    eventually("no consumer daemon is left", || {
        Ok(target.consumers().is_empty().then_some(()))
    })
}

/// The relay daemon is killed; then the application emits what the buffers hold.
fn killed(w: &mut World, options: &str) -> Result<(Relay, Target)> {
    let relay = w.relay(Ours)?;
    let target = w.target(Ours)?;
    create(
        &target,
        &format!("{} {options}", network("127.0.0.1", &relay)),
    )?;
    let mut app = app(w, &target, FEW)?;
    app.round()?;
    eventually("the relay daemon has stored the full sub-buffer", || {
        let stored = check_indexes(relay.output());
        Ok(stored.is_ok_and(|all| all.packets == 1).then_some(()))
    })?;
    relay.daemon().kill()?;
    let gone = match options {
        "" => "Output state: reconnecting",
        _ => "Streaming: disabled",
    };
    wait_for_status(&target, gone)?;
    app.round()?;
    app.finish()?;
    Ok((relay, target))
}

#[test]
fn what_a_killed_relay_daemon_cannot_get_is_counted() {
    isolated(here!(), |w| {
        let (relay, target) = killed(w, "")?;
        let destroy = bounded(&target, "destroy")?.code(INCOMPLETE)?;
        let [events, packets] = given_up(&destroy)?;
        let stored = distinct_numbers(relay.output())?.len() as u64;
        ensure!(
            events + stored == 2 * FEW && packets > 0,
            "{events} events given up, {stored} stored\n{destroy}"
        );
        target.lttng("list s")?.code(1)?;
        ensure_no_consumer(&target)
    });
}

#[test]
fn after_a_stop_it_is_the_same() {
    isolated(here!(), |w| {
        let (relay, target) = killed(w, "")?;
        bounded(&target, "stop")?
            .ok()?
            .says("may have data in its buffers that its relay daemon has not got")?;
        let destroy = bounded(&target, "destroy")?.code(INCOMPLETE)?;
        let [events, _] = given_up(&destroy)?;
        let stored = distinct_numbers(relay.output())?.len() as u64;
        ensure!(events + stored == 2 * FEW, "{events}, {stored}\n{destroy}");
        ensure_no_consumer(&target)
    });
}

#[test]
fn with_a_fallback_nothing_is_given_up() {
    isolated(here!(), |w| {
        let (relay, target) = killed(w, "--on-relay-loss=local")?;
        bounded(&target, "destroy")?.ok()?;
        let mut all = distinct_numbers(relay.output())?;
        for n in distinct_numbers(&w.home().join("lttng-traces"))? {
            ensure!(all.insert(n), "event {n} is in both places");
        }
        ensure!(all.len() as u64 == 2 * FEW, "{} events", all.len());
        ensure_no_consumer(&target)
    });
}

/// A relay daemon that is there and takes nothing, until everything that it can get without doing something is full.
fn stuck(w: &mut World, options: &str) -> Result<(Relay, Target)> {
    let relay = w.relay(Ours)?;
    let target = w.target(Ours)?;
    create(
        &target,
        &format!("{} {options}", network("127.0.0.1", &relay)),
    )?;
    let mut app = app(w, &target, MANY)?;
    // Then the relay daemon has answered all that was asked of it: it can be sent packets.
    target.script("stop\n start")?;
    signal(relay.daemon().pid(), Signal::STOP)?;
    app.round()?;
    wait_until_quiet(&target)?;
    app.finish()?;
    Ok((relay, target))
}

/// Waits until a relay daemon that goes on has read all that was sent.
fn wake(relay: &Relay) -> Result<BTreeSet<i64>> {
    signal(relay.daemon().pid(), Signal::CONT)?;
    relay.wait_until_left()?;
    distinct_numbers(relay.output())
}

#[test]
fn a_stuck_relay_daemon_does_not_keep_a_session_alive() {
    isolated(here!(), |w| {
        let (relay, target) = stuck(w, "")?;
        let destroy = bounded(&target, "destroy")?.code(INCOMPLETE)?;
        // It tells that it waits.
        destroy.clone().shows("Destroying session s..")?;
        let [events, _] = given_up(&destroy)?;
        let lost = discarded(&destroy)?;
        ensure_no_consumer(&target)?;
        let stored = wake(&relay)?.len() as u64;
        ensure!(
            events > 0 && stored > 0 && events + stored + lost == MANY,
            "{events} given up, {stored} stored, {lost} discarded\n{destroy}"
        );
        Ok(())
    });
}

#[test]
fn a_stuck_relay_daemon_is_left_for_this_machine() {
    isolated(here!(), |w| {
        let (relay, target) = stuck(w, "--on-relay-loss=local")?;
        let destroy = bounded(&target, "destroy")?.ok()?;
        let lost = discarded(&destroy)?;
        ensure_no_consumer(&target)?;
        let mut all = wake(&relay)?;
        let here = distinct_numbers(&w.home().join("lttng-traces"))?;
        ensure!(!here.is_empty());
        for n in here {
            ensure!(all.insert(n), "event {n} is in both places");
        }
        let found = all.len() as u64;
        ensure!(found + lost == MANY, "{found} events, {lost} discarded");
        Ok(())
    });
}

/// `stop` says so and gives nothing up; when the relay daemon goes on, it gets the rest.
#[test]
fn stop_does_not_wait_for_a_stuck_relay_daemon() {
    isolated(here!(), |w| {
        let (relay, target) = stuck(w, "")?;
        bounded(&target, "stop")?
            .ok()?
            .says("the output of session s takes nothing now")?;
        signal(relay.daemon().pid(), Signal::CONT)?;
        let session = target.lttng("list s")?.ok()?;
        let lost = session
            .stdout
            .lines()
            .find_map(|line| line.trim().strip_prefix("Discarded events: "))
            .context("no discarded events")?
            .parse::<u64>()?;
        let destroy = bounded(&target, "destroy")?.ok()?;
        let stored = distinct_numbers(relay.output())?.len() as u64;
        ensure!(stored + lost == MANY, "{stored}, {lost}\n{destroy}");
        ensure_no_consumer(&target)
    });
}

/// The cable is pulled.
#[test]
fn a_network_that_is_down_does_not_keep_a_session_alive() {
    isolated(here!(), |w| {
        let collector = w.host("collector-host", "collector", "")?;
        let host = w.host("target-host", "pulled", "")?;
        host.connect(
            ("uplink", &["10.77.1.2/24"]),
            &collector,
            ("cable", &["10.77.1.1/24"]),
        )?;
        let relay = w.relay_on(&collector, "tcp://0.0.0.0", &w.path("collected"))?;
        let target = w.target_on(Ours, &host)?;
        create(&target, &network("10.77.1.1", &relay))?;
        let mut app = app(w, &target, MANY)?;
        collector.run("ip", "link set cable down")?;
        app.round()?;
        wait_until_quiet(&target)?;
        app.finish()?;
        let destroy = bounded(&target, "destroy")?.code(INCOMPLETE)?;
        let [events, packets] = given_up(&destroy)?;
        ensure!(events > 0 && packets > 0, "{destroy}");
        ensure_no_consumer(&target)
    });
}

/// Runs `lttng destroy` and, when the consumer daemon is at it, `meanwhile`.
fn during_destroy(target: &Target, meanwhile: impl FnOnce() -> Result<()>) -> Result<Output> {
    thread::scope(|scope| {
        let destroying = scope.spawn(|| bounded(target, "destroy"));
        // The session is inactive while it is destroyed.
        eventually("the session is being destroyed", || {
            let list = target.lttng("list")?.ok()?;
            Ok((!list.stdout.contains("[active")).then_some(()))
        })?;
        meanwhile()?;
        match destroying.join() {
            Ok(output) => output,
            Err(_) => anyhow::bail!("the command panicked"),
        }
    })
}

/// Another consumer daemon finishes what one left that was killed while the session was destroyed.
#[test]
fn a_consumer_daemon_that_dies_at_the_end_is_replaced() {
    isolated(here!(), |w| {
        for to_relay in [true, false] {
            let relay = w.relay(Ours)?;
            let target = w.target(Ours)?;
            let out = w.path("local");
            let (output, place) = match to_relay {
                true => (network("127.0.0.1", &relay), relay.output()),
                false => (format!("-o {}", out.display()), out.as_path()),
            };
            create(&target, &output)?;
            let mut app = app(w, &target, FEW)?;
            app.round()?;
            wait_until_quiet(&target)?;
            let consumer = target.consumer()?;
            signal(consumer, Signal::STOP)?;
            app.round()?;
            app.finish()?;
            let destroy = during_destroy(&target, || signal(consumer, Signal::KILL))?.ok()?;
            let found = distinct_numbers(place)?.len() as u64;
            ensure!(
                found == 2 * FEW,
                "{found} events, relay: {to_relay}\n{destroy}"
            );
            ensure_no_consumer(&target)?;
            target.daemon().terminate()?;
        }
        Ok(())
    });
}
