//! The history of all tasks: which thread was of which process, whose child that was, and what the thread was
//! called, at any time of which there may still be events.
//!
//! ```text
//! instance of tracefs with task_newtask, task_rename,    ---TaskEvents--->  Change --+
//! sched_process_exec, sched_process_exit                                             +--> Tasks --> contexts
//! /proc, when recording begins                           ---reading------>  Change --+
//! ```
//!
//! An event says which thread ran, not what that was. What it was is found by the time stamps: these events
//! are of the same clock. Whoever reads buffers asks for the history *after* a page, and up to the time of the
//! asking ([`Tasks::apply`]): the kernel has recorded the fork of a task before the task runs anywhere, so the
//! fork was there to be read, on whichever CPU it happened. Changes of later times wait for the next time, for
//! another buffer may have what came before them.
//!
//! No I/O here but in [`proc`]. `docs/kernel.md` says what is exact and what is not.

mod change;
mod events;
pub mod proc;
mod table;

pub use change::{Change, RECORD_LEN, What};
pub use events::{TaskEvents, TaskEventsError};
pub use table::{Orphan, Tasks, Version};

use crate::context::NAME_LEN;

/// Name of a thread: up to the first zero byte.
pub type Name = [u8; NAME_LEN];

/// Kinds of entries in the journal of a history: a page of the kernel, its tag is the CPU; and changes.
pub const JOURNAL_PAGE: u8 = 1;
/// See [`JOURNAL_PAGE`].
pub const JOURNAL_CHANGES: u8 = 2;

/// What is said of a process that is not known.
pub const UNKNOWN_ID: i32 = -1;
/// What a thread is called whose name is not known; other tools say the same.
pub const UNKNOWN_NAME: Name = *b"<...>\0\0\0\0\0\0\0\0\0\0\0";

/// Changes one after the other, as [`Change::record`] writes them.
pub fn records(changes: &[Change]) -> Vec<u8> {
    changes.iter().flat_map(Change::record).collect()
}

/// What [`records`] wrote.
pub fn changes(records: &[u8]) -> impl Iterator<Item = Change> + '_ {
    let (records, _) = records.as_chunks::<RECORD_LEN>();
    records.iter().filter_map(Change::from_record)
}

/// `text` as a name: cut to what the kernel has room for.
pub fn name(text: &[u8]) -> Name {
    let mut name = [0; NAME_LEN];
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    let len = text.len().min(NAME_LEN - 1);
    name[..len].copy_from_slice(&text[..len]);
    name
}
