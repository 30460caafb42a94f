//! What a stream of a live session keeps for its viewers.

use std::collections::VecDeque;
use std::fs::File;
use std::io::ErrorKind::{NotFound, UnexpectedEof};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Weak};
use std::time::Instant;

use relay::live::{Beacon, Cursor, Next, Place, Published, State, ViewerIndex};
use relay::server::index_file::{HEADER_LEN, IndexRecord, IndexVersion};
use relay::server::{FileKey, Tracefiles};
use relay::{ChunkId, PacketIndex};
use rustix::fs::{Mode, OFlags, openat};

use super::mailbox::{Waker, Wakers};
use super::trace::{Directory, Trace};
use crate::files::StreamFiles;
use crate::output::{OutputError, failed};
use crate::pool::{OpenFile, Place as FilePlace};

/// Files looked at in one go before the viewer is told to ask again: those of overwritten generations can be
/// many.
const MAX_SKIPS: usize = 64;

/// See the module. It is under the stream's lock.
#[derive(Debug)]
pub(crate) struct LiveStream {
    published: Published,
    trace: Arc<Trace>,
    /// Viewers that know the stream.
    views: usize,
    /// Of the stretches that have one, by number. Kept while there are viewers.
    directories: VecDeque<(u64, Directory)>,
    wakers: Wakers,
    /// When there was something new last.
    pub(super) heard: Option<Instant>,
    /// The files opened last, which viewers share.
    files: Weak<OpenFiles>,
}

/// The files of one place, open for reading or not at the moment.
#[derive(Debug)]
pub(crate) struct OpenFiles {
    stretch: u64,
    key: FileKey,
    data: Arc<FilePlace>,
    index: Arc<FilePlace>,
}

/// What a viewer is told about the next packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Packet(ViewerIndex),
    Inactive(Beacon),
    Nothing,
    End,
}

/// What a viewer is told about metadata.
#[derive(Debug)]
pub(super) enum FoundMetadata {
    /// From the bytes already sent to the end.
    Bytes {
        file: OpenFile,
        len: u64,
    },
    Nothing,
    End,
}

impl LiveStream {
    pub(crate) fn new(trace: Arc<Trace>, chunk: ChunkId, tracefiles: Tracefiles) -> Self {
        Self {
            published: Published::new(chunk, tracefiles),
            trace,
            views: 0,
            directories: VecDeque::new(),
            wakers: Wakers::default(),
            heard: None,
            files: Weak::new(),
        }
    }

    /// The stream changed.
    pub(crate) fn update(&mut self, state: State, files: &StreamFiles) {
        if !self.published.update(state) {
            return;
        }
        if state.amount > 0 && !files.is_metadata() {
            self.trace.on_packet();
        }
        if self.views > 0 {
            self.open_directory(state.data, files);
        } else {
            self.published.forget_old();
        }
        self.heard = Some(Instant::now());
        self.wakers.wake();
    }

    /// An index or a beacon came; see [`Published::on_index`].
    pub(crate) fn on_index(&mut self, index: &PacketIndex, waiting: bool) {
        if self.published.on_index(index, waiting) {
            self.heard = Some(Instant::now());
            self.wakers.wake();
        }
    }

    /// One viewer more. Where it begins: with what is there, or with what will come.
    pub(super) fn view(
        &mut self,
        files: &StreamFiles,
        data: Option<FileKey>,
        first: bool,
    ) -> Cursor {
        self.views += 1;
        self.open_directory(data, files);
        if first {
            self.published.beginning()
        } else {
            self.published.end()
        }
    }

    /// One viewer less.
    pub(super) fn unview(&mut self) {
        self.views = self.views.saturating_sub(1);
        if self.views == 0 {
            self.directories.clear();
            self.published.forget_old();
        }
    }

    /// Opens the directory of the current stretch: later it may have another name.
    fn open_directory(&mut self, data: Option<FileKey>, files: &StreamFiles) {
        let stretches = self.published.stretches();
        while self
            .directories
            .front()
            .is_some_and(|(number, _)| *number < stretches.start)
        {
            self.directories.pop_front();
        }
        let current = stretches.end.saturating_sub(1);
        let is_open = self
            .directories
            .back()
            .is_some_and(|(number, _)| *number == current);
        let Some(data) = data.filter(|_| !is_open) else {
            return;
        };
        match files.open_directory(&self.trace, data.chunk) {
            Ok(directory) => self.directories.push_back((current, directory)),
            Err(error) => tracing::warn!("viewers cannot read a stream: {error}"),
        }
    }

    /// What comes next at the cursor. `open` are the files the viewer has open, of whatever place; those of
    /// the packet afterwards. `waker` waits for news if there are none: neither a packet nor another beacon
    /// than the one told.
    pub(super) fn next(
        &mut self,
        files: &StreamFiles,
        cursor: &mut Cursor,
        open: &mut Option<Arc<OpenFiles>>,
        (told, waker): (Option<Beacon>, Option<&Waker>),
    ) -> std::io::Result<Found> {
        for _ in 0..MAX_SKIPS {
            let found = match self.published.next(cursor) {
                Next::Record(place) => match self.read(files, place, open) {
                    Ok(packet) => {
                        cursor.advance();
                        return Ok(Found::Packet(packet));
                    }
                    Err(error) if [NotFound, UnexpectedEof].contains(&error.kind()) => {
                        cursor.skip_file();
                        continue;
                    }
                    Err(error) => return Err(error),
                },
                Next::Inactive(beacon) => Found::Inactive(beacon),
                Next::Idle => Found::Nothing,
                Next::End => Found::End,
            };
            let is_news = match found {
                Found::Inactive(beacon) => told != Some(beacon),
                Found::Nothing => false,
                Found::Packet(_) | Found::End => true,
            };
            if let Some(waker) = waker.filter(|_| !is_news) {
                self.wakers.add(waker);
            }
            return Ok(found);
        }
        if let Some(waker) = waker {
            // There is more to look at, at once.
            waker.wake();
        }
        Ok(Found::Nothing)
    }

    fn read(
        &mut self,
        files: &StreamFiles,
        place: Place,
        open: &mut Option<Arc<OpenFiles>>,
    ) -> std::io::Result<ViewerIndex> {
        let places = self.places(files, place.stretch, place.file, open);
        let index = places.index.get_or(|| self.open_index(files, &places));
        let index = index.map_err(|error| error.source)?;
        let packet = read_record(&index, files.index_version(), place.record)?;
        // Open before the viewer is told of it: it may be deleted before the viewer asks for it.
        self.data_file(files, &places)?;
        Ok(packet)
    }

    /// There is a record at this cursor, as far as is known without opening files.
    pub(super) fn has_packet(&self, cursor: &mut Cursor) -> bool {
        matches!(self.published.next(cursor), Next::Record(_))
    }

    /// Waits for news of the stream.
    pub(super) fn watch(&mut self, waker: &Waker) {
        self.wakers.add(waker);
    }

    /// Metadata beyond the first `sent` bytes; `waker` waits for it if there is none.
    ///
    /// With `waits_for_packet`, none is told before the trace has a packet: babeltrace2 2.0.4 writes beyond its
    /// memory when metadata that came later declares more fields that others depend on than it knew of when
    /// it prepared for the streams, and the first metadata of an application often come in pieces.
    pub(super) fn metadata(
        &mut self,
        files: &StreamFiles,
        (sent, waits_for_packet): (u64, bool),
        waker: Option<&Waker>,
    ) -> std::io::Result<FoundMetadata> {
        let is_due = !waits_for_packet
            || sent > 0
            || self.published.is_closed()
            || self.trace.has_packet(waker);
        let found = self.published.metadata(sent).filter(|_| is_due);
        if let Some((stretch, key, _)) = found {
            let places = self.places(files, stretch, key, &mut None);
            match self.data_file(files, &places) {
                Ok(file) => {
                    let len = file.metadata()?.len().saturating_sub(sent);
                    if len > 0 {
                        return Ok(FoundMetadata::Bytes { file, len });
                    }
                }
                // Cleared: the same bytes come again with the next chunk.
                Err(error) if error.kind() == NotFound => {}
                Err(error) => return Err(error),
            }
        }
        if self.published.is_closed() {
            return Ok(FoundMetadata::End);
        }
        if let Some(waker) = waker {
            self.wakers.add(waker);
        }
        Ok(FoundMetadata::Nothing)
    }

    /// Bytes of metadata in the current chunk.
    pub(super) fn metadata_len(&self) -> u64 {
        self.published.metadata_len()
    }

    /// The files of a place: those in `open` if they are, those another viewer has, or new ones.
    fn places(
        &mut self,
        files: &StreamFiles,
        stretch: u64,
        key: FileKey,
        open: &mut Option<Arc<OpenFiles>>,
    ) -> Arc<OpenFiles> {
        let is_it = |files: &Arc<OpenFiles>| files.stretch == stretch && files.key == key;
        let found = open.take().filter(is_it);
        let found = found.or_else(|| self.files.upgrade().filter(is_it));
        let places = found.unwrap_or_else(|| {
            Arc::new(OpenFiles {
                stretch,
                key,
                data: files.pool().place(),
                index: files.pool().place(),
            })
        });
        self.files = Arc::downgrade(&places);
        *open = Some(Arc::clone(&places));
        places
    }

    /// The data file of a place that was told before.
    pub(super) fn data_file(
        &self,
        files: &StreamFiles,
        places: &OpenFiles,
    ) -> std::io::Result<OpenFile> {
        let name = files.data_name(places.key);
        let opened = places.data.get_or(|| self.open(places, &name));
        opened.map_err(|error| error.source)
    }

    fn open_index(&self, files: &StreamFiles, places: &OpenFiles) -> Result<File, OutputError> {
        self.open(places, &format!("index/{}", files.index_name(places.key)))
    }

    fn open(&self, places: &OpenFiles, name: &str) -> Result<File, OutputError> {
        let missing = || failed("open", name.as_ref())(NotFound.into());
        let (_, directory) = self
            .directories
            .iter()
            .find(|(number, _)| *number == places.stretch)
            .ok_or_else(missing)?;
        if !self.published.has(places.stretch, places.key) {
            // Another file has its name by now.
            return Err(missing());
        }
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        openat(&***directory, name, flags, Mode::empty())
            .map(File::from)
            .map_err(|error| failed("open", name.as_ref())(error.into()))
    }
}

impl OpenFiles {
    /// The data file, if it is open.
    pub(super) fn data(&self) -> Option<OpenFile> {
        self.data.get()
    }
}

fn read_record(file: &File, version: IndexVersion, record: u64) -> std::io::Result<ViewerIndex> {
    // The longest record of all versions.
    let mut bytes = [0; 72];
    let len = version.record_len();
    let bytes = bytes.get_mut(..len).ok_or(UnexpectedEof)?;
    let offset = HEADER_LEN as u64 + record.saturating_mul(len as u64);
    file.read_exact_at(bytes, offset)?;
    let record = IndexRecord::decode(version, bytes).ok_or(UnexpectedEof)?;
    Ok(ViewerIndex {
        offset_bytes: record.offset_bytes,
        packet_size_bits: record.packet_size.0,
        content_size_bits: record.content_size.0,
        timestamp_begin: record.timestamp_begin,
        timestamp_end: record.timestamp_end,
        events_discarded: record.events_discarded,
        stream_class_id: record.stream_id,
    })
}
