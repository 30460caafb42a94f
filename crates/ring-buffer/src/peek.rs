//! Looking at packets without reading them: for snapshots.

use crate::lease::PacketLease;
use crate::reader::{Attempt, Reader};

impl Reader {
    /// Positions of the closed packets that are in the buffer, oldest first.
    pub fn closed_positions(
        &self,
    ) -> impl DoubleEndedIterator<Item = u64> + ExactSizeIterator + use<> {
        let g = &self.ring.geometry;
        let (count, size) = (self.pending() as usize, g.subbuf_size());
        let end = g.trunc(self.positions().offset);
        (0..count).map(move |at| end.wrapping_sub((count - at) as u64 * size))
    }

    /// The closed packet at `position`, to be looked at: when the lease is dropped, everything is as
    /// before. `None` if it is incomplete, overwritten or makes no sense.
    pub fn peek_packet(&mut self, position: u64) -> Option<PacketLease<'_>> {
        if let Some(inherited) = self.inherited.take() {
            self.put_back(inherited);
        }
        let Attempt::Got(buffer) = self.try_get(position) else {
            return None;
        };
        let header = self.ring.packet_header(buffer);
        if self.check(position, &header).is_err() {
            self.put_back(position);
            return None;
        }
        let packet = self.packet(position, buffer, header, true);
        Some(PacketLease {
            reader: self,
            packet,
            released: false,
        })
    }
}
