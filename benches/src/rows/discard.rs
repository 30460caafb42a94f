//! Discard mode at full rate: how many of the produced events arrive.

use std::time::Duration;

use anyhow::{Result, ensure};
use system_tests::check_indexes;

use crate::Settings;
use crate::place::{Place, Route};
use crate::table::{Side, Table, Unit};

pub(crate) fn measure(side: Side, settings: &Settings, table: &mut Table) -> Result<()> {
    for payload in [16, 512, 4096] {
        one(side, payload, settings, table)?;
    }
    Ok(())
}

/// The default channel, streamed; two threads emit for two seconds.
fn one(side: Side, payload: u64, settings: &Settings, table: &mut Table) -> Result<()> {
    let place = Place::new(side)?;
    let (option, dir) = place.output(Route::Network, "s");
    place.target.script(&format!(
        "create s {option}\n enable-event -u emitter:*\n start"
    ))?;
    let kind = if payload == 16 { "small" } else { "blob" };
    let seconds = settings.amount(20) as f64 / 10.0;
    let args = format!("--kind {kind} --payload {payload} --threads 2 --seconds {seconds} --quiet");
    let mut app = place.world.app(&args).start()?;
    app.begin_round()?;
    let round = app.end_round(Duration::from_secs(60))?;
    app.finish()?;
    place.target.script("stop\n destroy")?;
    let discarded = check_indexes(&dir)?.discarded;
    ensure!(
        discarded <= round.loops,
        "{discarded} of {} events discarded",
        round.loops
    );
    let delivered = (round.loops - discarded) as f64 / round.loops as f64;
    table.add(
        side,
        &format!("discard, net, {payload} B: share delivered"),
        Unit::Fraction,
        delivered,
    );
    place.close()
}
