//! The word on which applications without a session daemon sleep.

use std::io;
use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::thread::futex;

/// Length of the shared memory that holds the word: one page, as applications map it.
pub const WAIT_MEMORY_BYTES: u64 = 4096;

/// The mapped word: 0 while there is no session daemon, 1 when one is ready.
#[derive(Debug)]
pub struct WaitWord {
    word: NonNull<AtomicU32>,
}

// SAFETY: the mapping belongs to this value alone, is never moved, and is only used through an atomic.
unsafe impl Send for WaitWord {}
// SAFETY: as above.
unsafe impl Sync for WaitWord {}

impl WaitWord {
    /// Maps the word at the start of the file, which must be at least [`WAIT_MEMORY_BYTES`] long.
    pub fn map(file: impl AsFd) -> io::Result<Self> {
        let size = rustix::fs::fstat(&file)?.st_size;
        if u64::try_from(size).unwrap_or(0) < WAIT_MEMORY_BYTES {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        // SAFETY: a fresh shared mapping at an address of the kernel's choice; it aliases no Rust object.
        let address = unsafe {
            mmap(
                std::ptr::null_mut(),
                WAIT_MEMORY_BYTES as usize,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                file,
                0,
            )
        }?;
        let word = NonNull::new(address.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { word })
    }

    /// Stores a value and wakes all who wait for it to change.
    pub fn announce(&self, value: u32) -> io::Result<()> {
        // SAFETY: `map` made at least a page of valid, aligned memory that lives as long as `self`;
        // other processes only read it or use atomics.
        let word = unsafe { self.word.as_ref() };
        // Release: the socket is listening before an application sees the word.
        // Pairs with the futex wait of liblttng-ust's listener threads.
        word.store(value, Ordering::Release);
        futex::wake(word, futex::Flags::empty(), i32::MAX as u32)?;
        Ok(())
    }
}

impl Drop for WaitWord {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `map` with this length and nothing refers to it any more.
        let _ = unsafe { munmap(self.word.as_ptr().cast(), WAIT_MEMORY_BYTES as usize) };
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use rustix::fs::{MemfdFlags, memfd_create};

    use super::*;

    #[test]
    fn readers_of_the_file_see_what_was_announced() {
        let file = std::fs::File::from(memfd_create("wait", MemfdFlags::CLOEXEC).unwrap());
        assert!(WaitWord::map(&file).is_err());
        file.set_len(WAIT_MEMORY_BYTES).unwrap();
        let word = WaitWord::map(&file).unwrap();
        word.announce(1).unwrap();
        let mut bytes = [0; 4];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(u32::from_ne_bytes(bytes), 1);
    }
}
