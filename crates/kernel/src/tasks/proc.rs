//! What runs now, from a `/proc` that numbers tasks as the kernel does.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, Mode, OFlags, openat};

use super::{Change, Name, What, name};
use crate::files::mounts_of;

/// The parent of all threads of the kernel, which only the first pid namespace has.
const KTHREADD: u32 = 2;
/// Flags of a thread: of a workqueue; of the kernel.
const WORKER: u64 = 0x20;
const KERNEL_THREAD: u64 = 0x0020_0000;
/// Longest first line of a file that is read here, bytes.
const MAX_TEXT: usize = 4096;

/// There is no such `/proc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "no /proc shows processes with the kernel's own numbers here: run the session daemon outside of the \
     container, or mount the /proc of the machine somewhere in it"
)]
pub struct NoProc;

/// Where a `/proc` is mounted that shows all tasks, numbered as in the kernel's events.
pub fn find() -> Result<PathBuf, NoProc> {
    let usual = std::iter::once(PathBuf::from("/proc"));
    let mut places = usual.chain(mounts_of("proc"));
    places.find(|place| is_of_all(place)).ok_or(NoProc)
}

fn is_of_all(place: &Path) -> bool {
    let stat = std::fs::read(place.join(format!("{KTHREADD}/stat")));
    let stat = stat.ok().as_deref().and_then(Stat::parse);
    stat.is_some_and(|stat| stat.ppid == 0 && stat.flags & KERNEL_THREAD != 0)
}

/// A task as it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The thread.
    pub tid: u32,
    /// Its process.
    pub pid: u32,
    /// The parent of that.
    pub ppid: i32,
    /// Its name.
    pub name: Name,
}

impl Found {
    /// As a change of the history, as of `time`; see [`What::Seen`].
    pub fn seen(&self, time: u64, again: bool) -> Change {
        Change {
            time,
            tid: self.tid,
            what: What::Seen {
                pid: self.pid as i32,
                ppid: self.ppid,
                name: self.name,
                again,
            },
        }
    }
}

/// Such a `/proc`, open.
#[derive(Debug)]
pub struct Proc {
    directory: OwnedFd,
}

impl Proc {
    /// Opens the one at `place`, which [`find`] found.
    pub fn open(place: &Path) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(rustix::fs::open(place, flags, Mode::empty())?)
    }

    /// From an open directory.
    pub fn new(directory: OwnedFd) -> Self {
        Self { directory }
    }

    /// All tasks. Those that end meanwhile may be there or not.
    pub fn tasks(&self) -> io::Result<Vec<Found>> {
        let mut found = Vec::new();
        for pid in numbers(&self.directory, ".")? {
            let threads = numbers(&self.directory, &format!("{pid}/task"));
            for tid in threads.unwrap_or_default() {
                let stat = self.text(&format!("{pid}/task/{tid}/stat"));
                let stat = stat.as_deref().and_then(Stat::parse);
                found.extend(stat.map(|stat| Found {
                    tid,
                    pid,
                    ppid: stat.ppid,
                    name: self.name(pid, tid, &stat),
                }));
            }
        }
        Ok(found)
    }

    /// The parent of a process; `None` if there is no such process (any more).
    pub fn parent(&self, pid: u32) -> Option<i32> {
        Some(Stat::parse(&self.text(&format!("{pid}/stat"))?)?.ppid)
    }

    fn name(&self, pid: u32, tid: u32, stat: &Stat) -> Name {
        let sched = || self.text(&format!("{pid}/task/{tid}/sched"));
        kernel_name(&stat.name, stat.flags, sched)
    }

    /// The beginning of a file.
    fn text(&self, path: &str) -> Option<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = openat(&self.directory, path, flags, Mode::empty()).ok()?;
        let mut text = vec![0; MAX_TEXT];
        let got = rustix::io::read(&file, &mut text[..]).ok()?;
        text.truncate(got);
        Some(text)
    }
}

/// The name that the kernel's events show, of which `stat` has more for threads of the kernel. `sched` is the text
/// of that file, if it is needed.
pub(crate) fn kernel_name(
    shown: &[u8],
    flags: u64,
    sched: impl FnOnce() -> Option<Vec<u8>>,
) -> Name {
    if flags & KERNEL_THREAD == 0 || flags & WORKER == 0 {
        return name(shown);
    }
    match sched().as_deref().and_then(first_name) {
        Some(known) => name(known),
        None => name(worker_name(shown)),
    }
}

/// The names in a directory that are numbers.
fn numbers(at: impl AsFd, path: &str) -> io::Result<BTreeSet<u32>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat(at, path, flags, Mode::empty())?;
    let entries = Dir::read_from(directory)?.flatten();
    Ok(entries
        .filter_map(|entry| entry.file_name().to_str().ok()?.parse().ok())
        .collect())
}

/// What `stat` tells.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    name: Vec<u8>,
    ppid: i32,
    flags: u64,
}

impl Stat {
    /// `TID (NAME) STATE PPID …`, where the name can hold anything.
    fn parse(text: &[u8]) -> Option<Self> {
        let end = text.iter().rposition(|&byte| byte == b')')?;
        let start = text.iter().position(|&byte| byte == b'(')?;
        let rest = std::str::from_utf8(&text[end + 1..]).ok()?;
        let mut fields = rest.split_whitespace().skip(1);
        Some(Self {
            name: text.get(start + 1..end)?.to_vec(),
            ppid: fields.next()?.parse().ok()?,
            // Field 9 of the file, counted from 1; the one above is 4.
            flags: fields.nth(4)?.parse().ok()?,
        })
    }
}

/// `NAME (TID, #threads: N)` at the beginning of `sched`.
fn first_name(text: &[u8]) -> Option<&[u8]> {
    let line = text.split(|&byte| byte == b'\n').next()?;
    let end = line.windows(2).rposition(|two| two == b" (")?;
    Some(&line[..end])
}

/// Of a thread of a workqueue, `kworker/0:1` of `kworker/0:1-events`. Those that come to the rescue have the
/// name of the queue as theirs.
fn worker_name(shown: &[u8]) -> &[u8] {
    if shown.starts_with(b"kworker/R-") {
        return shown;
    }
    let end = shown.iter().position(|byte| matches!(byte, b'-' | b'+'));
    &shown[..end.unwrap_or(shown.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_be_anything() {
        let stat = Stat::parse(b"17 (a) (\xff R 1) S 3 17 17 0 -1 4194560 1 2 3\n").unwrap();
        assert_eq!(stat.name, b"a) (\xff R 1");
        assert_eq!((stat.ppid, stat.flags), (3, 4_194_560));
        for text in ["", "17", "17 (x)", "17 (x) S", "17 )x( S 1 2 3 4 5 6 7"] {
            assert_eq!(Stat::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn workers_show_more_than_their_names() {
        let sched = b"kworker/0:0H (10, #threads: 1)\n---\nse.exec_start : 1";
        assert_eq!(first_name(sched), Some(&b"kworker/0:0H"[..]));
        assert_eq!(first_name(b""), None);
        assert_eq!(worker_name(b"kworker/u8:0-writeback"), b"kworker/u8:0");
        assert_eq!(worker_name(b"kworker/u8:0+flush"), b"kworker/u8:0");
        assert_eq!(
            worker_name(b"kworker/R-mm_percpu_wq"),
            b"kworker/R-mm_percpu_wq"
        );
    }

    #[test]
    fn this_thread_is_found() {
        let proc = Proc::new(Proc::open(Path::new("/proc")).unwrap());
        let (pid, tid) = (std::process::id(), rustix::thread::gettid());
        let found = proc.tasks().unwrap();
        let own = found
            .iter()
            .find(|task| task.tid == tid.as_raw_nonzero().get() as u32);
        let own = own.unwrap();
        let ppid = rustix::process::getppid().map_or(0, |ppid| ppid.as_raw_nonzero().get());
        assert_eq!((own.pid, own.ppid), (pid, ppid));
        let comm = std::fs::read("/proc/thread-self/comm").unwrap();
        assert_eq!(own.name, name(&comm[..comm.len() - 1]));
        assert_eq!(proc.parent(pid), Some(ppid));
        assert_eq!(proc.parent(u32::MAX), None);
    }
}
