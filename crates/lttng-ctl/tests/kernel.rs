//! Programs that drive the kernel domain, compiled with the distribution's headers.

mod common;

use std::process::Command;

use anyhow::{Result, ensure};
use common::{Installed, Kit, assert_same};
use system_tests::{Toolchain, Trace, World, booted, here, isolated, run, tracefs};

/// What `probes.c` prints with one library and a daemon that has no kernel tracer.
fn places(world: &mut World, installed: &Installed, toolchain: Toolchain) -> Result<String> {
    let program = installed.compile("probes", Kit::Distribution)?;
    let target = world.target(toolchain)?;
    let traces = world.path("traces/places").display().to_string();
    let (home, arguments) = (world.home(), [traces.as_str()]);
    let output = match toolchain {
        Toolchain::Stock => program.run_with_stock(&home, &arguments)?,
        Toolchain::Ours => program.run(&home, &arguments)?,
    };
    target.daemon().terminate()?;
    Ok(output.ok()?.stdout)
}

#[test]
fn places_of_probes_answer_as_upstreams() {
    isolated(here!(), |world| {
        let installed = Installed::into(&world.path("kit"))?;
        let theirs = places(world, &installed, Toolchain::Stock)?;
        let ours = places(world, &installed, Toolchain::Ours)?;
        ensure!(theirs.lines().count() > 90, "{theirs}");
        ensure!(theirs.ends_with("end\n"), "{theirs}");
        assert_same("upstream (-) and ours (+)", &theirs, &ours)
    });
}

const STEPS: &str = "
#include <sys/syscall.h>
#include <unistd.h>
int __attribute__((noinline)) step(int n) { return n + 1; }
int main(void) {
    for (int n = 0; n < 25; n = step(n)) {
        syscall(SYS_getppid);
        syscall(SYS_getpid);
    }
    return 0;
}
";

fn record(world: &mut World) -> Result<()> {
    let installed = Installed::into(&world.path("kit"))?;
    let (source, steps) = (world.path("steps.c"), world.path("steps"));
    std::fs::write(&source, STEPS)?;
    run(Command::new("gcc")
        .args(["-O0", "-o"])
        .arg(&steps)
        .arg(&source))?
    .ok()?;
    let program = installed.compile("kernel", Kit::Distribution)?;
    let (home, traces) = (world.home(), world.path("traces/kernel"));
    world.kernel_target()?;
    let steps_path = steps.display().to_string();
    program
        .run(
            &home,
            &["begin", &traces.display().to_string(), &steps_path],
        )?
        .ok()?;
    run(&mut Command::new(&steps))?.ok()?;
    program.run(&home, &["end", &steps_path])?.ok()?;
    world.tracefs_emptied()?;

    let trace = Trace::read(&traces)?;
    trace.assert_clean()?;
    let stepped = trace.events.iter().find(|event| event.name == "stepped");
    let tid = stepped.and_then(|event| event.number("tid"));
    let own = |name: &str| {
        let own = trace
            .events
            .iter()
            .filter(|event| event.name == name && event.number("tid") == tid);
        own.count()
    };
    ensure!(own("stepped") == 25, "{} steps", own("stepped"));
    ensure!(own("syscall_entry_getppid") >= 25);
    if tracefs::has_kprobes() {
        let calls = ["in_kernel", "in_kernel_entry", "in_kernel_exit"];
        ensure!(calls.iter().all(|name| trace.count(name) > 0));
    }
    ensure!(own("syscall_entry_getpid") == 0, "disabled, and recorded");
    let idle = |event: &&system_tests::Event| {
        event.name == "sched_switch" && event.number("next_tid") == Some(0)
    };
    ensure!(trace.count("sched_switch") > 0 && trace.events.iter().find(idle).is_none());
    Ok(())
}

#[test]
fn a_program_of_the_distribution_records_the_kernel_with_ours() {
    isolated(here!(), record);
}

/// With probes in the kernel.
#[test]
fn a_program_of_the_distribution_records_another_kernel_with_ours() {
    booted(here!(), record);
}
