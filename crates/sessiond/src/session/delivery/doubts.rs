//! Packets that a consumer daemon may have delivered before it was killed.

use tracing::warn;

use super::Delivery;
use crate::session::consumer::Consumer;
use crate::session::output::{PlaceKind, RelayPlace};
use crate::session::settle::{self, Doubt};

/// What is to be asked of a relay daemon before somebody goes on.
#[derive(Debug)]
pub(super) struct Unsettled {
    relay: RelayPlace,
    doubts: Vec<Doubt>,
}

impl Delivery {
    /// Notes what a consumer daemon that was killed leaves open.
    pub(super) fn note_doubts(&mut self, consumer: &Consumer) {
        let Some(PlaceKind::Relay(relay)) = self.place.as_ref().map(|place| &place.kind) else {
            return;
        };
        let handles = consumer.relay_streams();
        let next = self.live.values().flat_map(|trace| trace.next_packets());
        let doubts = next.filter(|next| !next.overwrite).filter_map(|next| {
            Some(Doubt {
                stream: next.stream,
                handle: *handles.get(&next.stream)?,
                net_seq_num: next
                    .number
                    .checked_sub(*self.first_packets.get(&next.stream)?)?,
                packet_seq_num: next.number,
            })
        });
        self.unsettled = Some(Unsettled {
            doubts: doubts.collect(),
            relay: relay.clone(),
        });
    }

    /// Asks what was left open, so that no packet is sent twice.
    pub(super) async fn settle(&mut self) {
        let Some(Unsettled { relay, doubts }) = self.unsettled.take() else {
            return;
        };
        match settle::settle(&relay.sockets, relay.minor(), &doubts).await {
            Ok(stored) => {
                for (stream, packet) in stored {
                    self.predecessors.entry(stream).or_default().last_packet = Some(packet);
                }
            }
            Err(error) => warn!("cannot tell what a killed consumer daemon has delivered: {error}"),
        }
        settle::hang_up(&relay.sockets);
    }

    /// Notes with which packet each stream begins in the present place.
    pub(super) fn note_first_packets(&mut self) {
        self.first_packets.clear();
        for next in self.live.values().flat_map(|trace| trace.next_packets()) {
            let known = self
                .predecessors
                .get(&next.stream)
                .and_then(|known| known.last_packet);
            let first = next.number.max(known.map_or(0, |last| last + 1));
            self.first_packets.insert(next.stream, first);
        }
    }
}
