//! Programs compiled with the distribution's headers and library run with ours.

mod common;

use anyhow::{Result, ensure};
use common::{Installed, Kit, assert_same};
use system_tests::{Toolchain, Trace, World, eventually, here, isolated};

/// What `behaviour.c` prints with one library and its daemon.
fn behaviour(world: &mut World, installed: &Installed, toolchain: Toolchain) -> Result<String> {
    let program = installed.compile("behaviour", Kit::Distribution)?;
    let target = world.target(toolchain)?;
    let app = world.app("").start()?;
    eventually("the application is registered", || {
        let listed = target.lttng("list --userspace")?.ok()?;
        Ok(listed.stdout.contains("emitter:small").then_some(()))
    })?;
    // Not below a directory of the daemon's name: the output is compared.
    let traces = world.path("traces/behaviour").display().to_string();
    let (home, arguments) = (world.home(), [traces.as_str()]);
    let output = match toolchain {
        Toolchain::Stock => program.run_with_stock(&home, &arguments)?,
        Toolchain::Ours => program.run(&home, &arguments)?,
    };
    app.finish()?;
    target.daemon().terminate()?;
    Ok(output.ok()?.stdout)
}

#[test]
fn every_call_answers_as_upstreams() {
    isolated(here!(), |world| {
        let installed = Installed::into(&world.path("kit"))?;
        let theirs = behaviour(world, &installed, Toolchain::Stock)?;
        let ours = behaviour(world, &installed, Toolchain::Ours)?;
        ensure!(theirs.lines().count() > 500, "{theirs}");
        ensure!(theirs.contains("sessions at the end: 0"), "{theirs}");
        assert_same("upstream (-) and ours (+)", &theirs, &ours)
    });
}

#[test]
fn a_program_of_the_distribution_records_with_ours() {
    isolated(here!(), |world| {
        let installed = Installed::into(&world.path("kit"))?;
        let program = installed.compile("record", Kit::Distribution)?;
        let home = world.home();
        world.target(Toolchain::Ours)?;
        let traces = world.path("traces/recorded");
        program
            .run(&home, &["begin", &traces.display().to_string()])?
            .ok()?;
        let round = world.app("--events 10 --threads 2").run_once()?;
        program.run(&home, &["end"])?.ok()?;

        let trace = Trace::read(&traces)?;
        trace.assert_clean()?;
        // The filter of `record.c` lets the second thread's events pass.
        let expected: Vec<String> = round
            .lines
            .into_iter()
            .filter(|line| line.contains("thread = 1,"))
            .collect();
        ensure!(expected.len() == 10, "{expected:?}");
        trace.assert_lines(&expected)?;
        let has_context = |event: &system_tests::Event| {
            event.context.contains("vpid = ") && event.context.contains("procname = \"emitter\"")
        };
        ensure!(
            trace.events.iter().all(has_context),
            "{:?}",
            trace.events[0]
        );
        Ok(())
    });
}

/// What a program prints with one library and its daemons, a relay daemon among them.
fn output(
    world: &mut World,
    installed: &Installed,
    name: &str,
    toolchain: Toolchain,
) -> Result<String> {
    let program = installed.compile(name, Kit::Distribution)?;
    let relay = world.relay(toolchain)?;
    let target = world.target(toolchain)?;
    let traces = world.path("traces").join(name).display().to_string();
    let url = relay.url();
    let (home, arguments) = (world.home(), [traces.as_str(), url.as_str()]);
    let output = match toolchain {
        Toolchain::Stock => program.run_with_stock(&home, &arguments)?,
        Toolchain::Ours => program.run(&home, &arguments)?,
    };
    target.daemon().terminate()?;
    Ok(output.ok()?.stdout)
}

fn compare(world: &mut World, name: &str, least_lines: usize) -> Result<()> {
    let installed = Installed::into(&world.path("kit"))?;
    let theirs = output(world, &installed, name, Toolchain::Stock)?;
    let ours = output(world, &installed, name, Toolchain::Ours)?;
    ensure!(theirs.lines().count() > least_lines, "{theirs}");
    ensure!(theirs.ends_with("end\n"), "{theirs}");
    assert_same("upstream (-) and ours (+)", &theirs, &ours)
}

#[test]
fn rotations_snapshots_and_live_sessions_answer_as_upstreams() {
    isolated(here!(), |world| compare(world, "modes", 250));
}

#[test]
fn trackers_answer_as_upstreams() {
    isolated(here!(), |world| compare(world, "trackers", 200));
}

#[test]
fn regenerating_answers_as_upstreams() {
    isolated(here!(), |world| compare(world, "regenerating", 20));
}

#[test]
fn saving_and_loading_answer_as_upstreams() {
    isolated(here!(), |world| compare(world, "saving", 100));
}
