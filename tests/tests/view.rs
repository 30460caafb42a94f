//! `lttng view` starts the viewer on the right thing.

use std::fs::{self, File};
use std::process::Stdio;

use anyhow::ensure;
use system_tests::Toolchain::Ours;
use system_tests::{eventually, here, isolated};

#[test]
fn a_stopped_session_is_shown_from_its_directory() {
    isolated(here!(), |w| {
        let target = w.target(Ours)?;
        target.script(&format!(
            "create s --output={}\n enable-event -u emitter:*\n start",
            w.path("trace").display()
        ))?;
        w.app("--events 7").run_once()?;
        target.lttng("view s")?.code(1)?.says("is running")?;
        target.script("stop")?;
        let shown = target.lttng("view")?.ok()?.stdout;
        ensure!(shown.lines().count() == 7, "{shown}");
        ensure!(shown.contains("emitter:small"), "{shown}");
        target.script("destroy")
    });
}

#[test]
fn a_live_session_is_shown_while_it_records() {
    isolated(here!(), |w| {
        let target = w.target(Ours)?;
        // Starts a relay daemon, as none listens on the default ports in here.
        let created = target.lttng("create l --live=50ms")?.ok()?;
        ensure!(
            created.stdout.contains("Spawning a relayd daemon"),
            "{}",
            created.stdout
        );
        target.script("enable-event -u emitter:*\n start")?;
        let mut app = w.app("--events 1").start()?;
        app.round()?;
        let path = w.path("shown");
        let mut viewer = target
            .command()?
            .args(["view", "l"])
            .stdin(Stdio::null())
            .stdout(File::create(&path)?)
            .spawn()?;
        // The viewer attaches when it likes.
        eventually("the viewer shows events", || {
            app.round()?;
            let shown = fs::read_to_string(&path)?;
            Ok(shown.contains("emitter:small").then_some(()))
        })?;
        app.finish()?;
        target.script("stop\n destroy")?;
        ensure!(viewer.wait()?.success(), "the viewer failed");
        Ok(())
    });
}
