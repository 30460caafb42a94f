//! The kernel domain: what the kernel did is in the trace, as often as it did it, beside user space.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use system_tests::Toolchain::{Ours, Stock};
use system_tests::tracefs::{self, TraceCmd};
use system_tests::{
    Output, Signal, Trace, Who, World, check_indexes, count_events, eventually, here, isolated,
    run, signal,
};

/// Marks the thread and calls `getppid` so often.
fn getppid_loop(count: u32) -> Result<String> {
    Ok(format!(
        "{}\nfor _ in range({count}): os.getppid()",
        marked()?
    ))
}

/// The beginning of a script that marks its thread, which is known in here by another number than to the
/// kernel: it closes a file that it does not have.
fn marked() -> Result<String> {
    let mark = tracefs::mark()?;
    Ok(format!(
        "import os\ntry: os.close({mark})\nexcept OSError: pass"
    ))
}

fn python(script: &str) -> Result<Output> {
    run(Command::new("python3").args(["-c", script]))?.ok()
}

/// The thread that was marked; the last one, if there were several.
fn marked_thread(trace: &Trace) -> Result<i64> {
    let mark = tracefs::mark()?;
    let is_mark = |event: &&system_tests::Event| {
        event.name == "syscall_entry_close" && event.number("fd") == Some(mark)
    };
    let event = trace.events.iter().rev().find(is_mark);
    event
        .and_then(|event| event.number("tid"))
        .context("no thread was marked")
}

/// Events of one thread, after its mark: what a program does before its first line is its own business.
fn of_thread(trace: &Trace, name: &str, tid: i64) -> usize {
    let own = |event: &&system_tests::Event| event.number("tid") == Some(tid);
    let marked = trace.events.iter().filter(own).skip_while(|event| {
        event.name != "syscall_entry_close" || event.number("fd") != tracefs::mark().ok()
    });
    marked.filter(|event| event.name == name).count()
}

/// The names from the first one to the last one that is `bound`.
fn within<'a>(names: impl Iterator<Item = &'a str>, bound: &str) -> Vec<&'a str> {
    let names: Vec<_> = names.collect();
    let is_bound = |name: &&str| *name == bound;
    let first = names.iter().position(is_bound);
    let last = names.iter().rposition(is_bound);
    match (first, last) {
        (Some(first), Some(last)) => names[first..=last].to_vec(),
        _ => Vec::new(),
    }
}

fn count(names: &[&str], wanted: &str) -> usize {
    names.iter().filter(|name| **name == wanted).count()
}

fn out(w: &World) -> PathBuf {
    w.path("traces/s")
}

/// What the whole machine does meanwhile is in the buffers too, and their reader may have to wait for a processor: they
/// hold all of it.
const CHANNEL: &str = "enable-channel -k c --subbuf-size=1M --num-subbuf=32";

/// Session `s` with the channel `c`.
fn create(w: &World) -> String {
    format!("create s --output={}\n {CHANNEL}", out(w).display())
}

#[test]
fn as_often_as_trace_cmd_says() {
    isolated(here!(), |w| {
        let target = w.kernel_target()?;
        target.script(&format!(
            "{}
             enable-event -k -c c sched_switch
             enable-event -k -c c --syscall getppid,close
             start",
            create(w)
        ))?;
        let events = ["sched:sched_switch", "syscalls:sys_enter_getppid"];
        // It sleeps in between: it is switched away from.
        let script = format!(
            "{}\nimport time; time.sleep(0.01)\nfor _ in range(50_000): os.getppid()",
            getppid_loop(50_000)?
        );
        let recorded = TraceCmd::record(w, &events, &["python3", "-c", &script])?;
        target.script("stop\n destroy")?;

        let trace = Trace::read(&out(w))?;
        let tid = marked_thread(&trace)?;
        trace.assert_clean()?;
        let calls = of_thread(&trace, "syscall_entry_getppid", tid);
        ensure!(calls == 100_000, "{calls} calls in the trace");
        ensure!(of_thread(&trace, "syscall_exit_getppid", tid) == calls);
        // From the first call to the last: how much of the beginning and the end of the process trace-cmd records is
        // left to chance.
        let own = trace
            .events
            .iter()
            .filter(|event| event.number("tid") == Some(tid));
        let ours = within(
            own.map(|event| event.name.as_str()),
            "syscall_entry_getppid",
        );
        let own = recorded.lines().filter(|line| line.tid == tid);
        let theirs = within(own.map(|line| line.name.as_str()), "sys_enter_getppid");
        let (calls, switches) = (
            count(&ours, "syscall_entry_getppid"),
            count(&ours, "sched_switch"),
        );
        ensure!(switches > 0, "the process was never switched away from");
        let (their_calls, their_switches) = (
            count(&theirs, "sys_enter_getppid"),
            count(&theirs, "sched_switch"),
        );
        ensure!(
            (calls, switches) == (their_calls, their_switches),
            "{calls} calls and {switches} switches in the trace, \
             trace-cmd has {their_calls} and {their_switches}, {} lines in all",
            recorded.lines().count()
        );
        Ok(())
    });
}

#[test]
fn values_are_what_the_program_did() {
    isolated(here!(), |w| {
        let target = w.kernel_target()?;
        target.script(&format!(
            "{}
             enable-event -k -c c --syscall write,close
             start",
            create(w)
        ))?;
        let output = python(
            &(marked()?
                + "\nfd = os.open('/dev/null', os.O_WRONLY)\n\
                   for n in range(1, 101): os.write(fd, b'x' * n)\n\
                   print(fd, flush=True)"),
        )?;
        target.script("stop\n destroy")?;
        let fd: i64 = output.stdout.trim().parse()?;
        let trace = Trace::read(&out(w))?;
        let tid = marked_thread(&trace)?;
        trace.assert_clean()?;
        let own: Vec<_> = trace
            .events
            .iter()
            .filter(|event| event.number("tid") == Some(tid))
            .collect();
        let mut written = Vec::new();
        for pair in own.windows(2) {
            if pair[0].name == "syscall_entry_write" && pair[0].number("fd") == Some(fd) {
                ensure!(pair[1].name == "syscall_exit_write", "{:?}", pair[1]);
                ensure!(pair[0].number("count") == pair[1].number("ret"));
                written.extend(pair[1].number("ret"));
            }
        }
        ensure!(written == (1..=100).collect::<Vec<i64>>(), "{written:?}");
        let mark = tracefs::mark()?;
        let bad = own.windows(2).find(|pair| {
            pair[0].name == "syscall_entry_close" && pair[0].number("fd") == Some(mark)
        });
        let bad = bad.context("no close of the mark")?;
        // EBADF
        ensure!(bad[1].number("ret") == Some(-9), "{:?}", bad[1]);
        Ok(())
    });
}

const AROUND: &str = r#"
#define _GNU_SOURCE
#include <lttng/tracef.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    syscall(SYS_close, atoi(argv[1]));
    for (int i = 0; i < 1000; i++) {
        tracef("before %d", i);
        syscall(SYS_getppid);
        tracef("after %d", i);
    }
    return 0;
}
"#;

#[test]
fn user_space_and_kernel_share_one_time_line() {
    isolated(here!(), |w| {
        let program = compile(w, "around", AROUND, &["-llttng-ust", "-ldl"])?;
        let target = w.kernel_target()?;
        target.script(&format!(
            "{}
             enable-event -k -c c --syscall getppid,close
             enable-event -u lttng_ust_tracef:*
             start",
            create(w)
        ))?;
        let mark = tracefs::mark()?.to_string();
        run(Command::new(&program).arg(mark).env("HOME", w.home()))?.ok()?;
        target.script("stop\n destroy")?;
        let tid = marked_thread(&Trace::read(&out(w).join("kernel"))?)?;
        ensure!(out(w).join("kernel/c_0").is_file());
        ensure!(out(w).join("ust/uid/0/64-bit/channel0_0").is_file());
        // babeltrace2 merges the two.
        let text = run(Command::new("babeltrace2").arg(out(w)))?.ok()?;
        ensure!(text.stderr.is_empty(), "{text}");
        let steps: Vec<&str> = text
            .stdout
            .lines()
            .filter_map(|line| {
                let kernel = line.contains(&format!("{{ tid = {tid} }}"));
                if line.contains("syscall_entry_getppid") && kernel {
                    Some("entry")
                } else if line.contains("syscall_exit_getppid") && kernel {
                    Some("exit")
                } else if line.contains("\"before ") {
                    Some("before")
                } else if line.contains("\"after ") {
                    Some("after")
                } else {
                    None
                }
            })
            .collect();
        ensure!(steps.len() == 4000, "{} steps", steps.len());
        for (round, step) in steps.chunks(4).enumerate() {
            ensure!(
                step == ["before", "entry", "exit", "after"],
                "round {round}: {step:?}"
            );
        }
        Ok(())
    });
}

fn compile(w: &World, name: &str, source: &str, libraries: &[&str]) -> Result<PathBuf> {
    let (file, program) = (w.path(&format!("{name}.c")), w.path(name));
    std::fs::write(&file, source)?;
    run(Command::new("gcc")
        .args(["-O0", "-o"])
        .arg(&program)
        .arg(&file)
        .args(libraries))?
    .ok()?;
    Ok(program)
}

fn over_the_network(w: &mut World, relay: system_tests::Toolchain) -> Result<()> {
    let relay = w.relay(relay)?;
    let target = w.kernel_target()?;
    target.script(&format!(
        "create s --set-url={}
         {CHANNEL}
         enable-event -k -c c --syscall getppid,close
         enable-event -k -c c sched_*
         start",
        relay.url()
    ))?;
    python(&getppid_loop(50_000)?)?;
    target.script("stop\n destroy")?;
    let trace = Trace::read(relay.output())?;
    let tid = marked_thread(&trace)?;
    trace.assert_clean()?;
    ensure!(of_thread(&trace, "syscall_entry_getppid", tid) == 50_000);
    ensure!(trace.events.iter().all(|event| event.host == "target"));
    Ok(())
}

#[test]
fn over_the_network_to_ours() {
    isolated(here!(), |w| over_the_network(w, Ours));
}

#[test]
fn over_the_network_to_stock() {
    isolated(here!(), |w| over_the_network(w, Stock));
}

#[test]
fn rotated_chunks_are_read_as_one() {
    isolated(here!(), |w| {
        let target = w.kernel_target()?;
        target.script(&format!(
            "{}
             enable-event -k -c c --syscall getppid,close
             start",
            create(w)
        ))?;
        for _ in 0..3 {
            python(&getppid_loop(1000)?)?;
            target.lttng("rotate")?.ok()?;
        }
        target.script("stop\n destroy")?;
        let text = run(Command::new("babeltrace2").arg(out(w)))?.ok()?;
        ensure!(text.stderr.is_empty(), "{text}");
        let trace = Trace::read(&out(w))?;
        trace.assert_clean()?;
        let mark = tracefs::mark()?;
        let marks = trace.events.iter().filter(|event| {
            event.name == "syscall_entry_close" && event.number("fd") == Some(mark)
        });
        ensure!(marks.count() == 3);
        ensure!(trace.count("syscall_entry_getppid") >= 3000);
        Ok(())
    });
}

fn overload(w: &mut World, mode: &str) -> Result<()> {
    let target = w.kernel_target()?;
    target.script(&format!(
        "create s --output={}
         enable-channel -k c --{mode} --subbuf-size=16k --num-subbuf=4
         enable-event -k -c c --syscall --all
         enable-event -k -c c sched_*
         start",
        out(w).display()
    ))?;
    let storm = getppid_loop(300_000)?;
    let children: Vec<_> = (0..3)
        .map(|_| Command::new("python3").args(["-c", &storm]).spawn())
        .collect::<Result<_, _>>()?;
    for mut child in children {
        ensure!(child.wait()?.success());
    }
    // However fast the reader is: now it does not read.
    let consumer = target.consumer()?;
    signal(consumer, Signal::STOP)?;
    python(&getppid_loop(10_000)?)?;
    signal(consumer, Signal::CONT)?;
    target.lttng("stop")?.ok()?;
    let produced = tracefs::produced(w)?;
    target.lttng("destroy")?.ok()?;
    let trace = Trace::read(&out(w))?;
    trace.assert_readable()?;
    let dumped = trace
        .events
        .iter()
        .filter(|event| event.name.starts_with("lttng_statedump_"))
        .count() as u64;
    let read = trace.events.len() as u64 - dumped;
    ensure!(produced.lost > 0, "no overload: {produced:?}");
    let discarded = check_indexes(&out(w))?.discarded;
    ensure!(
        discarded == produced.lost && read == produced.read,
        "{read} events read and {discarded} discarded; the kernel says {produced:?}",
    );
    trace.assert_discarded(discarded)
}

#[test]
fn every_event_is_read_or_counted() {
    isolated(here!(), |w| overload(w, "discard"));
}

#[test]
fn every_overwritten_event_is_counted() {
    isolated(here!(), |w| overload(w, "overwrite"));
}

#[test]
fn a_killed_daemon_leaves_nothing_after_its_restart() {
    isolated(here!(), |w| {
        let target = w.kernel_target()?;
        target.script(&format!(
            "{}
             enable-event -k -c c sched_switch
             start",
            create(w)
        ))?;
        ensure!(tracefs::instances(w)?.len() == 1);
        target.daemon().kill()?;
        let again = w.kernel_target()?;
        eventually("the instance is gone", || {
            Ok(tracefs::instances(w)?.is_empty().then_some(()))
        })?;
        again.lttng("list")?.ok()?;
        Ok(())
    });
}

#[test]
fn destroy_leaves_nothing_and_disturbs_nobody() {
    isolated(here!(), |w| {
        let bystander = tracefs::Bystander::new(w)?;
        let target = w.kernel_target()?;
        target.script(&format!(
            "{}
             enable-event -k -c c sched_switch
             start
             stop
             start",
            create(w)
        ))?;
        target.script("stop\n destroy")?;
        w.tracefs_emptied()?;
        bystander.assert_undisturbed()
    });
}

/// The kernel takes long to let go of events that somebody else records too: the rest is done when `destroy` has
/// returned.
#[test]
fn a_session_goes_and_leaves_its_events_to_the_others() {
    isolated(here!(), |w| {
        let target = w.kernel_target()?;
        for session in ["first", "second"] {
            target.script(&format!(
                "create {session} --output={}
                 enable-event -k sched_*
                 enable-event -k --syscall getppid,close
                 start",
                w.path(session).display()
            ))?;
        }
        target.lttng("destroy first")?.ok()?;
        target.script(&format!(
            "{}
             enable-event -k -c c --syscall getppid,close
             start",
            create(w)
        ))?;
        python(&getppid_loop(10)?)?;
        target.script("destroy s\n destroy second")?;
        let trace = Trace::read(&out(w))?;
        trace.assert_clean()?;
        ensure!(of_thread(&trace, "syscall_entry_getppid", marked_thread(&trace)?) == 10);
        w.tracefs_emptied()
    });
}

#[test]
fn what_cannot_be_had_is_refused_with_its_code() {
    isolated(here!(), |w| {
        let target = w.kernel_target()?;
        target.lttng("create s")?.ok()?;
        run(Command::new("mkfifo").arg("/run/pipe"))?.ok()?;
        for (line, code, text) in [
            (
                "enable-event -k no_such_event",
                43,
                "no tracepoint `no_such_event`",
            ),
            (
                "enable-event -k --syscall no_such_call",
                43,
                "no system call `no_such_call`",
            ),
            (
                "enable-event -k --syscall no_such_call",
                43,
                "`lttng list --kernel --syscall`",
            ),
            ("enable-event -k openat", 43, "`--syscall openat`"),
            ("enable-event -k sys_enter_openat", 43, "`--syscall openat`"),
            (
                "enable-event -k sched_switch --filter=next_tid==prev_tid",
                106,
                "no comparisons of two fields",
            ),
            (
                "enable-event -k sched_switch --filter=nothing==1",
                106,
                "no field `nothing`",
            ),
            (
                "enable-event -k --userspace-probe=/no/such/file:main p",
                138,
                "/no/such/file",
            ),
            (
                "enable-event -k --userspace-probe=/dev/zero:main p",
                138,
                "no regular file",
            ),
            (
                "enable-event -k --userspace-probe=/run/pipe:main p",
                138,
                "no regular file",
            ),
            (
                "enable-event -k --userspace-probe=/proc/kmsg:main p",
                138,
                "no complete ELF file",
            ),
        ] {
            target.lttng(line)?.code(code)?.says(text)?;
        }
        // Its files could not be made.
        let long = target.lttng(&format!("enable-channel -k {}", "n".repeat(220)))?;
        long.code(1)?.says("1 to 219 bytes")?;
        if !Path::new("/sys/kernel/tracing/kprobe_events").exists() {
            for option in ["--probe", "--function"] {
                let refused = target.lttng(&format!("enable-event -k {option}=schedule p"))?;
                refused.code(82)?.says("CONFIG_KPROBE_EVENTS")?;
            }
        }
        target.lttng("enable-event -k sched_switch")?.ok()?;
        target.lttng("add-context -k -t tid")?.ok()?;
        let refused = target.lttng("add-context -k -t procname")?;
        ensure!(refused.code != 0, "{refused}");
        refused.says("procname")?;
        Ok(())
    });
}

#[test]
fn filters_and_uprobes_do_what_they_say() {
    isolated(here!(), |w| {
        let program = compile(
            w,
            "probed",
            "int __attribute__((noinline)) step(int n) { return n + 1; }\n\
             int main(void) { int n = 0; while (n < 25) n = step(n); return 0; }",
            &[],
        )?;
        let target = w.kernel_target()?;
        target.script(&create(w))?;
        let probe = format!("--userspace-probe=elf:{}:step", program.display());
        target
            .lttng_args(&["enable-event", "-k", "-c", "c", &probe, "my_step"])?
            .ok()?;
        let filter = [
            "enable-event",
            "-k",
            "-c",
            "c",
            "--syscall",
            "write",
            "--filter",
            "count > 50",
        ];
        target.lttng_args(&filter)?.ok()?;
        target.script("enable-event -k -c c --syscall close")?;
        target.lttng("start")?.ok()?;
        run(&mut Command::new(&program))?.ok()?;
        python(
            &(marked()?
                + "\nfd = os.open('/dev/null', os.O_WRONLY)\n\
                   for n in range(1, 101): os.write(fd, b'x' * n)"),
        )?;
        target.script("stop\n destroy")?;
        let trace = Trace::read(&out(w))?;
        trace.assert_clean()?;
        ensure!(trace.count("my_step") == 25);
        ensure!(
            trace
                .events
                .iter()
                .filter(|e| e.name == "my_step")
                .all(|e| e.number("ip").is_some() || e.fields.contains("ip = "))
        );
        ensure!(of_thread(&trace, "syscall_entry_write", marked_thread(&trace)?) == 50);
        Ok(())
    });
}

#[test]
fn record_needs_no_other_option() {
    isolated(here!(), |w| {
        let target = w.kernel_target()?;
        let script = getppid_loop(10)?;
        let record = |output: &Path| {
            let output = output.display().to_string();
            let recorded = target.lttng_args(&[
                "record", "-k", "--output", &output, "--", "python3", "-c", &script,
            ])?;
            recorded.ok()
        };
        let mut output = out(w);
        record(&output)?;
        // Nobody tells it how large its buffers shall be: they may be too small for what the whole machine does.
        for again in 0..4 {
            if check_indexes(&output)?.discarded > 0 {
                output = w.path(&format!("traces/again{again}"));
                record(&output)?;
            }
        }
        let trace = Trace::read(&output)?;
        trace.assert_clean()?;
        let tid = marked_thread(&trace)?;
        ensure!(of_thread(&trace, "syscall_entry_getppid", tid) == 10);
        ensure!(trace.count("sched_switch") > 0 && trace.count("sched_process_exec") > 0);
        // The state dump has this very process among others.
        let own = i64::from(std::process::id());
        let known = trace.events.iter().any(|event| {
            event.name == "lttng_statedump_process_state" && event.number("pid") == Some(own)
        });
        ensure!(known || trace.count("lttng_statedump_process_state") > 1);
        ensure!(trace.count("lttng_statedump_start") == 1);
        ensure!(trace.count("lttng_statedump_end") == 1);
        ensure!(count_events(&output)? == trace.events.len() as u64);
        Ok(())
    });
}

#[test]
fn record_takes_single_system_calls() {
    isolated(here!(), |w| {
        let target = w.kernel_target()?;
        let output = out(w).display().to_string();
        let script = getppid_loop(10)?;
        let options = ["--syscall", "getppid", "--syscall", "clos*"];
        let command = ["--output", &output, "--", "python3", "-c", &script];
        target
            .lttng_args(&[&["record", "-k"], &options[..], &command].concat())?
            .ok()?;
        let trace = Trace::read(&out(w))?;
        trace.assert_clean()?;
        ensure!(of_thread(&trace, "syscall_entry_getppid", marked_thread(&trace)?) == 10);
        ensure!(trace.count("sched_switch") == 0);
        Ok(())
    });
}

#[test]
fn an_ordinary_user_is_told_what_is_missing() {
    isolated(here!(), |w| {
        // Mounts it, where users then find it and may not look into it.
        w.kernel_target()?.lttng("list -k")?.ok()?;
        let user = Who::user(1234, w.path("user"))?;
        let target = w.kernel_target_of(user)?;
        target.lttng("create s")?.ok()?;
        for line in ["enable-event -k sched_switch", "enable-channel -k c"] {
            let refused = target.lttng(line)?;
            ensure!(refused.code != 0, "{refused}");
            refused.says("remount,uid=")?;
        }
        Ok(())
    });
}

/// Waits for a line, makes calls, and so on; marks its thread first.
const ON_DEMAND: &str = "
import sys
while sys.stdin.readline():
    for _ in range(100): os.getppid()
    print('done', flush=True)";

#[test]
fn only_tracked_processes_are_recorded() {
    isolated(here!(), |w| {
        use std::io::{BufRead, BufReader, Write};

        let target = w.kernel_target()?;
        let first = w.path("traces/first");
        target.script(&format!(
            "create first --output={}
             {CHANNEL}
             enable-event -k -c c --syscall close
             start",
            first.display()
        ))?;
        let mut tracked = Command::new("python3")
            .args(["-c", &(marked()? + ON_DEMAND)])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()?;
        let (input, output) = (tracked.stdin.take(), tracked.stdout.take());
        let (mut input, output) = (input.context("no input")?, output.context("no output")?);
        let mut output = BufReader::new(output);
        let mut calls = || -> Result<()> {
            writeln!(input, "go")?;
            output.read_line(&mut String::new())?;
            Ok(())
        };
        calls()?;
        target.script("stop\n destroy")?;
        // Its number in the kernel is another one than here.
        let pid = marked_thread(&Trace::read(&first)?)?;

        target.script(&format!(
            "{}
             enable-event -k -c c --syscall getppid,close
             track -k --pid={pid}
             start",
            create(w)
        ))?;
        python(&getppid_loop(1000)?)?;
        calls()?;
        target.script(&format!("untrack -k --pid={pid}"))?;
        calls()?;
        target.script("stop\n destroy")?;
        tracked.kill()?;
        tracked.wait()?;
        let trace = Trace::read(&out(w))?;
        trace.assert_clean()?;
        ensure!(trace.count("syscall_entry_getppid") == 100);
        // The state dump may know it too, by the same number.
        let own = |event: &&system_tests::Event| {
            event.name.starts_with("syscall_") && event.number("tid") == Some(pid)
        };
        ensure!(trace.events.iter().filter(own).count() == 200);
        Ok(())
    });
}
