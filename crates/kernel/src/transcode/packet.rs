//! A finished packet.

use super::State;

/// A packet, complete with its header. It has no padding: its content is all of it.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Header and events.
    pub bytes: &'a [u8],
    /// Clock at its begin.
    pub begin: u64,
    /// Clock at its end.
    pub end: u64,
    /// Number of the packet in its stream.
    pub seq: u64,
    /// Events in it.
    pub events: u64,
    /// Events of the stream that were discarded up to its end.
    pub events_discarded: u64,
    /// What the packets after it depend on.
    pub after: State,
}
