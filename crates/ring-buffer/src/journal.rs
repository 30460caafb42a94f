//! What a reader has taken from a source that gives everything once, in memory that outlives the reader: a
//! successor finds all of it, at whatever moment the reader was killed.
//!
//! ```text
//! active half, bytes in use of each half | half 0: entry entry … | half 1
//! entry: length, kind << 56 | tag | body, to the next multiple of 8
//! ```
//!
//! An entry counts from the store of the bytes in use on. A body that the kernel writes, with the reader killed
//! before it can store anything, counts when its first word is not zero: the kernel completes the copy first.
//! One process has it at a time.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    FallocateFlags, MemfdFlags, SealFlags, fallocate, fcntl_add_seals, fcntl_get_seals, fstat,
    ftruncate, memfd_create,
};

use crate::memory::Memory;
use crate::sync::Ordering;

/// Bytes of one half. Only what is in use takes memory.
const HALF: u64 = 128 << 20;
/// Bytes before the halves.
const HEAD: u64 = 4096;
/// Bytes before a body.
const ENTRY_HEAD: u64 = 16;
/// Where the kind is in the first word of an entry.
const KIND_SHIFT: u32 = 56;
/// Largest distance of two bytes of which one is in every page.
const PAGE: u64 = 4096;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// What it is; not 0.
    pub kind: u8,
    /// Whatever belongs to it.
    pub tag: u64,
    /// Its bytes.
    pub body: Vec<u8>,
}

/// See the module.
#[derive(Debug)]
pub struct Journal {
    memory: Memory,
    fd: OwnedFd,
}

impl Journal {
    /// Makes the memory for an empty journal. Others [`Journal::map`] it.
    pub fn create() -> io::Result<OwnedFd> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let fd = memfd_create("lttng-journal", flags)?;
        ftruncate(&fd, HEAD + 2 * HALF)?;
        fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        Ok(fd)
    }

    /// Maps what [`Journal::create`] made.
    pub fn map(fd: OwnedFd) -> io::Result<Self> {
        let len = u64::try_from(fstat(&fd)?.st_size).unwrap_or(0);
        let sealed = fcntl_get_seals(&fd)?.contains(SealFlags::SHRINK);
        if !sealed || len != HEAD + 2 * HALF {
            return Err(io::Error::other(format!("{len} bytes are no journal")));
        }
        Ok(Self {
            memory: Memory::map(fd.as_fd(), len as usize)?,
            fd,
        })
    }

    /// Bytes in use.
    pub fn len(&self) -> u64 {
        self.used(self.active())
    }

    /// Nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All entries, oldest first: what a successor begins with. Entries that make no sense end it.
    pub fn entries(&self) -> Vec<JournalEntry> {
        let (half, used) = (self.active(), self.len());
        let mut entries = Vec::new();
        let mut at = 0;
        while at < used {
            let Some(entry) = self.entry(half, at) else {
                return entries;
            };
            at += entry_len(entry.body.len() as u64);
            entries.push(entry);
        }
        // What the kernel had given when the reader was killed. Others are written before they count.
        let given = self
            .entry(half, at)
            .filter(|entry| entry.kind & GIVEN != 0 && entry.body.iter().take(8).any(|&b| b != 0));
        entries.extend(given);
        for entry in &mut entries {
            entry.kind &= !GIVEN;
        }
        entries
    }

    /// Adds an entry; an error of the kind `StorageFull` if there is no room for it.
    pub fn append(&self, kind: u8, tag: u64, body: &[u8]) -> io::Result<()> {
        let half = self.active();
        let at = self.used(half);
        self.write(half, at, kind, tag, body)?;
        self.use_up(half, at + entry_len(body.len() as u64));
        Ok(())
    }

    /// Adds what one `read` of `fd` gives, at most `body.len()` bytes, and copies it to `body`; `None`: there
    /// is nothing. Of what was read, as many bytes are kept as `worth` says.
    pub fn append_read(
        &self,
        kind: u8,
        tag: u64,
        fd: BorrowedFd<'_>,
        body: &mut [u8],
        worth: impl FnOnce(&[u8]) -> usize,
    ) -> io::Result<Option<usize>> {
        let half = self.active();
        let (at, len) = (self.used(half), body.len() as u64);
        check_room(at, len)?;
        let place = self.place(half, at);
        let first = place + ENTRY_HEAD;
        // The kernel must find all pages there: a killed process gets no new ones while it copies.
        for page in (0..len).step_by(PAGE as usize).chain(len.checked_sub(1)) {
            self.memory.copy_in(first + page, &[0]);
        }
        self.memory.word(first).store(0, Ordering::Relaxed);
        self.memory.word(place + 8).store(tag, Ordering::Relaxed);
        // Release: what is to be read is known to be empty before there is a head for it.
        self.memory
            .word(place)
            .store(head(kind | GIVEN, len), Ordering::Release);
        let got = self.memory.read_from(fd, first, len)?;
        if got == 0 {
            return Ok(None);
        }
        let body = &mut body[..got as usize];
        self.memory.copy_out(first, body);
        let kept = got.min(worth(body) as u64);
        let next = at + entry_len(kept);
        // What is not kept must not look like the head of an entry.
        let behind = self.memory.word(self.place(half, next));
        behind.store(0, Ordering::Relaxed);
        // It stays one that counts without being in use: whoever kills us here loses nothing.
        let word = head(kind | GIVEN, kept);
        self.memory.word(place).store(word, Ordering::Release);
        self.use_up(half, next);
        Ok(Some(kept as usize))
    }

    /// Puts one entry in the place of all.
    pub fn replace(&self, kind: u8, tag: u64, body: &[u8]) -> io::Result<()> {
        let (old, new) = (self.active(), 1 - self.active());
        self.write(new, 0, kind, tag, body)?;
        self.memory
            .word(used_at(new))
            .store(entry_len(body.len() as u64), Ordering::Relaxed);
        // Release: the other half is complete when it is the one that counts.
        self.memory.word(0).store(new, Ordering::Release);
        self.memory.word(used_at(old)).store(0, Ordering::Relaxed);
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(&self.fd, hole, HEAD + old * HALF, HALF)?;
        Ok(())
    }

    fn active(&self) -> u64 {
        // Acquire pairs with the store in `replace`.
        self.memory.word(0).load(Ordering::Acquire) & 1
    }

    fn used(&self, half: u64) -> u64 {
        // Acquire pairs with the store in `use_up`.
        let used = self.memory.word(used_at(half)).load(Ordering::Acquire);
        used.min(HALF)
    }

    fn use_up(&self, half: u64, used: u64) {
        // Release: the entry is complete before it counts.
        self.memory
            .word(used_at(half))
            .store(used, Ordering::Release);
    }

    fn place(&self, half: u64, at: u64) -> u64 {
        HEAD + half * HALF + at
    }

    fn entry(&self, half: u64, at: u64) -> Option<JournalEntry> {
        check_room(at, 0).ok()?;
        let place = self.place(half, at);
        let word = self.memory.word(place).load(Ordering::Acquire);
        let len = word & ((1 << KIND_SHIFT) - 1);
        let kind = (word >> KIND_SHIFT) as u8;
        if kind == 0 || check_room(at, len).is_err() {
            return None;
        }
        let mut body = vec![0; len as usize];
        self.memory.copy_out(place + ENTRY_HEAD, &mut body);
        Some(JournalEntry {
            kind,
            tag: self.memory.word(place + 8).load(Ordering::Relaxed),
            body,
        })
    }

    fn write(&self, half: u64, at: u64, kind: u8, tag: u64, body: &[u8]) -> io::Result<()> {
        let len = body.len() as u64;
        check_room(at, len)?;
        let place = self.place(half, at);
        let word = head(kind, len);
        self.memory.word(place).store(word, Ordering::Relaxed);
        self.memory.word(place + 8).store(tag, Ordering::Relaxed);
        self.memory.copy_in(place + ENTRY_HEAD, body);
        Ok(())
    }
}

/// Bit of the kind of an entry whose body the kernel is asked for.
const GIVEN: u8 = 0x80;

fn head(kind: u8, len: u64) -> u64 {
    u64::from(kind) << KIND_SHIFT | len
}

fn used_at(half: u64) -> u64 {
    8 + 8 * half
}

fn entry_len(body: u64) -> u64 {
    ENTRY_HEAD + body.next_multiple_of(8)
}

/// Leaves room for the head of one more entry.
fn check_room(at: u64, len: u64) -> io::Result<()> {
    if len > HALF || at + entry_len(len) + ENTRY_HEAD > HALF {
        return Err(io::ErrorKind::StorageFull.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pipe::{PipeFlags, pipe_with};

    fn entry(kind: u8, tag: u64, body: &[u8]) -> JournalEntry {
        let body = body.to_vec();
        JournalEntry { kind, tag, body }
    }

    #[test]
    fn a_successor_finds_everything() {
        let fd = Journal::create().unwrap();
        let journal = Journal::map(fd.try_clone().unwrap()).unwrap();
        assert!(journal.is_empty() && journal.entries().is_empty());
        let (reader, writer) = pipe_with(PipeFlags::NONBLOCK).unwrap();
        let mut body = [0; 10_000];
        let got = journal.append_read(3, 7, reader.as_fd(), &mut body, |body| body.len());
        assert_eq!(got.unwrap(), None, "the pipe is empty");
        rustix::io::write(&writer, b"given by the kernel").unwrap();
        let got = journal.append_read(3, 7, reader.as_fd(), &mut body, |body| body.len());
        assert_eq!(got.unwrap(), Some(19));
        assert_eq!(&body[..19], b"given by the kernel");
        journal.append(1, 2, b"ours").unwrap();
        rustix::io::write(&writer, &[0xff; 100]).unwrap();
        let got = journal.append_read(3, 8, reader.as_fd(), &mut body, |_| 3);
        assert_eq!(got.unwrap(), Some(3));

        let expected = [
            entry(3, 7, b"given by the kernel"),
            entry(1, 2, b"ours"),
            entry(3, 8, &[0xff; 3]),
        ];
        let successor = Journal::map(fd).unwrap();
        assert_eq!(successor.entries(), expected);
        successor.replace(9, 0, b"all of it").unwrap();
        successor.append(1, 3, b"").unwrap();
        assert_eq!(
            successor.entries(),
            [entry(9, 0, b"all of it"), entry(1, 3, b"")]
        );
    }

    #[test]
    fn what_the_kernel_gave_to_the_killed_counts() {
        let fd = Journal::create().unwrap();
        let journal = Journal::map(fd.try_clone().unwrap()).unwrap();
        journal.append(1, 0, b"ours").unwrap();
        // As if it was killed between the kernel's copy and its own store.
        let at = HEAD + journal.len();
        let (reader, _writer) = pipe_with(PipeFlags::NONBLOCK).unwrap();
        let got = journal.append_read(3, 7, reader.as_fd(), &mut [0; 16], |body| body.len());
        assert_eq!(got.unwrap(), None);
        assert_eq!(
            Journal::map(fd.try_clone().unwrap())
                .unwrap()
                .entries()
                .len(),
            1
        );
        journal.memory.copy_in(at + ENTRY_HEAD, b"a page of events");
        let entries = Journal::map(fd.try_clone().unwrap()).unwrap().entries();
        assert_eq!(entries[1..], [entry(3, 7, b"a page of events")]);
        // What it wrote itself does not, before it is complete.
        journal.write(0, journal.len(), 1, 0, b"half").unwrap();
        assert_eq!(Journal::map(fd).unwrap().entries().len(), 1);
    }

    #[test]
    fn it_is_full_some_time() {
        let journal = Journal::map(Journal::create().unwrap()).unwrap();
        let body = vec![1; 40 << 20];
        for _ in 0..3 {
            journal.append(1, 0, &body).unwrap();
        }
        let error = journal.append(1, 0, &body).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        journal.replace(1, 0, b"less").unwrap();
        journal.append(1, 0, &body).unwrap();
        assert_eq!(journal.entries().len(), 2);
    }

    #[test]
    fn other_files_are_refused() {
        let fd = memfd_create("x", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        ftruncate(&fd, HEAD + 2 * HALF).unwrap();
        assert!(Journal::map(fd).is_err(), "somebody could cut it");
    }
}
