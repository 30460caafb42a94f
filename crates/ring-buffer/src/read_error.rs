//! What can be wrong with a buffer that others write.

use std::io;

/// Why a reader cannot be attached to shared memory.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The owner described another buffer than it passed.
    #[error("shared memory has {actual} bytes where its channel needs {expected}")]
    Size {
        /// Size of the file in bytes.
        actual: u64,
        /// Size from the geometry in bytes.
        expected: u64,
    },
    /// An application could shrink the file and kill every process that reads it.
    #[error("shared memory is not sealed against shrinking")]
    NotSealed,
    /// Another reader is active; after its death use [`resume`](crate::Reader::resume).
    #[error("another reader is attached to the buffer")]
    Busy,
    /// The data buffers of an overwrite channel do not add up; only writers can have done that.
    #[error("the sub-buffer ids name a data buffer twice or one that does not exist")]
    Ids,
    /// The system refused.
    #[error("cannot map shared memory: {0}")]
    System(#[from] io::Error),
}

/// What is wrong in the shared memory. Only its writers can be the cause: they are broken or hostile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// One packet is unusable. It was skipped, and the next lease counts it as lost.
    #[error("packet {number} is unusable: {fault}")]
    BadPacket {
        /// Its number in the stream.
        number: u64,
        /// What does not fit.
        fault: PacketFault,
    },
    /// The positions contradict each other. There is no way on in this stream.
    #[error("read position {consumed} and write position {offset} cannot both be true")]
    BadPositions {
        /// Read position found.
        consumed: u64,
        /// Write position found.
        offset: u64,
    },
}

/// What does not fit in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketFault {
    /// The id in its slot names no data buffer.
    #[error("no data buffer {0}")]
    Buffer(u64),
    /// Not the start of a packet.
    #[error("magic is {0:#x}")]
    Magic(u32),
    /// A packet of another trace, channel or CPU.
    #[error("it belongs to another stream")]
    Identity,
    /// A packet of another position.
    #[error("its header says packet {0}")]
    Number(u64),
    /// Content, packet and buffer sizes contradict each other.
    #[error("content of {content_bits} bits in a packet of {packet_bits} bits")]
    Sizes {
        /// `content_size` of the header.
        content_bits: u64,
        /// `packet_size` of the header.
        packet_bits: u64,
    },
}
