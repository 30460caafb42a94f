//! One ring buffer that is being drained.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use anyhow::Context;
use consumer_api::{Counters, Predecessor, StreamKey, StreamSetup, TraceKey};
use ring_buffer::{
    BufferMode, Geometry, Next, PacketLease, ReadError, Reader, StreamIdentity, monotonic_now,
};

use crate::counters::{ChannelTotals, Totals};
use crate::output::{Output, OutputError, Stored};
use crate::poller::Token;
use crate::trace::Trace;

/// A stream and all that belongs to it here.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) key: StreamKey,
    pub(crate) trace: TraceKey,
    /// `CHANNEL_CPU`, for messages.
    name: String,
    reader: Reader,
    pub(crate) pipe: OwnedFd,
    /// Registration of the pipe, until the writers hang up.
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
}

/// Whether the writers of a stream may still finish what they began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writers {
    /// Wait for them.
    Alive,
    /// Cut what they left.
    Gone,
}

/// What an attempt to deliver a packet brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// A packet is gone from the buffer; there may be more.
    Delivered,
    /// A writer has to finish first.
    NotReady,
    /// Nothing is there.
    Nothing,
}

impl Stream {
    /// Becomes the reader of the buffer. `shm` is not needed any more afterwards.
    pub(crate) fn attach(
        setup: &StreamSetup,
        uuid: [u8; 16],
        shm: &OwnedFd,
        pipe: OwnedFd,
        totals: Arc<ChannelTotals>,
    ) -> anyhow::Result<Self> {
        use std::os::fd::AsFd;
        let mode = match setup.mode {
            consumer_api::BufferMode::Discard => BufferMode::Discard,
            consumer_api::BufferMode::Overwrite => BufferMode::Overwrite,
        };
        let geometry = Geometry::new(setup.subbuf_size, setup.subbuf_count, mode)?;
        let identity = StreamIdentity {
            uuid,
            channel_id: setup.channel_id,
            cpu: setup.cpu,
        };
        let name = format!("{}_{}", setup.channel_name, setup.cpu);
        let reader = if setup.resume.is_some() {
            Reader::resume(shm.as_fd(), geometry, identity)
        } else {
            Reader::attach(shm.as_fd(), geometry, identity)
        }
        .with_context(|| format!("cannot read stream {name}"))?;
        Ok(Self {
            key: setup.stream,
            trace: setup.trace,
            name,
            reader,
            pipe,
            token: None,
            queued: false,
            ended: false,
            broken: false,
            totals,
            last_number: setup.resume.and_then(|predecessor| predecessor.last_packet),
            discarded: setup.resume.unwrap_or_default().discarded_events,
        })
    }

    /// Notes what the output has of this stream already: the predecessor died before it could tell, so
    /// the discarded events that it counted are counted again from where the last count was told.
    pub(crate) fn has_stored(&mut self, stored: Stored) {
        self.last_number = self.last_number.max(Some(stored.packet_seq_num));
    }

    /// Where a successor goes on.
    pub(crate) fn last(&self) -> Predecessor {
        Predecessor {
            last_packet: self.last_number,
            discarded_events: self.discarded,
        }
    }

    /// Closes the current packet; see [`ring_buffer::FlushMode`].
    pub(crate) fn flush(&mut self, mode: ring_buffer::FlushMode) {
        if !self.broken {
            self.reader.flush(mode, monotonic_now);
        }
    }

    /// Most packets that one call after another can bring before writers add more.
    pub(crate) fn pending(&self) -> u64 {
        // One more: a packet that a predecessor held.
        self.reader.pending() + 1
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
        let next = match writers {
            Writers::Alive => self.reader.next_packet(),
            Writers::Gone => self.reader.salvage_packet(),
        };
        let lease = match next {
            Ok(Next::Packet(lease)) => lease,
            Ok(Next::NotReady) => return Ok(Progress::NotReady),
            Ok(Next::Empty) => return Ok(Progress::Nothing),
            Err(error @ ReadError::BadPacket { .. }) => {
                tracing::warn!("stream {}: {error}; it is lost", self.name);
                return Ok(Progress::Delivered);
            }
            Err(error @ ReadError::BadPositions { .. }) => {
                tracing::error!("stream {}: {error}; it ends here", self.name);
                self.broken = true;
                self.ended = true;
                return Ok(Progress::Nothing);
            }
        };
        let number = lease.header().packet_seq_num.get();
        if self.last_number.is_some_and(|last| number <= last) {
            // The predecessor delivered it, and died before it could say so.
            lease.release();
            return Ok(Progress::Delivered);
        }
        trace.deliver_metadata(output, totals)?;
        output.packet(self.key, &lease)?;
        let counters = Counters {
            events: trace.events_in(&lease),
            ..count(&lease, self.last_number, self.discarded)
        };
        trace.count(&counters);
        // The tracer's count may step back when a writer was preempted while it closed a packet.
        let discarded = lease.header().events_discarded.get();
        self.discarded = self.discarded.max(discarded);
        self.last_number = Some(number);
        lease.release();
        self.totals.add(&counters);
        Ok(Progress::Delivered)
    }
}

fn count(lease: &PacketLease<'_>, last_number: Option<u64>, discarded: u64) -> Counters {
    let number = lease.header().packet_seq_num.get();
    let now_discarded = lease.header().events_discarded.get();
    Counters {
        events: 0,
        packets: 1,
        bytes: lease.padded_len(),
        discarded_events: now_discarded.saturating_sub(discarded),
        lost_packets: match last_number {
            Some(last) => number.saturating_sub(last.saturating_add(1)),
            None => lease.lost_before(),
        },
    }
}
