//! Hostile writers: whatever is in the memory, the reader returns, and in bounded time.

use std::sync::Arc;

use proptest::prelude::*;

use super::{Bench, IDENTITY, S};
use crate::flush::FlushMode;
use crate::geometry::BufferMode;
use crate::lease::Padding;
use crate::memory::Memory;
use crate::read_error::{PacketFault, ReadError};
use crate::reader::{Next, Reader};
use crate::sync::Ordering;

/// More packets than any static memory may yield: one per slot, held and salvaged included.
const ENOUGH: u64 = 64;

fn exercise(mut reader: Reader) {
    for salvage in [false, true] {
        reader.flush(FlushMode::Full, || 7);
        reader.flush(FlushMode::Active, || 8);
        let mut packets = 0;
        loop {
            let next = if salvage {
                reader.salvage_packet()
            } else {
                reader.next_packet()
            };
            match next {
                Ok(Next::Packet(lease)) => {
                    assert!(lease.content_len() <= lease.padded_len());
                    assert!(lease.padded_len() <= S);
                    let mut sink = Vec::new();
                    lease.copy_to(&mut sink);
                    assert_eq!(sink.len() as u64, lease.content_len());
                    let null = std::fs::OpenOptions::new().write(true).open("/dev/null");
                    lease
                        .write_all(null.unwrap(), b"x", Padding::Write)
                        .unwrap();
                    lease.release();
                }
                Ok(Next::Empty) => break,
                Ok(Next::NotReady) => {
                    assert!(!salvage);
                    break;
                }
                Err(ReadError::BadPacket { .. }) => {}
                Err(ReadError::BadPositions { .. }) => break,
            }
            packets += 1;
            assert!(
                packets < ENOUGH,
                "the memory does not change, and yet there is more"
            );
        }
        assert!(reader.pending() <= reader.geometry().subbuf_count());
        reader.loss_counters();
    }
}

fn small_or_any() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => 0..20 * S,
        2 => (0..20u64).prop_map(|n| n * S),
        1 => any::<u64>(),
        1 => (0..20 * S).prop_map(|n| u64::MAX - n),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Valid memory with some words replaced: gets further in than noise.
    #[test]
    fn scribbled_memory_is_survived(
        overwrite in any::<bool>(),
        packets in 0..10u8,
        words in prop::collection::vec((0..4096u64 / 8, small_or_any()), 0..20),
        late in prop::collection::vec((0..600u64 / 8, small_or_any()), 0..20),
        header in prop::collection::vec((0..84u64, any::<u8>()), 0..4),
        resume in any::<bool>(),
    ) {
        let mode = if overwrite { BufferMode::Overwrite } else { BufferMode::Discard };
        let bench = Bench::new(4, mode);
        for value in 0..packets {
            let _ = bench.write(value, 3000);
        }
        let (memory, geometry) = (bench.memory.clone(), bench.geometry);
        drop(bench);
        for (word, value) in words {
            memory.word(word * 8).store(value, Ordering::Relaxed);
        }
        for (word, value) in late {
            let at = geometry.at.pages + word * 8;
            if at + 8 <= geometry.file_size() {
                memory.word(at).store(value, Ordering::Relaxed);
            }
        }
        for (at, value) in header {
            memory.copy_in(geometry.at.memory_map + at, &[value]);
        }
        let attach = if resume { Reader::resume_on } else { Reader::attach_to };
        if let Ok(reader) = attach(memory, geometry, IDENTITY) {
            exercise(reader);
        }
    }

    #[test]
    fn noise_is_survived(
        seed in any::<u64>(),
        overwrite in any::<bool>(),
    ) {
        let mode = if overwrite { BufferMode::Overwrite } else { BufferMode::Discard };
        let geometry = crate::Geometry::new(S, 2, mode).unwrap();
        let memory = Memory::heap(geometry.file_size() as usize);
        let mut state = seed;
        for at in (0..geometry.file_size() / 8).map(|word| word * 8) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            memory.word(at).store(state ^ state >> 31, Ordering::Relaxed);
        }
        let memory = Arc::new(memory);
        if let Ok(reader) = Reader::resume_on(memory, geometry, IDENTITY) {
            exercise(reader);
        }
    }
}

#[test]
fn a_read_position_that_goes_back_stops_the_reader() {
    let mut bench = Bench::new(4, BufferMode::Discard);
    bench.write(1, S - 84).unwrap();
    assert_eq!(bench.read().len(), 1);
    bench.reader.ring.consumed().store(0, Ordering::Relaxed);
    assert!(matches!(
        bench.reader.next_packet(),
        Err(ReadError::BadPositions { .. })
    ));
}

#[test]
fn a_packet_with_a_false_header_is_skipped_and_counted() {
    let mut bench = Bench::new(4, BufferMode::Discard);
    for value in 0..3 {
        bench.write(value, S - 84).unwrap();
    }
    let second = bench.geometry.at.memory_map + S;
    bench.memory.copy_in(second + 64, &9u64.to_ne_bytes());
    let Next::Packet(lease) = bench.reader.next_packet().unwrap() else {
        panic!("no packet");
    };
    lease.release();
    let error = bench.reader.next_packet().unwrap_err();
    let fault = PacketFault::Number(9);
    assert_eq!(error, ReadError::BadPacket { number: 1, fault });
    let Next::Packet(lease) = bench.reader.next_packet().unwrap() else {
        panic!("no packet");
    };
    assert_eq!(lease.lost_before(), 1);
}
