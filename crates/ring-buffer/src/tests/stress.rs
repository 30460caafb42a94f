//! Writers, flushes and the reader at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use super::{IDENTITY, S, content, fresh};
use crate::flush::FlushMode;
use crate::geometry::{BufferMode, Geometry};
use crate::layout::PACKET_HEADER_BYTES;
use crate::reader::{Next, Reader};
use crate::system::monotonic_now;
use crate::writer::{Lost, Writer};

const THREADS: u64 = 3;
const EVENTS: u64 = 40_000;

struct Seen {
    last: Vec<Option<u64>>,
    events: u64,
    lost_packets: u64,
    last_end: u64,
    discarded: u64,
}

impl Seen {
    fn packet(&mut self, lease: &crate::PacketLease<'_>) {
        self.lost_packets += lease.lost_before();
        let begin = lease.header().timestamp_begin.get();
        let end = lease.header().timestamp_end.get();
        assert!(self.last_end <= begin && begin <= end);
        self.last_end = end;
        self.discarded = lease.header().events_discarded.get();
        let bytes = content(lease);
        let mut events = &bytes[PACKET_HEADER_BYTES as usize..];
        while !events.is_empty() {
            let word = |n: usize| u64::from_ne_bytes(events[8 * n..8 * n + 8].try_into().unwrap());
            let (thread, number, len, time) = (word(0), word(1), word(2), word(3));
            assert!(
                begin <= time && time <= end,
                "an event outside of its packet"
            );
            let last = &mut self.last[thread as usize];
            assert!(last.is_none_or(|last| last < number), "out of order");
            *last = Some(number);
            assert!(events[32..len as usize].iter().all(|&b| b == number as u8));
            self.events += 1;
            events = &events[len as usize..];
        }
    }
}

fn run(mode: BufferMode, flush: FlushMode) -> (Seen, u64, Reader) {
    let geometry = Geometry::new(S, 4, mode).unwrap();
    let memory = fresh(&geometry, IDENTITY, monotonic_now());
    let mut reader = Reader::attach_to(memory.clone(), geometry, IDENTITY).unwrap();
    let done = AtomicBool::new(false);
    let recorded = AtomicU64::new(0);
    let mut seen = Seen {
        last: vec![None; THREADS as usize],
        events: 0,
        lost_packets: 0,
        last_end: 0,
        discarded: 0,
    };
    thread::scope(|scope| {
        let writers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let writer = Writer::over(Arc::clone(&memory), geometry, IDENTITY, None);
                let recorded = &recorded;
                scope.spawn(move || recorded.fetch_add(write(&writer, thread), Ordering::Relaxed))
            })
            .collect();
        let (done, seen, reader) = (&done, &mut seen, &mut reader);
        scope.spawn(move || {
            let mut round = 0u32;
            loop {
                let last = done.load(Ordering::SeqCst);
                round += 1;
                if last || round.is_multiple_of(50) {
                    reader.flush(flush, monotonic_now);
                }
                while let Next::Packet(lease) = reader.next_packet().unwrap() {
                    seen.packet(&lease);
                    if round.is_multiple_of(7) {
                        // Long enough for the writers to come round.
                        thread::yield_now();
                    }
                    lease.release();
                }
                if last {
                    break;
                }
            }
        });
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Ordering::SeqCst);
    });
    (seen, recorded.into_inner(), reader)
}

fn write(writer: &Writer, thread: u64) -> u64 {
    let mut recorded = 0;
    for number in 0..EVENTS {
        let len = 32 + (number * 7 + thread * 13) % 400;
        let Ok(reservation) = writer.reserve(len, monotonic_now) else {
            continue;
        };
        let mut event = Vec::with_capacity(len as usize);
        for word in [thread, number, len, reservation.timestamp()] {
            event.extend_from_slice(&word.to_ne_bytes());
        }
        event.resize(len as usize, number as u8);
        reservation.commit(&event);
        recorded += 1;
    }
    recorded
}

#[test]
fn discarding_writers_lose_only_what_they_count() {
    for flush in [FlushMode::Active, FlushMode::Full] {
        let (seen, recorded, reader) = run(BufferMode::Discard, flush);
        assert_eq!(seen.events, recorded);
        assert_eq!(seen.lost_packets, 0);
        let lost = reader.loss_counters();
        assert_eq!(recorded + lost.total(), THREADS * EVENTS);
        assert_eq!(lost.big, 0);
        assert!(seen.discarded <= lost.total());
    }
}

#[test]
fn overwriting_writers_leave_whole_packets_in_order() {
    let (seen, recorded, reader) = run(BufferMode::Overwrite, FlushMode::Active);
    assert!(seen.events <= recorded);
    assert!(seen.events > 0);
    let delivered = reader.positions().offset / S - seen.lost_packets;
    assert!(delivered > 0);
    assert_eq!(recorded + reader.loss_counters().total(), THREADS * EVENTS);
}

#[test]
fn a_paused_buffer_takes_nothing() {
    let bench = super::Bench::new(2, BufferMode::Discard);
    bench
        .writer
        .ring
        .record_disabled()
        .store(1, crate::sync::Ordering::Relaxed);
    assert_eq!(bench.write(0, 8), Err(Lost::Disabled));
}
