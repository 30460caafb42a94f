//! The way of a packet from shared memory into a descriptor: one `writev`, no copy of ours.
//!
//! Not `sendfile` or `splice` from the memfd: a socket would keep references to the pages after the
//! call, and the writers reuse them as soon as the packet is released.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use crate::memory::Memory;

/// What a packet is padded with, a page at a time.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// Bytes to write, in this order.
pub(crate) struct Parts<'a> {
    pub(crate) prefix: &'a [u8],
    pub(crate) header: &'a [u8],
    pub(crate) memory: &'a Memory,
    /// Offset and length of the range in `memory`.
    pub(crate) body: (u64, u64),
    /// Number of zeros.
    pub(crate) zeros: u64,
}

impl Parts<'_> {
    pub(crate) fn len(&self) -> u64 {
        (self.prefix.len() + self.header.len()) as u64 + self.body.1 + self.zeros
    }

    /// Writes once, leaving out the first `done` bytes; returns how much was written. More than one
    /// call is needed when the descriptor takes less, or for very much padding.
    pub(crate) fn write_once(&self, fd: BorrowedFd<'_>, done: u64) -> io::Result<u64> {
        let (at, len) = self.body;
        let parts = [
            (self.prefix.as_ptr(), self.prefix.len() as u64),
            (self.header.as_ptr(), self.header.len() as u64),
            (self.memory.address(at, len), len),
            (ZEROS.as_ptr(), self.zeros.min(ZEROS.len() as u64)),
        ];
        let mut skip = done;
        let mut vector = [libc::iovec {
            iov_base: ptr::null_mut(),
            iov_len: 0,
        }; 4];
        let mut used = 0;
        for (start, len) in parts {
            let left_out = skip.min(len);
            skip -= left_out;
            if left_out < len {
                vector[used] = libc::iovec {
                    iov_base: start.wrapping_add(left_out as usize).cast_mut().cast(),
                    iov_len: (len - left_out) as usize,
                };
                used += 1;
            }
        }
        if used == 0 {
            return Ok(0);
        }
        loop {
            // SAFETY: each of the first `used` entries is the rest of one of the four parts, all of
            // which live through the call: slices borrowed by `self`, a static, and a range that
            // `Memory::address` checked. The kernel only reads them, and other processes may write
            // the shared one meanwhile without breaking anything but their own packet.
            let wrote =
                unsafe { libc::writev(fd.as_raw_fd(), vector.as_ptr(), used as libc::c_int) };
            if wrote >= 0 {
                return Ok(wrote as u64);
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }
}
