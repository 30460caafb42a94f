//! What was delivered of one stream, where it survives this process.

use std::sync::Arc;

use consumer_api::Predecessor;
use ring_buffer::{Delivered, Tally};

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

    /// Counts the packet that a predecessor delivered last, of which nothing but its number is left.
    pub(crate) fn skip_to(&mut self, last: Predecessor) {
        let before = self.delivered;
        let next_packet = last.last_packet.map_or(0, |last| last + 1);
        let discarded_seen = before.discarded_seen.max(last.discarded_events);
        let more = next_packet.saturating_sub(before.next_packet);
        self.count(Delivered {
            packets: before.packets + more,
            discarded_events: before.discarded_events + discarded_seen - before.discarded_seen,
            next_packet: before.next_packet + more,
            discarded_seen,
            ..before
        });
    }

    /// The packet of this number goes out now: whoever finds that we died does not know whether it arrived.
    pub(crate) fn sending(&self, number: u64) {
        self.tally.begin(self.slot, number);
    }

    /// A packet has arrived.
    pub(crate) fn count(&mut self, delivered: Delivered) {
        self.tally.record(self.slot, &delivered);
        self.delivered = delivered;
    }
}
