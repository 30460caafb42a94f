//! Health of the daemons, as monitoring programs ask for it.

mod common;

use std::path::PathBuf;
use std::{fs, io::Write};

use anyhow::{Context, Result, ensure};
use common::{Installed, Kit, Program, assert_same};
use system_tests::{Toolchain, World, eventually, here, isolated};

/// Of the only relay daemon.
fn relay_socket() -> Result<PathBuf> {
    let entries = fs::read_dir("/run/lttng/relayd")?;
    let paths: Vec<_> = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    let is_health = |path: &&PathBuf| path.to_string_lossy().contains("/health-");
    let socket = paths.iter().find(is_health).cloned();
    socket.with_context(|| format!("no health socket among {paths:?}"))
}

fn ask(world: &World, program: &Program, toolchain: Toolchain) -> Result<String> {
    let relay = relay_socket()?.display().to_string();
    let (home, arguments) = (world.home(), [relay.as_str()]);
    let output = match toolchain {
        Toolchain::Stock => program.run_with_stock(&home, &arguments)?,
        Toolchain::Ours => program.run(&home, &arguments)?,
    };
    Ok(output.ok()?.stdout)
}

/// What `health.c` prints while no session runs, and while one does.
fn health(world: &mut World, installed: &Installed, toolchain: Toolchain) -> Result<[String; 2]> {
    let program = installed.compile("health", Kit::Distribution)?;
    let relay = world.relay(toolchain)?;
    let target = world.target(toolchain)?;
    let idle = ask(world, &program, toolchain)?;
    let traces = world.path("traces").display().to_string();
    target.script(&format!(
        "create s --output={traces}\n enable-event -u emitter:small\n start"
    ))?;
    let busy = ask(world, &program, toolchain)?;
    target.script("destroy s")?;
    target.daemon().terminate()?;
    relay.daemon().terminate()?;
    Ok([idle, busy])
}

#[test]
fn daemons_tell_their_health_as_upstreams() {
    isolated(here!(), |world| {
        let installed = Installed::into(&world.path("kit"))?;
        let theirs = health(world, &installed, Toolchain::Stock)?;
        let ours = health(world, &installed, Toolchain::Ours)?;
        for (theirs, ours) in theirs.iter().zip(&ours) {
            ensure!(theirs.lines().count() > 100, "{theirs}");
            assert_same("upstream (-) and ours (+)", theirs, ours)?;
        }
        ensure!(
            theirs[0] != theirs[1],
            "the consumer daemon makes no difference"
        );
        let left: Vec<_> = fs::read_dir("/run/lttng")?.collect();
        let has = |name: &str| left.iter().flatten().any(|entry| entry.file_name() == name);
        ensure!(!has("sessiond-health") && !fs::exists("/run/lttng/ustconsumerd64/health")?);
        Ok(())
    });
}

/// A session whose disk is full: the consumer daemon's data thread is ill, and well again afterwards.
#[test]
fn a_full_disk_is_an_illness() {
    isolated(here!(), |world| {
        let installed = Installed::into(&world.path("kit"))?;
        let program = installed.compile("health", Kit::Ours)?;
        world.relay(Toolchain::Ours)?;
        let target = world.target(Toolchain::Ours)?;
        let disk = world.small_disk("small", 256)?;
        target.script(&format!(
            "create s --output={}/trace\n enable-event -u emitter:small\n start",
            disk.display()
        ))?;
        let filler = disk.join("filler");
        let mut rest = fs::File::create(&filler)?;
        while rest.write_all(&[b'x'; 4096]).is_ok() {}
        drop(rest);
        world.app("--events 100").run_once()?;
        target.lttng("stop")?;
        let data_thread = |state: i32| {
            // The session daemon has a thread of that number too.
            let state = format!(
                "\nlttng_health_query(health) = 0\nlttng_health_state(health) = {state}\n0: 0\n1: 0\n2: {state}\n3: 0\n4: 0\nkernel:"
            );
            let answer = ask(world, &program, Toolchain::Ours)?;
            Ok(answer.contains(&state).then_some(()))
        };
        eventually("the data thread is ill", || data_thread(-1))?;
        fs::remove_file(&filler)?;
        eventually("the data thread is well", || data_thread(0))?;
        target.lttng("destroy")?.ok()?;
        Ok(())
    });
}
