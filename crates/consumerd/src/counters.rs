//! What went through, counted by the engine and read by the control thread at any time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use consumer_api::{Answer, Counters};

/// Totals of one channel, over all its streams, those that have ended included.
#[derive(Debug, Default)]
pub(crate) struct ChannelTotals {
    events: AtomicU64,
    packets: AtomicU64,
    bytes: AtomicU64,
    discarded_events: AtomicU64,
    lost_packets: AtomicU64,
}

impl ChannelTotals {
    /// Counts more.
    pub(crate) fn add(&self, more: &Counters) {
        // Relaxed: numbers for people, written by one thread.
        self.events.fetch_add(more.events, Ordering::Relaxed);
        self.packets.fetch_add(more.packets, Ordering::Relaxed);
        self.bytes.fetch_add(more.bytes, Ordering::Relaxed);
        self.discarded_events
            .fetch_add(more.discarded_events, Ordering::Relaxed);
        self.lost_packets
            .fetch_add(more.lost_packets, Ordering::Relaxed);
    }

    fn get(&self) -> Counters {
        Counters {
            events: self.events.load(Ordering::Relaxed),
            packets: self.packets.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            discarded_events: self.discarded_events.load(Ordering::Relaxed),
            lost_packets: self.lost_packets.load(Ordering::Relaxed),
        }
    }
}

/// Totals of the session.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    channels: Mutex<Vec<(String, Arc<ChannelTotals>)>>,
    metadata_bytes: AtomicU64,
}

impl Totals {
    /// The totals of the channel of this name; the same for all traces.
    pub(crate) fn channel(&self, name: &str) -> Arc<ChannelTotals> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, totals)) = channels.iter().find(|(known, _)| known == name) {
            return totals.clone();
        }
        let totals = Arc::new(ChannelTotals::default());
        channels.push((name.to_owned(), totals.clone()));
        totals
    }

    /// Counts metadata that was delivered.
    pub(crate) fn add_metadata(&self, bytes: u64) {
        self.metadata_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Everything delivered so far: grows as long as the output takes something.
    pub(crate) fn total(&self) -> Counters {
        let mut total = Counters {
            bytes: self.metadata_bytes.load(Ordering::Relaxed),
            ..Counters::default()
        };
        for (_, channel) in self.by_channel() {
            add(&mut total, &channel);
        }
        total
    }

    /// As the session daemon asks for it.
    pub(crate) fn answer(&self) -> Answer {
        Answer::Counters {
            total: self.total(),
            channels: self.by_channel(),
            path: None,
        }
    }

    fn by_channel(&self) -> Vec<(String, Counters)> {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels
            .iter()
            .map(|(name, totals)| (name.clone(), totals.get()))
            .collect()
    }
}

/// Adds field by field.
pub(crate) fn add(to: &mut Counters, more: &Counters) {
    to.events += more.events;
    to.packets += more.packets;
    to.bytes += more.bytes;
    to.discarded_events += more.discarded_events;
    to.lost_packets += more.lost_packets;
}
