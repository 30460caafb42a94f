//! One stream that is being drained.

use std::sync::Arc;

use consumer_api::{Counters, Predecessor, StreamKey, StreamSetup, TraceKey};
use ring_buffer::FlushMode;

use crate::counters::{ChannelTotals, Totals};
use crate::output::{Output, OutputError, Stored};
use crate::packet::Packet;
use crate::poller::Token;
use crate::source::{Progress, Source, TakeError, Writers};
use crate::trace::Trace;

/// A stream and all that belongs to it here.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) key: StreamKey,
    pub(crate) trace: TraceKey,
    /// CTF stream class.
    pub(crate) channel_id: u32,
    /// `CHANNEL_CPU`, for messages.
    name: String,
    pub(crate) source: Box<dyn Source>,
    /// Registration of the source's wakeup, until the writers hang up.
    pub(crate) token: Option<Token>,
    /// In the queue of streams that may have packets.
    pub(crate) queued: bool,
    /// No writer is left, or what they wrote makes no sense.
    pub(crate) ended: bool,
    broken: bool,
    totals: Arc<ChannelTotals>,
    /// Number of the last packet that is where it belongs.
    last_number: Option<u64>,
    /// Discarded events that were counted.
    discarded: u64,
    /// The current chunk has packets of it.
    in_chunk: bool,
}

impl Stream {
    /// A stream whose packets `source` yields.
    pub(crate) fn new(
        setup: &StreamSetup,
        source: Box<dyn Source>,
        totals: Arc<ChannelTotals>,
    ) -> Self {
        Self {
            key: setup.stream,
            trace: setup.trace,
            channel_id: setup.channel_id,
            name: format!("{}_{}", setup.channel_name, setup.cpu),
            source,
            token: None,
            queued: false,
            ended: false,
            broken: false,
            totals,
            last_number: setup.resume.and_then(|predecessor| predecessor.last_packet),
            discarded: setup.resume.unwrap_or_default().discarded_events,
            in_chunk: false,
        }
    }

    /// Goes on after what the output has of this stream. If the predecessor died before it could tell, the
    /// discarded events that it counted are counted again from where the last count was told.
    pub(crate) fn go_on(&mut self, stored: Option<Stored>) {
        let mut last = self.last();
        if let Some(stored) = stored {
            self.last_number = self.last_number.max(Some(stored.packet_seq_num));
            last.last_packet = self.last_number;
            last.discarded_events = last.discarded_events.max(stored.events_discarded);
        }
        self.source.resume_after(last);
    }

    /// Where a successor goes on.
    pub(crate) fn last(&self) -> Predecessor {
        Predecessor {
            last_packet: self.last_number,
            discarded_events: self.discarded,
        }
    }

    /// Closes the current packet; see [`FlushMode`].
    pub(crate) fn flush(&mut self, mode: FlushMode) {
        if !self.broken {
            self.source.flush(mode);
        }
    }

    /// In a new chunk.
    pub(crate) fn enter_chunk(&mut self) {
        self.in_chunk = false;
    }

    /// The current chunk has packets of it.
    pub(crate) fn has_begun(&self) -> bool {
        self.in_chunk
    }

    /// Closes the current packet; `Some`: there was none, and nothing is to be read: nothing older than
    /// this time is to come.
    pub(crate) fn flush_or_idle(&mut self) -> Option<u64> {
        if self.broken {
            return None;
        }
        self.source.flush_or_idle()
    }

    /// Copies the newest packets to the output, at most `most` of them if that is not 0, and leaves them
    /// where they are.
    pub(crate) fn copy_packets(
        &mut self,
        most: u64,
        trace: &mut Trace,
        output: &mut dyn Output,
    ) -> Result<(), OutputError> {
        let key = self.key;
        self.source.peek(most, &mut |packet| {
            trace.count(&count(packet, None, 0));
            output.packet(key, packet)
        })
    }

    /// Most packets that one call after another can bring before writers add more.
    pub(crate) fn pending(&self) -> u64 {
        self.source.pending()
    }

    /// Brings one packet to the output, after the metadata that it may need: the text was there before
    /// the packet was closed.
    pub(crate) fn deliver(
        &mut self,
        writers: Writers,
        trace: &mut Trace,
        output: &mut dyn Output,
        totals: &Totals,
    ) -> Result<Progress, OutputError> {
        if self.broken {
            return Ok(Progress::Nothing);
        }
        let (key, last_number, discarded) = (self.key, self.last_number, self.discarded);
        let mut delivered = None;
        let taken = self.source.take(writers, &mut |packet| {
            let number = packet.header().packet_seq_num.get();
            if last_number.is_some_and(|last| number <= last) {
                // The predecessor delivered it, and died before it could say so.
                return Ok(());
            }
            trace.deliver_metadata(output, totals)?;
            output.packet(key, packet)?;
            let counters = Counters {
                events: trace.events_in(packet),
                ..count(packet, last_number, discarded)
            };
            trace.count(&counters);
            delivered = Some((number, packet.header().events_discarded.get(), counters));
            Ok(())
        });
        if let Some((number, now_discarded, counters)) = delivered {
            // The tracer's count may step back when a writer was preempted while it closed a packet.
            self.discarded = discarded.max(now_discarded);
            self.last_number = Some(number);
            self.in_chunk = true;
            self.totals.add(&counters);
        }
        match taken {
            Ok(progress) => Ok(progress),
            Err(TakeError::Output(error)) => Err(error),
            Err(TakeError::BadPacket(error)) => {
                tracing::warn!("stream {}: {error:#}; it is lost", self.name);
                Ok(Progress::Delivered)
            }
            Err(TakeError::Broken(error)) => {
                tracing::error!("stream {}: {error:#}; it ends here", self.name);
                self.broken = true;
                self.ended = true;
                Ok(Progress::Nothing)
            }
        }
    }
}

fn count(packet: &dyn Packet, last_number: Option<u64>, discarded: u64) -> Counters {
    let number = packet.header().packet_seq_num.get();
    let now_discarded = packet.header().events_discarded.get();
    Counters {
        events: 0,
        packets: 1,
        bytes: packet.padded_len(),
        discarded_events: now_discarded.saturating_sub(discarded),
        lost_packets: match last_number {
            Some(last) => number.saturating_sub(last.saturating_add(1)),
            None => packet.lost_before(),
        },
    }
}
