//! Blocking mode: every event arrives, so both sides do the same work.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use system_tests::check_indexes;

use crate::Settings;
use crate::place::{Place, Route, no_loss};
use crate::table::{Side, Table, Unit};

/// Payload in bytes, and how many events.
const LOADS: [(u64, u64); 3] = [(16, 10_000_000), (512, 1_000_000), (4096, 150_000)];

pub(crate) fn measure(side: Side, settings: &Settings, table: &mut Table) -> Result<()> {
    for route in Route::BOTH {
        for (payload, events) in LOADS {
            one(side, route, payload, settings.amount(events), table)?;
        }
    }
    Ok(())
}

/// 8 x 8 MiB sub-buffers per CPU, one producing thread.
fn one(side: Side, route: Route, payload: u64, events: u64, table: &mut Table) -> Result<()> {
    let place = Place::new(side)?;
    let (option, dir) = place.output(route, "s");
    place.target.script(&format!(
        "create s {option}
         enable-channel -u c --buffers-uid --blocking-timeout=inf --subbuf-size=8M --num-subbuf=8
         enable-event -u -c c emitter:*
         start"
    ))?;
    let kind = if payload == 16 { "small" } else { "blob" };
    let args = format!("--kind {kind} --payload {payload} --events {events} --quiet");
    let mut app = place.world.app(&args).blocking().start()?;
    let before = place.cpu();
    let begin = Instant::now();
    app.begin_round()?;
    app.end_round(Duration::from_secs(600))?;
    let (_, stop) = place.timed("stop")?;
    let wall = begin.elapsed();
    let after = place.cpu();
    no_loss(&stop)?;
    app.finish()?;

    let name = format!("blocking, {}, {payload} B", route.name());
    place.add_memory(table, &name);
    place.target.lttng("destroy")?.ok()?;
    let written = check_indexes(&dir)?;
    ensure!(
        written.discarded == 0,
        "{} events discarded",
        written.discarded
    );
    // The payload of each event is there; its header and the packets' come on top.
    ensure!(
        written.content_bytes >= events * payload,
        "only {} bytes written",
        written.content_bytes
    );
    let gb = written.content_bytes as f64 / 1e9;
    table.add(
        side,
        &format!("{name}: wall, {events} events"),
        Unit::Seconds,
        wall.as_secs_f64(),
    );
    let consumer = (after.consumer - before.consumer) / gb;
    table.add(
        side,
        &format!("{name}: consumer daemon"),
        Unit::CpuSecondsPerGb,
        consumer,
    );
    if route == Route::Network {
        let relay = (after.relay - before.relay) / gb;
        table.add(
            side,
            &format!("{name}: relay daemon"),
            Unit::CpuSecondsPerGb,
            relay,
        );
    }
    place.close()
}
