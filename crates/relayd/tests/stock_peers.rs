//! Stock session and consumer daemons stream into this relay daemon, and everything that moves trace
//! chunks around comes out as babeltrace2 wants it. Plain sessions are in the system tests.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use system_tests::Toolchain::{Ours, Stock};
use system_tests::{
    App, Relay, Target, Trace, World, check_indexes, here, isolated, trees_with_metadata,
};

/// A relay daemon of ours, a stock session daemon, and a started session `s` that streams to it.
struct Session {
    relay: Relay,
    target: Target,
    app: App,
    /// All events emitted so far.
    lines: Vec<String>,
}

impl Session {
    fn start(w: &mut World, create: &str, channel: &str) -> Result<Self> {
        let relay = w.relay(Ours)?;
        let target = w.target(Stock)?;
        target.script(&format!(
            "create s --set-url={} {create}
             enable-channel -u c --subbuf-size=4k --num-subbuf=8 --blocking-timeout=inf {channel}
             enable-event -u -c c emitter:*
             start",
            relay.url()
        ))?;
        let app = w
            .app("--kind fields --threads 2 --events 50")
            .blocking()
            .start()?;
        Ok(Self {
            relay,
            target,
            app,
            lines: Vec::new(),
        })
    }

    fn round(&mut self) -> Result<Vec<String>> {
        let lines = self.app.round()?.lines;
        ensure!(!lines.is_empty(), "the emitter printed no events");
        self.lines.extend(lines.iter().cloned());
        Ok(lines)
    }

    fn lttng(&self, line: &str) -> Result<()> {
        self.target.lttng(line)?.ok().map(drop)
    }

    /// `OUTPUT/target/s-TIME`.
    fn directory(&self) -> Result<PathBuf> {
        only_entry(&self.relay.output().join("target"))
    }

    /// Destroys the session, and checks all that is left of it.
    fn finish(self) -> Result<PathBuf> {
        let directory = self.directory()?;
        self.lttng("destroy")?;
        self.app.finish()?;
        self.target.daemon().terminate()?;
        self.relay.daemon().terminate()?;
        self.target.daemon().assert_no_complaints()?;
        self.relay.daemon().assert_no_complaints()?;
        check_indexes(&directory)?;
        for tree in trees_with_metadata(&directory)? {
            Trace::read(&tree)?.assert_clean()?;
            ensure!(
                !tree.to_string_lossy().contains(".tmp"),
                "left over: {}",
                tree.display()
            );
        }
        Ok(directory)
    }
}

fn only_entry(directory: &Path) -> Result<PathBuf> {
    let mut entries = std::fs::read_dir(directory)?;
    let entry = entries.next().context("nothing there")??;
    ensure!(
        entries.next().is_none(),
        "more than one entry in {}",
        directory.display()
    );
    Ok(entry.path())
}

fn names(directory: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

#[test]
fn rotation_while_tracing() {
    isolated(here!(), |w| {
        let mut s = Session::start(w, "", "")?;
        let mut rounds = vec![s.round()?];
        for _ in 0..2 {
            s.lttng("rotate")?;
            rounds.push(s.round()?);
        }
        let directory = s.finish()?;
        ensure!(
            names(&directory)? == ["archives"],
            "{:?}",
            names(&directory)?
        );
        let archives = names(&directory.join("archives"))?;
        ensure!(archives.len() == 3, "{archives:?}");
        for (nr, round) in rounds.iter().enumerate() {
            let suffix = format!("-{nr}");
            let name = archives
                .iter()
                .find(|name| name.ends_with(&suffix))
                .context("no chunk")?;
            Trace::read(&directory.join("archives").join(name))?.assert_lines(round)?;
        }
        Ok(())
    });
}

#[test]
fn rotation_of_a_stopped_session_and_start_again() {
    isolated(here!(), |w| {
        let mut s = Session::start(w, "", "--buffers-pid")?;
        let before = s.round()?;
        s.target.script("stop\n rotate\n start")?;
        let after = s.round()?;
        let directory = s.finish()?;
        let archives = directory.join("archives");
        let names = names(&archives)?;
        ensure!(names.len() == 2, "{names:?}");
        let first = names
            .iter()
            .find(|name| name.ends_with("-0"))
            .context("no chunk 0")?;
        Trace::read(&archives.join(first))?.assert_lines(&before)?;
        let second = names
            .iter()
            .find(|name| name.ends_with("-1"))
            .context("no chunk 1")?;
        Trace::read(&archives.join(second))?.assert_lines(&after)
    });
}

#[test]
fn clear_while_tracing_and_after_stop() {
    isolated(here!(), |w| {
        let mut s = Session::start(w, "", "")?;
        s.round()?;
        s.lttng("clear")?;
        s.round()?;
        s.target.script("stop\n clear\n start")?;
        let last = s.round()?;
        let directory = s.finish()?;
        ensure!(names(&directory)? == ["ust"], "{:?}", names(&directory)?);
        Trace::read(&directory)?.assert_lines(&last)
    });
}

#[test]
fn regenerated_metadata_starts_again() {
    isolated(here!(), |w| {
        let mut s = Session::start(w, "", "")?;
        s.round()?;
        s.lttng("regenerate metadata")?;
        s.round()?;
        let lines = s.lines.clone();
        Trace::read(&s.finish()?)?.assert_lines(&lines)
    });
}

#[test]
fn snapshots() {
    isolated(here!(), |w| {
        let relay = w.relay(Ours)?;
        let target = w.target(Stock)?;
        target.script(&format!(
            "create s --snapshot --set-url={}
             enable-channel -u c --subbuf-size=64k --num-subbuf=4
             enable-event -u -c c emitter:*
             start",
            relay.url()
        ))?;
        let mut app = w.app("--kind small --events 20").start()?;
        let mut lines = app.round()?.lines;
        target.lttng("snapshot record")?.ok()?;
        let first = lines.clone();
        lines.extend(app.round()?.lines);
        target.lttng("snapshot record -n mine")?.ok()?;
        app.finish()?;
        target.lttng("destroy")?.ok()?;
        target.daemon().terminate()?;
        relay.daemon().terminate()?;
        let session = only_entry(&relay.output().join("target"))?;
        let names = names(&session)?;
        ensure!(names.len() == 2, "{names:?}");
        let chunk = |name: &str| {
            let name = names.iter().find(|found| found.starts_with(name));
            name.map(|name| session.join(name))
                .context("no such snapshot")
        };
        Trace::read(&chunk("snapshot-1-")?)?.assert_lines(&first)?;
        Trace::read(&chunk("mine-")?)?.assert_lines(&lines)?;
        target.daemon().assert_no_complaints()?;
        relay.daemon().assert_no_complaints()
    });
}

#[test]
fn tracefiles_of_limited_size_and_unlimited_count() {
    isolated(here!(), |w| {
        // No count: stock's relay daemon dies of it.
        let mut s = Session::start(w, "", "--tracefile-size=16384")?;
        s.app.pin()?;
        for _ in 0..3 {
            s.round()?;
        }
        let lines = s.lines.clone();
        let directory = s.finish()?;
        let tree = directory.join("ust/uid/0/64-bit");
        let names = names(&tree)?;
        let third = |name: &String| name.starts_with("c_") && name.ends_with("_2");
        ensure!(names.iter().any(third), "{names:?}");
        Trace::read(&directory)?.assert_lines(&lines)
    });
}

#[test]
fn tracefiles_that_wrap_keep_the_newest_events() {
    isolated(here!(), |w| {
        let mut s = Session::start(w, "", "--tracefile-size=16384 --tracefile-count=2")?;
        s.app.pin()?;
        for _ in 0..4 {
            s.round()?;
        }
        let lines = s.lines.clone();
        let directory = s.directory()?;
        s.lttng("destroy")?;
        let tree = directory.join("ust/uid/0/64-bit");
        for entry in std::fs::read_dir(&tree)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("c_") {
                ensure!(name.ends_with("_0") || name.ends_with("_1"), "{name}");
                ensure!(
                    entry.metadata()?.len() <= 16384,
                    "{name}: {}",
                    entry.metadata()?.len()
                );
            }
        }
        check_indexes(&directory)?;
        let found = Trace::read(&directory)?.sorted_lines();
        ensure!(
            !found.is_empty() && found.len() < lines.len(),
            "{} events",
            found.len()
        );
        ensure!(
            found.iter().all(|line| lines.contains(line)),
            "events nobody wrote"
        );
        Ok(())
    });
}

#[test]
fn live_sessions_are_received() {
    isolated(here!(), |w| {
        // Beacons come all the time; they must not end up in the indexes.
        let mut s = Session::start(w, "--live=10000", "")?;
        s.round()?;
        s.round()?;
        let lines = s.lines.clone();
        Trace::read(&s.finish()?)?.assert_lines(&lines)
    });
}

#[test]
fn two_sessions_rotate_without_waiting_for_each_other() {
    isolated(here!(), |w| {
        let mut s = Session::start(w, "", "")?;
        s.target.script(&format!(
            "create t --set-url={}/t
             enable-event -u emitter:*
             start",
            s.relay.url()
        ))?;
        s.round()?;
        // The stock relay daemon mixes the two up, and this hangs.
        s.target
            .script("rotate s\n rotate t\n rotate s\n destroy t")?;
        let t = s.relay.output().join("target/t");
        ensure!(
            names(&t.join("archives"))?.len() == 2,
            "{:?}",
            names(&t.join("archives"))?
        );
        std::fs::remove_dir_all(&t)?;
        s.lttng("set-session s")?;
        s.finish().map(drop)
    });
}

#[test]
fn applications_come_and_go() {
    isolated(here!(), |w| {
        let mut s = Session::start(w, "", "--buffers-pid")?;
        s.round()?;
        for first in 2..6 {
            let args = format!("--kind fields --threads 1 --events 20 --first-thread {first}");
            let round = w.app(&args).blocking().run_once()?;
            s.lines.extend(round.lines);
        }
        let lines = s.lines.clone();
        let directory = s.finish()?;
        let trees = trees_with_metadata(&directory)?;
        ensure!(trees.len() == 5, "{trees:?}");
        Trace::read(&directory)?.assert_lines(&lines)
    });
}
