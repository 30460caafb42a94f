//! Context fields of the kernel domain: every event says what its task was when it happened.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use system_tests::tracefs::{self, TraceCmd};
use system_tests::{Event, Signal, Target, Trace, World, eventually, here, isolated, run, signal};

/// Where the `/proc` of the machine is that numbers tasks as the kernel does: the usual one shows the test's
/// own.
const PROC: &str = "/mnt";
/// Numbers that a program marks with.
const STEPS: i64 = 10;
const ROUNDS: i64 = 100;
/// Consumer daemons that are killed: more would be too many in so short a time.
const KILLS: usize = 6;
/// A step of an orphan that may be gone when somebody wants to know its new parent.
const MAY_BE_UNKNOWN: i64 = 8;
/// Not a number of the others.
const LAST: i64 = 1900;

/// Makes the machine's `/proc` seen.
fn show_proc() -> Result<()> {
    let script =
        format!("umount -l /proc && mount --bind /proc {PROC} && mount -t proc proc /proc");
    run(Command::new("sh").args(["-ec", &script]))?.ok()?;
    Ok(())
}

struct Program {
    path: PathBuf,
    notes: PathBuf,
    base: i64,
}

/// What a task was when it marked itself.
#[derive(Debug, PartialEq)]
struct Note {
    tid: i64,
    pid: i64,
    ppid: i64,
    name: String,
}

impl Program {
    fn compile(w: &World) -> Result<Self> {
        let path = w.path("tasks");
        let source = w.path("tasks.c");
        fs::write(&source, include_str!("tasks.c"))?;
        run(Command::new("cc")
            .args(["-Wall", "-O1", "-pthread", "-o"])
            .arg(&path)
            .arg(&source))?
        .ok()?;
        for name in ["second", "third"] {
            fs::copy(&path, w.path(&format!("tasks-{name}")))?;
        }
        Ok(Self {
            path,
            notes: w.path("notes"),
            // Hardly any two tests have the same, and none that run at the same time. Descriptors have 31 bits, and
            // numbers of processes may have 22.
            base: (1_000_000 + tracefs::mark()? % 70_000) * 2000,
        })
    }

    fn command(&self, what: &str, number: i64) -> Result<Command> {
        let cpus = std::thread::available_parallelism()?.get();
        let mut command = Command::new(&self.path);
        command
            .args([what, &number.to_string(), &self.base.to_string()])
            .args([&cpus.to_string(), PROC])
            .args([&self.path, &self.notes]);
        Ok(command)
    }

    fn notes(&self) -> Result<HashMap<i64, Note>> {
        let text = fs::read_to_string(&self.notes).unwrap_or_default();
        let mut notes = HashMap::new();
        for line in text.lines() {
            let parts: Vec<_> = line.splitn(5, ' ').collect();
            let number = |at: usize| -> Result<i64> { Ok(parts[at].parse()?) };
            let note = Note {
                tid: number(1)?,
                pid: number(2)?,
                ppid: number(3)?,
                name: parts[4].to_owned(),
            };
            ensure!(notes.insert(number(0)?, note).is_none(), "twice: {line}");
        }
        Ok(notes)
    }

    /// What the trace says about the marks.
    fn marked(&self, trace: &Trace) -> HashMap<i64, Note> {
        let marks = trace.events.iter().filter_map(|event| {
            let number = event.number("fd")? - self.base;
            let is_mark = event.name == "syscall_entry_close" && (0..2000).contains(&number);
            is_mark.then(|| (number, note(event)))
        });
        marks.collect()
    }
}

fn note(event: &Event) -> Note {
    let number = |name| event.number(name).unwrap_or(i64::MIN);
    Note {
        tid: number("tid"),
        pid: number("pid"),
        ppid: number("ppid"),
        name: name(event),
    }
}

fn name(event: &Event) -> String {
    let rest = event.context.split_once(" procname = \"");
    let name = rest.and_then(|(_, rest)| rest.split_once('"'));
    name.map_or_else(|| event.context.clone(), |(name, _)| name.to_owned())
}

fn out(w: &World) -> PathBuf {
    w.path("traces/s")
}

/// Records switches and calls with contexts.
fn begin(w: &World, target: &Target, channel: &str) -> Result<()> {
    target.script(&format!(
        "create s --output={}
         enable-channel -k c {channel}
         enable-event -k -c c sched_switch
         enable-event -k -c c --syscall close,getppid
         add-context -k -c c -t pid -t ppid -t procname
         start",
        out(w).display()
    ))
}

/// Calls of a process that does nothing else.
fn storm() -> Result<Child> {
    let script = "import os\nfor _ in range(60000): os.getppid()";
    Ok(Command::new("python3").args(["-c", script]).spawn()?)
}

/// Every mark is there, as the task wrote it down.
fn check(program: &Program, trace: &Trace) -> Result<()> {
    let (expected, mut found) = (program.notes()?, program.marked(trace));
    ensure!(expected.len() as i64 > ROUNDS * STEPS * 8 / 10, "few notes");
    for (number, expected) in expected {
        let mut found = found
            .remove(&number)
            .with_context(|| format!("no mark {number}"))?;
        if number % STEPS == MAY_BE_UNKNOWN && number < LAST && found.ppid == -1 {
            found.ppid = expected.ppid;
        }
        ensure!(
            found == expected,
            "mark {number}: {found:?} in the trace, {expected:?} is right"
        );
    }
    ensure!(found.is_empty(), "nobody noted {found:?}");
    Ok(())
}

#[test]
fn every_event_has_its_own_task() {
    isolated(here!(), |w| {
        show_proc()?;
        let program = Program::compile(w)?;
        let target = w.kernel_target()?;
        begin(w, &target, "--subbuf-size=1M --num-subbuf=16")?;
        let mut storm = storm()?;
        let mut stays = program
            .command("orphan", LAST)?
            .stdin(Stdio::piped())
            .spawn()?;
        run(&mut program.command("fork", ROUNDS)?)?.ok()?;
        let has_note = |number| Ok(program.notes()?.contains_key(&number).then_some(()));
        eventually("the orphan has a new parent", || has_note(LAST + 1))?;
        // Whoever wants to know finds it alive.
        target.lttng("stop")?.ok()?;
        target.lttng("start")?.ok()?;
        drop(stays.stdin.take());
        stays.wait()?;
        eventually("the orphan has ended", || has_note(LAST + 2))?;
        storm.wait()?;
        target.script("stop\n destroy")?;

        let trace = Trace::read(&out(w))?;
        trace.assert_clean()?;
        check(&program, &trace)?;
        // What only the history needs is in nobody's trace.
        for event in &trace.events {
            ensure!(
                ["sched_switch", "syscall_", "lttng_statedump"]
                    .iter()
                    .any(|start| event.name.starts_with(start)),
                "{event:?}"
            );
        }
        for event in trace.events.iter().filter(|e| e.name == "sched_switch") {
            let same = format!(" prev_comm = \"{}\"", name(event));
            // A thread that executes a program takes the number of the first one, and gives it its own, before
            // it has the name of the program.
            let executes = event.fields.contains("prev_comm = \"not the first\"")
                || name(event) == "not the first";
            ensure!(
                event.fields.contains(&same) || executes,
                "another name: {event:?}"
            );
        }
        w.tracefs_emptied()
    });
}

#[test]
fn a_killed_consumer_knows_the_tasks_afterwards() {
    isolated(here!(), |w| {
        show_proc()?;
        let program = Program::compile(w)?;
        let target = w.kernel_target()?;
        begin(w, &target, "--subbuf-size=64K --num-subbuf=256")?;
        let mut load = program
            .command("paced", ROUNDS)?
            .stdin(Stdio::piped())
            .spawn()?;
        let mut rounds = load.stdin.take().context("no input")?;
        for _ in 0..KILLS {
            let before = program.notes()?.len();
            rounds.write_all(&[b'x'; ROUNDS as usize / (KILLS + 1)])?;
            eventually("the load goes on", || {
                Ok((program.notes()?.len() > before + 20).then_some(()))
            })?;
            let consumer = target.consumer()?;
            signal(consumer, Signal::KILL)?;
            target.wait_for_successor(consumer)?;
        }
        // The rest.
        drop(rounds);
        load.wait()?;
        target.script("stop\n destroy")?;
        let trace = Trace::read(&out(w))?;
        check(&program, &trace)
    });
}

#[test]
fn names_are_those_of_trace_cmd() {
    isolated(here!(), |w| {
        show_proc()?;
        let target = w.kernel_target()?;
        begin(w, &target, "--subbuf-size=1M --num-subbuf=16")?;
        // It is switched away from again and again.
        let script = "import os, time\n\
                      for n in range(20000):\n os.getppid()\n if n % 200 == 0: time.sleep(0.0001)";
        let events = ["sched:sched_switch", "syscalls:sys_enter_getppid"];
        let recorded = TraceCmd::record(w, &events, &["python3", "-c", script])?;
        target.script("stop\n destroy")?;
        let trace = Trace::read(&out(w))?;
        trace.assert_clean()?;
        let mut names: HashMap<i64, Vec<String>> = HashMap::new();
        for event in &trace.events {
            let names = names.entry(event.number("tid").unwrap_or(-1)).or_default();
            let name = name(event);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let mut compared = 0;
        for line in recorded.lines().filter(|line| line.tid != 0) {
            // It has one name for each thread, of whatever time, that of the parent for the short-lived, and none for
            // those that others have driven out. A switch has the name itself: `NAME:TID [...`.
            let task = line.text.split(" [").next().unwrap_or_default();
            let switched = match line.name.as_str() {
                "sched_switch" => task.rsplit_once(':').map(|(name, _)| name),
                _ => None,
            };
            let Some(names) = names.get(&line.tid) else {
                continue;
            };
            for name in [Some(line.comm.as_str()), switched].into_iter().flatten() {
                let same = || names.iter().any(|own| own == name);
                ensure!(name != "python3" || same(), "{line:?} is {names:?} here");
            }
            compared += usize::from(switched == Some("python3"));
        }
        let called =
            |event: &&Event| event.name == "syscall_entry_getppid" && name(event) == "python3";
        let calls = trace.events.iter().filter(called).count();
        ensure!(calls >= 20_000, "{calls} calls of python3");
        ensure!(compared >= 100, "{compared} switches compared");
        Ok(())
    });
}

#[test]
fn snapshots_know_the_tasks_too() {
    isolated(here!(), |w| {
        show_proc()?;
        let program = Program::compile(w)?;
        let target = w.kernel_target()?;
        target.script(&format!(
            "create s --snapshot --output={}
             enable-channel -k c --subbuf-size=4M --num-subbuf=4
             enable-event -k -c c --syscall close
             add-context -k -c c -t ppid -t procname
             add-context -k -c c -t pid
             start",
            out(w).display()
        ))?;
        run(&mut program.command("fork", ROUNDS)?)?.ok()?;
        target.script("snapshot record\n destroy")?;
        let trace = Trace::read(&out(w))?;
        let found = program.marked(&trace);
        ensure!(!found.is_empty(), "no marks");
        check(&program, &trace)
    });
}

#[test]
fn contexts_that_cannot_be_had_are_named() {
    isolated(here!(), |w| {
        let target = w.kernel_target()?;
        target.script(&format!(
            "create s --output={}
             enable-channel -k c --subbuf-size=1M --num-subbuf=16
             enable-event -k -c c sched_switch",
            Path::new(&out(w)).display()
        ))?;
        for context in ["prio", "vtid", "hostname", "callstack-kernel", "net_ns"] {
            let refused = target.lttng(&format!("add-context -k -t {context}"))?;
            ensure!(refused.code != 0, "{context}: {refused:?}");
            ensure!(refused.stderr.contains(context), "{refused:?}");
        }
        // Without the machine's /proc nobody tells what runs already.
        let refused = target.lttng("add-context -k -t procname")?;
        ensure!(
            refused.code != 0 && refused.stderr.contains("/proc"),
            "{refused:?}"
        );
        target.script(
            "add-context -k -t interruptible -t need_reschedule
             start
             stop",
        )?;
        let late = target.lttng("add-context -k -t tid")?;
        ensure!(
            late.code != 0 && late.stderr.contains("started"),
            "{late:?}"
        );
        target.lttng("destroy")?.ok()?;
        let trace = Trace::read(&out(w))?;
        trace.assert_clean()?;
        let switches = trace.events.iter().filter(|e| e.name == "sched_switch");
        for event in switches {
            // Nothing interrupts a switch, and with it there is nothing left to ask for.
            ensure!(event.number("interruptible") == Some(0), "{event:?}");
            ensure!(event.number("need_reschedule").is_some(), "{event:?}");
        }
        Ok(())
    });
}
