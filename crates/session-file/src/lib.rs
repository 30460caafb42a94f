//! Saved recording sessions: the files that `lttng save` writes and `lttng load` reads.
//!
//! The format is that of LTTng 2.13 (`session.xsd`, version 2.12): either toolchain reads the files of the other.
//! What it has no place for, the network attributes and what happens when the relay daemon is lost, is in
//! processing instructions, which other readers pass over.
//!
//! [`write`] and [`read`] turn sessions, as the session daemon tells of them, into text and back; [`steps`] are the
//! requests that make one again, which [`client`] sends; [`files`] knows where the files are.

#![forbid(unsafe_code)]

pub mod client;
pub mod files;
mod read;
mod steps;
mod words;
mod write;
mod xml;

use control::v1::{GetSessionResponse, SnapshotOutput};

pub use read::read;
pub use steps::{Step, steps};
pub use write::write;

/// A session that can be made again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SavedSession {
    /// The session with its channels, rules, contexts and trackers. Counters and state of the output are not saved.
    pub details: GetSessionResponse,
    /// Of a snapshot session.
    pub snapshot_outputs: Vec<SnapshotOutput>,
}

impl SavedSession {
    /// Its name; empty if the file had none.
    pub fn name(&self) -> &str {
        let session = self.details.session.as_ref();
        session.map_or("", |session| session.name.as_str())
    }
}

/// A text is no session file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct ReadError {
    /// Where, from 1.
    pub line: usize,
    what: String,
}

impl ReadError {
    fn new(line: usize, what: impl ToString) -> Self {
        Self {
            line,
            what: what.to_string(),
        }
    }
}
