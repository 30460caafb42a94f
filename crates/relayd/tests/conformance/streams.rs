//! Streams: packets, indexes, metadata, pending data, the end.

use anyhow::Result;
use relay::{NO_PACKET, PacketIndex, RelaySessionId, Request, StreamHandle};
use system_tests::{here, isolated};

use crate::peer::{Peer, TREE, index};
use crate::stage::compare;

const NOBODY: StreamHandle = StreamHandle(999_999);

pub(crate) fn close(
    peer: &mut Peer<'_>,
    stream: StreamHandle,
    last_net_seq_num: u64,
) -> Result<()> {
    let request = Request::CloseStream {
        stream,
        last_net_seq_num,
    };
    peer.ask("close stream", &request).map(drop)
}

pub(crate) fn pending(
    peer: &mut Peer<'_>,
    stream: StreamHandle,
    last_net_seq_num: u64,
) -> Result<()> {
    let request = Request::DataPending {
        stream,
        last_net_seq_num,
    };
    peer.ask("data pending", &request).map(drop)
}

#[test]
fn what_a_stream_goes_through() {
    isolated(here!(), |w| {
        compare(w, &[], |stage| {
            let mut peer = stage.session("plain", 13)?;
            let stream = peer.add_stream(TREE, "c_0")?;
            let metadata = peer.add_stream(TREE, "metadata")?;
            peer.add_stream("ust/uid/1/64-bit", "c_0")?;
            peer.add_stream("/kernel", "never_used_0")?;
            peer.ask("streams sent", &Request::StreamsSent)?;
            peer.ask("none this time", &Request::StreamsSent)?;
            peer.metadata(metadata, b"first ", 10)?;
            peer.metadata(metadata, b"second", 0)?;
            for (nr, size) in [
                (0, (4000, 96)),
                (1, (4096, 0)),
                (2, (1, 4095)),
                (3, (100, 70_000)),
            ] {
                peer.deliver(stream, nr, size)?;
            }
            let beacon = PacketIndex {
                stream: stream.0,
                net_seq_num: 3,
                timestamp_end: 77,
                ..PacketIndex::default()
            };
            peer.ask("beacon", &Request::SendIndex(beacon))?;
            close(&mut peer, metadata, NO_PACKET)?;
            close(&mut peer, stream, 3)?;
            Ok(())
        })
    });
}

#[test]
fn metadata_that_begins_again() {
    isolated(here!(), |w| {
        compare(w, &[], |stage| {
            let mut peer = stage.session("reset", 13)?;
            let metadata = peer.add_stream(TREE, "metadata")?;
            peer.metadata(metadata, b"old old old", 5)?;
            let reset = |stream| Request::ResetMetadata { stream, version: 1 };
            peer.ask("reset", &reset(metadata))?;
            peer.metadata(metadata, b"new", 1)?;
            peer.ask("again", &reset(metadata))?;
            peer.metadata(metadata, b"newest", 0)?;
            let mut peer = stage.session("reset of an unknown stream", 13)?;
            peer.ask("reset", &reset(NOBODY))?;
            let mut peer = stage.peer("reset in a live session", 13)?;
            let live_timer_us = 1_000_000;
            peer.create(&relay::CreateSession {
                live_timer_us,
                ..crate::peer::session("live")
            })?;
            peer.create_chunk(0, None)?;
            let metadata = peer.add_stream(TREE, "metadata")?;
            peer.metadata(metadata, b"metadata", 0)?;
            peer.ask("reset", &reset(metadata))?;
            let mut peer = stage.session("reset of a data stream", 13)?;
            let data = peer.add_stream(TREE, "c_0")?;
            peer.ask("reset", &reset(data))?;
            Ok(())
        })
    });
}

#[test]
fn streams_that_are_refused() {
    isolated(here!(), |w| {
        let long = "c".repeat(263);
        let long_path = "p/".repeat(127);
        let too_long_path = "p/".repeat(130);
        compare(w, &[], |stage| {
            let mut peer = stage.peer("no chunk", 13)?;
            peer.create(&crate::peer::session("no_chunk"))?;
            peer.add_stream(TREE, "c_0")?;
            peer.create_chunk(0, None)?;
            peer.add_stream(TREE, "c_0")?;
            // Stock takes `../x`, and writes beside the session.
            for (path, name) in [("a/../../../x", "c_0"), (TREE, long.as_str())] {
                let mut peer = stage.session(&format!("{} {}", &path[..4], &name[..3]), 13)?;
                let before = peer.add_stream(TREE, "before_0")?;
                peer.add_stream(path, name)?;
                peer.deliver(before, 0, (10, 0))?;
            }
            let mut peer = stage.session("a long path", 13)?;
            peer.add_stream(&long_path, "c_0")?;
            for (scene, channel_len, path_len, names) in [
                (
                    "path too long",
                    2,
                    261,
                    [b"c\0", too_long_path.as_bytes(), b"\0"].concat(),
                ),
                ("no NUL", 1, 2, b"cp\0".to_vec()),
                ("no NUL in the path", 2, 1, b"c\0p".to_vec()),
                ("more than there is", 2, 100, b"c\0p\0".to_vec()),
                ("empty", 0, 0, Vec::new()),
            ] {
                let mut peer = stage.session(scene, 13)?;
                let mut payload = Vec::new();
                payload.extend_from_slice(&u32::to_be_bytes(channel_len));
                payload.extend_from_slice(&u32::to_be_bytes(path_len));
                payload.extend_from_slice(&[0; 24]);
                payload.extend_from_slice(&names);
                peer.raw("add stream", 1, &payload)?;
            }
            Ok(())
        })
    });
}

#[test]
fn pending_data() {
    isolated(here!(), |w| {
        compare(w, &[], |stage| {
            let mut peer = stage.session("pending", 13)?;
            let one = peer.add_stream(TREE, "c_0")?;
            let two = peer.add_stream(TREE, "c_1")?;
            let metadata = peer.add_stream(TREE, "metadata")?;
            let session = RelaySessionId(1);
            let begin = Request::BeginDataPending { session };
            let end = Request::EndDataPending { session };
            peer.ask("begin", &begin)?;
            peer.ask("end, nothing asked", &end)?;
            pending(&mut peer, one, NO_PACKET)?;
            pending(&mut peer, one, 0)?;
            peer.deliver(one, 0, (4096, 0))?;
            pending(&mut peer, one, 0)?;
            pending(&mut peer, one, 1)?;
            peer.index(one, 1, 1)?;
            pending(&mut peer, one, 1)?;
            peer.packet(one, 1, (4096, 0))?;
            peer.wait_received(one, 1)?;
            peer.ask("begin", &begin)?;
            pending(&mut peer, one, 1)?;
            peer.ask("end, one asked", &end)?;
            pending(&mut peer, two, NO_PACKET)?;
            peer.ask("end, two asked", &end)?;
            let quiescent = |stream| Request::Quiescent { stream };
            peer.ask("quiescent", &quiescent(metadata))?;
            peer.ask("end, all asked", &end)?;
            peer.ask("quiescent, unknown", &quiescent(NOBODY))?;
            peer.ask("begin", &begin)?;
            close(&mut peer, one, 1)?;
            close(&mut peer, two, NO_PACKET)?;
            close(&mut peer, metadata, NO_PACKET)?;
            peer.ask("end, all closed", &end)?;
            let mut peer = stage.session("pending of an unknown stream", 13)?;
            pending(&mut peer, NOBODY, 0)
        })
    });
}

#[test]
fn mistakes_with_streams() {
    isolated(here!(), |w| {
        compare(w, &[], |stage| {
            let mut peer = stage.session("index of an unknown stream", 13)?;
            peer.index(NOBODY, 0, 0)?;
            let mut peer = stage.session("two indexes of one packet", 13)?;
            let stream = peer.add_stream(TREE, "c_0")?;
            peer.index(stream, 0, 0)?;
            peer.index(stream, 0, 0)?;
            let mut peer = stage.session("metadata of an unknown stream", 13)?;
            peer.metadata(NOBODY, b"x", 0)?;
            let mut peer = stage.session("empty metadata", 13)?;
            let metadata = peer.add_stream(TREE, "metadata")?;
            let mut payload = metadata.0.to_be_bytes().to_vec();
            payload.extend_from_slice(&[0; 4]);
            peer.raw("metadata", 6, &payload)?;
            let mut peer = stage.session("close of an unknown stream", 13)?;
            close(&mut peer, NOBODY, 0)?;
            let mut peer = stage.session("a packet of an unknown stream", 13)?;
            peer.packet(NOBODY, 0, (0, 0))?;
            peer.data_is_closed()?;
            Ok(())
        })
    });
}

#[test]
fn the_last_packet_comes_after_the_close() {
    isolated(here!(), |w| {
        compare(w, &[], |stage| {
            let mut peer = stage.session("late", 13)?;
            let stream = peer.add_stream(TREE, "c_0")?;
            let other = peer.add_stream(TREE, "c_1")?;
            peer.deliver(stream, 0, (4096, 0))?;
            peer.index(stream, 1, 1)?;
            close(&mut peer, stream, 1)?;
            peer.packet(stream, 1, (4096, 0))?;
            // One connection: what comes later shows that the other has come.
            peer.deliver(other, 0, (10, 0))?;
            close(&mut peer, other, 0)?;
            peer.packet(stream, 2, (0, 0))?;
            peer.data_is_closed()
        })
    });
}

#[test]
fn tracefiles_of_limited_size_and_count() {
    isolated(here!(), |w| {
        compare(w, &[], |stage| {
            let mut peer = stage.session("tracefiles", 13)?;
            // Never more than stock survives: a count of 0 kills it.
            for (name, size, count) in [
                ("one_0", 8192, 1),
                ("two_0", 8192, 2),
                ("three_0", 10_000, 3),
                ("many_0", 4096, 50),
                ("small_0", 100, 4),
            ] {
                let stream = peer.add_limited_stream(TREE, name, size, count)?;
                for nr in 0..11 {
                    // Padding counts only once it is there.
                    let size = [(4096, 0), (3000, 1096), (1, 0), (4000, 6000)][nr as usize % 4];
                    peer.deliver(stream, nr, size)?;
                }
            }
            Ok(())
        })
    });
}

#[test]
fn numbers_need_not_begin_at_zero_nor_be_equal() {
    isolated(here!(), |w| {
        compare(w, &[], |stage| {
            let mut peer = stage.session("numbers", 13)?;
            let stream = peer.add_stream(TREE, "c_0")?;
            for (net, packet) in [(10, 5), (11, 6), (12, 9)] {
                peer.packet(stream, net, (4096, 0))?;
                peer.ask("index", &Request::SendIndex(index(stream, net, packet)))?;
                peer.wait_received(stream, net)?;
            }
            Ok(())
        })
    });
}
