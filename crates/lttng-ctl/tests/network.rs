//! The calls of the network session proposal, with their effect at a relay daemon.

mod common;

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use common::{Installed, Kit, Program};
use control::v1::{GetSessionRequest, GetSessionResponse, NetworkAttributes};
use control::{SocketPath, blocking::Client};
use system_tests::{Target, Toolchain, Trace, World, eventually, here, isolated};

/// A target with a session `s` of which `network.c` changes the network attributes.
struct Stage {
    program: Program,
    home: PathBuf,
    target: Target,
    local: PathBuf,
}

impl Stage {
    /// The session collects locally and has all events of the emitter in a channel that loses nothing.
    fn new(world: &mut World) -> Result<Self> {
        let installed = Installed::into(&world.path("kit"))?;
        let target = world.target(Toolchain::Ours)?;
        let local = world.path("traces/s");
        target.script(&format!(
            "create s --output {}
             enable-channel --userspace --blocking-timeout=inf --subbuf-size=4096 c
             enable-event --userspace --channel c emitter:*",
            local.display()
        ))?;
        Ok(Self {
            program: installed.compile("network", Kit::Ours)?,
            home: world.home(),
            target,
            local,
        })
    }

    /// What the call returned, and what it printed before.
    fn call(&self, line: &str) -> Result<(i32, String)> {
        let words: Vec<_> = line
            .split_whitespace()
            .map(|word| if word == "''" { "" } else { word })
            .collect();
        let output = self.program.run(&self.home, &words)?.ok()?.stdout;
        let (before, last) = output
            .trim_end()
            .rsplit_once('\n')
            .unwrap_or(("", output.trim_end()));
        Ok((last.parse().context(output.clone())?, before.to_owned()))
    }

    fn ok(&self, line: &str) -> Result<String> {
        let (code, printed) = self.call(line)?;
        ensure!(code == 0, "{line}: {code}");
        Ok(printed)
    }

    fn session(&self) -> Result<GetSessionResponse> {
        let socket = self.target.run_directory().join(control::CONTROL_SOCKET);
        let mut daemon = Client::connect(&SocketPath::exactly(socket))?;
        Ok(daemon.get_session(GetSessionRequest::of("s"))?)
    }

    fn network(&self) -> Result<NetworkAttributes> {
        let session = self.session()?.session.context("no session")?;
        session.network.context("no network attributes")
    }

    fn lttng(&self, line: &str) -> Result<()> {
        self.target.lttng(line)?.ok().map(drop)
    }
}

/// Starts, lets an application run once, stops and destroys; the events must all be below `at`.
fn record_to(world: &World, stage: &Stage, at: &Path) -> Result<()> {
    stage.lttng("start s")?;
    let round = world
        .app("--events 200 --threads 2")
        .blocking()
        .run_once()?;
    stage.lttng("destroy s")?;
    let trace = Trace::read(at)?;
    trace.assert_clean()?;
    trace.assert_lines(&round.lines)
}

#[test]
fn setters_check_and_keep_the_layout() -> Result<()> {
    let prefix = Path::new(env!("CARGO_TARGET_TMPDIR")).join("setters");
    let program = Installed::into(&prefix)?.compile("network", Kit::Ours)?;
    program
        .run(Path::new("/nonexistent"), &["setters"])?
        .ok()
        .map(drop)
}

#[test]
fn a_filled_struct_makes_a_session_stream() {
    isolated(here!(), |world| {
        let stage = Stage::new(world)?;
        let relay = world.relay(Toolchain::Stock)?;
        let [control, data, _] = relay.ports();
        stage.ok(&format!("stream s 1 ipv4 127.0.0.1 {control} {data}"))?;
        let expected = NetworkAttributes {
            enabled: true,
            address: "127.0.0.1".into(),
            control_port: control.into(),
            data_port: data.into(),
        };
        ensure!(stage.network()? == expected, "{:?}", stage.network()?);
        let path = stage.ok("path s")?;
        ensure!(
            path == format!("tcp4://127.0.0.1:{control}/ [data: {data}]"),
            "{path}"
        );
        record_to(world, &stage, relay.output())?;
        ensure!(!stage.local.exists(), "something was written locally");
        Ok(())
    });
}

/// The relay daemon's metadata were spoiled: written again they are whole. Each application records its state
/// once more.
#[test]
fn what_a_trace_begins_with_is_written_again() {
    isolated(here!(), |world| {
        let stage = Stage::new(world)?;
        let relay = world.relay(Toolchain::Stock)?;
        let [control, data, _] = relay.ports();
        stage.ok(&format!("stream s 1 ipv4 127.0.0.1 {control} {data}"))?;
        stage.lttng("enable-event -u -s s -c c lttng_ust_statedump:*")?;
        stage.lttng("start s")?;
        let mut app = world.app("--events 10").blocking().start()?;
        app.round()?;
        stage.lttng("stop s")?;
        stage.lttng("start s")?;
        let trees = system_tests::trees_with_metadata(relay.output())?;
        let [tree] = &trees[..] else {
            anyhow::bail!("traces: {trees:?}");
        };
        let metadata = tree.join("metadata");
        let events = || Trace::read(relay.output()).map(|trace| trace.events.len());
        let before = events()?;
        std::fs::write(&metadata, b"not what a reader expects")?;
        ensure!(events().is_err(), "the metadata are not needed");
        stage.ok("metadata s")?;
        eventually("the trace can be read again", || {
            Ok(events().ok().filter(|now| *now >= before))
        })?;
        stage.ok("statedump s")?;
        app.round()?;
        // The application obeys one command after the other, and answers this one when it has done the last.
        stage.lttng("stop s")?;
        app.finish()?;
        stage.lttng("destroy s")?;
        let trace = Trace::read(relay.output())?;
        trace.assert_clean()?;
        let states = trace.count("lttng_ust_statedump:start");
        // One for each start, and one more.
        ensure!(states == 3, "{states} records of the state");
        Ok(())
    });
}

#[test]
fn a_host_name_is_an_address() {
    isolated(here!(), |world| {
        let stage = Stage::new(world)?;
        let relay = world.relay(Toolchain::Ours)?;
        let [control, data, _] = relay.ports();
        stage.ok(&format!("stream s 1 name localhost {control} {data}"))?;
        ensure!(stage.network()?.address == "localhost");
        record_to(world, &stage, relay.output())
    });
}

#[test]
fn over_ipv6() {
    isolated(here!(), |world| {
        let stage = Stage::new(world)?;
        let output = world.path("collector6");
        std::fs::create_dir_all(&output)?;
        let mut relay = Command::new(Toolchain::Stock.program("lttng-relayd")?)
            .args([
                "--control-port=tcp6://[::1]:7100",
                "--data-port=tcp6://[::1]:7101",
            ])
            .args(["--live-port=tcp6://[::1]:7102", "--output"])
            .arg(&output)
            .env("HOME", world.home())
            .spawn()?;
        eventually("the relay daemon listens on ::1", || {
            Ok(TcpStream::connect("[::1]:7100").is_ok().then_some(()))
        })?;
        stage.ok("stream s 1 ipv6 ::1 7100 7101")?;
        let path = stage.ok("path s")?;
        ensure!(path == "tcp6://[::1]:7100/ [data: 7101]", "{path}");
        record_to(world, &stage, &output)?;
        relay.kill()?;
        relay.wait()?;
        Ok(())
    });
}

#[test]
fn a_session_without_channels_remembers_what_it_will_connect_to() {
    isolated(here!(), |world| {
        let stage = Stage::new(world)?;
        stage.lttng("destroy s")?;
        stage.lttng("create s --no-output")?;
        // Nobody listens there, and nobody is asked.
        stage.ok("option s addr collector.example")?;
        stage.ok("option s ctrl 7")?;
        let expected = NetworkAttributes {
            enabled: true,
            address: "collector.example".into(),
            control_port: 7,
            data_port: 5343,
        };
        ensure!(stage.network()? == expected, "{:?}", stage.network()?);
        Ok(())
    });
}

#[test]
fn options_make_a_session_stream() {
    isolated(here!(), |world| {
        let stage = Stage::new(world)?;
        let relay = world.relay(Toolchain::Ours)?;
        let [control, data, _] = relay.ports();
        // Ports alone are remembered.
        stage.ok(&format!("option s ctrl {control}"))?;
        stage.ok(&format!("option s data {data}"))?;
        let remembered = stage.network()?;
        ensure!(!remembered.enabled && remembered.data_port == u32::from(data));
        ensure!(stage.ok("path s")? == stage.local.display().to_string());
        stage.ok("option s addr 127.0.0.1")?;
        ensure!(stage.network()?.enabled);
        record_to(world, &stage, relay.output())
    });
}

#[test]
fn an_empty_address_or_a_disabled_struct_collects_locally() {
    isolated(here!(), |world| {
        let stage = Stage::new(world)?;
        let [control, data, _] = world.relay(Toolchain::Ours)?.ports();
        stage.ok(&format!("option s ctrl {control}"))?;
        stage.ok(&format!("option s data {data}"))?;
        stage.ok("option s addr 127.0.0.1")?;
        ensure!(stage.network()?.enabled, "{:?}", stage.network()?);
        stage.ok("option s addr ''")?;
        ensure!(!stage.network()?.enabled, "{:?}", stage.network()?);
        stage.ok("stream s 0 ipv6 fd00::1 7 8")?;
        let expected = NetworkAttributes {
            enabled: false,
            address: "fd00::1".into(),
            control_port: 7,
            data_port: 8,
        };
        ensure!(stage.network()? == expected, "{:?}", stage.network()?);
        let path = PathBuf::from(stage.ok("path s")?);
        record_to(world, &stage, &path)
    });
}

#[test]
fn while_tracing_the_output_changes_and_no_event_is_lost() {
    isolated(here!(), |world| {
        let stage = Stage::new(world)?;
        let relays = [
            world.relay(Toolchain::Ours)?,
            world.relay(Toolchain::Stock)?,
        ];
        let [control, data, _] = relays[0].ports();
        stage.lttng("start s")?;
        let mut app = world
            .app("--events 30000 --rate 30000 --threads 2")
            .blocking()
            .start()?;
        app.begin_round()?;
        stage.ok(&format!("stream s 1 ipv4 127.0.0.1 {control} {data}"))?;
        stage.ok(&format!("url s {}", relays[1].url()))?;
        stage.ok("stream s 0 ipv4 127.0.0.1 0 0")?;
        let round = app.end_round(system_tests::DEADLINE)?;
        app.finish()?;
        stage.lttng("destroy s")?;

        // One world of traces: the first and the last directory, and both relays.
        let mut all = Trace::read(&world.path("traces"))?;
        for relay in &relays {
            let there = Trace::read(relay.output())?;
            all.events.extend(there.events);
            all.discarded += there.discarded;
            all.discarded_before += there.discarded_before;
            all.lost_packets += there.lost_packets;
            all.warnings.extend(there.warnings);
        }
        all.assert_clean()?;
        all.assert_lines(&round.lines)
    });
}

#[test]
fn a_closed_port_is_refused_while_tracing_and_changes_nothing() {
    isolated(here!(), |world| {
        let stage = Stage::new(world)?;
        stage.lttng("start s")?;
        let before = stage.session()?.session;
        let (code, _) = stage.call("stream s 1 ipv4 127.0.0.1 7 8")?;
        ensure!(code == -104, "{code}");
        let (code, _) = stage.call("option s addr 127.0.0.1")?;
        ensure!(code == -104, "{code}");
        let (code, _) = stage.call("url s net://127.0.0.1:7:8")?;
        ensure!(code == -104, "{code}");
        let after = stage.session()?.session;
        ensure!(before == after, "{before:#?}\n{after:#?}");
        let round = world.app("--events 20").blocking().run_once()?;
        stage.lttng("destroy s")?;
        Trace::read(&stage.local)?.assert_lines(&round.lines)
    });
}

#[test]
fn bad_values_are_refused_and_change_nothing() {
    isolated(here!(), |world| {
        let stage = Stage::new(world)?;
        let before = stage.session()?;
        stage.ok("refused s")?;
        let after = stage.session()?;
        ensure!(before == after, "{before:#?}\n{after:#?}");
        let relay = world.relay(Toolchain::Ours)?;
        let [control, data, _] = relay.ports();
        stage.ok(&format!("stream s 1 ipv4 127.0.0.1 {control} {data}"))?;
        record_to(world, &stage, relay.output())
    });
}
