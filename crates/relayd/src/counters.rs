//! What a session has done, counted where it happens. Each session has its own counters, so that sessions
//! do not wait for each other's cache lines; those that are over are added up.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper ends of the classes of write times, in microseconds; one more class is above.
pub(crate) const WRITE_CLASSES_US: [u64; 10] = [
    10, 50, 100, 500, 1_000, 5_000, 10_000, 100_000, 1_000_000, 10_000_000,
];
const CLASSES: usize = WRITE_CLASSES_US.len() + 1;

/// Counts of one session. Only added to, so no ordering is needed.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    streams: AtomicU64,
    packets: AtomicU64,
    packet_bytes: AtomicU64,
    metadata_bytes: AtomicU64,
    indexes: AtomicU64,
    events_discarded: AtomicU64,
    write_ns: AtomicU64,
    writes: [AtomicU64; CLASSES],
}

/// Counters as they were at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) streams: u64,
    pub(crate) packets: u64,
    /// With padding, as in the files.
    pub(crate) packet_bytes: u64,
    pub(crate) metadata_bytes: u64,
    pub(crate) indexes: u64,
    pub(crate) events_discarded: u64,
    pub(crate) write_ns: u64,
    /// By class of [`WRITE_CLASSES_US`].
    pub(crate) writes: [u64; CLASSES],
}

impl Counters {
    pub(crate) fn stream(&self) {
        self.streams.fetch_add(1, Relaxed);
    }

    pub(crate) fn packet(&self, bytes: u64) {
        self.packets.fetch_add(1, Relaxed);
        self.packet_bytes.fetch_add(bytes, Relaxed);
    }

    pub(crate) fn metadata(&self, bytes: u64) {
        self.metadata_bytes.fetch_add(bytes, Relaxed);
    }

    /// `discarded`: events, since the last index of the stream.
    pub(crate) fn index(&self, discarded: u64) {
        self.indexes.fetch_add(1, Relaxed);
        if discarded > 0 {
            self.events_discarded.fetch_add(discarded, Relaxed);
        }
    }

    /// Bytes went into a file; it took so long.
    pub(crate) fn write(&self, took: Duration) {
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.write_ns.fetch_add(ns, Relaxed);
        let class = WRITE_CLASSES_US
            .iter()
            .position(|end_us| ns <= end_us * 1_000)
            .unwrap_or(CLASSES - 1);
        self.writes[class].fetch_add(1, Relaxed);
    }

    pub(crate) fn now(&self) -> Counts {
        let mut writes = [0; CLASSES];
        for (to, from) in writes.iter_mut().zip(&self.writes) {
            *to = from.load(Relaxed);
        }
        Counts {
            streams: self.streams.load(Relaxed),
            packets: self.packets.load(Relaxed),
            packet_bytes: self.packet_bytes.load(Relaxed),
            metadata_bytes: self.metadata_bytes.load(Relaxed),
            indexes: self.indexes.load(Relaxed),
            events_discarded: self.events_discarded.load(Relaxed),
            write_ns: self.write_ns.load(Relaxed),
            writes,
        }
    }
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.streams += other.streams;
        self.packets += other.packets;
        self.packet_bytes += other.packet_bytes;
        self.metadata_bytes += other.metadata_bytes;
        self.indexes += other.indexes;
        self.events_discarded += other.events_discarded;
        self.write_ns += other.write_ns;
        for (to, from) in self.writes.iter_mut().zip(&other.writes) {
            *to += from;
        }
    }

    /// How often bytes went into files.
    pub(crate) fn all_writes(&self) -> u64 {
        self.writes.iter().sum()
    }

    /// The end of the class in which `share` (0 to 1) of the writes are done, in microseconds; `None`: above
    /// all classes, or nothing was written.
    pub(crate) fn write_quantile_us(&self, share: f64) -> Option<u64> {
        let mut left = (self.all_writes() as f64 * share).ceil() as u64;
        if left == 0 {
            return None;
        }
        for (end_us, count) in WRITE_CLASSES_US.iter().zip(&self.writes) {
            if left <= *count {
                return Some(*end_us);
            }
            left -= count;
        }
        None
    }
}

/// What went wrong, by kind.
#[derive(Debug, Default)]
pub(crate) struct Errors {
    /// Sessions and streams that were refused.
    pub(crate) refused: AtomicU64,
    /// Connections closed because of what the peer sent.
    pub(crate) protocol: AtomicU64,
    /// Sessions that ended because something could not be written, or the peer broke the rules.
    pub(crate) failed_sessions: AtomicU64,
    /// Connections that were turned away: too many, or no descriptors.
    pub(crate) turned_away: AtomicU64,
}

impl Errors {
    pub(crate) fn by_kind(&self) -> [(&'static str, u64); 4] {
        [
            ("refused", self.refused.load(Relaxed)),
            ("protocol", self.protocol.load(Relaxed)),
            ("failed_session", self.failed_sessions.load(Relaxed)),
            ("turned_away", self.turned_away.load(Relaxed)),
        ]
    }
}

/// Counts one.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_sorted_by_how_long_they_took() {
        let counters = Counters::default();
        for us in [5, 10, 11, 700, 20_000_000] {
            counters.write(Duration::from_micros(us));
        }
        let counts = counters.now();
        assert_eq!(counts.writes, [2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
        assert_eq!(counts.all_writes(), 5);
        assert_eq!(counts.write_quantile_us(0.5), Some(50));
        assert_eq!(counts.write_quantile_us(0.99), None);
        assert_eq!(Counts::default().write_quantile_us(0.5), None);
    }

    #[test]
    fn counts_add_up() {
        let counters = Counters::default();
        counters.packet(4096);
        counters.index(3);
        counters.index(0);
        let mut sum = counters.now();
        sum.add(&counters.now());
        assert_eq!((sum.packets, sum.packet_bytes, sum.indexes), (2, 8192, 4));
        assert_eq!(sum.events_discarded, 6);
    }
}
