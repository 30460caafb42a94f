//! Trace files below a directory that the session daemon opened.
//!
//! ```text
//! <trace path>/metadata
//! <trace path>/<channel>_<cpu>            or <channel>_<cpu>_<n> with limited files
//! <trace path>/index/<channel>_<cpu>.idx
//! ```

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use consumer_api::{ChunkSetup, StreamKey, StreamSetup, TraceKey, TraceSetup};
use ctf::metadata_packet::{self, MetadataPacket};
use rustix::fs::ftruncate;

use crate::output::trace_file::{Appended, FileLimits, Place, TraceFile};
use crate::output::{Output, OutputError, Result, Stored, names, resumed};
use crate::packet::Packet;

/// Writes files.
#[derive(Debug)]
pub(crate) struct DirectoryOutput {
    root: OwnedFd,
    traces: HashMap<TraceKey, Trace>,
    streams: HashMap<StreamKey, TraceFile>,
}

#[derive(Debug)]
struct Trace {
    /// Where its files are; the name is that of the metadata.
    place: Place,
    metadata: Appended,
    streams: Vec<StreamKey>,
}

impl DirectoryOutput {
    pub(crate) fn new(root: OwnedFd) -> Self {
        Self {
            root,
            traces: HashMap::new(),
            streams: HashMap::new(),
        }
    }

    fn open_trace(&self, setup: &TraceSetup) -> anyhow::Result<(Trace, u64)> {
        let data = names::make_directories(self.root.as_fd(), &setup.path)?;
        let index = names::make_directory(&data, "index")
            .with_context(|| format!("cannot create directory {}/index", setup.path))?;
        let place = Place {
            data: Arc::new(data),
            index: Arc::new(index),
            path: setup.path.clone(),
            name: "metadata".into(),
        };
        let (metadata, stored) = match resume_metadata(&place, setup.uuid)? {
            Some(resumed) => resumed,
            None => {
                let name = place.name.clone();
                (Appended::create(&place.data, name, &place.path)?, 0)
            }
        };
        let trace = Trace {
            place,
            metadata,
            streams: Vec::new(),
        };
        Ok((trace, stored))
    }

    fn open_stream(&mut self, setup: &StreamSetup) -> anyhow::Result<(TraceFile, Option<Stored>)> {
        let trace = self
            .traces
            .get_mut(&setup.trace)
            .ok_or_else(|| anyhow!("there is no trace {}", setup.trace.0))?;
        let place = Place {
            name: format!("{}_{}", names::channel(&setup.channel_name)?, setup.cpu),
            ..trace.place.clone()
        };
        let limits = FileLimits {
            size: setup.tracefile_size,
            count: setup.tracefile_count,
        };
        let opened = if setup.resume.is_some() {
            TraceFile::resume(place, limits)?
        } else {
            (TraceFile::create(place, limits)?, None)
        };
        trace.streams.push(setup.stream);
        Ok(opened)
    }
}

/// The metadata file that a predecessor left for the same trace, cut to whole packets, and the length
/// of the text in it.
fn resume_metadata(place: &Place, uuid: [u8; 16]) -> anyhow::Result<Option<(Appended, u64)>> {
    let Some(fd) = resumed::open(&place.data, &place.name)? else {
        return Ok(None);
    };
    let bytes = resumed::read(&fd).context("cannot read the metadata")?;
    if metadata_packet::uuid_of(&bytes).map(|uuid| uuid.0) != Some(uuid) {
        return Ok(None);
    }
    // Packets are padded to this size; a rest is a packet that was not finished.
    let whole = bytes.len() - bytes.len() % metadata_packet::ALIGNMENT;
    let text = metadata_packet::text_of(&bytes[..whole])
        .with_context(|| format!("cannot go on in {}/metadata", place.path))?
        .len() as u64;
    ftruncate(&fd, whole as u64).map_err(std::io::Error::from)?;
    let file = Appended {
        fd,
        len: whole as u64,
        name: place.name.clone(),
    };
    Ok(Some((file, text)))
}

impl Output for DirectoryOutput {
    fn open_chunk(&mut self, _chunk: &ChunkSetup) -> Result<()> {
        // The session daemon made the directory of the chunk.
        Ok(())
    }

    fn add_trace(&mut self, setup: &TraceSetup) -> Result<u64> {
        let (trace, stored) = self.open_trace(setup).map_err(OutputError::Refused)?;
        self.traces.insert(setup.trace, trace);
        Ok(stored)
    }

    fn add_stream(&mut self, setup: &StreamSetup) -> Result<Option<Stored>> {
        let (file, stored) = self.open_stream(setup).map_err(OutputError::Refused)?;
        self.streams.insert(setup.stream, file);
        Ok(stored)
    }

    fn publish(&mut self, _trace: TraceKey) -> Result<()> {
        Ok(())
    }

    fn metadata(&mut self, trace: TraceKey, packet: &MetadataPacket) -> Result<()> {
        let Some(trace) = self.traces.get_mut(&trace) else {
            return Ok(());
        };
        let mut bytes = packet.bytes.clone();
        bytes.resize(bytes.len() + packet.padding, 0);
        trace
            .metadata
            .append(&bytes, &trace.place)
            .map_err(OutputError::Broken)
    }

    fn packet(&mut self, stream: StreamKey, packet: &dyn Packet) -> Result<()> {
        let Some(file) = self.streams.get_mut(&stream) else {
            return Ok(());
        };
        file.append(packet).map_err(OutputError::Broken)
    }

    fn settle(&mut self) -> Result<()> {
        Ok(())
    }

    fn end_trace(&mut self, trace: TraceKey) -> Result<()> {
        for stream in self
            .traces
            .remove(&trace)
            .map_or(Vec::new(), |trace| trace.streams)
        {
            self.streams.remove(&stream);
        }
        Ok(())
    }

    fn close_chunk(&mut self, _closed_unix_s: u64) -> Result<()> {
        self.streams.clear();
        self.traces.clear();
        Ok(())
    }

    fn connections(&self) -> Vec<BorrowedFd<'_>> {
        Vec::new()
    }

    fn readable(&mut self) -> Result<()> {
        Ok(())
    }
}
