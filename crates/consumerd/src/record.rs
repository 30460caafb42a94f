//! What was delivered of one stream, where it survives this process.

use std::sync::Arc;

use ring_buffer::{Delivered, Tally, UnderWay};

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

    /// A predecessor has delivered this packet, to this place or another one, and may have died before it counted it.
    pub(crate) fn arrived(&mut self, number: u64) {
        if self.delivered.last_packet() >= Some(number) {
            return;
        }
        let under_way = self.tally.under_way(self.slot);
        let packet = under_way.filter(|packet| packet.number == number);
        let counted = packet.map_or(self.delivered, |packet| self.delivered.and(&packet));
        self.replace(Delivered {
            next_packet: number.wrapping_add(1),
            packets_here: self.delivered.packets_here,
            ..counted
        });
    }

    /// The packet goes out now: whoever finds that we died does not know whether it arrived.
    pub(crate) fn sending(&self, packet: &UnderWay) {
        self.tally.begin(self.slot, packet);
    }

    /// The packet has arrived.
    pub(crate) fn count(&mut self, packet: &UnderWay) {
        self.replace(self.delivered.and(packet));
    }

    fn replace(&mut self, delivered: Delivered) {
        self.tally.record(self.slot, &delivered);
        self.delivered = delivered;
    }
}
