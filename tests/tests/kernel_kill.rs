//! Consumer daemons are killed while they read the kernel's buffers: every event is there exactly once, or counted.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use control::blocking::Client;
use control::{SocketPath, v1};
use system_tests::Toolchain::{self, Ours, Stock};
use system_tests::{
    KernelLoad, Relay, Signal, Target, Trace, World, check_indexes, eventually, here, isolated_for,
    place, signal, tracefs, trees_with_metadata,
};

const LIMIT: Duration = Duration::from_secs(200);
const KILLS: i64 = 8;
/// Calls of one round.
const CALLS: i64 = 30_000;

fn connect(target: &Target) -> Result<Client> {
    let socket = target.run_directory().join(control::CONTROL_SOCKET);
    Ok(Client::connect(&SocketPath::exactly(socket))?)
}

fn counters(client: &mut Client) -> Result<v1::Counters> {
    let state = client.get_session(v1::GetSessionRequest { name: "s".into() })?;
    state.counters.context("no counters")
}

/// Begins `load`, kills the consumer daemon as soon as it has delivered something of it, and waits for the next one.
fn kill_consumer_beside(
    load: impl FnOnce() -> Result<()>,
    target: &Target,
    client: &mut Client,
) -> Result<()> {
    let before = counters(client)?.packets;
    load()?;
    eventually("packets are delivered", || {
        Ok((counters(client)?.packets > before).then_some(()))
    })?;
    let pid = target.consumer()?;
    signal(pid, Signal::KILL)?;
    target.wait_for_successor(pid)
}

fn start(target: &Target, relay: Option<&Relay>, output: &Path, channel: &str) -> Result<Client> {
    target.script(&format!(
        "create s {}
         enable-channel -k c {channel}
         enable-event -k -c c --syscall umask,close
         start",
        place(relay, output)
    ))?;
    connect(target)
}

/// What the trees below some directory hold; each must be readable by itself.
fn read(directory: &Path) -> Result<(Vec<Trace>, u64)> {
    let trees: Vec<PathBuf> = trees_with_metadata(directory)?;
    let mut traces = Vec::new();
    let mut packets = 0;
    for tree in trees {
        packets += check_indexes(&tree)?.packets;
        let trace = Trace::read(&tree)?;
        trace.assert_readable()?;
        ensure!(
            trace.lost_packets == 0,
            "{} packets lost",
            trace.lost_packets
        );
        traces.push(trace);
    }
    Ok((traces, packets))
}

/// How often each numbered call was found.
fn calls(traces: &[Trace]) -> Result<HashMap<i64, u32>> {
    let thread = KernelLoad::thread(traces)?;
    let mut seen = HashMap::new();
    for number in traces
        .iter()
        .flat_map(|trace| KernelLoad::numbers(trace, thread))
    {
        *seen.entry(number).or_default() += 1;
    }
    Ok(seen)
}

fn exactly_once(w: &mut World, relay: Option<Toolchain>) -> Result<()> {
    let relay = relay.map(|toolchain| w.relay(toolchain)).transpose()?;
    let target = w.kernel_target()?;
    let output = w.path("traces/s");
    let channel = "--subbuf-size=64k --num-subbuf=512";
    let mut client = start(&target, relay.as_ref(), &output, channel)?;
    let mut load = KernelLoad::start()?;
    for _ in 0..KILLS {
        kill_consumer_beside(|| load.begin(CALLS), &target, &mut client)?;
        load.end()?;
    }
    let made = load.calls();
    load.finish()?;
    target.lttng("stop")?.ok()?;
    let counted = counters(&mut client)?;
    let produced = tracefs::produced(w)?;
    target.lttng("destroy")?.ok()?;
    ensure!(produced.lost == 0 && produced.left == 0, "{produced:?}");

    let place = relay.as_ref().map_or(output.as_path(), Relay::output);
    let (traces, packets) = read(place)?;
    let events: usize = traces.iter().map(|trace| trace.events.len()).sum();
    let seen = calls(&traces)?;
    let twice: Vec<_> = seen.iter().filter(|(_, times)| **times > 1).collect();
    ensure!(twice.is_empty(), "{} calls are there twice", twice.len());
    let missing = (0..made).filter(|n| !seen.contains_key(n)).count();
    ensure!(missing == 0, "{missing} of {made} calls are missing");
    ensure!(
        counted.packets == packets,
        "{counted:?}, {packets} packets found"
    );
    let dumped = traces
        .iter()
        .flat_map(|trace| &trace.events)
        .filter(|event| event.name.starts_with("lttng_statedump_"))
        .count();
    ensure!(
        (events - dumped) as u64 == produced.read && counted.discarded_events == 0,
        "{events} events with {dumped} of the state dump; {produced:?}; {counted:?}"
    );
    Ok(())
}

#[test]
fn local_has_every_event_once() {
    isolated_for(LIMIT, here!(), |w| exactly_once(w, None));
}

#[test]
fn our_relay_has_every_event_once() {
    isolated_for(LIMIT, here!(), |w| exactly_once(w, Some(Ours)));
}

#[test]
fn stock_relay_has_every_event_once() {
    isolated_for(LIMIT, here!(), |w| exactly_once(w, Some(Stock)));
}

/// Buffers that are too small: what is in the trace and what it says is lost are what the kernel has produced.
fn overload(w: &mut World, mode: &str) -> Result<()> {
    let target = w.kernel_target()?;
    let output = w.path("traces/s");
    target.script(&format!(
        "create s --output={}
         enable-channel -k c --{mode} --subbuf-size=16k --num-subbuf=4
         enable-event -k -c c --syscall --all
         enable-event -k -c c sched_*
         start",
        output.display()
    ))?;
    let mut client = connect(&target)?;
    let mut loads = [
        KernelLoad::start()?,
        KernelLoad::start()?,
        KernelLoad::start()?,
    ];
    // However fast the reader is: now it does not read.
    let consumer = target.consumer()?;
    signal(consumer, Signal::STOP)?;
    loads.iter_mut().try_for_each(|load| load.round(CALLS))?;
    signal(consumer, Signal::CONT)?;
    for _ in 0..KILLS {
        let begin = || loads.iter_mut().try_for_each(|load| load.begin(CALLS));
        kill_consumer_beside(begin, &target, &mut client)?;
        loads.iter_mut().try_for_each(KernelLoad::end)?;
    }
    for load in loads {
        load.finish()?;
    }
    target.lttng("stop")?.ok()?;
    let counted = counters(&mut client)?;
    let produced = tracefs::produced(w)?;
    target.lttng("destroy")?.ok()?;
    let (traces, _) = read(&output)?;
    let events = traces.iter().flat_map(|trace| &trace.events);
    let dumped = |event: &&system_tests::Event| event.name.starts_with("lttng_statedump_");
    let found = events.filter(|event| !dumped(event)).count() as u64;
    let [trace] = &traces[..] else {
        anyhow::bail!("{} places", traces.len());
    };
    let discarded = check_indexes(&output)?.discarded;
    ensure!(produced.lost > 0, "no overload: {produced:?}");
    ensure!(
        found == produced.read && discarded == produced.lost && produced.left == 0,
        "{found} events found and {discarded} discarded; the kernel says {produced:?}"
    );
    ensure!(
        counted.discarded_events == produced.lost,
        "{counted:?}; {produced:?}"
    );
    trace.assert_discarded(discarded)
}

#[test]
fn dropped_events_are_counted() {
    isolated_for(LIMIT, here!(), |w| overload(w, "discard"));
}

#[test]
fn overwritten_events_are_counted() {
    isolated_for(LIMIT, here!(), |w| overload(w, "overwrite"));
}
