//! Streaming over TCP, between every pair of session daemon and relay daemon.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use system_tests::Toolchain::{Ours, Stock};
use system_tests::{
    Relay, Target, Toolchain, Trace, World, check_indexes, here, isolated, libc_wrapper, run,
    trees_with_metadata,
};

const UID: &str = "--buffers-uid";
const PID: &str = "--buffers-pid";

/// Streams an application of several threads through small sub-buffers, so that there are many packets, and
/// many of them: with a few, a writer that is preempted in the middle of an event makes the others lose
/// theirs, with stock as well,
/// and checks all of it: the events, the tree, the indexes, the logs.
fn stream(w: &mut World, target: Toolchain, relay: Toolchain, buffers: &str) -> Result<()> {
    let relay = w.relay(relay)?;
    let target = w.target(target)?;
    target.script(&format!(
        "create s --set-url={}
         enable-channel -u c --subbuf-size=16k --num-subbuf=128 --blocking-timeout=inf {buffers}
         enable-event -u -c c emitter:*
         start",
        relay.url()
    ))?;
    let round = w
        .app("--kind fields --threads 4 --events 300")
        .blocking()
        .run_once()?;
    target.script("stop\n destroy")?;

    let trace = Trace::read(relay.output())?;
    trace.assert_lines(&round.lines)?;
    trace.assert_in_order()?;
    trace.assert_clean()?;
    let packets = check_indexes(relay.output())?.packets;
    ensure!(packets > 20, "only {packets} packets");
    let domain = if buffers == UID {
        "ust/uid/0/64-bit"
    } else {
        "ust/pid/emitter-"
    };
    let session = session_directory(&relay)?;
    ensure!(
        trees_with_metadata(&session)?
            .iter()
            .all(|tree| tree.to_string_lossy().contains(domain)),
        "no {domain} below {}",
        session.display()
    );
    no_complaints(&target, &relay)
}

/// `OUTPUT/HOST/SESSION-DATE`, the only thing in the output.
fn session_directory(relay: &Relay) -> Result<PathBuf> {
    let host = relay.output().join("target");
    let names: Vec<_> = fs::read_dir(&host)?
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    ensure!(names.len() == 1, "in {}: {names:?}", host.display());
    let name = names.first().context("no session")?;
    ensure!(
        name.to_string_lossy().starts_with("s-20"),
        "session directory {name:?}"
    );
    Ok(host.join(name))
}

fn no_complaints(target: &Target, relay: &Relay) -> Result<()> {
    target.daemon().terminate()?;
    relay.daemon().terminate()?;
    target.daemon().assert_no_complaints()?;
    relay.daemon().assert_no_complaints()
}

#[test]
fn stock_to_stock_per_uid() {
    isolated(here!(), |w| stream(w, Stock, Stock, UID));
}

#[test]
fn ours_to_ours_per_uid() {
    isolated(here!(), |w| stream(w, Ours, Ours, UID));
}

#[test]
fn ours_to_ours_per_pid() {
    isolated(here!(), |w| stream(w, Ours, Ours, PID));
}

#[test]
fn stock_to_ours_per_uid() {
    isolated(here!(), |w| stream(w, Stock, Ours, UID));
}

#[test]
fn stock_to_ours_per_pid() {
    isolated(here!(), |w| stream(w, Stock, Ours, PID));
}

#[test]
fn ours_to_stock_per_uid() {
    isolated(here!(), |w| stream(w, Ours, Stock, UID));
}

#[test]
fn ours_to_stock_per_pid() {
    isolated(here!(), |w| stream(w, Ours, Stock, PID));
}

/// What `lttng` says of a network session is what stock says.
#[test]
fn ours_prints_urls_as_stock_does() {
    isolated(here!(), |w| {
        let mut said = Vec::new();
        for toolchain in [Stock, Ours] {
            let relay = w.relay(toolchain)?;
            let [control, data, _] = relay.ports().map(|port| port.to_string());
            let target = w.target(toolchain)?;
            let mut text = String::new();
            for line in [
                format!("create a --set-url=net://127.0.0.1:{control}:{data}"),
                format!(
                    "create b --ctrl-url=tcp://127.0.0.1:{control} --data-url=tcp://127.0.0.1:{data}"
                ),
                format!("create c --set-url=net://localhost:{control}:{data}/sub/dir"),
                "list".into(),
                "destroy --all".into(),
            ] {
                let output = target.lttng(&line)?.ok()?;
                text += &output
                    .stdout
                    .replace(&control, "CONTROL")
                    .replace(&data, "DATA");
            }
            target.daemon().terminate()?;
            said.push(text);
        }
        ensure!(
            said[0] == said[1],
            "stock:\n{}\nours:\n{}",
            said[0],
            said[1]
        );
        Ok(())
    });
}

/// A relay holds many sessions of a target, and the sub-directory of a URL is part of the path.
#[test]
fn sessions_keep_apart_on_the_collector() {
    isolated(here!(), |w| {
        let relay = w.relay(Ours)?;
        let target = w.target(Ours)?;
        for name in ["one", "two", "three"] {
            target.script(&format!(
                "create {name} --set-url={}/sub-{name}
                 enable-event -u emitter:small
                 start",
                relay.url()
            ))?;
        }
        let round = w.app("--events 50").run_once()?;
        target.lttng("destroy --all")?.ok()?;
        for name in ["one", "two", "three"] {
            let trace = Trace::read(&relay.output().join("target").join(format!("sub-{name}")))?;
            trace
                .assert_lines(&round.lines)
                .with_context(|| name.to_owned())?;
            trace.assert_clean()?;
        }
        no_complaints(&target, &relay)
    });
}

/// A program that we did not write, traced through the distribution's malloc wrapper.
#[test]
fn a_foreign_program_streams_its_allocations() {
    isolated(here!(), |w| {
        let relay = w.relay(Ours)?;
        let target = w.target(Ours)?;
        target.script(&format!(
            "create s --set-url={}
             enable-channel -u c --subbuf-size=1M --num-subbuf=8
             enable-event -u -c c lttng_ust_libc:*
             start",
            relay.url()
        ))?;
        let mut command = std::process::Command::new("ls");
        run(command
            .arg("-l")
            .arg("/usr/bin")
            .env("LD_PRELOAD", libc_wrapper()?))?
        .ok()?;
        target.script("stop\n destroy")?;
        let trace = Trace::read(relay.output())?;
        trace.assert_clean()?;
        ensure!(
            trace.count("lttng_ust_libc:malloc") > 100,
            "{} mallocs",
            trace.count("lttng_ust_libc:malloc")
        );
        ensure!(trace.count("lttng_ust_libc:free") > 0, "no free");
        no_complaints(&target, &relay)
    });
}
