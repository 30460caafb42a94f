//! The fixed layouts of the live protocol, big endian and packed, as they travel.
//!
//! ```text
//! request:  Header (16) | payload, whose size the command implies      reply: bare structures
//! ```
//!
//! Source: `lttng-tools: src/bin/lttng-relayd/lttng-viewer-abi.h`; captures of babeltrace2 2.0.4 and the stock
//! relay daemon 2.13.9 in the tests beside this file.

use zerocopy::byteorder::big_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::wire::layouts;

/// Room for a path in a stream entry, its NUL included.
pub(super) const PATH_LEN: usize = 4096;
/// Room for a session or channel name, its NUL included.
pub(super) const NAME_LEN: usize = 255;
/// Room for a host name, its NUL included.
pub(super) const HOST_LEN: usize = 64;

layouts! {
    /// In front of every request.
    Header = 16 {
        /// Ignored: the command implies the size.
        data_size: U64,
        cmd: U32,
        /// Always 0, ignored.
        cmd_version: U32,
    }
    /// CONNECT, both directions.
    Connect = 20 { viewer_session_id: U64, major: U32, minor: U32, kind: U32, }
    /// ATTACH_SESSION.
    Attach = 20 {
        session_id: U64,
        /// Unused.
        offset: U64,
        seek: U32,
    }
    /// GET_NEXT_INDEX, GET_METADATA, GET_NEW_STREAMS, DETACH_SESSION.
    Id = 8 { id: U64, }
    /// GET_PACKET.
    GetPacket = 20 { stream_id: U64, offset: U64, len: U32, }
    /// Reply to CREATE_SESSION and DETACH_SESSION; number of sessions in the reply to LIST_SESSIONS.
    Word = 4 { value: U32, }
    /// One session in the reply to LIST_SESSIONS, before minor 15.
    Session2_4 = 339 {
        id: U64,
        live_timer_us: U32,
        clients: U32,
        streams: U32,
        hostname: [u8; HOST_LEN],
        session_name: [u8; NAME_LEN],
    }
    /// One session in the reply to LIST_SESSIONS since minor 15; the names follow, without NUL.
    Session2_15 = 32 {
        id: U64,
        live_timer_us: U32,
        clients: U32,
        streams: U32,
        hostname_len: U32,
        session_name_len: U32,
        trace_format: U32,
    }
    /// Begin of the replies to ATTACH_SESSION and GET_NEW_STREAMS; the streams follow.
    Streams = 8 { status: U32, count: U32, }
    /// One stream of them.
    StreamEntry = 4371 {
        id: U64,
        trace_id: U64,
        is_metadata: U32,
        path: [u8; PATH_LEN],
        channel_name: [u8; NAME_LEN],
    }
    /// Reply to GET_NEXT_INDEX.
    Index = 64 {
        offset: U64,
        packet_size_bits: U64,
        content_size_bits: U64,
        timestamp_begin: U64,
        timestamp_end: U64,
        events_discarded: U64,
        stream_class_id: U64,
        status: U32,
        flags: U32,
    }
    /// Reply to GET_PACKET; the bytes follow.
    Packet = 12 { status: U32, len: U32, flags: U32, }
    /// Reply to GET_METADATA; the bytes follow.
    Metadata = 12 { len: U64, status: U32, }
}
