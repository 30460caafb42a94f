//! The kernel domain beside trace-cmd: CPU time for a million events, and what is lost.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use system_tests::tracefs::{self, Produced, TraceCmd};
use system_tests::{Relay, Target, Toolchain, World, check_indexes, cpu_seconds, eventually, run};

use crate::Settings;
use crate::place::Route;
use crate::table::{Side, Table, Unit};

/// What both sides record: two events for each call.
const EVENTS: [&str; 2] = ["syscalls:sys_enter_getppid", "syscalls:sys_exit_getppid"];
/// Memory of one CPU where nothing may be lost.
const BUFFER_KIB: u64 = 4096;
/// And under a storm.
const STORM_KIB: [u64; 3] = [1024, 256, 64];
/// Calls of one process in a measurement without loss, in bursts of so many, with a pause after each.
const CALLS: u64 = 2_000_000;
const BURST: u64 = 10_000;
const PAUSE_US: u64 = 15_000;
/// Calls of each process of a storm.
const STORM_CALLS: u64 = 3_000_000;

const LOAD: &str = r#"
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    long calls = atol(argv[1]), burst = atol(argv[2]), pause = atol(argv[3]);
    for (long n = 1; n <= calls; n++) {
        syscall(SYS_getppid);
        if (pause && n % burst == 0) usleep(pause);
    }
    return 0;
}
"#;

pub(crate) fn measure(side: Side, settings: &Settings, table: &mut Table) -> Result<()> {
    for route in Route::BOTH {
        calm(side, route, settings, table)?;
    }
    for buffer_kib in STORM_KIB {
        storm(side, buffer_kib, settings, table)?;
    }
    Ok(())
}

/// What a measurement brought.
struct Measured {
    cpu: f64,
    /// As the kernel says.
    produced: Produced,
}

fn record(side: Side, route: Route, load: &Load, buffer_kib: u64) -> Result<Measured> {
    let mut world = World::new()?;
    let measured = match side {
        Side::Ours => ours(&mut world, route, load, buffer_kib)?,
        Side::Stock => trace_cmd(&world, route, load, buffer_kib)?,
    };
    fs::remove_dir_all(world.path("traces"))?;
    Ok(measured)
}

/// At a rate that everybody can follow.
fn calm(side: Side, route: Route, settings: &Settings, table: &mut Table) -> Result<()> {
    let load = Load::new(&World::new()?, settings.amount(CALLS), 1, PAUSE_US)?;
    let measured = record(side, route, &load, BUFFER_KIB)?;
    let lost = measured.produced.lost;
    ensure!(lost == 0, "{lost} events were lost");
    let cell = format!(
        "kernel, {}: all daemons, for a million events",
        route.name()
    );
    let million = load.events() as f64 / 1e6;
    table.add(side, &cell, Unit::CpuSeconds, measured.cpu / million);
    Ok(())
}

/// As fast as two processes for each CPU can, which leave little of it to anybody else.
fn storm(side: Side, buffer_kib: u64, settings: &Settings, table: &mut Table) -> Result<()> {
    let cpus = std::thread::available_parallelism()?.get() as u64;
    let load = Load::new(&World::new()?, settings.amount(STORM_CALLS), 2 * cpus, 0)?;
    let measured = record(side, Route::Local, &load, buffer_kib)?;
    let Produced { read, lost, left } = measured.produced;
    ensure!(left == 0, "{left} events were not read");
    let cell = |what: &str| format!("kernel, storm, {buffer_kib} KiB for a CPU: {what}");
    let million = |events: u64| events as f64 / 1e6;
    table.add(
        side,
        &cell("events produced"),
        Unit::Millions,
        million(read + lost),
    );
    table.add(side, &cell("events lost"), Unit::Millions, million(lost));
    let share = read as f64 / (read + lost).max(1) as f64;
    table.add(side, &cell("share delivered"), Unit::Fraction, share);
    Ok(())
}

struct Load {
    program: PathBuf,
    calls: u64,
    processes: u64,
    pause_us: u64,
}

impl Load {
    fn new(world: &World, calls: u64, processes: u64, pause_us: u64) -> Result<Self> {
        let (source, program) = (world.path("load.c"), world.path("load"));
        fs::write(&source, LOAD)?;
        run(Command::new("gcc")
            .arg("-O2")
            .arg("-o")
            .arg(&program)
            .arg(&source))?
        .ok()?;
        Ok(Self {
            program,
            calls,
            processes,
            pause_us,
        })
    }

    fn events(&self) -> u64 {
        2 * self.calls * self.processes
    }

    fn run(&self) -> Result<()> {
        let arguments = [self.calls, BURST, self.pause_us].map(|number| number.to_string());
        let mut running = Vec::new();
        for _ in 0..self.processes {
            running.push(Command::new(&self.program).args(&arguments).spawn()?);
        }
        for mut process in running {
            ensure!(process.wait()?.success(), "the load failed");
        }
        Ok(())
    }
}

fn ours(world: &mut World, route: Route, load: &Load, buffer_kib: u64) -> Result<Measured> {
    let relay = world.relay(Toolchain::Ours)?;
    let target = world.kernel_target()?;
    let dir = world.path("traces/s");
    let output = match route {
        Route::Local => format!("--output={}", dir.display()),
        Route::Network => format!("--set-url={}/s", relay.url()),
    };
    target.script(&format!(
        "create s {output}
         enable-channel -k c --subbuf-size={}k --num-subbuf=4
         enable-event -k -c c --syscall getppid
         start",
        buffer_kib / 4
    ))?;
    let before = used(&target, &relay);
    load.run()?;
    target.lttng("stop")?.ok()?;
    let cpu = used(&target, &relay) - before;
    let produced = tracefs::produced(world)?;
    target.lttng("destroy")?.ok()?;
    let told = match route {
        Route::Local => check_indexes(&dir)?.discarded,
        Route::Network => check_indexes(relay.output())?.discarded,
    };
    ensure!(
        told == produced.lost,
        "the trace tells of {told} lost events, the kernel says {produced:?}"
    );
    target.daemon().terminate()?;
    relay.daemon().terminate()?;
    Ok(Measured { cpu, produced })
}

fn used(target: &Target, relay: &Relay) -> f64 {
    let consumers: f64 = target.consumers().into_iter().map(cpu_seconds).sum();
    consumers + cpu_seconds(target.daemon().pid()) + cpu_seconds(relay.daemon().pid())
}

fn trace_cmd(world: &World, route: Route, load: &Load, buffer_kib: u64) -> Result<Measured> {
    let trace_cmd = TraceCmd::prepare(world)?;
    let file = world.path("traces/trace.dat");
    let mut record = trace_cmd.command(&EVENTS, buffer_kib);
    let mut listener = None;
    match route {
        Route::Local => {
            record.arg("-o").arg(&file);
        }
        Route::Network => {
            let listening = Command::new("trace-cmd")
                .args(["listen", "-p", "7342", "-d"])
                .arg(world.path("traces"))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()?;
            listener = Some(listening);
            std::thread::sleep(Duration::from_millis(300));
            record.args(["-N", "127.0.0.1:7342"]);
        }
    }
    let mut recording = record.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    eventually("trace-cmd records", || {
        Ok(trace_cmd.is_recording().then_some(()))
    })?;
    load.run()?;
    // Before it removes its instance. Nothing is lost any more; what is left it reads now.
    let mut produced = trace_cmd.produced()?;
    produced.read += std::mem::take(&mut produced.left);
    let before = children_seconds()?;
    interrupt(&recording)?;
    recording.wait()?;
    if let Some(mut listener) = listener {
        interrupt(&listener)?;
        listener.wait()?;
    }
    let cpu = children_seconds()? - before;
    Ok(Measured { cpu, produced })
}

fn interrupt(process: &Child) -> Result<()> {
    Ok(kill_process(Pid::from_child(process), Signal::INT)?)
}

/// Of all children that have been waited for, and theirs.
fn children_seconds() -> Result<f64> {
    let text = fs::read_to_string("/proc/self/stat")?;
    let (_, rest) = text
        .rsplit_once(')')
        .context("no command in /proc/self/stat")?;
    let ticks = rest
        .split_whitespace()
        .skip(13)
        .take(2)
        .map(str::parse::<u64>);
    let ticks = ticks.sum::<Result<u64, _>>()?;
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}
