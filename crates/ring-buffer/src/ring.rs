//! One stream's memory with names: positions, counters and ids, and the steps that readers, writers
//! and flushes have in common.
//!
//! Orders: every compare-exchange is `SeqCst` because the other side (liburcu) makes them full
//! barriers; each plain load and store says its partner.

use core::mem::offset_of;
use std::sync::Arc;

use zerocopy::{FromZeros, IntoBytes};

use crate::channel::StreamIdentity;
use crate::geometry::{BufferMode, Geometry};
use crate::ids::SubbufId;
use crate::layout::{
    BackendPages, CommitCold, CommitHot, PACKET_HEADER_BYTES, PacketHeader, StreamHead,
};
use crate::memory::Memory;
use crate::stream_memory::packet_begin;
use crate::sync::{AtomicI32, AtomicU64, Ordering, fence};

/// Bound of every compare-exchange loop: a writer that changes a word more often than this while we
/// try is not tracing, it is hostile.
pub(crate) const MAX_TRIES: u32 = 10_000;

/// What a stream's shared memory contains.
#[derive(Debug)]
pub(crate) struct Ring {
    /// Shared only where a test has both ends in one process without a kernel object.
    pub(crate) memory: Arc<Memory>,
    pub(crate) geometry: Geometry,
    pub(crate) identity: StreamIdentity,
}

/// Events that writers dropped, cumulative since the buffer was created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LossCounters {
    /// The buffer was full (discard mode).
    pub full: u64,
    /// The next sub-buffer was still being written: a writer is nested in it, or died in it.
    pub wrap: u64,
    /// The event is larger than a sub-buffer.
    pub big: u64,
}

impl LossCounters {
    /// All of them, as `events_discarded` of packets counts them.
    pub fn total(&self) -> u64 {
        self.full.wrapping_add(self.wrap).wrapping_add(self.big)
    }
}

/// A data buffer index below the number of data buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BufferIndex(u64);

impl BufferIndex {
    pub(crate) fn get(self) -> u64 {
        self.0
    }
}

macro_rules! head_words {
    ($($(#[$doc:meta])* $name:ident: $field:ident;)*) => {
        $($(#[$doc])*
        pub(crate) fn $name(&self) -> &AtomicU64 {
            self.memory.word(offset_of!(StreamHead, $field) as u64)
        })*
    };
}

impl Ring {
    head_words! {
        /// Write position: bytes since the creation.
        offset: offset;
        /// Read position.
        consumed: consumed;
        last_tsc: last_tsc;
        /// The reader's data buffer.
        read_side_id: buf_rsb;
        active_readers: active_readers;
        lost_full: records_lost_full;
        lost_wrap: records_lost_wrap;
        lost_big: records_lost_big;
        held_position: get_subbuf_consumed;
        held_flag: get_subbuf;
    }

    pub(crate) fn record_disabled(&self) -> &AtomicI32 {
        self.memory
            .word32(offset_of!(StreamHead, record_disabled) as u64)
    }

    fn slot_word(&self, part: u64, stride: usize, slot: u64, field: usize) -> &AtomicU64 {
        self.memory.word(part + stride as u64 * slot + field as u64)
    }

    /// Bytes committed in a slot, over all laps.
    pub(crate) fn cc(&self, slot: u64) -> &AtomicU64 {
        let part = self.geometry.at.commit_hot;
        self.slot_word(
            part,
            size_of::<CommitHot>(),
            slot,
            offset_of!(CommitHot, cc),
        )
    }

    /// Bytes committed without a hole before them.
    pub(crate) fn seq(&self, slot: u64) -> &AtomicU64 {
        let part = self.geometry.at.commit_hot;
        self.slot_word(
            part,
            size_of::<CommitHot>(),
            slot,
            offset_of!(CommitHot, seq),
        )
    }

    /// Bytes committed that the reader may know of.
    pub(crate) fn cc_sb(&self, slot: u64) -> &AtomicU64 {
        self.slot_word(
            self.geometry.at.commit_cold,
            size_of::<CommitCold>(),
            slot,
            offset_of!(CommitCold, cc_sb),
        )
    }

    /// Clock at the last reservation of a slot.
    pub(crate) fn ts_end(&self, slot: u64) -> &AtomicU64 {
        self.slot_word(self.geometry.at.ts_end, 8, slot, 0)
    }

    /// Id of the data buffer in a slot.
    pub(crate) fn write_side_id(&self, slot: u64) -> &AtomicU64 {
        self.slot_word(self.geometry.at.buf_wsb, 8, slot, 0)
    }

    /// Packets delivered from a slot.
    fn delivered(&self, slot: u64) -> &AtomicU64 {
        self.slot_word(self.geometry.at.buf_cnt, 8, slot, 0)
    }

    fn page_word(&self, buffer: BufferIndex, field: usize) -> &AtomicU64 {
        let part = self.geometry.at.pages;
        self.slot_word(part, size_of::<BackendPages>(), buffer.0, field)
    }

    /// Valid bytes of a data buffer.
    pub(crate) fn data_size(&self, buffer: BufferIndex) -> &AtomicU64 {
        self.page_word(buffer, offset_of!(BackendPages, data_size))
    }

    pub(crate) fn records_unread(&self, buffer: BufferIndex) -> &AtomicU64 {
        self.page_word(buffer, offset_of!(BackendPages, records_unread))
    }

    /// The buffer an id names, if there is such a buffer.
    pub(crate) fn buffer(&self, id: SubbufId) -> Option<BufferIndex> {
        let index = id.index_untrusted();
        (index < self.geometry.data_buffers()).then_some(BufferIndex(index))
    }

    /// The buffer that writers fill at `position`.
    pub(crate) fn buffer_at(&self, position: u64) -> Option<BufferIndex> {
        // Relaxed: whoever holds the slot for `position` ordered itself behind the exchange that put
        // the buffer there by a compare-exchange on `offset`.
        let id = self
            .write_side_id(self.geometry.slot(position))
            .load(Ordering::Relaxed);
        self.buffer(SubbufId(id))
    }

    /// Where a data buffer begins in the shared memory.
    pub(crate) fn data_offset(&self, buffer: BufferIndex) -> u64 {
        self.geometry.at.memory_map + self.geometry.subbuf_size() * buffer.0
    }

    /// A copy of the first bytes of a data buffer.
    pub(crate) fn packet_header(&self, buffer: BufferIndex) -> PacketHeader {
        let mut header = PacketHeader::new_zeroed();
        self.memory
            .copy_out(self.data_offset(buffer), header.as_mut_bytes());
        header
    }

    pub(crate) fn loss_counters(&self) -> LossCounters {
        // Relaxed: statistics, each counter by itself.
        LossCounters {
            full: self.lost_full().load(Ordering::Relaxed),
            wrap: self.lost_wrap().load(Ordering::Relaxed),
            big: self.lost_big().load(Ordering::Relaxed),
        }
    }

    /// The slot of `position` is free for the lap of `position`: everything before was delivered.
    pub(crate) fn slot_is_ready(&self, position: u64) -> bool {
        let g = &self.geometry;
        // Relaxed as in liblttng-ust: the compare-exchange on `offset` that follows decides.
        let cc_sb = self.cc_sb(g.slot(position)).load(Ordering::Relaxed);
        g.commits_at_begin(position) == cc_sb & g.commit_mask()
    }

    /// The sub-buffer of `position` was completely written, given its `cc_sb`.
    pub(crate) fn is_delivered(&self, position: u64, cc_sb: u64) -> bool {
        let g = &self.geometry;
        cc_sb.wrapping_sub(g.subbuf_size()) & g.commit_mask() == g.commits_at_begin(position)
    }

    /// No space for a packet that begins at `position` (discard mode).
    pub(crate) fn is_full(&self, position: u64) -> bool {
        let g = &self.geometry;
        // Acquire pairs with the reader's compare-exchange in `advance_consumed`: its reads of the old
        // packet come before our writes of the new one.
        let consumed = self.consumed().load(Ordering::Acquire);
        g.trunc(position).wrapping_sub(g.trunc(consumed)) >= g.buffer_size()
    }

    /// Overwrite mode: makes the reader lose what a packet at `position` is going to overwrite.
    pub(crate) fn push_reader(&self, position: u64) {
        let g = &self.geometry;
        if g.mode() == BufferMode::Discard {
            return;
        }
        // One jump to where single steps would end, whatever distance the memory shows.
        let target = g
            .trunc(position)
            .wrapping_sub(g.buffer_size())
            .wrapping_add(g.subbuf_size());
        for _ in 0..MAX_TRIES {
            let consumed = self.consumed().load(Ordering::Relaxed);
            let ahead = g.trunc(position).wrapping_sub(g.trunc(consumed));
            if (ahead as i64) < g.buffer_size() as i64 {
                return;
            }
            let pushed = self.consumed().compare_exchange(
                consumed,
                target,
                Ordering::SeqCst,
                Ordering::Relaxed,
            );
            if pushed.is_ok() {
                return;
            }
        }
    }

    /// Overwrite mode: keeps the reader off the slot of `position` while it is written.
    pub(crate) fn clear_noref(&self, position: u64) {
        if self.geometry.mode() == BufferMode::Discard {
            return;
        }
        let word = self.write_side_id(self.geometry.slot(position));
        for _ in 0..MAX_TRIES {
            let id = SubbufId(word.load(Ordering::Relaxed));
            if !id.is_noref() {
                return;
            }
            let cleared = word.compare_exchange(
                id.0,
                id.with_noref(false).0,
                Ordering::SeqCst,
                Ordering::Relaxed,
            );
            if cleared.is_ok() {
                return;
            }
        }
    }

    /// Writes the header of the packet that begins at `begin` and commits it.
    pub(crate) fn begin_packet(&self, begin: u64, now_ns: u64) {
        let slot = self.geometry.slot(begin);
        let count = self.delivered(slot).load(Ordering::Relaxed);
        let seq_num = count
            .wrapping_mul(self.geometry.subbuf_count())
            .wrapping_add(slot);
        if let Some(buffer) = self.buffer_at(begin) {
            let header = packet_begin(self.identity, now_ns, seq_num);
            self.memory
                .copy_in(self.data_offset(buffer), header.as_bytes());
        }
        self.commit(
            begin,
            PACKET_HEADER_BYTES,
            begin.wrapping_add(PACKET_HEADER_BYTES),
            None,
        );
    }

    /// Fills the rest of the packet that ends before `end` with padding and commits that.
    ///
    /// `end` is where the content ends, `discarded` what the packet reports as lost so far.
    pub(crate) fn end_packet(&self, end: u64, now_ns: u64, discarded: u64) {
        let g = &self.geometry;
        let last = end.wrapping_sub(1);
        let size = g.within(last) + 1;
        self.set_end(last, size, now_ns);
        let padding = g.subbuf_size() - size;
        self.commit(last, padding, end.wrapping_add(padding), Some(discarded));
    }

    /// Notes how the packet that contains `position` ends.
    pub(crate) fn set_end(&self, position: u64, size: u64, now_ns: u64) {
        if let Some(buffer) = self.buffer_at(position) {
            self.data_size(buffer).store(size, Ordering::Relaxed);
        }
        // Relaxed: the commit that follows releases both to whoever delivers.
        self.ts_end(self.geometry.slot(position))
            .store(now_ns, Ordering::Relaxed);
    }

    /// Adds `bytes` to the commit counter of the slot of `position`, delivers the packet if these were
    /// the last, and moves the crash-dump watermark to `end` if nothing before it is missing.
    pub(crate) fn commit(
        &self,
        position: u64,
        bytes: u64,
        end: u64,
        discarded: Option<u64>,
    ) -> bool {
        let slot = self.geometry.slot(position);
        // AcqRel: releases what we wrote to the one who delivers, acquires what the others wrote in
        // case that is us.
        let cc = self
            .cc(slot)
            .fetch_add(bytes, Ordering::AcqRel)
            .wrapping_add(bytes);
        let delivered = self.check_deliver(position, cc, discarded);
        if self.geometry.within(end.wrapping_sub(cc)) == 0 {
            self.raise_seq(slot, cc);
        }
        delivered
    }

    fn raise_seq(&self, slot: u64, cc: u64) {
        let word = self.seq(slot);
        for _ in 0..MAX_TRIES {
            let seq = word.load(Ordering::Relaxed);
            if seq.wrapping_sub(cc) as i64 >= 0
                || word
                    .compare_exchange(seq, cc, Ordering::SeqCst, Ordering::Relaxed)
                    .is_ok()
            {
                return;
            }
        }
    }

    /// Delivers the packet of `position` if `cc` says that it is complete.
    fn check_deliver(&self, position: u64, cc: u64, discarded: Option<u64>) -> bool {
        let g = &self.geometry;
        if !self.is_delivered(position, cc) {
            return false;
        }
        let slot = g.slot(position);
        let before = cc.wrapping_sub(g.subbuf_size());
        // Whoever makes this step delivers; the others leave. A full barrier on both sides.
        let exclusive = self.cc_sb(slot).compare_exchange(
            before,
            before.wrapping_add(1),
            Ordering::SeqCst,
            Ordering::Relaxed,
        );
        if exclusive.is_err() {
            return false;
        }
        self.close_header(position, discarded);
        // Relaxed: only the exclusive deliverer writes it, and `cc_sb` below publishes it.
        self.delivered(slot).fetch_add(1, Ordering::Relaxed);
        if g.mode() == BufferMode::Overwrite {
            let word = self.write_side_id(slot);
            let id = SubbufId(word.load(Ordering::Relaxed));
            let free = SubbufId::tagged(id.index_untrusted(), g.lap(position), true);
            // The packet is complete before the reader may take it (its exchange is `SeqCst`).
            fence(Ordering::SeqCst);
            word.store(free.0, Ordering::Relaxed);
        }
        fence(Ordering::SeqCst);
        // Release pairs with the Acquire load of `cc_sb` in `Reader::try_get`.
        self.cc_sb(slot).store(cc, Ordering::Release);
        fence(Ordering::Release);
        self.seq(slot).store(cc, Ordering::Relaxed);
        true
    }

    /// Fills in what a packet header says about the end.
    fn close_header(&self, position: u64, discarded: Option<u64>) {
        let Some(buffer) = self.buffer_at(position) else {
            return;
        };
        let slot = self.geometry.slot(position);
        let size = self
            .data_size(buffer)
            .load(Ordering::Relaxed)
            .min(self.geometry.subbuf_size());
        let discarded = discarded.unwrap_or_else(|| self.loss_counters().total());
        let at = self.data_offset(buffer);
        let fields = [
            (
                offset_of!(PacketHeader, timestamp_end),
                self.ts_end(slot).load(Ordering::Relaxed),
            ),
            (offset_of!(PacketHeader, content_size), size * 8),
            (
                offset_of!(PacketHeader, packet_size),
                self.geometry.padded(size) * 8,
            ),
            (offset_of!(PacketHeader, events_discarded), discarded),
        ];
        for (field, value) in fields {
            self.memory.copy_in(at + field as u64, &value.to_ne_bytes());
        }
    }
}
