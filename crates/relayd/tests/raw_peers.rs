//! What no stock peer does, or not when a test wants it: order, accidents, old versions, hostility.

mod raw_peer;

use std::borrow::Cow;
use std::fs;
use std::io::Write;
use std::net::Shutdown;
use std::process::Command;

use anyhow::{Result, ensure};
use raw_peer::{DATA_SIZE, PACKET_SIZE, RawPeer, at_once, index, stored, wait_closed};
use relay::{
    ChunkId, CloseCommand, Minor, NO_PACKET, Pending, Reply, Request, ReturnCode, StreamHandle,
    StreamPosition,
};
use system_tests::Toolchain::Ours;
use system_tests::{Relay, eventually, here, isolated};

const TREE: &str = "ust/uid/0/64-bit";

fn read(relay: &Relay, session: &str, file: &str) -> Result<Vec<u8>> {
    Ok(fs::read(
        relay
            .output()
            .join("raw")
            .join(session)
            .join(TREE)
            .join(file),
    )?)
}

/// Offsets in an index file.
fn offsets(index: &[u8]) -> Vec<u64> {
    let record = |record: &[u8]| {
        record
            .first_chunk()
            .map(|offset| u64::from_be_bytes(*offset))
    };
    index[16..].chunks(72).filter_map(record).collect()
}

#[test]
fn indexes_before_data_and_many_at_once() {
    isolated(here!(), |w| {
        let relay = w.relay(Ours)?;
        let mut peer = RawPeer::session(&relay, "s")?;
        let stream = peer.add_stream(TREE, "c_0")?;
        for nr in 0..50 {
            peer.client
                .request(&Request::SendIndex(index(stream, nr)))?;
        }
        let all = peer.client.take_output();
        peer.control.write_all(&all)?;
        for _ in 0..50 {
            ensure!(peer.reply()? == Reply::Code(ReturnCode::OK));
        }
        let pending = Request::DataPending {
            stream,
            last_net_seq_num: 49,
        };
        ensure!(peer.ask(&pending)? == Reply::Pending(Pending::Yes));
        for nr in 0..50 {
            peer.packet(stream, nr)?;
        }
        peer.wait_received(stream, 49)?;
        let expected: Vec<_> = (0..50).flat_map(stored).collect();
        ensure!(read(&relay, "s", "c_0")? == expected, "other bytes");
        let index = read(&relay, "s", "index/c_0.idx")?;
        ensure!(offsets(&index) == (0..50).map(|nr| nr * PACKET_SIZE).collect::<Vec<_>>());
        relay.daemon().assert_no_complaints()
    });
}

/// Two packets of a stream, the second of which is read where the session's control connection is served.
fn begun(relay: &Relay) -> Result<(RawPeer, StreamHandle)> {
    let mut peer = RawPeer::session(relay, "s")?;
    let stream = peer.add_stream(TREE, "c_0")?;
    for nr in 0..2 {
        peer.packet(stream, nr)?;
        peer.index(stream, nr)?;
        peer.wait_received(stream, nr)?;
    }
    Ok((peer, stream))
}

#[test]
fn data_that_are_there_are_not_pending() {
    isolated(here!(), |w| {
        let relay = w.relay(Ours)?;
        let (mut peer, stream) = begun(&relay)?;
        for nr in 2..20 {
            peer.client
                .request(&Request::SendIndex(index(stream, nr)))?;
            peer.client.request(&Request::DataPending {
                stream,
                last_net_seq_num: nr,
            })?;
            let both = peer.client.take_output();
            at_once(&relay, || {
                // The question becomes readable before the data do.
                peer.control.write_all(&both)?;
                peer.packet(stream, nr)
            })?;
            ensure!(peer.reply()? == Reply::Code(ReturnCode::OK));
            ensure!(peer.reply()? == Reply::Pending(Pending::No), "packet {nr}");
        }
        Ok(())
    });
}

#[test]
fn data_from_before_the_end_are_stored() {
    isolated(here!(), |w| {
        let relay = w.relay(Ours)?;
        let (mut peer, stream) = begun(&relay)?;
        at_once(&relay, || {
            peer.control.shutdown(Shutdown::Write)?;
            peer.packet(stream, 2)
        })?;
        wait_closed(&mut peer.control)?;
        let expected: Vec<_> = (0..3).flat_map(stored).collect();
        ensure!(read(&relay, "s", "c_0")? == expected, "other bytes");
        relay.daemon().assert_no_complaints()
    });
}

#[test]
fn half_a_packet_is_cut_off_and_the_stream_goes_on() {
    isolated(here!(), |w| {
        let relay = w.relay(Ours)?;
        let mut peer = RawPeer::session(&relay, "s")?;
        let stream = peer.add_stream(TREE, "c_0")?;
        peer.packet(stream, 0)?;
        peer.index(stream, 0)?;
        let half = [&RawPeer::header(stream, 1)[..], &[9; 1000]].concat();
        peer.data.write_all(&half)?;
        peer.data.shutdown(Shutdown::Write)?;
        wait_closed(&mut peer.data)?;
        eventually("the half packet is gone", || {
            Ok((read(&relay, "s", "c_0")?.len() as u64 == PACKET_SIZE).then_some(()))
        })?;
        // A new data connection takes over.
        peer.data = RawPeer::connect(&relay, Minor::NEWEST)?.data;
        peer.packet(stream, 1)?;
        peer.index(stream, 1)?;
        peer.wait_received(stream, 1)?;
        ensure!(read(&relay, "s", "c_0")? == [stored(0), stored(1)].concat());
        Ok(())
    });
}

#[test]
fn data_that_ran_ahead_of_a_rotation_move_to_the_new_chunk() {
    isolated(here!(), |w| {
        let relay = w.relay(Ours)?;
        let mut peer = RawPeer::session(&relay, "s")?;
        let stream = peer.add_stream(TREE, "c_0")?;
        for nr in 0..4 {
            peer.packet(stream, nr)?;
        }
        peer.index(stream, 0)?;
        peer.create_chunk(1)?;
        let positions = [StreamPosition {
            stream,
            rotate_at_seq_num: 2,
        }];
        peer.ok(&Request::RotateStreams {
            to: Some(ChunkId(1)),
            positions: Cow::Borrowed(&positions),
        })?;
        peer.ok(&Request::CloseTraceChunk {
            chunk: ChunkId(0),
            closed_unix_s: 1_700_000_200,
            command: Some(CloseCommand::MOVE_TO_COMPLETED),
        })?;
        let exists = Request::TraceChunkExists { chunk: ChunkId(0) };
        let still = Reply::ChunkExists {
            code: ReturnCode::OK,
            exists: true,
        };
        ensure!(peer.ask(&exists)? == still, "the stream has not left it");
        for nr in 1..4 {
            peer.index(stream, nr)?;
        }
        peer.wait_received(stream, 3)?;
        let gone = Reply::ChunkExists {
            code: ReturnCode::OK,
            exists: false,
        };
        ensure!(peer.ask(&exists)? == gone);
        let session = relay.output().join("raw/s");
        let old = session
            .join("archives/20231114T221320+0000-20231114T221640+0000-0")
            .join(TREE);
        ensure!(fs::read(old.join("c_0"))? == [stored(0), stored(1)].concat());
        ensure!(offsets(&fs::read(old.join("index/c_0.idx"))?) == [0, PACKET_SIZE]);
        let new = session.join("20231114T221321+0000-1").join(TREE);
        ensure!(fs::read(new.join("c_0"))? == [stored(2), stored(3)].concat());
        ensure!(offsets(&fs::read(new.join("index/c_0.idx"))?) == [0, PACKET_SIZE]);
        relay.daemon().assert_no_complaints()
    });
}

#[test]
fn packets_after_close_and_after_the_control_connection() {
    isolated(here!(), |w| {
        let relay = w.relay(Ours)?;
        let mut peer = RawPeer::session(&relay, "s")?;
        let closed = peer.add_stream(TREE, "c_0")?;
        let announced = peer.add_stream(TREE, "c_1")?;
        peer.index(closed, 0)?;
        peer.ok(&Request::CloseStream {
            stream: closed,
            last_net_seq_num: 0,
        })?;
        peer.index(announced, 0)?;
        let RawPeer {
            control, mut data, ..
        } = peer;
        control.shutdown(Shutdown::Write)?;
        drop(control);
        for stream in [closed, announced] {
            data.write_all(&RawPeer::header(stream, 0))?;
            data.write_all(&raw_peer::payload(0))?;
        }
        for file in ["index/c_0.idx", "index/c_1.idx"] {
            eventually("the packet is indexed", || {
                Ok(read(&relay, "s", file)
                    .ok()
                    .filter(|index| offsets(index) == [0])
                    .map(drop))
            })?;
        }
        // Both are closed now: more is an error.
        data.write_all(&RawPeer::header(announced, 1))?;
        wait_closed(&mut data)
    });
}

#[test]
fn a_full_disk_ends_the_sessions_that_write_and_no_other() {
    isolated(here!(), |w| {
        let disk = w.small_disk("small", 256)?;
        let relay = w.relay_into(Ours, &disk)?;
        let mut quiet = RawPeer::session(&relay, "quiet")?;
        let quiet_stream = quiet.add_stream(TREE, "c_0")?;
        let mut greedy = RawPeer::session(&relay, "greedy")?;
        let stream = greedy.add_stream(TREE, "c_0")?;
        for nr in 0..1000 {
            if greedy.packet(stream, nr).is_err() {
                break;
            }
        }
        wait_closed(&mut greedy.control)?;
        // Closed once the half packet is cut off.
        wait_closed(&mut greedy.data)?;
        let log = relay.daemon().log();
        ensure!(
            log.contains("No space left on device") && log.contains("c_0"),
            "{log}"
        );
        // All complete packets are there, nothing half.
        let size = read(&relay, "greedy", "c_0")?.len() as u64;
        ensure!(size > 0 && size.is_multiple_of(PACKET_SIZE), "{size}");
        fs::remove_dir_all(disk.join("raw/greedy"))?;
        quiet.packet(quiet_stream, 0)?;
        quiet.index(quiet_stream, 0)?;
        quiet.wait_received(quiet_stream, 0)
    });
}

#[test]
fn old_peers() {
    isolated(here!(), |w| {
        let relay = w.relay(Ours)?;
        for (minor, record_len) in [(4, 56), (7, 56), (8, 72), (10, 72)] {
            let mut peer = RawPeer::connect(&relay, Minor(minor))?;
            peer.create_session("old", "")?;
            let directory = format!("raw/old-{minor}");
            let path = format!("/{directory}//{TREE}");
            let stream = peer.add_stream(&path, "c_0")?;
            let metadata = peer.add_stream(&path, "metadata")?;
            peer.ok(&Request::StreamsSent)?;
            let bytes = b"/* CTF 1.8 */";
            peer.client.request(&Request::SendMetadata {
                stream: metadata,
                padding_size: 3,
                bytes,
            })?;
            peer.packet(stream, 0)?;
            peer.index(stream, 0)?;
            peer.wait_received(stream, 0)?;
            peer.ok(&Request::CloseStream {
                stream,
                last_net_seq_num: 0,
            })?;
            peer.ok(&Request::CloseStream {
                stream: metadata,
                last_net_seq_num: NO_PACKET,
            })?;
            let tree = relay.output().join(&directory).join(TREE);
            ensure!(fs::read(tree.join("c_0"))? == stored(0));
            ensure!(fs::read(tree.join("metadata"))? == b"/* CTF 1.8 */\0\0\0");
            let index = fs::read(tree.join("index/c_0.idx"))?;
            ensure!(
                index.len() == 16 + record_len,
                "2.{minor}: {} bytes",
                index.len()
            );
        }
        relay.daemon().assert_no_complaints()
    });
}

#[test]
fn names_cannot_leave_the_output_directory() {
    isolated(here!(), |w| {
        let relay = w.relay(Ours)?;
        let mut peer = RawPeer::connect(&relay, Minor::NEWEST)?;
        for (name, base) in [
            (".s", ""),
            ("a/b", ""),
            ("..", ""),
            ("s", "../x"),
            ("s", "a/../.."),
        ] {
            ensure!(peer.create_session(name, base).is_err(), "{name} {base}");
        }
        // A refused session is no end: the peer may try again.
        peer.create_session("s", "")?;
        let early = peer.add_stream(TREE, "c_0");
        ensure!(early.is_err(), "no trace chunk yet");
        peer.create_chunk(0)?;
        for (path, name) in [
            ("../../etc", "c"),
            ("a/../../../b", "c"),
            ("", "c"),
            (TREE, "../c"),
            (TREE, "a/b"),
            (TREE, ""),
            (TREE, ".hidden"),
            ("archives/x", "c"),
            (".tmp_old_chunk", "c"),
            ("a\nb", "c"),
        ] {
            ensure!(peer.add_stream(path, name).is_err(), "{path} {name}");
        }
        peer.add_stream("/an/absolute/path", "c_0")?;
        let everything = system_tests::run(std::process::Command::new("find").arg(relay.output()))?;
        let files = everything
            .stdout
            .lines()
            .filter(|line| line.ends_with("/c_0"))
            .count();
        ensure!(files == 1, "{}", everything.stdout);
        ensure!(fs::exists(
            relay.output().join("raw/s/an/absolute/path/c_0")
        )?);
        Ok(())
    });
}

#[test]
fn mistakes_end_the_connection_that_made_them() {
    isolated(here!(), |w| {
        let relay = w.relay(Ours)?;
        let mut bystander = RawPeer::session(&relay, "bystander")?;
        let stream = bystander.add_stream(TREE, "c_0")?;

        let mut peer = RawPeer::session(&relay, "a")?;
        let unknown = StreamHandle(999_999);
        let reply = peer.ask(&Request::SendIndex(index(unknown, 0)))?;
        ensure!(reply == Reply::Code(ReturnCode::UNKNOWN), "{reply:?}");
        wait_closed(&mut peer.control)?;

        // Other sessions' streams are unknown too.
        let mut peer = RawPeer::session(&relay, "b")?;
        let reply = peer.ask(&Request::CloseStream {
            stream,
            last_net_seq_num: NO_PACKET,
        })?;
        ensure!(reply == Reply::Code(ReturnCode::UNKNOWN), "{reply:?}");
        wait_closed(&mut peer.control)?;

        let mut peer = RawPeer::session(&relay, "c")?;
        peer.packet(unknown, 0)?;
        wait_closed(&mut peer.data)?;

        let mut peer = RawPeer::session(&relay, "d")?;
        ensure!(peer.create_session("d", "").is_err());
        wait_closed(&mut peer.control)?;

        bystander.packet(stream, 0)?;
        bystander.index(stream, 0)?;
        bystander.wait_received(stream, 0)
    });
}

#[test]
fn stopping_keeps_complete_packets_and_cuts_half_ones() {
    isolated(here!(), |w| {
        let relay = w.relay(Ours)?;
        let mut peer = RawPeer::session(&relay, "s")?;
        let stream = peer.add_stream(TREE, "c_0")?;
        for nr in 0..3 {
            peer.packet(stream, nr)?;
            peer.index(stream, nr)?;
        }
        peer.data.write_all(&RawPeer::header(stream, 3))?;
        peer.data.write_all(&vec![1; DATA_SIZE as usize - 1])?;
        peer.wait_received(stream, 2)?;
        relay.daemon().terminate()?;
        ensure!(read(&relay, "s", "c_0")? == [stored(0), stored(1), stored(2)].concat());
        let index = read(&relay, "s", "index/c_0.idx")?;
        ensure!(offsets(&index) == [0, PACKET_SIZE, 2 * PACKET_SIZE]);
        Ok(())
    });
}

/// Many more files than descriptors: they are given up and taken back, in all that can happen to them.
#[test]
fn a_small_pool_of_descriptors_is_enough() {
    const STREAMS: u64 = 300;
    const POOL: usize = 200;
    isolated(here!(), |w| {
        let (ports, output) = (w.path("ports"), w.path("out"));
        let mut daemon = Command::new(env!("CARGO_BIN_EXE_lttng-relayd"))
            .args(["-C", "tcp://127.0.0.1:0", "-D", "tcp://127.0.0.1:0"])
            .arg(format!("--fd-pool-size={POOL}"))
            .arg("--output")
            .arg(&output)
            .arg("--port-file")
            .arg(&ports)
            .spawn()?;
        let text = eventually("the ports", || Ok(fs::read_to_string(&ports).ok()))?;
        let ports: Vec<u16> = text
            .lines()
            .filter_map(|line| line.split_once('=')?.1.parse().ok())
            .collect();
        let mut peer = RawPeer::connect_to(ports[0], ports[1], Minor::NEWEST)?;
        peer.create_session("s", "")?;
        peer.create_chunk(0)?;
        let mut streams = Vec::new();
        for nr in 0..STREAMS {
            streams.push(peer.add_stream(TREE, &format!("c_{nr}"))?);
        }
        let round = |peer: &mut RawPeer, nr: u64| -> Result<()> {
            for stream in &streams {
                peer.packet(*stream, nr)?;
                peer.index(*stream, nr)?;
            }
            streams
                .iter()
                .try_for_each(|stream| peer.wait_received(*stream, nr))
        };
        round(&mut peer, 0)?;
        round(&mut peer, 1)?;
        let open = fs::read_dir(format!("/proc/{}/fd", daemon.id()))?.count();
        ensure!(open < POOL, "{open} descriptors");
        peer.create_chunk(1)?;
        let at = |stream: &StreamHandle| StreamPosition {
            stream: *stream,
            rotate_at_seq_num: 2,
        };
        let positions: Vec<_> = streams.iter().map(at).collect();
        let to = Some(ChunkId(1));
        peer.ok(&Request::RotateStreams {
            to,
            positions: Cow::Owned(positions),
        })?;
        peer.ok(&Request::CloseTraceChunk {
            chunk: ChunkId(0),
            closed_unix_s: 1_700_000_009,
            command: Some(CloseCommand::MOVE_TO_COMPLETED),
        })?;
        round(&mut peer, 2)?;
        let session = output.join("raw/s");
        for (chunk, packets) in [
            (
                "archives/20231114T221320+0000-20231114T221329+0000-0",
                &[0, 1][..],
            ),
            ("20231114T221321+0000-1", &[2]),
        ] {
            let tree = session.join(chunk).join(TREE);
            let expected: Vec<u8> = packets.iter().flat_map(|nr| stored(*nr)).collect();
            for nr in 0..STREAMS {
                ensure!(
                    fs::read(tree.join(format!("c_{nr}")))? == expected,
                    "{chunk} c_{nr}"
                );
                let index = fs::read(tree.join(format!("index/c_{nr}.idx")))?;
                ensure!(
                    offsets(&index).len() == packets.len(),
                    "{chunk} index of c_{nr}"
                );
            }
        }
        daemon.kill()?;
        daemon.wait()?;
        Ok(())
    });
}
