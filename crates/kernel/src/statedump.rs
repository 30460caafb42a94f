//! The state of the system when tracing starts: what runs, which files are open, which interrupts, disks
//! and CPUs there are. Analyses need it to know what they do not see begin.
//!
//! The events have the names and fields of LTTng's kernel tracer (2.13) and are a stream of their own, ready
//! for an output: the session daemon reads `/proc` and `/sys`, nothing of this goes through the kernel's
//! ring buffer.
//!
//! | event | from |
//! | --- | --- |
//! | `lttng_statedump_start`, `lttng_statedump_end` | around the others |
//! | `lttng_statedump_process_state` | `/proc/PID/task/TID/stat` |
//! | `lttng_statedump_process_pid_ns` | `/proc/PID/task/TID/status`, for the namespace of the thread itself |
//! | `lttng_statedump_file_descriptor` | `/proc/PID/fd`, `/proc/PID/fdinfo` |
//! | `lttng_statedump_interrupt` | `/sys/kernel/irq` |
//! | `lttng_statedump_network_interface` | netlink |
//! | `lttng_statedump_block_device` | `/sys/class/block` |
//! | `lttng_statedump_cpu_topology` | `/proc/cpuinfo`, on x86 |
//!
//! `file_table_address` is the process id: the kernel's address is not known, and what analyses need is
//! which descriptors belong to which threads. Processes come and go meanwhile; one that is gone when it is
//! looked at is left out.

mod devices;
mod events;
mod network;
mod packets;
mod processes;

use std::path::{Path, PathBuf};

use ctf::types::ByteOrder;

use crate::transcode::StreamIdentity;
use packets::Packets;

pub use events::classes;

/// Where to look, and how much to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    /// `/proc`.
    pub proc: PathBuf,
    /// `/sys`.
    pub sys: PathBuf,
    /// Whether to tell of the network interfaces of the namespace that this process is in.
    pub network: bool,
    /// Most bytes of packets. What would be beyond is left out, and [`StateDump::left_out`] tells.
    pub max_bytes: usize,
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            // With the kernel's own numbers, as its events have them, if that can be.
            proc: crate::tasks::proc::find().unwrap_or_else(|_| "/proc".into()),
            sys: "/sys".into(),
            network: true,
            max_bytes: 64 << 20,
        }
    }
}

/// The stream of a state dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDump {
    /// Packets, one after the other.
    pub bytes: Vec<u8>,
    /// Length of each packet in bytes.
    pub packet_lens: Vec<usize>,
    /// Events in all of them.
    pub events: u64,
    /// Events for which there was no room.
    pub left_out: u64,
}

/// Describes the system in the stream `identity`, whose class is
/// [`stream_class`](crate::schema::stream_class) with the events of [`classes`]. `now` is the clock of the
/// trace.
pub fn collect(
    sources: &Sources,
    identity: &StreamIdentity,
    now: &mut dyn FnMut() -> u64,
) -> StateDump {
    let tid = std::process::id();
    let mut packets = Packets::new(*identity, ByteOrder::NATIVE, tid, sources.max_bytes, now);
    packets.mark(events::Kind::Start);
    processes::add(&sources.proc, &mut packets);
    devices::add_interrupts(&sources.sys, &mut packets);
    if sources.network {
        network::add(&mut packets);
    }
    devices::add_block_devices(&sources.sys, &mut packets);
    devices::add_cpus(&sources.proc, &mut packets);
    packets.mark(events::Kind::End);
    packets.finish()
}

/// The text of a small file; `None` if there is none, or no more.
fn text(path: &Path) -> Option<String> {
    let bytes = std::fs::read(path).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The names in a directory that are numbers, in order.
fn numbers(dir: &Path) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut numbers: Vec<u32> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    numbers.sort_unstable();
    numbers
}
