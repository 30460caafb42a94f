//! The traced application's side, as liblttng-ust 2.13 does it.
//!
//! Applications bring their own; this one is for tests, benchmarks and tools, and to have both
//! halves of each ordering in one place.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use crate::channel::StreamIdentity;
use crate::geometry::{BufferMode, Geometry};
use crate::layout::PACKET_HEADER_BYTES;
use crate::memory::Memory;
use crate::read_error::AttachError;
use crate::reader::map;
use crate::ring::{MAX_TRIES, Ring};
use crate::sync::{Ordering, fence};

/// Why an event was not recorded. [`Writer::reserve`] counts all but `Disabled` and `Contended` in the
/// memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// The buffer is full (discard mode).
    #[error("buffer full")]
    Full,
    /// The next sub-buffer is still being written, since the last lap.
    #[error("next sub-buffer still being written")]
    Wrap,
    /// Larger than a sub-buffer.
    #[error("event larger than a sub-buffer")]
    Big,
    /// The owner has paused the buffer.
    #[error("buffer paused")]
    Disabled,
    /// The other writers were always faster.
    #[error("too many writers")]
    Contended,
}

/// A writer of one ring buffer; there may be many, in many processes.
#[derive(Debug)]
pub struct Writer {
    pub(crate) ring: Ring,
    wakeup: Option<OwnedFd>,
}

/// Space for one event, that must be written and committed. One that is dropped leaves a gap, as a
/// killed application does.
#[derive(Debug)]
#[must_use = "space that is not committed blocks the buffer"]
pub struct Reservation<'a> {
    writer: &'a Writer,
    begin: u64,
    len: u64,
    timestamp: u64,
    extended: bool,
}

/// What a reservation changes, for one value of the write position.
struct Plan {
    /// The current packet ends before the event.
    end_old: bool,
    /// The event begins a packet.
    begin_new: bool,
    /// Where the header of the new packet or the event begins.
    begin: u64,
    event: u64,
    end: u64,
}

impl Writer {
    /// Maps the buffer; `wakeup` is the write end of the reader's pipe (non-blocking).
    pub fn attach(
        fd: BorrowedFd<'_>,
        geometry: Geometry,
        identity: StreamIdentity,
        wakeup: Option<OwnedFd>,
    ) -> Result<Self, AttachError> {
        let memory = map(fd, &geometry)?;
        Ok(Self::over(memory, geometry, identity, wakeup))
    }

    pub(crate) fn over(
        memory: Arc<Memory>,
        geometry: Geometry,
        identity: StreamIdentity,
        wakeup: Option<OwnedFd>,
    ) -> Self {
        let ring = Ring {
            memory,
            geometry,
            identity,
        };
        Self { ring, wakeup }
    }

    /// Reserves `len` bytes (event header included) at the time `clock` tells.
    pub fn reserve(&self, len: u64, clock: impl Fn() -> u64) -> Result<Reservation<'_>, Lost> {
        let reserved = self.try_reserve(len, clock);
        let ring = &self.ring;
        let counter = match &reserved {
            Err(Lost::Full) => ring.lost_full(),
            Err(Lost::Wrap) => ring.lost_wrap(),
            Err(Lost::Big) => ring.lost_big(),
            Ok(_) | Err(Lost::Disabled | Lost::Contended) => return reserved,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        reserved
    }

    /// As [`Self::reserve`], but counts nothing as lost: for a writer that waits and tries again.
    pub fn try_reserve(&self, len: u64, clock: impl Fn() -> u64) -> Result<Reservation<'_>, Lost> {
        let ring = &self.ring;
        if ring.record_disabled().load(Ordering::Relaxed) != 0 {
            return Err(Lost::Disabled);
        }
        for _ in 0..MAX_TRIES {
            let old = ring.offset().load(Ordering::Acquire);
            let timestamp = clock();
            let plan = self.plan(old, len)?;
            let last_tsc = ring.last_tsc().load(Ordering::Relaxed);
            // SeqCst: pairs with the same operation of flushes and other writers.
            let moved =
                ring.offset()
                    .compare_exchange(old, plan.end, Ordering::SeqCst, Ordering::Relaxed);
            if moved.is_err() {
                continue;
            }
            ring.last_tsc().store(timestamp, Ordering::Relaxed);
            self.switch(old, &plan, timestamp);
            return Ok(Reservation {
                writer: self,
                begin: plan.event,
                len,
                timestamp,
                extended: timestamp.wrapping_sub(last_tsc) >> 27 != 0,
            });
        }
        Err(Lost::Contended)
    }

    fn plan(&self, old: u64, len: u64) -> Result<Plan, Lost> {
        let ring = &self.ring;
        let g = &ring.geometry;
        let within = g.within(old);
        let end_old = within != 0 && within.saturating_add(len) > g.subbuf_size();
        let begin_new = within == 0 || end_old;
        let begin = if end_old { g.next(old) } else { old };
        if begin_new {
            if !ring.slot_is_ready(begin) {
                return Err(Lost::Wrap);
            }
            if g.mode() == BufferMode::Discard && ring.is_full(begin) {
                return Err(Lost::Full);
            }
            if PACKET_HEADER_BYTES.saturating_add(len) > g.subbuf_size() {
                return Err(Lost::Big);
            }
        }
        let event = if begin_new {
            begin.wrapping_add(PACKET_HEADER_BYTES)
        } else {
            begin
        };
        Ok(Plan {
            end_old,
            begin_new,
            begin,
            event,
            end: event.wrapping_add(len),
        })
    }

    fn switch(&self, old: u64, plan: &Plan, timestamp: u64) {
        let ring = &self.ring;
        let last = plan.end.wrapping_sub(1);
        ring.push_reader(last);
        ring.clear_noref(last);
        if plan.end_old {
            ring.clear_noref(old.wrapping_sub(1));
            let discarded = ring.loss_counters().total();
            ring.end_packet(old, timestamp, discarded);
            self.wake();
        }
        if plan.begin_new {
            ring.begin_packet(plan.begin, timestamp);
        }
        if ring.geometry.within(plan.end) == 0 {
            // The event fills the packet: nobody else will end it.
            ring.set_end(last, ring.geometry.subbuf_size(), timestamp);
        }
    }

    /// Wakes the reader if it waits for what was delivered.
    fn wake(&self) {
        let Some(pipe) = &self.wakeup else { return };
        // Pairs with the reader's `SeqCst` operations: either it sees our packet, or we see it wait.
        fence(Ordering::SeqCst);
        let ring = &self.ring;
        if ring.active_readers().load(Ordering::Relaxed) == 0 {
            return;
        }
        let position = ring.geometry.trunc(ring.consumed().load(Ordering::Relaxed));
        let cc_sb = ring
            .cc_sb(ring.geometry.slot(position))
            .load(Ordering::Relaxed);
        let closed = ring.geometry.trunc(ring.offset().load(Ordering::Relaxed)) != position;
        if closed && ring.is_delivered(position, cc_sb) {
            // A full pipe wakes the reader as well.
            let _ = rustix::io::write(pipe.as_fd(), &[0]);
        }
    }
}

impl Reservation<'_> {
    /// The clock at the reservation.
    pub fn timestamp(&self) -> u64 {
        self.timestamp
    }

    /// The event header must carry the full timestamp: the last event is too long ago.
    pub fn needs_full_timestamp(&self) -> bool {
        self.extended
    }

    /// Writes the event, header included, cut to the reserved length, and commits it.
    pub fn commit(self, event: &[u8]) {
        let ring = &self.writer.ring;
        let len = (self.len as usize).min(event.len());
        if let Some(buffer) = ring.buffer_at(self.begin) {
            let at = ring.data_offset(buffer) + ring.geometry.within(self.begin);
            ring.memory.copy_in(at, &event[..len]);
        }
        if ring.commit(
            self.begin,
            self.len,
            self.begin.wrapping_add(self.len),
            None,
        ) {
            self.writer.wake();
        }
    }
}
