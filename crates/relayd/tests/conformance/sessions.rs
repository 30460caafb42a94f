//! Sessions: what is accepted, what is refused, and how.

use anyhow::Result;
use relay::{ChunkId, CreateSession, SessionKey};
use system_tests::{here, isolated};

use crate::peer::{Peer, TREE, session};
use crate::stage::compare;

/// What comes before the names in `CREATE_SESSION` since 2.11.
fn head(lens: [u32; 3]) -> Vec<u8> {
    let mut payload: Vec<u8> = lens.iter().flat_map(|len| len.to_be_bytes()).collect();
    payload.extend_from_slice(&[0; 6]);
    payload.extend_from_slice(&[7; 16]);
    payload.extend_from_slice(&1_u64.to_be_bytes());
    payload.extend_from_slice(&1_700_000_000_u64.to_be_bytes());
    payload.extend_from_slice(&[0; 9]);
    payload
}

/// Tries, and then uses the connection for a session that is right.
fn then_a_good_one(peer: &mut Peer<'_>, number: usize) -> Result<()> {
    peer.create(&session(&format!("good{number}")))?;
    peer.create_chunk(0, None)?;
    peer.add_stream(TREE, "c_0").map(drop)
}

#[test]
fn names_that_are_refused() {
    isolated(here!(), |w| {
        let long = "n".repeat(238);
        let longer = "n".repeat(239);
        let longest = "n".repeat(254);
        let host = "h".repeat(255);
        compare(w, &[], |stage| {
            for (number, (name, hostname, base_path)) in [
                ("", "host", ""),
                ("s", "", ""),
                (".s", "host", ""),
                ("s", ".host", ""),
                ("..", "host", ""),
                ("a/b", "host", ""),
                ("s", "ho/st", ""),
                ("/s", "host", ""),
                ("s", "host", "../x"),
                ("s", "host", "a/../x"),
            ]
            .into_iter()
            .enumerate()
            {
                let mut peer = stage.peer(&format!("{name:?} {hostname:?} {base_path:?}"), 13)?;
                peer.create(&CreateSession {
                    hostname,
                    base_path,
                    ..session(name)
                })?;
                then_a_good_one(&mut peer, number)?;
            }
            for (name, hostname) in [
                (long.as_str(), "host"),
                (longer.as_str(), "host"),
                ("s", host.as_str()),
                (longest.as_str(), "host"),
            ] {
                let mut peer = stage.peer("as long as can be", 13)?;
                peer.create(&CreateSession {
                    hostname,
                    ..session(name)
                })?;
            }
            Ok(())
        })
    });
}

#[test]
fn what_else_is_refused() {
    isolated(here!(), |w| {
        compare(w, &[], |stage| {
            let mut peer = stage.peer("nil uuid", 13)?;
            let key = SessionKey {
                sessiond_uuid: [0; 16],
                sessiond_session_id: 1,
            };
            peer.create(&CreateSession {
                key,
                ..session("s")
            })?;
            then_a_good_one(&mut peer, 0)?;
            let mut peer = stage.peer("a chunk that nobody created", 13)?;
            let current_chunk = Some(ChunkId(5));
            peer.create(&CreateSession {
                current_chunk,
                ..session("s")
            })?;
            Ok(())
        })
    });
}

#[test]
fn lengths_that_lie() {
    isolated(here!(), |w| {
        compare(w, &[], |stage| {
            for (scene, lens, names) in [
                ("no NUL", [1, 2, 1], &b"sh\0\0"[..]),
                ("more than there is", [200, 2, 1], b"s\0h\0\0"),
                ("far more than there is", [u32::MAX, 2, 1], b"s\0h\0\0"),
                ("a host name that is too long", [2, 257, 1], &[b'h'; 300]),
                ("a session name that is too long", [256, 2, 1], &[b's'; 300]),
                ("no base path at all", [2, 2, 0], b"s\0h\0"),
                ("NUL inside", [4, 2, 1], b"t\0x\0h\0\0"),
                ("bytes behind", [2, 2, 1], b"u\0h\0\0and more"),
            ] {
                let mut peer = stage.peer(scene, 13)?;
                let payload = [&head(lens)[..], names].concat();
                peer.raw("create session", 2, &payload)?;
            }
            Ok(())
        })
    });
}

#[test]
fn old_peers_create_sessions() {
    isolated(here!(), |w| {
        compare(w, &[], |stage| {
            for minor in [4, 7, 8, 10] {
                let mut peer = stage.session(&format!("old {minor}"), minor)?;
                let path = format!("/host/old-{minor}-20261122-214708//{TREE}");
                let stream = peer.add_stream(&path, "c_0")?;
                let metadata = peer.add_stream(&path, "metadata")?;
                peer.raw("streams sent", 16, &[])?;
                peer.metadata(metadata, b"/* CTF 1.8 */", 3)?;
                peer.deliver(stream, 0, (4000, 96))?;
                peer.deliver(stream, 1, (4096, 0))?;
                for (name, hostname) in [(".s", "host"), ("s", ""), ("a/b", "host")] {
                    let mut peer = stage.peer(&format!("{name} {hostname} {minor}"), minor)?;
                    peer.create(&CreateSession {
                        hostname,
                        ..session(name)
                    })?;
                }
            }
            // 2.1 to 2.3 have no names, so there can be no session.
            for minor in [1, 2, 3] {
                let mut peer = stage.peer(&format!("2.{minor}"), minor)?;
                peer.raw("create session", 2, &[])?;
            }
            Ok(())
        })
    });
}
