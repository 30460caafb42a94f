//! How far the output is, noted by the engine and read by the control thread at any time. What was delivered is
//! counted in the tallies; here are signs of life for those who wait.

use std::sync::atomic::{AtomicU64, Ordering};

use consumer_api::Answer;

/// Numbers that only grow.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// Bytes of packets, with their padding, and of metadata.
    delivered: AtomicU64,
    /// Bytes that a connection took, of packets that may not be complete.
    moved: AtomicU64,
    answered: AtomicU64,
}

impl Activity {
    /// So many bytes were delivered.
    pub(crate) fn delivered(&self, bytes: u64) {
        // Relaxed, as all here: numbers written by one thread, and nothing else is read because of them.
        self.delivered.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A connection has taken so many bytes.
    pub(crate) fn moved(&self, bytes: u64) {
        self.moved.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The relay daemon has said something.
    pub(crate) fn answered(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    /// Bytes that were delivered.
    pub(crate) fn bytes(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Grows whenever the output takes something.
    pub(crate) fn taken(&self) -> u64 {
        let moved = self.moved.load(Ordering::Relaxed);
        self.bytes().wrapping_add(moved)
    }

    /// As the session daemon asks for it.
    pub(crate) fn answer(&self) -> Answer {
        Answer::Progress {
            taken: self.taken(),
            answered: self.answered.load(Ordering::Relaxed),
        }
    }
}
