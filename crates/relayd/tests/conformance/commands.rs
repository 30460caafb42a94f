//! Versions, unknown commands, commands at the wrong time, configuration.

use anyhow::Result;
use relay::{MAJOR, Minor, Request};
use system_tests::{here, isolated};

use crate::stage::{Stage, compare};

/// Everything that needs a session, with a payload that would be right, and with one that is not.
const NEED_SESSION: [(u32, usize); 15] = [
    (1, 64),
    (3, 0),
    (6, 16),
    (7, 16),
    (8, 16),
    (9, 8),
    (10, 8),
    (11, 8),
    (13, 80),
    (16, 0),
    (17, 16),
    (18, 36),
    (19, 20),
    (20, 21),
    (21, 8),
];

#[test]
fn versions() {
    isolated(here!(), |w| {
        compare(w, &[], |stage| {
            for minor in 0..=13 {
                stage.peer(&format!("minor {minor}"), minor)?;
            }
            for (scene, major) in [("an older major", 1), ("a newer major", 3)] {
                let mut peer = stage.silent(scene)?;
                let minor = Minor(13);
                peer.ask("version", &Request::Version { major, minor })?;
            }
            let mut peer = stage.peer("twice", 13)?;
            let (major, minor) = (MAJOR, Minor(11));
            peer.ask("again", &Request::Version { major, minor })?;
            for len in [0, 1, 7, 9, 100] {
                let mut payload = vec![0, 0, 0, 2, 0, 0, 0, 13];
                payload.resize(len, 0);
                stage
                    .silent(&format!("{len} bytes"))?
                    .raw("version", 5, &payload)?;
            }
            Ok(())
        })
    });
}

#[test]
fn unknown_commands() {
    isolated(here!(), |w| {
        compare(w, &[], |stage| {
            for command in [0, 4, 12, 14, 15, 23, 24, 99, 0x7fff_ffff, 0xffff_ffff] {
                let payload = [0; 8];
                let scene = format!("command {command}");
                stage.silent(&scene)?.raw("first", command, &payload)?;
                stage
                    .peer(&scene, 13)?
                    .raw("after version", command, &payload)?;
                stage
                    .session(&scene, 13)?
                    .raw("in a session", command, &payload)?;
                stage
                    .session(&scene, 13)?
                    .raw("without payload", command, &[])?;
            }
            Ok(())
        })
    });
}

#[test]
fn commands_that_need_a_session() {
    isolated(here!(), |w| {
        compare(w, &[], |stage| {
            for (command, len) in NEED_SESSION {
                let scene = format!("command {command}");
                stage.silent(&scene)?.raw("first", command, &vec![0; len])?;
                stage
                    .peer(&scene, 13)?
                    .raw("after version", command, &vec![0; len])?;
            }
            Ok(())
        })
    });
}

#[test]
fn payloads_that_are_too_short() {
    isolated(here!(), |w| {
        compare(w, &[], |stage| {
            for (command, len) in NEED_SESSION {
                for short in [0, len / 2, len.saturating_sub(1)] {
                    // Such a payload is not too short, or frees the sender from an answer (6).
                    if short == len || command == 3 {
                        continue;
                    }
                    let scene = format!("command {command} with {short} bytes");
                    stage
                        .session(&scene, 13)?
                        .raw("short", command, &vec![0; short])?;
                }
            }
            for (scene, payload) in [("configuration", &[0; 7][..]), ("configuration", &[])] {
                stage.peer(scene, 13)?.raw("short", 22, payload)?;
            }
            for minor in [4, 10, 11, 13] {
                for len in [0, 1, 58] {
                    let scene = format!("create session in 2.{minor} with {len} bytes");
                    stage.peer(&scene, minor)?.raw("short", 2, &vec![0; len])?;
                }
            }
            Ok(())
        })
    });
}

#[test]
fn chunk_commands_of_peers_that_have_no_chunks() {
    isolated(here!(), |w| {
        compare(w, &[], |stage| {
            for minor in [4, 8, 10] {
                for (command, len) in [(18, 36), (19, 20), (20, 21), (21, 8)] {
                    let scene = format!("command {command} in 2.{minor}");
                    stage
                        .session(&scene, minor)?
                        .raw("chunk", command, &vec![0; len])?;
                }
            }
            Ok(())
        })
    });
}

fn configuration(stage: &mut Stage) -> Result<()> {
    let mut peer = stage.silent("before version")?;
    peer.raw("no flags", 22, &[0; 8])?;
    peer.raw("more bytes", 22, &[0; 80])?;
    peer.raw("a flag", 22, &[0, 0, 0, 0, 0, 0, 0, 1])?;
    peer.raw("all flags", 22, &[255; 8])?;
    let mut peer = stage.session("in a session", 13)?;
    peer.raw("no flags", 22, &[0; 8])?;
    stage
        .session("of an old peer", 8)?
        .raw("no flags", 22, &[0; 8])?;
    Ok(())
}

#[test]
fn configuration_is_told() {
    isolated(here!(), |w| {
        compare(w, &[], configuration)?;
        compare(w, &["--disallow-clear"], configuration)
    });
}

#[test]
fn headers() {
    isolated(here!(), |w| {
        compare(w, &[], |stage| {
            let mut peer = stage.silent("circuit and command version are not looked at")?;
            let mut version = vec![0xff; 8];
            version.extend_from_slice(&8_u64.to_be_bytes());
            version.extend_from_slice(&5_u32.to_be_bytes());
            version.extend_from_slice(&[0xff; 4]);
            version.extend_from_slice(&[0, 0, 0, 2, 0, 0, 0, 13]);
            peer.say("version", &version)?;
            for len in [1_u64 << 27, (1 << 27) + 1, 1 << 32, u64::MAX] {
                let mut peer = stage.session(&format!("a payload of {len} bytes"), 13)?;
                let mut header = vec![0; 8];
                header.extend_from_slice(&len.to_be_bytes());
                header.extend_from_slice(&99_u32.to_be_bytes());
                header.extend_from_slice(&[0; 4]);
                if len > 1 << 27 {
                    peer.say("header", &header)?;
                }
            }
            Ok(())
        })
    });
}
