//! The header of a data packet of the user-space tracer: trace packet header and packet context.
//!
//! ```text
//! magic uuid stream_id instance | begin end content_size packet_size seq discarded cpu_id
//!   4    16      4        8     |   8    8       8            8       8   4 or 8     4
//! ```
//!
//! Written by the applications in the byte order of the machine, so it can be read natively where
//! the buffers are. To read a trace from another machine use the decoder, which follows the metadata.
//! Source: ust-abi facts 5.1.

use zerocopy::byteorder::NativeEndian;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::units::{Bits, Uuid};

/// First word of each data packet.
pub const MAGIC: u32 = 0xC1FC_1FC1;

type U32 = zerocopy::U32<NativeEndian>;
type U64 = zerocopy::U64<NativeEndian>;

/// Header of a packet of applications with 64-bit `long`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct RawHeader64 {
    /// What comes before `events_discarded`.
    pub common: RawCommon,
    /// Events discarded in this buffer since it exists.
    pub events_discarded: U64,
    /// CPU of the buffer.
    pub cpu_id: U32,
}

/// Header of a packet of applications with 32-bit `long`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct RawHeader32 {
    /// What comes before `events_discarded`.
    pub common: RawCommon,
    /// Events discarded in this buffer since it exists, modulo 2^32.
    pub events_discarded: U32,
    /// CPU of the buffer.
    pub cpu_id: U32,
}

/// The part of the header that does not depend on the size of a `long`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct RawCommon {
    /// [`MAGIC`].
    pub magic: U32,
    /// Identity of the trace.
    pub uuid: [u8; 16],
    /// Channel id.
    pub stream_id: U32,
    /// Number of the buffer in its channel: its CPU.
    pub stream_instance_id: U64,
    /// Clock when the packet was opened.
    pub timestamp_begin: U64,
    /// Clock of the last reservation in the packet; 0 until delivery.
    pub timestamp_end: U64,
    /// Bits in use, header included; all ones until delivery.
    pub content_size: U64,
    /// Bits of the whole packet; all ones until delivery.
    pub packet_size: U64,
    /// Number of the packet in its stream, from 0.
    pub packet_seq_num: U64,
}

/// Bytes of the header when a `long` has 64 bits.
pub const HEADER_LEN_64: usize = size_of::<RawHeader64>();
/// Bytes of the header when a `long` has 32 bits.
pub const HEADER_LEN_32: usize = size_of::<RawHeader32>();
const _: () = assert!(HEADER_LEN_64 == 84);
const _: () = assert!(HEADER_LEN_32 == 80);

/// Size of the traced application's `long`, which decides the layout of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LongSize {
    /// 32 bits.
    Bits32,
    /// 64 bits.
    Bits64,
}

/// A checked packet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketHeader {
    /// Identity of the trace.
    pub uuid: Uuid,
    /// Channel id.
    pub stream_id: u32,
    /// Number of the buffer in its channel.
    pub stream_instance_id: u64,
    /// Clock when the packet was opened.
    pub timestamp_begin: u64,
    /// Clock of the last reservation in the packet.
    pub timestamp_end: u64,
    /// Used part of the packet, header included; at most `packet_size`, a whole number of bytes.
    pub content_size: Bits,
    /// The whole packet, padding included; a whole number of bytes.
    pub packet_size: Bits,
    /// Number of the packet in its stream.
    pub packet_seq_num: u64,
    /// Events discarded in this buffer since it exists.
    pub events_discarded: u64,
    /// CPU of the buffer.
    pub cpu_id: u32,
}

/// Why bytes are not the header of a delivered packet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PacketHeaderError {
    /// Fewer bytes than a header has.
    #[error("packet header needs {needed} bytes, got {got}")]
    TooShort {
        /// Bytes of a header.
        needed: usize,
        /// Bytes given.
        got: usize,
    },
    /// The magic number is wrong.
    #[error("packet starts with {0:#010x} instead of {MAGIC:#010x}")]
    BadMagic(u32),
    /// The packet has not been delivered: its sizes are still unset.
    #[error("packet has not been delivered yet")]
    Open,
    /// Sizes that contradict each other or are no whole bytes.
    #[error("packet with {content} of content in {packet}")]
    BadSize {
        /// The content size.
        content: Bits,
        /// The packet size.
        packet: Bits,
    },
    /// The packet ends before it begins.
    #[error("packet ends at {end}, before it begins at {begin}")]
    BadTime {
        /// Begin time stamp.
        begin: u64,
        /// End time stamp.
        end: u64,
    },
}

impl PacketHeader {
    /// Reads and checks the header at the start of `packet`. Only the header must be there; the
    /// caller compares `packet_size` with what it has.
    pub fn parse(packet: &[u8], long: LongSize) -> Result<Self, PacketHeaderError> {
        match long {
            LongSize::Bits64 => {
                let raw = prefix::<RawHeader64>(packet)?;
                checked(
                    &raw.common,
                    raw.events_discarded.get(),
                    raw.cpu_id.get(),
                    HEADER_LEN_64,
                )
            }
            LongSize::Bits32 => {
                let raw = prefix::<RawHeader32>(packet)?;
                let discarded = raw.events_discarded.get().into();
                checked(&raw.common, discarded, raw.cpu_id.get(), HEADER_LEN_32)
            }
        }
    }
}

fn prefix<T: FromBytes + KnownLayout + Immutable + Unaligned>(
    packet: &[u8],
) -> Result<&T, PacketHeaderError> {
    match T::ref_from_prefix(packet) {
        Ok((raw, _)) => Ok(raw),
        Err(_) => Err(PacketHeaderError::TooShort {
            needed: size_of::<T>(),
            got: packet.len(),
        }),
    }
}

fn checked(
    raw: &RawCommon,
    events_discarded: u64,
    cpu_id: u32,
    header_len: usize,
) -> Result<PacketHeader, PacketHeaderError> {
    if raw.magic.get() != MAGIC {
        return Err(PacketHeaderError::BadMagic(raw.magic.get()));
    }
    let (content, packet) = (Bits(raw.content_size.get()), Bits(raw.packet_size.get()));
    if content.0 == u64::MAX || packet.0 == u64::MAX {
        return Err(PacketHeaderError::Open);
    }
    let header_fits = content
        .to_bytes()
        .is_some_and(|bytes| bytes >= header_len as u64);
    if !header_fits || packet.to_bytes().is_none() || content > packet {
        return Err(PacketHeaderError::BadSize { content, packet });
    }
    let (begin, end) = (raw.timestamp_begin.get(), raw.timestamp_end.get());
    if end < begin {
        return Err(PacketHeaderError::BadTime { begin, end });
    }
    Ok(PacketHeader {
        uuid: Uuid(raw.uuid),
        stream_id: raw.stream_id.get(),
        stream_instance_id: raw.stream_instance_id.get(),
        timestamp_begin: begin,
        timestamp_end: end,
        content_size: content,
        packet_size: packet,
        packet_seq_num: raw.packet_seq_num.get(),
        events_discarded,
        cpu_id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw() -> RawHeader64 {
        RawHeader64 {
            common: RawCommon {
                magic: MAGIC.into(),
                uuid: [3; 16],
                stream_id: 2.into(),
                stream_instance_id: 1.into(),
                timestamp_begin: 1000.into(),
                timestamp_end: 2000.into(),
                content_size: (100 * 8).into(),
                packet_size: (4096 * 8).into(),
                packet_seq_num: 7.into(),
            },
            events_discarded: 5.into(),
            cpu_id: 1.into(),
        }
    }

    fn parse(raw: &RawHeader64) -> Result<PacketHeader, PacketHeaderError> {
        PacketHeader::parse(raw.as_bytes(), LongSize::Bits64)
    }

    #[test]
    fn a_delivered_packet_is_read() {
        let header = parse(&raw()).unwrap();
        assert_eq!(header.uuid, Uuid([3; 16]));
        assert_eq!(
            (header.stream_id, header.stream_instance_id, header.cpu_id),
            (2, 1, 1)
        );
        assert_eq!((header.timestamp_begin, header.timestamp_end), (1000, 2000));
        assert_eq!(
            (header.content_size, header.packet_size),
            (Bits(800), Bits(32768))
        );
        assert_eq!((header.packet_seq_num, header.events_discarded), (7, 5));
    }

    #[test]
    fn a_32_bit_header_is_four_bytes_shorter() {
        let wide = raw();
        let narrow = RawHeader32 {
            common: wide.common,
            events_discarded: 5.into(),
            cpu_id: wide.cpu_id,
        };
        let header = PacketHeader::parse(narrow.as_bytes(), LongSize::Bits32).unwrap();
        assert_eq!(header, parse(&wide).unwrap());
    }

    #[test]
    fn open_or_damaged_packets_are_refused() {
        let bytes = raw();
        assert!(matches!(
            PacketHeader::parse(&bytes.as_bytes()[..83], LongSize::Bits64),
            Err(PacketHeaderError::TooShort {
                needed: 84,
                got: 83
            })
        ));
        let change = |change: fn(&mut RawCommon)| {
            let mut header = raw();
            change(&mut header.common);
            parse(&header).unwrap_err()
        };
        assert_eq!(
            change(|h| h.magic = 1.into()),
            PacketHeaderError::BadMagic(1)
        );
        assert_eq!(
            change(|h| h.content_size = u64::MAX.into()),
            PacketHeaderError::Open
        );
        for bad in [
            change(|h| h.content_size = (83 * 8).into()),
            change(|h| h.content_size = (100 * 8 + 1).into()),
            change(|h| h.packet_size = (99 * 8).into()),
        ] {
            assert!(matches!(bad, PacketHeaderError::BadSize { .. }), "{bad}");
        }
        let bad = change(|h| h.timestamp_end = 999.into());
        assert_eq!(
            bad,
            PacketHeaderError::BadTime {
                begin: 1000,
                end: 999
            }
        );
    }
}
