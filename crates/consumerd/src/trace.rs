//! One trace: streams that share a metadata text.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;

use consumer_api::{Counters, StreamKey, TraceSetup};

use crate::counters::{Totals, add};
use crate::event_count::EventCounter;
use crate::kernel_formats::ChannelFormats;
use crate::metadata::MetadataSource;
use crate::output::{Output, OutputError};
use crate::packet::Packet;

/// A trace and what it needs.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(crate) setup: TraceSetup,
    metadata: MetadataSource,
    pub(crate) streams: Vec<StreamKey>,
    /// Of the kernel's channels.
    pub(crate) formats: ChannelFormats,
    /// Packets may go out: the output knows the metadata stream.
    pub(crate) published: bool,
    counters: Counters,
    events: Option<EventCounter>,
    /// Stream classes that the metadata describes.
    described: BTreeSet<u64>,
    /// Bytes of text that the event counter knows.
    known_text: usize,
    /// Bytes of text that went out in this chunk.
    text: usize,
}

impl Trace {
    pub(crate) fn new(setup: TraceSetup, metadata: MetadataSource, count_events: bool) -> Self {
        let earlier = metadata.earlier_text().unwrap_or_default();
        let events = count_events.then(|| {
            let mut events = EventCounter::default();
            events.add_metadata(&earlier);
            events
        });
        Self {
            setup,
            metadata,
            streams: Vec::new(),
            formats: ChannelFormats::default(),
            published: false,
            counters: Counters::default(),
            events,
            described: streams_in(&earlier),
            known_text: earlier.len(),
            text: earlier.len(),
        }
    }

    /// A new chunk needs all of the metadata again.
    pub(crate) fn enter_chunk(&mut self) {
        self.metadata.rewind();
        self.text = 0;
    }

    /// Delivers the metadata text that came since the last time.
    pub(crate) fn deliver_metadata(
        &mut self,
        output: &mut dyn Output,
        totals: &Totals,
    ) -> Result<(), OutputError> {
        let text = self.metadata.take().map_err(|error| {
            let error = anyhow::Error::from(error).context("cannot read the metadata");
            OutputError::Broken(error)
        })?;
        if text.is_empty() {
            return Ok(());
        }
        let known = self.known_text.saturating_sub(self.text).min(text.len());
        self.text += text.len();
        self.known_text = self.known_text.max(self.text);
        let new = &text[known..];
        self.described.extend(streams_in(new));
        if let Some(events) = &mut self.events {
            events.add_metadata(new);
        }
        for packet in self.metadata.packets(&text) {
            output.metadata(self.setup.trace, &packet)?;
            let bytes = (packet.bytes.len() + packet.padding) as u64;
            totals.add_metadata(bytes);
            self.counters.bytes += bytes;
        }
        Ok(())
    }

    /// What was delivered of the metadata describes this stream class: readers understand its packets.
    pub(crate) fn describes(&self, channel_id: u32) -> bool {
        self.described.contains(&channel_id.into())
    }

    /// All of this text is still to be delivered, instead of what was.
    pub(crate) fn replace_metadata(&mut self, text: OwnedFd) {
        self.metadata = MetadataSource::new(text, self.setup.uuid, 0);
        self.known_text = 0;
        self.text = 0;
        if let Some(events) = &mut self.events {
            *events = EventCounter::default();
        }
    }

    /// Number of events in a packet, if they are to be counted.
    pub(crate) fn events_in(&mut self, packet: &dyn Packet) -> u64 {
        let Some(events) = &mut self.events else {
            return 0;
        };
        packet.events().unwrap_or_else(|| events.count(packet))
    }

    /// Counts what was delivered of its streams.
    pub(crate) fn count(&mut self, more: &Counters) {
        add(&mut self.counters, more);
    }

    /// Totals of the trace.
    pub(crate) fn counters(&self) -> Counters {
        self.counters
    }
}

/// Each block arrives whole.
fn streams_in(text: &[u8]) -> BTreeSet<u64> {
    ctf::tsdl::streams_in(&String::from_utf8_lossy(text)).collect()
}
