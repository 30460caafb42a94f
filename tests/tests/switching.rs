//! The output of a session changes while an application traces, and consumer daemons are killed meanwhile: over
//! all places together every event is there exactly once.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use control::blocking::Client;
use control::{SocketPath, v1};
use system_tests::Toolchain::{Ours, Stock};
use system_tests::{
    Relay, Signal, Target, World, count_distinct, eventually, here, isolated_for, signal,
    trees_with_metadata,
};

const LIMIT: Duration = Duration::from_secs(200);

/// A session and what controls it.
struct Traced<'a> {
    target: &'a Target,
    client: Client,
}

impl<'a> Traced<'a> {
    fn new(target: &'a Target) -> Result<Self> {
        let socket = target.run_directory().join(control::CONTROL_SOCKET);
        let client = Client::connect(&SocketPath::exactly(socket))?;
        Ok(Self { target, client })
    }

    /// Streams to a relay daemon, or collects locally.
    fn switch(&mut self, relay: Option<&Relay>) -> Result<()> {
        let mut request = v1::SetNetworkRequest {
            session: "s".into(),
            enabled: Some(relay.is_some()),
            ..Default::default()
        };
        if let Some(relay) = relay {
            let [control, data, _] = relay.ports();
            request.address = Some("127.0.0.1".into());
            request.control_port = Some(control.into());
            request.data_port = Some(data.into());
        }
        self.client.set_network(request)?;
        Ok(())
    }

    fn state(&mut self) -> Result<v1::GetSessionResponse> {
        Ok(self
            .client
            .get_session(v1::GetSessionRequest { name: "s".into() })?)
    }

    fn replaced(&mut self) -> Result<u64> {
        let session = self.state()?.session.context("no session")?;
        Ok(session.output_state.context("no state")?.consumers_replaced)
    }

    /// Waits until some packets have gone to the present place.
    fn wait_for_packets(&mut self) -> Result<()> {
        let packets = |state: v1::GetSessionResponse| state.counters.unwrap_or_default().packets;
        let before = packets(self.state()?);
        eventually("packets reach the new place", || {
            let now = packets(self.state()?);
            // Less: a consumer daemon was replaced, and what it had counted is gone.
            Ok((now != before && now > 2).then_some(()))
        })
    }

    /// Kills the consumer daemon and waits for the next one.
    fn kill_consumer(&mut self) -> Result<()> {
        let before = self.replaced()?;
        let pid = self.target.consumer()?;
        signal(pid, Signal::KILL)?;
        self.target.wait_for_successor(pid)?;
        ensure!(self.replaced()? > before);
        Ok(())
    }
}

/// Local directories of the session and what the relays have.
fn all_trees(w: &World, relays: &[&Relay]) -> Result<Vec<PathBuf>> {
    let mut trees = trees_with_metadata(&w.path("traces"))?;
    for relay in relays {
        trees.extend(trees_with_metadata(relay.output())?);
    }
    // Without a name of its own, a local stretch goes below the home directory.
    let home = w.home().join("lttng-traces");
    if home.is_dir() {
        trees.extend(trees_with_metadata(&home)?);
    }
    Ok(trees)
}

fn start(target: &Target, w: &World, channel: &str) -> Result<()> {
    target.script(&format!(
        "create s -o {}
         enable-channel -u c --subbuf-size=16k --num-subbuf=64 {channel}
         enable-event -u -c c emitter:small
         start",
        w.path("traces/s").display()
    ))
}

/// What came of it.
struct Outcome {
    emitted: u64,
    /// Events that are in the traces, each once.
    found: u64,
    discarded: u64,
}

fn fifty_switches(w: &mut World, channel: &str) -> Result<Outcome> {
    let relays = [w.relay(Ours)?, w.relay(Stock)?];
    let target = w.target(Ours)?;
    start(&target, w, channel)?;
    let mut traced = Traced::new(&target)?;
    let mut app = w
        .app("--threads 2 --rate 8000 --until-told --quiet")
        .blocking()
        .start()?;
    let round = app.round_beside(|| {
        for i in 0..50 {
            let place = match i % 3 {
                0 => Some(&relays[0]),
                1 => Some(&relays[1]),
                _ => None,
            };
            traced.switch(place)?;
            traced.wait_for_packets()?;
            // One kill in each kind of place.
            if [12, 25, 38].contains(&i) {
                traced.kill_consumer()?;
                traced.wait_for_packets()?;
            }
        }
        Ok(())
    })?;
    app.finish()?;
    target.script("stop")?;
    ensure!(traced.replaced()? == 3);
    let discarded = traced
        .state()?
        .counters
        .unwrap_or_default()
        .discarded_events;
    target.script("destroy")?;
    let trees = all_trees(w, &[&relays[0], &relays[1]])?;
    ensure!(trees.len() >= 50, "only {} places", trees.len());
    Ok(Outcome {
        emitted: round.loops,
        found: count_distinct(&trees)?,
        discarded,
    })
}

#[test]
fn blocking_mode_has_every_event_once() {
    isolated_for(LIMIT, here!(), |w| {
        let Outcome { found, emitted, .. } = fifty_switches(w, "--blocking-timeout=inf")?;
        ensure!(found == emitted, "{found} of {emitted} events");
        Ok(())
    });
}

#[test]
fn discard_mode_adds_up() {
    isolated_for(LIMIT, here!(), |w| {
        let Outcome {
            emitted,
            found,
            discarded,
        } = fifty_switches(w, "--discard")?;
        ensure!(
            found + discarded == emitted,
            "{found} found + {discarded} discarded != {emitted}"
        );
        Ok(())
    });
}
