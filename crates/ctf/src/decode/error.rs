//! What can go wrong between metadata, packets and values.

use crate::tsdl::TsdlError;
use crate::units::Uuid;

/// Metadata from which events cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// The text is wrong.
    #[error(transparent)]
    Text(#[from] TsdlError),
    /// A sequence or variant refers to a field that is not before it, or that is no integer (no
    /// enumeration, for a variant).
    #[error("{place}: no earlier field `{name}` tells a length or a choice")]
    Unresolved {
        /// The block with the reference.
        place: String,
        /// The name that it refers to.
        name: String,
    },
}

/// A packet that cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at bit {at_bits} of the packet: {kind}")]
pub struct DecodeError {
    /// Where decoding stopped.
    pub at_bits: u64,
    /// Why.
    pub kind: DecodeErrorKind,
}

/// Why a packet cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// There is no metadata yet.
    #[error("no metadata has been read")]
    NoMetadata,
    /// The first word is wrong.
    #[error("packet starts with {0:#x}")]
    BadMagic(u64),
    /// The packet is of another trace.
    #[error("packet belongs to trace {0}")]
    WrongUuid(Uuid),
    /// The metadata has no such stream class.
    #[error("unknown stream {0}")]
    UnknownStream(u64),
    /// The metadata has no such event class.
    #[error("unknown event {event} in stream {stream}")]
    UnknownEvent {
        /// Stream class id.
        stream: u64,
        /// Event id.
        event: u64,
    },
    /// The sizes in the packet context contradict each other or the data.
    #[error("content of {content} bits in a packet of {packet} bits, with {available} bits there")]
    BadSize {
        /// Content size.
        content: u64,
        /// Packet size.
        packet: u64,
        /// Size of the data.
        available: u64,
    },
    /// A value goes on behind the end of the content.
    #[error("value does not end inside the packet")]
    Overrun,
    /// No choice of a variant belongs to the value of its tag.
    #[error("no choice for value {0}")]
    NoChoice(i128),
    /// A sequence with a negative or impossible number of elements.
    #[error("impossible number of elements: {0}")]
    BadLength(i128),
    /// Elements without any bits, too many to count.
    #[error("values without end")]
    Endless,
}
