//! A stream as its viewers use it.

use std::sync::Arc;
use std::time::Instant;

use relay::live::{Beacon, Cursor, StreamEntry};

use super::mailbox::Waker;
use super::stream::{Found, FoundMetadata, OpenFiles};
use crate::pool::OpenFile;
use crate::stream::SharedStream;

impl SharedStream {
    /// One viewer more; where it begins. `None` for a stream that viewers cannot see.
    pub(super) fn view(&self, from_beginning: bool) -> Option<Cursor> {
        self.with_live(|live, files, data| live.view(files, data, from_beginning))
    }

    /// One viewer less.
    pub(super) fn unview(&self) {
        self.with_live(|live, _, _| live.unview());
    }

    /// As viewers are told of it.
    pub(super) fn entry(&self) -> Option<StreamEntry<'_>> {
        let seen = self.seen.as_ref()?;
        Some(StreamEntry {
            stream: self.handle,
            trace_id: seen.trace.id,
            is_metadata: self.is_metadata(),
            path: self.directory.as_str().into(),
            channel_name: seen.name.as_str().into(),
        })
    }

    pub(super) fn trace_id(&self) -> Option<u64> {
        self.seen.as_ref().map(|seen| seen.trace.id)
    }

    /// See [`super::stream::LiveStream::next`].
    pub(super) fn next_packet(
        &self,
        cursor: &mut Cursor,
        open: &mut Option<Arc<OpenFiles>>,
        told: Option<Beacon>,
        waker: Option<&Waker>,
    ) -> std::io::Result<Found> {
        self.with_live(|live, files, _| live.next(files, cursor, open, (told, waker)))
            .unwrap_or(Ok(Found::End))
    }

    /// There is a packet at this place.
    pub(super) fn has_packet(&self, mut cursor: Cursor) -> bool {
        self.with_live(|live, _, _| live.has_packet(&mut cursor))
            .unwrap_or(false)
    }

    /// When there was something new last.
    pub(super) fn heard(&self) -> Option<Instant> {
        self.with_live(|live, _, _| live.heard).flatten()
    }

    /// Waits for news.
    pub(super) fn watch(&self, waker: &Waker) {
        self.with_live(|live, _, _| live.watch(waker));
    }

    /// See [`super::stream::LiveStream::metadata`].
    pub(super) fn new_metadata(
        &self,
        sent: (u64, bool),
        waker: Option<&Waker>,
    ) -> std::io::Result<FoundMetadata> {
        self.with_live(|live, files, _| live.metadata(files, sent, waker))
            .unwrap_or(Ok(FoundMetadata::End))
    }

    /// Bytes of metadata in the current trace chunk.
    pub(super) fn metadata_len(&self) -> u64 {
        self.with_live(|live, _, _| live.metadata_len())
            .unwrap_or(0)
    }

    /// The data file of the packet told last.
    pub(super) fn data_of(&self, places: &OpenFiles) -> std::io::Result<OpenFile> {
        if let Some(file) = places.data() {
            return Ok(file);
        }
        self.with_live(|live, files, _| live.data_file(files, places))
            .unwrap_or(Err(std::io::ErrorKind::NotFound.into()))
    }
}
