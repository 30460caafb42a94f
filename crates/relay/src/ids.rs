//! The numbers that name things in the relay protocol, each with a type of its own.

use std::fmt;

/// Names a stream in the whole relay daemon. Given by the reply to `ADD_STREAM`, from 1, never
/// reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamHandle(pub u64);

/// Names a relay session, that is one control connection that created a session. Given by the reply
/// to `CREATE_SESSION`, from 1, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelaySessionId(pub u64);

/// Names a trace chunk within one recording session: 0, 1, 2 …, chosen by the session daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChunkId(pub u64);

/// A recording session as its session daemon knows it. Several relay sessions (one per consumer
/// daemon of the session) carry the same key, and share trace chunks because of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey {
    /// Random number of the session daemon process; the nil one is refused.
    pub sessiond_uuid: [u8; 16],
    /// The session daemon's own number of the session, from 0.
    pub sessiond_session_id: u64,
}

impl fmt::Display for StreamHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for RelaySessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The sequence number that stands for "no packet was ever sent" in `CLOSE_STREAM` and `DATA_PENDING`.
pub const NO_PACKET: u64 = u64::MAX;
