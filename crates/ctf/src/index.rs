//! Index files: one record per packet of a stream file, big-endian.
//!
//! ```text
//! header: magic major minor record_len                                              4 × u32
//! record: offset packet_size content_size begin end discarded stream_id             7 × u64
//!         stream_instance_id packet_seq_num                          (since 1.1)  + 2 × u64
//! ```
//!
//! Source: relay-protocol facts 3.3 and ust-abi facts 5.4, with a recorded file in the tests.

use zerocopy::byteorder::big_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::units::Bits;

/// First word of an index file.
pub const MAGIC: u32 = 0xC1F1_DCC1;

/// Format of an index file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum IndexVersion {
    /// Relay sessions of protocol 2.0 to 2.7.
    V1_0,
    /// With the stream instance and the packet number.
    V1_1,
}

impl IndexVersion {
    /// The minor version number.
    pub fn minor(self) -> u32 {
        match self {
            Self::V1_0 => 0,
            Self::V1_1 => 1,
        }
    }

    /// Bytes of one record as we write it.
    pub fn record_len(self) -> usize {
        match self {
            Self::V1_0 => size_of::<RawRecord>(),
            Self::V1_1 => size_of::<RawRecord>() + size_of::<RawExtension>(),
        }
    }
}

/// Start of an index file: big-endian, no padding.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RawHeader {
    magic: U32,
    major: U32,
    minor: U32,
    /// Bytes per record. Newer minors append fields: step by this, never by `size_of`.
    record_len: U32,
}

/// The fields of version 1.0.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RawRecord {
    offset_bytes: U64,
    packet_size: U64,
    content_size: U64,
    timestamp_begin: U64,
    timestamp_end: U64,
    events_discarded: U64,
    stream_id: U64,
}

/// What version 1.1 appends.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RawExtension {
    stream_instance_id: U64,
    packet_seq_num: U64,
}

/// Bytes of an index file's header.
pub const HEADER_LEN: usize = size_of::<RawHeader>();
const _: () = assert!(HEADER_LEN == 16);
const _: () = assert!(size_of::<RawRecord>() == 56);
const _: () = assert!(size_of::<RawExtension>() == 16);

/// Where a packet is and what it spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexRecord {
    /// Where the packet starts in the stream file.
    pub offset_bytes: u64,
    /// Size of the packet, padding included.
    pub packet_size: Bits,
    /// Used part of the packet.
    pub content_size: Bits,
    /// Clock at the begin of the packet.
    pub timestamp_begin: u64,
    /// Clock at the end of the packet.
    pub timestamp_end: u64,
    /// Events discarded in this stream so far.
    pub events_discarded: u64,
    /// Stream class.
    pub stream_id: u64,
    /// Number of the stream in its class and of the packet in its stream; not in version 1.0.
    pub position: Option<PacketPosition>,
}

/// Which packet of which stream a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketPosition {
    /// Number of the stream in its class.
    pub stream_instance_id: u64,
    /// Number of the packet in its stream.
    pub packet_seq_num: u64,
}

/// The 16 bytes that start an index file.
pub fn encode_header(version: IndexVersion) -> [u8; HEADER_LEN] {
    let header = RawHeader {
        magic: MAGIC.into(),
        major: 1.into(),
        minor: version.minor().into(),
        // 56 or 72.
        record_len: (version.record_len() as u32).into(),
    };
    zerocopy::transmute!(header)
}

impl IndexRecord {
    /// Appends the record to `out`; 56 or 72 bytes. In version 1.1 an unknown position is written as
    /// zeros.
    pub fn encode(&self, version: IndexVersion, out: &mut Vec<u8>) {
        let raw = RawRecord {
            offset_bytes: self.offset_bytes.into(),
            packet_size: self.packet_size.0.into(),
            content_size: self.content_size.0.into(),
            timestamp_begin: self.timestamp_begin.into(),
            timestamp_end: self.timestamp_end.into(),
            events_discarded: self.events_discarded.into(),
            stream_id: self.stream_id.into(),
        };
        out.extend_from_slice(raw.as_bytes());
        if version >= IndexVersion::V1_1 {
            let position = self.position.unwrap_or(PacketPosition {
                stream_instance_id: 0,
                packet_seq_num: 0,
            });
            let raw = RawExtension {
                stream_instance_id: position.stream_instance_id.into(),
                packet_seq_num: position.packet_seq_num.into(),
            };
            out.extend_from_slice(raw.as_bytes());
        }
    }
}

/// Why bytes are not an index file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// Fewer bytes than a header has.
    #[error("index file needs a header of {HEADER_LEN} bytes, got {0}")]
    TooShort(usize),
    /// The magic number is wrong.
    #[error("index file starts with {0:#010x} instead of {MAGIC:#010x}")]
    BadMagic(u32),
    /// A major version that we do not know.
    #[error("index file version {major}.{minor} is not supported")]
    Unsupported {
        /// Major version.
        major: u32,
        /// Minor version.
        minor: u32,
    },
    /// Records too small for the version.
    #[error("index records of {0} bytes are too small")]
    BadRecordLen(u32),
}

/// A checked index file: its header and a way to walk its records.
#[derive(Clone, Copy, Debug)]
pub struct IndexFile<'a> {
    minor: u32,
    stride: usize,
    records: &'a [u8],
}

impl<'a> IndexFile<'a> {
    /// Checks the header of `file`.
    pub fn parse(file: &'a [u8]) -> Result<Self, IndexError> {
        let (header, records) =
            RawHeader::ref_from_prefix(file).map_err(|_| IndexError::TooShort(file.len()))?;
        let (major, minor) = (header.major.get(), header.minor.get());
        if header.magic.get() != MAGIC {
            return Err(IndexError::BadMagic(header.magic.get()));
        }
        if major != 1 {
            return Err(IndexError::Unsupported { major, minor });
        }
        let version = if minor == 0 {
            IndexVersion::V1_0
        } else {
            IndexVersion::V1_1
        };
        let stride = header.record_len.get();
        match usize::try_from(stride) {
            Ok(stride) if stride >= version.record_len() => Ok(Self {
                minor,
                stride,
                records,
            }),
            _ => Err(IndexError::BadRecordLen(stride)),
        }
    }

    /// Minor version of the file.
    pub fn minor(&self) -> u32 {
        self.minor
    }

    /// Bytes from one record to the next; at least what the version's fields need.
    pub fn record_stride(&self) -> usize {
        self.stride
    }

    /// The records, in file order. A cut record at the end is left out.
    pub fn records(&self) -> impl Iterator<Item = IndexRecord> + use<'a> {
        let minor = self.minor;
        self.records
            .chunks_exact(self.stride)
            .filter_map(move |bytes| decode(bytes, minor))
    }

    /// Bytes after the last whole record.
    pub fn trailing_len(&self) -> usize {
        self.records.len() % self.stride
    }
}

impl IndexRecord {
    /// Decodes one record of a file of this version; `None` if `bytes` is shorter than that.
    pub fn decode(version: IndexVersion, bytes: &[u8]) -> Option<Self> {
        let record = bytes.get(..version.record_len())?;
        decode(record, version.minor())
    }
}

/// Decodes one record; `None` if `bytes` is shorter than a record of version 1.0.
fn decode(bytes: &[u8], minor: u32) -> Option<IndexRecord> {
    let (raw, rest) = RawRecord::ref_from_prefix(bytes).ok()?;
    let position = match RawExtension::read_from_prefix(rest) {
        Ok((raw, _)) if minor >= 1 => Some(PacketPosition {
            stream_instance_id: raw.stream_instance_id.get(),
            packet_seq_num: raw.packet_seq_num.get(),
        }),
        _ => None,
    };
    Some(IndexRecord {
        offset_bytes: raw.offset_bytes.get(),
        packet_size: Bits(raw.packet_size.get()),
        content_size: Bits(raw.content_size.get()),
        timestamp_begin: raw.timestamp_begin.get(),
        timestamp_end: raw.timestamp_end.get(),
        events_discarded: raw.events_discarded.get(),
        stream_id: raw.stream_id.get(),
        position,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: IndexRecord = IndexRecord {
        offset_bytes: 0,
        packet_size: Bits(0x8000),
        content_size: Bits(0x7fe0),
        timestamp_begin: 0x0000_019a_05c3_1e59,
        timestamp_end: 0x0000_019a_0943_3128,
        events_discarded: 0,
        stream_id: 0,
        position: Some(PacketPosition {
            stream_instance_id: 1,
            packet_seq_num: 0,
        }),
    };

    fn file(version: IndexVersion) -> Vec<u8> {
        let mut file = encode_header(version).to_vec();
        RECORD.encode(version, &mut file);
        IndexRecord {
            offset_bytes: 4096,
            ..RECORD
        }
        .encode(version, &mut file);
        file
    }

    #[test]
    fn a_recorded_file_is_reproduced() {
        // The first record of a file of the stock relay daemon.
        let recorded = "c1f1dcc1 00000001 00000001 00000048 0000000000000000 0000000000008000 \
            0000000000007fe0 0000019a05c31e59 0000019a09433128 0000000000000000 0000000000000000 \
            0000000000000001 0000000000000000";
        let hex: String = file(IndexVersion::V1_1)[..88]
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        assert_eq!(hex, recorded.replace(char::is_whitespace, ""));
    }

    #[test]
    fn both_versions_round_trip() {
        let second = IndexRecord {
            offset_bytes: 4096,
            ..RECORD
        };
        let bytes = file(IndexVersion::V1_1);
        let records: Vec<_> = IndexFile::parse(&bytes).unwrap().records().collect();
        assert_eq!(records, [RECORD, second]);

        let bytes = file(IndexVersion::V1_0);
        assert_eq!(bytes.len(), 16 + 2 * 56);
        let records: Vec<_> = IndexFile::parse(&bytes).unwrap().records().collect();
        assert_eq!(
            records,
            [
                IndexRecord {
                    position: None,
                    ..RECORD
                },
                IndexRecord {
                    position: None,
                    ..second
                }
            ]
        );
    }

    #[test]
    fn records_of_a_newer_minor_are_stepped_over_by_their_length() {
        let mut bytes = encode_header(IndexVersion::V1_1).to_vec();
        bytes[8..12].copy_from_slice(&2u32.to_be_bytes());
        bytes[12..16].copy_from_slice(&80u32.to_be_bytes());
        for _ in 0..3 {
            RECORD.encode(IndexVersion::V1_1, &mut bytes);
            bytes.extend_from_slice(&[0xEE; 8]);
        }
        bytes.push(0);
        let file = IndexFile::parse(&bytes).unwrap();
        assert_eq!(
            (file.minor(), file.record_stride(), file.trailing_len()),
            (2, 80, 1)
        );
        assert_eq!(file.records().collect::<Vec<_>>(), [RECORD; 3]);
    }

    #[test]
    fn files_that_are_no_index_are_refused() {
        let good = file(IndexVersion::V1_1);
        let change = |at: usize, value: u32| {
            let mut bad = good.clone();
            bad[at..at + 4].copy_from_slice(&value.to_be_bytes());
            IndexFile::parse(&bad).unwrap_err()
        };
        assert_eq!(
            IndexFile::parse(&good[..15]).unwrap_err(),
            IndexError::TooShort(15)
        );
        assert_eq!(change(0, 1), IndexError::BadMagic(1));
        assert_eq!(change(4, 2), IndexError::Unsupported { major: 2, minor: 1 });
        assert_eq!(change(12, 0), IndexError::BadRecordLen(0));
        assert_eq!(change(12, 71), IndexError::BadRecordLen(71));
    }
}
