//! How long after it was emitted a live viewer sees an event.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use system_tests::{App, Follower, LiveReader, Relay, Viewer, monotonic_ns};

use crate::Settings;
use crate::place::{Place, Route};
use crate::table::{Side, Table, Unit};

/// The live timer of many sessions.
const TIMER: Duration = Duration::from_millis(100);
/// Events of one thread in a second.
const RATE: u64 = 100;
/// How long each of many viewers waits after it was told nothing. If all of them asked as often as they can, they
/// would take the processors away from what is measured.
const MANY_PAUSE: Duration = Duration::from_millis(10);
const LIMIT: Duration = Duration::from_secs(60);

/// One session: what a raw viewer sees, and what babeltrace2 shows. What a viewer can see is there after the live
/// timer, at most.
pub(crate) fn measure(side: Side, settings: &Settings, table: &mut Table) -> Result<()> {
    for &timer in &settings.live_timers {
        let timer = Duration::from_millis(timer);
        with_targets(side, |place, target| {
            let daemons = format!("live {timer:?}, {target}");
            one_session(place, settings, (timer, &daemons), table)
        })?;
    }
    Ok(())
}

/// Sessions at once, each with a viewer: from the first event on, until each viewer has seen one.
pub(crate) fn measure_many(side: Side, settings: &Settings, table: &mut Table) -> Result<()> {
    with_targets(side, |place, target| {
        many_sessions(place, settings, target, table)
    })
}

/// The targets are stock's on both sides, as far as the relay daemons are compared; then those of the side.
fn with_targets(side: Side, mut measure: impl FnMut(&Place, &str) -> Result<()>) -> Result<()> {
    for target in Side::BOTH {
        if target == Side::Ours && side == Side::Stock {
            continue;
        }
        let place = Place::with_target(side, target)?;
        measure(&place, &format!("{} target", target.toolchain().name()))?;
        place.close()?;
    }
    Ok(())
}

fn one_session(
    place: &Place,
    settings: &Settings,
    (timer, daemons): (Duration, &str),
    table: &mut Table,
) -> Result<()> {
    create(place, "s", timer)?;
    let mut app = emitter(place, settings.live_threads, settings.amount(1000))?;
    let port = place.relay.ports()[2];
    Viewer::new(port)?.wait_for_session("s")?;

    let follower = Follower::attach(port, "s")?;
    let stop = Arc::new(AtomicBool::new(false));
    let raw = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || follow(follower, &stop)
    });
    app.begin_round()?;
    let round = app.end_round(LIMIT)?;
    // The last ones come with the timer.
    std::thread::sleep(3 * timer);
    stop.store(true, Ordering::SeqCst);
    let delays = match raw.join() {
        Ok(delays) => delays?,
        Err(_) => bail!("the viewer panicked"),
    };
    ensure!(
        delays.len() as u64 == round.loops,
        "{} events",
        delays.len()
    );
    add(
        place.side,
        &format!("{daemons}: event seen by a raw viewer"),
        delays,
        table,
    );

    // Stock lets only one viewer in at a time.
    for (start, how) in [
        (
            LiveReader::start as fn(&Relay, &str) -> Result<LiveReader>,
            "shown by babeltrace2 in a terminal",
        ),
        (
            LiveReader::start_keeping,
            "written into a pipe by babeltrace2",
        ),
        (
            LiveReader::start_like_view,
            "written into a pipe by babeltrace2 as lttng view starts it",
        ),
    ] {
        let mut reader = start(&place.relay, "s")?;
        Viewer::new(port)?.wait_for_clients("s", 1)?;
        app.begin_round()?;
        let round = app.end_round(LIMIT)?;
        reader.wait_for(usize::try_from(round.loops)?)?;
        let delays = std::mem::take(&mut reader.delays);
        add(
            place.side,
            &format!("{daemons}: event {how}"),
            delays,
            table,
        );
        drop(reader);
        Viewer::new(port)?.wait_for_clients("s", 0)?;
    }
    app.finish()
}

/// Asks on and on, as fast as answers come, but at most once in a millisecond without a packet.
fn follow(mut follower: Follower, stop: &AtomicBool) -> Result<Vec<Duration>> {
    let mut delays = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let packets = follower.round(|emitted_ns| {
            let now = monotonic_ns();
            delays.push(Duration::from_nanos(now.saturating_sub(emitted_ns)));
        })?;
        if packets.context("the session ended")? == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    Ok(delays)
}

fn many_sessions(
    place: &Place,
    settings: &Settings,
    daemons: &str,
    table: &mut Table,
) -> Result<()> {
    let names: Vec<_> = (0..settings.sessions).map(|nr| format!("s{nr}")).collect();
    for name in &names {
        create(place, name, TIMER)?;
    }
    let mut app = emitter(place, 1, 4 * RATE)?;
    let port = place.relay.ports()[2];
    let (sender, seen) = mpsc::channel();
    for name in names.clone() {
        let mut follower = Follower::attach(port, &name)?;
        let sender = sender.clone();
        std::thread::spawn(move || {
            let mut events = 0;
            while events == 0 {
                match follower.round(|_| events += 1) {
                    Ok(Some(0)) => std::thread::sleep(MANY_PAUSE),
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => return,
                }
            }
            let _ = sender.send(Instant::now());
        });
    }
    // All have been told what is there so far.
    std::thread::sleep(5 * TIMER);
    let begin = Instant::now();
    app.begin_round()?;
    let mut last = Duration::ZERO;
    for _ in &names {
        let when = seen
            .recv_timeout(LIMIT)
            .context("a session without an event")?;
        last = last.max(when.saturating_duration_since(begin));
    }
    app.end_round(LIMIT)?;
    app.finish()?;
    table.add(
        place.side,
        &format!(
            "live, {daemons}: first event of the last of {} sessions",
            names.len()
        ),
        Unit::Milliseconds,
        last.as_secs_f64() * 1e3,
    );
    Ok(())
}

fn create(place: &Place, name: &str, timer: Duration) -> Result<()> {
    let timer_us = timer.as_micros();
    let (option, _) = place.output(Route::Network, name);
    place.target.script(&format!(
        "create {name} {option} --live={timer_us}
         enable-channel -u c --subbuf-size=16k --num-subbuf=8
         enable-event -u -c c emitter:small
         start {name}"
    ))
}

/// A waiting application that is registered in every session.
fn emitter(place: &Place, threads: u32, events: u64) -> Result<App> {
    let args = format!("--threads {threads} --events {events} --rate {RATE} --quiet");
    place
        .world
        .app(&args)
        .env("LTTNG_UST_REGISTER_TIMEOUT", "-1")
        .start()
}

fn add(side: Side, name: &str, mut delays: Vec<Duration>, table: &mut Table) {
    delays.sort();
    for (percentile, at) in [("median", 0.5), ("99th percentile", 0.99)] {
        let rank = (delays.len().saturating_sub(1) as f64 * at).round() as usize;
        let delay = delays.get(rank).copied().unwrap_or_default();
        let name = format!("{name}, {percentile}");
        table.add(side, &name, Unit::Milliseconds, delay.as_secs_f64() * 1e3);
    }
}
