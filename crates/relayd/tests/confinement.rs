//! Whatever a name or a link does, nothing appears outside the output directory.

mod own_relay;
#[expect(dead_code, reason = "other tests use the rest")]
mod raw_peer;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use own_relay::OwnRelay;
use raw_peer::RawPeer;
use relay::{
    AddStream, ChunkId, CreateSession, MAJOR, Minor, Reply, Request, ReturnCode, SessionKey,
    TraceFormat,
};
use system_tests::{World, eventually, here, isolated, run};

const TREE: &str = "ust/uid/0/64-bit";

fn connect(relay: &OwnRelay, minor: Minor) -> Result<RawPeer> {
    RawPeer::connect_to(relay.port("control")?, relay.port("data")?, minor)
}

/// A link inside the output directory that leads out of it, where a stream wants to be.
fn through_a_link(w: &World, name: &str, args: &[&str]) -> Result<(OwnRelay, PathBuf, bool)> {
    let outside = w.path(&format!("{name}.outside"));
    fs::create_dir(&outside)?;
    let relay = OwnRelay::start(w, name, args, &[])?;
    let mut peer = connect(&relay, Minor::NEWEST)?;
    peer.create_session("s", "")?;
    peer.create_chunk(0)?;
    symlink(&outside, relay.output.join("raw/s/ust"))?;
    let added = peer.add_stream(TREE, "c_0").is_ok();
    Ok((relay, outside, added))
}

#[test]
fn landlock_holds_against_links() {
    isolated(here!(), |w| {
        // Without it, a link that somebody made is followed.
        let (_relay, outside, added) = through_a_link(w, "free", &["--confine=no"])?;
        ensure!(added && outside.join("uid/0/64-bit/c_0").exists());
        let (relay, outside, added) = through_a_link(w, "confined", &["--confine=yes"])?;
        ensure!(!added, "the stream was accepted");
        ensure!(
            fs::read_dir(&outside)?.next().is_none(),
            "something is outside"
        );
        ensure!(relay.log().contains("Permission denied"), "{}", relay.log());
        ensure!(relay.log().contains("Landlock"), "{}", relay.log());
        Ok(())
    });
}

#[test]
fn a_confined_daemon_cleans_up() {
    isolated(here!(), |w| {
        let [pid_file, rundir] = ["dir/relayd.pid", "rundir"].map(|name| w.path(name));
        fs::create_dir(w.path("dir"))?;
        let mut relay = OwnRelay::start(
            w,
            "a",
            &[
                "--confine=yes",
                "--pid-file",
                pid_file.to_str().context("no UTF-8")?,
            ],
            &[("LTTNG_RUNDIR", rundir.to_str().context("no UTF-8")?)],
        )?;
        // Two sockets, and the journal of sessions.
        ensure!(fs::read_dir(rundir.join("relayd"))?.count() == 3);
        relay.stop()?;
        ensure!(!pid_file.exists(), "the pid file stays");
        ensure!(
            fs::read_dir(rundir.join("relayd"))?.next().is_none(),
            "something stays"
        );
        Ok(())
    });
}

/// Everything in the file systems that only this test has (what is above the output directory is in them),
/// but what the daemon is meant to write.
fn elsewhere(w: &World, relay: &OwnRelay) -> Result<BTreeSet<PathBuf>> {
    let roots = ["/run", "/dev/shm"].map(Path::new);
    let found = run(Command::new("find").args(roots).arg("-xdev"))?;
    let home = w.home();
    let ignored = [relay.output.as_path(), home.as_path()];
    Ok(found
        .stdout
        .lines()
        .map(PathBuf::from)
        .filter(|path| !ignored.iter().any(|ignored| path.starts_with(ignored)))
        .collect())
}

const TRICKS: [&str; 16] = [
    "..",
    "../x",
    "../../../../run/x",
    "a/../../x",
    "a/..",
    "./../x",
    "/../x",
    "//../x",
    "/run/x",
    ".hidden",
    "a/.hidden",
    ".tmp_old_chunk",
    ".tmp_new_chunk/x",
    "a\u{1}b",
    "a\nb",
    "archives/../..",
];

fn session<'a>(host: &'a str, name: &'a str, base_path: &'a str) -> CreateSession<'a> {
    CreateSession {
        session_name: name,
        hostname: host,
        live_timer_us: 0,
        snapshot: false,
        base_path,
        name_has_creation_time: true,
        key: SessionKey {
            sessiond_uuid: [9; 16],
            sessiond_session_id: 1,
        },
        creation_unix_s: 1_700_000_000,
        current_chunk: None,
        trace_format: TraceFormat::CTF_1_8,
    }
}

/// Plays one trick; says whether it was refused.
fn play(relay: &OwnRelay, minor: u32, what: Trick, name: &str) -> Result<bool> {
    let mut peer = connect(relay, Minor(minor))?;
    let asked = match what {
        Trick::Host => session(name, "s", ""),
        Trick::Session => session("h", name, ""),
        Trick::BasePath => session("h", "s", name),
        _ => session("h", "s", ""),
    };
    let created = match peer.ask(&Request::CreateSession(asked))? {
        Reply::Session { code, .. } => code == ReturnCode::OK,
        other => anyhow::bail!("{other:?}"),
    };
    if !created {
        return Ok(true);
    }
    let chunk_name = matches!(what, Trick::Chunk).then_some(name);
    if minor >= 11 {
        let chunk = peer.ask(&Request::CreateTraceChunk {
            chunk: ChunkId(0),
            created_unix_s: 1_700_000_000,
            override_name: chunk_name,
        });
        if !matches!(chunk, Ok(Reply::Code(ReturnCode::OK))) {
            return Ok(true);
        }
    }
    let (pathname, channel_name) = match what {
        Trick::Channel => (TREE, name),
        Trick::Path => (name, "c_0"),
        _ => (TREE, "c_0"),
    };
    let stream = peer.ask(&Request::AddStream(AddStream {
        channel_name,
        pathname,
        tracefile_size: 4096,
        tracefile_count: 2,
        chunk: ChunkId(0),
    }));
    let Ok(Reply::Stream {
        stream,
        code: ReturnCode::OK,
    }) = stream
    else {
        return Ok(true);
    };
    // All that makes files and moves them.
    for nr in 0..3 {
        peer.packet(stream, nr)?;
        peer.index(stream, nr)?;
    }
    peer.wait_received(stream, 2)?;
    Ok(false)
}

#[derive(Clone, Copy, Debug)]
enum Trick {
    Host,
    Session,
    BasePath,
    Chunk,
    Path,
    Channel,
}

/// Each name a peer can send, each trick, with and without the kernel's help, grouped both ways, and from
/// old peers.
#[test]
fn path_tricks_in_every_name() {
    use Trick::{BasePath, Channel, Chunk, Host, Path, Session};
    isolated(here!(), |w| {
        for (name, options) in [
            ("by-host", &["--confine=no"][..]),
            ("by-session", &["--confine=no", "--group-output-by-session"]),
            ("confined", &[]),
        ] {
            let relay = OwnRelay::start(w, name, options, &[])?;
            let before = elsewhere(w, &relay)?;
            for minor in [4, 10, 11, 13, 15] {
                for what in [Host, Session, BasePath, Chunk, Path, Channel] {
                    if minor < 11 && matches!(what, BasePath | Chunk) {
                        continue;
                    }
                    for trick in TRICKS {
                        let refused = play(&relay, minor, what, trick)
                            .with_context(|| format!("{name} 2.{minor} {what:?} {trick:?}"))?;
                        // An absolute path is taken as one below, as stock does.
                        let relative = trick == "/run/x" && matches!(what, Path | BasePath);
                        ensure!(
                            refused != relative,
                            "2.{minor} {what:?} {trick:?}: {refused}"
                        );
                    }
                }
            }
            let after = elsewhere(w, &relay)?;
            let new: Vec<_> = after.difference(&before).collect();
            ensure!(new.is_empty(), "outside: {new:?}");
            for hidden in [".hidden", ".tmp_old_chunk", ".tmp_new_chunk"] {
                let found = run(Command::new("find")
                    .arg(&relay.output)
                    .args(["-name", hidden]))?;
                ensure!(found.stdout.is_empty(), "{}", found.stdout);
            }
        }
        Ok(())
    });
}

/// NUL inside a name: the name ends there, as in stock.
#[test]
fn names_end_at_their_nul() {
    isolated(here!(), |w| {
        let relay = OwnRelay::start(w, "a", &[], &[])?;
        let mut peer = connect(&relay, Minor(13))?;
        let reply = peer.ask(&Request::Version {
            major: MAJOR,
            minor: Minor(13),
        })?;
        ensure!(matches!(reply, Reply::Version { .. }));
        let refused = peer.create_session("s\0/../../x", "");
        ensure!(refused.is_err() || relay.output.join("raw/s").is_dir());
        eventually("only that", || {
            let entries = fs::read_dir(&relay.output).map_or(0, Iterator::count);
            Ok((entries <= 1).then_some(()))
        })
    });
}
