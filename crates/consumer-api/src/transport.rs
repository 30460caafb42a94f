//! One message in one packet of a `SOCK_SEQPACKET` socket, with its descriptors.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest message in bytes. Names and paths are bounded far below it.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// Most descriptors of one message.
pub const MAX_FDS: usize = 4;

/// Why a message could not be sent or received.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The system refused; `WouldBlock` on a non-blocking socket means: later.
    #[error("consumer socket: {0}")]
    Io(#[from] io::Error),
    /// We have a bug, or a name was not bounded.
    #[error("message of {0} bytes is longer than {MAX_MESSAGE_BYTES}")]
    TooLong(usize),
    /// The peer sent more than fits.
    #[error("the peer sent a message or descriptors that do not fit and were cut")]
    Truncated,
    /// The peer sent something that is no message of ours.
    #[error("the peer sent something that is no message: {0}")]
    Malformed(#[from] serde_json::Error),
}

impl TransportError {
    /// The socket is not ready: wait and call again.
    pub fn is_would_block(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

/// A message with its descriptors.
#[derive(Debug)]
pub struct Received<M> {
    /// What was said.
    pub message: M,
    /// In the order in which they were attached; close-on-exec.
    pub fds: Vec<OwnedFd>,
}

/// Sends one message. Blocks if the socket blocks; a peer that has gone is `BrokenPipe`, no signal.
pub fn send<M: Serialize>(
    socket: impl AsFd,
    message: &M,
    fds: &[BorrowedFd<'_>],
) -> Result<(), TransportError> {
    let text = serde_json::to_vec(message)?;
    if text.len() > MAX_MESSAGE_BYTES {
        return Err(TransportError::TooLong(text.len()));
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(TransportError::TooLong(text.len()));
    }
    loop {
        match sendmsg(
            &socket,
            &[IoSlice::new(&text)],
            &mut control,
            SendFlags::NOSIGNAL,
        ) {
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => continue,
            Err(errno) => return Err(TransportError::Io(errno.into())),
        }
    }
}

/// Receives one message, or `None` when the peer has closed the socket.
pub fn receive<M: DeserializeOwned>(
    socket: impl AsFd,
) -> Result<Option<Received<M>>, TransportError> {
    let mut text = vec![0; MAX_MESSAGE_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let mut parts = [IoSliceMut::new(&mut text)];
        match recvmsg(&socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Ok(received) => break received,
            Err(rustix::io::Errno::INTR) => continue,
            Err(rustix::io::Errno::CONNRESET) => return Ok(None),
            Err(errno) => return Err(TransportError::Io(errno.into())),
        }
    };
    let fds = take_fds(&mut control);
    if received
        .flags
        .intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC)
    {
        return Err(TransportError::Truncated);
    }
    if received.bytes == 0 {
        return Ok(None);
    }
    let message = serde_json::from_slice(&text[..received.bytes])?;
    Ok(Some(Received { message, fds }))
}

fn take_fds(control: &mut RecvAncillaryBuffer<'_>) -> Vec<OwnedFd> {
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    fds
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;
    use crate::{Envelope, Request, RequestId};

    fn pair() -> (OwnedFd, OwnedFd) {
        socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .unwrap()
    }

    #[test]
    fn a_message_arrives_with_its_descriptors() {
        let (near, far) = pair();
        let file = std::fs::File::open("/dev/null").unwrap();
        let sent = Envelope {
            id: RequestId(7),
            request: Request::Drain,
        };
        send(&near, &sent, &[file.as_fd(), near.as_fd()]).unwrap();
        let got = receive::<Envelope>(&far).unwrap().unwrap();
        assert_eq!(got.message.id, RequestId(7));
        assert!(matches!(got.message.request, Request::Drain));
        assert_eq!(got.fds.len(), 2);
    }

    #[test]
    fn the_end_of_the_peer_is_no_error() {
        let (near, far) = pair();
        drop(near);
        assert!(receive::<Envelope>(&far).unwrap().is_none());
    }

    #[test]
    fn garbage_is_an_error_and_not_a_message() {
        let (near, far) = pair();
        rustix::net::send(&near, b"\xff{", SendFlags::empty()).unwrap();
        assert!(matches!(
            receive::<Envelope>(&far),
            Err(TransportError::Malformed(_))
        ));
    }
}
