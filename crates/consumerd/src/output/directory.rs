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
use consumer_api::{
    ChunkEnding, ChunkSetup, RotationSetup, StreamKey, StreamSetup, TraceKey, TraceSetup,
};
use ctf::metadata_packet::{self, MetadataPacket};
use rustix::fs::ftruncate;

use crate::output::chunk_directory::{self, ChunkDirectory};
use crate::output::trace_file::{Appended, FileLimits, Place, TraceFile};
use crate::output::{Output, OutputError, Result, Stored, names, resumed};
use crate::packet::Packet;

/// Writes files.
#[derive(Debug)]
pub(crate) struct DirectoryOutput {
    /// The session's.
    root: OwnedFd,
    /// None between a rotation after a stop and the next start.
    chunk: Option<ChunkDirectory>,
    indexes: bool,
    traces: HashMap<TraceKey, Trace>,
    streams: HashMap<StreamKey, Stream>,
}

#[derive(Debug)]
struct Trace {
    path: String,
    files: Option<TraceFiles>,
    streams: Vec<StreamKey>,
}

#[derive(Debug)]
struct TraceFiles {
    /// Where its files are; the name is that of the metadata.
    place: Place,
    metadata: Appended,
}

#[derive(Debug)]
struct Stream {
    trace: TraceKey,
    /// `CHANNEL_CPU`.
    name: String,
    limits: FileLimits,
    file: Option<TraceFile>,
}

impl DirectoryOutput {
    pub(crate) fn new(root: OwnedFd, indexes: bool) -> Self {
        Self {
            root,
            chunk: None,
            indexes,
            traces: HashMap::new(),
            streams: HashMap::new(),
        }
    }

    /// The directories of a trace in the current chunk.
    fn place(&mut self, path: &str) -> anyhow::Result<Place> {
        let chunk = self.chunk.as_mut().context("no trace chunk is open")?;
        let data = names::make_directories(chunk.fd.as_fd(), path)?;
        let index = names::make_directory(&data, "index")
            .with_context(|| format!("cannot create directory {path}/index"))?;
        chunk.has_trace(path);
        Ok(Place {
            data: Arc::new(data),
            index: Arc::new(index),
            path: path.to_owned(),
            name: "metadata".into(),
        })
    }

    fn open_trace(&mut self, setup: &TraceSetup) -> anyhow::Result<(Trace, Vec<u8>)> {
        let place = self.place(&setup.path)?;
        let (metadata, stored) = match resume_metadata(&place, setup.uuid)? {
            Some(resumed) => resumed,
            None => (new_metadata(&place)?, Vec::new()),
        };
        let trace = Trace {
            path: setup.path.clone(),
            files: Some(TraceFiles { place, metadata }),
            streams: Vec::new(),
        };
        Ok((trace, stored))
    }

    fn open_stream(&mut self, setup: &StreamSetup) -> anyhow::Result<(Stream, Option<Stored>)> {
        let trace = self
            .traces
            .get_mut(&setup.trace)
            .ok_or_else(|| anyhow!("there is no trace {}", setup.trace.0))?;
        let files = trace.files.as_ref().context("no trace chunk is open")?;
        let name = format!("{}_{}", names::channel(&setup.channel_name)?, setup.cpu);
        let place = files.place.of_stream(&name);
        let limits = FileLimits {
            size: setup.tracefile_size,
            count: setup.tracefile_count,
            indexes: self.indexes,
        };
        let (file, stored) = if setup.resume.is_some() && self.indexes {
            TraceFile::resume(place, limits)?
        } else {
            (TraceFile::create(place, limits)?, None)
        };
        trace.streams.push(setup.stream);
        let stream = Stream {
            trace: setup.trace,
            name,
            limits,
            file: Some(file),
        };
        Ok((stream, stored))
    }

    fn close_files(&mut self) {
        for trace in self.traces.values_mut() {
            trace.files = None;
        }
        for stream in self.streams.values_mut() {
            stream.file = None;
        }
    }

    /// Opens a chunk, and new files in it for all that there is.
    fn enter(&mut self, setup: &ChunkSetup) -> anyhow::Result<()> {
        self.chunk = Some(ChunkDirectory::open(&self.root, setup)?);
        let mut traces = std::mem::take(&mut self.traces);
        let entered = traces.values_mut().try_for_each(|trace| {
            let place = self.place(&trace.path)?;
            let metadata = new_metadata(&place)?;
            trace.files = Some(TraceFiles { place, metadata });
            anyhow::Ok(())
        });
        self.traces = traces;
        entered?;
        for stream in self.streams.values_mut() {
            let files = self.traces.get(&stream.trace);
            if let Some(files) = files.and_then(|trace| trace.files.as_ref()) {
                let place = files.place.of_stream(&stream.name);
                stream.file = Some(TraceFile::create(place, stream.limits)?);
            }
        }
        Ok(())
    }

    fn leave(&mut self, ending: &ChunkEnding) -> anyhow::Result<()> {
        self.close_files();
        match self.chunk.take() {
            Some(chunk) => chunk.leave(&self.root, ending),
            None => Ok(()),
        }
    }
}

fn new_metadata(place: &Place) -> anyhow::Result<Appended> {
    Appended::create(&place.data, place.name.clone(), &place.path)
}

/// The metadata file that a predecessor left for the same trace, cut to whole packets, and the text
/// in it.
fn resume_metadata(place: &Place, uuid: [u8; 16]) -> anyhow::Result<Option<(Appended, Vec<u8>)>> {
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
        .into_owned()
        .into_bytes();
    ftruncate(&fd, whole as u64).map_err(std::io::Error::from)?;
    let file = Appended {
        fd,
        len: whole as u64,
        name: place.name.clone(),
    };
    Ok(Some((file, text)))
}

impl Output for DirectoryOutput {
    fn open_chunk(&mut self, setup: &ChunkSetup) -> Result<bool> {
        if let Some(rotation) = setup.interrupted.as_deref() {
            let completed = ChunkDirectory::completed(&self.root, setup, rotation);
            self.chunk = completed.map_err(OutputError::Broken)?;
            if self.chunk.is_some() {
                self.rotate(rotation)?;
                return Ok(true);
            }
        }
        self.enter(setup).map_err(OutputError::Broken)?;
        Ok(false)
    }

    fn rotate(&mut self, rotation: &RotationSetup) -> Result<Option<String>> {
        let left = self.leave(&rotation.ending);
        if let Some(next) = &rotation.next {
            self.enter(next).map_err(OutputError::Broken)?;
        }
        let done = left.and_then(|()| match rotation.ending {
            ChunkEnding::Delete => chunk_directory::remove_moved(&self.root),
            _ => Ok(()),
        });
        done.map(|()| None).map_err(OutputError::Refused)
    }

    fn add_trace(&mut self, setup: &TraceSetup) -> Result<Vec<u8>> {
        let (trace, stored) = self.open_trace(setup).map_err(OutputError::Refused)?;
        self.traces.insert(setup.trace, trace);
        Ok(stored)
    }

    fn add_stream(&mut self, setup: &StreamSetup) -> Result<Option<Stored>> {
        let (stream, stored) = self.open_stream(setup).map_err(OutputError::Refused)?;
        self.streams.insert(setup.stream, stream);
        Ok(stored)
    }

    fn publish(&mut self, _trace: TraceKey) -> Result<()> {
        Ok(())
    }

    fn metadata(&mut self, trace: TraceKey, packets: &[MetadataPacket]) -> Result<()> {
        let files = self.traces.get_mut(&trace);
        let Some(files) = files.and_then(|trace| trace.files.as_mut()) else {
            return Ok(());
        };
        for packet in packets {
            let mut bytes = packet.bytes.clone();
            bytes.resize(bytes.len() + packet.padding, 0);
            let appended = files.metadata.append(&bytes, &files.place);
            appended.map_err(OutputError::Broken)?;
        }
        Ok(())
    }

    fn reset_metadata(&mut self, trace: TraceKey, _version: u64) -> Result<()> {
        let files = self.traces.get_mut(&trace);
        if let Some(files) = files.and_then(|trace| trace.files.as_mut()) {
            files.metadata.empty();
        }
        Ok(())
    }

    fn packet(&mut self, stream: StreamKey, packet: &dyn Packet) -> Result<()> {
        let stream = self.streams.get_mut(&stream);
        let Some(file) = stream.and_then(|stream| stream.file.as_mut()) else {
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

    fn close_chunk(&mut self, _closed_unix_s: u64, ending: &ChunkEnding) -> Result<Option<String>> {
        let left = self.leave(ending);
        self.streams.clear();
        self.traces.clear();
        left.map(|()| None).map_err(OutputError::Refused)
    }

    fn connections(&self) -> Vec<BorrowedFd<'_>> {
        Vec::new()
    }

    fn readable(&mut self) -> Result<()> {
        Ok(())
    }
}
