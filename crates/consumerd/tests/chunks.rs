//! Changes of trace chunks in a directory, also when a consumer daemon was killed in one.

mod common;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::{Result, ensure};
use common::{Consumer, SMALL, Traced};
use consumer_api::{
    Answer, ChunkEnding, ChunkSetup, Notice, OutputSetup, Request, RotationSetup, SessionSetup,
};
use system_tests::{Trace, check_indexes, here, isolated, trees_with_metadata};

fn chunk(id: u64, path: &str) -> ChunkSetup {
    ChunkSetup {
        chunk_id: id,
        created_unix_s: 1_700_000_000 + id,
        path: path.into(),
        ..ChunkSetup::default()
    }
}

fn archive(name: &str, next: Option<ChunkSetup>) -> RotationSetup {
    RotationSetup {
        closed_unix_s: 1_700_000_100,
        ending: ChunkEnding::Archive {
            path: format!("archives/{name}"),
        },
        next,
    }
}

/// A consumer daemon of this directory whose first chunk is this one; tells whether the interrupted rotation
/// was complete.
fn start(out: &Path, first: ChunkSetup) -> Result<(Consumer, bool)> {
    let mut consumer = Consumer::start();
    let setup = SessionSetup {
        session_name: "test".into(),
        output: OutputSetup::Directory,
        count_events: true,
        snapshot: false,
    };
    consumer.ask(Request::Setup(setup), &[File::open(out)?.as_fd()]);
    match consumer.ask(Request::OpenChunk(first), &[]) {
        Answer::Opened { rotated } => Ok((consumer, rotated)),
        other => panic!("{other:?}"),
    }
}

fn traced() -> Traced {
    Traced::with_events(1, "ust/uid/0/64-bit", SMALL)
}

fn write(traced: &mut Traced, events: u32) {
    for stream in &mut traced.streams {
        for _ in 0..events {
            stream.large_blocking();
        }
    }
}

/// The values in one chunk, which must be readable by itself.
fn values(tree: &Path) -> Result<BTreeMap<i64, u32>> {
    ensure!(trees_with_metadata(tree)?.len() == 1, "{}", tree.display());
    let trace = Trace::read(tree)?;
    trace.assert_clean()?;
    check_indexes(tree)?;
    let mut values = BTreeMap::new();
    for event in &trace.events {
        *values.entry(event.number("value").unwrap()).or_default() += 1;
    }
    Ok(values)
}

/// Each of both streams has these values, once.
fn holds(tree: &Path, range: std::ops::Range<i64>) -> Result<()> {
    let expected: BTreeMap<i64, u32> = range.map(|value| (value, 2)).collect();
    let found = values(tree)?;
    ensure!(found == expected, "{}: {found:?}", tree.display());
    Ok(())
}

#[test]
fn packets_go_to_the_chunk_that_is_current() {
    isolated(here!(), |world| {
        let out = world.path("trace");
        fs::create_dir(&out)?;
        // Not ours, and so it stays.
        fs::create_dir(out.join("notes"))?;
        let (mut consumer, _) = start(&out, chunk(0, ""))?;
        let mut traced = traced();
        traced.add_to(&mut consumer);
        write(&mut traced, 10);
        consumer.ask(Request::Rotate(archive("a-0", Some(chunk(1, "b-1")))), &[]);
        holds(&out.join("archives/a-0"), 0..10)?;
        ensure!(!out.join("ust").exists() && out.join("notes").exists());
        write(&mut traced, 10);
        consumer.ask(Request::Rotate(archive("b-1", None)), &[]);
        holds(&out.join("archives/b-1"), 10..20)?;
        // There is no chunk: what is written waits.
        write(&mut traced, 10);
        consumer.ask(Request::OpenChunk(chunk(2, "c-2")), &[]);
        let cleared = RotationSetup {
            ending: ChunkEnding::Delete,
            next: Some(chunk(3, "d-3")),
            ..RotationSetup::default()
        };
        consumer.ask(Request::Rotate(cleared), &[]);
        ensure!(!out.join("c-2").exists() && !out.join(".tmp_old_chunk").exists());
        write(&mut traced, 10);
        let close = Request::CloseChunk {
            closed_unix_s: 1,
            writers_alive: true,
            ending: ChunkEnding::Archive {
                path: "archives/d-3".into(),
            },
        };
        consumer.ask(close, &[]);
        holds(&out.join("archives/d-3"), 30..40)?;
        ensure!(consumer.close());
        Ok(())
    });
}

/// What a consumer daemon leaves that is killed after `steps` of the moves.
fn interrupted(world_path: &Path, steps: u32) -> Result<()> {
    let out = world_path.join(format!("killed-{steps}"));
    fs::create_dir(&out)?;
    let (mut consumer, _) = start(&out, chunk(0, ""))?;
    let mut traced = traced();
    traced.add_to(&mut consumer);
    write(&mut traced, 10);
    consumer.drain();
    consumer.kill();
    if steps >= 1 {
        fs::create_dir(out.join(".tmp_old_chunk"))?;
    }
    if steps >= 2 {
        fs::rename(out.join("ust"), out.join(".tmp_old_chunk/ust"))?;
    }
    if steps >= 3 {
        fs::create_dir(out.join("archives"))?;
        fs::rename(out.join(".tmp_old_chunk"), out.join("archives/a-0"))?;
    }
    let rotation = archive("a-0", Some(chunk(1, "b-1")));
    let first = ChunkSetup {
        resumed: true,
        interrupted: Some(Box::new(rotation.clone())),
        ..chunk(0, "")
    };
    let (mut successor, rotated) = start(&out, first)?;
    ensure!(rotated == (steps > 0), "{steps}");
    for stream in &mut traced.streams {
        stream.setup.resume = Some(Default::default());
    }
    traced.add_to(&mut successor);
    if !rotated {
        successor.ask(Request::Rotate(rotation), &[]);
    }
    write(&mut traced, 10);
    successor.ask(Request::Drain, &[]);
    holds(&out.join("archives/a-0"), 0..10)?;
    holds(&out.join("b-1"), 10..20)?;
    ensure!(successor.close());
    Ok(())
}

#[test]
fn a_rotation_goes_on_where_it_was_interrupted() {
    isolated(here!(), |world| {
        for steps in 0..=3 {
            interrupted(&world.path(""), steps)?;
        }
        Ok(())
    });
}

#[test]
fn a_size_is_told_once_in_each_chunk() {
    isolated(here!(), |world| {
        let out = world.path("trace");
        fs::create_dir(&out)?;
        let (mut consumer, _) = start(&out, chunk(7, ""))?;
        let mut traced = traced();
        traced.add_to(&mut consumer);
        consumer.ask(Request::WatchSize { bytes: 100_000 }, &[]);
        write(&mut traced, 200);
        let told = consumer.notice();
        ensure!(
            matches!(told, Notice::SizeReached { chunk_id: 7 }),
            "{told:?}"
        );
        let next = ChunkSetup {
            watch_bytes: 100_000,
            ..chunk(8, "b-8")
        };
        consumer.ask(Request::Rotate(archive("a-7", Some(next))), &[]);
        write(&mut traced, 200);
        let told = consumer.notice();
        ensure!(
            matches!(told, Notice::SizeReached { chunk_id: 8 }),
            "{told:?}"
        );
        consumer.drain();
        ensure!(consumer.notices.is_empty(), "{:?}", consumer.notices);
        ensure!(consumer.close());
        Ok(())
    });
}
