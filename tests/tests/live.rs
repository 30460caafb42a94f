//! Live viewers: sessions are read while they are received.

use anyhow::{Result, ensure};
use system_tests::Toolchain::{Ours, Stock};
use system_tests::{
    App, LiveReader, Relay, Target, Toolchain, Trace, Viewer, World, here, isolated,
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
        let relay = w.relay(relay)?;
        let target = w.target(Stock)?;
        target.script(&format!(
            "create s {LIVE_TIMER} --set-url={}
             enable-channel -u c --subbuf-size=16k --num-subbuf=8 --blocking-timeout=inf {channel}
             enable-event -u -c c emitter:*
             start",
            relay.url()
        ))?;
        let app = w.app("--kind fields --events 50").blocking().start()?;
        Ok(Self { relay, target, app })
    }

    /// Starts babeltrace2 and waits until it is attached, as the `nth` viewer.
    fn reader(&self, nth: u32) -> Result<LiveReader> {
        let mut viewer = Viewer::new(self.relay.ports()[2])?;
        viewer.wait_for_session("s")?;
        let reader = LiveReader::start(&self.relay, "s")?;
        viewer.wait_for_clients("s", nth)?;
        Ok(reader)
    }

    fn end(self) -> Result<()> {
        self.app.finish()?;
        self.target.script("stop\n destroy")?;
        self.target.daemon().terminate()
    }
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
        let (stock, ours) = (shown(w, Stock)?, shown(w, Ours)?);
        ensure!(!stock.is_empty() && stock == ours);
        Ok(())
    });
}
