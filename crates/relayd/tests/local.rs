//! What the daemon tells programs of its own machine: health, status, metrics.

mod own_relay;
#[expect(dead_code, reason = "other tests use the rest")]
mod raw_peer;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use own_relay::OwnRelay;
use raw_peer::{PACKET_SIZE, RawPeer, index};
use relay::{Minor, Request};
use system_tests::Toolchain::{Ours, Stock};
use system_tests::{Output, World, eventually, here, isolated, run};

/// A session with two packets, of which three events are missing, and some metadata.
fn some_work(relay: &OwnRelay) -> Result<RawPeer> {
    let (control, data) = (relay.port("control")?, relay.port("data")?);
    let mut peer = RawPeer::connect_to(control, data, Minor(13))?;
    peer.create_session("s", "")?;
    peer.create_chunk(0)?;
    let stream = peer.add_stream("ust/uid/0/64-bit", "c_0")?;
    let metadata = peer.add_stream("ust/uid/0/64-bit", "metadata")?;
    peer.client.request(&Request::SendMetadata {
        stream: metadata,
        padding_size: 3,
        bytes: b"/* CTF 1.8 */",
    })?;
    for (nr, events_discarded) in [(0, 1), (1, 3)] {
        peer.packet(stream, nr)?;
        peer.ok(&Request::SendIndex(relay::PacketIndex {
            events_discarded,
            ..index(stream, nr)
        }))?;
    }
    peer.wait_received(stream, 1)?;
    Ok(peer)
}

fn status(args: &[&str], rundir: &Path) -> Result<Output> {
    run(Command::new(env!("CARGO_BIN_EXE_lttng-relayd"))
        .arg("--status")
        .args(args)
        .env("LTTNG_RUNDIR", rundir))
}

#[test]
fn status_tells_what_the_daemon_does() {
    isolated(here!(), |w| {
        let rundir = w.path("rundir");
        status(&[], &rundir)?
            .code(1)?
            .says("no relay daemon answers")?;
        let variables = [("LTTNG_RUNDIR", rundir.to_str().context("no UTF-8")?)];
        let relay = OwnRelay::start(w, "a", &[], &variables)?;
        status(&[], &rundir)?
            .ok()?
            .shows("sessions          0 now, 0 since the start")?;
        let peer = some_work(&relay)?;
        let bytes = 2 * PACKET_SIZE;
        status(&[], &rundir)?
            .ok()?
            .shows(&format!("process {}", relay.pid()))?
            .shows(&format!("output            {}", relay.output.display()))?
            .shows(&format!("127.0.0.1:{}", relay.port("control")?))?
            .shows("sessions          1 now, 1 since the start")?
            .shows("streams           2 now, 2 since the start")?
            .shows("connections       2 now")?
            .shows(&format!("packets           2, {bytes} bytes"))?
            .shows("metadata          16 bytes")?
            .shows("events discarded  3")?
            .shows("raw/s (127.0.0.1:")?
            .shows(", 2.13)")?
            .shows("refused 0, protocol 0, failed session 0, turned away 0")?;
        // Others ask the system's daemon too, and their own.
        run(Command::new(env!("CARGO_BIN_EXE_lttng-relayd"))
            .arg("--status")
            .env_remove("LTTNG_RUNDIR"))?
        .code(1)?
        .says("/var/run/lttng/relayd")?;
        // What is over still counts.
        drop(peer);
        eventually("the session is over", || {
            let answer = status(&[], &rundir)?.ok()?;
            Ok(answer
                .stdout
                .contains("sessions          0 now, 1 since")
                .then_some(()))
        })?;
        status(&[], &rundir)?
            .ok()?
            .shows(&format!("packets           2, {bytes} bytes"))?;
        // Two daemons, both told; and one that was killed does not disturb.
        let own = w.path("mine.sock");
        let option = format!("--status-socket={}", own.display());
        let mut other = OwnRelay::start(w, "b", &[&option], &variables)?;
        status(&[&option], &rundir)?
            .ok()?
            .shows(&format!("process {}", other.pid()))?;
        other.stop()?;
        ensure!(!own.exists(), "it stays");
        let socket = rundir.join(format!("relayd/status-{}", relay.pid()));
        drop(relay);
        ensure!(socket.exists(), "who is killed cannot clean up");
        status(&[], &rundir)?
            .code(1)?
            .says("no relay daemon answers")?;
        Ok(())
    });
}

fn http(port: u16, request: &str) -> Result<String> {
    let mut socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.write_all(request.as_bytes())?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn metrics_for_prometheus() {
    isolated(here!(), |w| {
        let relay = OwnRelay::start(w, "a", &["--metrics-port=0"], &[])?;
        let port = relay.port("metrics")?;
        let _peer = some_work(&relay)?;
        let _viewer = TcpStream::connect(("127.0.0.1", relay.port("live")?))?;
        eventually("the viewer is there", || {
            let answer = http(port, "GET /metrics HTTP/1.1\r\n\r\n")?;
            Ok(answer.contains("lttng_relayd_viewers 1").then_some(()))
        })?;
        let answer = http(port, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no head")?;
        ensure!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        ensure!(head.contains("text/plain; version=0.0.4"), "{head}");
        ensure!(
            head.contains(&format!("Content-Length: {}", body.len())),
            "{head}"
        );
        for line in [
            "# TYPE lttng_relayd_packets_total counter".to_owned(),
            "lttng_relayd_packets_total 2".to_owned(),
            format!("lttng_relayd_packet_bytes_total {}", 2 * PACKET_SIZE),
            "lttng_relayd_metadata_bytes_total 16".to_owned(),
            "lttng_relayd_indexes_total 2".to_owned(),
            "lttng_relayd_events_discarded_total 3".to_owned(),
            "lttng_relayd_sessions 1".to_owned(),
            "lttng_relayd_streams 2".to_owned(),
            "lttng_relayd_viewers 1".to_owned(),
            "lttng_relayd_errors_total{kind=\"protocol\"} 0".to_owned(),
            "# TYPE lttng_relayd_write_seconds histogram".to_owned(),
        ] {
            ensure!(body.lines().any(|found| found == line), "no {line}\n{body}");
        }
        let value = |name: &str| -> Result<f64> {
            let line = body.lines().find_map(|line| line.strip_prefix(name));
            Ok(line.context("no such line")?.trim().parse()?)
        };
        let writes = value("lttng_relayd_write_seconds_count")?;
        ensure!(writes >= 2.0, "{writes}");
        ensure!(value("lttng_relayd_write_seconds_bucket{le=\"+Inf\"}")? == writes);
        ensure!(value("lttng_relayd_write_seconds_sum")? > 0.0);
        // Nothing else is there.
        ensure!(http(port, "GET / HTTP/1.1\r\n\r\n")?.starts_with("HTTP/1.1 404"));
        ensure!(http(port, "POST /metrics HTTP/1.1\r\n\r\n")?.starts_with("HTTP/1.1 405"));
        Ok(())
    });
}

#[test]
fn metrics_are_off_until_asked_for_and_local_until_told_otherwise() {
    isolated(here!(), |w| {
        let relay = OwnRelay::start(w, "a", &[], &[])?;
        ensure!(relay.port("metrics").is_err());
        let relay = OwnRelay::start(w, "b", &["--metrics-port=9342"], &[])?;
        let listening = run(Command::new("ss").args(["-tlnH", "sport = :9342"]))?.ok()?;
        listening.shows("127.0.0.1:9342")?;
        drop(relay);
        let mut command = Command::new(env!("CARGO_BIN_EXE_lttng-relayd"));
        run(command.arg("--metrics-address=0.0.0.0"))?
            .code(1)?
            .says("--metrics-port")?;
        Ok(())
    });
}

/// Askers that say nothing, too much, or do not read keep nobody else waiting.
#[test]
fn bad_askers_are_alone() {
    isolated(here!(), |w| {
        let rundir = w.path("rundir");
        let variables = [("LTTNG_RUNDIR", rundir.to_str().context("no UTF-8")?)];
        let relay = OwnRelay::start(w, "a", &["--metrics-port=0"], &variables)?;
        let port = relay.port("metrics")?;
        let mut silent = Vec::new();
        for _ in 0..10 {
            silent.push(TcpStream::connect(("127.0.0.1", port))?);
        }
        let mut long = TcpStream::connect(("127.0.0.1", port))?;
        let _ = long.write_all(&vec![b'x'; 1 << 20]);
        let mut rest = Vec::new();
        // Closed or reset.
        let _ = long.read_to_end(&mut rest);
        ensure!(rest.is_empty());
        status(&[], &rundir)?.ok()?.shows("sessions")?;
        ensure!(http(port, "GET /metrics HTTP/1.1\r\n\r\n")?.contains("packets_total"));
        Ok(())
    });
}

fn health_socket(directory: &Path) -> Result<PathBuf> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("health-") {
            let metadata = entry.metadata()?;
            ensure!(metadata.file_type().is_socket());
            ensure!(metadata.permissions().mode() & 0o777 == 0o660);
            return Ok(entry.path());
        }
    }
    anyhow::bail!("no health socket in {}", directory.display())
}

/// Asks with the distribution's library.
const HEALTH_SCRIPT: &str = r#"
import ctypes, sys
lib = ctypes.CDLL("liblttng-ctl.so.0")
lib.lttng_health_create_relayd.restype = ctypes.c_void_p
lib.lttng_health_query.argtypes = [ctypes.c_void_p]
lib.lttng_health_state.argtypes = [ctypes.c_void_p]
health = lib.lttng_health_create_relayd(sys.argv[1].encode())
print("query", lib.lttng_health_query(health), "state", lib.lttng_health_state(health))
"#;

fn ask_health(socket: &Path) -> Result<()> {
    let script = ["-c", HEALTH_SCRIPT];
    let output = run(Command::new("/usr/bin/python3").args(script).arg(socket))?;
    output.ok()?.shows("query 0 state 0")?;
    Ok(())
}

#[test]
fn health_as_stock_clients_ask_for_it() {
    isolated(here!(), |w: &mut World| {
        for toolchain in [Stock, Ours] {
            let relay = w.relay(toolchain)?;
            let socket = eventually("the health socket", || {
                Ok(health_socket(Path::new("/var/run/lttng/relayd")).ok())
            })?;
            ask_health(&socket)?;
            // The bytes.
            let mut raw = UnixStream::connect(&socket)?;
            raw.write_all(&0_u32.to_ne_bytes())?;
            let mut answer = Vec::new();
            raw.read_to_end(&mut answer)?;
            ensure!(answer == 0_u64.to_ne_bytes(), "{answer:?}");
            relay.daemon().terminate()?;
            ensure!(!socket.exists(), "{toolchain:?} leaves its socket");
        }
        let place = w.path("my-health");
        let variables = [("LTTNG_RELAYD_HEALTH", place.to_str().context("no UTF-8")?)];
        let _relay = OwnRelay::start(w, "a", &[], &variables)?;
        ask_health(&place)
    });
}
