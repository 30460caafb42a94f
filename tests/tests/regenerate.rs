//! Metadata that are written again, and applications that record their state again.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use system_tests::Toolchain::{Ours, Stock};
use system_tests::{
    Relay, Target, Trace, World, check_indexes, eventually, here, isolated, run,
    trees_with_metadata,
};

/// How the event that begins each record of the state is called.
const STATE: &str = "lttng_ust_statedump:start";

fn start(target: &Target, output: &str) -> Result<()> {
    target.script(&format!(
        "create s {output}
         enable-channel -u c --blocking-timeout=inf
         enable-event -u -c c emitter:*,lttng_ust_statedump:*
         start"
    ))
}

fn metadata_below(directory: &Path) -> Result<PathBuf> {
    let trees = trees_with_metadata(directory)?;
    let [tree] = &trees[..] else {
        anyhow::bail!("traces: {trees:?}");
    };
    Ok(tree.join("metadata"))
}

/// The metadata text without what the clock says of its distance from the Epoch.
fn text(metadata: &Path) -> Result<String> {
    let dumped = run(std::process::Command::new("babeltrace2")
        .args(["-o", "ctf-metadata"])
        .arg(metadata.parent().context("no directory")?))?
    .ok()?;
    let lines = dumped.stdout.lines();
    let lines = lines.filter(|line| !line.trim_start().starts_with("offset = "));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// Somebody spoils the metadata; written again they are whole, and what follows is in them too.
fn metadata_become_whole(w: &mut World, target: &Target, at: &Path, output: &str) -> Result<()> {
    start(target, output)?;
    let mut app = w.app("--kind fields --events 20").start()?;
    let mut lines = app.round()?.lines;
    target.script("stop\n start")?;
    let metadata = metadata_below(at)?;
    let before = text(&metadata)?;
    std::fs::write(&metadata, b"not what a reader expects")?;
    target.lttng("regenerate metadata")?.ok()?;
    eventually("the metadata are whole", || {
        Ok(text(&metadata).ok().filter(|now| *now == before))
    })?;
    // Once more, with events of which the metadata say nothing yet.
    target.lttng("metadata regenerate -s s")?.ok()?;
    lines.extend(w.app("--kind small --events 20").run_once()?.lines);
    lines.extend(app.round()?.lines);
    app.finish()?;
    target.script("stop\n destroy")?;
    let mut trace = Trace::read(at)?;
    trace.assert_clean()?;
    trace
        .events
        .retain(|event| event.name.starts_with("emitter:"));
    trace.assert_lines(&lines)?;
    check_indexes(metadata.parent().context("no directory")?)?;
    Ok(())
}

fn url(relay: &Relay) -> String {
    format!("--set-url={}", relay.url())
}

#[test]
fn local_metadata_are_written_again() {
    isolated(here!(), |w| {
        let target = w.target(Ours)?;
        let at = w.path("traces/s");
        metadata_become_whole(w, &target, &at, &format!("-o {}", at.display()))
    });
}

#[test]
fn metadata_at_a_relay_daemon_are_written_again() {
    isolated(here!(), |w| {
        let (relay, target) = (w.relay(Ours)?, w.target(Ours)?);
        metadata_become_whole(w, &target, relay.output(), &url(&relay))
    });
}

#[test]
fn metadata_at_a_stock_relay_daemon_are_written_again() {
    isolated(here!(), |w| {
        let (relay, target) = (w.relay(Stock)?, w.target(Ours)?);
        metadata_become_whole(w, &target, relay.output(), &url(&relay))
    });
}

/// Each application of the session records its state once more, those per process as well.
#[test]
fn applications_record_their_state_again() {
    isolated(here!(), |w| {
        for (name, buffers) in [("uid", "--buffers-uid"), ("pid", "--buffers-pid")] {
            let relay = w.relay_into(Ours, &w.path(name))?;
            let target = w.target(Ours)?;
            target.script(&format!(
                "create s {}
                 enable-channel -u c {buffers} --blocking-timeout=inf
                 enable-event -u -c c *
                 start",
                url(&relay)
            ))?;
            let apps = [1, 2].map(|_| w.app("--kind small --events 5").start());
            let mut apps = apps.into_iter().collect::<Result<Vec<_>>>()?;
            for app in &mut apps {
                app.round()?;
            }
            target.lttng("regenerate statedump")?.ok()?;
            target.lttng("regenerate statedump -s s")?.ok()?;
            // The answer comes when the state is recorded: the applications may end.
            for app in apps {
                app.finish()?;
            }
            target.script("stop\n destroy")?;
            let trace = Trace::read(relay.output())?;
            trace.assert_clean()?;
            ensure!(trace.count(STATE) == 6, "{} states", trace.count(STATE));
            ensure!(trace.count("emitter:small") == 10);
            target.daemon().terminate()?;
        }
        Ok(())
    });
}

/// A session that does not trace has nothing to write again.
#[test]
fn an_inactive_session_is_refused() {
    isolated(here!(), |w| {
        let target = w.target(Ours)?;
        let at = w.path("traces/s");
        start(&target, &format!("-o {}", at.display()))?;
        let round = w.app("--kind small --events 5").run_once()?;
        target.lttng("stop")?.ok()?;
        let files = metadata_below(&at)?;
        let before = std::fs::read(&files)?;
        for line in [
            "regenerate metadata",
            "regenerate statedump",
            "metadata regenerate",
        ] {
            let refused = target.lttng(line)?;
            ensure!(refused.code == 118, "{refused}");
        }
        ensure!(std::fs::read(&files)? == before, "the metadata changed");
        target.lttng("destroy")?.ok()?;
        let trace = Trace::read(&at)?;
        ensure!(trace.count("emitter:small") == round.lines.len());
        ensure!(trace.count(STATE) == 1);
        Ok(())
    });
}
