//! Memory that other processes write at any time. The only module, with [`crate::transfer`], that
//! touches raw addresses.
//!
//! Control words are reached as atomics, payload is copied or handed to the kernel; a reference to
//! bytes never exists.

#[cfg(test)]
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{NonNull, null_mut};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use crate::sync::{AtomicI32, AtomicU64};

/// Bytes shared with other processes, or with nobody in tests. The address stays valid and the
/// length fixed while the value lives.
#[derive(Debug)]
pub(crate) struct Memory {
    base: NonNull<u8>,
    len: usize,
    origin: Origin,
}

#[derive(Debug)]
enum Origin {
    Mapped,
    #[cfg(test)]
    Heap(Layout),
}

// SAFETY: the value owns its mapping; all access goes through atomics or raw copies, which do not
// care which thread makes them.
unsafe impl Send for Memory {}
// SAFETY: as above; `&Memory` hands out only atomics and copies, so sharing it races no more than the
// other processes do anyway.
unsafe impl Sync for Memory {}

impl Memory {
    /// Maps the first `len` bytes of `fd`, shared and writable.
    ///
    /// The caller has checked that the file is that long and cannot shrink: otherwise an access
    /// kills this process with `SIGBUS`.
    pub(crate) fn map(fd: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: no address is asked for, so no existing mapping is replaced, and nothing in this
        // process knows the new one but the value made here.
        let base = unsafe { mmap(null_mut(), len, protection, MapFlags::SHARED, fd, 0) }?;
        let base = NonNull::new(base.cast::<u8>()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self {
            base,
            len,
            origin: Origin::Mapped,
        })
    }

    /// Zeroed private memory, for tests that need no kernel.
    #[cfg(test)]
    pub(crate) fn heap(len: usize) -> Self {
        let Ok(layout) = Layout::from_size_align(len.max(1), 4096) else {
            panic!("{len} bytes of heap make no sense");
        };
        // SAFETY: the size is not zero.
        let base = unsafe { alloc_zeroed(layout) };
        let Some(base) = NonNull::new(base) else {
            handle_alloc_error(layout)
        };
        Self {
            base,
            len,
            origin: Origin::Heap(layout),
        }
    }

    /// The word at byte offset `at`. Panics if `at` is not aligned or outside: callers compute
    /// offsets from a checked geometry, never from what the memory contains.
    pub(crate) fn word(&self, at: u64) -> &AtomicU64 {
        let at = self.checked(at, 8);
        assert!(at.is_multiple_of(8), "offset {at} is not aligned");
        // SAFETY: `checked` proved that 8 bytes from `at` are in the memory, which lives as long as
        // `self`; base is page aligned and `at` a multiple of 8; this process only ever
        // accesses control words through atomics.
        unsafe { AtomicU64::from_ptr(self.base.as_ptr().add(at).cast()) }
    }

    /// The 32-bit word at byte offset `at`; as [`Self::word`].
    pub(crate) fn word32(&self, at: u64) -> &AtomicI32 {
        let at = self.checked(at, 4);
        assert!(at.is_multiple_of(4), "offset {at} is not aligned");
        // SAFETY: as in `word`, with 4 bytes and alignment 4.
        unsafe { AtomicI32::from_ptr(self.base.as_ptr().add(at).cast()) }
    }

    /// Copies bytes out that another process may be writing: a snapshot to check, not a fact.
    pub(crate) fn copy_out(&self, at: u64, to: &mut [u8]) {
        let at = self.checked(at, to.len() as u64);
        // SAFETY: the source range was checked, and `to` is exclusively ours and cannot overlap with
        // memory of which no reference exists. `u8` has no invalid value, so a concurrent write
        // can only change what is copied; no reference to the shared bytes is formed.
        unsafe {
            self.base
                .as_ptr()
                .add(at)
                .copy_to_nonoverlapping(to.as_mut_ptr(), to.len());
        }
    }

    /// Copies bytes in, which others may be reading; the caller publishes them with a later atomic.
    pub(crate) fn copy_in(&self, at: u64, from: &[u8]) {
        let at = self.checked(at, from.len() as u64);
        // SAFETY: the destination range was checked; nobody holds a reference to it, see above.
        unsafe {
            self.base
                .as_ptr()
                .add(at)
                .copy_from_nonoverlapping(from.as_ptr(), from.len());
        }
    }

    /// Lets the kernel fill a range from a descriptor, once. Gives the number of bytes; 0: there is nothing now.
    pub(crate) fn read_from(&self, fd: BorrowedFd<'_>, at: u64, len: u64) -> io::Result<u64> {
        let at = self.checked(at, len);
        loop {
            // SAFETY: the range was checked and stays mapped through the call. The kernel writes it, as any other
            // process might; no reference to it exists.
            let got = unsafe {
                libc::read(
                    fd.as_raw_fd(),
                    self.base.as_ptr().add(at).cast(),
                    len as usize,
                )
            };
            if got >= 0 {
                return Ok(got as u64);
            }
            let error = io::Error::last_os_error();
            match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => return Ok(0),
                _ => return Err(error),
            }
        }
    }

    /// The address of a checked range, for the kernel to read from.
    pub(crate) fn address(&self, at: u64, len: u64) -> *const u8 {
        let at = self.checked(at, len);
        // SAFETY: `checked` proved that `at` is within the memory.
        unsafe { self.base.as_ptr().add(at) }
    }

    fn checked(&self, at: u64, len: u64) -> usize {
        let end = at.checked_add(len);
        assert!(
            end.is_some_and(|end| end <= self.len as u64),
            "{len} bytes at {at} are outside of {} bytes",
            self.len
        );
        at as usize
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        match self.origin {
            // SAFETY: the range is the one `mmap` returned, and no atomic borrowed from `self` can
            // outlive it.
            Origin::Mapped => unsafe {
                // An error could only mean that the range is not ours.
                let _ = munmap(self.base.as_ptr().cast(), self.len);
            },
            #[cfg(test)]
            // SAFETY: allocated in `heap` with this layout.
            Origin::Heap(layout) => unsafe { dealloc(self.base.as_ptr(), layout) },
        }
    }
}
