//! Peers of 2.15, which no stock program here is: by the bytes.

#[expect(dead_code, reason = "other tests use the rest")]
mod raw_peer;

use std::fs;

use anyhow::ensure;
use raw_peer::{RawPeer, stored};
use relay::{CreateSession, Minor, Reply, Request, ReturnCode, SessionKey, TraceFormat};
use system_tests::Toolchain::Ours;
use system_tests::{here, isolated};

fn session(trace_format: TraceFormat) -> CreateSession<'static> {
    CreateSession {
        session_name: "s",
        hostname: "raw",
        live_timer_us: 0,
        snapshot: false,
        base_path: "",
        name_has_creation_time: true,
        key: SessionKey {
            sessiond_uuid: [3; 16],
            sessiond_session_id: 0,
        },
        creation_unix_s: 1_700_000_000,
        current_chunk: None,
        trace_format,
    }
}

/// Metadata of CTF 2 are JSON between record separators; what they are is no business of the relay.
#[test]
fn ctf_2_metadata_are_passed_through() {
    isolated(here!(), |w| {
        let relay = w.relay(Ours)?;
        let mut peer = RawPeer::connect(&relay, Minor(15))?;
        let reply = peer.ask(&Request::CreateSession(session(TraceFormat::CTF_2)))?;
        ensure!(reply.code() == Some(ReturnCode::OK), "{reply:?}");
        peer.create_chunk(0)?;
        let stream = peer.add_stream("ust/uid/0/64-bit", "c_0")?;
        let metadata = peer.add_stream("ust/uid/0/64-bit", "metadata")?;
        let fragments = [
            &b"\x1e{\"type\": \"preamble\", \"version\": 2}\n"[..],
            b"\x1e{\"type\": \"trace-class\", \"x\": \"\xc3\xa9\"}\n",
        ];
        for bytes in fragments {
            peer.client.request(&Request::SendMetadata {
                stream: metadata,
                padding_size: 0,
                bytes,
            })?;
        }
        peer.packet(stream, 0)?;
        peer.index(stream, 0)?;
        peer.wait_received(stream, 0)?;
        let tree = relay.output().join("raw/s/ust/uid/0/64-bit");
        ensure!(fs::read(tree.join("metadata"))? == fragments.concat());
        ensure!(fs::read(tree.join("c_0"))? == stored(0));
        relay.daemon().assert_no_complaints()
    });
}

#[test]
fn unknown_trace_formats_are_refused_and_the_peer_may_try_again() {
    isolated(here!(), |w| {
        let relay = w.relay(Ours)?;
        let mut peer = RawPeer::connect(&relay, Minor(15))?;
        for number in [0, 3, u32::MAX] {
            let reply = peer.ask(&Request::CreateSession(session(TraceFormat(number))))?;
            let refused = Reply::Session {
                session: relay::RelaySessionId(0),
                code: ReturnCode::FATAL,
                output_path: Some(String::new()),
            };
            ensure!(reply == refused, "{reply:?}");
        }
        let reply = peer.ask(&Request::CreateSession(session(TraceFormat::CTF_1_8)))?;
        ensure!(reply.code() == Some(ReturnCode::OK), "{reply:?}");
        Ok(())
    });
}
