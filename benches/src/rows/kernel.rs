//! The kernel domain beside trace-cmd: CPU time for a million events, and what is lost.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use system_tests::tracefs::TraceCmd;
use system_tests::{Relay, Target, Toolchain, World, check_indexes, cpu_seconds, eventually, run};

use crate::Settings;
use crate::place::Route;
use crate::table::{Side, Table, Unit};

/// What both sides record: two events for each call.
const EVENTS: [&str; 2] = ["syscalls:sys_enter_getppid", "syscalls:sys_exit_getppid"];
/// Memory of one CPU.
const BUFFER_KIB: u64 = 4096;
/// Calls of one process in a measurement without loss, in bursts of so many, with a pause after each.
const CALLS: u64 = 2_000_000;
const BURST: u64 = 10_000;
const PAUSE_US: u64 = 15_000;

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
        one(side, route, true, settings, table)?;
    }
    one(side, Route::Local, false, settings, table)
}

/// What a measurement brought.
struct Measured {
    cpu: f64,
    lost: u64,
}

/// `calm`: at a rate that everybody can follow; otherwise as fast as two processes can.
fn one(side: Side, route: Route, calm: bool, settings: &Settings, table: &mut Table) -> Result<()> {
    let mut world = World::new()?;
    let load = Load::new(&world, settings.amount(CALLS), calm)?;
    let measured = match side {
        Side::Ours => ours(&mut world, route, &load)?,
        Side::Stock => trace_cmd(&world, route, &load)?,
    };
    let million = load.events() as f64 / 1e6;
    let name = route.name();
    if calm {
        ensure!(measured.lost == 0, "{} events were lost", measured.lost);
        let cell = format!("kernel, {name}: all daemons, for a million events");
        table.add(side, &cell, Unit::CpuSeconds, measured.cpu / million);
    } else {
        let delivered = 1.0 - measured.lost as f64 / load.events() as f64;
        let cell = format!("kernel, {name}, storm: share delivered");
        table.add(side, &cell, Unit::Fraction, delivered.max(0.0));
    }
    fs::remove_dir_all(world.path("traces"))?;
    Ok(())
}

struct Load {
    program: PathBuf,
    calls: u64,
    calm: bool,
}

impl Load {
    fn new(world: &World, calls: u64, calm: bool) -> Result<Self> {
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
            calm,
        })
    }

    fn processes(&self) -> u64 {
        if self.calm { 1 } else { 2 }
    }

    fn events(&self) -> u64 {
        2 * self.calls * self.processes()
    }

    fn run(&self) -> Result<()> {
        let pause = if self.calm { PAUSE_US } else { 0 };
        let arguments = [self.calls, BURST, pause].map(|number| number.to_string());
        let mut running = Vec::new();
        for _ in 0..self.processes() {
            running.push(Command::new(&self.program).args(&arguments).spawn()?);
        }
        for mut process in running {
            ensure!(process.wait()?.success(), "the load failed");
        }
        Ok(())
    }
}

fn ours(world: &mut World, route: Route, load: &Load) -> Result<Measured> {
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
        BUFFER_KIB / 4
    ))?;
    let before = used(&target, &relay);
    load.run()?;
    target.lttng("stop")?.ok()?;
    let cpu = used(&target, &relay) - before;
    target.lttng("destroy")?.ok()?;
    let lost = match route {
        Route::Local => check_indexes(&dir)?.discarded,
        Route::Network => check_indexes(relay.output())?.discarded,
    };
    target.daemon().terminate()?;
    relay.daemon().terminate()?;
    Ok(Measured { cpu, lost })
}

fn used(target: &Target, relay: &Relay) -> f64 {
    let consumers: f64 = target.consumers().into_iter().map(cpu_seconds).sum();
    consumers + cpu_seconds(target.daemon().pid()) + cpu_seconds(relay.daemon().pid())
}

fn trace_cmd(world: &World, route: Route, load: &Load) -> Result<Measured> {
    let trace_cmd = TraceCmd::prepare(world)?;
    let file = world.path("traces/trace.dat");
    let mut record = trace_cmd.command(&EVENTS, BUFFER_KIB);
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
    let recording = record
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    eventually("trace-cmd records", || {
        Ok(trace_cmd.is_recording().then_some(()))
    })?;
    load.run()?;
    let before = children_seconds()?;
    interrupt(&recording)?;
    let output = recording.wait_with_output()?;
    if let Some(mut listener) = listener {
        interrupt(&listener)?;
        listener.wait()?;
    }
    let cpu = children_seconds()? - before;
    let text = String::from_utf8_lossy(&output.stdout);
    let lost = text.lines().filter_map(|line| {
        let (name, value) = line.trim().split_once(": ")?;
        let counts = ["overrun", "commit overrun", "dropped events"].contains(&name);
        counts.then(|| value.trim().parse::<u64>().ok())?
    });
    Ok(Measured {
        cpu,
        lost: lost.sum(),
    })
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
