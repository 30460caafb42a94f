//! A stream as the connections share it.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use relay::METADATA_NAME;
use relay::live::State;
use relay::server::names::{Component, RelativePath};
use relay::server::{FileKey, Stream, StreamError};
use relay::{ChunkId, DataPacket, PacketIndex, StreamHandle};
use rustix::io::{Errno, pwritev};

use crate::files::{DataFile, Ran, StreamFiles};
use crate::live::{LiveStream, Trace};
use crate::output::{OutputError, failed};
use crate::pool::OpenFile;
use crate::relay::Relay;
use crate::session::Session;

/// One stream. Its lock is held for decisions and small writes, never while a packet's bytes are
/// read or written.
#[derive(Debug)]
pub(crate) struct SharedStream {
    pub(crate) handle: StreamHandle,
    pub(crate) session: Arc<Session>,
    /// Below the trace chunk.
    pub(crate) directory: RelativePath,
    /// Of a live session only.
    pub(crate) seen: Option<Box<Seen>>,
    parts: Mutex<Parts>,
    /// Since the stream began, as its last index said.
    events_discarded: AtomicU64,
}

/// What viewers see of a stream, besides its packets.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) trace: Arc<Trace>,
    pub(crate) name: Component,
}

#[derive(Debug)]
struct Parts {
    core: Stream,
    files: StreamFiles,
    live: Option<Box<LiveStream>>,
}

/// Why something failed for a stream.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SharedStreamError {
    /// The peer's fault.
    #[error(transparent)]
    Peer(#[from] StreamError),
    /// The system's.
    #[error(transparent)]
    Output(#[from] OutputError),
}

type Result<T> = std::result::Result<T, SharedStreamError>;

impl SharedStream {
    pub(crate) fn new(
        handle: StreamHandle,
        session: Arc<Session>,
        directory: RelativePath,
        (core, files): (Stream, StreamFiles),
        seen: Option<Seen>,
    ) -> Self {
        let live = seen.as_ref().zip(core.data_file()).map(|(seen, data)| {
            let trace = Arc::clone(&seen.trace);
            Box::new(LiveStream::new(trace, data.chunk, core.tracefiles()))
        });
        Self {
            handle,
            session,
            directory,
            seen: seen.map(Box::new),
            parts: Mutex::new(Parts { core, files, live }),
            events_discarded: AtomicU64::new(0),
        }
    }

    /// A packet begins: the file and the offset for its bytes.
    pub(crate) fn begin_packet(&self, packet: DataPacket) -> Result<(DataFile, u64)> {
        let mut parts = self.lock();
        let offset = parts.core.begin_packet(packet)?;
        parts.run()?;
        Ok((parts.files.data_file()?.clone(), offset))
    }

    /// Opens a file of [`SharedStream::begin_packet`], if it is not open.
    pub(crate) fn open(&self, file: &DataFile) -> Result<OpenFile> {
        match file.get() {
            Some(file) => Ok(file),
            None => Ok(self.lock().files.open(file)?),
        }
    }

    /// The packet is complete.
    pub(crate) fn end_packet(&self, relay: &Relay) -> Result<()> {
        let mut arrived = None;
        self.update(relay, |stream| {
            arrived = stream.arriving();
            stream.end_packet()
        })?;
        if let Some(packet) = arrived {
            let len = u64::from(packet.data_size) + u64::from(packet.padding_size);
            self.session.counters.packet(len);
        }
        Ok(())
    }

    /// The rest of the packet will not come.
    pub(crate) fn abort_packet(&self, relay: &Relay) -> Result<()> {
        self.update(relay, Stream::abort_packet)
    }

    pub(crate) fn on_index(&self, relay: &Relay, index: PacketIndex) -> Result<()> {
        self.session.live.on_time(index.timestamp_end);
        self.update_parts(relay, |parts| {
            let waiting = parts.core.waits_for_packets();
            parts.core.on_index(index)?;
            if let Some(live) = &mut parts.live {
                live.on_index(&index, waiting);
            }
            Ok(())
        })?;
        if !index.is_beacon() {
            // A number that falls is a mistake, or a tracer that begins again.
            let last = self.events_discarded.swap(index.events_discarded, Relaxed);
            let since = index.events_discarded.saturating_sub(last);
            self.session.counters.index(since);
        }
        Ok(())
    }

    pub(crate) fn rotate(&self, relay: &Relay, position: u64, to: Option<ChunkId>) -> Result<()> {
        self.update(relay, |stream| stream.rotate(position, to))
    }

    pub(crate) fn close(&self, relay: &Relay, last_net_seq_num: u64) -> Result<()> {
        self.update(relay, |stream| {
            stream.close(last_net_seq_num);
            Ok(())
        })
    }

    pub(crate) fn control_ended(&self, relay: &Relay) -> Result<()> {
        self.update(relay, |stream| {
            stream.control_ended();
            Ok(())
        })
    }

    pub(crate) fn abort(&self, relay: &Relay) -> Result<()> {
        self.update(relay, |stream| {
            stream.abort();
            Ok(())
        })
    }

    pub(crate) fn reset_metadata(&self, relay: &Relay) -> Result<()> {
        self.update(relay, Stream::reset_metadata)
    }

    /// Runs what creating the stream asks for.
    pub(crate) fn start(&self, relay: &Relay) -> Result<()> {
        self.update(relay, |_| Ok(()))
    }

    pub(crate) fn append_metadata(&self, bytes: &[u8], padding: u32) -> Result<()> {
        let mut parts = self.lock();
        let len = bytes.len() as u64 + u64::from(padding);
        let offset = parts.core.append_metadata(len)?;
        parts.run()?;
        let file = parts.files.open_current()?;
        write_with_padding(&file, bytes, offset, padding)
            .map_err(failed("write metadata to", &parts.files.data_path()))?;
        parts.run()?;
        self.session.counters.metadata(len);
        Ok(())
    }

    /// It carries metadata. Known of streams of live sessions only.
    pub(crate) fn is_metadata(&self) -> bool {
        self.seen
            .as_ref()
            .is_some_and(|seen| seen.name.as_str() == METADATA_NAME)
    }

    /// Calls `work` with what the stream keeps for viewers, its files, and the current one of them; `None` when
    /// it keeps nothing.
    pub(crate) fn with_live<T>(
        &self,
        work: impl FnOnce(&mut LiveStream, &StreamFiles, Option<FileKey>) -> T,
    ) -> Option<T> {
        self.seen.as_ref()?;
        let mut parts = self.lock();
        let Parts { core, files, live } = &mut *parts;
        let live = live.as_deref_mut()?;
        Some(work(live, files, core.data_file()))
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().core.is_closed()
    }

    pub(crate) fn is_pending(&self, last_net_seq_num: u64) -> bool {
        self.lock().core.is_pending(last_net_seq_num)
    }

    /// Says which file an error is about.
    pub(crate) fn write_failed(&self, error: io::Error) -> SharedStreamError {
        let path = self.lock().files.data_path();
        failed("write to", &path)(error).into()
    }

    fn update(
        &self,
        relay: &Relay,
        change: impl FnOnce(&mut Stream) -> std::result::Result<(), StreamError>,
    ) -> Result<()> {
        self.update_parts(relay, |parts| change(&mut parts.core))
    }

    fn update_parts(
        &self,
        relay: &Relay,
        change: impl FnOnce(&mut Parts) -> std::result::Result<(), StreamError>,
    ) -> Result<()> {
        let mut parts = self.lock();
        let changed = change(&mut parts);
        let ran = parts.run();
        drop(parts);
        // After an error too: a stream that is closed is closed.
        if ran.as_ref().is_ok_and(|ran| ran.closed) || (ran.is_err() && self.is_closed()) {
            self.session.live.on_closed_stream(self.handle);
            relay.forget_stream(self.handle);
        }
        changed?;
        ran?;
        Ok(())
    }

    /// Somebody does something to it at this moment.
    pub(crate) fn is_locked(&self) -> bool {
        matches!(self.parts.try_lock(), Err(TryLockError::WouldBlock))
    }

    fn lock(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parts {
    fn run(&mut self) -> std::result::Result<Ran, OutputError> {
        let ran = self.files.run(&mut self.core);
        if let Some(live) = &mut self.live {
            let amount = match self.files.is_metadata() {
                true => self.core.data_size(),
                false => self.files.index_records(),
            };
            let state = State {
                data: self.core.data_file(),
                index: self.core.index_file(),
                amount,
                closed: self.core.is_closed(),
            };
            live.update(state, &self.files);
        }
        ran
    }
}

/// Up to here padding is written together with the bytes before it; more becomes a hole at the end of
/// the file, which costs neither time nor space.
const MAX_WRITTEN_PADDING: usize = 4096;
static ZEROS: [u8; MAX_WRITTEN_PADDING] = [0; MAX_WRITTEN_PADDING];

/// Writes the last bytes of a packet and the padding after it.
pub(crate) fn write_with_padding(
    file: &File,
    bytes: &[u8],
    offset: u64,
    padding: u32,
) -> io::Result<()> {
    let end = offset + bytes.len() as u64;
    match usize::try_from(padding) {
        Ok(0) => file.write_all_at(bytes, offset),
        Ok(padding) if padding <= MAX_WRITTEN_PADDING => {
            write_two_at(file, bytes, &ZEROS[..padding], offset)
        }
        _ => {
            file.write_all_at(bytes, offset)?;
            file.set_len(end + u64::from(padding))
        }
    }
}

fn write_two_at(file: &File, first: &[u8], second: &[u8], offset: u64) -> io::Result<()> {
    let written = loop {
        match pwritev(file, &[IoSlice::new(first), IoSlice::new(second)], offset) {
            Ok(written) => break written,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    };
    let end_of_first = offset + first.len() as u64;
    match written.checked_sub(first.len()) {
        Some(of_second) => file.write_all_at(&second[of_second..], end_of_first + of_second as u64),
        None => {
            file.write_all_at(&first[written..], offset + written as u64)?;
            file.write_all_at(second, end_of_first)
        }
    }
}
