//! How far a stream may be told to be inactive while there are streams that the viewer was not told of.
//!
//! babeltrace2 2.0.4 shows events in the order of time, up to the time until which every stream it knows is
//! known. It learns of new streams only with the index of a packet. If all its streams are idle when an
//! application starts, it has shown everything up to a time after the application's first events by the time a
//! packet tells it of them: it fails then, for it cannot go back. (With a stock relay daemon it does.)
//!
//! So, until it has asked for the new streams, no stream is told to be inactive for longer than until the newest
//! time that was known when the new streams were announced, which is before their first event. A few cycles
//! more are told for every packet that waits in another stream, so that the viewer gets to ask for that packet.

use super::Beacon;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Curb {
    /// The newest time that was known when the new streams were announced.
    pub limit: u64,
    /// Another of the viewer's streams has a packet to tell.
    pub packet_waits: bool,
    /// So many streams the viewer has,
    pub streams: u64,
    /// and so many of them come before this one: no two are told the same time, for babeltrace2 warns of that.
    pub ordinal: u64,
}

impl Curb {
    /// What may be told of a stream whose last beacon is `beacon`, of which everything up to `told` was told.
    /// `None`: nothing.
    #[must_use]
    pub fn apply(&self, beacon: Beacon, told: u64) -> Option<Beacon> {
        let limit = self.limit.saturating_sub(self.ordinal);
        let up_to = if told < limit {
            limit
        } else if self.packet_waits {
            told.saturating_add(self.streams.max(1))
        } else {
            told
        };
        let up_to = up_to.min(beacon.timestamp_end);
        (up_to > told).then_some(Beacon {
            timestamp_end: up_to,
            ..beacon
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(timestamp_end: u64) -> Beacon {
        Beacon {
            timestamp_end,
            stream_class_id: 3,
        }
    }

    fn curb(packet_waits: bool) -> Curb {
        Curb {
            limit: 100,
            packet_waits,
            streams: 2,
            ordinal: 1,
        }
    }

    #[test]
    fn time_stops_when_new_streams_are_announced() {
        assert_eq!(curb(false).apply(at(90), 50), Some(at(90)));
        assert_eq!(curb(false).apply(at(120), 90), Some(at(99)));
        assert_eq!(curb(false).apply(at(130), 99), None);
    }

    #[test]
    fn it_goes_on_a_little_for_a_packet_that_waits() {
        assert_eq!(curb(true).apply(at(130), 99), Some(at(101)));
        assert_eq!(curb(true).apply(at(130), 101), Some(at(103)));
        // But never further than is known.
        assert_eq!(curb(true).apply(at(102), 102), None);
    }
}
