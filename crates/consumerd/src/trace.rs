//! One trace: streams that share a metadata text.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use anyhow::bail;
use consumer_api::{StreamKey, TraceSetup};
use ctf::metadata_packet::MetadataPacket;
use ring_buffer::Tally;

use crate::activity::Activity;
use crate::event_count::EventCounter;
use crate::kernel_formats::ChannelFormats;
use crate::kernel_tasks::SharedTasks;
use crate::metadata::MetadataSource;
use crate::output::{Output, OutputError};
use crate::packet::Packet;
use crate::record::Record;

/// Counts bytes; what went to the present place are bytes of text.
const METADATA_SLOT: usize = 0;

/// A trace and what it needs.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(crate) setup: TraceSetup,
    metadata: MetadataSource,
    tally: Arc<Tally>,
    pub(crate) streams: Vec<StreamKey>,
    /// Of the kernel's channels.
    pub(crate) formats: ChannelFormats,
    /// For their context fields.
    pub(crate) tasks: Option<SharedTasks>,
    /// Packets may go out: the output knows the metadata stream.
    pub(crate) published: bool,
    events: Option<EventCounter>,
    /// Stream classes that the metadata describes.
    described: BTreeSet<u64>,
    /// Bytes of text that the event counter knows.
    known_text: usize,
    /// Bytes of text that went out in this chunk.
    text: usize,
}

impl Trace {
    pub(crate) fn new(
        setup: TraceSetup,
        metadata: MetadataSource,
        tally: Arc<Tally>,
        count_events: bool,
    ) -> Self {
        let earlier = metadata.earlier_text().unwrap_or_default();
        let events = count_events.then(|| {
            let mut events = EventCounter::default();
            events.add_metadata(&earlier);
            events
        });
        Self {
            setup,
            metadata,
            tally,
            streams: Vec::new(),
            formats: ChannelFormats::default(),
            tasks: None,
            published: false,
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
        self.count_stored(&[]);
    }

    /// Delivers the metadata text that came since the last time.
    pub(crate) fn deliver_metadata(
        &mut self,
        output: &mut dyn Output,
        activity: &Activity,
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
        let packets: Vec<_> = self.metadata.packets(&text).collect();
        output.metadata(self.setup.trace, &packets)?;
        for packet in &packets {
            activity.delivered(self.count_metadata(packet));
        }
        Ok(())
    }

    /// What was delivered of the metadata describes this stream class: readers understand its packets.
    pub(crate) fn describes(&self, channel_id: u32) -> bool {
        self.described.contains(&channel_id.into())
    }

    /// Notes the metadata text that the place has already. A predecessor may have died before it counted the
    /// last of it.
    pub(crate) fn count_stored(&mut self, stored: &[u8]) {
        let mut delivered = self.tally.read(METADATA_SLOT);
        let counted = delivered.packets_here.min(stored.len() as u64);
        delivered.packets_here = counted;
        self.tally.record(METADATA_SLOT, &delivered);
        for packet in self.metadata.packets(&stored[counted as usize..]) {
            self.count_metadata(&packet);
        }
    }

    /// Bytes of the packet, which is delivered.
    fn count_metadata(&mut self, packet: &MetadataPacket) -> u64 {
        let bytes = (packet.bytes.len() + packet.padding) as u64;
        let mut delivered = self.tally.read(METADATA_SLOT);
        delivered.bytes += bytes;
        delivered.packets_here += packet.text_len() as u64;
        self.tally.record(METADATA_SLOT, &delivered);
        bytes
    }

    /// Where the stream that is added next is counted.
    pub(crate) fn next_record(&self) -> anyhow::Result<Record> {
        let slot = METADATA_SLOT + 1 + self.streams.len();
        if slot >= self.tally.slots() {
            bail!("the tally has no slot {slot}");
        }
        Ok(Record::begin(self.tally.clone(), slot))
    }

    /// All of this text is still to be delivered, instead of what was.
    pub(crate) fn replace_metadata(&mut self, text: OwnedFd) {
        self.metadata = MetadataSource::new(text, self.setup.uuid, 0);
        self.known_text = 0;
        self.text = 0;
        self.count_stored(&[]);
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
}

/// Each block arrives whole.
fn streams_in(text: &[u8]) -> BTreeSet<u64> {
    ctf::tsdl::streams_in(&String::from_utf8_lossy(text)).collect()
}
