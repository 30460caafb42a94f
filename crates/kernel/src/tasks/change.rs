//! What happens to tasks, and how it is written down for a reader to come.

use super::Name;

/// Bytes of a change that is written down.
pub const RECORD_LEN: usize = 64;

/// Something about a task at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// On the clock of the trace.
    pub time: u64,
    /// The thread.
    pub tid: u32,
    /// What about it.
    pub what: What,
}

/// See [`Change`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It came into being.
    Forked {
        /// The thread that made it.
        by: u32,
        /// Of `clone`.
        flags: u64,
        /// Its name.
        name: Name,
    },
    /// It got another name.
    Renamed {
        /// Before.
        old: Name,
        /// From now on.
        new: Name,
    },
    /// It ended; its last events are still to come.
    Ended {
        /// Its name.
        name: Name,
        /// Whether it was the last thread of its process, where the kernel tells.
        last: Option<bool>,
    },
    /// Another thread became this one's process when it executed a program: the number is nobody's any more.
    Replaced,
    /// It was found running, as this, at some time from then on.
    Seen {
        /// Its process.
        pid: i32,
        /// The parent of that.
        ppid: i32,
        /// Its name.
        name: Name,
        /// Because changes were lost: what is known is not to be trusted.
        again: bool,
    },
    /// The process of this number has this parent since then; the one that it had has ended.
    Adopted {
        /// The new one.
        ppid: i32,
    },
    /// The process of this number waits for a new parent since then.
    Orphaned {
        /// The one that has ended.
        parent: i32,
    },
    /// What was known of it at that time: its history is written down anew.
    Was {
        /// Its process.
        pid: i32,
        /// The parent of that.
        ppid: i32,
        /// Its name.
        name: Name,
    },
    /// The history of the task above ends then.
    WasEnded,
}

impl Change {
    /// For [`Change::from_record`] in another process of this machine.
    pub fn record(&self) -> [u8; RECORD_LEN] {
        let none = Name::default();
        let (kind, a, b, flags, first, second): (u32, i32, i32, u64, Name, Name) = match self.what {
            What::Forked { by, flags, name } => (1, by as i32, 0, flags, name, none),
            What::Renamed { old, new } => (2, 0, 0, 0, old, new),
            What::Ended { name, last } => {
                let last = last.map_or(2, i32::from);
                (3, last, 0, 0, name, none)
            }
            What::Replaced => (4, 0, 0, 0, none, none),
            What::Seen {
                pid,
                ppid,
                name,
                again,
            } => (5, pid, ppid, again.into(), name, none),
            What::Adopted { ppid } => (6, ppid, 0, 0, none, none),
            What::Orphaned { parent } => (7, parent, 0, 0, none, none),
            What::Was { pid, ppid, name } => (8, pid, ppid, 0, name, none),
            What::WasEnded => (9, 0, 0, 0, none, none),
        };
        let mut record = [0; RECORD_LEN];
        record[..4].copy_from_slice(&kind.to_ne_bytes());
        record[4..8].copy_from_slice(&self.tid.to_ne_bytes());
        record[8..16].copy_from_slice(&self.time.to_ne_bytes());
        record[16..20].copy_from_slice(&a.to_ne_bytes());
        record[20..24].copy_from_slice(&b.to_ne_bytes());
        record[24..32].copy_from_slice(&flags.to_ne_bytes());
        record[32..48].copy_from_slice(&first);
        record[48..].copy_from_slice(&second);
        record
    }

    /// What [`Change::record`] made; `None` if it is nothing of the kind.
    pub fn from_record(record: &[u8; RECORD_LEN]) -> Option<Self> {
        let word = |at: usize| Some(u32::from_ne_bytes(*record.get(at..)?.first_chunk()?));
        let long = |at: usize| Some(u64::from_ne_bytes(*record.get(at..)?.first_chunk()?));
        let name = |at: usize| Some(*record.get(at..)?.first_chunk::<{ size_of::<Name>() }>()?);
        let (a, b, flags) = (word(16)?, word(20)?, long(24)?);
        let (pid, ppid) = (a as i32, b as i32);
        let what = match word(0)? {
            1 => What::Forked {
                by: a,
                flags,
                name: name(32)?,
            },
            2 => What::Renamed {
                old: name(32)?,
                new: name(48)?,
            },
            3 => What::Ended {
                name: name(32)?,
                last: (a < 2).then_some(a == 1),
            },
            4 => What::Replaced,
            5 => What::Seen {
                pid,
                ppid,
                name: name(32)?,
                again: flags != 0,
            },
            6 => What::Adopted { ppid: pid },
            7 => What::Orphaned { parent: pid },
            8 => What::Was {
                pid,
                ppid,
                name: name(32)?,
            },
            9 => What::WasEnded,
            _ => return None,
        };
        Some(Self {
            time: long(8)?,
            tid: word(4)?,
            what,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back() {
        let (a, b) = (*b"a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", *b"0123456789abcde\0");
        for what in [
            What::Forked {
                by: 7,
                flags: 0x1_0000_8000,
                name: a,
            },
            What::Renamed { old: a, new: b },
            What::Ended {
                name: b,
                last: None,
            },
            What::Ended {
                name: b,
                last: Some(false),
            },
            What::Ended {
                name: b,
                last: Some(true),
            },
            What::Replaced,
            What::Seen {
                pid: 1,
                ppid: -1,
                name: a,
                again: true,
            },
            What::Adopted { ppid: 1 },
            What::Orphaned { parent: 9 },
            What::Was {
                pid: 3,
                ppid: 4,
                name: b,
            },
            What::WasEnded,
        ] {
            let change = Change {
                time: 1 << 40,
                tid: 99,
                what,
            };
            assert_eq!(Change::from_record(&change.record()), Some(change));
        }
        assert_eq!(Change::from_record(&[0; RECORD_LEN]), None);
    }
}
