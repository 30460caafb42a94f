//! The fixed layouts of the protocol, big endian and packed, as they travel.
//!
//! ```text
//! control message:  ControlHeader (24) | payload (data_size)        reply: bare structure
//! data packet:      DataHeader (32)    | data_size bytes | padding_size zeros, not transmitted
//! ```
//!
//! Source: `lttng-tools: src/common/sessiond-comm/relayd.h`; the captures in the tests of this crate.

use zerocopy::byteorder::big_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Declares structures with all the traits of a wire layout, and proves their size.
macro_rules! layouts {
    ($($(#[$doc:meta])* $name:ident = $size:literal { $($(#[$fdoc:meta])* $field:ident: $ty:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
        #[repr(C)]
        pub(crate) struct $name { $($(#[$fdoc])* pub(crate) $field: $ty,)* }
        const _: () = assert!(size_of::<$name>() == $size);
    )*};
}
pub(crate) use layouts;

layouts! {
    /// In front of every control message.
    ControlHeader = 24 {
        /// Always 0, ignored.
        circuit_id: U64,
        data_size: U64,
        cmd: U32,
        /// Always 0, ignored.
        cmd_version: U32,
    }
    /// In front of every data packet.
    DataHeader = 32 {
        circuit_id: U64,
        stream_id: U64,
        net_seq_num: U64,
        data_size: U32,
        padding_size: U32,
    }
    /// VERSION, both directions.
    Version = 8 { major: U32, minor: U32, }
    /// CREATE_SESSION, minors 4 to 10. Bytes after the NULs are garbage in stock peers.
    CreateSession2_4 = 327 {
        session_name: [u8; 255],
        hostname: [u8; 64],
        live_timer_us: U32,
        snapshot: U32,
    }
    /// CREATE_SESSION since minor 11; the names follow, or, since 15, the format and the names.
    CreateSession2_11 = 59 {
        session_name_len: U32,
        hostname_len: U32,
        base_path_len: U32,
        live_timer_us: U32,
        snapshot: u8,
        name_has_creation_time: u8,
        sessiond_uuid: [u8; 16],
        sessiond_session_id: U64,
        creation_unix_s: U64,
        chunk_is_set: u8,
        chunk_id: U64,
    }
    /// Reply to CREATE_SESSION before minor 11.
    SessionReply = 12 { session_id: U64, ret_code: U32, }
    /// Begin of the reply to CREATE_SESSION since minor 11; a PathReply follows.
    SessionReplyId = 8 { session_id: U64, }
    /// Reply to all commands that have no structure of their own.
    CodeReply = 4 { code: U32, }
    /// ADD_STREAM, minor 1.
    AddStream2_1 = 4360 { channel_name: [u8; 264], pathname: [u8; 4096], }
    /// What minors 2 to 10 append to it.
    TracefileLimits = 16 { size: U64, count: U64, }
    /// ADD_STREAM since minor 11; the names follow.
    AddStream2_11 = 32 {
        channel_name_len: U32,
        pathname_len: U32,
        tracefile_size: U64,
        tracefile_count: U64,
        chunk_id: U64,
    }
    /// Reply to ADD_STREAM.
    StreamReply = 12 { handle: U64, ret_code: U32, }
    /// CLOSE_STREAM and DATA_PENDING.
    StreamAndSeq = 16 { stream_id: U64, last_net_seq_num: U64, }
    /// RESET_METADATA.
    ResetMetadata = 16 { stream_id: U64, version: U64, }
    /// SEND_METADATA; the bytes follow.
    SendMetadata = 12 { stream_id: U64, padding_size: U32, }
    /// SEND_INDEX, minors 4 to 7.
    SendIndex1_0 = 64 {
        relay_stream_id: U64,
        net_seq_num: U64,
        packet_size_bits: U64,
        content_size_bits: U64,
        timestamp_begin: U64,
        timestamp_end: U64,
        events_discarded: U64,
        stream_id: U64,
    }
    /// What minors from 8 append to it.
    IndexInstance = 16 { stream_instance_id: U64, packet_seq_num: U64, }
    /// Reply to GET_CONFIGURATION.
    ConfigurationReply = 12 { ret_code: U32, flags: U64, }
    /// CREATE_TRACE_CHUNK; the override name follows.
    CreateTraceChunk = 20 { chunk_id: U64, creation_unix_s: U64, override_name_len: U32, }
    /// CLOSE_TRACE_CHUNK.
    CloseTraceChunk = 21 {
        chunk_id: U64,
        close_unix_s: U64,
        command_is_set: u8,
        command: U32,
    }
    /// Reply to CLOSE_TRACE_CHUNK, and the end of the one to CREATE_SESSION; the path follows.
    PathReply = 8 { ret_code: U32, path_len: U32, }
    /// Reply to TRACE_CHUNK_EXISTS.
    ExistsReply = 5 { ret_code: U32, exists: u8, }
    /// One position of ROTATE_STREAMS.
    Position = 16 { stream_id: U64, rotate_at_seq_num: U64, }
}

/// The head of ROTATE_STREAMS holds an unpacked optional, so it depends on the sender's ABI where the
/// chunk id is and where the positions begin. All known ones, as (offset of the id, size of the head).
pub(crate) const ROTATE_HEADS: [(usize, usize); 3] = [(5, 13), (8, 16), (12, 20)];
