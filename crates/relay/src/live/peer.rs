//! One viewer connection: bytes to requests, and the rules of the conversation.

use super::request::{MAX_VIEWER_REQUEST_LEN, UnknownCommand};
use super::{ConnectionKind, ViewerCommand, ViewerReply, ViewerRequest};
use crate::{MAJOR, Minor};

/// The relay's end of a viewer connection. Requests are answered in order, one at a time: take one with
/// [`ViewerPeer::next_request`], send its answer, take the next.
#[derive(Debug)]
pub struct ViewerPeer {
    input: Vec<u8>,
    taken: usize,
    stage: Stage,
}

/// How far the conversation got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Only `CONNECT` may come.
    New,
    Connected {
        minor: Minor,
    },
    Closing,
}

/// What [`ViewerPeer::next_request`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewerStep {
    /// No complete request is there.
    NeedMore,
    /// Answer this.
    Request(ViewerRequest),
    /// Send this; it was handled here.
    Reply(ViewerReply),
    /// Send this, then close.
    ReplyThenClose(ViewerReply, ViewerClose),
    /// Close.
    Close(ViewerClose),
}

/// Why a viewer connection is closed by the relay. For the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViewerClose {
    /// The viewer speaks another major version.
    #[error(
        "the viewer speaks version {major}.{minor} of the live protocol, this is version {MAJOR}"
    )]
    OtherMajor {
        /// Its major.
        major: u32,
        /// Its minor.
        minor: u32,
    },
    /// Neither for commands nor for notifications.
    #[error("a connection of unknown kind {0}")]
    UnknownKind(ConnectionKind),
    /// Something else came first.
    #[error("{0} before CONNECT")]
    NotConnected(ViewerCommand),
    /// No such command.
    #[error("unknown command {0}")]
    UnknownCommand(ViewerCommand),
}

/// Requests that may wait in one connection's input.
const MAX_INPUT: usize = 32 * MAX_VIEWER_REQUEST_LEN;

impl Default for ViewerPeer {
    fn default() -> Self {
        Self {
            input: Vec::new(),
            taken: 0,
            stage: Stage::New,
        }
    }
}

impl ViewerPeer {
    /// The negotiated minor; 0 before `CONNECT`.
    #[must_use]
    pub fn minor(&self) -> Minor {
        match self.stage {
            Stage::Connected { minor } => minor,
            _ => Minor(0),
        }
    }

    /// How many bytes may be given to [`ViewerPeer::on_bytes`] now.
    #[must_use]
    pub fn room(&self) -> usize {
        MAX_INPUT.saturating_sub(self.buffered())
    }

    /// Bytes that belong to requests which were not taken yet.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.input.len() - self.taken
    }

    /// Bytes arrived, cut anywhere; no more than there is [room](ViewerPeer::room) for.
    pub fn on_bytes(&mut self, bytes: &[u8]) {
        self.input.drain(..self.taken);
        self.taken = 0;
        self.input.extend_from_slice(bytes);
    }

    /// The viewer leaves a session next.
    #[must_use]
    pub fn detaches_next(&self) -> bool {
        let next = ViewerRequest::parse(&self.input[self.taken..]);
        matches!(next, Ok(Some((ViewerRequest::Detach { .. }, _))))
    }

    /// Takes the next request. `viewer` is the number this viewer gets when it connects.
    pub fn next_request(&mut self, viewer: u64) -> ViewerStep {
        if self.stage == Stage::Closing {
            return ViewerStep::NeedMore;
        }
        let step = match ViewerRequest::parse(&self.input[self.taken..]) {
            Ok(None) => return ViewerStep::NeedMore,
            Ok(Some((request, len))) => {
                self.taken += len;
                self.accept(request, viewer)
            }
            Err(UnknownCommand(command)) => self.refuse(command),
        };
        if matches!(
            step,
            ViewerStep::Close(_) | ViewerStep::ReplyThenClose(_, _)
        ) {
            self.stage = Stage::Closing;
        }
        step
    }

    fn accept(&mut self, request: ViewerRequest, viewer: u64) -> ViewerStep {
        let ViewerRequest::Connect { major, minor, kind } = request else {
            return match self.stage {
                Stage::Connected { .. } => ViewerStep::Request(request),
                _ => ViewerStep::Close(ViewerClose::NotConnected(request.command())),
            };
        };
        if major != MAJOR {
            let minor = minor.0;
            return ViewerStep::Close(ViewerClose::OtherMajor { major, minor });
        }
        let viewer = match kind {
            ConnectionKind::COMMAND => viewer,
            ConnectionKind::NOTIFICATION => 0,
            unknown => return ViewerStep::Close(ViewerClose::UnknownKind(unknown)),
        };
        self.stage = Stage::Connected {
            minor: minor.negotiate(Minor::NEWEST),
        };
        ViewerStep::Reply(ViewerReply::connected(viewer))
    }

    fn refuse(&self, command: ViewerCommand) -> ViewerStep {
        match self.stage {
            Stage::Connected { .. } => {
                let why = ViewerClose::UnknownCommand(command);
                ViewerStep::ReplyThenClose(ViewerReply::UnknownCommand, why)
            }
            _ => ViewerStep::Close(ViewerClose::NotConnected(command)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::captures::bytes;

    const CONNECT: &str =
        "0000000000000014 00000001 00000000 ffffffffffffffff 00000002 00000004 00000001";

    fn connected() -> ViewerPeer {
        let mut peer = ViewerPeer::default();
        peer.on_bytes(&bytes(CONNECT));
        assert!(matches!(peer.next_request(1), ViewerStep::Reply(_)));
        peer
    }

    #[test]
    fn connect_is_answered_however_tcp_cuts_it() {
        let message = bytes(CONNECT);
        for cut in 1..message.len() {
            let mut peer = ViewerPeer::default();
            peer.on_bytes(&message[..cut]);
            assert_eq!(peer.next_request(2), ViewerStep::NeedMore, "after {cut}");
            peer.on_bytes(&message[cut..]);
            let ViewerStep::Reply(reply) = peer.next_request(2) else {
                panic!("no reply")
            };
            let mut out = Vec::new();
            reply.encode_into(&mut out);
            // Stock 2.13.9 says minor 13.
            assert_eq!(out, bytes("0000000000000002 00000002 0000000f 00000000"));
            assert_eq!(peer.minor(), Minor(4));
        }
    }

    #[test]
    fn nothing_comes_before_connect() {
        for command in ["00000002", "00000004", "000000ff"] {
            let mut peer = ViewerPeer::default();
            peer.on_bytes(&bytes(&format!(
                "0000000000000000 {command} 00000000 0000000000000001"
            )));
            assert!(matches!(
                peer.next_request(1),
                ViewerStep::Close(ViewerClose::NotConnected(_))
            ));
            assert_eq!(peer.next_request(1), ViewerStep::NeedMore);
        }
    }

    #[test]
    fn other_majors_and_kinds_are_closed() {
        for bad in [
            "0000000000000014 00000001 00000000 ffffffffffffffff 00000003 00000004 00000001",
            "0000000000000014 00000001 00000000 ffffffffffffffff 00000002 00000004 00000003",
        ] {
            let mut peer = ViewerPeer::default();
            peer.on_bytes(&bytes(bad));
            assert!(matches!(peer.next_request(1), ViewerStep::Close(_)));
        }
    }

    #[test]
    fn an_unknown_command_is_answered_and_closed() {
        let mut peer = connected();
        peer.on_bytes(&bytes("0000000000000000 0000000a 00000000"));
        assert_eq!(
            peer.next_request(1),
            ViewerStep::ReplyThenClose(
                ViewerReply::UnknownCommand,
                ViewerClose::UnknownCommand(ViewerCommand(10))
            )
        );
        peer.on_bytes(&bytes(CONNECT));
        assert_eq!(peer.next_request(1), ViewerStep::NeedMore);
    }

    #[test]
    fn the_size_told_is_ignored_as_stock_does() {
        let mut peer = connected();
        peer.on_bytes(&bytes(
            "00000000ffffffff 00000008 00000000 00000000000000ff 00000002 00000000",
        ));
        assert_eq!(
            peer.next_request(1),
            ViewerStep::Request(ViewerRequest::CreateSession)
        );
        assert_eq!(
            peer.next_request(1),
            ViewerStep::Request(ViewerRequest::ListSessions)
        );
    }
}
