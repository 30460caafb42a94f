//! What a relay daemon answers to a viewer: a fixed head; entries or bytes may follow it.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{
    AttachStatus, CreateStatus, DetachStatus, IndexStatus, MetadataStatus, NewStreamsStatus,
    PacketStatus, ViewerCommand, wire,
};
use crate::{MAJOR, Minor, ReturnCode};

/// The fixed part of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewerReply {
    /// To `CONNECT`: the relay's own version, not the smaller of the two.
    Connected {
        /// From 1; 0 for notification connections.
        viewer: u64,
        /// Anything but [`MAJOR`] ends the conversation.
        major: u32,
        /// Take the smaller one of the two.
        minor: Minor,
    },
    /// To `LIST_SESSIONS`: so many [`SessionEntry`](super::SessionEntry) follow.
    Sessions {
        /// How many.
        count: u32,
    },
    /// To `ATTACH_SESSION`: so many [`StreamEntry`](super::StreamEntry) follow.
    Attached {
        /// Done, or why not.
        status: AttachStatus,
        /// How many.
        streams: u32,
    },
    /// To `GET_NEXT_INDEX`.
    Index(IndexReply),
    /// To `GET_PACKET`: so many bytes follow.
    Packet {
        /// Done, or why not.
        status: PacketStatus,
        /// How many.
        len_bytes: u32,
    },
    /// To `GET_METADATA`: so many bytes follow.
    Metadata {
        /// Done, or why not.
        status: MetadataStatus,
        /// How many.
        len_bytes: u64,
    },
    /// To `GET_NEW_STREAMS`: so many [`StreamEntry`](super::StreamEntry) follow.
    NewStreams {
        /// Done, or why not.
        status: NewStreamsStatus,
        /// How many.
        streams: u32,
    },
    /// To `CREATE_SESSION`.
    Created(CreateStatus),
    /// To `DETACH_SESSION`.
    Detached(DetachStatus),
    /// To whatever is no command; the connection is closed then.
    UnknownCommand,
}

/// The reply to `GET_NEXT_INDEX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexReply {
    /// What is told.
    pub status: IndexStatus,
    /// [`FLAG_NEW_METADATA`](super::FLAG_NEW_METADATA), [`FLAG_NEW_STREAM`](super::FLAG_NEW_STREAM).
    pub flags: u32,
    /// The packet, with [`IndexStatus::OK`]; with [`IndexStatus::INACTIVE`] only its `timestamp_end` and
    /// `stream_class_id` are set; else it is zero.
    pub packet: ViewerIndex,
}

/// Where a packet is and what it spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ViewerIndex {
    /// In its data file.
    pub offset_bytes: u64,
    /// With padding.
    pub packet_size_bits: u64,
    /// Without padding.
    pub content_size_bits: u64,
    /// Trace clock at its begin, in cycles.
    pub timestamp_begin: u64,
    /// Trace clock at its end, in cycles.
    pub timestamp_end: u64,
    /// Events discarded since the stream began.
    pub events_discarded: u64,
    /// CTF stream class id (the channel).
    pub stream_class_id: u64,
}

impl IndexReply {
    /// A reply that tells no packet.
    #[must_use]
    pub fn bare(status: IndexStatus) -> Self {
        Self {
            status,
            flags: 0,
            packet: ViewerIndex::default(),
        }
    }
}

impl ViewerReply {
    /// Appends it to `out`.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Connected {
                viewer,
                major,
                minor,
            } => put(
                out,
                &wire::Connect {
                    viewer_session_id: viewer.into(),
                    major: major.into(),
                    minor: minor.0.into(),
                    kind: 0.into(),
                },
            ),
            Self::Sessions { count } => word(out, count),
            Self::Attached { status, streams } => put_streams(out, status.0, streams),
            Self::NewStreams { status, streams } => put_streams(out, status.0, streams),
            Self::Index(index) => put(out, &index.to_wire()),
            Self::Packet { status, len_bytes } => put(
                out,
                &wire::Packet {
                    status: status.0.into(),
                    len: len_bytes.into(),
                    flags: 0.into(),
                },
            ),
            Self::Metadata { status, len_bytes } => put(
                out,
                &wire::Metadata {
                    len: len_bytes.into(),
                    status: status.0.into(),
                },
            ),
            Self::Created(status) => word(out, status.0),
            Self::Detached(status) => word(out, status.0),
            Self::UnknownCommand => word(out, ReturnCode::UNKNOWN.0),
        }
    }

    /// The length of the reply's head, for a viewer; 0 for a command nobody knows.
    #[must_use]
    pub fn head_len(command: ViewerCommand) -> usize {
        match command {
            ViewerCommand::CONNECT => size_of::<wire::Connect>(),
            ViewerCommand::ATTACH_SESSION | ViewerCommand::GET_NEW_STREAMS => {
                size_of::<wire::Streams>()
            }
            ViewerCommand::GET_NEXT_INDEX => size_of::<wire::Index>(),
            ViewerCommand::GET_PACKET => size_of::<wire::Packet>(),
            ViewerCommand::GET_METADATA => size_of::<wire::Metadata>(),
            ViewerCommand::LIST_SESSIONS
            | ViewerCommand::CREATE_SESSION
            | ViewerCommand::DETACH_SESSION => size_of::<wire::Word>(),
            _ => 0,
        }
    }

    /// Decodes the head of the reply to `command`; `None` if `bytes` is shorter, or nobody knows the command.
    #[must_use]
    pub fn parse_head(command: ViewerCommand, bytes: &[u8]) -> Option<Self> {
        let word = || Some(take::<wire::Word>(bytes)?.value.get());
        Some(match command {
            ViewerCommand::CONNECT => {
                let connect: wire::Connect = take(bytes)?;
                Self::Connected {
                    viewer: connect.viewer_session_id.get(),
                    major: connect.major.get(),
                    minor: Minor(connect.minor.get()),
                }
            }
            ViewerCommand::LIST_SESSIONS => Self::Sessions { count: word()? },
            ViewerCommand::ATTACH_SESSION => {
                let streams: wire::Streams = take(bytes)?;
                Self::Attached {
                    status: AttachStatus(streams.status.get()),
                    streams: streams.count.get(),
                }
            }
            ViewerCommand::GET_NEW_STREAMS => {
                let streams: wire::Streams = take(bytes)?;
                Self::NewStreams {
                    status: NewStreamsStatus(streams.status.get()),
                    streams: streams.count.get(),
                }
            }
            ViewerCommand::GET_NEXT_INDEX => Self::Index(IndexReply::from_wire(&take(bytes)?)),
            ViewerCommand::GET_PACKET => {
                let packet: wire::Packet = take(bytes)?;
                Self::Packet {
                    status: PacketStatus(packet.status.get()),
                    len_bytes: packet.len.get(),
                }
            }
            ViewerCommand::GET_METADATA => {
                let metadata: wire::Metadata = take(bytes)?;
                Self::Metadata {
                    status: MetadataStatus(metadata.status.get()),
                    len_bytes: metadata.len.get(),
                }
            }
            ViewerCommand::CREATE_SESSION => Self::Created(CreateStatus(word()?)),
            ViewerCommand::DETACH_SESSION => Self::Detached(DetachStatus(word()?)),
            _ => return None,
        })
    }

    /// The answer to `CONNECT`.
    pub(super) fn connected(viewer: u64) -> Self {
        Self::Connected {
            viewer,
            major: MAJOR,
            minor: Minor::NEWEST,
        }
    }
}

impl IndexReply {
    fn to_wire(self) -> wire::Index {
        let packet = &self.packet;
        wire::Index {
            offset: packet.offset_bytes.into(),
            packet_size_bits: packet.packet_size_bits.into(),
            content_size_bits: packet.content_size_bits.into(),
            timestamp_begin: packet.timestamp_begin.into(),
            timestamp_end: packet.timestamp_end.into(),
            events_discarded: packet.events_discarded.into(),
            stream_class_id: packet.stream_class_id.into(),
            status: self.status.0.into(),
            flags: self.flags.into(),
        }
    }

    fn from_wire(index: &wire::Index) -> Self {
        Self {
            status: IndexStatus(index.status.get()),
            flags: index.flags.get(),
            packet: ViewerIndex {
                offset_bytes: index.offset.get(),
                packet_size_bits: index.packet_size_bits.get(),
                content_size_bits: index.content_size_bits.get(),
                timestamp_begin: index.timestamp_begin.get(),
                timestamp_end: index.timestamp_end.get(),
                events_discarded: index.events_discarded.get(),
                stream_class_id: index.stream_class_id.get(),
            },
        }
    }
}

pub(super) fn put(out: &mut Vec<u8>, structure: &(impl IntoBytes + Immutable)) {
    out.extend_from_slice(structure.as_bytes());
}

pub(super) fn take<T: FromBytes + Immutable + KnownLayout + Unaligned>(bytes: &[u8]) -> Option<T> {
    Some(T::read_from_prefix(bytes).ok()?.0)
}

fn word(out: &mut Vec<u8>, value: u32) {
    put(
        out,
        &wire::Word {
            value: value.into(),
        },
    );
}

fn put_streams(out: &mut Vec<u8>, status: u32, count: u32) {
    put(
        out,
        &wire::Streams {
            status: status.into(),
            count: count.into(),
        },
    );
}
