//! Metadata packets: how TSDL text travels in files and over the network.
//!
//! ```text
//! magic  uuid  checksum  content_size  packet_size  3 schemes  major minor | text | padding
//!   4     16      4           4             4           3        1     1   |  ≤ 4059
//! ```
//!
//! Sizes are in bits and count the header. Numbers are in the byte order of the trace, which the
//! magic number tells. Source: ust-abi facts 5.5; held to recorded files by `tests/stock_text.rs`.

use std::borrow::Cow;

use zerocopy::byteorder::{BE, LE, U32};
use zerocopy::{
    ByteOrder as ZeroCopyOrder, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
};

use crate::types::ByteOrder;
use crate::units::Uuid;

/// First word of each metadata packet.
pub const MAGIC: u32 = 0x75D1_1D57;
/// Bytes before the text of a packet.
pub const HEADER_LEN: usize = size_of::<Header<LE>>();
/// Most text bytes that one packet takes.
pub const MAX_TEXT_LEN: usize = ALIGNMENT - HEADER_LEN;
/// Packets are padded to a multiple of this many bytes.
pub const ALIGNMENT: usize = 4096;

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header<O: ZeroCopyOrder> {
    magic: U32<O>,
    uuid: [u8; 16],
    checksum: U32<O>,
    content_size_bits: U32<O>,
    packet_size_bits: U32<O>,
    compression_scheme: u8,
    encryption_scheme: u8,
    checksum_scheme: u8,
    major: u8,
    minor: u8,
}

const _: () = assert!(HEADER_LEN == 37);

/// One packet, ready to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataPacket {
    /// Header and text. On the network only these bytes are sent.
    pub bytes: Vec<u8>,
    /// Zero bytes that follow in a file, and that the network announces.
    pub padding: usize,
}

impl MetadataPacket {
    /// Bytes of text in it.
    #[must_use]
    pub fn text_len(&self) -> usize {
        self.bytes.len() - HEADER_LEN
    }
}

/// Cuts metadata text into packets.
///
/// ```
/// use ctf::metadata_packet::{Packetizer, text_of};
/// use ctf::{ByteOrder, Uuid};
///
/// let packetizer = Packetizer::new(Uuid([7; 16]), ByteOrder::Little);
/// let mut file = Vec::new();
/// for packet in packetizer.packets(b"/* CTF 1.8 */") {
///     file.extend_from_slice(&packet.bytes);
///     file.resize(file.len() + packet.padding, 0);
/// }
/// assert_eq!(file.len(), 4096);
/// assert_eq!(text_of(&file).unwrap(), "/* CTF 1.8 */");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Packetizer {
    uuid: Uuid,
    byte_order: ByteOrder,
}

impl Packetizer {
    /// For the trace with this identity and byte order.
    pub fn new(uuid: Uuid, byte_order: ByteOrder) -> Self {
        Self { uuid, byte_order }
    }

    /// The packets that carry `text`, in order; none for no text. A cut may fall anywhere, even
    /// inside a character: the text is the concatenation of all packets.
    pub fn packets<'t>(&self, text: &'t [u8]) -> impl Iterator<Item = MetadataPacket> + use<'t> {
        let Self { uuid, byte_order } = *self;
        text.chunks(MAX_TEXT_LEN).map(move |text| match byte_order {
            ByteOrder::Little => packet::<LE>(uuid, text),
            ByteOrder::Big => packet::<BE>(uuid, text),
        })
    }
}

fn packet<O: ZeroCopyOrder>(uuid: Uuid, text: &[u8]) -> MetadataPacket {
    let content = HEADER_LEN + text.len();
    let size = content.next_multiple_of(ALIGNMENT);
    // At most `ALIGNMENT` bytes: the sizes in bits fit a u32 by far.
    let header = Header::<O> {
        magic: MAGIC.into(),
        uuid: uuid.0,
        checksum: 0.into(),
        content_size_bits: ((content * 8) as u32).into(),
        packet_size_bits: ((size * 8) as u32).into(),
        compression_scheme: 0,
        encryption_scheme: 0,
        checksum_scheme: 0,
        major: 1,
        minor: 8,
    };
    let mut bytes = Vec::with_capacity(content);
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(text);
    MetadataPacket {
        bytes,
        padding: size - content,
    }
}

/// What makes a metadata file unreadable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataPacketError {
    /// The file ends inside a packet.
    #[error("metadata packet at byte {at} is cut: it needs {needed} bytes and {left} are left")]
    Truncated {
        /// Where the packet starts.
        at: usize,
        /// Its size, or that of its header.
        needed: usize,
        /// Bytes from there to the end.
        left: usize,
    },
    /// No packet starts where one should.
    #[error("no metadata packet starts at byte {at}: the first word is {magic:#010x}")]
    BadMagic {
        /// Where it should start.
        at: usize,
        /// What is there, read as little endian.
        magic: u32,
    },
    /// The sizes in a header contradict each other.
    #[error(
        "metadata packet at byte {at} has content of {content_bits} bits in {packet_bits} bits"
    )]
    BadSize {
        /// Where the packet starts.
        at: usize,
        /// Its content size.
        content_bits: u32,
        /// Its packet size.
        packet_bits: u32,
    },
    /// A packet is compressed, encrypted or of another format version.
    #[error("metadata packet at byte {at} is compressed, encrypted or not CTF 1.8")]
    Unsupported {
        /// Where the packet starts.
        at: usize,
    },
    /// The text is not UTF-8.
    #[error("metadata text is not UTF-8")]
    NotUtf8,
}

/// The text of a metadata file: the contents of its packets, or the file itself if it is plain text.
pub fn text_of(file: &[u8]) -> Result<Cow<'_, str>, MetadataPacketError> {
    let Some(order) = packet_order(file) else {
        return plain_text(file);
    };
    let mut text = Vec::with_capacity(file.len());
    let mut at = 0;
    while at < file.len() {
        at += match order {
            ByteOrder::Little => take_packet::<LE>(file, at, &mut text)?,
            ByteOrder::Big => take_packet::<BE>(file, at, &mut text)?,
        };
    }
    String::from_utf8(text)
        .map(Cow::Owned)
        .map_err(|_| MetadataPacketError::NotUtf8)
}

/// The uuid in the first packet of a metadata file; `None` for plain text.
pub fn uuid_of(file: &[u8]) -> Option<Uuid> {
    packet_order(file)?;
    let (header, _) = Header::<LE>::ref_from_prefix(file).ok()?;
    Some(Uuid(header.uuid))
}

/// The byte order of a packetised file; `None` if it does not start like one.
fn packet_order(file: &[u8]) -> Option<ByteOrder> {
    let magic = *file.first_chunk::<4>()?;
    if u32::from_le_bytes(magic) == MAGIC {
        Some(ByteOrder::Little)
    } else if u32::from_be_bytes(magic) == MAGIC {
        Some(ByteOrder::Big)
    } else {
        None
    }
}

fn plain_text(file: &[u8]) -> Result<Cow<'_, str>, MetadataPacketError> {
    let text = std::str::from_utf8(file).map_err(|_| MetadataPacketError::NotUtf8)?;
    Ok(Cow::Borrowed(text))
}

/// Appends the text of the packet at `at`; returns the packet's size.
fn take_packet<O: ZeroCopyOrder>(
    file: &[u8],
    at: usize,
    text: &mut Vec<u8>,
) -> Result<usize, MetadataPacketError> {
    let rest = &file[at..];
    let truncated = |needed| MetadataPacketError::Truncated {
        at,
        needed,
        left: rest.len(),
    };
    let (header, _) = Header::<O>::ref_from_prefix(rest).map_err(|_| truncated(HEADER_LEN))?;
    if header.magic.get() != MAGIC {
        let word = *rest.first_chunk::<4>().unwrap_or(&[0; 4]);
        return Err(MetadataPacketError::BadMagic {
            at,
            magic: u32::from_le_bytes(word),
        });
    }
    let schemes = (
        header.compression_scheme,
        header.encryption_scheme,
        header.checksum_scheme,
    );
    if schemes != (0, 0, 0) || (header.major, header.minor) != (1, 8) {
        return Err(MetadataPacketError::Unsupported { at });
    }
    let content_bits = header.content_size_bits.get();
    let packet_bits = header.packet_size_bits.get();
    let (content, size) = ((content_bits / 8) as usize, (packet_bits / 8) as usize);
    if content_bits % 8 != 0 || packet_bits % 8 != 0 || content < HEADER_LEN || content > size {
        return Err(MetadataPacketError::BadSize {
            at,
            content_bits,
            packet_bits,
        });
    }
    // The padding of the last packet may be missing: it says nothing.
    let bytes = rest
        .get(HEADER_LEN..content)
        .ok_or_else(|| truncated(content))?;
    text.extend_from_slice(bytes);
    Ok(size.min(rest.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(order: ByteOrder, text: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        for packet in Packetizer::new(Uuid([0xAB; 16]), order).packets(text) {
            file.extend_from_slice(&packet.bytes);
            file.resize(file.len() + packet.padding, 0);
        }
        file
    }

    #[test]
    fn text_of_every_length_comes_back() {
        for order in [ByteOrder::Little, ByteOrder::Big] {
            for len in [1, 4058, 4059, 4060, 8118, 20_000] {
                let text = "é".repeat(len / 2) + if len % 2 == 1 { "x" } else { "" };
                let file = file(order, text.as_bytes());
                assert_eq!(file.len(), len.div_ceil(MAX_TEXT_LEN) * ALIGNMENT);
                assert_eq!(text_of(&file).unwrap(), text);
                assert_eq!(uuid_of(&file), Some(Uuid([0xAB; 16])));
            }
        }
    }

    #[test]
    fn the_header_is_the_documented_one() {
        let file = file(ByteOrder::Little, b"abc");
        assert_eq!(file[..4], [0x57, 0x1D, 0xD1, 0x75]);
        assert_eq!(file[24..28], (40u32 * 8).to_le_bytes());
        assert_eq!(file[28..32], (4096u32 * 8).to_le_bytes());
        assert_eq!(file[32..40], *b"\0\0\0\x01\x08abc");
    }

    #[test]
    fn plain_text_passes_through() {
        assert!(matches!(
            text_of(b"/* CTF 1.8 */").unwrap(),
            Cow::Borrowed("/* CTF 1.8 */")
        ));
        assert_eq!(uuid_of(b"/* CTF 1.8 */"), None);
        assert_eq!(text_of(b"").unwrap(), "");
        assert_eq!(text_of(b"\xFF\xFE"), Err(MetadataPacketError::NotUtf8));
    }

    #[test]
    fn damaged_packets_are_errors() {
        let good = file(ByteOrder::Little, &[b'x'; 5000]);
        assert!(matches!(
            text_of(&good[..4100]),
            Err(MetadataPacketError::Truncated { at: 4096, .. })
        ));
        let mut bad = good.clone();
        bad[4096] = 0;
        assert!(matches!(
            text_of(&bad),
            Err(MetadataPacketError::BadMagic { at: 4096, .. })
        ));
        let mut bad = good.clone();
        bad[24..28].copy_from_slice(&8u32.to_le_bytes());
        assert!(matches!(
            text_of(&bad),
            Err(MetadataPacketError::BadSize { at: 0, .. })
        ));
        let mut bad = good;
        bad[32] = 1;
        assert!(matches!(
            text_of(&bad),
            Err(MetadataPacketError::Unsupported { at: 0 })
        ));
    }
}
