//! The trace chunks of a session: their numbers, names and places.

use consumer_api::{ChunkEnding, ChunkSetup};

/// A trace chunk that packets go to, or will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Counts the chunks of the session, from 0.
    pub(super) id: u64,
    /// Seconds since the Unix epoch.
    pub(super) created_unix_s: u64,
    /// Below the directory of its place, while it is current; empty = that directory itself.
    path: String,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    next_id: u64,
    /// None before the first start, after a rotation of an inactive session, and without a place.
    pub(super) current: Option<Chunk>,
    /// One of the present place was archived: the directory of the place holds chunks, and is none itself.
    pub(super) archived: bool,
}

impl Chunks {
    /// A chunk that nothing has gone to yet. `archived`: there are others before it.
    pub(super) fn make(&mut self, created_unix_s: u64, archived: bool) -> Chunk {
        let id = self.next_id;
        self.next_id += 1;
        let path = if archived {
            format!("{}-{id}", datetime(created_unix_s))
        } else {
            String::new()
        };
        Chunk {
            id,
            created_unix_s,
            path,
        }
    }

    /// Number of the current one.
    pub(super) fn current_id(&self) -> Option<u64> {
        self.current.as_ref().map(|chunk| chunk.id)
    }

    /// The next chunk goes to another place.
    pub(super) fn leave_place(&mut self) {
        self.current = None;
        self.archived = false;
    }

    /// What becomes of the current chunk when the place is left: it goes where the others are.
    pub(super) fn last_ending(&self, closed_unix_s: u64) -> ChunkEnding {
        match &self.current {
            Some(chunk) if self.archived => chunk.archive(closed_unix_s),
            _ => ChunkEnding::Keep,
        }
    }
}

impl Chunk {
    /// For the consumer daemon.
    pub(super) fn setup(&self, watch_bytes: Option<u64>) -> ChunkSetup {
        ChunkSetup {
            chunk_id: self.id,
            created_unix_s: self.created_unix_s,
            path: self.path.clone(),
            watch_bytes: watch_bytes.unwrap_or(0),
            ..ChunkSetup::default()
        }
    }

    /// Its place among the archives.
    pub(super) fn archive(&self, closed_unix_s: u64) -> ChunkEnding {
        let begin = datetime(self.created_unix_s);
        let end = datetime(closed_unix_s);
        let path = format!("archives/{begin}-{end}-{}", self.id);
        ChunkEnding::Archive { path }
    }
}

/// `20261122T214901+0000`, local time.
fn datetime(unix_s: u64) -> String {
    let time = jiff::Timestamp::from_second(i64::try_from(unix_s).unwrap_or(0));
    let time = time
        .unwrap_or_default()
        .to_zoned(jiff::tz::TimeZone::system());
    time.strftime("%Y%m%dT%H%M%S%z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_chunk_is_the_directory_and_later_ones_are_below() {
        let mut chunks = Chunks::default();
        let first = chunks.make(1_000_000_000, false);
        assert_eq!((first.id, first.path.as_str()), (0, ""));
        let ChunkEnding::Archive { path } = first.archive(1_000_000_001) else {
            panic!("not archived");
        };
        assert!(
            path.starts_with("archives/2001090") && path.ends_with("-0"),
            "{path}"
        );
        let next = chunks.make(1_000_000_001, true);
        assert!(
            next.path.starts_with("2001090") && next.path.ends_with("-1"),
            "{}",
            next.path
        );
    }

    #[test]
    fn a_place_without_archives_keeps_its_last_chunk() {
        let mut chunks = Chunks::default();
        chunks.current = Some(chunks.make(1, false));
        assert_eq!(chunks.last_ending(2), ChunkEnding::Keep);
        chunks.archived = true;
        assert!(matches!(chunks.last_ending(2), ChunkEnding::Archive { .. }));
        chunks.leave_place();
        assert_eq!(chunks.last_ending(2), ChunkEnding::Keep);
    }
}
