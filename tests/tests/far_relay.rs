//! A relay daemon that is far away: what a command costs is a matter of how often it waits for a reply.

use std::time::Duration;

use anyhow::{Result, ensure};
use system_tests::Toolchain::{self, Ours, Stock};
use system_tests::{App, FarRelay, Target, Trace, World, here, isolated};

/// In each direction: long enough that what is sent in one go arrives in one go.
const WAY: Duration = Duration::from_millis(20);
/// One to learn that everything is there, and again when it was not, one for the change of chunks. What is sent
/// before and after without waiting counts as well.
const FEW: usize = 5;

/// Sessions that are tried: a program that stands still in the middle of what it sends in one go makes two of it, which
/// counts for one more.
const TRIES: usize = 5;
const COMMANDS: [&str; 4] = ["rotate", "rotate", "stop", "destroy"];

fn few_round_trips(w: &mut World, relay: Toolchain) -> Result<()> {
    let relay = w.relay(relay)?;
    let far = FarRelay::new(&relay, WAY)?;
    let target = w.target(Ours)?;
    let mut lines = Vec::new();
    let mut fewest = [usize::MAX; COMMANDS.len()];
    for first in 0..TRIES {
        let mut app = w
            .app(&format!("--threads 1 --events 100 --first-thread {first}"))
            .start()?;
        for (trips, fewest) in session(&target, &far, &mut app, &mut lines)?
            .into_iter()
            .zip(&mut fewest)
        {
            *fewest = trips.min(*fewest);
        }
        app.finish()?;
        if fewest.iter().all(|trips| *trips <= FEW) {
            break;
        }
    }
    ensure!(
        fewest.iter().all(|trips| *trips <= FEW),
        "{COMMANDS:?}: {fewest:?} round trips"
    );
    Trace::read(relay.output())?.assert_lines(&lines)
}

/// How many round trips each command of a session took.
fn session(
    target: &Target,
    far: &FarRelay,
    app: &mut App,
    lines: &mut Vec<String>,
) -> Result<Vec<usize>> {
    target.script(&format!(
        "create s --set-url={}\n enable-event -u emitter:small\n start",
        far.url()
    ))?;
    // Now its streams are there.
    lines.extend(app.round()?.lines);
    target.lttng("rotate")?.ok()?;
    let mut trips = Vec::new();
    for command in COMMANDS {
        if command != "destroy" {
            lines.extend(app.round()?.lines);
        }
        let before = far.round_trips();
        target.lttng(command)?.ok()?;
        trips.push(far.round_trips() - before);
    }
    Ok(trips)
}

#[test]
fn a_rotation_takes_few_round_trips() {
    isolated(here!(), |w| few_round_trips(w, Ours));
}

#[test]
fn a_rotation_at_a_stock_relay_daemon_takes_few_round_trips() {
    isolated(here!(), |w| few_round_trips(w, Stock));
}
