//! What a session can tell of itself.

use consumer_api::Counters;

/// What the consumer daemon calls a channel of the kernel in its totals: both domains may have a channel of
/// the same name.
pub(crate) fn kernel_label(channel: &str) -> String {
    consumer_api::channel_label(channel, true)
}

/// Totals of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SessionCounters {
    /// Over all channels.
    pub total: Counters,
    /// By channel name.
    pub channels: Vec<(String, Counters)>,
}

impl SessionCounters {
    /// Those of a channel, zero if nothing was counted.
    pub(crate) fn channel(&self, name: &str) -> Counters {
        self.channels
            .iter()
            .find(|(known, _)| known == name)
            .map_or_else(Counters::default, |(_, c)| *c)
    }

    /// Adds the totals of others.
    pub(super) fn add(&mut self, other: &Self) {
        self.total = add(self.total, other.total);
        for (name, counters) in &other.channels {
            *self.channel_mut(name) = add(self.channel(name), *counters);
        }
    }

    /// Takes away events and packets that were counted here too. What was discarded or lost stays that.
    pub(super) fn take_away(&mut self, other: &Self) {
        self.total = take_away(self.total, other.total);
        for (name, counters) in &other.channels {
            *self.channel_mut(name) = take_away(self.channel(name), *counters);
        }
    }

    /// Adds what was counted of a channel.
    pub(super) fn add_to_channel(&mut self, name: &str, more: &Counters) {
        self.total = add(self.total, *more);
        *self.channel_mut(name) = add(self.channel(name), *more);
    }

    fn channel_mut(&mut self, name: &str) -> &mut Counters {
        let at = self.channels.iter().position(|(known, _)| known == name);
        let at = at.unwrap_or_else(|| {
            self.channels.push((name.to_owned(), Counters::default()));
            self.channels.len() - 1
        });
        &mut self.channels[at].1
    }
}

fn add(a: Counters, b: Counters) -> Counters {
    Counters {
        events: a.events.saturating_add(b.events),
        packets: a.packets.saturating_add(b.packets),
        bytes: a.bytes.saturating_add(b.bytes),
        discarded_events: a.discarded_events.saturating_add(b.discarded_events),
        lost_packets: a.lost_packets.saturating_add(b.lost_packets),
    }
}

fn take_away(a: Counters, b: Counters) -> Counters {
    Counters {
        events: a.events.saturating_sub(b.events),
        packets: a.packets.saturating_sub(b.packets),
        bytes: a.bytes.saturating_sub(b.bytes),
        ..a
    }
}

/// State of a session's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OutputStatus {
    /// Not needed yet.
    Unused,
    /// Takes packets.
    Ready {
        /// Local directory, or the directory that the relay daemon reported.
        path: String,
        /// On another machine.
        remote: bool,
    },
    /// The relay daemon is out of reach; it is tried again and again.
    Reconnecting {
        /// As above.
        path: String,
        /// Why.
        reason: String,
    },
    /// Takes nothing.
    Failed {
        /// As above.
        path: String,
        /// Why.
        reason: String,
    },
}
