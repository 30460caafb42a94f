//! Packets that the session daemon writes itself, one after the other, into a memfd: the state dump.
//!
//! The memfd begins with a word that is not 0 while something is made that is not written yet.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, ensure};
use ring_buffer::{FlushMode, PACKET_HEADER_BYTES, PACKET_MAGIC, PacketHeader, monotonic_now};
use zerocopy::{FromZeros, IntoBytes};

use crate::output::OutputError;
use crate::packet::MemoryPacket;
use crate::source::{Deliver, Progress, Source, TakeError, Writers};

/// Largest packet that is taken for possible, bytes.
const MAX_PACKET_BYTES: u64 = 64 << 20;

/// Bytes before the first packet.
const WORD: u64 = 8;

/// See the module.
#[derive(Debug)]
pub(crate) struct WrittenSource {
    packets: OwnedFd,
    pipe: OwnedFd,
    /// Of the next packet, in the memfd.
    position: u64,
    /// Memory of one packet.
    bytes: Vec<u8>,
}

impl WrittenSource {
    /// Reads the packets from the first one. The pipe tells when there are more.
    pub(crate) fn new(packets: OwnedFd, pipe: OwnedFd) -> Self {
        Self {
            packets,
            pipe,
            position: WORD,
            bytes: Vec::new(),
        }
    }

    /// Reads the packet at a position into memory and tells where the next one is; `None` if it is not
    /// complete.
    fn read(&mut self, position: u64) -> anyhow::Result<Option<u64>> {
        let mut header = PacketHeader::new_zeroed();
        if !self.fill(header.as_mut_bytes(), position)? {
            return Ok(None);
        }
        let bits = header.packet_size.get();
        let len = bits / 8;
        ensure!(
            header.magic.get() == PACKET_MAGIC
                && bits.is_multiple_of(8)
                && (PACKET_HEADER_BYTES..=MAX_PACKET_BYTES).contains(&len),
            "there is no packet at {position}"
        );
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.resize(len as usize, 0);
        let complete = self.fill(&mut bytes, position)?;
        self.bytes = bytes;
        Ok(complete.then_some(position + len))
    }

    fn fill(&self, to: &mut [u8], position: u64) -> anyhow::Result<bool> {
        let mut got = 0;
        while got < to.len() {
            match rustix::io::pread(&self.packets, &mut to[got..], position + got as u64) {
                Ok(0) => return Ok(false),
                Ok(more) => got += more,
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(io::Error::from(errno)).context("cannot read a packet"),
            }
        }
        Ok(true)
    }
}

impl Source for WrittenSource {
    fn wakeup(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    fn woken(&mut self) {
        let _ = rustix::io::read(&self.pipe, &mut [0; 512]);
    }

    fn take(&mut self, _: Writers, deliver: &mut Deliver<'_>) -> Result<Progress, TakeError> {
        let next = self.read(self.position).map_err(TakeError::Broken)?;
        let Some(next) = next else {
            return Ok(Progress::Nothing);
        };
        let packet = MemoryPacket::new(&self.bytes, None).map_err(TakeError::Broken)?;
        deliver(&packet).map_err(TakeError::Output)?;
        self.position = next;
        Ok(Progress::Delivered)
    }

    /// They are closed when they are written.
    fn flush(&mut self, _: FlushMode) {}

    fn pending(&self) -> u64 {
        // What is written meanwhile is for the next time; packets are no smaller than their header.
        let size = rustix::fs::fstat(&self.packets).map_or(0, |stat| stat.st_size as u64);
        size.saturating_sub(self.position) / PACKET_HEADER_BYTES
    }

    fn flush_or_idle(&mut self) -> Option<u64> {
        // Before the look: what is begun after it is younger.
        let now = monotonic_now();
        let mut word = [0; WORD as usize];
        let idle = self.fill(&mut word, 0).unwrap_or(false) && word == [0; WORD as usize];
        (idle && self.pending() == 0).then_some(now)
    }

    fn peek(&mut self, _: u64, deliver: &mut Deliver<'_>) -> Result<(), OutputError> {
        let mut position = WORD;
        // All of them: without the first one the others make no sense.
        while let Some(next) = self.read(position).map_err(OutputError::Refused)? {
            let packet = MemoryPacket::new(&self.bytes, None).map_err(OutputError::Refused)?;
            deliver(&packet)?;
            position = next;
        }
        Ok(())
    }
}
