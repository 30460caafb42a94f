//! Live sessions of the kernel domain: a viewer sees what the kernel does while it does it.

use anyhow::{Context, Result, ensure};
use system_tests::Toolchain::{self, Ours, Stock};
use system_tests::{
    Event, KernelLoad, LiveReader, Relay, Target, Trace, World, check_indexes, here, isolated,
    unless_crashed,
};

struct Session {
    relay: Relay,
    target: Target,
}

impl Session {
    /// A live session `s`, in which nothing but the load happens.
    fn start(w: &mut World, relay: Toolchain, more: &str) -> Result<Self> {
        let relay = w.relay(relay)?;
        let target = w.kernel_target()?;
        let create = format!("--live=100000 --set-url={}", relay.url());
        KernelLoad::session(&target, &create, "--subbuf-size=64k --num-subbuf=16")?;
        target.script(more)?;
        target.script("start")?;
        Ok(Self { relay, target })
    }

    fn reader(&self) -> Result<LiveReader> {
        LiveReader::attached(&self.relay, "s", 1)
    }
}

fn is_call(event: &Event) -> bool {
    event.name == "syscall_entry_umask"
}

/// The thread of the load: it made the call with this number, which nobody else makes.
fn thread_of(events: &[Event], call: i64) -> Result<i64> {
    let made = |event: &&Event| is_call(event) && event.number("mask") == Some(call);
    let thread = events
        .iter()
        .find(made)
        .and_then(|event| event.number("tid"));
    thread.with_context(|| format!("no call {call}"))
}

/// Reads on until it has shown the call with this number.
fn wait_for_call(reader: &mut LiveReader, number: i64) -> Result<()> {
    let shown = |event: &Event| is_call(event) && event.number("mask") == Some(number);
    let mut looked = 0;
    while !reader.events[looked..].iter().any(shown) {
        looked = reader.events.len();
        reader.wait_for(looked + 1)?;
    }
    Ok(())
}

/// The numbers of the calls of the thread that made call `one`.
fn calls(events: &[Event], one: i64) -> Result<Vec<i64>> {
    let thread = thread_of(events, one)?;
    let trace = Trace {
        events: events.to_vec(),
        ..Trace::default()
    };
    Ok(KernelLoad::numbers(&trace, thread))
}

/// Every call is shown once, while the other CPUs' streams are idle; also after a stop, a rotation and with more events.
fn calls_are_shown(w: &mut World, relay: Toolchain) -> Result<()> {
    let session = Session::start(w, relay, "")?;
    let mut load = KernelLoad::start()?;
    let mut reader = session.reader()?;
    for _ in 0..3 {
        load.round(2000)?;
        wait_for_call(&mut reader, load.calls() - 1)?;
    }
    session.target.script("stop\n start")?;
    load.round(1000)?;
    wait_for_call(&mut reader, load.calls() - 1)?;
    session
        .target
        .lttng("enable-event -k -c c sched_process_exec")?
        .ok()?;
    load.round(1000)?;
    wait_for_call(&mut reader, load.calls() - 1)?;
    let made = load.calls();
    load.finish()?;
    session.target.script("stop\n destroy")?;
    reader.wait_for_end()?;
    reader.assert_clean()?;
    let shown = calls(&reader.events, made - 1)?;
    // What was recorded before the viewer came is not shown.
    let first = *shown.first().context("nothing was shown")?;
    ensure!(first == 0, "the first call that was shown is {first}");
    ensure!(
        shown == (0..made).collect::<Vec<_>>(),
        "{} of {made} calls were shown",
        shown.len()
    );
    let trace = Trace::read(session.relay.output())?;
    trace.assert_clean()?;
    ensure!(calls(&trace.events, made - 1)? == shown);
    check_indexes(session.relay.output())?;
    session.target.daemon().terminate()?;
    session.relay.daemon().terminate()?;
    session.relay.daemon().assert_no_complaints()
}

#[test]
fn calls_are_shown_by_our_relay() {
    isolated(here!(), |w| unless_crashed(w, |w| calls_are_shown(w, Ours)));
}

#[test]
fn calls_are_shown_by_stock() {
    isolated(here!(), |w| {
        unless_crashed(w, |w| calls_are_shown(w, Stock))
    });
}

/// The two domains in one order of time.
#[test]
fn both_domains_are_shown_as_one() {
    isolated(here!(), |w| {
        unless_crashed(w, |w| {
            let more = "enable-channel -u u --subbuf-size=16k --num-subbuf=8
                        enable-event -u -c u emitter:small";
            let session = Session::start(w, Ours, more)?;
            let mut load = KernelLoad::start()?;
            let mut app = w.app("--threads 1 --events 10 --quiet").start()?;
            // babeltrace2 does not get on with streams that come before it has seen any.
            load.round(10)?;
            app.round()?;
            let mut reader = session.reader()?;
            for round in 1..6 {
                load.round(100)?;
                app.round()?;
                wait_for_call(&mut reader, load.calls() - 1)?;
                let newest = round * 10 + 9;
                while !reader.events.iter().any(|e| e.number("n") == Some(newest)) {
                    reader.wait_for(reader.events.len() + 1)?;
                }
            }
            let made = load.calls();
            load.finish()?;
            app.finish()?;
            session.target.script("stop\n destroy")?;
            reader.wait_for_end()?;
            reader.assert_clean()?;
            let times: Vec<_> = reader.events.iter().map(|event| event.time_ns).collect();
            ensure!(times.is_sorted(), "not in the order of time");
            // Each round of the application is behind that of the load.
            let thread = thread_of(&reader.events, made - 1)?;
            let mut order = Vec::new();
            for event in &reader.events {
                let step = match (event.number("n"), event.number("mask")) {
                    (Some(n), _) => (n / 10, 1),
                    // Other programs of the machine call it too.
                    (_, Some(mask)) if is_call(event) && event.number("tid") == Some(thread) => {
                        match mask {
                            0..10 => (0, 0),
                            mask => ((mask - 10) / 100 + 1, 0),
                        }
                    }
                    _ => continue,
                };
                if step.0 > 0 {
                    order.push(step);
                }
            }
            ensure!(
                order.is_sorted() && order.len() == 5 * 110,
                "{} steps",
                order.len()
            );
            session.target.daemon().terminate()
        })
    });
}

/// A rotation and a clear while a viewer is attached.
#[test]
fn viewers_go_on_after_a_clear_and_a_rotation() {
    isolated(here!(), |w| {
        unless_crashed(w, |w| {
            let session = Session::start(w, Ours, "")?;
            let mut load = KernelLoad::start()?;
            load.round(100)?;
            let mut reader = session.reader()?;
            load.round(100)?;
            wait_for_call(&mut reader, load.calls() - 1)?;
            session.target.lttng("clear")?.ok()?;
            load.round(100)?;
            wait_for_call(&mut reader, load.calls() - 1)?;
            let rotated = session.target.lttng("rotate")?;
            // As with upstream, a live session is not rotated.
            ensure!(rotated.code != 0, "{rotated}");
            load.round(100)?;
            wait_for_call(&mut reader, load.calls() - 1)?;
            load.finish()?;
            session.target.script("stop\n destroy")?;
            reader.wait_for_end()?;
            let shown = calls(&reader.events, 399)?;
            ensure!(shown.is_sorted() && shown.ends_with(&(200..400).collect::<Vec<_>>()));
            let trace = Trace::read(session.relay.output())?;
            trace.assert_clean()?;
            let kept = calls(&trace.events, 399)?;
            ensure!(kept == (200..400).collect::<Vec<_>>(), "{kept:?}");
            session.target.daemon().terminate()
        })
    });
}
