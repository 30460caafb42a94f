//! What of one stream viewers may read, and where each of them is in it.
//!
//! A stream's packets lie in files, listed by index files. It stays in one trace chunk for a *stretch*, with
//! one file or, with tracefile limits, several generations of them:
//!
//! ```text
//! stretch 0: chunk 0   generation 0 | 1 | 2     left: complete, read until its files end
//! stretch 1: chunk 1   generation 0 | 1         current: `amount` records of the newest generation are there
//! ```
//!
//! A [`Cursor`] is a place in this. Nothing here knows how many cursors there are. Of metadata streams the
//! amount counts bytes.

use std::collections::VecDeque;

use crate::server::{FileKey, Tracefiles};
use crate::{ChunkId, PacketIndex};

/// Stretches that are kept for viewers that lag; of what is older they see nothing.
const MAX_STRETCHES: usize = 8;

/// A viewer's place in a stream: before this record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    stretch: u64,
    generation: u64,
    record: u64,
}

/// A record that may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Counts the stretches of the stream.
    pub stretch: u64,
    /// The index file and the data file beside it.
    pub file: FileKey,
    /// Which record of the index file.
    pub record: u64,
}

/// "Nothing new until then."
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beacon {
    /// Trace clock, in cycles.
    pub timestamp_end: u64,
    /// CTF stream class id.
    pub stream_class_id: u64,
}

/// What comes next at a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// This record. If the file is not there or ends before it, call [`Cursor::skip_file`] and ask again.
    Record(Place),
    /// Everything was read, and nothing new came until then.
    Inactive(Beacon),
    /// Everything was read.
    Idle,
    /// Everything was read, and no more will come.
    End,
}

/// What changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The current data file.
    pub data: Option<FileKey>,
    /// The current index file.
    pub index: Option<FileKey>,
    /// Records in the current index file; bytes in the data file of a metadata stream.
    pub amount: u64,
    /// Nothing more will come.
    pub closed: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Published {
    tracefiles: Tracefiles,
    /// The number of the first stretch here.
    first: u64,
    /// Never empty.
    stretches: VecDeque<Stretch>,
    beacon: Option<Beacon>,
    /// A packet's index came.
    begun: bool,
    closed: bool,
}

#[derive(Debug)]
struct Stretch {
    chunk: ChunkId,
    /// The newest data file.
    newest_data: u64,
    /// The newest index file, if there is one.
    newest_index: Option<u64>,
    /// In the newest index file; of a metadata stream, in its file.
    amount: u64,
    /// No more is added.
    left: bool,
}

impl Stretch {
    fn new(chunk: ChunkId) -> Self {
        Self {
            chunk,
            newest_data: 0,
            newest_index: None,
            amount: 0,
            left: false,
        }
    }
}

impl Published {
    /// A stream that begins in this chunk.
    #[must_use]
    pub fn new(chunk: ChunkId, tracefiles: Tracefiles) -> Self {
        Self {
            tracefiles,
            first: 0,
            stretches: VecDeque::from([Stretch::new(chunk)]),
            beacon: None,
            begun: false,
            closed: false,
        }
    }

    /// The stream changed. `true` when viewers have to know.
    pub fn update(&mut self, state: State) -> bool {
        let mut news = state.closed != self.closed;
        self.closed = state.closed;
        match state.data {
            Some(data) => {
                let is_current = self
                    .stretches
                    .back()
                    .is_some_and(|last| !last.left && last.chunk == data.chunk);
                if !is_current {
                    self.leave();
                    self.stretches.push_back(Stretch::new(data.chunk));
                    self.trim(MAX_STRETCHES);
                    news = true;
                }
                let Some(last) = self.stretches.back_mut() else {
                    return news;
                };
                last.newest_data = data.generation;
                let index = state
                    .index
                    .filter(|index| index.chunk == data.chunk)
                    .map(|index| index.generation);
                news |= (last.newest_index, last.amount) != (index, state.amount);
                (last.newest_index, last.amount) = (index, state.amount);
            }
            None => news |= self.leave(),
        }
        news
    }

    /// The current stretch is over. `true` when it was not before.
    fn leave(&mut self) -> bool {
        self.stretches
            .back_mut()
            .is_some_and(|last| !std::mem::replace(&mut last.left, true))
    }

    /// An index or a beacon came. `waiting`: an index waits for its packet, so a beacon that came after it
    /// would be told before it, and is ignored. So is one before the first packet: that begins when the buffer
    /// was made, and may be sent later. `true` when viewers have to know.
    pub fn on_index(&mut self, index: &PacketIndex, waiting: bool) -> bool {
        if !index.is_beacon() {
            self.beacon = None;
            self.begun = true;
            return false;
        }
        if waiting || !self.begun {
            return false;
        }
        let beacon = Beacon {
            timestamp_end: index.timestamp_end,
            stream_class_id: index.stream_class_id,
        };
        self.beacon.replace(beacon) != Some(beacon)
    }

    /// Nobody watches: only the current stretch is kept.
    pub fn forget_old(&mut self) {
        self.trim(1);
    }

    fn trim(&mut self, keep: usize) {
        while self.stretches.len() > keep {
            self.stretches.pop_front();
            self.first += 1;
        }
    }

    /// The numbers of the stretches here; the last is the current one.
    #[must_use]
    pub fn stretches(&self) -> std::ops::Range<u64> {
        self.first..self.first + self.stretches.len() as u64
    }

    /// Before the first packet that is still there.
    #[must_use]
    pub fn beginning(&self) -> Cursor {
        Cursor {
            stretch: self.first,
            generation: 0,
            record: 0,
        }
    }

    /// Behind the last packet.
    #[must_use]
    pub fn end(&self) -> Cursor {
        let stretch = self.stretches().end.saturating_sub(1);
        let (generation, record) = match self.stretches.back() {
            Some(last) if last.left => (last.newest_data + 1, 0),
            Some(last) => (last.newest_index.unwrap_or(0), last.amount),
            None => (0, 0),
        };
        Cursor {
            stretch,
            generation,
            record,
        }
    }

    /// What comes next at this cursor, which moves to it.
    pub fn next(&self, cursor: &mut Cursor) -> Next {
        if cursor.stretch < self.first {
            *cursor = self.beginning();
        }
        while let Some(stretch) = self.stretch(cursor.stretch) {
            if let Some(place) = self.record_in(stretch, cursor) {
                return Next::Record(place);
            }
            if self.stretch(cursor.stretch + 1).is_none() {
                break;
            }
            *cursor = Cursor {
                stretch: cursor.stretch + 1,
                generation: 0,
                record: 0,
            };
        }
        match self.beacon {
            _ if self.closed => Next::End,
            Some(beacon) => Next::Inactive(beacon),
            None => Next::Idle,
        }
    }

    fn record_in(&self, stretch: &Stretch, cursor: &mut Cursor) -> Option<Place> {
        let oldest = self.oldest_generation(stretch.newest_data);
        if cursor.generation < oldest {
            (cursor.generation, cursor.record) = (oldest, 0);
        }
        let is_there = if stretch.left {
            cursor.generation <= stretch.newest_data
        } else {
            match stretch.newest_index {
                Some(newest) if cursor.generation == newest => cursor.record < stretch.amount,
                Some(newest) => cursor.generation < newest,
                None => false,
            }
        };
        is_there.then_some(Place {
            stretch: cursor.stretch,
            file: FileKey {
                chunk: stretch.chunk,
                generation: cursor.generation,
            },
            record: cursor.record,
        })
    }

    /// The oldest generation whose file was not overwritten when this one was created.
    fn oldest_generation(&self, newest: u64) -> u64 {
        match self.tracefiles {
            Tracefiles { size: 0, .. } | Tracefiles { count: 0, .. } => 0,
            Tracefiles { count, .. } => (newest + 1).saturating_sub(count),
        }
    }

    /// Is this file still the one that was told by this key?
    #[must_use]
    pub fn has(&self, stretch: u64, key: FileKey) -> bool {
        self.stretch(stretch).is_some_and(|stretch| {
            let oldest = self.oldest_generation(stretch.newest_data);
            stretch.chunk == key.chunk && key.generation >= oldest
        })
    }

    /// Where a metadata stream has more than the `sent` bytes: the stretch, its file, and its length. Every
    /// stretch begins with the same bytes as the one before.
    #[must_use]
    pub fn metadata(&self, sent: u64) -> Option<(u64, FileKey, u64)> {
        let newest_first = self.stretches.iter().enumerate().rev();
        newest_first
            .map(|(at, stretch)| (self.first + at as u64, stretch))
            .find(|(_, stretch)| stretch.amount > sent)
            .map(|(number, stretch)| {
                let file = FileKey {
                    chunk: stretch.chunk,
                    generation: 0,
                };
                (number, file, stretch.amount)
            })
    }

    /// Bytes of metadata in the current stretch.
    #[must_use]
    pub fn metadata_len(&self) -> u64 {
        self.stretches.back().map_or(0, |last| last.amount)
    }

    /// Nothing more will come.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    fn stretch(&self, number: u64) -> Option<&Stretch> {
        let at = number.checked_sub(self.first)?;
        self.stretches.get(usize::try_from(at).ok()?)
    }
}

impl Cursor {
    /// The record that was at it was read.
    pub fn advance(&mut self) {
        self.record += 1;
    }

    /// The file that it was in has no such record.
    pub fn skip_file(&mut self) {
        self.generation += 1;
        self.record = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL_IN_ONE: Tracefiles = Tracefiles { size: 0, count: 0 };
    const TWO_FILES: Tracefiles = Tracefiles { size: 9, count: 2 };

    fn key(chunk: u64, generation: u64) -> FileKey {
        FileKey {
            chunk: ChunkId(chunk),
            generation,
        }
    }

    fn open(data: FileKey, index: Option<FileKey>, amount: u64) -> State {
        State {
            data: Some(data),
            index,
            amount,
            closed: false,
        }
    }

    fn beacon(timestamp_end: u64) -> PacketIndex {
        PacketIndex {
            timestamp_end,
            ..PacketIndex::default()
        }
    }

    /// Reads on until nothing is left; a file holds as many records as `len_of` says.
    fn read(
        stream: &Published,
        cursor: &mut Cursor,
        len_of: impl Fn(FileKey) -> u64,
    ) -> Vec<(FileKey, u64)> {
        let mut records = Vec::new();
        while let Next::Record(place) = stream.next(cursor) {
            if place.record < len_of(place.file) {
                records.push((place.file, place.record));
                cursor.advance();
            } else {
                cursor.skip_file();
            }
        }
        records
    }

    #[test]
    fn the_end_is_behind_what_is_there_and_the_beginning_before_it() {
        let mut stream = Published::new(ChunkId(0), ALL_IN_ONE);
        let (mut first, mut last) = (stream.beginning(), stream.end());
        assert_eq!(stream.next(&mut first), Next::Idle);
        assert!(stream.update(open(key(0, 0), Some(key(0, 0)), 2)));
        assert!(!stream.update(open(key(0, 0), Some(key(0, 0)), 2)));
        let mut late = stream.end();
        for cursor in [&mut first, &mut last] {
            let records = read(&stream, cursor, |_| 2);
            assert_eq!(records, [(key(0, 0), 0), (key(0, 0), 1)]);
        }
        assert_eq!(stream.next(&mut late), Next::Idle);
        stream.update(open(key(0, 0), Some(key(0, 0)), 3));
        assert_eq!(read(&stream, &mut late, |_| 3), [(key(0, 0), 2)]);
    }

    #[test]
    fn a_beacon_is_told_behind_the_last_packet_only_and_a_packet_ends_it() {
        let mut stream = Published::new(ChunkId(0), ALL_IN_ONE);
        let mut cursor = stream.beginning();
        let packet = PacketIndex {
            packet_size_bits: 8,
            ..beacon(9)
        };
        assert!(!stream.on_index(&beacon(6), false), "no packet yet");
        stream.on_index(&packet, false);
        assert!(stream.on_index(&beacon(7), false));
        assert!(!stream.on_index(&beacon(7), false));
        let inactive = |timestamp_end| {
            Next::Inactive(Beacon {
                timestamp_end,
                stream_class_id: 0,
            })
        };
        assert_eq!(stream.next(&mut cursor), inactive(7));
        stream.on_index(&packet, false);
        assert_eq!(stream.next(&mut cursor), Next::Idle);
        // The packet itself has not come: this beacon is later than it.
        assert!(!stream.on_index(&beacon(11), true));
        assert_eq!(stream.next(&mut cursor), Next::Idle);
        stream.update(open(key(0, 0), Some(key(0, 0)), 1));
        stream.on_index(&beacon(12), false);
        assert!(matches!(stream.next(&mut cursor), Next::Record(_)));
        cursor.advance();
        assert_eq!(stream.next(&mut cursor), inactive(12));
    }

    #[test]
    fn overwritten_files_are_skipped() {
        let mut stream = Published::new(ChunkId(0), TWO_FILES);
        let mut cursor = stream.beginning();
        stream.update(open(key(0, 4), Some(key(0, 3)), 5));
        // Of generations 0 to 4 only 3 and 4 are there; 4 has no index yet.
        let five = [0, 1, 2, 3, 4].map(|record| (key(0, 3), record));
        assert_eq!(read(&stream, &mut cursor, |_| 5), five);
        stream.update(open(key(0, 4), Some(key(0, 4)), 1));
        assert_eq!(read(&stream, &mut cursor, |_| 5), [(key(0, 4), 0)]);
    }

    #[test]
    fn a_rotation_does_not_lose_what_was_not_read() {
        let mut stream = Published::new(ChunkId(0), ALL_IN_ONE);
        let mut cursor = stream.beginning();
        stream.update(open(key(0, 0), Some(key(0, 0)), 1));
        // The second packet completes and the stream moves on in one step.
        stream.update(open(key(1, 0), None, 0));
        stream.update(open(key(1, 0), Some(key(1, 0)), 1));
        let records = read(&stream, &mut cursor, |file| 2 - file.chunk.0);
        assert_eq!(records, [(key(0, 0), 0), (key(0, 0), 1), (key(1, 0), 0)]);
    }

    #[test]
    fn the_end_comes_after_the_last_record() {
        let mut stream = Published::new(ChunkId(0), ALL_IN_ONE);
        let mut cursor = stream.beginning();
        stream.update(open(key(0, 0), Some(key(0, 0)), 1));
        stream.update(State {
            closed: true,
            ..State::default()
        });
        assert_eq!(read(&stream, &mut cursor, |_| 2).len(), 2);
        assert_eq!(stream.next(&mut cursor), Next::End);
        assert_eq!(stream.next(&mut stream.end()), Next::End);
    }

    #[test]
    fn a_viewer_that_lags_too_far_goes_on_with_what_is_kept() {
        let mut stream = Published::new(ChunkId(0), ALL_IN_ONE);
        let mut cursor = stream.beginning();
        for chunk in 0..20 {
            stream.update(open(key(chunk, 0), Some(key(chunk, 0)), 1));
        }
        let records = read(&stream, &mut cursor, |_| 1);
        assert_eq!(records.len(), MAX_STRETCHES);
        assert_eq!(records.last(), Some(&(key(19, 0), 0)));
        stream.forget_old();
        assert_eq!(stream.stretches(), 19..20);
    }

    #[test]
    fn metadata_that_begins_again_is_told_beyond_what_was_sent() {
        let mut stream = Published::new(ChunkId(0), ALL_IN_ONE);
        stream.update(open(key(0, 0), None, 4096));
        assert_eq!(stream.metadata(0), Some((0, key(0, 0), 4096)));
        assert_eq!(stream.metadata(4096), None);
        stream.update(open(key(1, 0), None, 0));
        assert_eq!(stream.metadata(0), Some((0, key(0, 0), 4096)));
        stream.update(open(key(1, 0), None, 8192));
        assert_eq!(stream.metadata(4096), Some((1, key(1, 0), 8192)));
        assert_eq!(stream.metadata_len(), 8192);
    }
}
