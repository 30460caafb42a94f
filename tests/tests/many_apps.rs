//! Many applications in many sessions, and applications that die while they trace.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use system_tests::Toolchain::{Ours, Stock};
use system_tests::{App, Toolchain, Trace, World, here, isolated};

/// 100 applications, each tracing in three sessions, each of another kind.
fn hundred(w: &mut World, toolchain: Toolchain) -> Result<()> {
    let relay = w.relay(toolchain)?;
    let target = w.target(toolchain)?;
    let sessions = [
        (
            "local",
            "--buffers-uid",
            format!("--output={}", w.path("traces/local").display()),
            w.path("traces/local"),
        ),
        (
            "net",
            "--buffers-uid",
            format!("--set-url={}/net", relay.url()),
            relay.output().join("target/net"),
        ),
        (
            "pid",
            "--buffers-pid",
            format!("--set-url={}/pid", relay.url()),
            relay.output().join("target/pid"),
        ),
    ];
    for (name, buffers, output, _) in &sessions {
        target.script(&format!(
            "create {name} {output}
             enable-channel -u c {buffers} --subbuf-size=128k
             enable-event -u -c c emitter:small"
        ))?;
    }
    // Half of them are there before the sessions start, half come while they record.
    let start = |range: std::ops::Range<u32>| -> Result<Vec<App>> {
        range
            .map(|first| {
                w.app(&format!("--events 20 --first-thread {first}"))
                    .start()
            })
            .collect()
    };
    let mut apps = start(0..50)?;
    for (name, ..) in &sessions {
        target.lttng(&format!("start {name}"))?.ok()?;
    }
    apps.extend(start(50..100)?);
    for app in &mut apps {
        app.begin_round()?;
    }
    let mut lines = Vec::new();
    for mut app in apps {
        lines.extend(app.end_round(system_tests::DEADLINE)?.lines);
        app.finish()?;
    }
    ensure!(lines.len() == 2000, "{} events emitted", lines.len());
    for (name, _, _, dir) in &sessions {
        target.lttng(&format!("stop {name}"))?.ok()?;
        target.lttng(&format!("destroy {name}"))?.ok()?;
        let trace = Trace::read(dir)?;
        trace
            .assert_clean()
            .with_context(|| format!("session {name}"))?;
        trace
            .assert_lines(&lines)
            .with_context(|| format!("session {name}"))?;
    }
    target.daemon().assert_no_complaints()?;
    relay.daemon().assert_no_complaints()
}

#[test]
fn hundred_applications_in_three_sessions() {
    isolated(here!(), |w| hundred(w, Ours));
}

/// Applications are killed while they emit. What they had emitted is in the trace, and nothing hangs.
fn killed(w: &mut World, toolchain: Toolchain, buffers: &str) -> Result<()> {
    let relay = w.relay(toolchain)?;
    let target = w.target(toolchain)?;
    target.script(&format!(
        "create s --set-url={}
         enable-channel -u c {buffers} --subbuf-size=64k --num-subbuf=32
         enable-event -u -c c emitter:small
         start",
        relay.url()
    ))?;
    let mut apps = Vec::new();
    for first in 0..20 {
        apps.push(
            w.app(&format!(
                "--events 1000000 --rate 500 --first-thread {first}"
            ))
            .start()?,
        );
    }
    for app in &mut apps {
        app.begin_round()?;
    }
    // Each gets a moment of its own.
    let mut emitted = Vec::new();
    for mut app in apps {
        emitted.extend(app.kill_after(20)?);
    }
    target.script("stop\n destroy")?;

    let trace = Trace::read(relay.output())?;
    trace.assert_clean()?;
    let mut counts: HashMap<i64, i64> = HashMap::new();
    for event in &trace.events {
        let thread = event.number("thread").context("no thread")?;
        let n = counts.entry(thread).or_default();
        ensure!(
            event.number("n") == Some(*n),
            "application {thread}: event {n} is missing"
        );
        *n += 1;
    }
    let found = trace.sorted_lines();
    let missing = emitted
        .iter()
        .find(|line| found.binary_search(line).is_err());
    ensure!(
        missing.is_none(),
        "{missing:?} was emitted and is not in the trace"
    );
    // An application prints an event after it emitted it: at most that one may be there in addition.
    ensure!(
        found.len() <= emitted.len() + 20,
        "{} events in the trace, {} emitted",
        found.len(),
        emitted.len()
    );
    target.daemon().terminate()?;
    relay.daemon().assert_no_complaints()
}

#[test]
fn stock_survives_killed_applications_per_uid() {
    isolated(here!(), |w| killed(w, Stock, "--buffers-uid"));
}

#[test]
fn killed_applications_per_uid() {
    isolated(here!(), |w| killed(w, Ours, "--buffers-uid"));
}

#[test]
fn killed_applications_per_pid() {
    isolated(here!(), |w| killed(w, Ours, "--buffers-pid"));
}

/// Twenty sessions of one target, started and ended in any order, do not touch each other.
#[test]
fn sessions_overlap() {
    isolated(here!(), |w| {
        let target = w.target(Ours)?;
        let mut app = w.app("--events 5").start()?;
        let mut expected: HashMap<usize, Vec<String>> = HashMap::new();
        for step in 0..20_usize {
            let out = w.path(&format!("traces/{step}"));
            target.script(&format!(
                "create s{step} --output={}
                 enable-event -u emitter:small
                 start s{step}",
                out.display()
            ))?;
            let round = app.round()?;
            for open in step.saturating_sub(4)..=step {
                expected
                    .entry(open)
                    .or_default()
                    .extend(round.lines.iter().cloned());
            }
            if step >= 4 {
                target.lttng(&format!("destroy s{}", step - 4))?.ok()?;
            }
        }
        target.lttng("destroy --all")?.ok()?;
        app.finish()?;
        for (step, lines) in expected {
            let trace = Trace::read(&w.path(&format!("traces/{step}")))?;
            trace.assert_clean()?;
            trace
                .assert_lines(&lines)
                .with_context(|| format!("session s{step}"))?;
        }
        Ok(())
    });
}
