//! Many applications at once.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use system_tests::{App, World, count_events};

use crate::Settings;
use crate::place::{Place, Route};
use crate::table::{Side, Table, Unit};

/// How long nothing happens while the idle CPU is measured.
const IDLE: Duration = Duration::from_secs(5);

/// Events of each application.
const EVENTS: usize = 5;

fn buffers(per_pid: bool) -> (&'static str, &'static str) {
    if per_pid {
        ("per-PID", "--buffers-pid")
    } else {
        ("per-UID", "--buffers-uid")
    }
}

/// Launches `count` applications and waits until each runs its `main`, that is, until it has registered and
/// traces for every session, however long that takes. Gives them and the time of each.
fn launch(world: &World, count: usize) -> Result<(Vec<App>, Vec<f64>)> {
    let mut apps = Vec::new();
    for first in 0..count {
        let args = format!("--events {EVENTS} --quiet --first-thread {first}");
        let app = world.app(&args).env("LTTNG_UST_REGISTER_TIMEOUT", "-1");
        apps.push((Instant::now(), app.launch()?));
    }
    let mut ready = Vec::new();
    for (begin, app) in &mut apps {
        app.wait_for("ready")?;
        ready.push(begin.elapsed().as_secs_f64());
    }
    Ok((apps.into_iter().map(|(_, app)| app).collect(), ready))
}

/// Starts a session `s` that streams every event of the emitter.
fn session(place: &Place, per_pid: bool) -> Result<()> {
    let (option, _) = place.output(Route::Network, "s");
    let (_, buffers) = buffers(per_pid);
    place.target.script(&format!(
        "create s {option}
         enable-channel -u c {buffers} --subbuf-size=16k
         enable-event -u -c c emitter:*"
    ))
}

pub(crate) fn measure(side: Side, settings: &Settings, table: &mut Table) -> Result<()> {
    let count = settings.applications;
    start_with_registered(side, count, table)?;
    for per_pid in [false, true] {
        launched_while_recording(side, count, per_pid, table)?;
    }
    Ok(())
}

fn start_with_registered(side: Side, count: usize, table: &mut Table) -> Result<()> {
    let place = Place::new(side)?;
    let (apps, _) = launch(&place.world, count)?;
    session(&place, false)?;
    let (took, _) = place.timed("start")?;
    table.add(
        side,
        &format!("start with {count} applications"),
        Unit::Seconds,
        took.as_secs_f64(),
    );
    finish(apps)?;
    place.close()
}

/// Launch, one round of events of each, end of each, stop.
fn launched_while_recording(
    side: Side,
    count: usize,
    per_pid: bool,
    table: &mut Table,
) -> Result<()> {
    let (scheme, _) = buffers(per_pid);
    let place = Place::new(side)?;
    session(&place, per_pid)?;
    place.target.lttng("start")?.ok()?;
    let before = place.cpu();
    let begin = Instant::now();
    let (mut apps, ready) = launch(&place.world, count)?;
    let name = format!("{count} applications starting, {scheme}");
    table.add(
        side,
        &format!("{name}: until all trace"),
        Unit::Seconds,
        begin.elapsed().as_secs_f64(),
    );
    let slowest = ready.iter().copied().fold(0.0, f64::max);
    table.add(side, &format!("{name}: slowest"), Unit::Seconds, slowest);
    let used = place.cpu();
    table.add(
        side,
        &format!("{name}: session daemon"),
        Unit::CpuSeconds,
        used.session - before.session,
    );
    for app in &mut apps {
        app.begin_round()?;
    }
    for app in &mut apps {
        app.end_round(Duration::from_secs(60))?;
    }
    finish(apps)?;
    place.add_memory(table, &name);
    let (took, stop) = place.timed("stop")?;
    ensure!(
        !stop.stdout.contains("Warning:"),
        "events were lost\n{stop}"
    );
    place.target.lttng("destroy")?.ok()?;
    // Those who stop fast must still have brought everything.
    let (_, dir) = place.output(Route::Network, "s");
    let events = count_events(&dir)?;
    ensure!(
        events == (EVENTS * count) as u64,
        "{events} events of {count} applications in the trace"
    );
    let what = format!("stop after {count} applications ended, {scheme}");
    table.add(side, &what, Unit::Seconds, took.as_secs_f64());
    place.close()
}

/// Per-PID applications that do nothing.
pub(crate) fn measure_idle(side: Side, settings: &Settings, table: &mut Table) -> Result<()> {
    let count = settings.applications;
    for per_pid in [false, true] {
        let (scheme, _) = buffers(per_pid);
        let place = Place::new(side)?;
        session(&place, per_pid)?;
        place.target.lttng("start")?.ok()?;
        let (apps, _) = launch(&place.world, count)?;
        // What the launch left to do is done once the daemons use no CPU for a while, or go on using it.
        std::thread::sleep(Duration::from_secs(2));
        let before = place.cpu();
        std::thread::sleep(IDLE);
        let after = place.cpu();
        let percent = |used: f64| used / IDLE.as_secs_f64() * 100.0;
        let name = format!("{count} idle applications, {scheme}");
        let session = percent(after.session - before.session);
        let consumer = percent(after.consumer - before.consumer);
        table.add(
            side,
            &format!("{name}: session daemon"),
            Unit::Percent,
            session,
        );
        table.add(
            side,
            &format!("{name}: consumer daemon"),
            Unit::Percent,
            consumer,
        );
        place.add_memory(table, &name);
        finish(apps)?;
        place.close()?;
    }
    Ok(())
}

fn finish(apps: Vec<App>) -> Result<()> {
    apps.into_iter().try_for_each(App::finish)
}
