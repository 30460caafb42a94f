//! Applications and sessions that come and go: what is traced, and what is not.

use anyhow::{Result, ensure};
use system_tests::Toolchain::{Ours, Stock};
use system_tests::{
    Target, Toolchain, Trace, Who, World, eventually, here, isolated, provider_object,
};

/// A session daemon with one session, `s`, that has `rules` (arguments of `enable-event -u`, one set per
/// line) and its output in `traces/s`.
fn session(w: &mut World, toolchain: Toolchain, rules: &str) -> Result<Target> {
    let target = w.target(toolchain)?;
    target
        .lttng(&format!(
            "create s --output={}",
            w.path("traces/s").display()
        ))?
        .ok()?;
    for rule in rules.lines().map(str::trim) {
        target.lttng(&format!("enable-event -u {rule}"))?.ok()?;
    }
    Ok(target)
}

/// Destroys the session and reads what it recorded.
fn harvest(w: &World, target: &Target) -> Result<Trace> {
    target.lttng("destroy")?.ok()?;
    let trace = Trace::read(&w.path("traces/s"))?;
    trace.assert_clean()?;
    Ok(trace)
}

#[test]
fn an_application_that_was_there_first() {
    isolated(here!(), |w| {
        let target = w.target(Ours)?;
        let mut app = w.app("--events 20").start()?;
        target.script(&format!(
            "create s --output={}\n enable-event -u emitter:*\n start",
            w.path("traces/s").display()
        ))?;
        let round = app.round()?;
        app.finish()?;
        harvest(w, &target)?.assert_lines(&round.lines)
    });
}

/// Nothing that `main` emits is missed, from its first line on.
#[test]
fn an_application_that_comes_late() {
    isolated(here!(), |w| {
        let target = session(w, Ours, "emitter:*")?;
        target.lttng("start")?.ok()?;
        let mut lines = Vec::new();
        for first in 0..20 {
            let mut app = w
                .app(&format!("--events 3 --first-thread {first}"))
                .launch()?;
            lines.extend(app.round()?.lines);
            app.finish()?;
        }
        lines.retain(|line| line != "ready");
        harvest(w, &target)?.assert_lines(&lines)
    });
}

/// An application waits for a session daemon that starts after it.
#[test]
fn a_session_daemon_that_comes_late() {
    isolated(here!(), |w| {
        let mut app = w.app("--events 20").start()?;
        let target = session(w, Ours, "emitter:*")?;
        target.lttng("start")?.ok()?;
        let pid = format!("PID: {} ", app.pid());
        eventually("the application registered", || {
            Ok(target
                .lttng("list -u")?
                .ok()?
                .stdout
                .contains(&pid)
                .then_some(()))
        })?;
        let round = app.round()?;
        app.finish()?;
        harvest(w, &target)?.assert_lines(&round.lines)
    });
}

#[test]
fn only_what_happens_between_start_and_stop() {
    isolated(here!(), |w| {
        let target = session(w, Ours, "emitter:*")?;
        let mut app = w.app("--events 10").start()?;
        let mut lines = Vec::new();
        app.round()?;
        for _ in 0..3 {
            target.lttng("start")?.ok()?;
            lines.extend(app.round()?.lines);
            target.lttng("stop")?.ok()?;
            app.round()?;
        }
        app.finish()?;
        harvest(w, &target)?.assert_lines(&lines)
    });
}

#[test]
fn forked_children_are_traced() {
    isolated(here!(), |w| {
        let target = session(w, Ours, "emitter:*")?;
        target.lttng("start")?.ok()?;
        let mut app = w.app("--events 10 --threads 2").traced_forks()?.start()?;
        let mut lines = app.round()?.lines;
        lines.extend(app.ask("fork", "forked")?);
        lines.extend(app.round()?.lines);
        app.finish()?;
        lines.retain(|line| line.starts_with("emitter:"));
        ensure!(lines.len() == 60, "{} events", lines.len());
        harvest(w, &target)?.assert_lines(&lines)
    });
}

#[test]
fn a_process_that_executes_itself_again() {
    isolated(here!(), |w| {
        let target = session(w, Ours, "emitter:*")?;
        target.lttng("start")?.ok()?;
        let mut app = w.app("--events 10").start()?;
        let mut lines = Vec::new();
        for _ in 0..3 {
            lines.extend(app.round()?.lines);
            app.ask("exec", "ready")?;
        }
        lines.extend(app.round()?.lines);
        app.finish()?;
        ensure!(lines.len() == 40, "{} events", lines.len());
        harvest(w, &target)?.assert_lines(&lines)
    });
}

#[test]
fn providers_that_are_loaded_and_unloaded() {
    isolated(here!(), |w| {
        let target = session(w, Ours, "emitter:*\n late:*")?;
        let mut app = w.app("--events 10").start()?;
        target.lttng("start")?.ok()?;
        let mut lines = app.round()?.lines;
        for _ in 0..3 {
            app.load(&provider_object()?)?;
            lines.extend(app.ask("tick 5", "ticked")?);
            app.ask("unload", "unloaded")?;
            lines.extend(app.round()?.lines);
        }
        app.finish()?;
        let trace = harvest(w, &target)?;
        ensure!(
            trace.count("late:tick") == 15,
            "{} ticks",
            trace.count("late:tick")
        );
        trace.assert_lines(&lines)
    });
}

/// At start for an application that runs, and at its start for a late one.
#[test]
fn state_is_dumped() {
    isolated(here!(), |w| {
        let target = session(w, Ours, "lttng_ust_statedump:*")?;
        let early = w.app("").start()?;
        target.lttng("start")?.ok()?;
        let late = w.app("").start()?;
        early.finish()?;
        late.finish()?;
        let trace = harvest(w, &target)?;
        for (name, at_least) in [("start", 2), ("end", 2), ("bin_info", 10), ("procname", 2)] {
            let count = trace.count(&format!("lttng_ust_statedump:{name}"));
            ensure!(
                count >= at_least,
                "{count} events {name}, expected {at_least} and more"
            );
        }
        Ok(())
    });
}

/// Each rule alone in a session, all sessions at once, one application: each trace holds what its rule
/// lets through.
#[test]
fn rules_choose_events() {
    isolated(here!(), |w| {
        let is = |line: &str, names: &[&str]| {
            names
                .iter()
                .any(|name| line.starts_with(&format!("emitter:{name}: ")))
        };
        type Chosen = Box<dyn Fn(&str) -> bool>;
        let rules: Vec<(&[&str], Chosen)> = vec![
            (
                &["emitter:level_info"],
                Box::new(move |l| is(l, &["level_info"])),
            ),
            (&["emitter:level_*"], Box::new(|_| true)),
            (&["--all"], Box::new(|_| true)),
            (&["*:*_i*"], Box::new(move |l| is(l, &["level_info"]))),
            (
                &["emitter:*", "--exclude", "emitter:*_debug,emitter:*_info"],
                Box::new(move |l| is(l, &["level_crit", "level_warning"])),
            ),
            (
                &["--all", "--loglevel=WARNING"],
                Box::new(move |l| is(l, &["level_crit", "level_warning"])),
            ),
            (
                &["emitter:*", "--loglevel-only=INFO"],
                Box::new(move |l| is(l, &["level_info"])),
            ),
            (
                &["emitter:*", "--filter", "n >= 7"],
                Box::new(|l| l.contains("n = 7 ") || l.contains("n = 8 ") || l.contains("n = 9 ")),
            ),
            (
                &[
                    "emitter:*",
                    "--filter",
                    "thread == 1 && (n < 2 || n == 5)",
                    "--loglevel=CRIT",
                ],
                Box::new(move |l| {
                    is(l, &["level_crit"])
                        && l.contains("thread = 1")
                        && ["n = 0 ", "n = 1 ", "n = 5 "].iter().any(|n| l.contains(n))
                }),
            ),
        ];
        let target = w.target(Ours)?;
        for (number, (rule, _)) in rules.iter().enumerate() {
            let out = w.path(&format!("traces/{number}"));
            target
                .lttng(&format!("create s{number} --output={}", out.display()))?
                .ok()?;
            target
                .lttng_args(&[&["enable-event", "-u"], *rule].concat())?
                .ok()?;
            target.lttng("start")?.ok()?;
        }
        let round = w.app("--kind levels --threads 2 --events 10").run_once()?;
        target.lttng("destroy --all")?.ok()?;
        for (number, (rule, chosen)) in rules.iter().enumerate() {
            let mut trace = Trace::read(&w.path(&format!("traces/{number}")))?;
            trace.assert_clean()?;
            trace
                .events
                .retain(|event| event.name.starts_with("emitter:"));
            let lines: Vec<_> = round
                .lines
                .iter()
                .filter(|line| chosen(line))
                .cloned()
                .collect();
            ensure!(!lines.is_empty(), "{rule:?} lets nothing through");
            trace
                .assert_lines(&lines)
                .map_err(|e| e.context(format!("{rule:?}")))?;
        }
        Ok(())
    });
}

/// Filters on texts, reals and fields that are not in the trace.
#[test]
fn filters_see_every_kind_of_field() {
    isolated(here!(), |w| {
        let rules: &[(&str, &str)] = &[
            ("emitter:texts", r#"string == "x""#),
            ("emitter:texts", r#"string == "*of thread 1""#),
            ("emitter:reals", "f64 < 0.0"),
            ("emitter:integers", "u64_hex & 1 == 1 && i8 < 0"),
            ("emitter:hidden", "h_int > 0 && h_color == -3"),
            ("emitter:integers", "$ctx.vpid == 1"),
        ];
        let mut found = Vec::new();
        for toolchain in [Stock, Ours] {
            let target = w.target(toolchain)?;
            for (number, (event, filter)) in rules.iter().enumerate() {
                let out = w.path(&format!("traces/{}-{number}", toolchain.name()));
                target
                    .lttng(&format!("create s{number} --output={}", out.display()))?
                    .ok()?;
                target
                    .lttng_args(&["enable-event", "-u", event, "--filter", filter])?
                    .ok()?;
                target.lttng("start")?.ok()?;
            }
            w.app("--kind fields --threads 2 --events 100").run_once()?;
            target.lttng("destroy --all")?.ok()?;
            target.daemon().terminate()?;
            let mut traces = Vec::new();
            for number in 0..rules.len() {
                let dir = w.path(&format!("traces/{}-{number}", toolchain.name()));
                traces.push(if dir.exists() {
                    Trace::read(&dir)?.sorted_lines()
                } else {
                    Vec::new()
                });
            }
            found.push(traces);
        }
        for (number, rule) in rules.iter().enumerate() {
            ensure!(
                found[0][number] == found[1][number],
                "{rule:?}: stock {}, ours {}",
                found[0][number].len(),
                found[1][number].len()
            );
        }
        ensure!(
            found[1].iter().take(5).all(|lines| !lines.is_empty()),
            "a filter let nothing through"
        );
        Ok(())
    });
}

#[test]
fn several_channels_of_one_session() {
    isolated(here!(), |w| {
        let target = w.target(Ours)?;
        let out = w.path("traces/s");
        target.script(&format!(
            "create s --output={}
             enable-channel -u one --subbuf-size=4k
             enable-channel -u two --subbuf-size=64k --num-subbuf=2 --switch-timer=100000
             enable-channel -u three --overwrite
             enable-event -u -c one emitter:level_crit
             enable-event -u -c two emitter:level_info,emitter:level_debug
             enable-event -u -c three emitter:level_warning
             start",
            out.display()
        ))?;
        let round = w.app("--kind levels --threads 2 --events 10").run_once()?;
        harvest(w, &target)?.assert_lines(&round.lines)?;
        for name in ["one", "two", "three"] {
            ensure!(
                out.join(format!("ust/uid/0/64-bit/{name}_0")).exists(),
                "no stream of channel {name}"
            );
        }
        Ok(())
    });
}

/// The newest events survive, whatever came before.
#[test]
fn overwrite_mode_keeps_the_newest() {
    isolated(here!(), |w| {
        let target = w.target(Ours)?;
        target.script(&format!(
            "create s --output={}
             enable-channel -u c --overwrite --subbuf-size=4k --num-subbuf=4
             enable-event -u -c c emitter:small
             start",
            w.path("traces/s").display()
        ))?;
        let round = w.app("--events 500000 --quiet").run_once()?;
        target.script("stop\n destroy")?;
        let trace = Trace::read(&w.path("traces/s"))?;
        let newest = trace
            .events
            .iter()
            .filter_map(|event| event.number("n"))
            .max();
        ensure!(
            newest == Some(round.loops as i64 - 1),
            "the newest event is {newest:?}"
        );
        ensure!(trace.discarded == 0, "{} events discarded", trace.discarded);
        trace.assert_readable()?;
        trace.assert_in_order()
    });
}

#[test]
fn trace_files_rotate_within_their_limits() {
    isolated(here!(), |w| {
        let target = w.target(Ours)?;
        target.script(&format!(
            "create s --output={}
             enable-channel -u c --subbuf-size=4k --num-subbuf=8 --tracefile-size=16k --tracefile-count=3 --blocking-timeout=inf
             enable-event -u -c c emitter:small
             start",
            w.path("traces/s").display()
        ))?;
        let round = w.app("--events 20000 --quiet").blocking().run_once()?;
        target.script("stop\n destroy")?;
        let tree = w.path("traces/s/ust/uid/0/64-bit");
        let mut files = 0;
        for entry in std::fs::read_dir(&tree)?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("c_") {
                files += 1;
                ensure!(
                    entry.metadata()?.len() <= 16384,
                    "{name} holds {} bytes",
                    entry.metadata()?.len()
                );
                ensure!(
                    tree.join(format!("index/{name}.idx")).exists(),
                    "no index of {name}"
                );
                ensure!(
                    ["_0", "_1", "_2"].iter().any(|end| name.ends_with(end)),
                    "{name}"
                );
            }
        }
        ensure!(files >= 3, "{files} files");
        let trace = Trace::read(&w.path("traces/s"))?;
        let newest = trace
            .events
            .iter()
            .filter_map(|event| event.number("n"))
            .max();
        ensure!(
            newest == Some(round.loops as i64 - 1),
            "the newest event is {newest:?}"
        );
        Ok(())
    });
}

/// With a switch timer, events are on the disk while the session goes on.
#[test]
fn a_switch_timer_brings_events_out() {
    isolated(here!(), |w| {
        let target = w.target(Ours)?;
        let out = w.path("traces/s");
        target.script(&format!(
            "create s --output={}
             enable-channel -u c --switch-timer=50000
             enable-event -u -c c emitter:small
             start",
            out.display()
        ))?;
        let mut app = w.app("--events 10").start()?;
        let round = app.round()?;
        eventually("the events are on the disk", || {
            Ok(Trace::read(&out)
                .is_ok_and(|trace| trace.events.len() == round.lines.len())
                .then_some(()))
        })?;
        let second = app.round()?;
        app.finish()?;
        let lines = [round.lines, second.lines].concat();
        harvest(w, &target)?.assert_lines(&lines)
    });
}

/// One tree per user with per-UID buffers; root's daemon traces everybody.
#[test]
fn users_have_buffers_of_their_own() {
    isolated(here!(), |w| {
        let target = session(w, Ours, "emitter:*")?;
        target.lttng("start")?.ok()?;
        let user = Who::user(4711, w.path("home/user"))?;
        let mut lines = w.app("--events 10").run_once()?.lines;
        let theirs = w
            .app("--events 10 --first-thread 50")
            .as_user(&user)
            .run_once()?
            .lines;
        lines.extend(theirs.iter().cloned());
        harvest(w, &target)?.assert_lines(&lines)?;
        Trace::read(&w.path("traces/s/ust/uid/4711/64-bit"))?.assert_lines(&theirs)
    });
}

/// An ordinary user traces with a session daemon that `lttng create` started.
#[test]
fn a_user_needs_no_administrator() {
    isolated(here!(), |w| {
        let user = Who::user(4711, w.path("home/user"))?;
        let daemon = Ours.program("lttng-sessiond")?;
        let lttng = |args: &[&str]| {
            let mut command = user.command(&Ours.program("lttng")?)?;
            command.arg(format!("--sessiond-path={}", daemon.display()));
            system_tests::run(command.args(args))
        };
        lttng(&["create", "s"])?
            .ok()?
            .shows("Spawning a session daemon")?;
        lttng(&["enable-event", "-u", "emitter:*"])?.ok()?;
        lttng(&["start"])?.ok()?;
        let round = w.app("--events 10").as_user(&user).run_once()?;
        lttng(&["destroy"])?.ok()?;
        Trace::read(&user.home().join("lttng-traces"))?.assert_lines(&round.lines)
    });
}

/// Applications that ended before the session stopped are in the trace, each with buffers of its own.
#[test]
fn processes_that_ended_left_their_events() {
    isolated(here!(), |w| {
        let target = w.target(Ours)?;
        target.script(&format!(
            "create s --output={}
             enable-channel -u c --buffers-pid
             enable-event -u -c c emitter:*
             start",
            w.path("traces/s").display()
        ))?;
        let mut lines = Vec::new();
        for first in 0..30 {
            lines.extend(
                w.app(&format!("--events 10 --first-thread {first}"))
                    .run_once()?
                    .lines,
            );
        }
        harvest(w, &target)?.assert_lines(&lines)
    });
}

/// `list -u -f` of the same application.
#[test]
fn tracepoints_are_listed_as_stock_lists_them() {
    isolated(here!(), |w| {
        let mut listed = Vec::new();
        for toolchain in [Stock, Ours] {
            let target = w.target(toolchain)?;
            let app = w.app("").start()?;
            let text = target
                .lttng("list -u -f")?
                .ok()?
                .stdout
                .replace(&app.pid().to_string(), "PID");
            app.finish()?;
            target.daemon().terminate()?;
            listed.push(groups(&text));
        }
        ensure!(
            listed[0] == listed[1],
            "stock:\n{:#?}\nours:\n{:#?}",
            listed[0],
            listed[1]
        );
        Ok(())
    });
}

/// A tracepoint's line with its fields' lines; the tracepoints in any order.
fn groups(text: &str) -> Vec<String> {
    let mut groups: Vec<String> = Vec::new();
    for line in text.lines() {
        match groups.last_mut() {
            Some(group) if line.trim_start().starts_with("field:") => {
                *group += &format!("\n{line}")
            }
            _ => groups.push(line.to_owned()),
        }
    }
    groups.sort();
    groups
}
