//! What was delivered of one stream, where it survives this process.

use std::sync::Arc;

use ring_buffer::{Delivered, PacketHeader, Tally, UnderWay};

/// The stream's slot in the tally of its trace.
#[derive(Debug)]
pub(crate) struct Record {
    tally: Arc<Tally>,
    slot: usize,
    delivered: Delivered,
}

impl Record {
    /// Goes on with what a predecessor counted, in a place that has nothing of the stream yet.
    pub(crate) fn begin(tally: Arc<Tally>, slot: usize) -> Self {
        let delivered = Delivered {
            packets_here: 0,
            ..tally.read(slot)
        };
        tally.record(slot, &delivered);
        Self {
            tally,
            slot,
            delivered,
        }
    }

    /// All that was counted.
    pub(crate) fn delivered(&self) -> Delivered {
        self.delivered
    }

    /// The packet goes out now, after so many bytes: whoever finds that we died does not know whether it arrived.
    pub(crate) fn sending(&self, header: &PacketHeader, written_before: u64) {
        self.tally
            .begin(self.slot, &UnderWay::of(header, written_before));
    }

    /// A packet has arrived.
    pub(crate) fn count(&mut self, delivered: Delivered) {
        self.tally.record(self.slot, &delivered);
        self.delivered = delivered;
    }
}
