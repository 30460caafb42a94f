//! How long each command takes, from its start to its exit.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::Settings;
use crate::place::{Place, Route};
use crate::table::{Side, Table, Unit};

pub(crate) fn measure(side: Side, settings: &Settings, table: &mut Table) -> Result<()> {
    let place = Place::new(side)?;
    // The first channel ever may start a consumer daemon; not a command's usual latency.
    place
        .target
        .script("create first --no-output\n enable-channel -u c\n destroy first")?;
    // Few: stock waits half a second in each destroy.
    for number in 0..settings.amount(5).max(1) {
        for route in Route::BOTH {
            cycle(&place, route, number, table)?;
        }
    }
    for route in Route::BOTH {
        with_data_in_flight(&place, route, table)?;
    }
    place.close()
}

/// One life of a session without applications.
fn cycle(place: &Place, route: Route, number: u64, table: &mut Table) -> Result<()> {
    let (option, _) = place.output(route, &format!("s{number}"));
    let mut time = |name: &str, line: &str| -> Result<()> {
        let (took, _) = place.timed(line)?;
        let name = format!("commands, {}: {name}", route.name());
        table.add(
            place.side,
            &name,
            Unit::Milliseconds,
            took.as_secs_f64() * 1e3,
        );
        Ok(())
    };
    time("create", &format!("create s {option}"))?;
    time("enable-channel", "enable-channel -u c")?;
    time("enable-event", "enable-event -u -c c emitter:*")?;
    time("start", "start")?;
    time("list", "list")?;
    time("stop", "stop")?;
    time("destroy (stopped)", "destroy")?;
    place.target.script(&format!(
        "create t {option}\n enable-event -u emitter:*\n start"
    ))?;
    time("destroy (started)", "destroy")
}

/// An application emits at full speed, and the session is stopped in the middle of it.
fn with_data_in_flight(place: &Place, route: Route, table: &mut Table) -> Result<()> {
    let (option, _) = place.output(route, "burst");
    place.target.script(&format!(
        "create burst {option}
         enable-channel -u c --subbuf-size=4M --num-subbuf=8
         enable-event -u -c c emitter:*
         start"
    ))?;
    let mut app = place
        .world
        .app("--kind blob --payload 512 --events 60000 --quiet")
        .start()?;
    app.round()?;
    let begin = Instant::now();
    place.target.lttng("stop")?.ok()?;
    let milliseconds = |since: Duration| since.as_secs_f64() * 1e3;
    let name = format!("commands, {}: stop with 30 MB in flight", route.name());
    table.add(
        place.side,
        &name,
        Unit::Milliseconds,
        milliseconds(begin.elapsed()),
    );
    app.finish()?;
    place.target.script("destroy")
}
