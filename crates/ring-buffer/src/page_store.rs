//! Pages that were read from a ring buffer of the kernel, in memory that outlives the consumer daemon.
//!
//! Reading a page takes it out of the kernel's buffer. So that a reader may die at any moment, a page is read into
//! this memory and nowhere else, and stays until the packet that it became is delivered.
//!
//! ```text
//! head | reading | generation | begun | … | record of even generations | record of odd ones | … | pages
//!                                                                                     page: length | bytes
//! ```
//!
//! - `head` is the position behind the last page. Positions only grow; their place is the rest of the division by
//!   the room for pages. A page lies in one piece: where it might not fit before the end, it is at the beginning.
//! - `reading` is a position plus one: a page is being read there. Before that is stored, the page's first and last
//!   words become ones that no page has. A reader that finds them so knows that nothing was read; otherwise the page
//!   is there although nobody lived to say so.
//! - A record has the position up to which pages are delivered, and what the packets to come depend on. The record of
//!   the next generation is written before a packet goes out, `begun` says that it is complete, and the generation
//!   that makes it the valid one is stored when the packet has arrived. Who finds a packet begun makes it again, of
//!   the same pages: whether it has arrived is for others to tell.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    FallocateFlags, MemfdFlags, SealFlags, fallocate, fcntl_add_seals, fcntl_get_seals, fstat,
    ftruncate, memfd_create,
};

use crate::memory::Memory;
use crate::sync::Ordering;

const HEAD: u64 = 0;
const READING: u64 = 8;
const GENERATION: u64 = 16;
const BEGUN: u64 = 24;
/// Those of even and odd generations.
const RECORDS: [u64; 2] = [64, 128];
/// Where the pages begin: the kernel copies to whole pages of memory.
const PAGES: u64 = 4096;
/// The length before a page.
const PREFIX: u64 = 8;
/// No page begins with this time stamp: they have 59 bits.
const NO_TIME: u64 = u64::MAX;
/// Nothing ends like this but by chance.
const NO_END: u64 = 0x9d5c_02e7_b1f4_63a8;
/// Further nobody comes.
const MAX_POSITION: u64 = 1 << 62;
/// Largest memory that is taken for possible, bytes.
const MAX_BYTES: u64 = 1 << 40;

/// A place between two pages of a [`PageStore`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PagePosition(u64);

/// What the packets to come depend on, beside the pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketState {
    /// Number of the next packet.
    pub next_packet: u64,
    /// Discarded events so far.
    pub discarded: u64,
    /// Clock of the last event, or at the end of the last packet.
    pub last: u64,
    /// The next packet begins no earlier.
    pub earliest: u64,
}

/// A packet on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BegunPacket {
    /// It has the pages up to here.
    pub end: PagePosition,
    /// How things are after it.
    pub after: PacketState,
}

/// See the module.
#[derive(Debug)]
pub struct PageStore {
    memory: Memory,
    /// Bytes for pages.
    room: u64,
    page_bytes: u64,
}

impl PageStore {
    /// Makes the memory for pages of that size, at least `bytes` of them at any time. Memory for `expected` bytes is
    /// taken at once, so that lack of it is an error here; what goes beyond when it is used.
    pub fn create(page_bytes: u64, bytes: u64, expected: u64) -> io::Result<OwnedFd> {
        let piece = page_bytes.next_multiple_of(8) + PREFIX;
        // One that is being read, one that found no place before the end, and a rest.
        let pages = bytes.div_ceil(page_bytes.max(1)) + 3;
        let room = pages.saturating_mul(piece).next_multiple_of(4096);
        let fd = memfd_create(
            "lttng-kernel-pages",
            MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
        )?;
        ftruncate(&fd, PAGES + room)?;
        let at_once = room.min(expected + 2 * piece);
        fallocate(&fd, FallocateFlags::empty(), 0, PAGES + at_once)?;
        fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        Ok(fd)
    }

    /// Maps what [`PageStore::create`] made. One process has it at a time.
    pub fn map(fd: impl AsFd, page_bytes: u64) -> io::Result<Self> {
        let len = u64::try_from(fstat(&fd)?.st_size).unwrap_or(0);
        let sealed = fcntl_get_seals(&fd)?.contains(SealFlags::SHRINK);
        let room = len.saturating_sub(PAGES);
        let pages = room / (page_bytes.next_multiple_of(8) + PREFIX).max(1);
        if !sealed || len > MAX_BYTES || pages < 2 || !room.is_multiple_of(8) || page_bytes < 16 {
            return Err(io::Error::other(format!(
                "{len} bytes have no place for pages of {page_bytes}"
            )));
        }
        Ok(Self {
            memory: Memory::map(fd.as_fd(), len as usize)?,
            room,
            page_bytes,
        })
    }

    /// How things are after the last packet that has arrived for sure.
    pub fn state(&self) -> PacketState {
        self.record(self.generation()).1
    }

    /// Pages up to here are delivered.
    pub fn delivered(&self) -> PagePosition {
        self.record(self.generation()).0
    }

    /// The packet that was begun and may have arrived or not.
    pub fn begun(&self) -> Option<BegunPacket> {
        let next = self.generation().wrapping_add(1);
        // Acquire pairs with the store in `begin`; the writer may have been another process.
        let begun = self.memory.word(BEGUN).load(Ordering::Acquire);
        (begun == next).then(|| {
            let (end, after) = self.record(next);
            BegunPacket { end, after }
        })
    }

    /// Notes which packet goes out now.
    pub fn begin(&self, packet: BegunPacket) {
        let next = self.generation().wrapping_add(1);
        let BegunPacket { end, after } = packet;
        // When all is delivered the next page is at the beginning again, whose memory was used already.
        let end = if end >= self.head() {
            end.0.next_multiple_of(self.room)
        } else {
            end.0
        };
        let words = [
            end,
            after.next_packet,
            after.discarded,
            after.last,
            after.earliest,
        ];
        for (at, word) in (record_at(next)..).step_by(8).zip(words) {
            self.memory.word(at).store(word, Ordering::Relaxed);
        }
        // Release: the record is complete.
        self.memory.word(BEGUN).store(next, Ordering::Release);
    }

    /// The packet that was begun has arrived.
    pub fn commit(&self) {
        if self.begun().is_some() {
            let next = self.generation().wrapping_add(1);
            self.memory.word(GENERATION).store(next, Ordering::Release);
        }
    }

    /// Lets go of the pages before `end`, of which no packet is made any more.
    pub fn drop_until(&self, end: PagePosition) {
        let after = self.state();
        self.begin(BegunPacket { end, after });
        self.commit();
    }

    /// No page is kept.
    pub fn is_empty(&self) -> bool {
        self.place(self.delivered().0) >= self.head().0
    }

    /// One more page can be read.
    pub fn has_room(&self) -> bool {
        let end = self.place(self.head().0) + PREFIX + self.page_bytes;
        end - self.delivered().0 <= self.room
    }

    /// Copies the page behind a position; gives the position behind it, or `None` if there is no page.
    pub fn page_after(&self, at: PagePosition, page: &mut Vec<u8>) -> Option<PagePosition> {
        let (offset, len, next) = self.next(at)?;
        page.resize(len as usize, 0);
        self.memory.copy_out(offset, page);
        Some(next)
    }

    /// The positions before the pages that are kept, and the one behind the last.
    pub fn positions(&self) -> impl Iterator<Item = PagePosition> {
        let next = |at: &PagePosition| self.next(*at).map(|(_, _, next)| next);
        std::iter::successors(Some(self.delivered()), next)
    }

    /// Where the page behind a position is, its length, and the position behind it.
    fn next(&self, at: PagePosition) -> Option<(u64, u64, PagePosition)> {
        let at = self.place(at.0);
        if at >= self.head().0 {
            return None;
        }
        let offset = self.offset(at);
        let len = self.memory.word(offset).load(Ordering::Relaxed);
        // What is in the memory is not trusted with more than the page.
        let len = len.min(self.page_bytes);
        let next = PagePosition(at + PREFIX + len.next_multiple_of(8));
        Some((offset + PREFIX, len, next))
    }

    /// Reads the next page from the kernel, or takes the one that a predecessor has read; `false` if there is none
    /// now. It is there to stay after [`PageStore::keep`]. The caller has made room.
    pub fn read(&self, pipe: BorrowedFd<'_>, page: &mut Vec<u8>) -> io::Result<bool> {
        let head = self.head().0;
        let offset = self.offset(self.place(head)) + PREFIX;
        let end = offset + (self.page_bytes & !7) - 8;
        let reading = self.memory.word(READING);
        if reading.load(Ordering::Acquire) != head.wrapping_add(1) {
            self.memory.word(offset).store(NO_TIME, Ordering::Relaxed);
            self.memory.word(end).store(NO_END, Ordering::Relaxed);
            // Release: after the two words above.
            reading.store(head.wrapping_add(1), Ordering::Release);
        }
        if self.memory.word(offset).load(Ordering::Acquire) == NO_TIME {
            let mut got = 0;
            // A page comes in pieces when the copy was interrupted.
            while got < self.page_bytes {
                match self
                    .memory
                    .read_from(pipe, offset + got, self.page_bytes - got)?
                {
                    0 => break,
                    more => got += more,
                }
            }
            if got == 0 {
                return Ok(false);
            }
        } else if self.memory.word(end).load(Ordering::Acquire) == NO_END {
            self.complete(pipe, offset)?;
        }
        page.resize(self.page_bytes as usize, 0);
        self.memory.copy_out(offset, page);
        Ok(true)
    }

    /// A predecessor was killed while the kernel copied the page, which goes on where it stopped.
    fn complete(&self, pipe: BorrowedFd<'_>, offset: u64) -> io::Result<()> {
        let mut rest = vec![0; self.page_bytes as usize];
        let got = loop {
            match rustix::io::read(pipe, &mut rest[..]) {
                Ok(got) => break got,
                Err(rustix::io::Errno::AGAIN) => break 0,
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        };
        let at = offset + self.page_bytes - got as u64;
        self.memory.copy_in(at, &rest[..got]);
        Ok(())
    }

    /// Keeps the first `len` bytes of the page that was read, behind all others. Gives the position behind it.
    pub fn keep(&self, len: u64) -> PagePosition {
        let at = self.place(self.head().0);
        let len = len.min(self.page_bytes);
        self.memory
            .word(self.offset(at))
            .store(len, Ordering::Relaxed);
        let head = at + PREFIX + len.next_multiple_of(8);
        // Release: after the length.
        self.memory.word(HEAD).store(head, Ordering::Release);
        PagePosition(head)
    }

    /// Position behind the last page.
    pub fn head(&self) -> PagePosition {
        // Acquire pairs with the store in `keep`, perhaps by another process.
        let head = self.memory.word(HEAD).load(Ordering::Acquire);
        PagePosition(head.min(MAX_POSITION).max(self.delivered().0))
    }

    fn generation(&self) -> u64 {
        self.memory.word(GENERATION).load(Ordering::Acquire)
    }

    /// Positions that somebody else wrote are cut to possible ones.
    fn record(&self, generation: u64) -> (PagePosition, PacketState) {
        let word = |at: u64| {
            let word = self.memory.word(record_at(generation) + 8 * at);
            word.load(Ordering::Relaxed)
        };
        let state = PacketState {
            next_packet: word(1),
            discarded: word(2),
            last: word(3),
            earliest: word(4),
        };
        (PagePosition(word(0).min(MAX_POSITION)), state)
    }

    /// Where the page is that comes at a position.
    fn place(&self, at: u64) -> u64 {
        if self.room - at % self.room < PREFIX + self.page_bytes {
            at.next_multiple_of(self.room)
        } else {
            at
        }
    }

    fn offset(&self, at: u64) -> u64 {
        // Positions are multiples of 8 unless somebody else wrote them.
        PAGES + ((at % self.room) & !7)
    }
}

fn record_at(generation: u64) -> u64 {
    RECORDS[(generation % 2) as usize]
}
