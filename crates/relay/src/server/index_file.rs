//! The index file beside each data file: a header, then one record per packet, big endian.
//!
//! Source: `lttng-tools: src/common/index/ctf-index.h`.

use zerocopy::byteorder::big_endian::{U32, U64};
use zerocopy::{Immutable, IntoBytes};

use crate::{Minor, PacketIndex};

/// The first four bytes.
const MAGIC: u32 = 0xc1f1_dcc1;

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Header {
    magic: U32,
    major: U32,
    minor: U32,
    record_len: U32,
}

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Record {
    offset_bytes: U64,
    packet_size_bits: U64,
    content_size_bits: U64,
    timestamp_begin: U64,
    timestamp_end: U64,
    events_discarded: U64,
    stream_class_id: U64,
    /// From here on: version 1.1 only.
    stream_instance_id: U64,
    packet_seq_num: U64,
}

/// Bytes of a version 1.0 record.
const RECORD_1_0_LEN: usize = 56;
/// Bytes of a version 1.1 record.
const RECORD_1_1_LEN: usize = size_of::<Record>();
const _: () = assert!(size_of::<Header>() == 16 && RECORD_1_1_LEN == 72);

/// Which version of the index file a session gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexVersion {
    /// Without stream instance and packet sequence number.
    V1_0,
    /// With them.
    V1_1,
}

impl IndexVersion {
    /// What a peer of this minor can fill.
    #[must_use]
    pub fn of(minor: Minor) -> Self {
        if minor.has_packet_seq_num() {
            Self::V1_1
        } else {
            Self::V1_0
        }
    }

    /// Bytes of one record.
    #[must_use]
    pub fn record_len(self) -> usize {
        match self {
            Self::V1_0 => RECORD_1_0_LEN,
            Self::V1_1 => RECORD_1_1_LEN,
        }
    }

    /// What a new file begins with.
    #[must_use]
    pub fn header(self) -> [u8; 16] {
        let (minor, record_len) = match self {
            Self::V1_0 => (0, 56),
            Self::V1_1 => (1, 72),
        };
        let header = Header {
            magic: MAGIC.into(),
            major: 1.into(),
            minor: minor.into(),
            record_len: record_len.into(),
        };
        zerocopy::transmute!(header)
    }
}

/// One record: the packet and where it begins in its data file. The first
/// [`IndexVersion::record_len`] bytes belong to the file.
#[must_use]
pub fn record(offset_bytes: u64, index: &PacketIndex) -> [u8; RECORD_1_1_LEN] {
    let record = Record {
        offset_bytes: offset_bytes.into(),
        packet_size_bits: index.packet_size_bits.into(),
        content_size_bits: index.content_size_bits.into(),
        timestamp_begin: index.timestamp_begin.into(),
        timestamp_end: index.timestamp_end.into(),
        events_discarded: index.events_discarded.into(),
        stream_class_id: index.stream_class_id.into(),
        stream_instance_id: index.stream_instance_id.into(),
        packet_seq_num: index.packet_seq_num.into(),
    };
    zerocopy::transmute!(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::captures::bytes;

    #[test]
    fn a_file_of_a_stock_relay() {
        assert_eq!(
            IndexVersion::V1_1.header()[..],
            bytes("c1f1dcc1 00000001 00000001 00000048")
        );
        assert_eq!(
            IndexVersion::V1_0.header()[..],
            bytes("c1f1dcc1 00000001 00000000 00000038")
        );
        let index = PacketIndex {
            stream: 2,
            packet_size_bits: 0x8000,
            content_size_bits: 0x7fe0,
            timestamp_begin: 0x19a_05c3_1e59,
            timestamp_end: 0x19a_0943_3128,
            stream_instance_id: 1,
            ..PacketIndex::default()
        };
        let expected = bytes(
            "0000000000000000 0000000000008000 0000000000007fe0 0000019a05c31e59
             0000019a09433128 0000000000000000 0000000000000000 0000000000000001
             0000000000000000",
        );
        assert_eq!(record(0, &index)[..], expected);
    }
}
