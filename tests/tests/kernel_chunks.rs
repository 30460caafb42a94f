//! Chunks of kernel traces: rotations, limited files, clears and changes of the output leave trees that can be read, with
//! every event once.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use control::blocking::Client;
use control::{SocketPath, v1};
use system_tests::Toolchain::{self, Ours, Stock};
use system_tests::{
    KernelLoad, Relay, Trace, World, check_indexes, eventually, here, isolated, place,
    trees_with_metadata,
};

/// Holds all calls of a test that does not wait for its reader.
const CHANNEL: &str = "--subbuf-size=64k --num-subbuf=256";

/// Reads each tree for itself.
fn read(directories: &[&Path]) -> Result<Vec<Trace>> {
    let mut traces = Vec::new();
    for directory in directories.iter().filter(|directory| directory.exists()) {
        for tree in trees_with_metadata(directory)? {
            check_indexes(&tree)?;
            let trace = Trace::read(&tree)?;
            trace
                .assert_clean()
                .with_context(|| tree.display().to_string())?;
            traces.push(trace);
        }
    }
    Ok(traces)
}

fn every_call_once(traces: &[Trace], calls: i64) -> Result<()> {
    let thread = KernelLoad::thread(traces)?;
    let all = traces
        .iter()
        .flat_map(|trace| KernelLoad::numbers(trace, thread));
    let mut all: Vec<_> = all.collect();
    all.sort_unstable();
    ensure!(
        all == (0..calls).collect::<Vec<_>>(),
        "{} calls in {} trees, {calls} were made",
        all.len(),
        traces.len()
    );
    Ok(())
}

fn rotations(w: &mut World, relay: Option<Toolchain>, how: &str) -> Result<()> {
    let relay = relay.map(|toolchain| w.relay(toolchain)).transpose()?;
    let local = w.path("traces/s");
    let target = w.kernel_target()?;
    KernelLoad::session(&target, &place(relay.as_ref(), &local), CHANNEL)?;
    target.script("start")?;
    target.lttng(&format!("enable-rotation {how}"))?.ok()?;
    let root = relay.as_ref().map_or(local.as_path(), Relay::output);
    let mut load = KernelLoad::start()?;
    let (mut chunks, mut rounds) = (0, 0);
    eventually("there are five chunks", || {
        // Each of the chunks has something, and not more than the buffers hold.
        if rounds < 10 {
            load.round(5000)?;
            rounds += 1;
        }
        let now = trees_with_metadata(root).unwrap_or_default().len();
        if now > chunks {
            (chunks, rounds) = (now, 0);
        }
        Ok((chunks > 5).then_some(()))
    })?;
    let calls = load.calls();
    load.finish()?;
    target.script("stop\n destroy")?;
    every_call_once(&read(&[root])?, calls)?;
    if let Some(relay) = &relay {
        relay.daemon().assert_no_complaints()?;
    }
    Ok(())
}

#[test]
fn local_rotations_by_timer() {
    isolated(here!(), |w| rotations(w, None, "--timer=200ms"));
}

#[test]
fn local_rotations_by_size() {
    isolated(here!(), |w| rotations(w, None, "--size=512k"));
}

#[test]
fn rotations_on_our_relay_by_size() {
    isolated(here!(), |w| rotations(w, Some(Ours), "--size=512k"));
}

#[test]
fn rotations_on_a_stock_relay_by_timer() {
    isolated(here!(), |w| rotations(w, Some(Stock), "--timer=200ms"));
}

/// Of limited files the newest are there, up to the last call.
fn limited_files(w: &mut World, relay: Option<Toolchain>) -> Result<()> {
    let relay = relay.map(|toolchain| w.relay(toolchain)).transpose()?;
    let local = w.path("traces/s");
    let target = w.kernel_target()?;
    let channel = format!("{CHANNEL} --tracefile-size=256k --tracefile-count=2");
    KernelLoad::session(&target, &place(relay.as_ref(), &local), &channel)?;
    target.script("start")?;
    let mut load = KernelLoad::start()?;
    for _ in 0..10 {
        load.round(5000)?;
    }
    let calls = load.calls();
    load.finish()?;
    target.script("stop\n destroy")?;
    let root = relay.as_ref().map_or(local.as_path(), Relay::output);
    let mut trees = trees_with_metadata(root)?;
    let tree = trees.pop().context("no tree")?;
    check_indexes(&tree)?;
    let trace = Trace::read(&tree)?;
    trace.assert_readable()?;
    let last = trace
        .events
        .iter()
        .find(|event| event.number("mask") == Some(calls - 1));
    let thread = last.and_then(|event| event.number("tid"));
    let numbers = KernelLoad::numbers(&trace, thread.context("the last call is missing")?);
    let first = calls - numbers.len() as i64;
    ensure!(numbers == (first..calls).collect::<Vec<_>>());
    ensure!(first > 0, "nothing was left out");
    for entry in std::fs::read_dir(&tree)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("c_") {
            ensure!(name.ends_with("_0") || name.ends_with("_1"), "{name}");
            let len = entry.metadata()?.len();
            ensure!(len <= 256 << 10, "{name} has {len} bytes");
        }
    }
    Ok(())
}

#[test]
fn limited_local_files() {
    isolated(here!(), |w| limited_files(w, None));
}

#[test]
fn limited_files_on_our_relay() {
    isolated(here!(), |w| limited_files(w, Some(Ours)));
}

#[test]
fn limited_files_on_a_stock_relay() {
    isolated(here!(), |w| limited_files(w, Some(Stock)));
}

fn cleared(w: &mut World, relay: Option<Toolchain>) -> Result<()> {
    let relay = relay.map(|toolchain| w.relay(toolchain)).transpose()?;
    let local = w.path("traces/s");
    let target = w.kernel_target()?;
    KernelLoad::session(&target, &place(relay.as_ref(), &local), CHANNEL)?;
    target.script("start")?;
    let mut load = KernelLoad::start()?;
    load.round(10_000)?;
    target.lttng("clear")?.ok()?;
    load.round(1000)?;
    target.lttng("stop")?.ok()?;
    target.lttng("destroy")?.ok()?;
    load.finish()?;
    let root = relay.as_ref().map_or(local.as_path(), Relay::output);
    let traces = read(&[root])?;
    let [trace] = traces.as_slice() else {
        anyhow::bail!("{} trees", traces.len())
    };
    let last = trace.events.iter().rev();
    let mut last = last.filter(|event| event.number("mask") == Some(10_999));
    let thread = last.next().and_then(|event| event.number("tid"));
    let numbers = KernelLoad::numbers(trace, thread.context("the last call is missing")?);
    ensure!(
        numbers == (10_000..11_000).collect::<Vec<_>>(),
        "{}",
        numbers.len()
    );
    Ok(())
}

#[test]
fn a_local_trace_is_cleared() {
    isolated(here!(), |w| cleared(w, None));
}

#[test]
fn traces_on_relays_are_cleared() {
    isolated(here!(), |w| cleared(w, Some(Ours)));
}

#[test]
fn traces_on_stock_relays_are_cleared() {
    isolated(here!(), |w| cleared(w, Some(Stock)));
}

/// The output changes between relay daemons and files while the kernel is recorded.
#[test]
fn outputs_are_switched() {
    isolated(here!(), |w| {
        let relays = [w.relay(Ours)?, w.relay(Stock)?];
        let local = w.path("traces/s");
        let target = w.kernel_target()?;
        KernelLoad::session(&target, &place(None, &local), CHANNEL)?;
        target.script("start")?;
        let socket = target.run_directory().join(control::CONTROL_SOCKET);
        let mut client = Client::connect(&SocketPath::exactly(socket))?;
        let mut load = KernelLoad::start()?;
        for turn in 0..12 {
            load.begin(5000)?;
            let relay = relays.get(turn % 3);
            let mut request = v1::SetNetworkRequest {
                session: "s".into(),
                enabled: Some(relay.is_some()),
                ..Default::default()
            };
            if let Some(relay) = relay {
                let [control, data, _] = relay.ports();
                request.address = Some("127.0.0.1".into());
                request.control_port = Some(control.into());
                request.data_port = Some(data.into());
            }
            client.set_network(request)?;
            load.end()?;
        }
        let calls = load.calls();
        load.finish()?;
        target.script("stop\n destroy")?;
        let home = w.home().join("lttng-traces");
        let places = [
            &*w.path("traces"),
            &home,
            relays[0].output(),
            relays[1].output(),
        ];
        let traces = read(&places)?;
        ensure!(traces.len() == 13, "{} places", traces.len());
        every_call_once(&traces, calls)
    });
}
