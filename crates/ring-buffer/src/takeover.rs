//! After a death: of the reader before this one, or of writers in the middle of an event.

use crate::ids::SubbufId;
use crate::layout::PACKET_HEADER_BYTES;
use crate::read_error::{AttachError, PacketFault, ReadError};
use crate::reader::{Positions, Reader, Taken};
use crate::sync::Ordering;

impl Reader {
    /// Overwrite mode: makes `own` the one data buffer that is in no slot. A predecessor that died
    /// between the swap and the note of it left the index that it had put into the slot.
    pub(crate) fn repair_own_buffer(&mut self) -> Result<(), AttachError> {
        let g = &self.ring.geometry;
        let mut seen = vec![false; g.data_buffers() as usize];
        for slot in 0..g.subbuf_count() {
            let id = SubbufId(self.ring.write_side_id(slot).load(Ordering::Acquire));
            let buffer = self.ring.buffer(id).ok_or(AttachError::Ids)?;
            if std::mem::replace(&mut seen[buffer.get() as usize], true) {
                return Err(AttachError::Ids);
            }
        }
        // n different indices below n + 1: exactly one is missing.
        let missing = seen.iter().position(|seen| !seen).ok_or(AttachError::Ids)? as u64;
        if self.own.index_untrusted() != missing {
            let index_bits = u64::from(u32::MAX);
            self.set_own(SubbufId(self.own.0 & !index_bits | missing));
        }
        Ok(())
    }

    /// The position of the packet in `own`, if a predecessor had taken it out and not released it.
    ///
    /// Neither the noref flag nor the held flag can tell: there are moments to die at which they are
    /// behind the truth.
    pub(crate) fn find_inherited(&mut self) -> Option<u64> {
        let g = self.ring.geometry;
        let buffer = self.ring.buffer(self.own)?;
        let header = self.ring.packet_header(buffer);
        let number = header.packet_seq_num.get();
        let position = number.checked_mul(g.subbuf_size())?;
        let Positions { consumed, offset } = self.positions();
        let held = self.check(position, &header).is_ok()
            && position >= g.trunc(consumed)
            && position < offset
            && self.own.has_lap(number / g.subbuf_count());
        if held {
            self.set_own(self.own.with_noref(false));
            Some(position)
        } else {
            // A spare.
            self.set_own(self.own.with_noref(true));
            None
        }
    }

    /// The packet at the read position, cut where the first writer left a gap.
    pub(crate) fn salvage(&mut self) -> Result<Taken, ReadError> {
        let g = self.ring.geometry;
        let Some(position) = self.next_position()? else {
            return Ok(Taken::Empty);
        };
        let Positions { consumed, offset } = self.positions();
        if g.trunc(offset).wrapping_sub(position) > g.buffer_size() {
            // No writer is between two steps any more, so this is not one of them.
            return Err(ReadError::BadPositions { consumed, offset });
        }
        let slot = g.slot(position);
        let id = SubbufId(self.ring.write_side_id(slot).load(Ordering::Acquire));
        let Some(buffer) = self.ring.buffer(id) else {
            return Err(self.skip(position, PacketFault::Buffer(id.index_untrusted())));
        };
        let seq = self.ring.seq(slot).load(Ordering::Acquire);
        let prefix = seq.wrapping_sub(g.commits_at_begin(position)) & g.commit_mask();
        let mut header = self.ring.packet_header(buffer);
        let usable = (PACKET_HEADER_BYTES..=g.subbuf_size()).contains(&prefix);
        let content_len = if usable { prefix } else { 0 };
        header.content_size = (content_len * 8).into();
        header.packet_size = (g.padded(content_len) * 8).into();
        let last = self.ring.ts_end(slot).load(Ordering::Relaxed);
        header.timestamp_end = last.max(header.timestamp_begin.get()).into();
        header.events_discarded = self.ring.loss_counters().total().into();
        match self.check(position, &header) {
            Err(fault) => Err(self.skip(position, fault)),
            Ok(()) => Ok(Taken::Packet(self.packet(position, buffer, header, false))),
        }
    }
}
