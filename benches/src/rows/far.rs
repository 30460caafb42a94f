//! How long commands take that need a relay daemon far away.

use std::time::Duration;

use anyhow::Result;
use system_tests::FarRelay;

use crate::Settings;
use crate::place::Place;
use crate::table::{Side, Table, Unit};

/// To the relay daemon, and back again.
const WAY: Duration = Duration::from_millis(10);

pub(crate) fn measure(side: Side, settings: &Settings, table: &mut Table) -> Result<()> {
    let place = Place::new(side)?;
    let far = FarRelay::new(&place.relay, WAY)?;
    let mut app = place
        .world
        .app("--threads 1 --events 100 --quiet")
        .start()?;
    for number in 0..settings.amount(10).max(1) {
        place.target.script(&format!(
            "create s{number} --set-url={}
             enable-channel -u c
             enable-event -u -c c emitter:*",
            far.url()
        ))?;
        for command in ["start", "rotate", "stop", "destroy"] {
            if command == "rotate" {
                app.round()?;
            }
            let before = far.round_trips();
            let (took, _) = place.timed(command)?;
            let name = format!("20 ms to the relay daemon and back: {command}");
            let milliseconds = took.as_secs_f64() * 1e3;
            table.add(side, &name, Unit::Milliseconds, milliseconds);
            let trips = far.round_trips() - before;
            table.add(
                side,
                &format!("{name}, round trips"),
                Unit::Count,
                trips as f64,
            );
        }
    }
    app.finish()?;
    place.close()
}
