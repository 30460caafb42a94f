//! Snapshots of the kernel's buffers: they have the newest events, and the next one has them again.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use system_tests::Toolchain::{self, Ours, Stock};
use system_tests::{
    KernelLoad, Relay, Target, Trace, World, here, isolated, place, trees_with_metadata,
};

const BUFFER: usize = (4 * 64) << 10;
/// Bytes of the raw events of one call, at most: entry and exit.
const CALL: usize = 2 * 48;

/// Snapshots of one session, wherever they go.
struct Snapshots {
    target: Target,
    place: PathBuf,
    thread: Option<i64>,
}

impl Snapshots {
    fn start(w: &mut World, relay: Option<&Relay>, mode: &str) -> Result<Self> {
        let target = w.kernel_target()?;
        let local = w.path("snapshots");
        let output = place(relay, &local);
        let channel = format!("--subbuf-size=64k --num-subbuf=4 {mode}");
        KernelLoad::session(&target, &format!("--snapshot {output}"), &channel)?;
        target.script("start")?;
        Ok(Self {
            target,
            place: relay.map_or(local, |relay| relay.output().into()),
            thread: None,
        })
    }

    /// Records one, and reads it.
    fn record(&mut self, name: &str, options: &str) -> Result<(PathBuf, Trace)> {
        let line = format!("snapshot record --name={name} {options}");
        self.target.lttng(&line)?.ok()?;
        let prefix = format!("/{name}-");
        let trees = trees_with_metadata(&self.place)?;
        let found = trees
            .into_iter()
            .find(|tree| tree.display().to_string().contains(&prefix));
        let tree = found.with_context(|| format!("no snapshot {name}"))?;
        let trace = Trace::read(&tree)?;
        trace.assert_clean()?;
        Ok((tree, trace))
    }

    /// The numbers of the calls in a new snapshot.
    fn calls(&mut self, name: &str) -> Result<Vec<i64>> {
        let (_, trace) = self.record(name, "")?;
        let thread = match self.thread {
            Some(thread) => thread,
            None => KernelLoad::thread([&trace])?,
        };
        self.thread = Some(thread);
        let dumps = trace.count("lttng_statedump_start");
        ensure!(dumps == 1, "{name}: {dumps} state dumps");
        Ok(KernelLoad::numbers(&trace, thread))
    }
}

fn expect(name: &str, calls: &[i64], expected: std::ops::Range<i64>) -> Result<()> {
    let (first, last) = (calls.first(), calls.last());
    ensure!(
        calls == expected.clone().collect::<Vec<_>>(),
        "{name}: {} calls from {first:?} to {last:?}, not {expected:?}",
        calls.len()
    );
    Ok(())
}

/// All calls up to the newest, as many as the buffer holds.
fn expect_full(name: &str, calls: &[i64], end: i64) -> Result<()> {
    expect(name, calls, end - calls.len() as i64..end)?;
    // The kernel writes into one of its sub-buffers, and another one is the reader's.
    let fewest = BUFFER * 3 / 4 / CALL;
    ensure!(calls.len() > fewest, "{name}: only {} calls", calls.len());
    ensure!(
        (calls.len() as i64) < end,
        "{name}: nothing was overwritten"
    );
    Ok(())
}

fn newest_events_again_and_again(w: &mut World, relay: Option<Toolchain>) -> Result<()> {
    let relay = relay.map(|toolchain| w.relay(toolchain)).transpose()?;
    let mut snapshots = Snapshots::start(w, relay.as_ref(), "")?;
    let mut load = KernelLoad::start()?;
    load.round(500)?;
    for name in ["first", "again", "third"] {
        expect(name, &snapshots.calls(name)?, 0..500)?;
    }
    load.round(500)?;
    expect("more", &snapshots.calls("more")?, 0..1000)?;
    load.round(30_000)?;
    let flood = snapshots.calls("flood")?;
    expect_full("flood", &flood, 31_000)?;
    ensure!(snapshots.calls("flood2")? == flood, "another flood");
    // What comes takes the place of the oldest.
    load.round(1000)?;
    let after = snapshots.calls("after")?;
    expect_full("after", &after, 32_000)?;

    // Many that bring little take no more place than that.
    for small in 0..40 {
        load.round(10)?;
        let name = format!("small{small}");
        expect_full(&name, &snapshots.calls(&name)?, load.calls())?;
    }

    snapshots.target.lttng("clear")?.ok()?;
    expect("cleared", &snapshots.calls("cleared")?, 0..0)?;
    let end = load.calls();
    load.round(100)?;
    expect("new", &snapshots.calls("new")?, end..end + 100)?;
    snapshots.target.lttng("stop")?.ok()?;
    load.round(100)?;
    expect("stopped", &snapshots.calls("stopped")?, end..end + 100)?;
    load.finish()?;
    snapshots.target.lttng("destroy")?.ok()?;
    Ok(())
}

#[test]
fn local_snapshots_have_the_newest_events() {
    isolated(here!(), |w| newest_events_again_and_again(w, None));
}

#[test]
fn snapshots_on_our_relay_have_the_newest_events() {
    isolated(here!(), |w| newest_events_again_and_again(w, Some(Ours)));
}

#[test]
fn snapshots_on_a_stock_relay_have_the_newest_events() {
    isolated(here!(), |w| newest_events_again_and_again(w, Some(Stock)));
}

/// The thread that made the newest of so many calls.
fn thread_of_newest(trace: &Trace, calls: i64) -> Result<i64> {
    let mut newest = trace.events.iter().rev();
    let newest = newest.find(|event| event.number("mask") == Some(calls - 1));
    newest
        .and_then(|event| event.number("tid"))
        .context("the newest call is missing")
}

/// The sizes of the files of the channel, one for each CPU.
fn files_of_channel(tree: &Path) -> Result<Vec<u64>> {
    let mut sizes = Vec::new();
    for entry in std::fs::read_dir(tree)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("c_") {
            sizes.push(entry.metadata()?.len());
        }
    }
    Ok(sizes)
}

#[test]
fn a_limited_snapshot_has_the_newest_packets() {
    isolated(here!(), |w| {
        let mut snapshots = Snapshots::start(w, None, "")?;
        let mut load = KernelLoad::start()?;
        load.round(30_000)?;
        let (tree, whole) = snapshots.record("whole", "")?;
        // Also those that this test may not use.
        let cpus = files_of_channel(&tree)?.len() as u64;
        let refused = snapshots.target.lttng("snapshot record --max-size=32k")?;
        ensure!(refused.code != 0, "{refused}");
        for packets in 1..=3 {
            let size = (cpus * packets * 64) << 10;
            let options = format!("--max-size={size}");
            let (tree, trace) = snapshots.record(&format!("limited{packets}"), &options)?;
            let bytes: u64 = files_of_channel(&tree)?.iter().sum();
            ensure!(bytes <= size, "{bytes} bytes of at most {size}");
            let thread = thread_of_newest(&whole, load.calls())?;
            let few = KernelLoad::numbers(&trace, thread);
            let all = KernelLoad::numbers(&whole, thread);
            ensure!(all.ends_with(&few), "{packets}: not the newest");
            ensure!(
                few.len() >= 64 * 1024 / 4 / CALL && few.len() < all.len(),
                "{packets}: {} of {} calls",
                few.len(),
                all.len()
            );
        }
        load.finish()?;
        snapshots.target.lttng("destroy")?.ok()?;
        Ok(())
    });
}

/// Without a gap, whatever the kernel overwrites meanwhile.
#[test]
fn snapshots_beside_a_flood_can_be_read() {
    isolated(here!(), |w| {
        let mut snapshots = Snapshots::start(w, None, "")?;
        let mut load = KernelLoad::start()?;
        // So that the first snapshot has something, however late the flood begins.
        load.round(1000)?;
        for number in 0..10 {
            load.begin(30_000)?;
            let name = format!("flood{number}");
            let (_, trace) = snapshots.record(&name, "")?;
            load.end()?;
            // Nobody else makes as many calls.
            let mut times = HashMap::new();
            for event in &trace.events {
                *times.entry(event.number("tid")).or_insert(0) += 1;
            }
            let most = times.into_iter().max_by_key(|(_, times)| *times);
            let thread = most.and_then(|(thread, _)| thread).context("no thread")?;
            let calls = KernelLoad::numbers(&trace, thread);
            let first = *calls.first().context("no call")?;
            expect(&name, &calls, first..first + calls.len() as i64)?;
        }
        load.finish()?;
        snapshots.target.lttng("destroy")?.ok()?;
        Ok(())
    });
}
