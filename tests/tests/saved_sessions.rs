//! Saved sessions: either toolchain loads what the other saved and records the same, and what cannot be loaded
//! leaves nothing half made.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use system_tests::Toolchain::{Ours, Stock};
use system_tests::{Target, Toolchain, Trace, World, eventually, here, isolated};

/// A session that records some of the emitter's events, with contexts.
fn save(target: &Target, output: &Path, saved: &Path) -> Result<()> {
    target.script(&format!(
        "create kept --output={}
         enable-channel -u c --subbuf-size=64k --num-subbuf=8
         enable-event -u -c c emitter:level_* -x emitter:level_debug
         enable-event -u -c c emitter:small --filter n<50&&thread==0
         add-context -u -c c -t vpid -t procname
         start
         save kept --output-path={}
         destroy",
        output.display(),
        saved.display()
    ))
}

fn numbers_of_a_loaded_session(w: &mut World, by: Toolchain, file: &Path) -> Result<Vec<String>> {
    let output = w.path("traces/kept");
    if output.exists() {
        fs::remove_dir_all(&output)?;
    }
    let target = w.target(by)?;
    target.script(&format!("load kept --input-path={}", file.display()))?;
    w.app("--threads 1 --events 100 --quiet").run_once()?;
    w.app("--kind levels --threads 1 --events 2 --quiet")
        .run_once()?;
    // It was started when it was saved, so it is now.
    target.script("stop kept\n destroy kept")?;
    target.daemon().terminate()?;
    let trace = Trace::read(&output)?;
    trace.assert_clean()?;
    let events = trace.events.iter().map(|event| {
        let fields = event.number("n").unwrap_or(-1);
        let with_contexts =
            event.context.contains("vpid = ") && event.context.contains("procname = ");
        format!("{} {fields} {with_contexts}", event.name)
    });
    Ok(events.collect())
}

#[test]
fn either_loads_what_the_other_saved() {
    isolated(here!(), |w| {
        let mut all = Vec::new();
        for saver in [Stock, Ours] {
            let target = w.target(saver)?;
            let saved = w.path(&format!("saved-{}", saver.name()));
            save(&target, &w.path("traces/kept"), &saved)?;
            target.daemon().terminate()?;
            for loader in [Stock, Ours] {
                all.push(numbers_of_a_loaded_session(w, loader, &saved)?);
            }
        }
        // 50 of the small ones, 3 of 4 levels twice.
        ensure!(all[0].len() == 56, "{:?}", all[0]);
        ensure!(all[0].iter().all(|line| line.ends_with("true")), "{all:?}");
        ensure!(all.iter().all(|one| *one == all[0]), "{all:#?}");
        Ok(())
    });
}

/// What stock loses on the way.
#[test]
fn nothing_of_a_session_is_lost() {
    isolated(here!(), |w| {
        let target = w.target(Ours)?;
        let saved = w.path("saved");
        let setup = format!(
            "create on --output={}
             enable-channel -u c --overwrite
             enable-event -u -c c a:b --filter x==1
             disable-event -u -c c a:b
             enable-event -u -c c a:b --filter x==2
             disable-channel -u c
             create bare --no-output
             create streams --network 192.0.2.1 --on-relay-loss=local
             disable-streaming
             create photo --snapshot --no-output
             save --output-path={}",
            w.path("traces/on").display(),
            saved.display()
        );
        target.script(&setup)?;
        let names = ["on", "bare", "streams", "photo"];
        let list = |target: &Target| -> Result<Vec<String>> {
            let one = |name| Ok(target.lttng(&format!("list {name}"))?.ok()?.stdout);
            names.into_iter().map(one).collect()
        };
        let before = list(&target)?;
        target.script("destroy -a")?;
        target.script(&format!("load --input-path={}", saved.display()))?;
        let after = list(&target)?;
        ensure!(before == after, "{before:#?}\n{after:#?}");
        Ok(())
    });
}

#[test]
fn what_cannot_be_loaded_is_told_and_leaves_nothing() {
    isolated(here!(), |w| {
        let target = w.target(Ours)?;
        let saved = w.path("saved");
        target.script(&format!(
            "create good --output={}\n enable-event -u a:b\n save --output-path={}",
            w.path("traces/good").display(),
            saved.display()
        ))?;
        let refused = |line: &str, words: &[&str]| -> Result<()> {
            let output = target.lttng(line)?;
            ensure!(output.code == 1, "{line}: {output}");
            for word in words {
                ensure!(
                    output.stderr.contains(word),
                    "{line}: no {word:?}\n{output}"
                );
            }
            Ok(())
        };
        let directory = saved.display();
        refused(
            &format!("load good --input-path={directory}"),
            &["Session name already exists", "--force"],
        )?;
        refused(
            &format!("load other --input-path={directory}"),
            &["`other`"],
        )?;
        refused("load --input-path=/nowhere", &["/nowhere", "No such file"])?;

        // A session whose second channel is refused: the first one, and the session, do not stay.
        let good = fs::read_to_string(saved.join("good.lttng"))?;
        let bad = good
            .replace("<name>good</name>", "<name>bad</name>")
            .replace(">524288<", ">3<");
        fs::write(saved.join("bad.lttng"), bad)?;
        let path = saved.join("bad.lttng");
        refused(&format!("load --input-path={}", path.display()), &["Error"])?;
        let list = target.lttng("list")?.ok()?.stdout;
        ensure!(!list.contains("bad"), "{list}");
        ensure!(list.contains("good"), "{list}");

        // A file that cannot be read is told, with the line, and keeps no other from being loaded by its name.
        fs::write(saved.join("bad.lttng"), "<sessions>\n<bogus/></sessions>")?;
        let output = target
            .lttng(&format!("load --force good --input-path={directory}"))?
            .ok()?;
        let told = "bad.lttng, line 2: <bogus> is not expected here";
        ensure!(output.stderr.contains(told), "{output}");
        refused(&format!("load --force --input-path={directory}"), &[told])?;
        Ok(())
    });
}

/// What is in the directory for it is there when a session daemon has started, and with `--load` what is elsewhere.
fn loaded_at_the_start(w: &mut World, by: Toolchain) -> Result<()> {
    let target = w.target(by)?;
    let (first, second) = (w.home().join(".lttng/sessions/auto"), w.path("elsewhere"));
    save(&target, &w.path("traces/kept"), &first)?;
    save(&target, &w.path("traces/other"), &second)?;
    target.daemon().terminate()?;
    if by == Ours {
        // Stock session daemons do not start then.
        fs::write(first.join("broken.lttng"), "<sessions>")?;
    }
    let until_listed = |target: &Target, output: &str| {
        eventually("the session is loaded and active", || {
            let listed = target.lttng("list")?.ok()?.stdout;
            Ok((listed.contains("kept [active]") && listed.contains(output)).then_some(()))
        })
    };
    let target = w.target(by)?;
    until_listed(&target, "traces/kept")?;
    target.daemon().terminate()?;
    let option = format!("--load={}", second.join("kept.lttng").display());
    let target = w.target_with(by, &["--no-kernel", &option])?;
    until_listed(&target, "traces/other")?;
    target.daemon().terminate()
}

#[test]
fn session_daemons_load_sessions_at_their_start() {
    isolated(here!(), |w| loaded_at_the_start(w, Ours));
}

#[test]
fn stock_session_daemons_load_sessions_at_their_start() {
    isolated(here!(), |w| loaded_at_the_start(w, Stock));
}
