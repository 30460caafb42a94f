//! The traces that a session delivers, and what was delivered of them.
//!
//! The counts are in memory that the consumer daemon writes and that outlives it: they never step back, whatever
//! happens to it, and nobody has to be asked for them.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex};

use consumer_api::{Counters, Predecessor, Request, StreamKey, TraceKey, channel_label};
use ring_buffer::{Delivered, Tally};

use crate::app::SharedFd;
use crate::lock::lock;
use crate::session::live_trace::LiveTrace;
use crate::session::settle::{Doubt, Sent};
use crate::session::status::SessionCounters;

/// The slot of the metadata in each tally; those of the streams follow.
const METADATA_SLOT: usize = 0;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Traces that somebody writes or whose packets are not all delivered.
    live: BTreeMap<TraceKey, Arc<Tallied>>,
    /// Totals of the others.
    ended: SessionCounters,
    /// What was read and went nowhere.
    given_up: SessionCounters,
}

impl Ledger {
    /// Begins to count a trace.
    pub(super) fn add(&self, trace: Arc<dyn LiveTrace>) -> io::Result<Arc<Tallied>> {
        let key = trace.key();
        let tallied = Arc::new(Tallied::new(trace)?);
        lock(&self.inner).live.insert(key, tallied.clone());
        Ok(tallied)
    }

    /// All that is live, in the order of its creation.
    pub(super) fn live(&self) -> Vec<Arc<Tallied>> {
        lock(&self.inner).live.values().cloned().collect()
    }

    /// A live trace.
    pub(super) fn get(&self, trace: TraceKey) -> Option<Arc<Tallied>> {
        lock(&self.inner).live.get(&trace).cloned()
    }

    /// Nothing more will be delivered of a trace.
    pub(super) fn end(&self, trace: TraceKey) -> Option<Arc<Tallied>> {
        let mut inner = lock(&self.inner);
        let tallied = inner.live.remove(&trace)?;
        inner.ended.add(&tallied.counters());
        Some(tallied)
    }

    /// Totals over all traces.
    pub(super) fn counters(&self) -> SessionCounters {
        let inner = lock(&self.inner);
        let mut total = inner.ended.clone();
        for tallied in inner.live.values() {
            total.add(&tallied.counters());
        }
        total.take_away(&inner.given_up);
        total
    }

    /// The packets that were read since `before` went nowhere. Returns what was in them.
    pub(super) fn give_up_since(&self, before: &SessionCounters) -> Counters {
        let mut given_up = SessionCounters::default();
        let mut after = self.counters();
        after.take_away(before);
        for (channel, counters) in &after.channels {
            given_up.add_to_channel(channel, counters);
        }
        lock(&self.inner).given_up.add(&given_up);
        given_up.total
    }
}

/// A trace, and what was delivered of it.
#[derive(Debug)]
pub(super) struct Tallied {
    pub(super) trace: Arc<dyn LiveTrace>,
    tally: Tally,
    descriptor: SharedFd,
    /// In the order of their slots, with the name under which the channel is counted.
    streams: Vec<(StreamKey, String)>,
    /// Packets that arrived although the consumer daemon died before it counted them.
    settled: Mutex<HashMap<StreamKey, u64>>,
}

impl Tallied {
    /// Counts what is delivered from now on.
    pub(super) fn new(trace: Arc<dyn LiveTrace>) -> io::Result<Self> {
        let requests = trace.handover(&|_| None).into_iter();
        let streams: Vec<_> = requests
            .filter_map(|(request, _)| match request {
                Request::AddStream(setup) => {
                    let label = channel_label(&setup.channel_name, setup.kernel.is_some());
                    Some((setup.stream, label))
                }
                _ => None,
            })
            .collect();
        let (tally, descriptor) = Tally::create(METADATA_SLOT + 1 + streams.len())?;
        Ok(Self {
            trace,
            tally,
            descriptor: Arc::new(descriptor),
            streams,
            settled: Mutex::default(),
        })
    }

    /// The requests that give the trace to its first consumer daemon.
    pub(super) fn first_handover(&self) -> Vec<(Request, Vec<SharedFd>)> {
        self.with_tally(self.trace.handover(&|_| None))
    }

    /// The requests that give the trace to another consumer daemon, which goes on where the last one stopped.
    pub(super) fn next_handover(&self) -> Vec<(Request, Vec<SharedFd>)> {
        let settled = lock(&self.settled).clone();
        let last: HashMap<_, _> = self
            .slots()
            .map(|(slot, stream, _)| {
                let delivered = self.tally.read(slot);
                let arrived = settled.get(&stream).copied();
                let predecessor = Predecessor {
                    last_packet: delivered.last_packet().max(arrived),
                    discarded_events: delivered.discarded_seen,
                };
                (stream, predecessor)
            })
            .collect();
        let after = |stream| Some(last.get(&stream).copied().unwrap_or_default());
        self.with_tally(self.trace.handover(&after))
    }

    fn with_tally(
        &self,
        mut requests: Vec<(Request, Vec<SharedFd>)>,
    ) -> Vec<(Request, Vec<SharedFd>)> {
        for (request, fds) in &mut requests {
            if let Request::AddTrace(_) = request {
                fds.push(self.descriptor.clone());
            }
        }
        requests
    }

    /// Packets that a consumer daemon, which was killed, may have sent to a relay daemon, of which it had the
    /// streams by these numbers.
    pub(super) fn doubts(&self, handles: &HashMap<StreamKey, u64>) -> Vec<Doubt> {
        let doubt = |(slot, stream, _): (usize, StreamKey, &str)| {
            Some(Doubt {
                stream,
                sent: Sent {
                    handle: *handles.get(&stream)?,
                    net_seq_num: self.tally.read(slot).packets_here,
                },
                packet: self.tally.under_way(slot)?,
            })
        };
        self.slots().filter_map(doubt).collect()
    }

    /// The last packet of each stream that a consumer daemon has sent to a relay daemon, and counted; the last
    /// stream first, which is the order in which they are complete when the trace was read to its end.
    pub(super) fn counted(&self, handles: &HashMap<StreamKey, u64>) -> Vec<Sent> {
        let last = |(slot, stream, _): (usize, StreamKey, &str)| {
            Some(Sent {
                handle: *handles.get(&stream)?,
                net_seq_num: self.tally.read(slot).packets_here.checked_sub(1)?,
            })
        };
        let mut counted: Vec<_> = self.slots().filter_map(last).collect();
        counted.reverse();
        counted
    }

    /// The streams, without the metadata.
    pub(super) fn streams(&self) -> impl Iterator<Item = StreamKey> {
        self.streams.iter().map(|(stream, _)| *stream)
    }

    /// A packet that was in doubt has arrived.
    pub(super) fn settle(&self, stream: StreamKey, packet: u64) {
        if self.streams.iter().any(|(key, _)| *key == stream) {
            lock(&self.settled).insert(stream, packet);
        }
    }

    fn slots(&self) -> impl Iterator<Item = (usize, StreamKey, &str)> {
        let streams = self.streams.iter().enumerate();
        streams.map(|(at, (stream, channel))| (METADATA_SLOT + 1 + at, *stream, channel.as_str()))
    }

    /// Totals of the trace. Events count as discarded as soon as their writers drop them, not only when a
    /// packet tells of it.
    fn counters(&self) -> SessionCounters {
        let discarded = self.trace.discarded_events();
        let mut total = SessionCounters::default();
        for (slot, stream, channel) in self.slots() {
            let delivered = self.tally.read(slot);
            let dropped = discarded.get(&stream).copied().unwrap_or(0);
            total.add_to_channel(channel, &counters(&delivered, dropped));
        }
        total.total.bytes += self.tally.read(METADATA_SLOT).bytes;
        total
    }
}

fn counters(delivered: &Delivered, dropped: u64) -> Counters {
    Counters {
        events: delivered.events,
        packets: delivered.packets,
        bytes: delivered.bytes,
        discarded_events: delivered.discarded_events.max(dropped),
        lost_packets: delivered.lost_packets,
    }
}
