//! Outputs that cannot be written, or cease to be: the session that uses them says so, the others go on.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Result, ensure};
use system_tests::Toolchain::Ours;
use system_tests::{Target, Trace, Who, World, eventually, here, isolated, run};

/// A session whose output is the directory `traces/NAME`, recording.
fn healthy(w: &World, target: &Target, name: &str) -> Result<std::path::PathBuf> {
    let out = w.path(&format!("traces/{name}"));
    target.script(&format!(
        "create {name} --output={}
         enable-channel -u c -s {name} --subbuf-size=1M --num-subbuf=8 --switch-timer=20000
         enable-event -u -c c -s {name} emitter:small
         start {name}",
        out.display()
    ))?;
    Ok(out)
}

/// An ordinary user's daemon and a directory of root's.
#[test]
fn a_directory_that_is_not_writable() {
    isolated(here!(), |w| {
        let closed = w.path("closed");
        fs::create_dir(&closed)?;
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o755))?;
        let user = Who::user(4711, w.path("home/user"))?;
        let target = w.target_of(Ours, user.clone())?;
        target
            .lttng(&format!("create s --output={}/trace", closed.display()))?
            .ok()?;
        // Whichever command first needs the directory refuses, and says which directory.
        let steps = ["enable-event -u emitter:small", "start"];
        let mut outputs = Vec::new();
        for line in steps {
            let output = target.lttng(line)?;
            let failed = output.code != 0;
            outputs.push(output);
            if failed {
                break;
            }
        }
        let last = &outputs[outputs.len() - 1];
        ensure!(
            last.code != 0 && last.stderr.contains("Error: "),
            "no command failed:\n{last}"
        );
        target.lttng("destroy s")?.ok()?;
        ensure!(
            fs::read_dir(&closed)?.next().is_none(),
            "something was written"
        );

        // The daemon still serves.
        let fine = user.home().join("trace");
        target.script(&format!(
            "create t --output={}\n enable-event -u emitter:small\n start",
            fine.display()
        ))?;
        let round = w.app("--events 5").as_user(&user).run_once()?;
        target.lttng("destroy t")?.ok()?;
        Trace::read(&fine)?.assert_lines(&round.lines)
    });
}

/// The disk of one session fills up while it records; another session is whole.
#[test]
fn a_full_disk() {
    isolated(here!(), |w| {
        let disk = w.small_disk("small", 512)?;
        let target = w.target(Ours)?;
        target.script(&format!(
            "create s --output={}/trace
             enable-channel -u c -s s --subbuf-size=32k --num-subbuf=8
             enable-event -u -c c -s s emitter:small
             start s",
            disk.display()
        ))?;
        let out = healthy(w, &target, "healthy")?;
        let mut app = w.app("--rate 5000 --threads 4 --until-told").start()?;
        let round = app.round_beside(|| {
            eventually("the session says what happened to it", || {
                let list = target.lttng("list s")?.ok()?;
                Ok(list
                    .stdout
                    .contains("No space left on device")
                    .then_some(()))
            })
        })?;
        app.finish()?;

        // It can be stopped and destroyed.
        target.lttng("stop s")?;
        target.lttng("destroy s")?;
        target.lttng("list s")?.code(1)?;
        target.lttng("destroy healthy")?.ok()?;
        let trace = Trace::read(&out)?;
        trace.assert_clean()?;
        trace.assert_lines(&round.lines)?;

        // What is on the full disk can be read, up to where the space ended.
        let partial = Trace::read(&disk)?;
        ensure!(
            !partial.events.is_empty(),
            "nothing on the full disk can be read"
        );
        partial.assert_in_order()?;
        target.daemon().terminate()
    });
}

/// A disk that is full, and then has room again before the buffers are full: the session goes on by itself, and
/// nothing is lost.
#[test]
fn a_full_disk_that_gets_room_again() {
    isolated(here!(), |w| {
        let disk = w.small_disk("small", 1024)?;
        let filler = disk.join("filler");
        let target = w.target(Ours)?;
        target.script(&format!(
            "create s --output={}/trace
             enable-channel -u c -s s --subbuf-size=32k --num-subbuf=32
             enable-event -u -c c -s s emitter:small
             start s",
            disk.display()
        ))?;
        let mut app = w.app("--events 4000 --threads 2").start_on_one_cpu()?;
        // All but the last blocks: a packet is torn.
        let mut rest = fs::File::create(&filler)?;
        while rest.write_all(&[b'x'; 4096]).is_ok() {}
        fs::File::options()
            .write(true)
            .open(&filler)?
            .set_len(rest.metadata()?.len() - (24 << 10))?;
        drop(rest);
        let mut lines = app.round()?.lines;
        let list = eventually("the output has failed", || {
            let list = target.lttng("list s")?.ok()?;
            Ok(list
                .stdout
                .contains("Output state: failed: ")
                .then_some(list))
        })?;
        list.shows("No space left on device (os error 28); it is tried again every second")?;
        let stopped = target.lttng("stop s")?.ok()?;
        ensure!(stopped.stderr.contains("may not be complete"), "{stopped}");
        target.lttng("start s")?.ok()?;

        fs::remove_file(&filler)?;
        eventually("the output takes something again", || {
            let list = target.lttng("list s")?.ok()?;
            Ok((!list.stdout.contains("Output state")).then_some(()))
        })?;
        lines.extend(app.round()?.lines);
        app.finish()?;
        target.lttng("stop s")?.ok()?;
        target.lttng("destroy s")?.ok()?;
        let trace = Trace::read(&disk)?;
        trace.assert_clean()?;
        trace.assert_lines(&lines)?;
        trace.assert_in_order()
    });
}

/// The relay dies while a session streams to it: that session says so, the others are whole, a new session
/// can stream to a new relay.
#[test]
fn a_relay_that_dies() {
    isolated(here!(), |w| {
        let relay = w.relay(Ours)?;
        let target = w.target(Ours)?;
        target.script(&format!(
            "create streaming --set-url={}
             enable-channel -u c --switch-timer=20000
             enable-event -u -c c emitter:small
             start",
            relay.url()
        ))?;
        let out = healthy(w, &target, "healthy")?;
        let mut app = w.app("--events 1000").start()?;
        let mut lines = app.round()?.lines;
        // Then nothing is on its way that could be torn.
        eventually("the events arrive at the collector", || {
            Ok(Trace::read(relay.output())
                .is_ok_and(|trace| trace.events.len() == lines.len())
                .then_some(()))
        })?;
        relay.daemon().kill()?;
        lines.extend(app.round()?.lines);

        eventually("`lttng status` says that the relay is gone", || {
            target.lttng("set-session streaming")?.ok()?;
            let status = target.lttng("status")?.ok()?.stdout.to_lowercase();
            Ok((status.contains("relay")
                && (status.contains("lost") || status.contains("connection")))
            .then_some(()))
        })?;
        lines.extend(app.round()?.lines);
        target.lttng("stop streaming")?;
        target.lttng("destroy streaming")?;
        target.lttng("list streaming")?.code(1)?;
        let partial = Trace::read(relay.output())?;
        ensure!(
            !partial.events.is_empty(),
            "what had arrived cannot be read"
        );

        let second = w.relay(Ours)?;
        target.script(&format!(
            "create again --set-url={}\n enable-event -u emitter:small\n start",
            second.url()
        ))?;
        let round = app.round()?;
        lines.extend(round.lines.iter().cloned());
        app.finish()?;
        target.lttng("destroy again")?.ok()?;
        Trace::read(second.output())?.assert_lines(&round.lines)?;

        target.lttng("destroy healthy")?.ok()?;
        let trace = Trace::read(&out)?;
        trace.assert_clean()?;
        trace.assert_lines(&lines)
    });
}

/// The relay's disk fills up: its other sessions, and the target, go on.
#[test]
fn a_full_disk_at_the_collector() {
    isolated(here!(), |w| {
        let disk = w.small_disk("small", 512)?;
        let relay = w.relay_into(Ours, &disk)?;
        let target = w.target(Ours)?;
        target.script(&format!(
            "create s --set-url={}
             enable-channel -u c -s s --subbuf-size=32k --num-subbuf=8
             enable-event -u -c c -s s emitter:small
             start s",
            relay.url()
        ))?;
        let out = healthy(w, &target, "healthy")?;
        let round = w
            .app("--events 20000 --rate 20000 --threads 4")
            .run_once()?;
        target.lttng("stop s")?;
        target.lttng("destroy s")?;
        target.lttng("destroy healthy")?.ok()?;
        let trace = Trace::read(&out)?;
        trace.assert_clean()?;
        trace.assert_lines(&round.lines)?;
        ensure!(relay.daemon().is_alive(), "the relay daemon died");
        ensure!(
            !Trace::read(&disk)?.events.is_empty(),
            "nothing on the full disk can be read"
        );

        // With room again, it takes new sessions.
        run(std::process::Command::new("sh")
            .arg("-c")
            .arg(format!("rm -rf {}/*", disk.display())))?
        .ok()?;
        target.script(&format!(
            "create t --set-url={}\n enable-event -u emitter:small\n start",
            relay.url()
        ))?;
        let round = w.app("--events 5").run_once()?;
        target.lttng("destroy t")?.ok()?;
        Trace::read(&disk)?.assert_lines(&round.lines)
    });
}
