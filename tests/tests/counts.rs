//! The counts of a session are those of its traces, and never step back, whoever is killed meanwhile.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use control::blocking::Client;
use control::{SocketPath, v1};
use system_tests::Toolchain::{Ours, Stock};
use system_tests::{
    Relay, Signal, Target, Toolchain, Trace, World, check_indexes, cpu_seconds, eventually, here,
    isolated_for, signal, steady, trees_with_metadata,
};

const LIMIT: Duration = Duration::from_secs(120);
const KILLS: usize = 6;

fn connect(target: &Target) -> Result<Client> {
    let socket = target.run_directory().join(control::CONTROL_SOCKET);
    Ok(Client::connect(&SocketPath::exactly(socket))?)
}

fn counters(client: &mut Client) -> Result<v1::Counters> {
    let request = v1::GetSessionRequest { name: "s".into() };
    let state = client.get_session(request)?;
    let total = state.counters.context("no counters")?;
    let channel = state.channels.first().context("no channel")?;
    let of_channel = channel.counters.context("no counters of the channel")?;
    // The metadata belong to no channel.
    ensure!(total.bytes >= of_channel.bytes);
    ensure!(total.packets == of_channel.packets && total.events == of_channel.events);
    Ok(total)
}

fn steps_back(before: &v1::Counters, now: &v1::Counters) -> bool {
    now.events < before.events
        || now.packets < before.packets
        || now.bytes < before.bytes
        || now.discarded_events < before.discarded_events
        || now.lost_packets < before.lost_packets
}

/// Asks for the counters all the time, until it is told to end.
struct Watch {
    end: Arc<AtomicBool>,
    looks: Arc<AtomicU64>,
    thread: JoinHandle<Result<()>>,
}

impl Watch {
    fn begin(target: &Target) -> Result<Self> {
        let mut client = connect(target)?;
        let end = Arc::new(AtomicBool::new(false));
        let ended = end.clone();
        let looks = Arc::new(AtomicU64::new(0));
        let looked = looks.clone();
        let thread = std::thread::spawn(move || {
            let mut before = v1::Counters::default();
            while !ended.load(Ordering::Relaxed) {
                let now = counters(&mut client)?;
                ensure!(!steps_back(&before, &now), "{before:?}, then {now:?}");
                before = now;
                looked.fetch_add(1, Ordering::Relaxed);
                // Leaves the processors to those who are watched.
                std::thread::sleep(Duration::from_millis(2));
            }
            Ok(())
        });
        Ok(Self { end, looks, thread })
    }

    /// Waits until it has looked once more.
    fn has_looked(&self) -> Result<()> {
        let before = self.looks.load(Ordering::Relaxed);
        eventually("somebody looks", || {
            let now = self.looks.load(Ordering::Relaxed);
            Ok((now > before + 1 || self.thread.is_finished()).then_some(()))
        })
    }

    fn end(self) -> Result<()> {
        self.end.store(true, Ordering::Relaxed);
        self.thread.join().ok().context("the watch panicked")?
    }
}

fn local(path: &Path) -> v1::Output {
    v1::Output::local(path.display().to_string())
}

fn at_relay(relay: &Relay) -> v1::Output {
    let [control, data, _] = relay.ports();
    let relay = v1::RelayOutput {
        address: "127.0.0.1".into(),
        control_port: control.into(),
        data_port: data.into(),
        ..Default::default()
    };
    v1::Output {
        kind: Some(v1::output::Kind::Relay(relay)),
    }
}

/// A session whose events are counted.
fn start(target: &Target, output: v1::Output, channel: &str) -> Result<Client> {
    let mut client = connect(target)?;
    client.create_session(v1::CreateSessionRequest {
        name: "s".into(),
        output: Some(output),
        home: "/run/world/home".into(),
        count_events: true,
        ..Default::default()
    })?;
    target.script(&format!(
        "enable-channel -u -s s c {channel}
         enable-event -u -s s -c c emitter:small
         start s"
    ))?;
    Ok(client)
}

/// Lets nobody read the buffers until the application has filled them many times.
fn starve(target: &Target, application: u32) -> Result<()> {
    let consumer = target.consumer()?;
    signal(consumer, Signal::STOP)?;
    let before = cpu_seconds(application);
    eventually("the application goes on", || {
        Ok((cpu_seconds(application) > before + 0.05).then_some(()))
    })?;
    signal(consumer, Signal::CONT)
}

/// Kills the consumer daemon as soon as it has delivered something, and waits for the next one.
fn kill_consumer(target: &Target, client: &mut Client) -> Result<()> {
    let before = counters(client)?.packets;
    eventually("packets are delivered", || {
        Ok((counters(client)?.packets > before + 2).then_some(()))
    })?;
    kill_the(target, || Ok(()))
}

/// Kills the consumer daemon, and waits for the next one.
fn kill_the(target: &Target, then: impl FnOnce() -> Result<()>) -> Result<()> {
    let pid = target.consumer()?;
    signal(pid, Signal::KILL)?;
    then()?;
    target.wait_for_successor(pid)
}

/// Traces an application while its consumer daemon is killed again and again; gives the counters at the end,
/// after `stop`, and what the application has emitted. `lossy`: more than the buffers hold.
fn killed(
    w: &World,
    target: &Target,
    client: &mut Client,
    application: &str,
    lossy: bool,
) -> Result<(v1::Counters, u64)> {
    let mut app = w.app(application).blocking().start()?;
    let watch = Watch::begin(target)?;
    let mut emitted = 0;
    if lossy {
        let pid = app.pid();
        emitted += app.round_beside(|| starve(target, pid))?.loops;
    }
    for _ in 0..KILLS {
        let kill = || {
            kill_consumer(target, client)?;
            watch.has_looked()
        };
        emitted += app.round_beside(kill)?.loops;
    }
    app.finish()?;
    target.script("stop s")?;
    let at_stop = counters(client)?;
    watch.end()?;
    target.script("destroy s")?;
    Ok((at_stop, emitted))
}

/// What the traces below some directories hold.
#[derive(Debug, Default)]
struct Held {
    packets: u64,
    bytes: u64,
    numbers: HashSet<(i64, i64)>,
    /// Number behind that of the last packet, by stream.
    next_packet: HashMap<String, u64>,
}

impl Held {
    /// Fails if a trace cannot be read, or an event is there twice.
    fn below(directory: &Path) -> Result<Self> {
        let mut held = Self::default();
        for tree in trees_with_metadata(directory)? {
            held.packets += check_indexes(&tree)?.packets;
            held.add_files(&tree)?;
            let trace = Trace::read(&tree)?;
            trace.assert_readable()?;
            for event in &trace.events {
                let number = |name| event.number(name).with_context(|| format!("no {name}"));
                let number = (number("thread")?, number("n")?);
                ensure!(
                    held.numbers.insert(number),
                    "event {number:?} is there twice"
                );
            }
        }
        Ok(held)
    }

    fn add_files(&mut self, tree: &Path) -> Result<()> {
        for entry in std::fs::read_dir(tree)? {
            let entry = entry?;
            if !entry.file_type()?.is_file() {
                continue;
            }
            self.bytes += entry.metadata()?.len();
            let name = entry.file_name().to_string_lossy().into_owned();
            let index = tree.join(format!("index/{name}.idx"));
            if let Some(last) = last_packet(&index) {
                let next = self.next_packet.entry(name).or_default();
                *next = last.saturating_add(1).max(*next);
            }
        }
        Ok(())
    }
}

/// The last member of the last record of an index file: `packet_seq_num`.
fn last_packet(index: &PathBuf) -> Option<u64> {
    let bytes = std::fs::read(index).ok()?;
    let last = bytes.get(16..)?.last_chunk::<8>()?;
    Some(u64::from_be_bytes(*last))
}

const BLOCK: &str = "--subbuf-size=16k --num-subbuf=64 --blocking-timeout=inf";
const APPLICATION: &str = "--threads 2 --rate 20000 --until-told --quiet";

fn check(held: &Held, counted: &v1::Counters) -> Result<()> {
    ensure!(
        counted.packets == held.packets,
        "{} packets counted, {} found",
        counted.packets,
        held.packets
    );
    ensure!(
        counted.bytes == held.bytes,
        "{} bytes counted, {} found",
        counted.bytes,
        held.bytes
    );
    ensure!(
        counted.events == held.numbers.len() as u64,
        "{} events counted, {} found",
        counted.events,
        held.numbers.len()
    );
    Ok(())
}

/// Nothing was lost.
fn check_all(held: &Held, counted: &v1::Counters, emitted: u64) -> Result<()> {
    check(held, counted)?;
    ensure!(counted.events == emitted, "{counted:?} of {emitted}");
    ensure!((counted.discarded_events, counted.lost_packets) == (0, 0));
    Ok(())
}

#[test]
fn counts_of_a_local_trace() {
    isolated_for(LIMIT, here!(), |w| {
        let target = w.target(Ours)?;
        let at = w.path("traces/s");
        let mut client = start(&target, local(&at), BLOCK)?;
        let (counted, emitted) = killed(w, &target, &mut client, APPLICATION, false)?;
        check_all(&Held::below(&at)?, &counted, emitted)
    });
}

fn counts_at(w: &mut World, toolchain: Toolchain) -> Result<()> {
    let (relay, target) = (w.relay(toolchain)?, w.target(Ours)?);
    let mut client = start(&target, at_relay(&relay), BLOCK)?;
    let (counted, emitted) = killed(w, &target, &mut client, APPLICATION, false)?;
    check_all(&Held::below(relay.output())?, &counted, emitted)
}

#[test]
fn counts_at_a_relay_daemon() {
    isolated_for(LIMIT, here!(), |w| counts_at(w, Ours));
}

#[test]
fn counts_at_a_stock_relay_daemon() {
    isolated_for(LIMIT, here!(), |w| counts_at(w, Stock));
}

/// Makes each write and each answer of a process take longer.
struct SlowDisk(Child);

impl SlowDisk {
    fn of(pid: u32) -> Result<Self> {
        let mut strace = Command::new("strace");
        strace.args([
            "--follow-forks",
            "--output=/dev/null",
            "--trace=write,sendmsg",
        ]);
        strace.args([
            "--inject=write,sendmsg:delay_enter=20ms",
            &format!("--attach={pid}"),
        ]);
        let mut strace = strace
            .stderr(Stdio::piped())
            .spawn()
            .context("run strace")?;
        let said = strace.stderr.take().context("no standard error")?;
        let slow = Self(strace);
        let attached = BufReader::new(said).lines().map_while(Result::ok);
        let mut attached = attached.filter(|line| line.contains("attached"));
        attached.next().context("strace does not attach")?;
        Ok(slow)
    }
}

impl Drop for SlowDisk {
    fn drop(&mut self) {
        // It has ended if the process has.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a relay daemon has not yet read is counted, and arrives, although the consumer daemon was killed meanwhile.
/// `ended`: nobody writes the trace any more.
fn unread(w: &mut World, toolchain: Toolchain, ended: bool) -> Result<()> {
    let (relay, target) = (w.relay(toolchain)?, w.target(Ours)?);
    let buffers = if ended {
        "--buffers-pid"
    } else {
        "--buffers-uid"
    };
    let channel = format!("{buffers} --subbuf-size=64k --num-subbuf=64");
    let mut client = start(&target, at_relay(&relay), &channel)?;
    // What is written in one round has room in the buffers of the sockets.
    let mut app = w.app("--events 40000 --quiet").start_on_one_cpu()?;
    let mut emitted = app.round()?.loops;
    // So many sub-buffers are full of 40000 events of 22 bytes.
    let first = eventually("the full packets are delivered", || {
        let packets = counters(&mut client)?.packets;
        Ok((packets == 13).then_some(packets))
    })?;

    let slow = (toolchain == Stock)
        .then(|| SlowDisk::of(relay.daemon().pid()))
        .transpose()?;
    signal(relay.daemon().pid(), Signal::STOP)?;
    emitted += app.round()?.loops;
    let sent = eventually("packets are under way", || {
        let packets = counters(&mut client)?.packets;
        Ok((packets > first + 5).then_some(packets))
    })?;
    let app = if ended {
        app.finish()?;
        eventually("the rest is under way", || {
            Ok((counters(&mut client)?.packets > sent).then_some(()))
        })?;
        None
    } else {
        Some(app)
    };
    steady("the consumer daemon waits", || {
        Ok(counters(&mut client)?.packets)
    })?;
    kill_the(&target, || signal(relay.daemon().pid(), Signal::CONT))?;
    if let Some(app) = app {
        app.finish()?;
    }
    target.script("stop s")?;
    let counted = counters(&mut client)?;
    target.script("destroy s")?;
    drop(slow);
    check_all(&Held::below(relay.output())?, &counted, emitted)
}

#[test]
fn what_a_stock_relay_daemon_has_not_read_arrives() {
    isolated_for(LIMIT, here!(), |w| unread(w, Stock, false));
}

#[test]
fn what_a_relay_daemon_has_not_read_arrives() {
    isolated_for(LIMIT, here!(), |w| unread(w, Ours, false));
}

#[test]
fn the_end_of_a_trace_arrives_at_a_slow_stock_relay_daemon() {
    isolated_for(LIMIT, here!(), |w| unread(w, Stock, true));
}

/// Buffers that are too small for the application: its losses are counted once.
#[test]
fn discarded_events_are_counted_once() {
    isolated_for(LIMIT, here!(), |w| {
        let (relay, target) = (w.relay(Ours)?, w.target(Ours)?);
        let channel = "--subbuf-size=4k --num-subbuf=2 --discard";
        let mut client = start(&target, at_relay(&relay), channel)?;
        let application = "--threads 2 --rate 200000 --until-told --quiet";
        let (counted, emitted) = killed(w, &target, &mut client, application, true)?;
        let held = Held::below(relay.output())?;
        check(&held, &counted)?;
        ensure!(counted.discarded_events > 0, "nothing was discarded");
        ensure!(
            counted.events + counted.discarded_events == emitted,
            "{counted:?} of {emitted}"
        );
        Ok(())
    });
}

/// Packets that are overwritten are counted as lost, and no packet is sent twice.
#[test]
fn overwritten_packets_are_lost_and_none_is_there_twice() {
    isolated_for(LIMIT, here!(), |w| {
        for relay in [Ours, Stock] {
            let relay = w.relay_into(relay, &w.path(&format!("{relay:?}")))?;
            let target = w.target(Ours)?;
            let channel = "--subbuf-size=4k --num-subbuf=2 --overwrite";
            let mut client = start(&target, at_relay(&relay), channel)?;
            let application = "--threads 2 --rate 200000 --until-told --quiet";
            let (counted, emitted) = killed(w, &target, &mut client, application, true)?;
            let held = Held::below(relay.output())?;
            check(&held, &counted)?;
            ensure!(counted.lost_packets > 0, "nothing was overwritten");
            let made: u64 = held.next_packet.values().sum();
            ensure!(
                counted.packets + counted.lost_packets == made,
                "{counted:?}, {:?}",
                held.next_packet
            );
            ensure!(counted.events < emitted);
            target.daemon().terminate()?;
            relay.daemon().terminate()?;
        }
        Ok(())
    });
}
