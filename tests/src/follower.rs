//! A raw live viewer that follows whole sessions and looks into the packets.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use ctf::decode::Decoder;
use relay::StreamHandle;
use relay::live::{
    FLAG_NEW_METADATA, FLAG_NEW_STREAM, IndexStatus, MetadataStatus, NewStreamsStatus, Seek,
    StreamEntry,
};

use crate::{Viewer, Watching};

/// Follows one session from now on.
#[derive(Debug)]
pub struct Follower {
    viewer: Viewer,
    session: relay::RelaySessionId,
    traces: HashMap<u64, FollowedTrace>,
    /// Data streams, with their traces.
    streams: Vec<(StreamHandle, u64)>,
}

#[derive(Debug, Default)]
struct FollowedTrace {
    metadata: Option<StreamHandle>,
    decoder: Decoder,
}

impl Follower {
    /// Attaches to session `name` at a live port.
    pub fn attach(port: u16, name: &str) -> Result<Self> {
        let mut viewer = Viewer::new(port)?;
        let Watching { session, streams } = viewer.attach_to(name, Seek::LAST)?;
        let mut follower = Self {
            viewer,
            session,
            traces: HashMap::new(),
            streams: Vec::new(),
        };
        follower.add(&streams)?;
        Ok(follower)
    }

    /// Asks every stream for its next packet, once. Calls `on_event` with the time of each event, as its clock
    /// counts it. Gives the number of packets; `None` once the session is over.
    pub fn round(&mut self, mut on_event: impl FnMut(u64)) -> Result<Option<usize>> {
        if self.streams.is_empty() && !self.look_for_streams()? {
            return Ok(None);
        }
        let mut packets = 0;
        let mut over = Vec::new();
        let mut new_streams = false;
        for (stream, trace) in self.streams.clone() {
            let told = self.viewer.next_index(stream)?;
            match told.status {
                IndexStatus::OK => {}
                IndexStatus::RETRY | IndexStatus::INACTIVE => continue,
                IndexStatus::HUP => {
                    over.push(stream);
                    continue;
                }
                status => bail!("stream {stream}: {status}"),
            }
            new_streams |= told.flags & FLAG_NEW_STREAM != 0;
            if told.flags & FLAG_NEW_METADATA != 0 {
                self.get_metadata(trace)?;
            }
            let packet = self.viewer.whole_packet(stream, &told.packet)?;
            packets += 1;
            let decoder = &self.traces.get(&trace).context("no trace")?.decoder;
            let mut events = decoder.events(&packet)?;
            while let Some(event) = events.next_event()? {
                on_event(event.timestamp);
            }
        }
        self.streams.retain(|(stream, _)| !over.contains(stream));
        if new_streams {
            self.look_for_streams()?;
        }
        Ok(Some(packets))
    }

    /// `false` when the session is over.
    fn look_for_streams(&mut self) -> Result<bool> {
        let (status, streams) = self.viewer.new_streams(self.session)?;
        self.add(&streams)?;
        Ok(status != NewStreamsStatus::HUP)
    }

    fn add(&mut self, streams: &[StreamEntry<'_>]) -> Result<()> {
        for entry in streams {
            let trace = self.traces.entry(entry.trace_id).or_default();
            if entry.is_metadata {
                trace.metadata = Some(entry.stream);
            } else {
                self.streams.push((entry.stream, entry.trace_id));
            }
        }
        Ok(())
    }

    fn get_metadata(&mut self, trace: u64) -> Result<()> {
        let trace = self.traces.get_mut(&trace).context("no trace")?;
        let metadata = trace.metadata.context("no metadata stream")?;
        loop {
            let (status, packets) = self.viewer.metadata(metadata)?;
            if status != MetadataStatus::OK {
                return Ok(());
            }
            trace
                .decoder
                .add_metadata(&ctf::metadata_packet::text_of(&packets)?)?;
        }
    }
}
