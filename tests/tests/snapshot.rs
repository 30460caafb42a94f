//! Snapshots: what the buffers hold is copied, where and as stock LTTng does it, and tracing goes on.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use system_tests::Toolchain::{self, Ours, Stock};
use system_tests::{Target, Trace, World, here, isolated, tree, trees_with_metadata};

const CHANNEL: &str = "enable-channel -u --subbuf-size=4096 --num-subbuf=4 c
     enable-event -u -c c emitter:small";

/// The last events that were written are in the snapshot, without a gap up to the newest.
fn holds_newest(snapshot: &Path, newest: i64) -> Result<usize> {
    let trace = Trace::read(snapshot)?;
    trace.assert_readable()?;
    let numbers: Vec<_> = trace
        .events
        .iter()
        .filter_map(|event| event.number("n"))
        .collect();
    let first = newest + 1 - numbers.len() as i64;
    ensure!(
        !numbers.is_empty() && numbers == (first..=newest).collect::<Vec<_>>(),
        "{}: {numbers:?}, not up to {newest}",
        snapshot.display()
    );
    Ok(numbers.len())
}

/// The one directory below `dir` whose name begins so.
fn snapshot(dir: &Path, prefix: &str) -> Result<PathBuf> {
    let entries = std::fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))?;
    let mut found = entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
    let one = found
        .next()
        .with_context(|| format!("no {prefix} in {}", dir.display()))?;
    ensure!(found.next().is_none(), "several {prefix}");
    Ok(one.path())
}

/// How many streams a snapshot has: one for each CPU that the machine may have.
fn streams(snapshot: &Path) -> Result<usize> {
    let trees = trees_with_metadata(snapshot)?;
    let entries = std::fs::read_dir(trees.first().context("no trace")?)?;
    let names = entries.flatten().map(|entry| entry.file_name());
    Ok(names
        .filter(|name| name.to_string_lossy().starts_with("c_"))
        .count())
}

/// Names without sizes: how many packets there are depends on when buffers were flushed before.
fn names(dir: &Path) -> Result<Vec<String>> {
    let lines = tree(dir)?;
    let name = |line: String| line.split(' ').next().map(str::to_owned);
    // Stock makes the directory of indexes, and never one in it.
    let mut names: Vec<_> = lines.into_iter().filter_map(name).collect();
    names.retain(|name| !name.contains("/index/"));
    Ok(names)
}

fn story(w: &mut World, toolchain: Toolchain, relays: Toolchain) -> Result<Vec<String>> {
    let relay = w.relay(relays)?;
    let target = w.target(toolchain)?;
    let local = w.path(&format!("{}-{}", toolchain.name(), relays.name()));
    let here = w.path(&format!("{}-{}-here", toolchain.name(), relays.name()));
    let refused = |line: &str| -> Result<()> {
        let output = target.lttng(line)?;
        ensure!(output.code != 0, "{line}: {output}");
        Ok(())
    };
    target.script(&format!(
        "create s --snapshot --output={}\n {CHANNEL}",
        local.display()
    ))?;
    refused("snapshot record")?;
    target.script("start")?;
    let mut app = w.app("--events 1000 --quiet").start_on_one_cpu()?;
    app.round()?;
    target.script("snapshot record")?;
    app.round()?;
    // Two packets of 4 KiB of each stream, and a little.
    let streams = streams(&snapshot(&local, "snapshot-1-")?)?;
    target.script(&format!(
        "snapshot record --name=small --max-size={}k",
        streams * 10
    ))?;
    // Not even a packet of each stream.
    refused("snapshot record --name=none --max-size=2k")?;
    target.script(&format!("snapshot record {}", here.display()))?;
    target.script(&format!("snapshot record --name=far {}/a/b", relay.url()))?;
    target.script("snapshot del-output 1")?;
    refused("snapshot record")?;
    target.script(&format!("snapshot add-output --name=net {}", relay.url()))?;
    refused(&format!(
        "snapshot add-output --name=two {}",
        here.display()
    ))?;
    target.script("snapshot record")?;
    app.round()?;
    target.script("stop\n snapshot record --name=stopped")?;
    target.script("clear\n start")?;
    app.round()?;
    target.script("stop\n snapshot record --name=cleared")?;
    app.finish()?;

    holds_newest(&snapshot(&local, "snapshot-1-")?, 999)?;
    let small = holds_newest(&snapshot(&local, "small-")?, 1999)?;
    let whole = holds_newest(&snapshot(&here, "snapshot-0-")?, 1999)?;
    ensure!(small < whole, "{small} of {whole} events");
    let target_directory = relay.output().join("target");
    ensure!(holds_newest(&snapshot(&target_directory.join("a/b"), "far-")?, 1999)? > 0);
    let session = snapshot(&target_directory, "s-")?;
    holds_newest(&snapshot(&session, "net-")?, 1999)?;
    holds_newest(&snapshot(&session, "stopped-")?, 2999)?;
    let cleared = holds_newest(&snapshot(&session, "cleared-")?, 3999)?;
    ensure!(cleared <= 1000, "{cleared} events after clearing");

    target.script("destroy")?;
    target.daemon().terminate()?;
    let mut all = names(&local)?;
    // Stock begins a snapshot that is too small, and leaves its directories.
    all.retain(|name| !name.contains("none-"));
    all.extend(names(&here)?);
    all.extend(names(relay.output())?);
    Ok(all)
}

fn compare(w: &mut World, relays: Toolchain) -> Result<()> {
    let stories = [story(w, Ours, relays)?, story(w, Stock, relays)?];
    ensure!(stories[0] == stories[1], "{stories:#?}");
    Ok(())
}

#[test]
fn snapshots_are_those_of_stock_with_a_stock_relay() {
    isolated(here!(), |w| compare(w, Stock));
}

#[test]
fn snapshots_are_those_of_stock_with_our_relay() {
    isolated(here!(), |w| compare(w, Ours));
}

fn busy_session(w: &mut World) -> Result<(Target, PathBuf)> {
    let target = w.target(Ours)?;
    let output = w.path("snapshots");
    target.script(&format!(
        "create s --snapshot --output={}
         enable-channel -u --subbuf-size=16k --num-subbuf=8 c
         enable-event -u -c c emitter:small
         start",
        output.display()
    ))?;
    Ok((target, output))
}

/// Packets that are being overwritten are left out, and what is there is whole.
#[test]
fn snapshots_beside_a_flood_can_be_read() {
    isolated(here!(), |w| {
        let (target, output) = busy_session(w)?;
        // So that the first snapshot has something, however late the flood begins.
        w.app("--events 1000 --quiet").run_once()?;
        let mut app = w.app("--threads 2 --until-told --quiet").start()?;
        app.round_beside(|| {
            for _ in 0..10 {
                target.script("snapshot record")?;
            }
            Ok(())
        })?;
        target.script("snapshot record --name=last")?;
        app.finish()?;
        let trees = trees_with_metadata(&output)?;
        ensure!(trees.len() == 11, "{trees:?}");
        for tree in &trees {
            let trace = Trace::read(tree)?;
            trace.assert_readable()?;
            ensure!(!trace.events.is_empty(), "{} is empty", tree.display());
        }
        target.script("destroy")
    });
}

/// A session without applications, and one whose application has ended.
#[test]
fn there_may_be_nothing_to_record() {
    isolated(here!(), |w| {
        let (target, _) = busy_session(w)?;
        target.script("snapshot record")?;
        w.app("--events 10 --quiet").run_once()?;
        target.script("snapshot record --name=after\n stop\n destroy")
    });
}

/// A session without output has snapshots when it is told where they go.
#[test]
fn a_session_without_output_can_be_copied() {
    isolated(here!(), |w| {
        for toolchain in [Ours, Stock] {
            let target = w.target(toolchain)?;
            target.script(&format!("create s --no-output\n {CHANNEL}\n start"))?;
            w.app("--events 10 --quiet").run_once()?;
            ensure!(target.lttng("snapshot record")?.code != 0);
            let here = w.path(toolchain.name());
            target.script(&format!("snapshot record {}", here.display()))?;
            holds_newest(&snapshot(&here, "snapshot-0-")?, 9)?;
            target.script(&format!("create local --output={}", w.path("x").display()))?;
            ensure!(target.lttng("snapshot record")?.code != 0);
            target.script("destroy -a")?;
            target.daemon().terminate()?;
        }
        Ok(())
    });
}
