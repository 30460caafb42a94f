//! A viewer's connection and the streams it watches, as a relay daemon keeps them, with files that exist in the mind
//! only. What the target does, and what the viewer says, come in any order.

use relay::live::{
    Beacon, ConnectionKind, Curb, Cursor, Next, Place, Published, State, ViewerPeer, ViewerRequest,
    ViewerStep,
};
use relay::server::{FileKey, Tracefiles};
use relay::{ChunkId, MAJOR, Minor, PacketIndex, RelaySessionId, StreamHandle};

const STREAMS: usize = 3;
/// Questions that one cursor may need to get past the files that are not there.
const MOST_LOOKS: usize = 1 << 12;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Viewing {
    peer: ViewerPeer,
    streams: Vec<Watched>,
    is_over: bool,
}

#[derive(Debug)]
struct Watched {
    published: Published,
    state: State,
    cursor: Cursor,
    /// What the viewer was told last.
    last: Option<Place>,
    told: u64,
    clock: u64,
}

impl Watched {
    fn new(number: usize) -> Self {
        let tracefiles = Tracefiles {
            size: [0, 4096, 4096][number % STREAMS],
            count: [0, 0, 2][number % STREAMS],
        };
        let published = Published::new(ChunkId(0), tracefiles);
        Self {
            cursor: published.beginning(),
            published,
            state: State::default(),
            last: None,
            told: 0,
            clock: 0,
        }
    }

    /// The target does something.
    fn happens(&mut self, what: u8, amount: u8) {
        let key = |chunk, generation| FileKey { chunk, generation };
        let now = self.state.data.unwrap_or(key(ChunkId(0), 0));
        match what % 8 {
            0 | 1 => {
                self.clock += u64::from(amount) + 1;
                self.index(4096 * 8);
                self.state.data = Some(now);
                self.state.index = Some(now);
                self.state.amount += 1;
            }
            2 => {
                self.clock += u64::from(amount);
                self.index(0);
            }
            3 => {
                let next = key(now.chunk, now.generation + 1);
                (self.state.data, self.state.index, self.state.amount) = (Some(next), None, 0);
            }
            4 => {
                let next = key(ChunkId(now.chunk.0 + 1), 0);
                (self.state.data, self.state.index, self.state.amount) = (Some(next), None, 0);
            }
            5 => (self.state.data, self.state.index, self.state.amount) = (None, None, 0),
            6 => self.state.closed |= amount > 200,
            _ => self.published.forget_old(),
        }
        self.published.update(self.state);
    }

    /// A packet's index, or, of no bits, a beacon.
    fn index(&mut self, bits: u64) {
        let index = PacketIndex {
            packet_size_bits: bits,
            content_size_bits: bits,
            timestamp_end: self.clock,
            ..PacketIndex::default()
        };
        self.published.on_index(&index, false);
    }

    /// The viewer asks for the next packet.
    fn asked(&mut self, file_is_there: bool, curb: &Curb) {
        for _ in 0..MOST_LOOKS {
            match self.published.next(&mut self.cursor) {
                Next::Record(_) if !file_is_there => self.cursor.skip_file(),
                Next::Record(place) => {
                    self.check(place);
                    self.cursor.advance();
                    return;
                }
                Next::Inactive(beacon) => return self.tell(beacon, curb),
                Next::Idle => return,
                Next::End => {
                    assert!(self.state.closed, "the end of a stream that goes on");
                    return;
                }
            }
        }
        panic!("there is no end of files that are not there");
    }

    fn check(&mut self, place: Place) {
        let order = |place: Place| (place.stretch, place.file.generation, place.record);
        assert!(self.published.stretches().contains(&place.stretch));
        assert!(self.published.has(place.stretch, place.file));
        if let Some(last) = self.last.replace(place) {
            assert!(order(last) < order(place), "{last:?}, then {place:?}");
        }
    }

    fn tell(&mut self, beacon: Beacon, curb: &Curb) {
        let Some(told) = curb.apply(beacon, self.told) else {
            return;
        };
        assert!(told.timestamp_end > self.told && told.timestamp_end <= beacon.timestamp_end);
        self.told = told.timestamp_end;
    }
}

impl Viewing {
    pub(crate) fn on_event(&mut self, what: u8, amount: u8, rest: &[u8]) {
        if self.streams.is_empty() {
            self.streams = (0..STREAMS).map(Watched::new).collect();
        }
        let stream = usize::from(what >> 4) % STREAMS;
        match what % 16 {
            0..=7 => self.streams[stream].happens(what, amount),
            8 => self.viewer_says(rest, amount),
            9 => self.viewer_asks(
                &ViewerRequest::Connect {
                    major: MAJOR,
                    minor: Minor(u32::from(amount % 20)),
                    kind: ConnectionKind::COMMAND,
                },
                amount,
            ),
            10 => self.viewer_asks(&ViewerRequest::CreateSession, amount),
            11 => {
                let session = RelaySessionId(u64::from(amount));
                self.viewer_asks(&ViewerRequest::NewStreams { session }, amount);
            }
            _ => {
                let stream = StreamHandle(stream as u64);
                self.viewer_asks(&ViewerRequest::NextIndex { stream }, amount);
            }
        }
    }

    fn viewer_asks(&mut self, request: &ViewerRequest, cut: u8) {
        let bytes = request.encode();
        let (first, second) = bytes.split_at(usize::from(cut) % bytes.len());
        self.viewer_says(first, cut);
        self.viewer_says(second, cut);
    }

    fn viewer_says(&mut self, bytes: &[u8], amount: u8) {
        let room = self.peer.room().min(bytes.len());
        self.peer.on_bytes(&bytes[..room]);
        loop {
            let step = self.peer.next_request(1);
            assert!(
                !self.is_over || step == ViewerStep::NeedMore,
                "{step:?} after the end"
            );
            match step {
                ViewerStep::NeedMore => return,
                ViewerStep::Reply(_) => {}
                ViewerStep::Request(request) => self.answer(request, amount),
                ViewerStep::ReplyThenClose(..) | ViewerStep::Close(_) => self.is_over = true,
            }
        }
    }

    fn answer(&mut self, request: ViewerRequest, amount: u8) {
        assert!(self.peer.minor() <= Minor::NEWEST);
        let ViewerRequest::NextIndex { stream } = request else {
            return;
        };
        let Ok(number) = usize::try_from(stream.0) else {
            return;
        };
        let curb = Curb {
            limit: u64::from(amount) * 4,
            packet_waits: amount.is_multiple_of(2),
            streams: STREAMS as u64,
            ordinal: stream.0 % STREAMS as u64,
        };
        let Some(watched) = self.streams.get_mut(number) else {
            return;
        };
        watched.asked(amount % 8 != 7, &curb);
    }
}
