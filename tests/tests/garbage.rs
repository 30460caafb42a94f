//! Garbage on every socket of every daemon: the daemon lives, and serves the next one as if nothing had been.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use system_tests::Toolchain::Ours;
use system_tests::{Relay, Target, Trace, World, here, isolated};

/// Byte strings of many sizes, some of them starting like a message of a protocol spoken here.
fn garbage() -> Vec<Vec<u8>> {
    let mut seed = 0x9E37_79B9_u32;
    let mut random = |length: usize| -> Vec<u8> {
        let next = |_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        };
        (0..length).map(next).collect()
    };
    let mut all = vec![
        Vec::new(),
        vec![0],
        vec![0; 4096],
        vec![0xFF; 4096],
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
    ];
    for length in [
        1,
        3,
        15,
        16,
        17,
        31,
        32,
        33,
        136,
        612,
        4096,
        70_000,
        1 << 20,
    ] {
        all.push(random(length));
    }
    // A relay command: circuit id, payload size, command, version; each command with an enormous payload,
    // with none, and with garbage.
    for command in 0..32_u32 {
        for size in [0_u64, 100, u64::MAX, 1 << 40] {
            let mut bytes = vec![0; 8];
            bytes.extend(size.to_be_bytes());
            bytes.extend(command.to_be_bytes());
            bytes.extend(0_u32.to_be_bytes());
            if size == 100 {
                bytes.extend(random(100));
            }
            all.push(bytes);
        }
    }
    // A data packet: circuit id, stream id, packet number, sizes.
    let mut packet = vec![0; 24];
    packet.extend(u32::MAX.to_be_bytes());
    packet.extend(u32::MAX.to_be_bytes());
    all.push(packet);
    // The start of HTTP/2, then nonsense.
    let mut http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    http2.extend(random(500));
    all.push(http2);
    all
}

/// Sends `bytes`, reads a little of what comes back, hangs up.
fn throw(mut stream: impl Read + Write, bytes: &[u8]) {
    // The other side may hang up at any moment: that is its right.
    let _ = stream.write_all(bytes);
    let _ = stream.read(&mut [0; 64]);
}

const PATIENCE: Option<Duration> = Some(Duration::from_millis(10));

fn throw_at_port(port: u16, bytes: &[u8]) -> Result<()> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(PATIENCE)?;
    stream.set_write_timeout(PATIENCE)?;
    throw(stream, bytes);
    Ok(())
}

fn throw_at_socket(path: &Path, bytes: &[u8]) {
    // Sockets of other kinds (sequenced packets) refuse the connection.
    if let Ok(stream) = UnixStream::connect(path) {
        let _ = stream.set_read_timeout(PATIENCE);
        let _ = stream.set_write_timeout(PATIENCE);
        throw(stream, bytes);
    }
}

fn sockets_below(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(sockets_below(&entry.path())?);
        } else if entry.file_type()?.is_socket() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// A whole session over the network.
fn streams(w: &World, target: &Target, relay: &Relay, name: &str) -> Result<()> {
    target.script(&format!(
        "create {name} --set-url={}/{name}\n enable-event -u emitter:small\n start",
        relay.url()
    ))?;
    let round = w.app("--events 10").run_once()?;
    target.lttng(&format!("destroy {name}"))?.ok()?;
    Trace::read(&relay.output().join("target").join(name))?.assert_lines(&round.lines)
}

#[test]
fn garbage_at_the_relay_daemon() {
    isolated(here!(), |w| {
        let relay = w.relay(Ours)?;
        let target = w.target(Ours)?;
        // A session streams through it all.
        target.script(&format!(
            "create through --set-url={}/through
             enable-channel -u c --switch-timer=10000
             enable-event -u -c c emitter:small
             start",
            relay.url()
        ))?;
        let mut app = w.app("--events 100").start()?;
        let mut lines = app.round()?.lines;
        let [control, data, _] = relay.ports();
        for bytes in garbage() {
            throw_at_port(control, &bytes)?;
            throw_at_port(data, &bytes)?;
            ensure!(
                relay.daemon().is_alive(),
                "dead after {} bytes: {:02x?}",
                bytes.len(),
                bytes.get(..64)
            );
        }
        lines.extend(app.round()?.lines);
        app.finish()?;
        target.lttng("destroy through")?.ok()?;
        Trace::read(&relay.output().join("target/through"))?.assert_lines(&lines)?;
        streams(w, &target, &relay, "after")?;
        // Nobody could write anything of their own.
        let hosts: Vec<_> = std::fs::read_dir(relay.output())?
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        ensure!(hosts == ["target"], "{hosts:?}");
        Ok(())
    });
}

#[test]
fn garbage_at_the_session_daemon() {
    isolated(here!(), |w| {
        let relay = w.relay(Ours)?;
        let target = w.target(Ours)?;
        let sockets = sockets_below(&target.run_directory())?;
        ensure!(sockets.len() >= 2, "only {sockets:?}");
        for socket in &sockets {
            for bytes in garbage() {
                throw_at_socket(socket, &bytes);
                ensure!(
                    target.daemon().is_alive(),
                    "dead after {} bytes to {}: {:02x?}",
                    bytes.len(),
                    socket.display(),
                    bytes.get(..64)
                );
            }
            streams(w, &target, &relay, "after")?;
            std::fs::remove_dir_all(relay.output().join("target/after"))?;
        }
        Ok(())
    });
}

/// The consumer daemon's only socket is the one it was born with; its command line and standard input are
/// all that others can reach.
#[test]
fn garbage_at_the_consumer_daemon() {
    use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socketpair};
    use std::process::{Command, Stdio};

    isolated(here!(), |_| {
        let program = Ours.program("lttng-consumerd")?;
        for bytes in garbage() {
            let (ours, theirs) = socketpair(
                AddressFamily::UNIX,
                SocketType::SEQPACKET,
                SocketFlags::CLOEXEC,
                None,
            )?;
            let mut child = Command::new(&program)
                .stdin(theirs)
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()?;
            // One message; too large a one is refused here.
            let _ = send(&ours, &bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
            drop(ours);
            let mut said = String::new();
            child
                .stderr
                .take()
                .map(|mut stderr| stderr.read_to_string(&mut said))
                .transpose()?;
            let status = child.wait()?;
            ensure!(
                status.code().is_some(),
                "{status} after {:02x?}\n{said}",
                bytes.get(..64)
            );
            ensure!(!said.contains("panicked"), "{said}");
        }
        Ok(())
    });
}
