//! The bytes of a channel blob and of a stream's shared memory, as 64-bit liblttng-ust 2.13
//! (UST ABI 9) reads and writes them. Host byte order; offsets and sizes are proved at compile time.

use core::mem::offset_of;

use zerocopy::native_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// First word of every packet.
pub const PACKET_MAGIC: u32 = 0xC1FC_1FC1;

/// Sixteen bytes at the start of a stream, for tools that look for buffers in a crashed system.
pub(crate) const CRASH_MAGIC: [u8; 16] = [
    0x17, 0x7B, 0xF1, 0x77, 0xBF, 0x17, 0x7B, 0xF1, 0x77, 0xBF, 0x17, 0x7B, 0xF1, 0x77, 0xBF, 0x17,
];

/// Points into an object of the same channel: object number (0 the channel, k + 1 the stream of
/// CPU k) and byte offset.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct ShmRef {
    pub(crate) index: i64,
    pub(crate) offset: i64,
}

/// Commit counters the writers touch on every event.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct CommitHot {
    pub(crate) cc: u64,
    pub(crate) seq: u64,
    pub(crate) padding: [u64; 14],
}

/// Commit counter that the reader looks at.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct CommitCold {
    pub(crate) cc_sb: u64,
    pub(crate) padding: [u64; 15],
}

/// One data buffer.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct BackendPages {
    pub(crate) mmap_offset: u64,
    pub(crate) records_commit: u64,
    pub(crate) records_unread: u64,
    pub(crate) data_size: u64,
    pub(crate) p: ShmRef,
    pub(crate) padding: [u64; 2],
}

/// Where crash extraction tools find the positions; nothing reads it in normal work.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct CrashAbi {
    pub(crate) magic: [u8; 16],
    pub(crate) mmap_length: U64,
    pub(crate) endian: zerocopy::native_endian::U16,
    pub(crate) major: zerocopy::native_endian::U16,
    pub(crate) minor: zerocopy::native_endian::U16,
    pub(crate) word_size: u8,
    pub(crate) layout_type: u8,
    pub(crate) offset: [U32; 11],
    pub(crate) length: [u8; 8],
    pub(crate) stride: [U32; 3],
    pub(crate) buf_size: U64,
    pub(crate) subbuf_size: U64,
    pub(crate) num_subbuf: U64,
    pub(crate) mode: U32,
}

/// Start of a stream's shared memory (`lttng_ust_ring_buffer`).
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct StreamHead {
    pub(crate) crash_abi: CrashAbi,
    pub(crate) padding1: [u8; 4],
    pub(crate) offset: u64,
    pub(crate) commit_hot: ShmRef,
    pub(crate) consumed: u64,
    pub(crate) record_disabled: i32,
    pub(crate) padding2: [u8; 4],
    pub(crate) last_tsc: u64,
    pub(crate) buf_wsb: ShmRef,
    pub(crate) buf_rsb: u64,
    pub(crate) buf_cnt: ShmRef,
    pub(crate) array: ShmRef,
    pub(crate) memory_map: ShmRef,
    pub(crate) chan: ShmRef,
    pub(crate) cpu: i32,
    pub(crate) padding3: [u8; 4],
    pub(crate) records_read: u64,
    pub(crate) allocated: u64,
    pub(crate) backend_reserved: [u8; 64],
    pub(crate) commit_cold: ShmRef,
    pub(crate) ts_end: ShmRef,
    pub(crate) active_readers: u64,
    pub(crate) records_lost_full: u64,
    pub(crate) records_lost_wrap: u64,
    pub(crate) records_lost_big: u64,
    pub(crate) records_count: u64,
    pub(crate) records_overrun: u64,
    pub(crate) finalized: i32,
    pub(crate) padding4: [u8; 4],
    pub(crate) get_subbuf_consumed: u64,
    pub(crate) prod_snapshot: u64,
    pub(crate) cons_snapshot: u64,
    pub(crate) get_subbuf: u64,
    pub(crate) self_: ShmRef,
    pub(crate) padding5: [u8; 152],
}

/// Trace packet header and stream packet context: the start of every sub-buffer.
///
/// At the begin of a packet `timestamp_end` and `events_discarded` are 0 and both sizes all ones;
/// whoever delivers the packet fills them in.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct PacketHeader {
    /// [`PACKET_MAGIC`].
    pub magic: U32,
    /// Trace uuid.
    pub uuid: [u8; 16],
    /// Channel id.
    pub stream_id: U32,
    /// CPU number of the buffer.
    pub stream_instance_id: U64,
    /// Clock at the begin, ns.
    pub timestamp_begin: U64,
    /// Clock at the last reservation, ns.
    pub timestamp_end: U64,
    /// Bits, header included.
    pub content_size: U64,
    /// Bits, padding to the page included.
    pub packet_size: U64,
    /// Number of the packet in its stream, from 0: its position divided by the sub-buffer size.
    pub packet_seq_num: U64,
    /// Events that the stream had lost when the packet was closed, cumulative.
    pub events_discarded: U64,
    /// CPU number.
    pub cpu_id: U32,
}

/// Bytes of a [`PacketHeader`].
pub const PACKET_HEADER_BYTES: u64 = size_of::<PacketHeader>() as u64;

/// Start of a channel blob (`lttng_ust_ring_buffer_channel`) up to the references to the streams.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct ChannelHead {
    pub(crate) record_disabled: i32,
    pub(crate) padding1: [u8; 4],
    pub(crate) commit_count_mask: u64,
    pub(crate) switch_timer_interval: u64,
    pub(crate) switch_timer: [u64; 2],
    pub(crate) read_timer_interval: u64,
    pub(crate) read_timer: u64,
    pub(crate) read_timer_enabled: i32,
    pub(crate) finalized: i32,
    pub(crate) priv_data_offset: u64,
    pub(crate) nr_streams: u32,
    pub(crate) padding2: [u8; 4],
    pub(crate) handle: u64,
    pub(crate) blocking_timeout_ms: i32,
    pub(crate) padding3: [u8; 4],
    pub(crate) priv_: [u64; 3],
    pub(crate) buf_size: u64,
    pub(crate) subbuf_size: u64,
    pub(crate) subbuf_size_order: u32,
    pub(crate) num_subbuf_order: u32,
    pub(crate) buf_size_order: u32,
    pub(crate) extra_reader_sb: u32,
    pub(crate) num_subbuf: u64,
    pub(crate) start_tsc: u64,
    pub(crate) backend_priv: [u64; 2],
    pub(crate) config: ClientConfig,
    pub(crate) name: [u8; 255],
    pub(crate) padding4: [u8; 65],
}

/// What the application selects its client from (`lttng_ust_ring_buffer_config`).
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct ClientConfig {
    pub(crate) alloc: i32,
    pub(crate) sync: i32,
    pub(crate) mode: i32,
    pub(crate) output: i32,
    pub(crate) backend: i32,
    pub(crate) oops: i32,
    pub(crate) ipi: i32,
    pub(crate) wakeup: i32,
    pub(crate) tsc_bits: u32,
    pub(crate) padding1: [u8; 4],
    pub(crate) cb: [u64; 10],
    pub(crate) client_type: i32,
    pub(crate) padding2: [u8; 4],
    pub(crate) cb_ptr: u64,
    pub(crate) padding3: [u8; 24],
}

/// End of a channel blob (`lttng_ust_abi_channel_config`).
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct ChannelIdentity {
    pub(crate) unused: [u8; 92],
    pub(crate) id: U32,
    pub(crate) unused2: [u8; 4],
    pub(crate) uuid: [u8; 16],
    pub(crate) padding: [u8; 4],
}

/// Offset of the references to the streams in the blob: inside the alignment padding of its head.
pub(crate) const BLOB_STREAM_REFS: usize = 664;
/// Size of the head with that padding.
pub(crate) const BLOB_HEAD: usize = 768;

const _: () = {
    assert!(size_of::<ShmRef>() == 16);
    assert!(size_of::<CommitHot>() == 128);
    assert!(size_of::<CommitCold>() == 128);
    assert!(size_of::<BackendPages>() == 64);
    assert!(offset_of!(BackendPages, data_size) == 24);
    assert!(offset_of!(BackendPages, p) == 32);
    assert!(size_of::<CrashAbi>() == 124);
    assert!(offset_of!(CrashAbi, offset) == 32);
    assert!(offset_of!(CrashAbi, length) == 76);
    assert!(offset_of!(CrashAbi, stride) == 84);
    assert!(offset_of!(CrashAbi, buf_size) == 96);
    assert!(offset_of!(CrashAbi, mode) == 120);
};

const _: () = {
    assert!(size_of::<StreamHead>() == 640);
    assert!(offset_of!(StreamHead, offset) == 128);
    assert!(offset_of!(StreamHead, commit_hot) == 136);
    assert!(offset_of!(StreamHead, consumed) == 152);
    assert!(offset_of!(StreamHead, record_disabled) == 160);
    assert!(offset_of!(StreamHead, last_tsc) == 168);
    assert!(offset_of!(StreamHead, buf_wsb) == 176);
    assert!(offset_of!(StreamHead, buf_rsb) == 192);
    assert!(offset_of!(StreamHead, buf_cnt) == 200);
    assert!(offset_of!(StreamHead, array) == 216);
    assert!(offset_of!(StreamHead, memory_map) == 232);
    assert!(offset_of!(StreamHead, chan) == 248);
    assert!(offset_of!(StreamHead, cpu) == 264);
    assert!(offset_of!(StreamHead, records_read) == 272);
    assert!(offset_of!(StreamHead, allocated) == 280);
    assert!(offset_of!(StreamHead, commit_cold) == 352);
    assert!(offset_of!(StreamHead, ts_end) == 368);
    assert!(offset_of!(StreamHead, active_readers) == 384);
    assert!(offset_of!(StreamHead, records_lost_full) == 392);
    assert!(offset_of!(StreamHead, records_lost_wrap) == 400);
    assert!(offset_of!(StreamHead, records_lost_big) == 408);
    assert!(offset_of!(StreamHead, finalized) == 432);
    assert!(offset_of!(StreamHead, get_subbuf_consumed) == 440);
    assert!(offset_of!(StreamHead, get_subbuf) == 464);
    assert!(offset_of!(StreamHead, self_) == 472);
};

const _: () = {
    assert!(size_of::<PacketHeader>() == 84);
    assert!(offset_of!(PacketHeader, stream_id) == 20);
    assert!(offset_of!(PacketHeader, timestamp_begin) == 32);
    assert!(offset_of!(PacketHeader, timestamp_end) == 40);
    assert!(offset_of!(PacketHeader, content_size) == 48);
    assert!(offset_of!(PacketHeader, packet_size) == 56);
    assert!(offset_of!(PacketHeader, packet_seq_num) == 64);
    assert!(offset_of!(PacketHeader, events_discarded) == 72);
    assert!(offset_of!(PacketHeader, cpu_id) == 80);
};

const _: () = {
    assert!(size_of::<ChannelHead>() == 664);
    assert!(BLOB_STREAM_REFS == size_of::<ChannelHead>());
    assert!(offset_of!(ChannelHead, commit_count_mask) == 8);
    assert!(offset_of!(ChannelHead, read_timer_interval) == 40);
    assert!(offset_of!(ChannelHead, finalized) == 60);
    assert!(offset_of!(ChannelHead, priv_data_offset) == 64);
    assert!(offset_of!(ChannelHead, nr_streams) == 72);
    assert!(offset_of!(ChannelHead, handle) == 80);
    assert!(offset_of!(ChannelHead, blocking_timeout_ms) == 88);
    assert!(offset_of!(ChannelHead, buf_size) == 120);
    assert!(offset_of!(ChannelHead, extra_reader_sb) == 148);
    assert!(offset_of!(ChannelHead, num_subbuf) == 152);
    assert!(offset_of!(ChannelHead, start_tsc) == 160);
    assert!(offset_of!(ChannelHead, config) == 184);
    assert!(offset_of!(ChannelHead, name) == 344);
    assert!(size_of::<ClientConfig>() == 160);
    assert!(offset_of!(ClientConfig, wakeup) == 28);
    assert!(offset_of!(ClientConfig, tsc_bits) == 32);
    assert!(offset_of!(ClientConfig, cb) == 40);
    assert!(offset_of!(ClientConfig, client_type) == 120);
    assert!(offset_of!(ClientConfig, cb_ptr) == 128);
    assert!(size_of::<ChannelIdentity>() == 120);
    assert!(offset_of!(ChannelIdentity, id) == 92);
    assert!(offset_of!(ChannelIdentity, uuid) == 100);
};
