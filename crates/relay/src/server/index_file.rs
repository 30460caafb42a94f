//! From the index message of a packet to its record in an index file ([`ctf::index`]).

use ctf::Bits;
use ctf::index::PacketPosition;
pub use ctf::index::{HEADER_LEN, IndexRecord, IndexVersion, encode_header};

use crate::{Minor, PacketIndex};

/// Which version of index files a peer of this minor can fill.
#[must_use]
pub fn version_for(minor: Minor) -> IndexVersion {
    if minor.has_packet_seq_num() {
        IndexVersion::V1_1
    } else {
        IndexVersion::V1_0
    }
}

/// The record of a packet that begins at `offset_bytes` of its data file.
#[must_use]
pub fn record(offset_bytes: u64, index: &PacketIndex) -> IndexRecord {
    IndexRecord {
        offset_bytes,
        packet_size: Bits(index.packet_size_bits),
        content_size: Bits(index.content_size_bits),
        timestamp_begin: index.timestamp_begin,
        timestamp_end: index.timestamp_end,
        events_discarded: index.events_discarded,
        stream_id: index.stream_class_id,
        position: Some(PacketPosition {
            stream_instance_id: index.stream_instance_id,
            packet_seq_num: index.packet_seq_num,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::captures::bytes;

    #[test]
    fn a_file_of_a_stock_relay() {
        let index = PacketIndex {
            stream: 2,
            packet_size_bits: 0x8000,
            content_size_bits: 0x7fe0,
            timestamp_begin: 0x19a_05c3_1e59,
            timestamp_end: 0x19a_0943_3128,
            stream_instance_id: 1,
            ..PacketIndex::default()
        };
        let version = version_for(Minor(13));
        let mut file = encode_header(version).to_vec();
        record(0, &index).encode(version, &mut file);
        let expected = bytes(
            "c1f1dcc1 00000001 00000001 00000048
             0000000000000000 0000000000008000 0000000000007fe0 0000019a05c31e59
             0000019a09433128 0000000000000000 0000000000000000 0000000000000001
             0000000000000000",
        );
        assert_eq!(file, expected);
        assert_eq!(version_for(Minor(7)), IndexVersion::V1_0);
    }
}
