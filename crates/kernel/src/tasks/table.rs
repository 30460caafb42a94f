//! The table.

mod orphans;

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use super::{Change, Name, UNKNOWN_ID, UNKNOWN_NAME, What};

pub use orphans::Orphan;
use orphans::Waiting;

/// Flags of `clone`: the new task has the parent of the one that makes it; it is a thread of its process.
const CLONE_PARENT: u64 = 0x8000;
const CLONE_THREAD: u64 = 0x1_0000;
/// How long after its end a task may still run, nanoseconds: it has to free its memory.
const ENDING_NS: u64 = 5_000_000_000;
/// Most states of tasks that are remembered, some 100 bytes each. Beyond it the oldest are forgotten.
const MAX_VERSIONS: usize = 1 << 20;

/// What a task is from some time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// On the clock of the trace.
    pub from: u64,
    /// Its process; [`UNKNOWN_ID`] if that is not known.
    pub pid: i32,
    /// The parent of that; [`UNKNOWN_ID`] if that is not known.
    pub ppid: i32,
    /// Its name; [`UNKNOWN_NAME`] if that is not known.
    pub name: Name,
    /// Read somewhere at a time that is not known exactly.
    seen: bool,
}

#[derive(Clone, Debug, Default)]
struct Task {
    /// In the order of time.
    versions: Vec<Version>,
    ended: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Process {
    threads: u32,
    /// Processes that live and have it as their parent.
    children: u32,
}

type ByNumber<T> = HashMap<u32, T, BuildHasherDefault<NumberHasher>>;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    by_tid: ByNumber<Task>,
    processes: ByNumber<Process>,
    /// Changes that are not part of the table yet.
    pending: Vec<Change>,
    orphans: BTreeMap<u32, Waiting>,
    versions: usize,
    generation: u64,
}

impl Tasks {
    /// Notes changes, in any order. They count from the next [`Tasks::apply`] on that goes as far.
    pub fn add(&mut self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            match change.what {
                What::Was { pid, ppid, name } => {
                    let version = Version {
                        from: change.time,
                        pid,
                        ppid,
                        name,
                        seen: false,
                    };
                    self.generation += 1;
                    self.insert(change.tid, version);
                }
                What::WasEnded => self.task(change.tid).ended = Some(change.time),
                What::Orphaned { parent } => {
                    let since = change.time;
                    self.orphans.insert(change.tid, Waiting { since, parent });
                }
                _ => self.pending.push(change),
            }
        }
    }

    /// Makes the changes up to `until` part of the history. Give the clock as it was before the buffers were
    /// looked at: whatever made a change of before then is there.
    pub fn apply(&mut self, until: u64) {
        if self.pending.is_empty() {
            return;
        }
        let mut pending = std::mem::take(&mut self.pending);
        pending.sort_by_key(|change| change.time);
        let now = pending.partition_point(|change| change.time <= until);
        for change in pending.drain(..now) {
            self.generation += 1;
            self.change(&change);
        }
        self.pending = pending;
    }

    /// Changes whenever the table does.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// What a task was at a time, and until when; `None` for the first if that is not known.
    pub fn at(&self, tid: u32, time: u64) -> (Option<&Version>, u64) {
        let Some(task) = self.by_tid.get(&tid) else {
            return (None, u64::MAX);
        };
        // Most tasks have one version.
        let later = task
            .versions
            .iter()
            .rposition(|version| version.from <= time)
            .map_or(0, |at| at + 1);
        let until = task
            .versions
            .get(later)
            .map_or(u64::MAX, |version| version.from);
        (later.checked_sub(1).map(|at| &task.versions[at]), until)
    }

    /// Forgets what no event needs that is younger than `settled`, and the oldest of what is too much.
    pub fn forget(&mut self, settled: u64) {
        self.generation += 1;
        let mut bound = settled;
        loop {
            self.forget_before(bound);
            if self.versions <= MAX_VERSIONS {
                break;
            }
            // Half of the time that is remembered.
            let newest = self.by_tid.values().filter_map(|task| task.versions.last());
            let newest = newest.map(|version| version.from).max().unwrap_or(0);
            if newest <= bound {
                break;
            }
            bound += (newest - bound).div_ceil(2);
        }
        self.count_processes();
    }

    fn forget_before(&mut self, bound: u64) {
        self.by_tid.retain(|_, task| {
            let last = task.versions.iter().rposition(|v| v.from <= bound);
            task.versions.drain(..last.unwrap_or(0));
            task.ended
                .is_none_or(|ended| ended.saturating_add(ENDING_NS) > bound)
                || task.versions.last().is_some_and(|v| v.from > bound)
        });
        self.versions = self.by_tid.values().map(|task| task.versions.len()).sum();
    }

    /// Counts threads and children anew: counts that began in the middle may be wrong.
    fn count_processes(&mut self) {
        self.processes.clear();
        for (&tid, task) in &self.by_tid {
            let Some(last) = task.versions.last() else {
                continue;
            };
            if task.ended.is_some() || last.pid < 0 {
                continue;
            }
            self.processes.entry(last.pid as u32).or_default().threads += 1;
            if last.pid == tid as i32 && last.ppid >= 0 {
                self.processes.entry(last.ppid as u32).or_default().children += 1;
            }
        }
    }

    /// States that are remembered.
    pub fn len(&self) -> usize {
        self.versions
    }

    /// Nothing is known.
    pub fn is_empty(&self) -> bool {
        self.versions == 0 && self.pending.is_empty()
    }

    /// Everything, for [`Tasks::add`] of another table.
    pub fn changes(&self) -> Vec<Change> {
        let mut changes = Vec::with_capacity(self.versions + self.pending.len());
        for (&tid, task) in &self.by_tid {
            changes.extend(task.versions.iter().map(|version| Change {
                time: version.from,
                tid,
                what: What::Was {
                    pid: version.pid,
                    ppid: version.ppid,
                    name: version.name,
                },
            }));
            changes.extend(task.ended.map(|time| Change {
                time,
                tid,
                what: What::WasEnded,
            }));
        }
        changes.extend(self.orphans.iter().map(|(&pid, waiting)| Change {
            time: waiting.since,
            tid: pid,
            what: What::Orphaned {
                parent: waiting.parent,
            },
        }));
        changes.extend(&self.pending);
        changes
    }

    /// To be called when all of another table's [`Tasks::changes`] have come.
    pub fn loaded(&mut self) {
        self.count_processes();
    }

    /// Those who are in the table as running but are not among `alive`, as of `time`.
    pub fn missing_from<'a>(
        &'a self,
        alive: &'a std::collections::HashSet<u32>,
        time: u64,
    ) -> impl Iterator<Item = Change> + 'a {
        let gone = self.by_tid.iter().filter(move |(tid, task)| {
            task.ended.is_none()
                && !alive.contains(tid)
                && task.versions.last().is_some_and(|v| v.from < time)
        });
        gone.map(move |(&tid, _)| Change {
            time,
            tid,
            what: What::Replaced,
        })
    }

    fn task(&mut self, tid: u32) -> &mut Task {
        self.by_tid.entry(tid).or_default()
    }

    fn insert(&mut self, tid: u32, version: Version) {
        let task = self.by_tid.entry(tid).or_default();
        let at = task.versions.partition_point(|v| v.from <= version.from);
        task.versions.insert(at, version);
        self.versions += 1;
    }

    fn change(&mut self, change: &Change) {
        let Change { time, tid, what } = *change;
        match what {
            What::Forked { by, flags, name } => self.forked(time, tid, by, flags, name),
            What::Renamed { old, new } => self.renamed(time, tid, old, new),
            What::Ended { name, last } => self.ended(time, tid, name, last),
            What::Replaced => self.replaced(time, tid),
            What::Seen {
                pid,
                ppid,
                name,
                again,
            } => {
                let version = Version {
                    from: if again { time } else { 0 },
                    pid,
                    ppid,
                    name,
                    seen: true,
                };
                self.seen(tid, version, again);
            }
            What::Adopted { ppid } => self.adopted(time, tid, ppid),
            What::Orphaned { .. } | What::Was { .. } | What::WasEnded => {}
        }
    }

    fn forked(&mut self, time: u64, tid: u32, by: u32, flags: u64, name: Name) {
        let (pid, ppid) = match self.at(by, time).0 {
            Some(maker) if flags & CLONE_THREAD != 0 => (maker.pid, maker.ppid),
            Some(maker) if flags & CLONE_PARENT != 0 => (tid as i32, maker.ppid),
            Some(maker) => (tid as i32, maker.pid),
            None if flags & CLONE_THREAD != 0 => (UNKNOWN_ID, UNKNOWN_ID),
            None => (tid as i32, UNKNOWN_ID),
        };
        if flags & CLONE_THREAD == 0 {
            self.processes.insert(tid, Process::default());
            if let Ok(parent) = u32::try_from(ppid) {
                self.processes.entry(parent).or_default().children += 1;
            }
            // The kernel gives it a new parent together with the one whose child it is beside.
            let maker = self.at(by, time).0.map_or(UNKNOWN_ID, |maker| maker.pid);
            if flags & CLONE_PARENT != 0
                && let Some(waiting) = self.orphans.get(&(maker as u32)).copied()
                && waiting.parent == ppid
            {
                self.orphans.insert(tid, waiting);
            } else {
                self.orphans.remove(&tid);
            }
        }
        if let Ok(process) = u32::try_from(pid) {
            self.processes.entry(process).or_default().threads += 1;
        }
        self.insert(
            tid,
            Version {
                from: time,
                pid,
                ppid,
                name,
                seen: false,
            },
        );
        self.task(tid).ended = None;
    }

    fn renamed(&mut self, time: u64, tid: u32, old: Name, new: Name) {
        let task = self.by_tid.entry(tid).or_default();
        let at = task.versions.partition_point(|v| v.from <= time);
        let before = match at.checked_sub(1).and_then(|at| task.versions.get_mut(at)) {
            Some(before) => {
                // It may have been read after it had got the new name.
                if before.seen || before.name == UNKNOWN_NAME {
                    before.name = old;
                }
                *before
            }
            None => {
                let before = Version {
                    from: 0,
                    pid: UNKNOWN_ID,
                    ppid: UNKNOWN_ID,
                    name: old,
                    seen: false,
                };
                self.insert(tid, before);
                before
            }
        };
        self.insert(
            tid,
            Version {
                from: time,
                name: new,
                seen: false,
                ..before
            },
        );
    }

    fn seen(&mut self, tid: u32, seen: Version, again: bool) {
        let task = self.by_tid.entry(tid).or_default();
        let Some(last) = task.versions.last().copied() else {
            self.insert(tid, seen);
            self.counts(&seen, tid);
            return;
        };
        if again {
            let same = (last.pid, last.ppid, last.name) == (seen.pid, seen.ppid, seen.name);
            if !same && last.from <= seen.from {
                self.insert(tid, seen);
            }
            self.task(tid).ended = None;
            return;
        }
        // What happened to it meanwhile said only half.
        let mut filled = None;
        for version in &mut task.versions {
            if version.pid == UNKNOWN_ID {
                (version.pid, version.ppid) = (seen.pid, seen.ppid);
                filled = Some(*version);
            }
        }
        if let Some(version) = filled
            && task.ended.is_none()
        {
            self.counts(&version, tid);
        }
    }

    fn counts(&mut self, version: &Version, tid: u32) {
        if let Ok(pid) = u32::try_from(version.pid) {
            self.processes.entry(pid).or_default().threads += 1;
        }
        if version.pid == tid as i32
            && let Ok(ppid) = u32::try_from(version.ppid)
        {
            self.processes.entry(ppid).or_default().children += 1;
        }
    }

    fn replaced(&mut self, time: u64, tid: u32) {
        let Some(task) = self.by_tid.get_mut(&tid) else {
            return;
        };
        if task.ended.is_some() {
            return;
        }
        task.ended = Some(time);
        let pid = task.versions.last().map_or(UNKNOWN_ID, |last| last.pid);
        if let Ok(pid) = u32::try_from(pid)
            && let Some(process) = self.processes.get_mut(&pid)
        {
            process.threads = process.threads.saturating_sub(1);
        }
    }

    fn ended(&mut self, time: u64, tid: u32, name: Name, last: Option<bool>) {
        if self.at(tid, time).0.is_none() {
            let version = Version {
                from: 0,
                pid: UNKNOWN_ID,
                ppid: UNKNOWN_ID,
                name,
                seen: false,
            };
            self.insert(tid, version);
        }
        let known = self.at(tid, time).0.copied();
        self.task(tid).ended = Some(time);
        let Some(known) = known else { return };
        let Ok(pid) = u32::try_from(known.pid) else {
            return;
        };
        let process = self.processes.entry(pid).or_default();
        process.threads = process.threads.saturating_sub(1);
        if !last.unwrap_or(process.threads == 0) {
            return;
        }
        let children = process.children;
        self.processes.remove(&pid);
        if let Ok(ppid) = u32::try_from(known.ppid)
            && let Some(parent) = self.processes.get_mut(&ppid)
        {
            parent.children = parent.children.saturating_sub(1);
        }
        if children > 0 {
            self.orphan_children(pid as i32, time);
        }
    }
}

/// Numbers of tasks need no protection from collisions: the kernel gives them one after the other.
#[derive(Clone, Copy, Debug, Default)]
struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(byte.into());
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
