//! Peers that make the daemon complain without end, that say a byte now and then, and that vanish: the log, the
//! memory and the number of connections stay bounded.

mod own_relay;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use own_relay::OwnRelay;
use system_tests::{Viewer, eventually, here, isolated, run};

const MIB: u64 = 1 << 20;
/// Connections that say something wrong, to each port.
const FLOOD: usize = 500;
/// Messages of one kind in a minute.
const QUOTA: usize = 10;

fn memory(relay: &OwnRelay, what: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", relay.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    let kib = line.context("no such line")?.trim_start_matches(':').trim();
    Ok(kib.trim_end_matches(" kB").parse::<u64>()? * 1024)
}

fn connect(relay: &OwnRelay, port: &str) -> Result<TcpStream> {
    let socket = TcpStream::connect(("127.0.0.1", relay.port(port)?))?;
    socket.set_read_timeout(Some(Duration::from_secs(60)))?;
    Ok(socket)
}

/// Says it, and waits until the daemon has hung up.
fn provoke(relay: &OwnRelay, port: &str, bytes: &[u8]) -> Result<()> {
    let mut socket = connect(relay, port)?;
    socket.write_all(bytes)?;
    // A reset is an end too.
    let _ = socket.read_to_end(&mut Vec::new());
    Ok(())
}

#[test]
fn complaints_are_counted_when_there_are_too_many() {
    isolated(here!(), |w| {
        let mut relay = OwnRelay::start(w, "a", &[], &[])?;
        // A message of 2^64 - 1 bytes; a command before CONNECT.
        let mut absurd = vec![0; 8];
        absurd.extend([0xff; 8]);
        absurd.extend([0, 0, 0, 5, 0, 0, 0, 0]);
        for _ in 0..FLOOD {
            provoke(&relay, "control", &absurd)?;
            provoke(&relay, "live", &[0xff; 64])?;
        }
        relay.stop()?;
        let log = relay.log();
        let complaints: Vec<_> = log
            .lines()
            .filter(|line| line.starts_with("Error: ") || line.starts_with("Warning: "))
            .collect();
        // A slow test may have seen more than one minute.
        ensure!(complaints.len() < FLOOD / 2, "{}", complaints.len());
        let mut told = 0;
        for line in &complaints {
            let number = line.strip_prefix("Warning: ").and_then(|rest| {
                let (number, what) = rest.split_once(' ')?;
                what.starts_with("messages like this one were left out: ")
                    .then(|| number.parse::<usize>())
            });
            if let Some(number) = number {
                told += number?;
            }
        }
        let written = complaints.len();
        ensure!(
            told + written >= 2 * FLOOD && told > FLOOD && written > QUOTA,
            "{written} written, {told} left out\n{}",
            complaints.join("\n")
        );
        Ok(())
    });
}

/// All ports, and the live port while viewers come and go.
#[test]
fn connections_that_say_a_byte_now_and_then() {
    isolated(here!(), |w| {
        let mut relay = OwnRelay::start(w, "a", &[], &[])?;
        let ports = ["control", "data", "live"];
        for port in ports {
            drop(connect(&relay, port)?);
        }
        Viewer::new(relay.port("live")?)?.sessions()?;
        let before = memory(&relay, "VmRSS")?;
        let mut held = Vec::new();
        for number in 0..600_usize {
            let mut socket = connect(&relay, ports[number % 3])?;
            socket.write_all(&[0])?;
            held.push(socket);
        }
        for _ in 0..10 {
            for socket in &mut held {
                // Some headers are not what they should be when they are complete.
                let _ = socket.write_all(&[0]);
            }
            let mut viewer = Viewer::new(relay.port("live")?)?;
            ensure!(viewer.sessions()?.is_empty());
        }
        let more = memory(&relay, "VmHWM")?.saturating_sub(before);
        // Two hundred of them are viewers, with a thread each.
        ensure!(more < 24 * MIB, "{} KiB more than before", more / 1024);
        drop(held);
        relay.stop()
    });
}

/// From an address that can be taken away.
fn connect_from(address: [u8; 4], relay: &OwnRelay, port: &str) -> Result<OwnedFd> {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&socket, &SocketAddr::from((address, 0)))?;
    let to: SocketAddr = ([127, 0, 0, 1], relay.port(port)?).into();
    connect(&socket, &to)?;
    Ok(socket)
}

/// Nothing comes from a peer any more, not even its end, and nothing reaches it.
#[test]
fn peers_that_vanish_are_noticed() {
    isolated(here!(), |w| {
        let mut relay = OwnRelay::start(
            w,
            "a",
            &[
                "--tcp-keep-alive=yes",
                "--tcp-keep-alive-idle-time=1",
                "--tcp-keep-alive-probe-interval=1",
                "--tcp-keep-alive-max-probe-count=2",
            ],
            &[],
        )?;
        let open = || -> Result<usize> {
            let descriptors = fs::read_dir(format!("/proc/{}/fd", relay.pid()))?;
            let sockets = descriptors.filter_map(|entry| {
                let target = fs::read_link(entry.ok()?.path()).ok()?;
                target.to_str()?.starts_with("socket:").then_some(())
            });
            Ok(sockets.count())
        };
        // It serves when it answers: then it has all its own sockets.
        let mut viewer = Viewer::new(relay.port("live")?)?;
        viewer.sessions()?;
        let before = open()?;
        let mut held = Vec::new();
        for _ in 0..20 {
            held.push(connect_from([127, 0, 0, 2], &relay, "control")?);
            held.push(connect_from([127, 0, 0, 2], &relay, "data")?);
        }
        let stays = connect(&relay, "control")?;
        eventually("all are accepted", || {
            Ok((open()? == before + 41).then_some(()))
        })?;
        run(Command::new("ip").args("route replace table local blackhole 127.0.0.2".split(' ')))?
            .ok()?;
        eventually(
            "they are gone",
            || Ok((open()? == before + 1).then_some(())),
        )?;
        drop((held, stays, viewer));
        relay.stop()
    });
}
