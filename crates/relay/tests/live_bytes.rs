//! Whatever a viewer sends, nothing panics; and what a viewer reads of a stream is what the relay wrote, in
//! order and once, whatever happens to the stream meanwhile.

use std::collections::HashMap;

use proptest::collection::vec;
use proptest::prelude::*;
use relay::live::{Next, Published, SessionEntry, State, StreamEntry, ViewerPeer, ViewerReply};
use relay::live::{ViewerCommand, ViewerStep};
use relay::server::{FileKey, Tracefiles};
use relay::{ChunkId, Minor};

/// Small numbers are common, so that commands are often known.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(
        prop_oneof![6 => Just(0_u8), 2 => 1..10_u8, 1 => any::<u8>()],
        0..800,
    )
}

fn connect() -> Vec<u8> {
    let mut message = vec![0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0, 0];
    message.extend([0xff; 8]);
    message.extend([0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 1]);
    message
}

/// Everything the peer says to these bytes, cut like this.
fn converse(bytes: &[u8], cut: usize) -> Vec<ViewerStep> {
    let mut peer = ViewerPeer::default();
    let mut steps = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let len = cut.min(peer.room()).min(rest.len());
        if len == 0 {
            // Full of requests, but all were taken: it is closing.
            break;
        }
        let (piece, after) = rest.split_at(len);
        rest = after;
        peer.on_bytes(piece);
        loop {
            match peer.next_request(1) {
                ViewerStep::NeedMore => break,
                step => steps.push(step),
            }
        }
    }
    steps
}

proptest! {
    #[test]
    fn viewer_bytes(bytes in bytes(), cut in 1..100_usize, connected: bool) {
        let message = if connected { [connect(), bytes].concat() } else { bytes };
        prop_assert_eq!(converse(&message, cut), converse(&message, 1000));
    }

    #[test]
    fn replies(command in 0..12_u32, minor in 0..17_u32, bytes in bytes()) {
        let command = ViewerCommand(command);
        if let Some(reply) = ViewerReply::parse_head(command, &bytes) {
            let mut encoded = Vec::new();
            reply.encode_into(&mut encoded);
            prop_assert_eq!(encoded.len(), ViewerReply::head_len(command));
            prop_assert_eq!(ViewerReply::parse_head(command, &encoded), Some(reply));
        }
        if let Some((entry, len)) = SessionEntry::parse(Minor(minor), &bytes) {
            prop_assert!(len <= bytes.len());
            let mut encoded = Vec::new();
            entry.encode_into(Minor(minor), &mut encoded);
            prop_assert!(SessionEntry::parse(Minor(minor), &encoded).is_some());
        }
        let _ = StreamEntry::parse(&bytes);
    }
}

/// What can happen to a stream.
#[derive(Clone, Copy, Debug)]
enum Event {
    Packet,
    NextTracefile,
    NextChunk,
    /// The viewer reads on, so many records at most.
    Read(usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => Just(Event::Packet),
        1 => Just(Event::NextTracefile),
        1 => Just(Event::NextChunk),
        3 => (1..6_usize).prop_map(Event::Read),
    ]
}

proptest! {
    #[test]
    fn every_packet_is_read_once_and_in_order(
        events in vec(event(), 0..60),
        count in prop_oneof![Just(0_u64), 1..4_u64],
    ) {
        let tracefiles = Tracefiles { size: 1, count };
        let mut stream = Published::new(ChunkId(0), tracefiles);
        let mut cursor = stream.beginning();
        let mut files: HashMap<FileKey, Vec<u64>> = HashMap::new();
        let (mut data, mut index, mut packets) = (FileKey { chunk: ChunkId(0), generation: 0 }, None, 0);
        let mut last_read = None;
        let mut chunks = 0;
        let mut read = |stream: &Published, files: &HashMap<FileKey, Vec<u64>>, at_most: usize| {
            let mut left = at_most;
            while left > 0 {
                let Next::Record(place) = stream.next(&mut cursor) else { break };
                let record = files.get(&place.file).and_then(|file| file.get(place.record as usize));
                match record {
                    Some(packet) => {
                        // Nothing twice, nothing out of order; gaps only where files were overwritten.
                        let next = last_read.map_or(0, |last: u64| last + 1);
                        assert!(*packet >= next && (count > 0 || *packet == next), "{packet} after {last_read:?}");
                        last_read = Some(*packet);
                        cursor.advance();
                        left -= 1;
                    }
                    None => cursor.skip_file(),
                }
            }
        };
        for event in events {
            match event {
                Event::Packet => {
                    index = Some(data);
                    files.entry(data).or_default().push(packets);
                    packets += 1;
                }
                Event::NextTracefile => data.generation += 1,
                Event::NextChunk if chunks < 6 => {
                    chunks += 1;
                    data = FileKey { chunk: ChunkId(chunks), generation: 0 };
                    index = None;
                }
                Event::NextChunk => {}
                Event::Read(at_most) => read(&stream, &files, at_most),
            }
            let amount = index.and_then(|file| files.get(&file)).map_or(0, |file| file.len() as u64);
            stream.update(State { data: Some(data), index, amount, closed: false });
        }
        stream.update(State { closed: true, ..State::default() });
        read(&stream, &files, usize::MAX);
        if index == Some(data) {
            prop_assert_eq!(last_read, Some(packets - 1));
        }
        prop_assert_eq!(stream.next(&mut cursor), Next::End);
    }
}
