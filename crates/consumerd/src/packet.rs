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

    /// Writes `prefix` and the packet with one system call, leaving out the first `done` bytes, and returns how
    /// many bytes the descriptor took.
    fn write_once(
        &self,
        fd: BorrowedFd<'_>,
        prefix: &[u8],
        padding: Padding,
        done: u64,
    ) -> io::Result<u64>;

    /// Writes `prefix` and the packet, all of it, and tells how much is taken each time. A descriptor with a time
    /// limit for sending is tried again and again.
    fn write_all(
        &self,
        fd: BorrowedFd<'_>,
        prefix: &[u8],
        padding: Padding,
        taken: &dyn Fn(u64),
    ) -> io::Result<()> {
        let len = prefix.len() as u64
            + match padding {
                Padding::Write => self.padded_len(),
                Padding::Omit => self.content_len(),
            };
        let mut done = 0;
        while done < len {
            match self.write_once(fd, prefix, padding, done) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(wrote) => {
                    done += wrote;
                    taken(wrote);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

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

    fn write_once(
        &self,
        fd: BorrowedFd<'_>,
        prefix: &[u8],
        padding: Padding,
        done: u64,
    ) -> io::Result<u64> {
        PacketLease::write_once(self, fd, prefix, padding, done)
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

    fn write_once(
        &self,
        fd: BorrowedFd<'_>,
        prefix: &[u8],
        _: Padding,
        done: u64,
    ) -> io::Result<u64> {
        let mut parts = [io::IoSlice::new(prefix), io::IoSlice::new(self.bytes)];
        let mut left = &mut parts[..];
        io::IoSlice::advance_slices(&mut left, done as usize);
        loop {
            match rustix::io::writev(fd, left) {
                Ok(wrote) => return Ok(wrote as u64),
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}
