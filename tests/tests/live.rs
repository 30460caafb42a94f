//! Live viewers: sessions are read while they are received.

use anyhow::{Context, Result, ensure};
use relay::live::{AttachStatus, IndexStatus, Seek};
use system_tests::Toolchain::{Ours, Stock};
use system_tests::{
    App, LiveReader, Relay, Signal, Target, Toolchain, Trace, Viewer, World, check_indexes,
    eventually, here, isolated, run, unless_ahead, unless_crashed,
};

const LIVE_TIMER: &str = "--live=100000";

/// A live session `s` that streams to a relay daemon, and an application.
struct Session {
    relay: Relay,
    target: Target,
    app: App,
}

impl Session {
    fn start(w: &mut World, relay: Toolchain, channel: &str) -> Result<Self> {
        Self::of(w, Stock, relay, channel)
    }

    /// Many sub-buffers: with a few, a writer that is preempted in the middle of an event makes others lose theirs.
    fn of(w: &mut World, target: Toolchain, relay: Toolchain, channel: &str) -> Result<Self> {
        let relay = w.relay(relay)?;
        let target = w.target(target)?;
        target.script(&format!(
            "create s {LIVE_TIMER} --set-url={}
             enable-channel -u c --subbuf-size=16k --num-subbuf=128 --blocking-timeout=inf {channel}
             enable-event -u -c c emitter:*
             start",
            relay.url()
        ))?;
        let app = app(w, 0)?;
        Ok(Self { relay, target, app })
    }

    fn port(&self) -> u16 {
        self.relay.ports()[2]
    }

    /// babeltrace2 as the `nth` viewer.
    fn reader(&self, nth: u32) -> Result<LiveReader> {
        LiveReader::attached(&self.relay, "s", nth)
    }

    /// Ends everything but the relay daemon.
    fn end(self) -> Result<()> {
        self.app.finish()?;
        self.target.script("stop\n destroy")?;
        self.target.daemon().terminate()
    }
}

/// An application whose events tell it from others by their threads.
fn app(w: &World, first_thread: u32) -> Result<App> {
    w.app("--kind fields --events 50")
        .args(&format!("--first-thread {first_thread}"))
        .blocking()
        .start()
}

/// What babeltrace2 shows of three rounds of one thread, in its order.
fn shown(w: &mut World, relay: Toolchain) -> Result<Vec<String>> {
    let mut session = Session::start(w, relay, "")?;
    let mut reader = session.reader(1)?;
    let mut emitted = Vec::new();
    for _ in 0..3 {
        emitted.extend(session.app.round()?.lines);
        // Each round is shown before the next one begins.
        reader.wait_for(emitted.len())?;
    }
    let relay = session.relay.clone();
    session.end()?;
    reader.wait_for_end()?;
    reader.assert_clean()?;
    ensure!(reader.shown() == emitted, "another order, or other events");
    Trace::read(relay.output())?.assert_lines(&emitted)?;
    relay.daemon().terminate()?;
    relay.daemon().assert_no_complaints()?;
    Ok(reader.shown())
}

#[test]
fn babeltrace_shows_the_same_of_ours_and_stock() {
    isolated(here!(), |w| {
        unless_crashed(w, |w| {
            let (stock, ours) = (shown(w, Stock)?, shown(w, Ours)?);
            ensure!(!stock.is_empty() && stock == ours);
            Ok(())
        })
    });
}

#[test]
fn sessions_are_listed_as_by_stock() {
    isolated(here!(), |w| {
        let mut listed = Vec::new();
        for relay in [Stock, Ours] {
            let session = Session::start(w, relay, "")?;
            Viewer::new(session.port())?.wait_for_session("s")?;
            let url = session.relay.live_url();
            let command = &mut std::process::Command::new("babeltrace2");
            let output = run(command.args(["-i", "lttng-live", &url]))?.ok()?;
            listed.push(output.stdout.replace(&url, "URL"));
            session.end()?;
        }
        ensure!(listed[0].contains("URL/host/target/s"), "{}", listed[0]);
        ensure!(listed[0] == listed[1], "{listed:?}");
        Ok(())
    });
}

/// Stock refuses the second.
#[test]
fn several_viewers_at_once() {
    isolated(here!(), |w| {
        unless_crashed(w, |w| {
            let mut session = Session::start(w, Ours, "")?;
            let mut readers = Vec::new();
            for nth in 1..=3 {
                readers.push(session.reader(nth)?);
            }
            let mut emitted = Vec::new();
            for _ in 0..2 {
                emitted.extend(session.app.round()?.lines);
                for reader in &mut readers {
                    reader.wait_for(emitted.len())?;
                }
            }
            // One goes, one comes: the others do not notice.
            let mut gone = readers.remove(0);
            gone.signal(Signal::INT)?;
            gone.wait_for_status()?;
            Viewer::new(session.port())?.wait_for_clients("s", 2)?;
            let before = emitted.len();
            let mut late = session.reader(3)?;
            emitted.extend(session.app.round()?.lines);
            session.end()?;
            for reader in readers.iter_mut().chain([&mut late]) {
                reader.wait_for_end()?;
                reader.assert_clean()?;
            }
            ensure!(readers.iter().all(|reader| reader.shown() == emitted));
            ensure!(late.shown() == emitted[before..]);
            Ok(())
        })
    });
}

/// Threads on all processors: what comes live comes in the order of time, as from the files.
#[test]
fn the_order_is_that_of_the_files() {
    isolated(here!(), |w| {
        unless_crashed(w, |w| {
            let session = Session::start(w, Ours, "")?;
            let mut reader = session.reader(1)?;
            let mut many = w
                .app("--kind fields --threads 4 --events 300 --first-thread 10")
                .blocking()
                .start()?;
            let emitted = many.round()?.lines;
            many.finish()?;
            let relay = session.relay.clone();
            session.end()?;
            reader.wait_for_end()?;
            reader.assert_clean()?;
            let trace = Trace::read(relay.output())?;
            trace.assert_lines(&emitted)?;
            let times = |events: &[system_tests::Event]| -> Vec<u64> {
                events.iter().map(|event| event.time_ns).collect()
            };
            ensure!(times(&reader.events) == times(&trace.events));
            Ok(())
        })
    });
}

/// From the beginning: everything that is there. From now on: nothing of it.
fn beginning_and_end(w: &mut World, relay: Toolchain) -> Result<()> {
    let mut session = Session::start(w, relay, "")?;
    let emitted = session.app.round()?.lines.len();
    // Then nothing is on its way any more.
    let packets = eventually("the events of the round have arrived", || {
        let output = session.relay.output();
        let whole = Trace::read(output).is_ok_and(|trace| trace.events.len() == emitted);
        let indexes = check_indexes(output).ok().filter(|_| whole);
        Ok(indexes.map(|indexes| indexes.packets))
    })?;
    let mut viewer = Viewer::new(session.port())?;
    let mut count = |seek| -> Result<u64> {
        let watching = viewer.attach_to("s", seek)?;
        let mut packets = 0;
        for stream in watching.data() {
            // Up to the first answer that tells no packet.
            while viewer.next_index(stream)?.status == IndexStatus::OK {
                packets += 1;
            }
        }
        let session = watching.session;
        viewer.ask(&relay::live::ViewerRequest::Detach { session })?;
        Ok(packets)
    };
    eventually("all packets are told", || {
        Ok((count(Seek::BEGINNING)? == packets).then_some(()))
    })?;
    ensure!(count(Seek::LAST)? == 0);
    drop(viewer);
    session.end()
}

#[test]
fn stock_begins_at_the_beginning_or_the_end() {
    isolated(here!(), |w| beginning_and_end(w, Stock));
}

#[test]
fn ours_begins_at_the_beginning_or_the_end() {
    isolated(here!(), |w| beginning_and_end(w, Ours));
}

/// With buffers of each process there are new streams for each: those of applications that start later are
/// told when a known stream tells a packet. Through the stock relay daemon, babeltrace2 fails more often than
/// not: the time of the new events has passed when it learns of them.
#[test]
fn late_applications() {
    isolated(here!(), |w| {
        unless_ahead(w, |w| {
            let mut session = Session::of(w, Ours, Ours, "--buffers-pid")?;
            let mut reader = session.reader(1)?;
            let mut emitted = session.app.round()?.lines;
            reader.wait_for(emitted.len())?;
            for number in 1..3 {
                let mut late = app(w, number * 10)?;
                emitted.extend(late.round()?.lines);
                // babeltrace2 2.0 asks for new streams only after a packet of a stream it knows.
                emitted.extend(session.app.round()?.lines);
                reader.wait_for(emitted.len())?;
                late.finish()?;
            }
            session.end()?;
            reader.wait_for_end()?;
            reader.assert_clean()?;
            ensure!(reader.shown() == emitted, "other events, or another order");
            Ok(())
        })
    });
}

/// A viewer that is there before there is any stream.
#[test]
fn the_first_application_comes_after_the_viewer() {
    isolated(here!(), |w| {
        unless_ahead(w, |w| {
            let relay = w.relay(Ours)?;
            let target = w.target(Stock)?;
            target.script(&format!(
                "create s {LIVE_TIMER} --set-url={}
             enable-channel -u c --subbuf-size=16k --blocking-timeout=inf --buffers-pid
             enable-event -u -c c emitter:*
             start",
                relay.url()
            ))?;
            let mut reader = LiveReader::attached(&relay, "s", 1)?;
            // Each ends before the next one starts.
            let mut emitted = Vec::new();
            for number in 0..3 {
                let mut app = app(w, number * 10)?;
                emitted.extend(app.round()?.lines);
                app.finish()?;
                reader.wait_for(emitted.len())?;
            }
            target.script("stop\n destroy")?;
            reader.wait_for_end()?;
            ensure!(reader.shown() == emitted);
            Ok(())
        })
    });
}

/// A clear while a viewer is attached: it goes on with what comes then.
fn clear(w: &mut World, relay: Toolchain) -> Result<()> {
    let mut session = Session::start(w, relay, "")?;
    let mut reader = session.reader(1)?;
    let mut emitted = Vec::new();
    for round in 0..3 {
        if round > 0 {
            session.target.lttng("clear")?.ok()?;
        }
        emitted.extend(session.app.round()?.lines);
        reader.wait_for(emitted.len())?;
    }
    let relay = session.relay.clone();
    session.end()?;
    reader.wait_for_end()?;
    ensure!(reader.shown() == emitted, "{:?}", reader.said);
    // On the disk is what came after the last clear.
    Trace::read(relay.output())?.assert_lines(&emitted[emitted.len() / 3 * 2..])
}

#[test]
fn stock_goes_on_after_a_clear() {
    isolated(here!(), |w| unless_crashed(w, |w| clear(w, Stock)));
}

#[test]
fn ours_goes_on_after_a_clear() {
    isolated(here!(), |w| unless_crashed(w, |w| clear(w, Ours)));
}

/// A viewer that stops and one that is killed: the session and the other viewer do not notice.
#[test]
fn viewers_that_stall_or_vanish() {
    isolated(here!(), |w| {
        unless_crashed(w, |w| {
            let mut session = Session::start(w, Ours, "")?;
            let mut good = session.reader(1)?;
            let mut stalled = session.reader(2)?;
            let killed = session.reader(3)?;
            let mut emitted = session.app.round()?.lines;
            stalled.wait_for(emitted.len())?;
            stalled.signal(Signal::STOP)?;
            killed.signal(Signal::KILL)?;
            let mut viewer = Viewer::new(session.port())?;
            viewer.wait_for_clients("s", 2)?;
            for _ in 0..5 {
                emitted.extend(session.app.round()?.lines);
                good.wait_for(emitted.len())?;
            }
            stalled.signal(Signal::CONT)?;
            stalled.wait_for(emitted.len())?;
            session.end()?;
            for reader in [&mut good, &mut stalled] {
                reader.wait_for_end()?;
                ensure!(reader.shown() == emitted);
            }
            Ok(())
        })
    });
}

/// The target dies: the viewer gets what had arrived, and the end.
#[test]
fn the_end_of_the_target_is_the_end_of_the_viewer() {
    isolated(here!(), |w| {
        unless_crashed(w, |w| {
            let mut session = Session::start(w, Ours, "")?;
            let mut reader = session.reader(1)?;
            let emitted = session.app.round()?.lines;
            reader.wait_for(emitted.len())?;
            for consumer in session.target.consumers() {
                system_tests::signal(consumer, Signal::KILL)?;
            }
            reader.wait_for_end()?;
            ensure!(reader.shown() == emitted);
            Ok(())
        })
    });
}

/// Small tracefiles that are overwritten while they are read.
#[test]
fn tracefiles_of_a_live_session() {
    isolated(here!(), |w| {
        unless_crashed(w, |w| {
            let files = "--tracefile-size=32k --tracefile-count=2";
            let mut session = Session::start(w, Ours, files)?;
            let mut reader = session.reader(1)?;
            let mut emitted = Vec::new();
            for _ in 0..6 {
                emitted.extend(session.app.round()?.lines);
                reader.wait_for(emitted.len())?;
            }
            session.end()?;
            reader.wait_for_end()?;
            ensure!(reader.shown() == emitted);
            Ok(())
        })
    });
}

#[test]
fn sessions_that_are_not_live_are_refused_as_by_stock() {
    isolated(here!(), |w| {
        for relay in [Stock, Ours] {
            let relay = w.relay(relay)?;
            let target = w.target(Stock)?;
            target.script(&format!(
                "create s --set-url={}\n enable-event -u emitter:*\n start",
                relay.url()
            ))?;
            let mut viewer = Viewer::new(relay.ports()[2])?;
            let session = viewer.wait_for_session("s")?;
            let (status, _) = viewer.attach(session, Seek::LAST)?;
            ensure!(status == AttachStatus::NOT_LIVE, "{status}");
            let entry = viewer.sessions()?.into_iter().next().context("gone")?;
            ensure!(entry.live_timer_us == 0, "{entry:?}");
            target.lttng("destroy")?.ok()?;
            target.daemon().terminate()?;
        }
        Ok(())
    });
}
