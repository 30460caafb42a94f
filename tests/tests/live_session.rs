//! Live sessions: a viewer sees events while the session records, also when other streams are idle.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use anyhow::{Context, Result, ensure};
use system_tests::Toolchain::{self, Ours, Stock};
use system_tests::{DEADLINE, Relay, Trace, World, check_indexes, eventually, here, isolated, run};

/// A babeltrace2 that is attached to a session.
struct Viewer {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Viewer {
    fn attach(relay: &Relay, session: &str) -> Result<Self> {
        let [_, _, port] = relay.ports();
        let url = format!("net://127.0.0.1:{port}/host/target/{session}");
        let mut child = Command::new("babeltrace2")
            .args(["-i", "lttng-live", &url])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("start babeltrace2")?;
        let stdout = child.stdout.take().context("no stdout")?;
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self { child, lines })
    }

    /// Waits for so many events from number `first` on, and tells their numbers.
    fn events(&self, first: u64, count: usize) -> Result<Vec<u64>> {
        let mut numbers = Vec::new();
        while numbers.len() < count {
            let line = self
                .lines
                .recv_timeout(DEADLINE)
                .with_context(|| format!("{} of {count} events were shown", numbers.len()))?;
            let (_, rest) = line.split_once(" n = ").with_context(|| line.clone())?;
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            let number = digits.parse()?;
            if number >= first {
                numbers.push(number);
            }
        }
        Ok(numbers)
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until the relay daemon's list of sessions says so.
fn until_listed(relay: &Relay, what: &str) -> Result<()> {
    let [_, _, port] = relay.ports();
    let url = format!("net://127.0.0.1:{port}");
    eventually(what, || {
        let listed = run(Command::new("babeltrace2").args(["-i", "lttng-live", &url]))?;
        Ok(listed.stdout.contains(what).then_some(()))
    })
}

fn events_are_shown(w: &mut World, targets: Toolchain, relays: Toolchain) -> Result<()> {
    let relay = w.relay(relays)?;
    let target = w.target(targets)?;
    target.script(&format!(
        "create l --live=50000 --set-url={}
         enable-channel -u --subbuf-size=16k --num-subbuf=8 c
         enable-event -u -c c emitter:small
         start",
        relay.url()
    ))?;
    // The streams of the other CPUs are idle, and must not keep the viewer waiting.
    let mut app = w.app("--events 10 --quiet").start_on_one_cpu()?;
    // babeltrace2 does not get on with a session that has no stream yet.
    app.round()?;
    eventually("the first events have arrived", || {
        let trace = Trace::read(relay.output());
        Ok(trace
            .is_ok_and(|trace| trace.events.len() == 10)
            .then_some(()))
    })?;
    let viewer = Viewer::attach(&relay, "l")?;
    until_listed(&relay, "1 client(s) connected")?;
    for round in 1..5 {
        app.round()?;
        let expected = (10 * round..10 * round + 10).collect::<Vec<_>>();
        ensure!(viewer.events(10 * round, 10)? == expected);
    }
    target.script("stop\n start")?;
    app.round()?;
    ensure!(viewer.events(50, 10)? == (50..60).collect::<Vec<_>>());
    app.finish()?;
    target.script("stop\n destroy")?;
    let trace = Trace::read(relay.output())?;
    trace.assert_clean()?;
    ensure!(trace.events.len() == 60);
    check_indexes(relay.output())?;
    relay.daemon().assert_no_complaints()
}

#[test]
fn stock_and_stock() {
    isolated(here!(), |w| events_are_shown(w, Stock, Stock));
}

#[test]
fn our_session_daemon_and_a_stock_relay() {
    isolated(here!(), |w| events_are_shown(w, Ours, Stock));
}

#[test]
fn our_session_daemon_and_our_relay() {
    isolated(here!(), |w| events_are_shown(w, Ours, Ours));
}

/// What was cleared is gone from the relay, and the viewer goes on with what comes.
#[test]
fn a_live_session_is_cleared() {
    isolated(here!(), |w| {
        for targets in [Ours, Stock] {
            let relay = w.relay(Stock)?;
            let target = w.target(targets)?;
            target.script(&format!(
                "create l --live=50000 --set-url={}
                 enable-event -u emitter:small
                 start",
                relay.url()
            ))?;
            let mut app = w.app("--threads 1 --events 10 --quiet").start()?;
            app.round()?;
            target.script("clear")?;
            app.round()?;
            target.script("stop\n destroy")?;
            app.finish()?;
            let trace = Trace::read(relay.output())?;
            trace.assert_clean()?;
            let numbers: Vec<_> = trace
                .events
                .iter()
                .filter_map(|event| event.number("n"))
                .collect();
            ensure!(numbers == (10..20).collect::<Vec<_>>(), "{numbers:?}");
            target.daemon().terminate()?;
        }
        Ok(())
    });
}

/// Packets reach the relay by the live timer alone: the buffers are far from full.
#[test]
fn a_live_session_has_no_output_but_a_relay() {
    isolated(here!(), |w| {
        let target = w.target(Ours)?;
        let refused = target.lttng("create l --live --output=/tmp/x")?;
        ensure!(refused.code != 0, "{refused}");
        eventually("the session does not exist", || {
            let listed = target.lttng("list l")?;
            Ok((listed.code != 0).then_some(()))
        })
    });
}
