//! A relay daemon that is far away: what a command costs is a matter of how often it waits for a reply.

use std::time::Duration;

use anyhow::{Result, ensure};
use system_tests::Toolchain::{self, Ours, Stock};
use system_tests::{FarRelay, Trace, World, here, isolated};

/// In each direction: long enough that what is sent in one go arrives in one go.
const WAY: Duration = Duration::from_millis(20);
/// One to learn that everything is there, and again when it was not, one for the change of chunks. What is sent
/// before and after without waiting counts as well.
const FEW: usize = 5;

fn few_round_trips(w: &mut World, relay: Toolchain) -> Result<()> {
    let relay = w.relay(relay)?;
    let far = FarRelay::new(&relay, WAY)?;
    let target = w.target(Ours)?;
    target.script(&format!(
        "create s --set-url={}\n enable-event -u emitter:small\n start",
        far.url()
    ))?;
    let mut app = w.app("--threads 1 --events 100").start()?;
    // Now its streams are there.
    let mut lines = app.round()?.lines;
    target.lttng("rotate")?.ok()?;
    for command in ["rotate", "rotate", "stop", "destroy"] {
        if command != "destroy" {
            lines.extend(app.round()?.lines);
        }
        let before = far.round_trips();
        target.lttng(command)?.ok()?;
        let trips = far.round_trips() - before;
        ensure!(trips <= FEW, "{command}: {trips} round trips");
    }
    app.finish()?;
    Trace::read(relay.output())?.assert_lines(&lines)
}

#[test]
fn a_rotation_takes_few_round_trips() {
    isolated(here!(), |w| few_round_trips(w, Ours));
}

#[test]
fn a_rotation_at_a_stock_relay_daemon_takes_few_round_trips() {
    isolated(here!(), |w| few_round_trips(w, Stock));
}
