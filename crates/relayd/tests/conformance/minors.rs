//! Every command in the layout of each minor version, once.

use anyhow::Result;
use relay::{CloseCommand, RelaySessionId, Request};
use system_tests::{here, isolated};

use crate::chunks::{self, exists, rotate};
use crate::peer::TREE;
use crate::stage::{Stage, compare};
use crate::streams::{self, pending};

fn every_command(stage: &mut Stage, minor: u32) -> Result<()> {
    let mut peer = stage.session(&format!("every command of 2.{minor}"), minor)?;
    // Older peers say where on the collector it is.
    let path = match minor {
        0..=10 => format!("/host/every-{minor}-20261122-214708//{TREE}"),
        _ => TREE.to_owned(),
    };
    let session = RelaySessionId(1);
    let stream = peer.add_stream(&path, "c_0")?;
    let limited = peer.add_limited_stream(&path, "l_0", 8192, 2)?;
    let metadata = peer.add_stream(&path, "metadata")?;
    peer.ask("streams sent", &Request::StreamsSent)?;
    peer.metadata(metadata, b"/* CTF 1.8 */", 3)?;
    // Stock takes this from every peer, and so does it with the next one that is raw.
    let reset = [metadata.0, 1].map(u64::to_be_bytes).concat();
    peer.raw("reset metadata", 17, &reset)?;
    peer.metadata(metadata, b"/* CTF 1.8 */", 0)?;
    for number in 0..3 {
        peer.deliver(stream, number, (4000, 96))?;
        peer.deliver(limited, number, (4096, 0))?;
    }
    peer.ask("begin", &Request::BeginDataPending { session })?;
    pending(&mut peer, stream, 2)?;
    pending(&mut peer, limited, 2)?;
    peer.ask("quiescent", &Request::Quiescent { stream: metadata })?;
    peer.ask("end", &Request::EndDataPending { session })?;
    peer.raw("configuration", 22, &[0; 8])?;
    if minor >= 11 {
        peer.create_chunk(1, None)?;
        rotate(&mut peer, Some(1), &[(stream, 3), (limited, 3)])?;
        rotate(&mut peer, Some(1), &[(metadata, 0)])?;
        chunks::close(&mut peer, 0, Some(CloseCommand::MOVE_TO_COMPLETED))?;
        peer.metadata(metadata, b"/* CTF 1.8 */", 0)?;
        for stream in [stream, limited] {
            peer.deliver(stream, 3, (2000, 96))?;
        }
        peer.wait_gone(0)?;
        rotate(&mut peer, None, &[(stream, 4), (limited, 4)])?;
        rotate(&mut peer, None, &[(metadata, 0)])?;
        chunks::close(&mut peer, 1, None)?;
        peer.wait_gone(1)?;
        exists(&mut peer, 1)?;
    }
    let last = if minor >= 11 { 3 } else { 2 };
    streams::close(&mut peer, stream, last)?;
    streams::close(&mut peer, limited, last)?;
    streams::close(&mut peer, metadata, relay::NO_PACKET)
}

#[test]
fn every_command_in_every_minor() {
    isolated(here!(), |w| {
        compare(w, &[], |stage| {
            // Before 4 there are no names, and so no sessions.
            (4..=13).try_for_each(|minor| every_command(stage, minor))
        })
    });
}
