//! Readers and writers that died in the middle of something.

use super::{Bench, IDENTITY, S, content};
use crate::flush::FlushMode;
use crate::geometry::BufferMode::{self, Discard, Overwrite};
use crate::ids::SubbufId;
use crate::layout::PACKET_HEADER_BYTES;
use crate::read_error::AttachError;
use crate::reader::{Next, Reader};
use crate::sync::Ordering;

const FULL: u64 = S - PACKET_HEADER_BYTES;

impl Bench {
    /// The reader dies without a trace, another one takes its place.
    fn replace_reader(&mut self) -> Result<(), AttachError> {
        assert!(matches!(
            Reader::attach_to(self.memory.clone(), self.geometry, IDENTITY),
            Err(AttachError::Busy)
        ));
        let new = Reader::resume_on(self.memory.clone(), self.geometry, IDENTITY)?;
        std::mem::forget(std::mem::replace(&mut self.reader, new));
        Ok(())
    }

    fn first_bytes(&mut self) -> Vec<u8> {
        self.read()
            .iter()
            .map(|packet| packet[PACKET_HEADER_BYTES as usize])
            .collect()
    }
}

fn filled(mode: BufferMode, packets: u8) -> Bench {
    let bench = Bench::new(4, mode);
    for value in 0..packets {
        bench.write(value, FULL).unwrap();
    }
    bench
}

#[test]
fn a_new_reader_goes_on_where_the_old_one_stood() {
    for mode in [Discard, Overwrite] {
        let mut bench = filled(mode, 3);
        let Next::Packet(lease) = bench.reader.next_packet().unwrap() else {
            panic!("no packet");
        };
        lease.release();
        bench.replace_reader().unwrap();
        assert_eq!(bench.first_bytes(), [1, 2]);
        bench.write(9, FULL).unwrap();
        assert_eq!(bench.first_bytes(), [9]);
    }
}

#[test]
fn a_held_packet_is_read_by_the_successor_even_if_the_writers_came_round() {
    for rounds in [0, 1, 9] {
        let mut bench = filled(Overwrite, 3);
        let Next::Packet(lease) = bench.reader.next_packet().unwrap() else {
            panic!("no packet");
        };
        std::mem::forget(lease);
        let held = bench.reader.own;
        for value in 3..3 + rounds {
            bench.write(value, FULL).unwrap();
        }
        // Whether or not the flag had been cleared at the time of death.
        for noref in [true, false] {
            bench
                .reader
                .ring
                .read_side_id()
                .store(held.with_noref(noref).0, Ordering::Relaxed);
            let probe = Reader::resume_on(bench.memory.clone(), bench.geometry, IDENTITY).unwrap();
            let consumed = probe.positions().consumed;
            assert_eq!(
                probe.inherited,
                (consumed == 0).then_some(0),
                "{rounds} rounds"
            );
            std::mem::forget(probe);
        }
        bench.replace_reader().unwrap();
        let all = bench.first_bytes();
        assert!(
            all.is_sorted_by(|a, b| a < b),
            "twice or out of order: {all:?}"
        );
        assert_eq!(all.last(), Some(&(2 + rounds)));
        if rounds == 0 {
            assert_eq!(all, [0, 1, 2]);
        }
    }
}

#[test]
fn a_half_done_exchange_is_finished() {
    let mut bench = filled(Overwrite, 3);
    // The swap has happened, the note of it has not: the spare's index stands in both places.
    let spare = SubbufId::tagged(4, 0, true);
    let taken = bench.reader.ring.write_side_id(0).load(Ordering::Relaxed);
    bench
        .reader
        .ring
        .write_side_id(0)
        .store(spare.0, Ordering::Relaxed);
    bench
        .reader
        .ring
        .read_side_id()
        .store(spare.0, Ordering::Relaxed);
    assert_eq!(SubbufId(taken).index_untrusted(), 0);
    bench.replace_reader().unwrap();
    assert_eq!(bench.reader.inherited, Some(0));
    assert_eq!(bench.first_bytes(), [0, 1, 2]);
    for value in 3..20 {
        bench.write(value, FULL).unwrap();
    }
    assert_eq!(bench.first_bytes(), [16, 17, 18, 19]);
}

#[test]
fn ids_that_no_death_explains_are_refused() {
    let mut bench = filled(Overwrite, 1);
    let twice = SubbufId::tagged(2, 0, true).0;
    bench
        .reader
        .ring
        .write_side_id(1)
        .store(twice, Ordering::Relaxed);
    assert!(matches!(bench.replace_reader(), Err(AttachError::Ids)));
}

#[test]
fn what_a_killed_writer_left_is_cut_at_the_first_gap() {
    for mode in [Discard, Overwrite] {
        let mut bench = Bench::new(4, mode);
        bench.write(1, 100).unwrap();
        drop(bench.writer.reserve(50, || 1500).unwrap());
        bench.write(3, 100).unwrap();
        bench.write(4, FULL).unwrap();
        bench.flush(FlushMode::Full);
        assert!(matches!(bench.reader.next_packet(), Ok(Next::NotReady)));

        let mut packets = Vec::new();
        while let Next::Packet(lease) = bench.reader.salvage_packet().unwrap() {
            let header = *lease.header();
            assert!(header.timestamp_begin.get() <= header.timestamp_end.get());
            assert_eq!(header.content_size.get(), 8 * lease.content_len());
            packets.push(content(&lease));
            lease.release();
        }
        let sizes: Vec<u64> = packets.iter().map(|packet| packet.len() as u64).collect();
        assert_eq!(sizes, [84 + 100, S, 84], "{mode:?}");
        assert_eq!(packets[0][84..], [1; 100]);
        assert_eq!(packets[1][84..], vec![4; FULL as usize]);
    }
}

#[test]
fn a_writer_killed_before_the_header_leaves_a_counted_gap() {
    let mut bench = filled(Discard, 1);
    // A new packet was reserved, and nothing of it committed.
    let old = bench.reader.ring.offset().load(Ordering::Relaxed);
    bench
        .reader
        .ring
        .offset()
        .store(old + 84 + 10, Ordering::Relaxed);
    bench.flush(FlushMode::Full);
    bench.write(2, FULL).unwrap();
    let mut seen = Vec::new();
    loop {
        match bench.reader.salvage_packet() {
            Ok(Next::Packet(lease)) => {
                seen.push((content(&lease)[84], lease.lost_before()));
                lease.release();
            }
            Ok(Next::Empty) => break,
            Ok(Next::NotReady) => panic!("salvage never waits"),
            Err(error) => assert!(error.to_string().contains("packet 1 is unusable")),
        }
    }
    assert_eq!(seen, [(0, 0), (2, 1)]);
}
