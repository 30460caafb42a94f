//! A packet on its way, whatever kind of buffer it comes from.

use std::fmt::Debug;
use std::io;
use std::os::fd::BorrowedFd;

use ring_buffer::{PacketHeader, PacketLease, Padding};

/// A packet that lies where it is until the output has it.
pub(crate) trait Packet: Debug {
    /// Trace packet header and packet context, checked.
    fn header(&self) -> &PacketHeader;

    /// Bytes of header and events.
    fn content_len(&self) -> u64;

    /// Bytes that the packet occupies in a trace file.
    fn padded_len(&self) -> u64;

    /// Number of events, if the source knows it without decoding the packet.
    fn events(&self) -> Option<u64>;

    /// Appends the content to `to`.
    fn copy_to(&self, to: &mut Vec<u8>);

    /// Writes `prefix` and the packet to a blocking descriptor, all of it.
    fn write_all(&self, fd: BorrowedFd<'_>, prefix: &[u8], padding: Padding) -> io::Result<()>;

    /// Bytes between the content and the next packet in a trace file.
    fn padding(&self) -> u64 {
        self.padded_len() - self.content_len()
    }
}

impl Packet for PacketLease<'_> {
    fn header(&self) -> &PacketHeader {
        PacketLease::header(self)
    }

    fn content_len(&self) -> u64 {
        PacketLease::content_len(self)
    }

    fn padded_len(&self) -> u64 {
        PacketLease::padded_len(self)
    }

    fn events(&self) -> Option<u64> {
        None
    }

    fn copy_to(&self, to: &mut Vec<u8>) {
        PacketLease::copy_to(self, to);
    }

    fn write_all(&self, fd: BorrowedFd<'_>, prefix: &[u8], padding: Padding) -> io::Result<()> {
        PacketLease::write_all(self, fd, prefix, padding)
    }
}
