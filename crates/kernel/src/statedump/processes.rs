//! Processes, their threads and their open files.

use std::fs;
use std::path::Path;

use super::events::Kind;
use super::packets::Packets;
use super::{numbers, text};
use crate::tasks::Name;
use crate::tasks::proc::kernel_name;

/// `PF_KTHREAD` in the flags of a thread.
const KERNEL_THREAD: u64 = 0x0020_0000;
/// LTTng's `mode` when it is not known: always.
const MODE_UNKNOWN: u32 = 5;

/// Adds all processes that `proc` shows.
pub(super) fn add(proc: &Path, packets: &mut Packets<'_>) {
    for pid in numbers(proc) {
        let process = proc.join(pid.to_string());
        for tid in numbers(&process.join("task")) {
            let task = process.join("task").join(tid.to_string());
            let Some(thread) = text(&task.join("stat")).and_then(|stat| Thread::parse(&stat))
            else {
                continue;
            };
            let sched = || fs::read(task.join("sched")).ok();
            let name = kernel_name(thread.name.as_bytes(), thread.flags, sched);
            thread.add(pid, tid, &name, packets);
            add_namespace(&task, tid, packets);
        }
        add_files(&process, pid, packets);
    }
}

/// What `stat` tells about a thread.
#[derive(Debug, PartialEq, Eq)]
struct Thread {
    name: String,
    state: char,
    ppid: u32,
    flags: u64,
    cpu: u32,
}

impl Thread {
    /// `TID (NAME) STATE PPID …`, where the name can hold anything.
    fn parse(stat: &str) -> Option<Self> {
        let (start, rest) = stat.rsplit_once(')')?;
        let (_, name) = start.split_once('(')?;
        let mut fields = rest.split_whitespace();
        let state = fields.next()?.chars().next()?;
        let ppid = fields.next()?.parse().ok()?;
        // Field 9 of the file, counted from 1; the two above are 3 and 4.
        let flags = fields.nth(4)?.parse().ok()?;
        // Field 39.
        let cpu = fields.nth(29)?.parse().ok()?;
        Some(Self {
            name: name.to_owned(),
            state,
            ppid,
            flags,
            cpu,
        })
    }

    /// LTTng's number for the state.
    fn status(&self) -> u32 {
        match self.state {
            'R' => 2,
            'Z' => 4,
            'S' | 'D' | 'I' => 5,
            'X' | 'x' => 7,
            _ => 0,
        }
    }

    fn add(&self, pid: u32, tid: u32, name: &Name, packets: &mut Packets<'_>) {
        packets.add(Kind::ProcessState, |payload| {
            payload.u32(tid);
            payload.u32(pid);
            payload.u32(self.ppid);
            payload.name(name);
            payload.u32((self.flags & KERNEL_THREAD != 0).into());
            payload.u32(MODE_UNKNOWN);
            // No mode below that.
            payload.u32(0);
            payload.u32(self.status());
            payload.u32(self.cpu);
            payload.u64(pid.into());
        });
    }
}

/// The ids of a thread in its own pid namespace.
fn add_namespace(task: &Path, tid: u32, packets: &mut Packets<'_>) {
    let Some(status) = text(&task.join("status")) else {
        return;
    };
    let ids = |name: &str| -> Vec<u32> {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default()
            .split_whitespace()
            .filter_map(|id| id.parse().ok())
            .collect()
    };
    let (tids, pids) = (ids("NSpid:"), ids("NStgid:"));
    let (Some(vtid), Some(vpid)) = (tids.last(), pids.last()) else {
        return;
    };
    let inum = fs::read_link(task.join("ns/pid"))
        .ok()
        .and_then(|link| namespace_number(link.to_str()?))
        .unwrap_or(0);
    // The parent's id is known in the first namespace only.
    let ppid = ids("PPid:").first().copied().unwrap_or(0);
    let vppid = if tids.len() == 1 { ppid } else { 0 };
    packets.add(Kind::ProcessPidNs, |payload| {
        payload.u32(tid);
        payload.u32(*vtid);
        payload.u32(*vpid);
        payload.u32(vppid);
        payload.u32(tids.len() as u32 - 1);
        payload.u32(inum);
    });
}

/// `pid:[4026531836]`
fn namespace_number(link: &str) -> Option<u32> {
    let (_, number) = link.split_once(":[")?;
    number.strip_suffix(']')?.parse().ok()
}

fn add_files(process: &Path, pid: u32, packets: &mut Packets<'_>) {
    for fd in numbers(&process.join("fd")) {
        let fd_name = fd.to_string();
        let Ok(target) = fs::read_link(process.join("fd").join(&fd_name)) else {
            continue;
        };
        let flags = text(&process.join("fdinfo").join(&fd_name))
            .and_then(|info| open_flags(&info))
            .unwrap_or(0);
        packets.add(Kind::FileDescriptor, |payload| {
            payload.u64(pid.into());
            payload.u32(fd);
            payload.u32(flags);
            payload.u32(mode(flags));
            payload.text(&target.to_string_lossy());
        });
    }
}

/// The `flags:` line, in octal digits.
fn open_flags(info: &str) -> Option<u32> {
    let line = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
    u32::from_str_radix(line.trim(), 8).ok()
}

/// The kernel's `f_mode` as far as it follows from the flags: 1 for reading, 2 for writing.
fn mode(flags: u32) -> u32 {
    match flags & 3 {
        0 => 1,
        1 => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_threads_can_be_anything() {
        let stat = "17 (a) (b R 1) S 3 17 17 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 99 1 1 \
            18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0";
        let thread = Thread::parse(stat).unwrap();
        assert_eq!((thread.name.as_str(), thread.state), ("a) (b R 1", 'S'));
        assert_eq!((thread.ppid, thread.flags, thread.cpu), (3, 4_194_560, 1));
        assert_eq!(thread.status(), 5);
        for text in ["", "17", "17 (x)", "17 (x) S", "17 (x) S 1 2 3 4 5 6"] {
            assert_eq!(Thread::parse(text), None, "{text}");
        }
    }

    #[test]
    fn flags_of_open_files() {
        let info = "pos:\t0\nflags:\t0100002\nmnt_id:\t15\n";
        assert_eq!(open_flags(info), Some(0o100_002));
        assert_eq!(open_flags("pos: 0\n"), None);
        assert_eq!([0, 1, 2, 0o100_001].map(mode), [1, 2, 3, 2]);
        assert_eq!(namespace_number("pid:[4026531836]"), Some(4_026_531_836));
        assert_eq!(namespace_number("pid:4026531836"), None);
    }
}
