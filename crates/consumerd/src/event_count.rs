//! How many events a packet holds, when the user wants to know: decodes it, as far as needed.

use ctf::decode::Decoder;

use crate::packet::Packet;

/// Counts the events of one trace.
#[derive(Debug, Default)]
pub(crate) struct EventCounter {
    decoder: Decoder,
    /// A copy of the packet, which writers cannot change while it is decoded.
    packet: Vec<u8>,
    /// Why nothing more can be counted.
    given_up: bool,
}

impl EventCounter {
    /// Takes metadata text that follows what came before.
    pub(crate) fn add_metadata(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        if let Err(error) = self.decoder.add_metadata(&text) {
            self.give_up(&error);
        }
    }

    /// The events of a packet; 0 if it makes no sense, which is for those to say who read the trace.
    pub(crate) fn count(&mut self, packet: &dyn Packet) -> u64 {
        if self.given_up {
            return 0;
        }
        self.packet.clear();
        packet.copy_to(&mut self.packet);
        self.packet.resize(packet.padded_len() as usize, 0);
        match self.decoder.count_events(&self.packet) {
            Ok(summary) => summary.events,
            Err(error) => {
                self.give_up(&error);
                0
            }
        }
    }

    fn give_up(&mut self, error: &dyn std::error::Error) {
        tracing::warn!("events are not counted any more: {error}");
        self.given_up = true;
    }
}
