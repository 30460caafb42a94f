//! `lttng view` starts the viewer on the right thing.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use anyhow::ensure;
use system_tests::Toolchain::Ours;
use system_tests::{Trace, eventually, here, isolated, run};

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
        // babeltrace2 does not get on with streams and metadata that come while it reads.
        let received = w.home().join("lttng-traces");
        eventually("the relay daemon has the first event", || {
            let trace = Trace::read(&received);
            Ok(trace
                .is_ok_and(|trace| trace.events.len() == 1)
                .then_some(()))
        })?;
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

/// What babeltrace2 writes into a pipe stays in its buffer until it sleeps, and it shows nothing while it does.
#[test]
fn the_viewer_of_a_live_session_sleeps_briefly() {
    isolated(here!(), |w| {
        let target = w.target(Ours)?;
        target.script("create l --live=50ms")?;
        let programs = w.path("programs");
        fs::create_dir(&programs)?;
        let viewer = programs.join("babeltrace2");
        fs::write(&viewer, "#!/bin/sh\necho \"$@\"\n")?;
        fs::set_permissions(&viewer, PermissionsExt::from_mode(0o755))?;
        let view = &mut target.command()?;
        let shown = run(view.args(["view", "l"]).env("PATH", &programs))?.ok()?;
        let expected = "-i lttng-live --retry-duration=5000 net://localhost/host/target/l\n";
        ensure!(shown.stdout == expected, "{shown}");
        target.script("destroy")
    });
}
