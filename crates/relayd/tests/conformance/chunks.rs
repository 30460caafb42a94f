//! Trace chunks: rotation, clear, and what is refused.

use std::borrow::Cow;

use anyhow::Result;
use relay::{ChunkId, CloseCommand, Request, StreamHandle, StreamPosition};
use system_tests::{here, isolated};

use crate::peer::{Peer, TREE, session};
use crate::stage::{Stage, compare};

pub(crate) fn rotate(
    peer: &mut Peer<'_>,
    to: Option<u64>,
    positions: &[(StreamHandle, u64)],
) -> Result<()> {
    let position = |(stream, rotate_at_seq_num): &(StreamHandle, u64)| StreamPosition {
        stream: *stream,
        rotate_at_seq_num: *rotate_at_seq_num,
    };
    let positions: Vec<_> = positions.iter().map(position).collect();
    let request = Request::RotateStreams {
        to: to.map(ChunkId),
        positions: Cow::Owned(positions),
    };
    peer.ask("rotate", &request).map(drop)
}

pub(crate) fn close(peer: &mut Peer<'_>, id: u64, command: Option<CloseCommand>) -> Result<()> {
    let request = Request::CloseTraceChunk {
        chunk: ChunkId(id),
        closed_unix_s: 1_700_000_100 + id,
        command,
    };
    peer.ask(&format!("close chunk {id}"), &request).map(drop)
}

pub(crate) fn exists(peer: &mut Peer<'_>, id: u64) -> Result<()> {
    let chunk = ChunkId(id);
    peer.ask(
        &format!("chunk {id} exists"),
        &Request::TraceChunkExists { chunk },
    )
    .map(drop)
}

/// A session with two streams and metadata, and one packet in each.
fn with_streams<'a>(stage: &'a mut Stage, scene: &str) -> Result<(Peer<'a>, [StreamHandle; 3])> {
    let mut peer = stage.session(scene, 13)?;
    let one = peer.add_stream(TREE, "c_0")?;
    let two = peer.add_stream("kernel", "k_0")?;
    let metadata = peer.add_stream(TREE, "metadata")?;
    peer.ask("streams sent", &Request::StreamsSent)?;
    peer.metadata(metadata, b"chunk 0", 1)?;
    for stream in [one, two] {
        peer.deliver(stream, 0, (4000, 96))?;
    }
    Ok((peer, [one, two, metadata]))
}

/// From chunk `old` to the next, as stock's consumer daemon does it.
fn next_chunk(
    peer: &mut Peer<'_>,
    [one, two, metadata]: [StreamHandle; 3],
    old: u64,
    command: CloseCommand,
) -> Result<()> {
    let new = old + 1;
    peer.create_chunk(new, None)?;
    rotate(peer, Some(new), &[(one, new), (two, new)])?;
    rotate(peer, Some(new), &[(metadata, 0)])?;
    close(peer, old, Some(command))?;
    peer.metadata(metadata, format!("chunk {new}").as_bytes(), 2)?;
    for stream in [one, two] {
        peer.deliver(stream, new, (2000, 96))?;
    }
    peer.wait_gone(old)
}

#[test]
fn rotations() {
    isolated(here!(), |w| {
        compare(w, &[], |stage| {
            let (mut peer, streams) = with_streams(stage, "rotations")?;
            for old in 0..3 {
                next_chunk(&mut peer, streams, old, CloseCommand::MOVE_TO_COMPLETED)?;
            }
            exists(&mut peer, 7)
        })
    });
}

#[test]
fn rotation_to_nothing_and_the_end() {
    isolated(here!(), |w| {
        compare(w, &[], |stage| {
            for (scene, command) in [
                ("no command", None),
                ("no operation", Some(CloseCommand::NO_OPERATION)),
                ("completed", Some(CloseCommand::MOVE_TO_COMPLETED)),
                ("deleted", Some(CloseCommand::DELETE)),
            ] {
                let (mut peer, [one, two, metadata]) = with_streams(stage, scene)?;
                rotate(&mut peer, None, &[(one, 1), (two, 1)])?;
                rotate(&mut peer, None, &[(metadata, 0)])?;
                close(&mut peer, 0, command)?;
                peer.wait_gone(0)?;
                // Started again.
                peer.create_chunk(1, None)?;
                rotate(&mut peer, Some(1), &[(one, 1), (two, 1)])?;
                rotate(&mut peer, Some(1), &[(metadata, 0)])?;
                peer.metadata(metadata, b"again", 0)?;
                for stream in [one, two] {
                    peer.deliver(stream, 1, (100, 0))?;
                }
            }
            Ok(())
        })
    });
}

fn clear(stage: &mut Stage) -> Result<()> {
    let (mut peer, streams) = with_streams(stage, "clear the first")?;
    next_chunk(&mut peer, streams, 0, CloseCommand::DELETE)?;
    let (mut peer, streams) = with_streams(stage, "clear a later one")?;
    next_chunk(&mut peer, streams, 0, CloseCommand::MOVE_TO_COMPLETED)?;
    next_chunk(&mut peer, streams, 1, CloseCommand::DELETE)?;
    next_chunk(&mut peer, streams, 2, CloseCommand::MOVE_TO_COMPLETED)
}

#[test]
fn clear_where_it_is_allowed() {
    isolated(here!(), |w| compare(w, &[], clear));
}

#[test]
fn clear_where_it_is_not_allowed() {
    isolated(here!(), |w| {
        compare(w, &["--disallow-clear"], |stage| {
            let (mut peer, [one, two, metadata]) = with_streams(stage, "no clear")?;
            rotate(&mut peer, None, &[(one, 1), (two, 1), (metadata, 0)])?;
            close(&mut peer, 0, Some(CloseCommand::DELETE))
        })
    });
}

#[test]
fn the_three_layouts_of_rotate() {
    isolated(here!(), |w| {
        compare(w, &[], |stage| {
            for padding in [0, 3, 7] {
                let (mut peer, [one, two, _]) = with_streams(stage, &format!("{padding} bytes"))?;
                peer.create_chunk(1, None)?;
                let mut payload = 2_u32.to_be_bytes().to_vec();
                payload.push(1);
                payload.extend_from_slice(&vec![0xaa; padding]);
                payload.extend_from_slice(&1_u64.to_be_bytes());
                for stream in [one, two] {
                    payload.extend_from_slice(&stream.0.to_be_bytes());
                    payload.extend_from_slice(&1_u64.to_be_bytes());
                }
                peer.raw("rotate", 18, &payload)?;
                for stream in [one, two] {
                    peer.deliver(stream, 1, (100, 0))?;
                }
            }
            for wrong in [12, 14, 17, 19, 21] {
                let (mut peer, _) = with_streams(stage, &format!("head of {wrong} bytes"))?;
                let mut payload = 1_u32.to_be_bytes().to_vec();
                payload.resize(wrong + 16, 0);
                peer.raw("rotate", 18, &payload)?;
            }
            Ok(())
        })
    });
}

#[test]
fn mistakes_with_chunks() {
    isolated(here!(), |w| {
        compare(w, &[], |stage| {
            for (nr, name) in ["a/b", "a.b", "..", "/"].iter().enumerate() {
                let mut peer = stage.peer(&format!("bad name {nr}"), 13)?;
                peer.create(&session(&format!("bad_name_{nr}")))?;
                peer.create_chunk(0, Some(name))?;
            }
            let mut peer = stage.session("a third chunk", 13)?;
            peer.create_chunk(1, None)?;
            peer.create_chunk(2, None)?;
            let mut peer = stage.session("close of an unknown chunk", 13)?;
            close(&mut peer, 9, None)?;
            let mut peer = stage.session("an unknown close command", 13)?;
            close(&mut peer, 0, Some(CloseCommand(3)))?;
            let mut peer = stage.session("close of the wrong one", 13)?;
            peer.create_chunk(1, None)?;
            close(&mut peer, 1, None)?;
            let (mut peer, [one, ..]) = with_streams(stage, "rotate to an unknown chunk")?;
            rotate(&mut peer, Some(9), &[(one, 1)])?;
            let (mut peer, _) = with_streams(stage, "rotate an unknown stream")?;
            peer.create_chunk(1, None)?;
            rotate(&mut peer, Some(1), &[(StreamHandle(999_999), 1)])?;
            let (mut peer, [one, ..]) = with_streams(stage, "rotate twice")?;
            peer.create_chunk(1, None)?;
            rotate(&mut peer, Some(1), &[(one, 5)])?;
            rotate(&mut peer, Some(1), &[(one, 6)])?;
            let mut name = vec![0; 16];
            name.extend_from_slice(&3_u32.to_be_bytes());
            for (scene, bytes) in [
                ("no NUL", &b"abc"[..]),
                ("too little", b"a"),
                ("empty", b"\0\0\0"),
            ] {
                let mut peer = stage.peer(&format!("chunk name with {scene}"), 13)?;
                peer.create(&session(&scene.replace(' ', "_")))?;
                peer.raw("create chunk", 19, &[&name[..], bytes].concat())?;
            }
            Ok(())
        })
    });
}
