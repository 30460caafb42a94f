//! What a viewer asks, in both directions.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{ConnectionKind, Seek, ViewerCommand, wire};
use crate::{Minor, RelaySessionId, StreamHandle};

/// Bytes in front of every payload.
pub const VIEWER_HEADER_LEN: usize = size_of::<wire::Header>();
/// The longest request, header included.
pub const MAX_VIEWER_REQUEST_LEN: usize = VIEWER_HEADER_LEN + size_of::<wire::Connect>();

/// One request of a viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewerRequest {
    /// Always the first.
    Connect {
        /// [`crate::MAJOR`].
        major: u32,
        /// What the viewer speaks at most.
        minor: Minor,
        /// Of this connection.
        kind: ConnectionKind,
    },
    /// Which sessions are there?
    ListSessions,
    /// Shows a session.
    Attach {
        /// The session.
        session: RelaySessionId,
        /// Where to begin.
        seek: Seek,
    },
    /// Where is the next packet?
    NextIndex {
        /// The stream.
        stream: StreamHandle,
    },
    /// Bytes of the packet whose index was told last.
    Packet {
        /// The stream.
        stream: StreamHandle,
        /// As the index said, or further.
        offset_bytes: u64,
        /// How many.
        len_bytes: u32,
    },
    /// Metadata that was not told yet.
    Metadata {
        /// The metadata stream.
        stream: StreamHandle,
    },
    /// Streams that were not told yet.
    NewStreams {
        /// The session.
        session: RelaySessionId,
    },
    /// Needed before a viewer can attach.
    CreateSession,
    /// Ends an attachment.
    Detach {
        /// The session.
        session: RelaySessionId,
    },
}

/// A request that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnknownCommand(pub(super) ViewerCommand);

impl ViewerRequest {
    /// Its command.
    #[must_use]
    pub fn command(&self) -> ViewerCommand {
        match self {
            Self::Connect { .. } => ViewerCommand::CONNECT,
            Self::ListSessions => ViewerCommand::LIST_SESSIONS,
            Self::Attach { .. } => ViewerCommand::ATTACH_SESSION,
            Self::NextIndex { .. } => ViewerCommand::GET_NEXT_INDEX,
            Self::Packet { .. } => ViewerCommand::GET_PACKET,
            Self::Metadata { .. } => ViewerCommand::GET_METADATA,
            Self::NewStreams { .. } => ViewerCommand::GET_NEW_STREAMS,
            Self::CreateSession => ViewerCommand::CREATE_SESSION,
            Self::Detach { .. } => ViewerCommand::DETACH_SESSION,
        }
    }

    /// The whole message, ready for one write.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match *self {
            Self::Connect { major, minor, kind } => self.message(&wire::Connect {
                viewer_session_id: u64::MAX.into(),
                major: major.into(),
                minor: minor.0.into(),
                kind: kind.0.into(),
            }),
            Self::ListSessions | Self::CreateSession => self.message(&[0_u8; 0]),
            Self::Attach { session, seek } => self.message(&wire::Attach {
                session_id: session.0.into(),
                offset: 0.into(),
                seek: seek.0.into(),
            }),
            Self::NextIndex { stream } | Self::Metadata { stream } => self.message(&wire::Id {
                id: stream.0.into(),
            }),
            Self::Packet {
                stream,
                offset_bytes,
                len_bytes,
            } => self.message(&wire::GetPacket {
                stream_id: stream.0.into(),
                offset: offset_bytes.into(),
                len: len_bytes.into(),
            }),
            Self::NewStreams { session } | Self::Detach { session } => self.message(&wire::Id {
                id: session.0.into(),
            }),
        }
    }

    fn message(&self, payload: &(impl IntoBytes + Immutable)) -> Vec<u8> {
        let payload = payload.as_bytes();
        let header = wire::Header {
            data_size: (payload.len() as u64).into(),
            cmd: self.command().0.into(),
            cmd_version: 0.into(),
        };
        [header.as_bytes(), payload].concat()
    }

    /// Takes one request from the front of `bytes`: the request and its length, or `None` if its end has not
    /// arrived yet.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, UnknownCommand> {
        let Ok((header, payload)) = wire::Header::read_from_prefix(bytes) else {
            return Ok(None);
        };
        let session = |id: wire::Id| RelaySessionId(id.id.get());
        let stream = |id: wire::Id| StreamHandle(id.id.get());
        let parsed = match ViewerCommand(header.cmd.get()) {
            ViewerCommand::CONNECT => fixed(payload, |connect: wire::Connect| Self::Connect {
                major: connect.major.get(),
                minor: Minor(connect.minor.get()),
                kind: ConnectionKind(connect.kind.get()),
            }),
            ViewerCommand::LIST_SESSIONS => Some((Self::ListSessions, 0)),
            ViewerCommand::CREATE_SESSION => Some((Self::CreateSession, 0)),
            ViewerCommand::ATTACH_SESSION => fixed(payload, |attach: wire::Attach| Self::Attach {
                session: RelaySessionId(attach.session_id.get()),
                seek: Seek(attach.seek.get()),
            }),
            ViewerCommand::GET_NEXT_INDEX => {
                fixed(payload, |id| Self::NextIndex { stream: stream(id) })
            }
            ViewerCommand::GET_METADATA => {
                fixed(payload, |id| Self::Metadata { stream: stream(id) })
            }
            ViewerCommand::GET_PACKET => fixed(payload, |packet: wire::GetPacket| Self::Packet {
                stream: StreamHandle(packet.stream_id.get()),
                offset_bytes: packet.offset.get(),
                len_bytes: packet.len.get(),
            }),
            ViewerCommand::GET_NEW_STREAMS => fixed(payload, |id| Self::NewStreams {
                session: session(id),
            }),
            ViewerCommand::DETACH_SESSION => fixed(payload, |id| Self::Detach {
                session: session(id),
            }),
            unknown => return Err(UnknownCommand(unknown)),
        };
        Ok(parsed.map(|(request, len)| (request, VIEWER_HEADER_LEN + len)))
    }
}

/// A fixed structure at the front of `bytes` and its length.
fn fixed<T: FromBytes + Immutable + KnownLayout + Unaligned, R>(
    bytes: &[u8],
    make: impl FnOnce(T) -> R,
) -> Option<(R, usize)> {
    let (structure, _) = T::read_from_prefix(bytes).ok()?;
    Some((make(structure), size_of::<T>()))
}
