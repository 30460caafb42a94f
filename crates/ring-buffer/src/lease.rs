//! One packet in the reader's hands.

use std::io;
use std::os::fd::AsFd;

use zerocopy::IntoBytes;

use crate::layout::{PACKET_HEADER_BYTES, PacketHeader};
use crate::reader::Reader;
use crate::ring::BufferIndex;
use crate::transfer::Parts;

/// Whether the zeros up to the page boundary go out with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// For trace files.
    Write,
    /// For a relay daemon, which adds it by itself.
    Omit,
}

/// A packet that the writers leave alone until the lease ends.
///
/// [`Self::release`] marks it as read. A lease that is dropped instead puts the packet back unread,
/// which is right when the output failed.
///
/// What goes out is the header as it was checked, and then the bytes in the shared memory; a hostile
/// writer can still change these, but not their length.
#[derive(Debug)]
pub struct PacketLease<'a> {
    pub(crate) reader: &'a mut Reader,
    pub(crate) packet: Packet,
    pub(crate) released: bool,
}

/// What a lease is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet {
    pub(crate) position: u64,
    pub(crate) buffer: BufferIndex,
    pub(crate) header: PacketHeader,
    pub(crate) content_len: u64,
    pub(crate) padded_len: u64,
    pub(crate) lost_before: u64,
    /// The reader has taken the buffer out of its slot, or would have to.
    pub(crate) exchanged: bool,
}

impl PacketLease<'_> {
    /// The packet header, checked against the buffer's identity, sizes and position.
    pub fn header(&self) -> &PacketHeader {
        &self.packet.header
    }

    /// Position of the packet in the stream, in bytes of sub-buffers: its number times their size.
    pub fn position(&self) -> u64 {
        self.packet.position
    }

    /// Packets that were overwritten, or unreadable, between the previous packet and this.
    pub fn lost_before(&self) -> u64 {
        self.packet.lost_before
    }

    /// Bytes of header and events.
    pub fn content_len(&self) -> u64 {
        self.packet.content_len
    }

    /// Bytes that the packet occupies in a trace file.
    pub fn padded_len(&self) -> u64 {
        self.packet.padded_len
    }

    /// Bytes between the content and the next packet in a trace file.
    pub fn padding(&self) -> u64 {
        self.packet.padded_len - self.packet.content_len
    }

    /// Where the packet lies in the shared memory, in bytes from its start.
    pub fn data_offset(&self) -> u64 {
        self.reader.ring.data_offset(self.packet.buffer)
    }

    /// Appends the content to `to`, which must be checked as anything that applications write.
    pub fn copy_to(&self, to: &mut Vec<u8>) {
        let start = to.len();
        to.extend_from_slice(self.packet.header.as_bytes());
        let body = start + PACKET_HEADER_BYTES as usize;
        to.resize(start + self.packet.content_len as usize, 0);
        let at = self.data_offset() + PACKET_HEADER_BYTES;
        self.reader.ring.memory.copy_out(at, &mut to[body..]);
    }

    /// Bytes that [`Self::write_once`] writes in all.
    pub fn write_len(&self, prefix: &[u8], padding: Padding) -> u64 {
        self.parts(prefix, padding).len()
    }

    /// Writes `prefix` and the packet with one system call, leaving out the first `done` bytes, and
    /// returns how many bytes the descriptor took.
    ///
    /// Errors are those of `writev`; `WouldBlock` on a non-blocking descriptor. A broken pipe is an
    /// error only where `SIGPIPE` is ignored, as Rust programs do.
    pub fn write_once(
        &self,
        fd: impl AsFd,
        prefix: &[u8],
        padding: Padding,
        done: u64,
    ) -> io::Result<u64> {
        self.parts(prefix, padding).write_once(fd.as_fd(), done)
    }

    /// Writes `prefix` and the packet to a blocking descriptor, all of it.
    pub fn write_all(&self, fd: impl AsFd, prefix: &[u8], padding: Padding) -> io::Result<()> {
        let parts = self.parts(prefix, padding);
        let mut done = 0;
        while done < parts.len() {
            match parts.write_once(fd.as_fd(), done)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                wrote => done += wrote,
            }
        }
        Ok(())
    }

    fn parts<'b>(&'b self, prefix: &'b [u8], padding: Padding) -> Parts<'b> {
        Parts {
            prefix,
            header: self.packet.header.as_bytes(),
            memory: &self.reader.ring.memory,
            body: (
                self.data_offset() + PACKET_HEADER_BYTES,
                self.packet.content_len - PACKET_HEADER_BYTES,
            ),
            zeros: match padding {
                Padding::Write => self.padding(),
                Padding::Omit => 0,
            },
        }
    }

    /// Marks the packet as read: its space belongs to the writers again.
    pub fn release(mut self) {
        self.reader.finish(&self.packet);
        self.released = true;
    }
}

impl Drop for PacketLease<'_> {
    fn drop(&mut self) {
        if !self.released {
            self.reader.put(&self.packet);
        }
    }
}
