//! Rotations: the trees they leave are those of stock LTTng, every archive is a readable trace, and over all
//! archives together every event is there exactly once.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use system_tests::Toolchain::{self, Ours, Stock};
use system_tests::{
    App, Relay, Signal, Story, Target, Trace, World, check_indexes, count_distinct, eventually,
    here, isolated, isolated_for, same_story, signal, tree, trees_with_metadata,
};

const LIMIT: Duration = Duration::from_secs(200);

const CREATE: &str = "enable-channel -u --subbuf-size=4096 --num-subbuf=4 c
     enable-event -u -c c emitter:small";

/// Every way to end a chunk, with the trees after each.
fn story(w: &World, target: &Target, url: &str, output: &Path) -> Result<Vec<String>> {
    target.script(&format!("create s {url}\n {CREATE}"))?;
    let mut story = Story::new(target, output);
    let mut app = w.app("--events 100 --quiet").start_on_one_cpu()?;
    target.script("start")?;
    app.round()?;
    story.run_active("rotate")?;
    app.round()?;
    story.run_active("rotate")?;
    story.run_active("rotate")?;
    target.script("stop")?;
    story.run("rotate")?;
    // Nothing came since.
    story.run("rotate")?;
    story.run_active("start")?;
    app.round()?;
    target.script("stop")?;
    story.run("destroy")?;
    app.finish()?;
    Ok(story.end())
}

fn check_archives(dir: &Path, events: usize) -> Result<()> {
    let mut found = 0;
    let trees = trees_with_metadata(dir)?;
    for tree in &trees {
        let trace = Trace::read(tree)?;
        trace.assert_clean()?;
        found += trace.events.len();
        check_indexes(tree)?;
    }
    ensure!(trees.len() == 5, "{trees:?}");
    ensure!(found == events, "{found} events, not {events}");
    Ok(())
}

#[test]
fn local_trees_are_those_of_stock() {
    isolated(here!(), |w| {
        let mut stories = Vec::new();
        for toolchain in [Ours, Stock] {
            let target = w.target(toolchain)?;
            let output = w.path(toolchain.name());
            let url = format!("-o {}", output.display());
            stories.push(story(w, &target, &url, &output)?);
            check_archives(&output, 300)?;
            target.daemon().terminate()?;
        }
        same_story(&stories[0], &stories[1])
    });
}

fn relay_trees(w: &mut World, relays: Toolchain) -> Result<()> {
    let mut stories = Vec::new();
    for toolchain in [Ours, Stock] {
        let relay = w.relay(relays)?;
        let target = w.target(toolchain)?;
        let url = format!("--set-url={}", relay.url());
        stories.push(story(w, &target, &url, relay.output())?);
        check_archives(relay.output(), 300)?;
        relay.daemon().assert_no_complaints()?;
        target.daemon().terminate()?;
    }
    same_story(&stories[0], &stories[1])
}

#[test]
fn trees_on_a_stock_relay_are_those_of_stock() {
    isolated(here!(), |w| relay_trees(w, Stock));
}

#[test]
fn trees_on_our_relay_are_those_of_stock() {
    isolated(here!(), |w| relay_trees(w, Ours));
}

#[test]
fn buffers_of_processes_rotate_with_the_processes_that_live() {
    isolated(here!(), |w| {
        let mut trees = Vec::new();
        for toolchain in [Ours, Stock] {
            let target = w.target(toolchain)?;
            let output = w.path(toolchain.name());
            target.script(&format!(
                "create s -o {}
                 enable-channel -u --buffers-pid --subbuf-size=4096 --num-subbuf=4 c
                 enable-event -u -c c emitter:small
                 start",
                output.display()
            ))?;
            let mut stays = w.app("--events 100 --quiet").start_on_one_cpu()?;
            stays.round()?;
            w.app("--events 10 --quiet").run_once()?;
            // The end of an application is noticed when it is.
            eventually("the application is gone", || {
                let rotated = target.lttng("rotate")?;
                ensure!(rotated.code == 0, "{rotated}");
                let current = std::fs::read_dir(&output)?.flatten();
                let current = current
                    .map(|entry| entry.path())
                    .find(|path| !path.ends_with("archives"));
                let traces = trees_with_metadata(&current.context("no chunk")?)?;
                Ok((traces.len() == 1).then_some(()))
            })?;
            stays.round()?;
            stays.finish()?;
            target.script("stop\n destroy")?;
            let trace = Trace::read(&output)?;
            trace.assert_clean()?;
            ensure!(trace.events.len() == 210, "{}", trace.events.len());
            trees.push(tree(&output)?.len());
            target.daemon().terminate()?;
        }
        Ok(())
    });
}

#[test]
fn what_cannot_be_rotated_is_refused_as_stock_does() {
    isolated(here!(), |w| {
        let mut answers = Vec::new();
        for toolchain in [Ours, Stock] {
            let relay = w.relay(Stock)?;
            let target = w.target(toolchain)?;
            let mut said = Vec::new();
            let mut refused = |line: &str| -> Result<()> {
                let output = target.lttng(line)?;
                ensure!(output.code != 0, "{line}: {output}");
                // Ours says more below it.
                let first = output.stderr.lines().next();
                said.push(first.unwrap_or_default().to_owned());
                Ok(())
            };
            target.script(&format!(
                "create fresh -o {}\n {CREATE}",
                w.path("fresh").display()
            ))?;
            refused("rotate fresh")?;
            target.script(&format!("create none --no-output\n {CREATE}\n start"))?;
            refused("rotate none")?;
            target.script(&format!(
                "create live --live --set-url={}\n {CREATE}\n start",
                relay.url()
            ))?;
            refused("rotate live")?;
            target.script(&format!("create snap --snapshot\n {CREATE}\n start"))?;
            refused("rotate snap")?;
            refused("enable-rotation --session=snap --timer=1s")?;
            refused("disable-rotation --session=fresh --timer")?;
            target.script("enable-rotation --session=fresh --size=1M")?;
            refused("enable-rotation --session=fresh --size=2M")?;
            target.script("disable-rotation --session=fresh --size\n destroy -a")?;
            answers.push(said);
            target.daemon().terminate()?;
        }
        ensure!(answers[0] == answers[1], "{answers:#?}");
        Ok(())
    });
}

/// A session in blocking mode, and an application that never loses an event.
struct Flood {
    target: Target,
    app: App,
}

impl Flood {
    fn start(w: &mut World, output: &str) -> Result<Self> {
        let target = w.target(Ours)?;
        target.script(&format!(
            "create s {output}
             enable-channel -u --subbuf-size=16k --num-subbuf=64 --blocking-timeout=inf c
             enable-event -u -c c emitter:small
             start"
        ))?;
        let app = w
            .app("--threads 2 --rate 10000 --until-told --quiet")
            .blocking()
            .start()?;
        Ok(Self { target, app })
    }

    /// Lets the application run beside `work`, and ends everything. Returns how many events there were.
    fn beside(mut self, work: impl FnOnce(&Target) -> Result<()>) -> Result<u64> {
        let emitted = self.app.round_beside(|| work(&self.target))?.loops;
        self.app.finish()?;
        self.target.script("stop\n destroy")?;
        Ok(emitted)
    }
}

/// Every chunk is a readable trace by itself, and every event is in one of them.
fn exactly_once(trees: &[PathBuf], emitted: u64) -> Result<()> {
    let found = count_distinct(trees)?;
    ensure!(found == emitted, "{found} of {emitted} events");
    Ok(())
}

#[test]
fn every_event_is_in_one_local_archive() {
    isolated_for(LIMIT, here!(), |w| {
        let output = w.path("traces/s");
        let flood = Flood::start(w, &format!("-o {}", output.display()))?;
        let emitted = flood.beside(|target| {
            for _ in 0..40 {
                target.script("rotate")?;
            }
            Ok(())
        })?;
        let trees = trees_with_metadata(&output.join("archives"))?;
        ensure!(trees.len() == 41, "{} archives", trees.len());
        exactly_once(&trees, emitted)
    });
}

fn archives_of_a_relay(w: &mut World, relays: Toolchain) -> Result<()> {
    let relay = w.relay(relays)?;
    let flood = Flood::start(w, &format!("--set-url={}", relay.url()))?;
    let emitted = flood.beside(|target| {
        for _ in 0..30 {
            target.script("rotate")?;
        }
        Ok(())
    })?;
    relay.daemon().assert_no_complaints()?;
    let trees = trees_with_metadata(relay.output())?;
    ensure!(trees.len() == 31, "{} archives", trees.len());
    let archived = |tree: &PathBuf| tree.components().any(|part| part.as_os_str() == "archives");
    ensure!(trees.iter().all(archived), "{trees:?}");
    exactly_once(&trees, emitted)
}

#[test]
fn every_event_is_in_one_archive_of_a_stock_relay() {
    isolated_for(LIMIT, here!(), |w| archives_of_a_relay(w, Stock));
}

#[test]
fn every_event_is_in_one_archive_of_our_relay() {
    isolated_for(LIMIT, here!(), |w| archives_of_a_relay(w, Ours));
}

fn kill_consumer(target: &Target) -> Result<()> {
    for pid in target.consumers() {
        // It may be gone since.
        let _ = signal(pid, Signal::KILL);
    }
    Ok(())
}

/// A consumer daemon that is killed in a rotation has a successor, which goes on with it.
#[test]
fn a_rotation_survives_the_consumer_daemon() {
    isolated_for(LIMIT, here!(), |w| {
        let output = w.path("traces/s");
        let flood = Flood::start(w, &format!("-o {}", output.display()))?;
        let mut rotations = 0;
        let emitted = flood.beside(|target| {
            // Less than ten, after which a session gives up.
            for delay_ms in [0, 1, 2, 3, 5, 8, 12] {
                target.script("rotate --no-wait")?;
                std::thread::sleep(Duration::from_millis(delay_ms));
                kill_consumer(target)?;
                eventually("the rotation is complete", || {
                    let next = target.lttng("rotate")?;
                    if next.code == 0 {
                        rotations += 1;
                        return Ok(Some(()));
                    }
                    let pending = next.stderr.contains("pending");
                    ensure!(pending, "{next}");
                    Ok(None)
                })?;
                rotations += 1;
                // The deaths are spread over the time in which the session puts up with them.
                std::thread::sleep(Duration::from_millis(500));
            }
            Ok(())
        })?;
        let trees = trees_with_metadata(&output.join("archives"))?;
        ensure!(
            trees.len() == rotations + 1,
            "{} archives, {rotations} rotations",
            trees.len()
        );
        exactly_once(&trees, emitted)
    });
}

fn relay_with_kills(w: &mut World, relays: Toolchain) -> Result<()> {
    let relay = w.relay(relays)?;
    let flood = Flood::start(w, &format!("--set-url={}", relay.url()))?;
    let emitted = flood.beside(|target| {
        for delay_ms in [0, 1, 3, 6, 10] {
            target.script("rotate --no-wait")?;
            std::thread::sleep(Duration::from_millis(delay_ms));
            kill_consumer(target)?;
            // In the next place, which the successor has opened.
            eventually("the session is rotated again", || {
                Ok(target.lttng("rotate")?.code.eq(&0).then_some(()))
            })?;
            std::thread::sleep(Duration::from_millis(500));
        }
        Ok(())
    })?;
    exactly_once(&trees_with_metadata(relay.output())?, emitted)
}

#[test]
fn a_relay_has_every_event_once_when_consumer_daemons_die_in_rotations() {
    isolated_for(LIMIT, here!(), |w| relay_with_kills(w, Ours));
}

#[test]
fn a_stock_relay_has_every_event_once_when_consumer_daemons_die_in_rotations() {
    isolated_for(LIMIT, here!(), |w| relay_with_kills(w, Stock));
}

fn archives(relay: Option<&Relay>, local: &Path) -> Result<usize> {
    let dir = relay.map_or(local, Relay::output);
    if !dir.exists() {
        return Ok(0);
    }
    let trees = trees_with_metadata(dir)?;
    let archived = |tree: &&PathBuf| tree.components().any(|part| part.as_os_str() == "archives");
    Ok(trees.iter().filter(archived).count())
}

#[test]
fn schedules_rotate_by_themselves() {
    isolated(here!(), |w| {
        for toolchain in [Ours, Stock] {
            let relay = w.relay(toolchain)?;
            let target = w.target(toolchain)?;
            for (kind, relay) in [
                ("timer=200ms", None),
                ("size=20k", Some(&relay)),
                ("size=20k", None),
            ] {
                let output = w.path(&format!("{}-{kind}-{}", toolchain.name(), relay.is_some()));
                let url = match relay {
                    Some(relay) => format!("--set-url={}", relay.url()),
                    None => format!("-o {}", output.display()),
                };
                target.script(&format!(
                    "create s {url}\n {CREATE}\n enable-rotation --{kind}\n start"
                ))?;
                let mut app = w.app("--events 100 --quiet").start_on_one_cpu()?;
                let mut rounds = 0;
                eventually("three archives", || {
                    app.round()?;
                    rounds += 1;
                    // The buffers are small, and so is what one round may put into them.
                    std::thread::sleep(Duration::from_millis(20));
                    Ok((archives(relay, &output)? >= 3).then_some(()))
                })?;
                // One that is under way would be in the way of the next command of stock.
                target.script("stop")?;
                eventually("the schedule is removed", || {
                    let option = kind.split('=').next().unwrap_or_default();
                    let disabled = target.lttng(&format!("disable-rotation --{option}"))?;
                    Ok((disabled.code == 0).then_some(()))
                })?;
                target.script("destroy")?;
                app.finish()?;
            }
            target.daemon().terminate()?;
        }
        Ok(())
    });
}

/// Files of a limited size and number begin again in each chunk.
fn limited_files(w: &mut World, relays: Option<Toolchain>) -> Result<()> {
    let mut stories = Vec::new();
    for toolchain in [Ours, Stock] {
        let relay = relays.map(|relays| w.relay(relays)).transpose()?;
        let target = w.target(toolchain)?;
        let local = w.path(toolchain.name());
        let (url, output) = match &relay {
            Some(relay) => (format!("--set-url={}", relay.url()), relay.output()),
            None => (format!("-o {}", local.display()), local.as_path()),
        };
        target.script(&format!(
            "create s {url}
             enable-channel -u --subbuf-size=4096 --num-subbuf=64 --tracefile-size=8192 --tracefile-count=3 c
             enable-event -u -c c emitter:small
             start"
        ))?;
        let mut app = w.app("--events 1000 --quiet").start_on_one_cpu()?;
        app.round()?;
        target.script("rotate")?;
        app.round()?;
        target.script("stop\n rotate\n destroy")?;
        app.finish()?;
        stories.push(tree(output)?);
        target.daemon().terminate()?;
    }
    same_story(&stories[0], &stories[1])
}

#[test]
fn limited_local_files_are_those_of_stock() {
    isolated(here!(), |w| limited_files(w, None));
}

#[test]
fn limited_files_on_a_relay_are_those_of_stock() {
    isolated(here!(), |w| limited_files(w, Some(Stock)));
}

/// The relay daemon dies in a rotation: the rotation fails or not, the session goes on at the next one.
#[test]
fn a_session_survives_a_relay_that_dies_in_a_rotation() {
    isolated_for(LIMIT, here!(), |w| {
        let mut relay = w.relay(Ours)?;
        let target = w.target(Ours)?;
        target.script(&format!(
            "create s --set-url={}\n {CREATE}\n start",
            relay.url()
        ))?;
        let mut app = w.app("--events 100 --quiet").start_on_one_cpu()?;
        for round in 0..3 {
            app.round()?;
            target.script("rotate --no-wait")?;
            relay.daemon().kill()?;
            let next = w.path(&format!("next{round}"));
            relay = w.relay_in_place_of(&relay, Ours, &next)?;
            eventually("the session is rotated on the next relay", || {
                Ok((target.lttng("rotate")?.code == 0).then_some(()))
            })?;
        }
        app.round()?;
        app.finish()?;
        target.script("stop\n destroy")?;
        let trace = Trace::read(relay.output())?;
        trace.assert_clean()?;
        let last: Vec<_> = trace
            .events
            .iter()
            .filter_map(|event| event.number("n"))
            .collect();
        ensure!(last.ends_with(&(300..400).collect::<Vec<_>>()), "{last:?}");
        relay.daemon().assert_no_complaints()
    });
}
