//! Processes whose parent has ended. The kernel gives them to another one and does not tell.

use super::{Task, Tasks, Version};
use crate::tasks::{Change, What};

/// A process whose parent has ended, and that has another one now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// The process.
    pub pid: u32,
    /// Who has ended.
    pub parent: i32,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) since: u64,
    pub(super) parent: i32,
}

impl Tasks {
    /// Processes that wait for a new parent: look who it is, and tell with [`Tasks::adopt`].
    pub fn orphans(&self) -> Vec<Orphan> {
        let orphan = |(&pid, waiting): (&u32, &Waiting)| Orphan {
            pid,
            parent: waiting.parent,
        };
        self.orphans.iter().map(orphan).collect()
    }

    /// The orphan `pid` has this parent, looked up after `now`: [`UNKNOWN_ID`] if there was nobody to ask.
    /// Returns the change to write down, if there is one.
    pub fn adopt(&mut self, pid: u32, ppid: i32, now: u64) -> Option<Change> {
        let waiting = self.orphans.get_mut(&pid)?;
        if waiting.parent == ppid {
            // The end of its parent is not complete; until now that was its parent.
            waiting.since = now;
            return None;
        }
        let change = Change {
            time: waiting.since,
            tid: pid,
            what: What::Adopted { ppid },
        };
        self.generation += 1;
        self.change(&change);
        Some(change)
    }

    pub(super) fn orphan_children(&mut self, parent: i32, since: u64) {
        let children = self.by_tid.iter().filter_map(|(&tid, task)| {
            let last = task.versions.last()?;
            let is_child = last.ppid == parent && last.pid == tid as i32;
            // Its first thread may have ended before the others.
            let lives = self
                .processes
                .get(&tid)
                .is_some_and(|process| process.threads > 0);
            (is_child && (task.ended.is_none() || lives)).then_some(tid)
        });
        self.orphans
            .extend(children.map(|pid| (pid, Waiting { since, parent })));
    }

    pub(super) fn adopted(&mut self, since: u64, pid: u32, ppid: i32) {
        let Some(waiting) = self.orphans.remove(&pid) else {
            return;
        };
        if let Ok(ppid) = u32::try_from(ppid) {
            self.processes.entry(ppid).or_default().children += 1;
        }
        let alone = self
            .processes
            .get(&pid)
            .is_some_and(|process| process.threads == 1);
        let mut more = 0;
        let mut adopt = |task: &mut Task| {
            let at = task.versions.partition_point(|v| v.from <= since);
            for version in &mut task.versions[at..] {
                if (version.pid, version.ppid) == (pid as i32, waiting.parent) {
                    version.ppid = ppid;
                }
            }
            let before = at.checked_sub(1).and_then(|at| task.versions.get(at));
            if let Some(before) = before.copied()
                && (before.pid, before.ppid) == (pid as i32, waiting.parent)
            {
                let version = Version {
                    from: since,
                    ppid,
                    ..before
                };
                task.versions.insert(at, version);
                more += 1;
            }
        };
        match self.by_tid.get_mut(&pid) {
            Some(task) if alone && task.ended.is_none() => adopt(task),
            _ => self.by_tid.values_mut().for_each(adopt),
        }
        self.versions += more;
    }
}
