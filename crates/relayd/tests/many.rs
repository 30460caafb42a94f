//! Many targets at one relay daemon, and one of them that is in trouble: the others do not notice.

mod own_relay;
#[expect(dead_code, reason = "other tests use the rest")]
mod raw_peer;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use own_relay::OwnRelay;
use raw_peer::{PACKET_SIZE, RawPeer, index, stored, wait_closed};
use relay::{Minor, Reply, Request, ReturnCode, StreamHandle};
use rustix::process::{Resource, Rlimit, setrlimit};
use system_tests::{Signal, complaints, eventually, here, isolated, signal};

const TREE: &str = "ust/uid/0/64-bit";

/// A target with its streams and the number of the next packet.
struct Target {
    peer: RawPeer,
    streams: Vec<StreamHandle>,
    next: u64,
    directory: PathBuf,
}

impl Target {
    fn new(relay: &OwnRelay, name: &str, base_path: &str, streams: usize) -> Result<Self> {
        Self::with_data_to(relay.port("data")?, relay, name, base_path, streams)
    }

    fn with_data_to(
        data: u16,
        relay: &OwnRelay,
        name: &str,
        base_path: &str,
        streams: usize,
    ) -> Result<Self> {
        let control = relay.port("control")?;
        let mut peer = RawPeer::connect_to(control, data, Minor::NEWEST)?;
        peer.create_session(name, base_path)?;
        peer.create_chunk(0)?;
        let mut target = Self {
            peer,
            streams: Vec::new(),
            next: 0,
            directory: relay.output.join("raw").join(name).join(TREE),
        };
        for _ in 0..streams {
            target.add_stream()?;
        }
        Ok(target)
    }

    fn add_stream(&mut self) -> Result<()> {
        let name = format!("c_{}", self.streams.len());
        self.streams.push(self.peer.add_stream(TREE, &name)?);
        Ok(())
    }

    /// A packet of each stream, with its index, until the relay daemon has them.
    fn round(&mut self) -> Result<()> {
        for stream in self.streams.clone() {
            self.peer.packet(stream, self.next)?;
            self.peer.index(stream, self.next)?;
        }
        for stream in self.streams.clone() {
            self.peer.wait_received(stream, self.next)?;
        }
        self.next += 1;
        Ok(())
    }

    /// Everything that was sent is in the files.
    fn check(&self) -> Result<()> {
        let expected: Vec<u8> = (0..self.next).flat_map(stored).collect();
        for nr in 0..self.streams.len() {
            let path = self.directory.join(format!("c_{nr}"));
            let found = fs::read(&path).with_context(|| path.display().to_string())?;
            ensure!(found == expected, "other bytes in {}", path.display());
            let index = self.directory.join(format!("index/c_{nr}.idx"));
            let len = fs::metadata(&index)?.len();
            ensure!(
                len == 16 + 72 * self.next,
                "{len} bytes in {}",
                index.display()
            );
        }
        Ok(())
    }
}

/// One for each worker at least, on any machine of our time.
fn others(relay: &OwnRelay) -> Result<Vec<Target>> {
    let cores = std::thread::available_parallelism()?.get();
    (0..=cores)
        .map(|nr| Target::new(relay, &format!("other{nr}"), "", 2))
        .collect()
}

fn rounds(targets: &mut [Target], count: usize) -> Result<()> {
    (0..count).try_for_each(|_| targets.iter_mut().try_for_each(Target::round))
}

/// Stock relay daemons can take 331 with this limit.
#[test]
fn four_hundred_targets_with_1024_descriptors() {
    const LIMIT: u64 = 1024;
    isolated(here!(), |w| {
        // The daemon inherits it, and cannot go beyond it.
        setrlimit(
            Resource::Nofile,
            Rlimit {
                current: Some(LIMIT),
                maximum: Some(LIMIT),
            },
        )?;
        let mut relay = OwnRelay::start(w, "relay", &[], &[])?;
        let mut targets = Vec::new();
        for nr in 0..400 {
            targets.push(Target::new(&relay, &format!("s{nr}"), "", 2)?);
        }
        rounds(&mut targets, 2)?;
        let open = fs::read_dir(format!("/proc/{}/fd", relay.pid()))?.count();
        ensure!(open as u64 <= LIMIT, "{open} descriptors");
        // More than fit are turned away, and the others go on.
        let mut more = Vec::new();
        loop {
            match Target::new(&relay, &format!("more{}", more.len()), "", 2) {
                Ok(target) => more.push(target),
                Err(_) => break,
            }
            ensure!(more.len() < 100, "no end");
        }
        ensure!(
            relay.log().contains("connection refused"),
            "{}",
            relay.log()
        );
        let told = || complaints(&relay.log()).join("\n");
        rounds(&mut targets, 1).with_context(told)?;
        rounds(&mut more, 1).with_context(told)?;
        targets.iter().chain(&more).try_for_each(Target::check)?;
        let log = relay.log();
        ensure!(!log.contains("Too many open files"), "{log}");
        relay.stop()
    });
}

/// Session daemons open the data connection when the session exists. Many do so at the same time.
#[test]
fn who_gets_in_with_one_connection_gets_in_with_both() {
    isolated(here!(), |w| {
        let mut relay = OwnRelay::start(w, "relay", &["--fd-pool-size=200"], &[])?;
        let elsewhere = TcpListener::bind(("127.0.0.1", 0))?;
        let port = elsewhere.local_addr()?.port();
        let mut targets = Vec::new();
        while let Ok(target) =
            Target::with_data_to(port, &relay, &format!("s{}", targets.len()), "", 1)
        {
            targets.push(target);
            ensure!(targets.len() < 200, "no end");
        }
        ensure!(
            relay.log().contains("connection refused"),
            "{}",
            relay.log()
        );
        ensure!(!targets.is_empty(), "{}", relay.log());
        for target in &mut targets {
            target.peer.data = TcpStream::connect(("127.0.0.1", relay.port("data")?))?;
        }
        rounds(&mut targets, 2)?;
        targets.iter().try_for_each(Target::check)?;
        relay.stop()
    });
}

#[test]
fn a_target_that_stalls_inside_a_packet_delays_nobody() {
    isolated(here!(), |w| {
        let mut relay = OwnRelay::start(w, "relay", &["--fd-pool-size=100"], &[])?;
        let mut stalled = Target::new(&relay, "stalled", "", 1)?;
        let stream = stalled.streams[0];
        let packet = [&RawPeer::header(stream, 0)[..], &raw_peer::payload(0)].concat();
        let (first, rest) = packet.split_at(1000);
        stalled.peer.data.write_all(first)?;
        let mut others = others(&relay)?;
        rounds(&mut others, 10)?;
        stalled.peer.data.write_all(rest)?;
        stalled.peer.index(stream, 0)?;
        stalled.peer.wait_received(stream, 0)?;
        stalled.next = 1;
        others
            .iter()
            .chain([&stalled])
            .try_for_each(Target::check)?;
        relay.stop()
    });
}

#[test]
fn a_full_disk_ends_only_its_session() {
    isolated(here!(), |w| {
        // Mounted where the session's directory will be.
        w.small_disk("relay.out/raw/full", 256)?;
        let mut relay = OwnRelay::start(w, "relay", &[], &[])?;
        let mut full = Target::new(&relay, "full", "full", 1)?;
        let mut others = others(&relay)?;
        let mut packets = 0;
        while full.round().is_ok() {
            rounds(&mut others, 1)?;
            packets += 1;
            ensure!(packets * PACKET_SIZE <= 256 << 10, "no disk is that big");
        }
        wait_closed(&mut full.peer.control)?;
        ensure!(
            relay.log().contains("No space left on device"),
            "{}",
            relay.log()
        );
        rounds(&mut others, 3)?;
        others.iter().try_for_each(Target::check)?;
        relay.stop()
    });
}

/// Whoever writes to a file waits as long as this is there: somebody else is in the middle of a write, and
/// what he writes comes from memory that never comes.
struct Hold {
    holder: Child,
}

impl Hold {
    fn take(path: &Path) -> Result<Self> {
        const SCRIPT: &str = "
import ctypes, fcntl, mmap, os, platform, struct, sys, threading
libc = ctypes.CDLL(None)
userfaultfd = {'x86_64': 323, 'aarch64': 282}[platform.machine()]
API, REGISTER, MISSING = 0xc018aa3f, 0xc020aa00, 1
faults = libc.syscall(userfaultfd, os.O_CLOEXEC)
fcntl.ioctl(faults, API, struct.pack('QQQ', 0xaa, 0, 0))
page = mmap.mmap(-1, mmap.PAGESIZE)
start = ctypes.addressof(ctypes.c_char.from_buffer(page))
fcntl.ioctl(faults, REGISTER, struct.pack('QQQQ', start, mmap.PAGESIZE, MISSING, 0))
file = os.open(sys.argv[1], os.O_WRONLY)
write = lambda: libc.pwrite(file, ctypes.c_void_p(start), 1, ctypes.c_long(0))
threading.Thread(target=write, daemon=True).start()
os.read(faults, 32)
print('holding', flush=True)
sys.stdin.read()
os._exit(0)
";
        let mut holder = Command::new("python3")
            .args(["-c", SCRIPT])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let said = holder.stdout.take().context("no output")?;
        let hold = Self { holder };
        let mut line = String::new();
        BufReader::new(said).read_line(&mut line)?;
        ensure!(line.trim() == "holding", "{line:?}");
        Ok(hold)
    }

    /// Waits until a thread of the daemon waits for it.
    fn wait_for(&self, relay: &OwnRelay) -> Result<()> {
        eventually("somebody waits for the disk", || {
            let waits = fs::read_dir(format!("/proc/{}/task", relay.pid()))?
                .flatten()
                .filter_map(|task| fs::read_to_string(task.path().join("stat")).ok())
                .any(|stat| stat.contains(") D "));
            Ok(waits.then_some(()))
        })
    }

    fn give_up(mut self) -> Result<()> {
        drop(self.holder.stdin.take());
        self.holder.wait()?;
        Ok(())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

#[test]
fn a_disk_that_hangs_stops_only_its_session() {
    isolated(here!(), |w| {
        let mut relay = OwnRelay::start(w, "relay", &[], &[])?;
        let mut hung = Target::new(&relay, "hung", "", 1)?;
        let stream = hung.streams[0];
        hung.round()?;
        let path = hung.directory.join("c_0");
        let hold = Hold::take(&path)?;
        hung.peer.packet(stream, 1)?;
        hold.wait_for(&relay)?;
        let mut others = others(&relay)?;
        rounds(&mut others, 10)?;
        let len = fs::metadata(&path)?.len();
        ensure!(len == PACKET_SIZE, "it did not hang: {len} bytes");
        hold.give_up()?;
        hung.peer.index(stream, 1)?;
        hung.peer.wait_received(stream, 1)?;
        hung.next = 2;
        rounds(std::slice::from_mut(&mut hung), 1)?;
        others.iter().chain([&hung]).try_for_each(Target::check)?;
        relay.stop()
    });
}

#[test]
fn an_index_that_cannot_be_written_stops_only_its_session() {
    isolated(here!(), |w| {
        let mut relay = OwnRelay::start(w, "relay", &[], &[])?;
        let mut hung = Target::new(&relay, "hung", "", 1)?;
        let stream = hung.streams[0];
        hung.round()?;
        let path = hung.directory.join("index/c_0.idx");
        let len = fs::metadata(&path)?.len();
        let hold = Hold::take(&path)?;
        hung.peer.packet(stream, 1)?;
        let request = Request::SendIndex(index(stream, 1));
        hung.peer.client.request(&request)?;
        let bytes = hung.peer.client.take_output();
        hung.peer.control.write_all(&bytes)?;
        hold.wait_for(&relay)?;
        let mut others = others(&relay)?;
        rounds(&mut others, 10)?;
        // What viewers and `--status` ask for is not kept waiting either.
        let status = Command::new(env!("CARGO_BIN_EXE_lttng-relayd"))
            .arg("--status")
            .output()?;
        let status = String::from_utf8_lossy(&status.stdout);
        ensure!(status.contains("raw/hung"), "{status}");
        ensure!(fs::metadata(&path)?.len() == len, "it did not hang");
        hold.give_up()?;
        ensure!(hung.peer.reply()? == Reply::Code(ReturnCode::OK));
        hung.peer.wait_received(stream, 1)?;
        hung.next = 2;
        rounds(std::slice::from_mut(&mut hung), 1)?;
        others.iter().chain([&hung]).try_for_each(Target::check)?;
        relay.stop()
    });
}

/// More sessions than there are processors wait for a disk, and whoever comes then is served.
#[test]
fn many_disks_that_hang_stop_only_their_sessions() {
    isolated(here!(), |w| {
        let mut relay = OwnRelay::start(w, "relay", &[], &[])?;
        let mut hung = Vec::new();
        for nr in 0..6 {
            let mut target = Target::new(&relay, &format!("hung{nr}"), "", 1)?;
            target.round()?;
            let hold = Hold::take(&target.directory.join("c_0"))?;
            target.peer.packet(target.streams[0], 1)?;
            hung.push((target, hold));
        }
        for (_, hold) in &hung {
            hold.wait_for(&relay)?;
        }
        let mut others = others(&relay)?;
        rounds(&mut others, 10)?;
        for (mut target, hold) in hung {
            hold.give_up()?;
            let stream = target.streams[0];
            target.peer.index(stream, 1)?;
            target.peer.wait_received(stream, 1)?;
            target.next = 2;
            target.check()?;
        }
        others.iter().try_for_each(Target::check)?;
        relay.stop()
    });
}

#[test]
fn the_daemon_ends_although_a_disk_hangs() {
    isolated(here!(), |w| {
        let mut relay = OwnRelay::start(w, "relay", &[], &[])?;
        let mut hung = Target::new(&relay, "hung", "", 1)?;
        hung.round()?;
        let hold = Hold::take(&hung.directory.join("c_0"))?;
        hung.peer.packet(hung.streams[0], 1)?;
        hold.wait_for(&relay)?;
        let mut others = others(&relay)?;
        rounds(&mut others, 1)?;
        // Half a packet of another: it is cut off.
        let half = [&RawPeer::header(others[0].streams[0], 1)[..], &[9; 1000]].concat();
        others[0].peer.data.write_all(&half)?;
        let file = others[0].directory.join("c_0");
        eventually("half a packet", || {
            Ok((fs::metadata(&file)?.len() > PACKET_SIZE).then_some(()))
        })?;
        signal(relay.pid(), Signal::TERM)?;
        // It has done all it can; the system ends it when the disk lets go.
        eventually("it says what it waits for", || {
            let log = relay.log();
            Ok(log.contains("still wait for a disk").then_some(()))
        })?;
        hold.give_up()?;
        relay.stop()?;
        others.iter().try_for_each(Target::check)
    });
}

/// Resident memory of the daemon, in bytes.
fn memory(relay: &OwnRelay) -> Result<usize> {
    let status = fs::read_to_string(format!("/proc/{}/status", relay.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    Ok(kib.context("no VmRSS")? * 1024)
}

/// docs/relay-scale.md has the figures.
#[test]
fn memory_of_a_target_and_of_a_stream() {
    const TARGETS: usize = 400;
    const STREAMS: usize = 4000;
    isolated(here!(), |w| {
        let relay = OwnRelay::start(w, "relay", &[], &[])?;
        let mut first = Target::new(&relay, "first", "", 1)?;
        first.round()?;
        let empty = memory(&relay)?;
        let mut targets = Vec::new();
        for nr in 0..TARGETS {
            targets.push(Target::new(&relay, &format!("s{nr}"), "", 0)?);
        }
        let with_targets = memory(&relay)?;
        for _ in 0..STREAMS {
            first.add_stream()?;
        }
        let with_streams = memory(&relay)?;
        for stream in first.streams.clone() {
            first.peer.packet(stream, 1)?;
            first.peer.index(stream, 1)?;
        }
        for stream in first.streams.clone() {
            first.peer.wait_received(stream, 1)?;
        }
        let with_packets = memory(&relay)?;
        let a_target = (with_targets - empty) / TARGETS;
        let a_stream = (with_streams - with_targets) / STREAMS;
        let an_index = (with_packets - with_streams) / STREAMS;
        println!(
            "{empty} at first, a target {a_target}, a stream {a_stream} and {an_index} with its index"
        );
        ensure!(a_target < 6 << 10, "{a_target} bytes for a target");
        ensure!(
            a_stream + an_index < 3 << 10,
            "{a_stream} + {an_index} bytes for a stream"
        );
        Ok(())
    });
}
