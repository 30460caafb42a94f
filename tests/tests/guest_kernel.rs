//! The kernel domain on the distribution's kernel, which has what the kernel of a test machine may not have:
//! probes in itself, for one.
#![cfg(target_arch = "x86_64")]

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use kernel::format::{EventFormat, PageHeader};
use kernel::machine::Machine;
use kernel::schema::EventSchema;
use kernel::tracefs::Tracefs;
use system_tests::{Event, Output, Trace, World, booted, eventually, here, run, tracefs};

/// What runs when a program calls `getppid`.
const FUNCTION: &str = "__x64_sys_getppid";
const CALLS: usize = 300;

fn out(w: &World) -> PathBuf {
    w.path("traces/s")
}

fn create(w: &World) -> String {
    format!("create s --output={}", out(w).display())
}

/// Calls `getppid` so often and prints its process id.
fn call(count: usize) -> Result<i64> {
    let script = format!("import os\nfor _ in range({count}): os.getppid()\nprint(os.getpid())");
    let output = run(Command::new("python3").args(["-c", &script]))?.ok()?;
    output.stdout.trim().parse().context("no process id")
}

/// The address of a symbol of the kernel.
fn address_of(symbol: &str) -> Result<u64> {
    let symbols = fs::read_to_string("/proc/kallsyms")?;
    let line = symbols
        .lines()
        .find(|line| line.split(' ').nth(2) == Some(symbol));
    let address = line.and_then(|line| line.split(' ').next());
    let address = u64::from_str_radix(address.context("no such symbol")?, 16)?;
    ensure!(address != 0, "the kernel hides its addresses");
    Ok(address)
}

/// Somebody else who has a probe at the same place, and looks at it.
struct Neighbour {
    instance: PathBuf,
}

impl Neighbour {
    const EVENT: &str = "neighbours/own";

    fn new() -> Result<Self> {
        let root = Path::new(tracefs::ROOT);
        let mut list = OpenOptions::new()
            .append(true)
            .open(root.join("kprobe_events"))?;
        list.write_all(format!("p:{} {FUNCTION}\n", Self::EVENT).as_bytes())?;
        let instance = root.join("instances/neighbour");
        fs::create_dir(&instance)?;
        fs::write(
            instance.join("events").join(Self::EVENT).join("enable"),
            "1",
        )?;
        Ok(Self { instance })
    }

    /// How often thread `tid` was there, by the kernel's own text.
    fn hits(&self, tid: i64) -> Result<usize> {
        let text = fs::read_to_string(self.instance.join("trace"))?;
        let own = text.lines().filter(|line| {
            let task = line.split(" [").next().unwrap_or_default();
            task.trim().ends_with(&format!("-{tid}")) && line.contains(": own: ")
        });
        Ok(own.count())
    }

    /// It has its probe still, and nobody else has one.
    fn is_alone(&self) -> Result<bool> {
        let event = self.instance.join("events").join(Self::EVENT);
        let enabled = fs::read_to_string(event.join("enable"))?;
        Ok(tracefs::probes()? == [Self::EVENT] && enabled.trim() == "1")
    }
}

fn of_thread<'t>(trace: &'t Trace, name: &str, tid: i64) -> Vec<&'t Event> {
    let own = |event: &&Event| event.name == name && event.number("tid") == Some(tid);
    trace.events.iter().filter(own).collect()
}

/// The number in hexadecimal digits that a field has.
fn address_in(event: &Event, field: &str) -> Result<u64> {
    let (_, rest) = event
        .fields
        .split_once(&format!(" {field} = 0x"))
        .with_context(|| format!("{event:?} has no address {field}"))?;
    let digits = rest.split([',', ' ']).next().unwrap_or_default();
    Ok(u64::from_str_radix(digits, 16)?)
}

#[test]
fn probes_happen_where_and_as_often_as_the_kernel_says() {
    booted(here!(), |w| {
        let neighbour = Neighbour::new()?;
        let address = address_of(FUNCTION)?;
        let target = w.kernel_target()?;
        target.script(&format!(
            "{}
             enable-event -k --probe={FUNCTION} by_name
             enable-event -k --probe={address:#x} by_address
             enable-event -k --function={FUNCTION} pair
             save --output-path={saved}
             destroy
             load --input-path={saved}
             set-session s
             start",
            create(w),
            saved = w.path("saved").display()
        ))?;
        let tid = call(CALLS)?;
        target.lttng("stop")?.ok()?;
        let listed = target.lttng("list s")?.ok()?;
        for text in [
            format!(
                "      by_name (type: probe) [enabled]\n        offset: 0x0\n        symbol: {FUNCTION}\n"
            ),
            format!("      by_address (type: probe) [enabled]\n        addr: {address:#x}\n"),
            format!(
                "      pair (type: function) [enabled]\n        offset: 0x0\n        symbol: {FUNCTION}\n"
            ),
        ] {
            ensure!(listed.stdout.contains(&text), "{text}\n{listed}");
        }
        target.lttng("destroy")?.ok()?;
        w.tracefs_emptied()?;
        ensure!(neighbour.is_alone()?, "left: {:?}", tracefs::probes()?);

        let trace = Trace::read(&out(w))?;
        trace.assert_clean()?;
        let hits = neighbour.hits(tid)?;
        ensure!(hits >= CALLS, "the kernel says {hits}");
        for name in ["by_name", "by_address", "pair_entry", "pair_exit"] {
            let events = of_thread(&trace, name, tid);
            ensure!(events.len() == hits, "{name}: {} of {hits}", events.len());
            for event in events {
                ensure!(address_in(event, "ip")? == address, "{event:?}");
            }
        }
        // Each call returns to where its entry said that it would.
        let entries = of_thread(&trace, "pair_entry", tid);
        let exits = of_thread(&trace, "pair_exit", tid);
        for (entry, exit) in entries.iter().zip(&exits) {
            ensure!(entry.time_ns <= exit.time_ns);
            let callers = [entry, exit].map(|event| address_in(event, "parent_ip").ok());
            ensure!(
                callers[0].is_some() && callers[0] == callers[1],
                "{entry:?} {exit:?}"
            );
        }
        Ok(())
    });
}

#[test]
fn a_probe_that_cannot_be_is_refused_and_nothing_is_left() {
    booted(here!(), |w| {
        let neighbour = Neighbour::new()?;
        let target = w.kernel_target()?;
        target.lttng(&create(w))?.ok()?;
        for (line, code, text) in [
            ("--probe=no_such_symbol p", 43, "no symbol `no_such_symbol`"),
            (
                "--function=no_such_symbol p",
                43,
                "no symbol `no_such_symbol`",
            ),
            (
                "--probe=__x64_sys_getppid+1 p",
                43,
                "no instruction of the kernel begins there",
            ),
            (
                "--function=__x64_sys_getppid+0x9 p",
                43,
                "only from their first instruction",
            ),
            ("--probe=0x1000 p", 43, "the kernel has no code there"),
            (
                "--probe=+3 p",
                1,
                "Error: Invalid probe description +3\nError: Unable to parse probe options",
            ),
            (
                "--probe=schedule+x p",
                1,
                "Error: Invalid probe offset x\nError: Unable to parse probe options",
            ),
            (
                "--function=-1 p",
                1,
                "Error: Invalid probe description -1\nError: Unable to parse function probe options",
            ),
        ] {
            let refused = target.lttng(&format!("enable-event -k {line}"))?;
            refused.code(code)?.says(text)?;
        }
        ensure!(neighbour.is_alone()?, "left: {:?}", tracefs::probes()?);

        // A daemon that is killed leaves its probes to the next one.
        target.script(&format!(
            "enable-event -k --function={FUNCTION} pair
             enable-event -k --probe=no_such_module:function waits_for_the_module
             enable-event -k --userspace-probe=/lib/x86_64-linux-gnu/libc.so.6:getppid program
             start"
        ))?;
        ensure!(tracefs::probes()?.len() == 5, "{:?}", tracefs::probes()?);
        target.daemon().kill()?;
        w.kernel_target()?;
        eventually("the probes are gone", || {
            Ok(neighbour.is_alone()?.then_some(()))
        })
    });
}

#[test]
fn the_domain_is_whole_on_another_kernel() {
    booted(here!(), |w| {
        let events = every_format_is_understood()?;
        ensure!(events > 1000, "only {events} formats");
        let target = w.kernel_target()?;
        let script =
            format!("import os\nfor _ in range({CALLS}): os.getppid()\nprint(os.getpid())");
        let output = out(w);
        let recorded: Output = target.lttng_args(&[
            "record",
            "-k",
            "--output",
            &output.display().to_string(),
            "--",
            "python3",
            "-c",
            &script,
        ])?;
        let recorded = recorded.ok()?;
        let trace = Trace::read(&output)?;
        trace.assert_clean()?;
        let calls = |tid: i64| of_thread(&trace, "syscall_entry_getppid", tid).len();
        let pid = recorded
            .stdout
            .lines()
            .find_map(|line| line.trim().parse::<i64>().ok())
            .with_context(|| format!("no process id\n{recorded}"))?;
        ensure!(calls(pid) >= CALLS, "{} calls", calls(pid));
        ensure!(calls(pid) == of_thread(&trace, "syscall_exit_getppid", pid).len());
        ensure!(trace.count("sched_switch") > 0 && trace.count("lttng_statedump_end") == 1);
        let known = trace.events.iter().any(|event| {
            event.name == "lttng_statedump_process_state"
                && event.number("pid") == Some(i64::from(std::process::id()))
        });
        ensure!(known, "the test is not in the state dump");
        Ok(())
    });
}

/// How many formats the running kernel has.
fn every_format_is_understood() -> Result<usize> {
    let tracefs = Tracefs::find()?;
    let machine = Machine::native(&PageHeader::LONG_64);
    let events = tracefs.events()?;
    for event in &events {
        let named = || format!("the format of {event:?}");
        let format = EventFormat::parse(&tracefs.format(event)?).with_context(named)?;
        EventSchema::new(&format, &event.subsystem, &machine).with_context(named)?;
    }
    Ok(events.len())
}
