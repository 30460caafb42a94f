//! The bytes of every packet, ready to be sent.

use std::io::IoSlice;
use std::net::TcpStream;

use anyhow::{Context, Result};
use rustix::fd::OwnedFd;
use rustix::fs::{MemfdFlags, memfd_create, sendfile};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, send, sendmsg};

use relay::DATA_HEADER_LEN;

/// From this size on the kernel takes the pages of a memory file instead of copying: less than that costs
/// more than the copy.
const SENDFILE_FROM: usize = 16 * 1024;

#[derive(Debug)]
pub(super) struct Payload {
    bytes: Vec<u8>,
    pages: OwnedFd,
}

impl Payload {
    pub(super) fn new(len: u32) -> Result<Self> {
        let bytes: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
        let pages = memfd_create("payload", MemfdFlags::CLOEXEC)?;
        let mut at = 0;
        while at < bytes.len() {
            at += rustix::io::pwrite(&pages, &bytes[at..], at as u64)?;
        }
        Ok(Self { bytes, pages })
    }

    /// Header and payload.
    pub(super) fn packet_len(&self) -> usize {
        DATA_HEADER_LEN + self.bytes.len()
    }

    /// Sends what comes after the first `sent` bytes of a packet; how much that was, or `None` if the
    /// socket is full.
    pub(super) fn send(
        &self,
        socket: &TcpStream,
        header: &[u8; DATA_HEADER_LEN],
        sent: usize,
    ) -> Result<Option<usize>> {
        let header = header.get(sent..).unwrap_or_default();
        let at = sent.saturating_sub(DATA_HEADER_LEN);
        let rest = &self.bytes[at..];
        let done = if self.bytes.len() < SENDFILE_FROM {
            let pieces = [IoSlice::new(header), IoSlice::new(rest)];
            let mut no_control = SendAncillaryBuffer::default();
            sendmsg(socket, &pieces, &mut no_control, SendFlags::NOSIGNAL)
        } else if header.is_empty() {
            let mut offset = at as u64;
            sendfile(socket, &self.pages, Some(&mut offset), rest.len())
        } else {
            send(socket, header, SendFlags::NOSIGNAL | SendFlags::MORE)
        };
        match done {
            Ok(len) => Ok(Some(len)),
            Err(Errno::AGAIN) => Ok(None),
            Err(Errno::INTR) => Ok(Some(0)),
            Err(error) => Err(error).context("send data"),
        }
    }
}
