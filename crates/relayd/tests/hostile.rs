//! Peers that mean harm, all at one daemon: it stays, stays small, and a bystander notices nothing.

mod own_relay;
#[expect(dead_code, reason = "other tests use the rest")]
mod raw_peer;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use own_relay::OwnRelay;
use raw_peer::{RawPeer, index, wait_closed};
use relay::{Minor, NO_PACKET, Request, StreamHandle};
use system_tests::{World, eventually, here, isolated};

const TREE: &str = "ust/uid/0/64-bit";
const MIB: u64 = 1 << 20;

fn memory(relay: &OwnRelay, what: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", relay.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    let kib = line.context("no such line")?.trim_start_matches(':').trim();
    Ok(kib.trim_end_matches(" kB").parse::<u64>()? * 1024)
}

fn session(relay: &OwnRelay, name: &str) -> Result<RawPeer> {
    let (control, data) = (relay.port("control")?, relay.port("data")?);
    let mut peer = RawPeer::connect_to(control, data, Minor(13))?;
    peer.create_session(name, "")?;
    peer.create_chunk(0)?;
    Ok(peer)
}

/// A session that works all the time, and the memory that the daemon has before anything bad.
struct Bystander {
    peer: RawPeer,
    stream: StreamHandle,
    next: u64,
    before: u64,
}

impl Bystander {
    fn new(relay: &OwnRelay) -> Result<Self> {
        let mut peer = session(relay, "bystander")?;
        let stream = peer.add_stream(TREE, "c_0")?;
        let mut bystander = Self {
            peer,
            stream,
            next: 0,
            before: 0,
        };
        for _ in 0..100 {
            bystander.works()?;
        }
        bystander.before = memory(relay, "VmRSS")?;
        Ok(bystander)
    }

    fn works(&mut self) -> Result<()> {
        self.peer.packet(self.stream, self.next)?;
        self.peer.index(self.stream, self.next)?;
        self.peer.wait_received(self.stream, self.next)?;
        self.next += 1;
        Ok(())
    }

    /// It works still, and the daemon has never been much larger than before.
    fn survives(&mut self, relay: &OwnRelay, most: u64) -> Result<()> {
        self.works().context("the bystander")?;
        let peak = memory(relay, "VmHWM")?;
        let more = peak.saturating_sub(self.before);
        ensure!(more < most, "{} KiB more than before", more / 1024);
        Ok(())
    }
}

fn with_bystander(
    w: &World,
    options: &[&str],
    most: u64,
    attack: impl FnOnce(&OwnRelay, &mut Bystander) -> Result<()>,
) -> Result<()> {
    let mut relay = OwnRelay::start(w, "a", options, &[])?;
    let mut bystander = Bystander::new(&relay)?;
    attack(&relay, &mut bystander).with_context(|| relay.log())?;
    bystander.survives(&relay, most)?;
    relay.stop()
}

fn connect(relay: &OwnRelay, port: &str) -> Result<TcpStream> {
    let socket = TcpStream::connect(("127.0.0.1", relay.port(port)?))?;
    socket.set_read_timeout(Some(Duration::from_secs(60)))?;
    socket.set_write_timeout(Some(Duration::from_secs(60)))?;
    Ok(socket)
}

fn header(command: u32, len: u64) -> Vec<u8> {
    let mut bytes = vec![0; 8];
    bytes.extend_from_slice(&len.to_be_bytes());
    bytes.extend_from_slice(&command.to_be_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes
}

#[test]
fn connections_that_say_nothing_or_a_little() {
    isolated(here!(), |w| {
        with_bystander(w, &[], 8 * MIB, |relay, bystander| {
            let mut held = Vec::new();
            for nr in 0..400_usize {
                let mut socket = connect(relay, ["control", "data"][nr % 2])?;
                // From nothing to a header that lacks one byte.
                socket.write_all(&vec![0; nr % 24])?;
                held.push(socket);
            }
            bystander.works()?;
            // One byte after the other, of a message that will never be complete.
            for socket in held.iter_mut().step_by(40) {
                let _ = socket.write_all(&[0]);
                bystander.works()?;
            }
            Ok(())
        })
    });
}

/// More of them than the daemon has room for: targets that were there stay, targets that come get in.
#[test]
fn connections_that_take_all_the_room() {
    isolated(here!(), |w| {
        with_bystander(w, &["--fd-pool-size=200"], 8 * MIB, |relay, bystander| {
            // A target that has not sent anything yet.
            let mut quiet = session(relay, "quiet")?;
            let stream = quiet.add_stream(TREE, "c_0")?;
            let mut held = Vec::new();
            for nr in 0..300_usize {
                held.push(connect_from(
                    "127.0.0.2",
                    relay,
                    ["control", "data"][nr % 2],
                )?);
            }
            bystander.works()?;
            let mut late = session(relay, "late")?;
            let late_stream = late.add_stream(TREE, "c_0")?;
            for (peer, stream) in [(&mut late, late_stream), (&mut quiet, stream)] {
                peer.packet(stream, 0)?;
                peer.index(stream, 0)?;
                peer.wait_received(stream, 0)?;
            }
            Ok(())
        })
    });
}

/// Connects from this address of the machine.
fn connect_from(address: &str, relay: &OwnRelay, port: &str) -> Result<OwnedFd> {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let address: std::net::IpAddr = address.parse()?;
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&socket, &SocketAddr::new(address, 0))?;
    let to: SocketAddr = ([127, 0, 0, 1], relay.port(port)?).into();
    connect(&socket, &to)?;
    Ok(socket)
}

#[test]
fn connections_that_come_and_go() {
    isolated(here!(), |w| {
        with_bystander(w, &[], 8 * MIB, |relay, bystander| {
            let open = || -> Result<usize> {
                Ok(fs::read_dir(format!("/proc/{}/fd", relay.pid()))?.count())
            };
            let before = open()?;
            for nr in 0..2000_u32 {
                let socket = connect(relay, ["control", "data"][nr as usize % 2])?;
                if nr % 3 == 0 {
                    socket.shutdown(Shutdown::Write)?;
                }
            }
            for nr in 0..100 {
                drop(session(relay, &format!("short_{nr}"))?);
                bystander.works()?;
            }
            // A worker that was stuck has another thread with a pipe for a while.
            eventually("sockets are closed", || {
                Ok((open()? < before + 20).then_some(()))
            })
            .with_context(|| format!("{:?} descriptors, {before} before", open()))
        })
    });
}

#[test]
fn absurd_lengths() {
    isolated(here!(), |w| {
        with_bystander(w, &[], 8 * MIB, |relay, bystander| {
            for len in [1 << 27, 1 << 32, 1 << 40, u64::MAX] {
                for command in (0..24).chain([u32::MAX]) {
                    let mut peer = session(relay, &format!("absurd_{command}_{len:x}"))?;
                    peer.control.write_all(&header(command, len))?;
                    wait_closed(&mut peer.control)?;
                }
                bystander.works()?;
            }
            // As long as allowed, of which next to nothing comes: only that is kept.
            // Neither does a packet of 4 GiB.
            let mut held = Vec::new();
            for nr in 0..50 {
                let mut peer = session(relay, &format!("long_{nr}"))?;
                let stream = peer.add_stream(TREE, "c_0")?;
                peer.control.write_all(&header(6, 16 << 20))?;
                peer.control.write_all(&[0; 1000])?;
                let packet = relay::DataPacket {
                    stream,
                    net_seq_num: u64::MAX,
                    data_size: u32::MAX,
                    padding_size: u32::MAX,
                };
                peer.data.write_all(&packet.encode())?;
                held.push(peer);
            }
            Ok(())
        })
    });
}

#[test]
fn packets_of_streams_that_are_not() {
    isolated(here!(), |w| {
        with_bystander(w, &[], 8 * MIB, |relay, bystander| {
            let mut peer = session(relay, "closed")?;
            let closed = peer.add_stream(TREE, "c_0")?;
            peer.ok(&Request::CloseStream {
                stream: closed,
                last_net_seq_num: NO_PACKET,
            })?;
            let metadata = peer.add_stream(TREE, "metadata")?;
            for stream in [
                closed,
                metadata,
                StreamHandle(0),
                StreamHandle(999),
                StreamHandle(u64::MAX),
            ] {
                for _ in 0..20 {
                    let mut data = connect(relay, "data")?;
                    let sent = data.write_all(&RawPeer::header(stream, 0));
                    let _ = sent.and_then(|()| data.write_all(&raw_peer::payload(0)));
                    wait_closed(&mut data)?;
                }
                bystander.works()?;
            }
            Ok(())
        })
    });
}

/// Packets for the streams of others: nothing happens to those.
#[test]
fn streams_of_others() {
    isolated(here!(), |w| {
        with_bystander(w, &[], 8 * MIB, |relay, bystander| {
            let stream = bystander.stream;
            let mut quiet = session(relay, "quiet")?;
            let unused = quiet.add_stream(TREE, "c_0")?;
            let sent = |from: &str, stream: StreamHandle| -> Result<()> {
                let port = relay.port("data")?;
                let mut command = std::process::Command::new("/usr/bin/python3");
                command.args([
                    "-c",
                    SEND_FROM,
                    from,
                    &port.to_string(),
                    &stream.0.to_string(),
                ]);
                system_tests::run(&mut command)?.ok()?.shows("closed")?;
                Ok(())
            };
            // From the same host: another connection carries it already.
            sent("127.0.0.1", stream)?;
            // From another host, before the first packet.
            sent("127.0.0.9", unused)?;
            bystander.works()?;
            quiet.packet(unused, 0)?;
            quiet.index(unused, 0)?;
            quiet.wait_received(unused, 0)?;
            ensure!(
                relay.log().contains("--data-from-anywhere"),
                "{}",
                relay.log()
            );
            Ok(())
        })
    });
}

/// Sends the header of a packet from an address of this machine, and waits for the end.
const SEND_FROM: &str = r#"
import socket, struct, sys
s = socket.socket()
s.bind((sys.argv[1], 0))
s.connect(("127.0.0.1", int(sys.argv[2])))
s.sendall(struct.pack(">QQQII", 0, int(sys.argv[3]), 1 << 60, 10, 0))
try:
    print("closed" if not s.recv(1) else "bytes")
except ConnectionResetError:
    print("closed")
"#;

/// Halves that never meet: the session that does it is ended, and what was kept for it is freed.
#[test]
fn indexes_without_end_and_without_packets() {
    isolated(here!(), |w| {
        with_bystander(w, &[], 16 * MIB, |relay, bystander| {
            for nr in 0..10 {
                let mut peer = session(relay, &format!("greedy_{nr}"))?;
                let stream = peer.add_stream(TREE, "c_0")?;
                let mut replies = peer.control.try_clone()?;
                let reader = std::thread::spawn(move || {
                    // Until the daemon has had enough.
                    let mut bytes = [0; 65536];
                    while matches!(replies.read(&mut bytes), Ok(len) if len > 0) {}
                });
                for number in 0..200_000 {
                    peer.client
                        .request(&Request::SendIndex(index(stream, number)))?;
                    if number % 1000 == 999 {
                        let bytes = peer.client.take_output();
                        if peer.control.write_all(&bytes).is_err() {
                            break;
                        }
                    }
                }
                let _ = reader.join();
                bystander.works()?;
            }
            Ok(())
        })
    });
}

#[test]
fn who_does_not_read_replies_is_not_read_from() {
    isolated(here!(), |w| {
        with_bystander(w, &[], 12 * MIB, |relay, bystander| {
            let mut held = Vec::new();
            for _ in 0..2 {
                let mut socket = connect(relay, "control")?;
                socket.set_write_timeout(Some(Duration::from_millis(300)))?;
                let question = [header(22, 8), vec![0; 8]].concat().repeat(1000);
                let mut sent = 0;
                // Far less than what would fill memory.
                while sent < 512 << 20 {
                    match socket.write(&question) {
                        Ok(len) => sent += len,
                        Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                        Err(error) => return Err(error.into()),
                    }
                }
                ensure!(sent < 512 << 20, "all was taken");
                bystander.works()?;
                held.push(socket);
            }
            Ok(())
        })
    });
}

/// Every byte of good messages changed in turn: errors, but no end and no growth.
#[test]
fn messages_with_one_wrong_byte() {
    isolated(here!(), |w| {
        with_bystander(w, &[], 12 * MIB, |relay, bystander| {
            let request = Request::CreateTraceChunk {
                chunk: relay::ChunkId(1),
                created_unix_s: 1_700_000_000,
                override_name: Some("name"),
            };
            let good = request.encode(Minor(13))?;
            for at in 0..good.len() {
                let mut bad = good.clone();
                bad[at] ^= 0xff;
                let mut peer = session(relay, &format!("wrong_{at}"))?;
                peer.control.write_all(&bad)?;
                peer.control.shutdown(Shutdown::Write)?;
                wait_closed(&mut peer.control)?;
            }
            bystander.works()
        })
    });
}
