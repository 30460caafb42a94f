//! Where packets go.

mod chunk_directory;
mod directory;
mod names;
mod nowhere;
mod relay;
mod relay_control;
mod resumed;
mod trace_file;

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use consumer_api::{
    ChunkEnding, ChunkSetup, OutputSetup, RotationSetup, SessionSetup, StreamKey, StreamSetup,
    TraceKey, TraceSetup,
};
use ctf::metadata_packet::MetadataPacket;

use crate::activity::Activity;
use crate::output::directory::DirectoryOutput;
use crate::output::nowhere::Nowhere;
use crate::output::relay::RelayOutput;
use crate::packet::Packet;

/// Why the output did not do what it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    /// This one thing is not possible; everything else goes on.
    #[error("{0:#}")]
    Refused(anyhow::Error),
    /// The output takes nothing any more.
    #[error("{0:#}")]
    Broken(anyhow::Error),
}

/// Of operations on an output.
pub(crate) type Result<T> = std::result::Result<T, OutputError>;

/// What an output has already of a stream that is added to it: a predecessor stored it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Number of the last packet.
    pub(crate) packet_seq_num: u64,
}

/// One place for the packets of a session. Every operation is complete when it returns, except that
/// packets may still be on their way until [`Output::settle`].
pub(crate) trait Output {
    /// Begins a trace chunk, in which the streams that there are go on. `true`: an interrupted rotation was
    /// complete, and the chunk after it has begun.
    fn open_chunk(&mut self, chunk: &ChunkSetup) -> Result<bool>;

    /// Ends the current chunk, in which everything is that was delivered so far, and goes on in the next one.
    /// Tells where the old one is, if the relay has decided it. When this is refused, the old chunk is not
    /// where it should be, but the next one has begun.
    fn rotate(&mut self, rotation: &RotationSetup) -> Result<Option<String>>;

    /// Begins a trace; gives the metadata text that is there already.
    fn add_trace(&mut self, trace: &TraceSetup) -> Result<Vec<u8>>;

    /// Begins a stream of a trace that was added.
    fn add_stream(&mut self, stream: &StreamSetup) -> Result<Option<Stored>>;

    /// The number that a relay daemon has given to a stream.
    fn relay_stream(&self, _stream: StreamKey) -> Option<u64> {
        None
    }

    /// All streams that the trace has now were added.
    fn publish(&mut self, trace: TraceKey) -> Result<()>;

    /// Appends metadata: whole declarations.
    fn metadata(&mut self, trace: TraceKey, packets: &[MetadataPacket]) -> Result<()>;

    /// Empties the metadata of a trace: all of it follows again. `version` counts the times.
    fn reset_metadata(&mut self, trace: TraceKey, version: u64) -> Result<()>;

    /// Bytes written to a relay daemon's data connection so far.
    fn bytes_written(&self) -> u64 {
        0
    }

    /// Appends a packet. When this fails the packet is not there, not even partly.
    fn packet(&mut self, stream: StreamKey, packet: &dyn Packet) -> Result<()>;

    /// Tells that a stream has nothing older than `until_ns` on the clock of the trace.
    fn beacon(&mut self, _stream: StreamKey, _until_ns: u64) -> Result<()> {
        Ok(())
    }

    /// Waits until all packets are where they belong.
    fn settle(&mut self) -> Result<()>;

    /// Ends a trace, in which nothing follows.
    fn end_trace(&mut self, trace: TraceKey) -> Result<()>;

    /// Ends the chunk, if there is one, and all traces. Tells where the chunk is, if the relay decides it.
    fn close_chunk(&mut self, closed_unix_s: u64, ending: &ChunkEnding) -> Result<Option<String>>;

    /// Connections that tell about their end by becoming readable.
    fn connections(&self) -> Vec<BorrowedFd<'_>>;

    /// An empty packet that marks the time is worth something there.
    fn keeps_empty_packets(&self) -> bool {
        true
    }

    /// One of the connections became readable.
    fn readable(&mut self) -> Result<()>;
}

/// The output that a session has, with its descriptors.
pub(crate) fn open(
    setup: &SessionSetup,
    fds: Vec<OwnedFd>,
    activity: &Arc<Activity>,
) -> anyhow::Result<Box<dyn Output>> {
    let count = fds.len();
    let indexes = !setup.snapshot;
    Ok(match &setup.output {
        OutputSetup::Nowhere => Box::new(Nowhere),
        OutputSetup::Directory => {
            let [directory] = <[OwnedFd; 1]>::try_from(fds)
                .map_err(|_| anyhow::anyhow!("{count} descriptors came, not 1 directory"))?;
            Box::new(DirectoryOutput::new(directory, indexes))
        }
        OutputSetup::Relay(setup) => {
            let [control, data] = <[OwnedFd; 2]>::try_from(fds)
                .map_err(|_| anyhow::anyhow!("{count} descriptors came, not 2 connections"))?;
            Box::new(RelayOutput::new(setup, [control, data], indexes, activity))
        }
    })
}
