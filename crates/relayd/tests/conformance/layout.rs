//! Where things are: grouping, base paths, snapshots.

use anyhow::Result;
use relay::{ChunkId, CreateSession, Request};
use system_tests::{here, isolated};

use crate::peer::{Peer, TREE, session};
use crate::stage::{Stage, compare};

fn some_data(peer: &mut Peer<'_>, path: &str) -> Result<()> {
    let stream = peer.add_stream(path, "c_0")?;
    let metadata = peer.add_stream(path, "metadata")?;
    peer.metadata(metadata, b"/* CTF 1.8 */", 0)?;
    peer.deliver(stream, 0, (100, 0))
}

fn places(stage: &mut Stage) -> Result<()> {
    for (nr, (name_has_creation_time, snapshot, base_path)) in [
        (false, false, ""),
        (true, false, ""),
        (false, true, ""),
        (true, true, ""),
        (false, false, "sub/dir"),
        (true, false, "sub2/dir"),
        (false, true, "sub3/dir"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = match name_has_creation_time {
            true => format!("s{nr}-20231114-221320"),
            false => format!("s{nr}"),
        };
        let mut peer = stage.peer(&format!("place {nr}"), 13)?;
        peer.create(&CreateSession {
            name_has_creation_time,
            snapshot,
            base_path,
            ..session(&name)
        })?;
        let chunk_name = snapshot.then_some("snapshot-1-20231114-221321-0");
        peer.create_chunk(0, chunk_name)?;
        if snapshot {
            // No indexes.
            let stream = peer.add_stream(TREE, "c_0")?;
            peer.packet(stream, 4, (100, 10))?;
            peer.wait_received(stream, 4)?;
        } else {
            some_data(&mut peer, TREE)?;
        }
        peer.ask(
            "close chunk",
            &Request::CloseTraceChunk {
                chunk: ChunkId(0),
                closed_unix_s: 1_700_000_100,
                command: None,
            },
        )?;
    }
    for (nr, path) in [
        "/host/old-20231114-221320//ust/uid/0/64-bit",
        "/host/custom/path//ust/uid/0/64-bit",
        "host/old2-20231114-221320/kernel",
    ]
    .iter()
    .enumerate()
    {
        let mut peer = stage.peer(&format!("old {nr}"), 10)?;
        let name = ["old", "other", "old2"][nr];
        peer.create(&session(name))?;
        some_data(&mut peer, path)?;
    }
    Ok(())
}

#[test]
fn grouped_by_host() {
    isolated(here!(), |w| {
        compare(w, &[], places)?;
        compare(w, &["--group-output-by-host"], places)
    });
}

#[test]
fn grouped_by_session() {
    isolated(here!(), |w| {
        compare(w, &["--group-output-by-session"], places)
    });
}

#[test]
fn a_working_directory_changes_no_place() {
    isolated(here!(), |w| {
        compare(w, &["--working-directory=/run"], places)
    });
}

/// Two consumer daemons of one session: the second joins the chunk.
#[test]
fn two_connections_share_chunks() {
    isolated(here!(), |w| {
        compare(w, &[], |stage| {
            let mut first = stage.peer("first", 13)?;
            first.create(&session("shared"))?;
            first.create_chunk(0, None)?;
            some_data(&mut first, TREE)?;
            let control = first.control.try_clone()?;
            let data = first.data.try_clone()?;
            let mut second = stage.peer("second", 13)?;
            second.create(&CreateSession {
                current_chunk: Some(ChunkId(0)),
                ..session("shared")
            })?;
            some_data(&mut second, "kernel")?;
            drop((control, data));
            Ok(())
        })
    });
}
