//! Closing the current packet from outside, while writers go on.

use core::mem::offset_of;

use zerocopy::IntoBytes;
use zerocopy::native_endian::U64;

use crate::geometry::BufferMode;
use crate::layout::{PACKET_HEADER_BYTES, PacketHeader};
use crate::reader::Reader;
use crate::ring::{MAX_TRIES, Ring};
use crate::sync::Ordering;

/// When a flush makes a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushMode {
    /// Only if one has begun: for timers.
    Active,
    /// Always, an empty one if need be, to mark the time: for stop, rotation, snapshot.
    Full,
}

/// What a flush did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// A packet was closed. It may become readable later, when a writer finishes its event in it.
    Closed,
    /// There was nothing to close.
    Nothing,
    /// No packet had begun, and there is no space for an empty one.
    NoSpace,
    /// The writers were always faster: try again later.
    Contended,
}

/// The decision about one value of the write position.
enum Plan {
    Stop(Flushed),
    Close { begin_first: bool },
}

impl Reader {
    /// Lets the first packet begin at this time, unless it has an event already. For a buffer that no writer has:
    /// the event of one that comes now could be older.
    pub fn begin_at(&mut self, now_ns: u64) {
        let ring = &self.ring;
        if ring.offset().load(Ordering::Acquire) == PACKET_HEADER_BYTES
            && let Some(buffer) = ring.buffer_at(0)
        {
            let at = ring.data_offset(buffer) + offset_of!(PacketHeader, timestamp_begin) as u64;
            ring.memory.copy_in(at, U64::from(now_ns).as_bytes());
        }
    }

    /// Closes the current packet.
    ///
    /// `clock` must be the one of the writers, [`crate::monotonic_now`] unless they have a clock
    /// plugin. It is asked between looking at the write position and moving it, so that no event in the
    /// packet is later than its end.
    pub fn flush(&mut self, mode: FlushMode, clock: impl Fn() -> u64) -> Flushed {
        self.ring.flush(mode, clock)
    }
}

impl Ring {
    fn flush(&self, mode: FlushMode, clock: impl Fn() -> u64) -> Flushed {
        for _ in 0..MAX_TRIES {
            let old = self.offset().load(Ordering::Acquire);
            let now_ns = clock();
            let begin_first = match self.plan(old, mode) {
                Plan::Stop(outcome) => return outcome,
                Plan::Close { begin_first } => begin_first,
            };
            let discarded = self.loss_counters().total();
            let end = self.geometry.next(old);
            // SeqCst: writers reserve with the same operation; whoever comes second tries again.
            let moved =
                self.offset()
                    .compare_exchange(old, end, Ordering::SeqCst, Ordering::Relaxed);
            if moved.is_ok() {
                self.close_reserved(old, begin_first, now_ns, discarded);
                return Flushed::Closed;
            }
        }
        Flushed::Contended
    }

    fn plan(&self, old: u64, mode: FlushMode) -> Plan {
        let begin_first = self.geometry.within(old) == 0;
        if begin_first {
            if mode == FlushMode::Active {
                return Plan::Stop(Flushed::Nothing);
            }
            let full = self.geometry.mode() == BufferMode::Discard && self.is_full(old);
            if full || !self.slot_is_ready(old) {
                return Plan::Stop(Flushed::NoSpace);
            }
        }
        Plan::Close { begin_first }
    }

    /// From `old` to the end of its sub-buffer belongs to us: makes padding of it.
    fn close_reserved(&self, old: u64, begin_first: bool, now_ns: u64, discarded: u64) {
        self.last_tsc().store(now_ns, Ordering::Relaxed);
        self.push_reader(old);
        self.clear_noref(old);
        let mut end = old;
        if begin_first {
            self.begin_packet(old, now_ns);
            end = old.wrapping_add(PACKET_HEADER_BYTES);
        }
        self.end_packet(end, now_ns, discarded);
    }
}
