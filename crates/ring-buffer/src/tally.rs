//! What was delivered of each stream of a trace, in memory that outlives the consumer daemon.
//!
//! The consumer daemon writes it, the session daemon reads it, and so does the consumer daemon that takes over:
//! whatever kills one of them, the others know which packet was counted last. One process writes at a time.
//!
//! ```text
//! slot:  generation | packet under way + 1 | record of even generations | record of odd generations | packet
//! ```
//!
//! A record is complete before the generation that makes it the valid one is stored; what is to be known of the
//! packet under way before its number is.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, memfd_create};

use crate::layout::PacketHeader;
use crate::memory::Memory;
use crate::sync::Ordering;

/// Numbers of one record.
const FIELDS: usize = 8;
/// Numbers of the packet under way, beside its own.
const PACKET_FIELDS: usize = 9;
/// Bytes of one slot: two words, two records, and a packet.
const SLOT_BYTES: u64 = 8 * (2 + 2 * FIELDS as u64 + PACKET_FIELDS as u64);
/// Attempts to read a record that is being written all the time. Each one takes less time than a packet.
const MAX_READS: usize = 100;
/// Most slots that we map: far more than a trace has streams.
const MAX_SLOTS: u64 = 1 << 20;

/// What was delivered of one stream since its beginning, over all places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Packets.
    pub packets: u64,
    /// Bytes, with padding.
    pub bytes: u64,
    /// Events in them, if somebody counts.
    pub events: u64,
    /// Events that the writers dropped.
    pub discarded_events: u64,
    /// Packets that were overwritten before they were read.
    pub lost_packets: u64,
    /// Number behind that of the last packet; 0 if there was none.
    pub next_packet: u64,
    /// The writers' own count of dropped events, as the last packet has it.
    pub discarded_seen: u64,
    /// Packets that went to the present place.
    pub packets_here: u64,
}

impl Delivered {
    fn to_words(self) -> [u64; FIELDS] {
        [
            self.packets,
            self.bytes,
            self.events,
            self.discarded_events,
            self.lost_packets,
            self.next_packet,
            self.discarded_seen,
            self.packets_here,
        ]
    }

    fn from_words(words: [u64; FIELDS]) -> Self {
        let [
            packets,
            bytes,
            events,
            discarded_events,
            lost_packets,
            next_packet,
            discarded_seen,
            packets_here,
        ] = words;
        Self {
            packets,
            bytes,
            events,
            discarded_events,
            lost_packets,
            next_packet,
            discarded_seen,
            packets_here,
        }
    }

    /// With one packet more.
    pub fn and(&self, packet: &UnderWay) -> Self {
        let discarded = packet.events_discarded;
        Self {
            packets: self.packets + 1,
            bytes: self.bytes + packet.packet_size / 8,
            events: self.events + packet.events,
            discarded_events: self.discarded_events + discarded.saturating_sub(self.discarded_seen),
            lost_packets: self.lost_packets + packet.number.saturating_sub(self.next_packet),
            next_packet: packet.number.wrapping_add(1),
            // The tracer's count may step back when a writer was preempted while it closed a packet.
            discarded_seen: self.discarded_seen.max(discarded),
            packets_here: self.packets_here + 1,
        }
    }

    /// Number of the last packet.
    pub fn last_packet(&self) -> Option<u64> {
        self.next_packet.checked_sub(1)
    }
}

/// A packet that is being delivered: what its index has of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnderWay {
    /// `packet_seq_num`.
    pub number: u64,
    /// Bits, with padding.
    pub packet_size: u64,
    /// Bits, without padding.
    pub content_size: u64,
    /// Clock at its begin.
    pub timestamp_begin: u64,
    /// Clock at its end.
    pub timestamp_end: u64,
    /// Events that the stream had lost up to its end.
    pub events_discarded: u64,
    /// Channel id.
    pub stream_id: u64,
    /// CPU.
    pub stream_instance_id: u64,
    /// Bytes of all streams that had been written to the place before.
    pub written_before: u64,
    /// Events in it, if somebody counts.
    pub events: u64,
}

impl UnderWay {
    /// The packet with this header and so many events, after so many bytes.
    pub fn of(header: &PacketHeader, events: u64, written_before: u64) -> Self {
        Self {
            events,
            written_before,
            number: header.packet_seq_num.get(),
            packet_size: header.packet_size.get(),
            content_size: header.content_size.get(),
            timestamp_begin: header.timestamp_begin.get(),
            timestamp_end: header.timestamp_end.get(),
            events_discarded: header.events_discarded.get(),
            stream_id: header.stream_id.get().into(),
            stream_instance_id: header.stream_instance_id.get(),
        }
    }

    fn to_words(self) -> [u64; PACKET_FIELDS] {
        [
            self.packet_size,
            self.content_size,
            self.timestamp_begin,
            self.timestamp_end,
            self.events_discarded,
            self.stream_id,
            self.stream_instance_id,
            self.written_before,
            self.events,
        ]
    }

    fn from_words(number: u64, words: [u64; PACKET_FIELDS]) -> Self {
        let [
            packet_size,
            content_size,
            timestamp_begin,
            timestamp_end,
            events_discarded,
            stream_id,
            stream_instance_id,
            written_before,
            events,
        ] = words;
        Self {
            number,
            packet_size,
            content_size,
            timestamp_begin,
            timestamp_end,
            events_discarded,
            stream_id,
            stream_instance_id,
            written_before,
            events,
        }
    }
}

/// The mapped records of a trace, one slot for each stream.
#[derive(Debug)]
pub struct Tally {
    memory: Memory,
    slots: usize,
}

impl Tally {
    /// Makes the memory for so many streams. The descriptor is for others to [`Tally::map`].
    pub fn create(slots: usize) -> io::Result<(Self, OwnedFd)> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let fd = memfd_create("lttng-tally", flags)?;
        // Never empty, which cannot be mapped.
        rustix::fs::ftruncate(&fd, SLOT_BYTES * slots.max(1) as u64)?;
        fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        Ok((Self::map(&fd)?, fd))
    }

    /// Maps what [`Tally::create`] made.
    pub fn map(fd: impl AsFd) -> io::Result<Self> {
        let len = u64::try_from(fstat(&fd)?.st_size).unwrap_or(0);
        let slots = len / SLOT_BYTES;
        let sealed = fcntl_get_seals(&fd)?.contains(SealFlags::SHRINK);
        if !sealed || slots == 0 || slots > MAX_SLOTS || !len.is_multiple_of(SLOT_BYTES) {
            return Err(io::Error::other(format!(
                "{len} bytes are no tally of streams"
            )));
        }
        Ok(Self {
            memory: Memory::map(fd.as_fd(), len as usize)?,
            slots: slots as usize,
        })
    }

    /// Number of slots.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Notes that a packet is being delivered: after the writer's death it may have arrived or not.
    pub fn begin(&self, slot: usize, packet: &UnderWay) {
        for (at, word) in (self.packet_at(slot)..).step_by(8).zip(packet.to_words()) {
            self.memory.word(at).store(word, Ordering::Relaxed);
        }
        // Release: comes after what is known of the packet, and before it is on its way. Whoever reads it does so
        // after our death.
        let under_way = self.memory.word(self.at(slot) + 8);
        under_way.store(packet.number.wrapping_add(1), Ordering::Release);
    }

    /// Replaces the record of a stream.
    pub fn record(&self, slot: usize, delivered: &Delivered) {
        let generation = self.memory.word(self.at(slot));
        let next = generation.load(Ordering::Relaxed).wrapping_add(1);
        for (at, word) in (self.record_at(slot, next)..)
            .step_by(8)
            .zip(delivered.to_words())
        {
            self.memory.word(at).store(word, Ordering::Relaxed);
        }
        // Release pairs with the first load in `read`.
        generation.store(next, Ordering::Release);
    }

    /// The record of a stream.
    pub fn read(&self, slot: usize) -> Delivered {
        let generation = self.memory.word(self.at(slot));
        let mut words = [0; FIELDS];
        for _ in 0..MAX_READS {
            // Acquire pairs with the store in `record`.
            let before = generation.load(Ordering::Acquire);
            for (at, word) in (self.record_at(slot, before)..).step_by(8).zip(&mut words) {
                // Acquire: the second look at the generation comes after all of them.
                *word = self.memory.word(at).load(Ordering::Acquire);
            }
            // The writer writes the other record until it begins the next but one generation.
            if generation.load(Ordering::Relaxed) == before {
                break;
            }
        }
        Delivered::from_words(words)
    }

    /// The packet that was begun and not counted.
    pub fn under_way(&self, slot: usize) -> Option<UnderWay> {
        let begun = self.memory.word(self.at(slot) + 8).load(Ordering::Acquire);
        let number = begun.checked_sub(1)?;
        let mut words = [0; PACKET_FIELDS];
        for (at, word) in (self.packet_at(slot)..).step_by(8).zip(&mut words) {
            *word = self.memory.word(at).load(Ordering::Relaxed);
        }
        (number >= self.read(slot).next_packet).then(|| UnderWay::from_words(number, words))
    }

    fn at(&self, slot: usize) -> u64 {
        assert!(slot < self.slots, "there is no slot {slot}");
        slot as u64 * SLOT_BYTES
    }

    fn record_at(&self, slot: usize, generation: u64) -> u64 {
        self.at(slot) + 8 * (2 + (generation % 2) * FIELDS as u64)
    }

    fn packet_at(&self, slot: usize) -> u64 {
        self.record_at(slot, 1) + 8 * FIELDS as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivered(packets: u64) -> Delivered {
        Delivered {
            packets,
            bytes: packets * 4096,
            events: packets * 3,
            discarded_events: packets,
            lost_packets: 0,
            next_packet: packets,
            discarded_seen: packets,
            packets_here: packets,
        }
    }

    #[test]
    fn another_process_sees_each_stream_for_itself() {
        let (ours, fd) = Tally::create(3).unwrap();
        let theirs = Tally::map(&fd).unwrap();
        assert_eq!(theirs.slots(), 3);
        assert_eq!(ours.read(1), Delivered::default());
        for packets in 1..6 {
            theirs.record(1, &delivered(packets));
            assert_eq!(ours.read(1), delivered(packets));
        }
        assert_eq!((ours.read(0), ours.read(2)), Default::default());
    }

    #[test]
    fn a_packet_is_in_doubt_until_it_is_counted() {
        let (tally, _fd) = Tally::create(2).unwrap();
        let packet = |number| UnderWay {
            number,
            packet_size: 1,
            content_size: 2,
            timestamp_begin: 3,
            timestamp_end: 4,
            events_discarded: 5,
            stream_id: 6,
            stream_instance_id: 7,
            written_before: 8,
            events: 9,
        };
        assert_eq!(tally.under_way(0), None);
        tally.begin(0, &packet(0));
        assert_eq!(tally.under_way(0), Some(packet(0)));
        tally.record(0, &delivered(1));
        assert_eq!(tally.under_way(0), None);
        tally.begin(0, &packet(7));
        assert_eq!(tally.under_way(0), Some(packet(7)));
        assert_eq!(
            (tally.read(0), tally.read(1)),
            (delivered(1), Delivered::default())
        );
    }

    #[test]
    fn a_reader_never_sees_half_a_record() {
        let (tally, fd) = Tally::create(1).unwrap();
        let writer = std::thread::spawn(move || {
            let tally = Tally::map(&fd).unwrap();
            for packets in 0..200_000 {
                tally.record(0, &delivered(packets));
            }
        });
        let mut last = 0;
        while !writer.is_finished() {
            let read = tally.read(0);
            assert_eq!(read, delivered(read.packets));
            assert!(read.packets >= last);
            last = read.packets;
        }
        writer.join().unwrap();
        assert_eq!(tally.read(0), delivered(199_999));
    }

    #[test]
    fn other_files_are_refused() {
        let fd = memfd_create("x", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        assert!(Tally::map(&fd).is_err());
        rustix::fs::ftruncate(&fd, SLOT_BYTES).unwrap();
        assert!(Tally::map(&fd).is_err(), "somebody could cut it");
        let (_, fd) = Tally::create(0).unwrap();
        assert_eq!(Tally::map(&fd).unwrap().slots(), 1);
    }
}
