//! Stock session and consumer daemons stream the same session into the stock relay daemon and into ours: the
//! same events, in the same trees of files.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use system_tests::Toolchain::{Ours, Stock};
use system_tests::{
    App, Relay, Target, Toolchain, Trace, World, check_indexes, eventually, here, isolated,
    trees_with_metadata,
};

/// A started session and what its application said.
struct Scene {
    relay: Relay,
    target: Target,
    app: App,
    lines: Vec<String>,
    has_indexes: bool,
}

impl Scene {
    fn start(w: &mut World, toolchain: Toolchain, create: &str, channel: &str) -> Result<Self> {
        let is_snapshot = create.contains("--snapshot");
        // Nothing may be discarded; in snapshots the oldest is overwritten.
        let full = if is_snapshot {
            "--overwrite"
        } else {
            "--blocking-timeout=inf"
        };
        let relay = w.relay(toolchain)?;
        let target = w.target(Stock)?;
        target.script(&format!(
            "create s --set-url={} {create}
             enable-channel -u c --subbuf-size=16k --num-subbuf=8 {full} {channel}
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
            // Stock sends none for snapshots.
            has_indexes: !is_snapshot,
        })
    }

    fn round(&mut self) -> Result<()> {
        let lines = self.app.round()?.lines;
        ensure!(!lines.is_empty(), "the emitter printed no events");
        self.lines.extend(lines);
        Ok(())
    }

    fn lttng(&self, line: &str) -> Result<()> {
        self.target.lttng(line)?.ok().map(drop)
    }

    /// What was emitted so far is not wanted.
    fn forget(&mut self) {
        self.lines.clear();
    }

    /// Ends everything; the names of all files, once all events are found to be in them.
    fn finish(mut self) -> Result<BTreeSet<String>> {
        self.lttng("destroy --all")?;
        self.app.finish()?;
        self.target.daemon().terminate()?;
        self.relay.daemon().terminate()?;
        self.target.daemon().assert_no_complaints()?;
        let output = self.relay.output();
        if self.has_indexes {
            check_indexes(output)?;
        }
        let mut found = Vec::new();
        for tree in trees_with_metadata(output)? {
            let trace = Trace::read(&tree)?;
            trace.assert_clean()?;
            found.extend(trace.sorted_lines());
        }
        found.sort();
        self.lines.sort();
        ensure!(
            found == self.lines,
            "{} events of {}",
            found.len(),
            self.lines.len()
        );
        let mut names = BTreeSet::new();
        collect(output, output, &mut names)?;
        Ok(names)
    }
}

/// What is moved away meanwhile, as chunks are, may be left out.
fn collect(root: &Path, directory: &Path, names: &mut BTreeSet<String>) -> Result<()> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path: PathBuf = entry?.path();
        // Whether a stream without events has a packet in a chunk is a matter of time, so is its index.
        if path.extension().is_none_or(|end| end != "idx") {
            names.insert(timeless(path.strip_prefix(root)?));
        }
        if path.is_dir() {
            collect(root, &path, names)?;
        }
    }
    Ok(())
}

/// A path without times and process ids.
fn timeless(path: &Path) -> String {
    let mut timeless = String::new();
    for component in path.iter() {
        let component = component.to_string_lossy();
        timeless.push('/');
        if component.starts_with("emitter-") {
            timeless.push_str("emitter-PID-TIME");
            continue;
        }
        let mut digits = String::new();
        for c in component.chars().chain(['\0']) {
            if c.is_ascii_digit() {
                digits.push(c);
                continue;
            }
            // Numbers of chunks and CPUs are short.
            timeless.push_str(if digits.len() < 4 { &digits } else { "N" });
            digits.clear();
            if c != '\0' {
                timeless.push(c);
            }
        }
    }
    timeless
}

/// Plays it with each relay daemon.
fn same(
    w: &mut World,
    play: impl Fn(&mut World, Toolchain) -> Result<BTreeSet<String>>,
) -> Result<()> {
    let mut play = |toolchain| play(w, toolchain).with_context(|| format!("{toolchain:?}"));
    let stock = play(Stock)?;
    let ours = play(Ours)?;
    let only_stock: Vec<_> = stock.difference(&ours).collect();
    let only_ours: Vec<_> = ours.difference(&stock).collect();
    ensure!(
        only_stock.is_empty() && only_ours.is_empty(),
        "only stock: {only_stock:?}\nonly ours: {only_ours:?}"
    );
    ensure!(stock.iter().any(|name| name.ends_with("/metadata")));
    Ok(())
}

#[test]
fn plain_and_per_process() {
    isolated(here!(), |w| {
        for channel in ["", "--buffers-pid"] {
            same(w, |w, toolchain| {
                let mut scene = Scene::start(w, toolchain, "", channel)?;
                scene.round()?;
                scene.lttng("stop")?;
                scene.lttng("start")?;
                scene.round()?;
                scene.finish()
            })?;
        }
        Ok(())
    });
}

#[test]
fn rotations_at_once() {
    isolated(here!(), |w| {
        same(w, |w, toolchain| {
            let mut scene = Scene::start(w, toolchain, "", "")?;
            for _ in 0..3 {
                scene.round()?;
                scene.lttng("rotate")?;
            }
            scene.round()?;
            scene.lttng("stop")?;
            scene.lttng("rotate")?;
            scene.finish()
        })
    });
}

/// How many chunks there are is a matter of time, but not what they are called.
fn by_itself(w: &mut World, schedule: &str) -> Result<()> {
    same(w, |w, toolchain| {
        let mut scene = Scene::start(w, toolchain, "", "")?;
        scene.lttng(&format!("enable-rotation {schedule}"))?;
        scene.round()?;
        let output = scene.relay.output().to_owned();
        eventually("two archived chunks", || {
            scene.round()?;
            let mut names = BTreeSet::new();
            collect(&output, &output, &mut names)?;
            let archived = |name: &&String| name.contains("/archives/") && name.ends_with("/ust");
            Ok((names.iter().filter(archived).count() >= 2).then_some(()))
        })?;
        scene.lttng(&format!(
            "disable-rotation {}",
            schedule.split('=').next().unwrap_or_default()
        ))?;
        let names = scene.finish()?;
        // By what is in them, the first chunk is like all.
        Ok(names
            .into_iter()
            .map(|name| without_number(&name))
            .collect())
    })
}

/// Without the number of a trace chunk.
fn without_number(name: &str) -> String {
    let component = |component: &str| match component.rsplit_once('-') {
        Some((times, number)) if times.contains("NTN") && number.parse::<u32>().is_ok() => {
            format!("{times}-NR")
        }
        _ => component.to_owned(),
    };
    name.split('/').map(component).collect::<Vec<_>>().join("/")
}

#[test]
fn rotations_by_time() {
    isolated(here!(), |w| by_itself(w, "--timer=200ms"));
}

#[test]
fn rotations_by_size() {
    isolated(here!(), |w| by_itself(w, "--size=16k"));
}

#[test]
fn clear() {
    isolated(here!(), |w| {
        same(w, |w, toolchain| {
            let mut scene = Scene::start(w, toolchain, "", "")?;
            scene.round()?;
            scene.lttng("clear")?;
            scene.forget();
            scene.round()?;
            scene.lttng("rotate")?;
            let kept = scene.lines.clone();
            scene.round()?;
            scene.lttng("clear")?;
            scene.lines = kept;
            scene.round()?;
            scene.finish()
        })
    });
}

#[test]
fn live() {
    isolated(here!(), |w| {
        same(w, |w, toolchain| {
            let mut scene = Scene::start(w, toolchain, "--live=20000", "")?;
            scene.round()?;
            scene.round()?;
            scene.finish()
        })
    });
}

#[test]
fn snapshots() {
    isolated(here!(), |w| {
        same(w, |w, toolchain| {
            let mut scene = Scene::start(w, toolchain, "--snapshot", "")?;
            scene.round()?;
            scene.lttng("stop")?;
            scene.lttng("snapshot record")?;
            scene.finish()
        })
    });
}

#[test]
fn several_sessions() {
    isolated(here!(), |w| {
        same(w, |w, toolchain| {
            let mut scene = Scene::start(w, toolchain, "", "")?;
            let url = scene.relay.url();
            scene.target.script(&format!(
                "create t --set-url={url}/my/place
                 enable-event -u emitter:*
                 start"
            ))?;
            scene.round()?;
            // Both have recorded it.
            let twice = scene.lines.clone();
            scene.lines.extend(twice);
            scene.finish()
        })
    });
}
