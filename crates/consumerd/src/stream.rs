//! One stream that is being drained.

use consumer_api::{Counters, StreamKey, StreamSetup, TraceKey};
use ring_buffer::{Delivered, FlushMode};

use crate::activity::Activity;
use crate::output::{Output, OutputError, Stored};
use crate::packet::Packet;
use crate::poller::Token;
use crate::record::Record;
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
    record: Record,
    /// Number of the last packet that the place has from a predecessor, which may have died before it
    /// counted it.
    stored: Option<u64>,
    /// The current chunk has packets of it.
    in_chunk: bool,
}

impl Stream {
    /// A stream whose packets `source` yields.
    pub(crate) fn new(setup: &StreamSetup, source: Box<dyn Source>, record: Record) -> Self {
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
            record,
            stored: setup.resume.and_then(|predecessor| predecessor.last_packet),
            in_chunk: false,
        }
    }

    /// Goes on after what the output has of this stream already.
    pub(crate) fn go_on(&mut self, stored: Option<Stored>) {
        if let Some(stored) = stored {
            self.stored = self.stored.max(Some(stored.packet_seq_num));
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
        output: &mut dyn Output,
    ) -> Result<(), OutputError> {
        let key = self.key;
        self.source
            .peek(most, &mut |packet| output.packet(key, packet))
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
        activity: &Activity,
    ) -> Result<Progress, OutputError> {
        if self.broken {
            return Ok(Progress::Nothing);
        }
        let (key, stored, record) = (self.key, self.stored, &mut self.record);
        let in_chunk = &mut self.in_chunk;
        let taken = self.source.take(writers, &mut |packet| {
            let number = packet.header().packet_seq_num.get();
            let before = record.delivered();
            if number < before.next_packet {
                // The predecessor delivered it, and died before it could release it.
                return Ok(());
            }
            trace.deliver_metadata(output, activity)?;
            // Otherwise the predecessor died before it could count it.
            let is_new = stored.is_none_or(|stored| number > stored);
            if is_new {
                record.sending(packet.header(), output.bytes_written());
                output.packet(key, packet)?;
            }
            let counters = Counters {
                events: trace.events_in(packet),
                ..count(packet, &before)
            };
            // Before the packet is released: a successor finds it counted, or finds it.
            record.count(after(packet, &before, &counters, is_new));
            activity.delivered(counters.bytes);
            *in_chunk = true;
            Ok(())
        });
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

fn count(packet: &dyn Packet, before: &Delivered) -> Counters {
    let number = packet.header().packet_seq_num.get();
    let discarded = packet.header().events_discarded.get();
    Counters {
        events: 0,
        packets: 1,
        bytes: packet.padded_len(),
        discarded_events: discarded.saturating_sub(before.discarded_seen),
        lost_packets: number.saturating_sub(before.next_packet),
    }
}

fn after(packet: &dyn Packet, before: &Delivered, more: &Counters, is_new: bool) -> Delivered {
    let header = packet.header();
    Delivered {
        packets: before.packets + more.packets,
        bytes: before.bytes + more.bytes,
        events: before.events + more.events,
        discarded_events: before.discarded_events + more.discarded_events,
        lost_packets: before.lost_packets + more.lost_packets,
        next_packet: header.packet_seq_num.get().wrapping_add(1),
        // The tracer's count may step back when a writer was preempted while it closed a packet.
        discarded_seen: before.discarded_seen.max(header.events_discarded.get()),
        packets_here: before.packets_here + u64::from(is_new),
    }
}
