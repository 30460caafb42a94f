//! Two sessions never write into each other's directory, whatever their targets and directories are called.

#[expect(dead_code, reason = "other tests use the rest")]
mod raw_peer;

use std::fs;

use anyhow::{Result, bail, ensure};
use raw_peer::{RawPeer, stored};
use relay::{ChunkId, CreateSession, Minor, Reply, Request, ReturnCode, SessionKey, TraceFormat};
use system_tests::Toolchain::Ours;
use system_tests::{Relay, eventually, here, isolated};

const TREE: &str = "ust/uid/0/64-bit";

/// A session of the target with this number; all targets are called `host`.
struct Target<'a> {
    relay: &'a Relay,
    number: u8,
    base_path: &'static str,
    snapshot: bool,
}

impl Target<'_> {
    /// Creates it, and says where it is.
    fn create(&self, session: u64, chunk_name: Option<&str>) -> Result<(RawPeer, String)> {
        let mut peer = RawPeer::connect(self.relay, Minor(13))?;
        let reply = peer.ask(&Request::CreateSession(CreateSession {
            session_name: "s",
            hostname: "host",
            live_timer_us: 0,
            snapshot: self.snapshot,
            base_path: self.base_path,
            name_has_creation_time: false,
            key: SessionKey {
                sessiond_uuid: [self.number; 16],
                sessiond_session_id: session,
            },
            creation_unix_s: 1_700_000_000,
            current_chunk: None,
            trace_format: TraceFormat::CTF_1_8,
        }))?;
        let Reply::Session {
            code: ReturnCode::OK,
            output_path: Some(path),
            ..
        } = reply
        else {
            bail!("{reply:?}")
        };
        peer.ok(&Request::CreateTraceChunk {
            chunk: ChunkId(0),
            created_unix_s: 1_700_000_000,
            override_name: chunk_name,
        })?;
        Ok((peer, path))
    }
}

fn one_packet(peer: &mut RawPeer, number: u64) -> Result<()> {
    let stream = peer.add_stream(TREE, "c_0")?;
    peer.packet(stream, number)?;
    peer.index(stream, number)?;
    peer.wait_received(stream, number)
}

#[test]
fn two_targets_of_one_name_and_one_directory() {
    isolated(here!(), |w| {
        let relay = w.relay(Ours)?;
        let target = |number| Target {
            relay: &relay,
            number,
            base_path: "my/dir",
            snapshot: false,
        };
        let (mut first, path) = target(1).create(0, None)?;
        ensure!(path == "host/my/dir", "{path}");
        // At the same time, even before there is anything.
        let (mut second, other) = target(2).create(0, None)?;
        ensure!(other == "host/my/dir-1", "{other}");
        one_packet(&mut first, 1)?;
        one_packet(&mut second, 2)?;
        // Another consumer daemon of the first.
        let (third, same) = target(1).create(0, None)?;
        ensure!(same == path, "{same}");
        drop((first, second, third));
        // Afterwards: what is there stays as it is.
        let (mut later, fresh) = target(1).create(1, None)?;
        ensure!(fresh == "host/my/dir-2", "{fresh}");
        one_packet(&mut later, 3)?;
        for (path, number) in [(path, 1), (other, 2), (fresh, 3)] {
            let file = relay.output().join(path).join(TREE).join("c_0");
            ensure!(fs::read(file)? == stored(number));
        }
        relay.daemon().assert_no_complaints()
    });
}

#[test]
fn a_directory_that_is_empty_or_gone_can_be_used_again() {
    isolated(here!(), |w| {
        let relay = w.relay(Ours)?;
        let target = |number| Target {
            relay: &relay,
            number,
            base_path: "dir",
            snapshot: false,
        };
        fs::create_dir_all(relay.output().join("host/dir"))?;
        let (mut peer, path) = target(1).create(0, None)?;
        ensure!(path == "host/dir", "{path}");
        one_packet(&mut peer, 1)?;
        drop(peer);
        let mut session = 0;
        let mut free = || -> Result<bool> {
            session += 1;
            let (mut peer, path) = target(2).create(session, None)?;
            one_packet(&mut peer, 2)?;
            Ok(path == "host/dir")
        };
        ensure!(!free()?, "a trace was lost");
        fs::remove_dir_all(relay.output().join("host/dir"))?;
        // Until the relay daemon has noticed that the first connection is gone.
        eventually("the directory is free", || Ok(free()?.then_some(())))?;
        let (_peer, path) = target(1).create(0, None)?;
        ensure!(path != "host/dir", "taken back");
        Ok(())
    });
}

#[test]
fn snapshots_come_back_to_their_directory_and_to_no_other() {
    isolated(here!(), |w| {
        let relay = w.relay(Ours)?;
        for base_path in ["", "snap"] {
            let target = |number| Target {
                relay: &relay,
                number,
                base_path,
                snapshot: true,
            };
            let (peer, first) = target(1).create(0, Some("one"))?;
            drop(peer);
            let (peer, other) = target(2).create(0, Some("one"))?;
            drop(peer);
            let (_peer, again) = target(1).create(0, Some("two"))?;
            ensure!(
                again == first && other == format!("{first}-1"),
                "{first} {other} {again}"
            );
        }
        Ok(())
    });
}
