//! Process attribute trackers decide which applications are recorded, also while the session is active.

use anyhow::Result;
use system_tests::Toolchain::{Ours, Stock};
use system_tests::{Toolchain, Trace, World, here, isolated};

fn only_the_tracked_are_recorded(w: &mut World, toolchain: Toolchain) -> Result<()> {
    let target = w.target(toolchain)?;
    let output = w.path("trace");
    let mut a = w.app("--kind fields --events 10").start()?;
    let b = w.app("--kind fields --events 10 --first-thread 10");
    let mut b = b.start()?;
    let (pid_a, pid_b) = (a.pid(), b.pid());
    target.script(&format!(
        "create s --output={}\n enable-event -u emitter:*\n track -u --vpid={pid_a}\n start",
        output.display()
    ))?;
    let mut recorded = a.round()?.lines;
    b.round()?;
    target.script(&format!("track -u --vpid={pid_b}"))?;
    recorded.extend(a.round()?.lines);
    recorded.extend(b.round()?.lines);
    target.script(&format!("untrack -u --vpid={pid_a}"))?;
    a.round()?;
    recorded.extend(b.round()?.lines);
    // All trackers have to include an application.
    target.script("untrack -u --all --vuid")?;
    b.round()?;
    target.script("track -u --vuid=root\n track -u --vgid=0")?;
    recorded.extend(b.round()?.lines);
    a.round()?;
    // One that begins later is held to the same.
    let late = w.app("--kind fields --events 10 --first-thread 20");
    late.run_once()?;
    target.script("track -u --all --vpid")?;
    let late = w.app("--kind fields --events 10 --first-thread 30");
    recorded.extend(late.run_once()?.lines);
    recorded.extend(a.round()?.lines);
    target.script("stop\n destroy")?;
    let trace = Trace::read(&output)?;
    trace.assert_clean()?;
    trace.assert_lines(&recorded)
}

#[test]
fn ours() {
    isolated(here!(), |w| only_the_tracked_are_recorded(w, Ours));
}

#[test]
fn stock() {
    isolated(here!(), |w| only_the_tracked_are_recorded(w, Stock));
}
