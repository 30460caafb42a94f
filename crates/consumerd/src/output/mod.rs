//! Where packets go.

mod directory;
mod names;
mod relay;
mod relay_control;
mod resumed;
mod trace_file;

use std::os::fd::{BorrowedFd, OwnedFd};

use consumer_api::{ChunkSetup, OutputSetup, StreamKey, StreamSetup, TraceKey, TraceSetup};
use ctf::metadata_packet::MetadataPacket;

use crate::output::directory::DirectoryOutput;
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
    /// Its count of discarded events.
    pub(crate) events_discarded: u64,
}

/// One place for the packets of a session. Every operation is complete when it returns, except that
/// packets may still be on their way until [`Output::settle`].
pub(crate) trait Output {
    /// Begins a trace chunk.
    fn open_chunk(&mut self, chunk: &ChunkSetup) -> Result<()>;

    /// Begins a trace; tells how many bytes of its metadata text are there already.
    fn add_trace(&mut self, trace: &TraceSetup) -> Result<u64>;

    /// Begins a stream of a trace that was added.
    fn add_stream(&mut self, stream: &StreamSetup) -> Result<Option<Stored>>;

    /// The number that a relay daemon has given to a stream.
    fn relay_stream(&self, _stream: StreamKey) -> Option<u64> {
        None
    }

    /// All streams that the trace has now were added.
    fn publish(&mut self, trace: TraceKey) -> Result<()>;

    /// Appends metadata.
    fn metadata(&mut self, trace: TraceKey, packet: &MetadataPacket) -> Result<()>;

    /// Appends a packet. When this fails the packet is not there, not even partly.
    fn packet(&mut self, stream: StreamKey, packet: &dyn Packet) -> Result<()>;

    /// Waits until all packets are where they belong.
    fn settle(&mut self) -> Result<()>;

    /// Ends a trace, in which nothing follows.
    fn end_trace(&mut self, trace: TraceKey) -> Result<()>;

    /// Ends the chunk and all that is in it.
    fn close_chunk(&mut self, closed_unix_s: u64) -> Result<()>;

    /// Connections that tell about their end by becoming readable.
    fn connections(&self) -> Vec<BorrowedFd<'_>>;

    /// One of the connections became readable.
    fn readable(&mut self) -> Result<()>;
}

/// The output that a session has, with its descriptors.
pub(crate) fn open(setup: &OutputSetup, fds: Vec<OwnedFd>) -> anyhow::Result<Box<dyn Output>> {
    let count = fds.len();
    Ok(match setup {
        OutputSetup::Directory => {
            let [directory] = <[OwnedFd; 1]>::try_from(fds)
                .map_err(|_| anyhow::anyhow!("{count} descriptors came, not 1 directory"))?;
            Box::new(DirectoryOutput::new(directory))
        }
        OutputSetup::Relay(setup) => {
            let [control, data] = <[OwnedFd; 2]>::try_from(fds)
                .map_err(|_| anyhow::anyhow!("{count} descriptors came, not 2 connections"))?;
            Box::new(RelayOutput::new(setup, control, data))
        }
    })
}
