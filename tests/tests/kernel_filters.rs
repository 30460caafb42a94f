//! Filters of the kernel domain: what they let pass is what they say of the values in the trace.

use std::path::PathBuf;
use std::process::Command;

use anyhow::ensure;
use system_tests::{Event, Trace, World, here, isolated, run, tracefs};

/// Renames its thread, and makes calls that fail, with numbers that are the least and largest of something. The last
/// calls of each kind have an `int` that fills a word; libc leaves the upper half empty.
const CALLS: &str = r#"
import ctypes, os, platform, sys
raw = ctypes.CDLL(None).syscall
openat = {'x86_64': 257, 'aarch64': 56, 'riscv64': 56}[platform.machine()]
open('/proc/self/comm', 'w').write(sys.argv[1])
for offset in (-7, -5, -1, 0, 1, 5, 2**32, 2**40):
    try: os.lseek(1000000, offset, 0)
    except OSError: pass
for flags in (0, 1, 2):
    for directory in (-100, -5, -1, 3000000):
        try: os.open('nothing', flags | os.O_APPEND, dir_fd=directory)
        except OSError: pass
        raw(openat, ctypes.c_long(directory), b'nothing', flags | os.O_APPEND)
"#;
const OFFSETS: [i64; 8] = [-7, -5, -1, 0, 1, 5, 1 << 32, 1 << 40];
const DIRECTORIES: [i64; 4] = [-100, -5, -1, 3_000_000];

/// The directories of the calls that a condition lets pass, in the order of the calls; their flags are 0, 1 and 2.
fn directories(condition: impl Fn(i64, i64) -> bool) -> Vec<i64> {
    let calls = (0..3).flat_map(|flags| DIRECTORIES.map(|directory| (flags, directory)));
    calls
        .filter(|(flags, directory)| condition(*flags, *directory))
        .flat_map(|(_, directory)| [directory; 2])
        .collect()
}

fn offsets(condition: impl Fn(i64) -> bool) -> Vec<i64> {
    OFFSETS.into_iter().filter(|o| condition(*o)).collect()
}

/// System call, field, a condition that keeps other calls of the program away, filter, values that pass.
type Case = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    Vec<i64>,
);

fn cases() -> Vec<Case> {
    let offset = |filter, values| ("lseek", "offset", "fd == 1000000", filter, values);
    let directory = |filter, values| ("openat", "dfd", "flags & 1024", filter, values);
    vec![
        offset("offset == -5", vec![-5]),
        offset("offset == 0xffffffffffffffff", vec![-1]),
        offset(
            "offset < -1 || offset >= 5",
            offsets(|o| !(-1..5).contains(&o)),
        ),
        offset("offset > -5 && offset <= 1", offsets(|o| o > -5 && o <= 1)),
        offset("offset > 0xffffffff", offsets(|o| o > 0xffff_ffff)),
        offset("(offset & 0xff) == 0xfb", vec![-5]),
        directory("dfd == -100", directories(|_, d| d == -100)),
        directory("dfd < 0 && dfd != -1", directories(|_, d| d < -1)),
        directory("dfd >= -5", directories(|_, d| d >= -5)),
        directory(
            "dfd < -5 || dfd > 0",
            directories(|_, d| !(-5..=0).contains(&d)),
        ),
        // Not in the trace: it is cut to 32 bits there.
        directory("dfd == 4294967196", Vec::new()),
        directory("dfd < 4294967296", directories(|_, _| true)),
        directory("(flags & 3) == 2", directories(|f, _| f == 2)),
        directory("(flags & 3) != 2", directories(|f, _| f != 2)),
    ]
}

fn output(w: &World, number: usize) -> PathBuf {
    w.path(&format!("traces/s{number}"))
}

#[test]
fn comparisons_are_those_of_the_values_in_the_trace() {
    isolated(here!(), |w| {
        let target = w.kernel_target()?;
        // No longer than the name of a thread, and nobody else's.
        let name = format!("f{}", tracefs::mark()?);
        for (number, (call, _, own, filter, _)) in cases().into_iter().enumerate() {
            let create = format!("create s{number} --output={}", output(w, number).display());
            target.lttng(&create)?.ok()?;
            let filter = format!("{own} && ({filter}) && $ctx.procname == \"{name}\"");
            let enable = ["enable-event", "-k", "--syscall", call, "--filter", &filter];
            target.lttng_args(&enable)?.ok()?;
            target.lttng("start")?.ok()?;
        }
        run(Command::new("python3").args(["-c", CALLS, &name]))?.ok()?;
        target.lttng("destroy --all")?.ok()?;
        for (number, (call, field, _, filter, expected)) in cases().into_iter().enumerate() {
            let trace = Trace::read(&output(w, number))?;
            trace.assert_clean()?;
            let entry = format!("syscall_entry_{call}");
            let calls = trace.events.iter().filter(|event| event.name == entry);
            let found: Vec<_> = calls
                .filter_map(|event: &Event| event.number(field))
                .collect();
            ensure!(found == expected, "{filter}: {found:?}, not {expected:?}");
        }
        Ok(())
    });
}

#[test]
fn a_filter_that_the_kernel_cannot_have_is_refused_at_once() {
    isolated(here!(), |w| {
        let target = w.kernel_target()?;
        target.lttng("create s")?.ok()?;
        for (rule, filter, reason) in [
            ("--syscall=read", "buf == 5", "cannot compare `buf`"),
            ("--syscall=openat", "filename == 5", "`filename`"),
            ("--syscall=close", "$ctx.uid == 0", "$ctx.procname"),
            ("sys_enter", "args == 5", "cannot compare `args`"),
            ("--syscall=close", "fd == nr", "no field `nr`"),
        ] {
            let mut enable = vec!["enable-event", "-k", "--filter", filter];
            enable.extend(rule.split('='));
            target.lttng_args(&enable)?.code(106)?.says(reason)?;
        }
        ensure!(tracefs::instances(w)?.is_empty());
        Ok(())
    });
}

#[test]
#[cfg(target_arch = "x86_64")]
fn events_of_a_probe_are_filtered_by_who_is_there() {
    isolated(here!(), |w| {
        let target = w.kernel_target()?;
        let name = format!("f{}", tracefs::mark()?);
        let libc = "--userspace-probe=elf:/lib/x86_64-linux-gnu/libc.so.6:getppid";
        target
            .lttng(&format!("create s --output={}", output(w, 0).display()))?
            .ok()?;
        let enable = ["enable-event", "-k", libc, "probed", "--filter"];
        let by_field = [&enable[..], &["ip == 5"]].concat();
        target
            .lttng_args(&by_field)?
            .code(106)?
            .says("no field `ip`")?;
        let by_name = format!("$ctx.procname == \"{name}\"");
        target
            .lttng_args(&[&enable[..], &[&by_name]].concat())?
            .ok()?;
        target.lttng("start")?.ok()?;
        let script = "import os, sys
for _ in range(20): os.getppid()
open('/proc/self/comm', 'w').write(sys.argv[1])
for _ in range(10): os.getppid()";
        run(Command::new("python3").args(["-c", script, &name]))?.ok()?;
        target.script("stop\n destroy")?;
        let trace = Trace::read(&output(w, 0))?;
        trace.assert_clean()?;
        let found = trace.count("probed");
        ensure!(found == 10, "{found} events");
        Ok(())
    });
}
