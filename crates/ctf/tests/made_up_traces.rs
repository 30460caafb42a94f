//! Writer, reader and decoder against each other on made-up traces of every layout.

use ctf::decode::{Decoder, Value};
use ctf::tsdl;
use proptest::prelude::*;

mod synthetic;

use synthetic::{Kinds, Layout, Rng, Synthetic};

fn layout() -> impl Strategy<Value = Layout> {
    prop::sample::select(Layout::all())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_schema_that_is_written_and_read_is_the_same(layout in layout(), seed: u64) {
        let made = Synthetic::new(layout, Kinds::All, &mut Rng(seed));
        let text = made.metadata();
        let schema = tsdl::parse(&text).unwrap();
        prop_assert_eq!(schema.trace_class(), Some(made.trace.clone()));
        prop_assert_eq!(schema.streams.len(), 1);
        prop_assert_eq!(schema.streams[&3].stream_class(), Some(made.stream.clone()));
        let events: Vec<_> = schema.events.values().map(|event| event.class.clone()).collect();
        prop_assert_eq!(events, made.events);
    }

    #[test]
    fn values_that_are_encoded_and_decoded_are_the_same(layout in layout(), seed: u64) {
        let mut rng = Rng(seed);
        let made = Synthetic::new(layout, Kinds::All, &mut rng);
        let (packet, expected) = made.packet(12, &mut rng);
        let decoder = Decoder::new(&made.metadata()).unwrap();

        let mut cursor = decoder.events(&packet).unwrap();
        for expected in &expected {
            let event = cursor.next_event().unwrap().expect("another event");
            prop_assert_eq!((event.id, event.timestamp), (expected.id, expected.timestamp));
            let fields = event.fields().unwrap();
            prop_assert_eq!(&fields.context, &expected.context);
            prop_assert_eq!(&fields.own_context, &Value::Struct(Vec::new()));
            prop_assert_eq!(&fields.payload, &expected.payload);
        }
        prop_assert!(cursor.next_event().unwrap().is_none());

        let summary = decoder.count_events(&packet).unwrap();
        prop_assert_eq!(summary.events, expected.len() as u64);
        prop_assert_eq!(summary.info.seq, Some(4));
        prop_assert_eq!(summary.info.discarded, Some(5));
        prop_assert_eq!(summary.info.cpu_id, Some(2));
        prop_assert_eq!(summary.info.stream_instance_id, Some(9));
        prop_assert_eq!(summary.info.end, expected.last().map(|event| event.timestamp));
    }

    #[test]
    fn damaged_packets_neither_panic_nor_hang(
        layout in layout(),
        seed: u64,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20),
        cut: prop::sample::Index,
    ) {
        let mut rng = Rng(seed);
        let made = Synthetic::new(layout, Kinds::All, &mut rng);
        let (mut packet, _) = made.packet(12, &mut rng);
        for (at, byte) in damage {
            let at = at.index(packet.len());
            // The header stays: without it nothing behind it would be looked at.
            if at >= 100 {
                packet[at] = byte;
            }
        }
        let decoder = Decoder::new(&made.metadata()).unwrap();
        walk(&decoder, &packet);
        walk(&decoder, &packet[..cut.index(packet.len())]);
        let _ = decoder.count_trace_file(&[packet.as_slice(), &packet].concat());
    }

    #[test]
    fn damaged_headers_neither_panic_nor_hang(layout in layout(), at in 0usize..120, bytes: [u8; 8]) {
        let made = Synthetic::new(layout, Kinds::All, &mut Rng(1));
        let (mut packet, _) = made.packet(12, &mut Rng(2));
        packet[at..at + 8].copy_from_slice(&bytes);
        let decoder = Decoder::new(&made.metadata()).unwrap();
        walk(&decoder, &packet);
        let _ = decoder.count_trace_file(&packet);
    }

    #[test]
    fn arbitrary_text_does_not_panic(text in "[ -~\n]{0,200}") {
        let _ = tsdl::parse(&text);
    }

    /// Real metadata with words taken out, doubled and exchanged: deeper into the parser than noise.
    #[test]
    fn mixed_up_metadata_does_not_panic(
        seed: u64,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0u8..4), 1..8),
    ) {
        let mut rng = Rng(seed);
        let made = Synthetic::new(Layout::all()[0], Kinds::All, &mut rng);
        let (packet, _) = made.packet(12, &mut rng);
        let text = made.metadata();
        let mut words: Vec<&str> = text.split_inclusive([' ', '\n', '\t']).collect();
        for (at, other, change) in changes {
            let (at, other) = (at.index(words.len()), other.index(words.len()));
            match change {
                0 => drop(words.remove(at)),
                1 => words.insert(at, words[other]),
                2 => words.swap(at, other),
                _ => words.truncate(words.len() - at % 10),
            }
        }
        if let Ok(decoder) = Decoder::new(&words.concat()) {
            walk(&decoder, &packet);
        }
    }

    #[test]
    fn text_may_be_cut_anywhere(seed: u64, size in 1usize..200) {
        let made = Synthetic::new(Layout::all()[0], Kinds::All, &mut Rng(seed));
        let text = made.metadata();
        let mut reader = tsdl::Reader::new();
        for piece in text.as_bytes().chunks(size) {
            reader.append(std::str::from_utf8(piece).unwrap()).unwrap();
        }
        prop_assert!(!reader.is_incomplete());
        prop_assert_eq!(reader.schema(), &tsdl::parse(&text).unwrap());
    }
}

/// Decodes all that can be decoded. Skipping and decoding must agree on where events are.
fn walk(decoder: &Decoder, packet: &[u8]) {
    let counted = decoder.count_events(packet);
    let Ok(mut cursor) = decoder.events(packet) else {
        return;
    };
    let mut events = 0;
    loop {
        match cursor.next_event() {
            Ok(Some(event)) => {
                events += 1;
                let _ = event.fields();
            }
            Ok(None) => {
                assert_eq!(counted.map(|summary| summary.events), Ok(events));
                return;
            }
            Err(error) => {
                assert_eq!(counted, Err(error));
                return;
            }
        }
    }
}
