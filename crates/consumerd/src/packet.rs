//! A packet on its way, whatever kind of buffer it comes from.

use std::fmt::Debug;
use std::io;
use std::os::fd::BorrowedFd;

use ring_buffer::{PacketHeader, PacketLease, Padding};
use zerocopy::FromBytes;

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

/// A packet in memory of this process.
#[derive(Debug)]
pub(crate) struct MemoryPacket<'a> {
    header: PacketHeader,
    bytes: &'a [u8],
    events: Option<u64>,
}

impl<'a> MemoryPacket<'a> {
    /// All of a packet, which has no padding, and the number of its events if that is known.
    pub(crate) fn new(bytes: &'a [u8], events: Option<u64>) -> anyhow::Result<Self> {
        let (header, _) = PacketHeader::read_from_prefix(bytes)
            .map_err(|_| anyhow::anyhow!("a packet is shorter than its header"))?;
        Ok(Self {
            header,
            bytes,
            events,
        })
    }
}

impl Packet for MemoryPacket<'_> {
    fn header(&self) -> &PacketHeader {
        &self.header
    }

    fn content_len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn padded_len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn events(&self) -> Option<u64> {
        self.events
    }

    fn copy_to(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(self.bytes);
    }

    fn write_all(&self, fd: BorrowedFd<'_>, prefix: &[u8], _: Padding) -> io::Result<()> {
        let mut parts = [io::IoSlice::new(prefix), io::IoSlice::new(self.bytes)];
        let mut left = &mut parts[..];
        io::IoSlice::advance_slices(&mut left, 0);
        while !left.is_empty() {
            match rustix::io::writev(fd, left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(wrote) => io::IoSlice::advance_slices(&mut left, wrote),
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }
}
