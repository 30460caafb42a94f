//! Packets that a consumer daemon may have delivered before it was killed.

use tracing::{debug, warn};

use super::Delivery;
use crate::session::consumer::Consumer;
use crate::session::ledger::Tallied;
use crate::session::output::{PlaceKind, RelayPlace};
use crate::session::settle::{self, Doubt, Sent, Settled};

/// What is to be asked of a relay daemon before somebody goes on.
#[derive(Debug)]
pub(super) struct Unsettled {
    relay: RelayPlace,
    doubts: Vec<Doubt>,
    /// On their way at least.
    counted: Vec<Sent>,
}

impl Delivery {
    /// Notes which packets of a trace that has ended were the last to be sent: nothing else of the trace is kept.
    pub(super) fn note_end(&mut self, trace: &Tallied) {
        let Some(consumer) = &self.consumer else {
            return;
        };
        let counted = trace.counted(&consumer.relay_streams());
        consumer.forget_relay_streams(trace.streams());
        if !counted.is_empty() {
            self.last_ended = counted;
        }
    }

    /// Notes what a consumer daemon that was killed leaves open.
    pub(super) fn note_doubts(&mut self, consumer: &Consumer) {
        let Some(PlaceKind::Relay(relay)) = self.place.as_ref().map(|place| &place.kind) else {
            return;
        };
        let handles = consumer.relay_streams();
        let live = self.ledger.live();
        let doubts = live.iter().flat_map(|trace| trace.doubts(&handles));
        // A stock relay daemon hangs up when it is asked for a stream that it has forgotten: those come last. What
        // other traces that have ended sent came before them.
        let counted = live.iter().flat_map(|trace| trace.counted(&handles));
        let counted = counted.chain(std::mem::take(&mut self.last_ended));
        self.unsettled = Some(Unsettled {
            doubts: doubts.collect(),
            counted: counted.collect(),
            relay: relay.clone(),
        });
    }

    /// Nobody goes on.
    pub(super) fn forget_doubts(&mut self) {
        if let Some(unsettled) = self.unsettled.take() {
            settle::hang_up(&unsettled.relay.sockets);
        }
    }

    /// Asks what was left open, so that no packet is sent twice.
    pub(super) async fn settle(&mut self) {
        let Some(unsettled) = self.unsettled.take() else {
            return;
        };
        let Unsettled {
            relay,
            doubts,
            counted,
        } = unsettled;
        let written = relay.written().map_err(|error| error.to_string());
        debug!("{doubts:?} are in doubt after {written:?} bytes");
        let settled = match (&relay.sockets[..], written) {
            ([control, _], Ok(written)) => {
                settle::settle(control, relay.minor(), &doubts, &counted, written).await
            }
            (_, Err(error)) => Settled::nothing(error),
            _ => Settled::nothing("there are no two sockets".into()),
        };
        for trace in self.ledger.live() {
            for (&stream, &packet) in &settled.stored {
                trace.settle(stream, packet);
            }
        }
        if let Some(problem) = settled.problem {
            warn!("cannot tell all that a killed consumer daemon has delivered: {problem}");
        }
        settle::hang_up(&relay.sockets);
    }
}
