//! One stream that is being drained.

use consumer_api::{StreamKey, StreamSetup, TraceKey};
use ring_buffer::{FlushMode, UnderWay};

use crate::activity::Activity;
use crate::output::{Output, OutputError, Stored};
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
    /// The current chunk has packets of it.
    in_chunk: bool,
}

impl Stream {
    /// A stream whose packets `source` yields.
    pub(crate) fn new(setup: &StreamSetup, source: Box<dyn Source>, mut record: Record) -> Self {
        // Now: where packets are overwritten, it may not be there any more when we come to read it.
        if let Some(packet) = setup.resume.and_then(|predecessor| predecessor.last_packet) {
            record.arrived(packet);
        }
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
            in_chunk: false,
        }
    }

    /// Goes on after what the output has of this stream already.
    pub(crate) fn go_on(&mut self, stored: Option<Stored>) {
        if let Some(stored) = stored {
            self.record.arrived(stored.packet_seq_num);
            self.in_chunk = true;
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
        let (key, record) = (self.key, &mut self.record);
        let in_chunk = &mut self.in_chunk;
        let taken = self.source.take(writers, &mut |packet| {
            if packet.header().packet_seq_num.get() < record.delivered().next_packet {
                // The predecessor delivered it, and died before it could release it.
                return Ok(());
            }
            trace.deliver_metadata(output, activity)?;
            let events = trace.events_in(packet);
            let under_way = UnderWay::of(packet.header(), events, output.bytes_written());
            record.sending(&under_way);
            output.packet(key, packet)?;
            // Before the packet is released: a successor finds it counted, or finds it.
            record.count(&under_way);
            activity.delivered(packet.padded_len());
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
