//! Writers, flushes and the reader in turn.

use proptest::prelude::*;

use super::{Bench, S, content};
use crate::flush::{FlushMode, Flushed};
use crate::geometry::BufferMode::{Discard, Overwrite};
use crate::layout::PACKET_HEADER_BYTES;
use crate::lease::Padding;
use crate::reader::Next;
use crate::writer::Lost;

const H: usize = PACKET_HEADER_BYTES as usize;

#[test]
fn what_is_written_is_read_with_a_true_header() {
    for mode in [Discard, Overwrite] {
        let mut bench = Bench::new(4, mode);
        bench.write(7, 100).unwrap();
        bench.write(8, 50).unwrap();
        assert!(bench.reader.is_empty());
        assert_eq!(bench.flush(FlushMode::Active), Flushed::Closed);
        assert_eq!(bench.reader.pending(), 1);
        let Next::Packet(lease) = bench.reader.next_packet().unwrap() else {
            panic!("no packet");
        };
        let header = *lease.header();
        assert_eq!(lease.content_len(), 84 + 150);
        assert_eq!((lease.padded_len(), lease.padding()), (4096, 4096 - 234));
        assert_eq!(header.timestamp_begin.get(), 1000);
        assert_eq!(header.timestamp_end.get(), 1003);
        assert_eq!(header.packet_seq_num.get(), 0);
        let bytes = content(&lease);
        assert_eq!(bytes[H..H + 100], [7; 100]);
        assert_eq!(bytes[H + 100..], [8; 50]);
        lease.release();
        assert!(matches!(bench.reader.next_packet(), Ok(Next::Empty)));
    }
}

/// Until it was written to.
#[test]
fn the_first_packet_may_begin_later() {
    for mode in [Discard, Overwrite] {
        let mut bench = Bench::new(4, mode);
        bench.reader.begin_at(1500);
        bench.clock.set(1500);
        bench.write(7, 100).unwrap();
        bench.reader.begin_at(1700);
        assert_eq!(bench.flush(FlushMode::Active), Flushed::Closed);
        let Next::Packet(lease) = bench.reader.next_packet().unwrap() else {
            panic!("no packet");
        };
        let header = *lease.header();
        assert_eq!(header.timestamp_begin.get(), 1500);
        assert_eq!(header.timestamp_end.get(), 1502);
        lease.release();
        bench.reader.begin_at(1700);
        bench.write(8, 50).unwrap();
        assert_eq!(bench.flush(FlushMode::Active), Flushed::Closed);
        assert_eq!(bench.read().len(), 1);
    }
}

#[test]
fn an_event_that_fills_a_packet_delivers_it_at_once() {
    for mode in [Discard, Overwrite] {
        let mut bench = Bench::new(2, mode);
        bench.write(1, S - PACKET_HEADER_BYTES).unwrap();
        assert_eq!(bench.flush(FlushMode::Active), Flushed::Nothing);
        let packets = bench.read();
        assert_eq!(packets.len(), 1);
        assert_eq!(packets[0].len() as u64, S);
    }
}

#[test]
fn a_full_flush_marks_the_time_of_an_idle_stream() {
    let mut bench = Bench::new(4, Discard);
    assert_eq!(bench.flush(FlushMode::Full), Flushed::Closed);
    assert_eq!(bench.flush(FlushMode::Full), Flushed::Closed);
    let packets = bench.read();
    assert_eq!(packets.iter().map(Vec::len).collect::<Vec<_>>(), [H, H]);
    for _ in 0..4 {
        assert_eq!(bench.flush(FlushMode::Full), Flushed::Closed);
    }
    assert_eq!(bench.flush(FlushMode::Full), Flushed::NoSpace);
}

#[test]
fn a_full_buffer_counts_what_it_drops() {
    let mut bench = Bench::new(2, Discard);
    let len = S - PACKET_HEADER_BYTES;
    bench.write(1, len).unwrap();
    bench.write(2, len).unwrap();
    assert_eq!(bench.write(3, len), Err(Lost::Full));
    assert_eq!(bench.write(3, 10), Err(Lost::Full));
    assert_eq!(bench.write(3, S), Err(Lost::Full));
    assert_eq!(bench.reader.loss_counters().full, 3);
    assert_eq!(bench.read().len(), 2);
    assert_eq!(bench.write(3, S), Err(Lost::Big));
    bench.write(4, 10).unwrap();
    bench.flush(FlushMode::Full);
    let Next::Packet(lease) = bench.reader.next_packet().unwrap() else {
        panic!("no packet");
    };
    assert_eq!(lease.header().events_discarded.get(), 4);
    assert_eq!(lease.lost_before(), 0);
}

#[test]
fn overwritten_packets_are_counted_by_the_next_lease() {
    let mut bench = Bench::new(2, Overwrite);
    let len = S - PACKET_HEADER_BYTES;
    for value in 0..5 {
        bench.write(value, len).unwrap();
    }
    let Next::Packet(lease) = bench.reader.next_packet().unwrap() else {
        panic!("no packet");
    };
    assert_eq!(lease.lost_before(), 3);
    assert_eq!(content(&lease)[H], 3);
    lease.release();
    let Next::Packet(lease) = bench.reader.next_packet().unwrap() else {
        panic!("no packet");
    };
    assert_eq!((lease.lost_before(), content(&lease)[H]), (0, 4));
}

#[test]
fn a_lease_survives_writers_that_go_round_and_round() {
    let mut bench = Bench::new(2, Overwrite);
    let len = S - PACKET_HEADER_BYTES;
    bench.write(1, len).unwrap();
    bench.write(2, len).unwrap();
    let Next::Packet(lease) = bench.reader.next_packet().unwrap() else {
        panic!("no packet");
    };
    let before = content(&lease);
    for value in 3..9 {
        let event = bench.writer.reserve(len, || 2000).unwrap();
        event.commit(&vec![value; len as usize]);
    }
    assert_eq!(content(&lease), before);
    lease.release();
    let left: Vec<u8> = bench.read().iter().map(|packet| packet[H]).collect();
    assert_eq!(left, [7, 8]);
}

#[test]
fn a_dropped_lease_comes_again() {
    for mode in [Discard, Overwrite] {
        let mut bench = Bench::new(4, mode);
        bench.write(1, 10).unwrap();
        bench.flush(FlushMode::Full);
        for _ in 0..3 {
            let Next::Packet(lease) = bench.reader.next_packet().unwrap() else {
                panic!("no packet");
            };
            assert_eq!(content(&lease)[H..], [1; 10]);
        }
        assert_eq!(bench.read().len(), 1);
    }
}

#[test]
fn an_unfinished_event_holds_its_packet_and_all_behind() {
    for mode in [Discard, Overwrite] {
        let mut bench = Bench::new(4, mode);
        let writer =
            crate::Writer::over(bench.memory.clone(), bench.geometry, super::IDENTITY, None);
        let slow = writer.reserve(10, || 1001).unwrap();
        bench.write(2, S - PACKET_HEADER_BYTES).unwrap();
        assert_eq!(bench.reader.pending(), 2);
        assert!(matches!(bench.reader.next_packet(), Ok(Next::NotReady)));
        slow.commit(&[9; 10]);
        assert_eq!(bench.read().len(), 2);
    }
}

#[test]
fn a_packet_goes_out_in_pieces_as_it_does_at_once() {
    let mut bench = Bench::new(2, Discard);
    bench.write(5, 300).unwrap();
    bench.flush(FlushMode::Full);
    let Next::Packet(lease) = bench.reader.next_packet().unwrap() else {
        panic!("no packet");
    };
    let mut expected = b"prefix".to_vec();
    lease.copy_to(&mut expected);
    assert_eq!(
        lease.write_len(b"prefix", Padding::Omit),
        expected.len() as u64
    );
    expected.resize(6 + 4096, 0);
    assert_eq!(lease.write_len(b"prefix", Padding::Write), 6 + 4096);
    for cut in [0, 3, 6, 50, 90, 91, 389, 390, 391, 4101, 4102] {
        let (read, write) = rustix::pipe::pipe().unwrap();
        let wrote = lease
            .write_once(&write, b"prefix", Padding::Write, cut)
            .unwrap();
        assert_eq!(wrote, 4102 - cut, "after {cut}");
        drop(write);
        let mut got = Vec::new();
        std::io::Read::read_to_end(&mut std::fs::File::from(read), &mut got).unwrap();
        assert_eq!(got, expected[cut as usize..]);
    }
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let error = lease.write_all(&full, b"", Padding::Write).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(28));
}

#[derive(Clone, Debug)]
enum Step {
    Write(u64),
    Flush(FlushMode),
    Read,
    PutBack,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..6000u64).prop_map(Step::Write),
        1 => Just(Step::Flush(FlushMode::Active)),
        1 => Just(Step::Flush(FlushMode::Full)),
        3 => Just(Step::Read),
        1 => Just(Step::PutBack),
    ]
}

proptest! {
    /// Whatever the order: every event is read once, in order, or counted.
    #[test]
    fn nothing_vanishes(
        steps in prop::collection::vec(step(), 1..200),
        count_order in 0..4u32,
        overwrite in any::<bool>(),
    ) {
        let mode = if overwrite { Overwrite } else { Discard };
        let count = (1 << count_order).max(if overwrite { 2 } else { 1 });
        let mut bench = Bench::new(count, mode);
        let mut next = 0u32;
        let mut written = Vec::new();
        let mut read = Vec::new();
        let mut lost_packets = 0;
        let mut refused = 0;
        let take = |bench: &mut Bench, read: &mut Vec<u32>, lost: &mut u64| {
            let Next::Packet(lease) = bench.reader.next_packet().unwrap() else { return false };
            *lost += lease.lost_before();
            collect(&content(&lease)[H..], read);
            lease.release();
            true
        };
        for step in steps {
            match step {
                Step::Write(len) => {
                    let mut event = vec![0xee; len.max(8) as usize];
                    event[..4].copy_from_slice(&next.to_ne_bytes());
                    let size = event.len() as u32;
                    event[4..8].copy_from_slice(&size.to_ne_bytes());
                    match bench.writer.reserve(u64::from(size), || bench.tick()) {
                        Ok(reservation) => {
                            reservation.commit(&event);
                            written.push(next);
                        }
                        Err(Lost::Full | Lost::Big) => refused += 1,
                        // With one sub-buffer only a flush can close the packet.
                        Err(Lost::Wrap) if count == 1 => refused += 1,
                        Err(other) => panic!("{other}"),
                    }
                    next += 1;
                }
                Step::Flush(flush) => {
                    bench.flush(flush);
                }
                Step::Read => {
                    take(&mut bench, &mut read, &mut lost_packets);
                }
                Step::PutBack => drop(bench.reader.next_packet().unwrap()),
            }
        }
        bench.flush(FlushMode::Full);
        while take(&mut bench, &mut read, &mut lost_packets) {}
        prop_assert_eq!(bench.reader.loss_counters().total(), refused);
        if overwrite {
            prop_assert!(read.is_sorted());
            if lost_packets == 0 {
                prop_assert_eq!(read, written);
            }
        } else {
            prop_assert_eq!(lost_packets, 0);
            prop_assert_eq!(read, written);
        }
    }
}

/// Numbers of the events in a packet's content.
fn collect(mut events: &[u8], into: &mut Vec<u32>) {
    while !events.is_empty() {
        let number = u32::from_ne_bytes(events[..4].try_into().unwrap());
        let len = u32::from_ne_bytes(events[4..8].try_into().unwrap());
        into.push(number);
        events = &events[len as usize..];
    }
}

#[test]
fn a_packet_that_was_peeked_at_is_still_there() {
    for mode in [Discard, Overwrite] {
        let mut bench = Bench::new(4, mode);
        for value in 1..=3 {
            bench.write(value, 100).unwrap();
            bench.flush(FlushMode::Active);
        }
        for _ in 0..3 {
            let positions = bench.reader.closed_positions();
            let mut seen = Vec::new();
            for position in positions {
                let lease = bench.reader.peek_packet(position).expect("a packet");
                seen.push(content(&lease)[H]);
            }
            assert_eq!(seen, [1, 2, 3]);
        }
        assert!(bench.reader.peek_packet(3 * S).is_none());
        let packets = bench.read();
        assert_eq!(packets.len(), 3);
    }
}

#[test]
fn writers_that_overwrite_go_on_beside_a_peek() {
    let mut bench = Bench::new(2, Overwrite);
    let write = |bench: &mut Bench, value| {
        bench.write(value, 100).unwrap();
        bench.flush(FlushMode::Active);
    };
    write(&mut bench, 1);
    let writer = &bench.writer;
    let clock = &bench.clock;
    let lease = bench.reader.peek_packet(0).expect("a packet");
    for value in 2..9 {
        let len = S - PACKET_HEADER_BYTES;
        let event = writer
            .reserve(len, || {
                clock.set(clock.get() + 1);
                clock.get()
            })
            .unwrap();
        event.commit(&vec![value; len as usize]);
    }
    assert_eq!(content(&lease)[H], 1);
    drop(lease);
    let seen: Vec<_> = bench.read().iter().map(|packet| packet[H]).collect();
    assert_eq!(seen, [7, 8]);
}
