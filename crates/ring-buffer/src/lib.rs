//! The LTTng ring buffer in shared memory: layouts, creation, reader and flush.
//!
//! A channel has one ring buffer, called stream, for each CPU. The session daemon creates it
//! ([`ChannelLayout`], [`StreamMemory`]), the applications write, and one consumer daemon reads
//! ([`Reader`], [`PacketLease`]). The layout and every step are those of liblttng-ust 2.13, whose
//! processes are at the other end.
//!
//! This is the one crate with unsafe code, in three small modules. Everybody else sees checked sizes,
//! leases and system calls; a reference to shared bytes exists nowhere.
mod channel;
mod flush;
mod geometry;
mod ids;
mod journal;
mod layout;
mod lease;
#[expect(unsafe_code, reason = "owns the mapping that other processes write")]
mod memory;
mod page_store;
mod peek;
mod read_error;
mod reader;
mod ring;
mod stream_memory;
mod sync;
mod system;
mod takeover;
mod tally;
#[expect(
    unsafe_code,
    reason = "hands shared ranges to the kernel, without a slice"
)]
mod transfer;
#[expect(unsafe_code, reason = "maps the word that applications sleep on")]
mod wait_word;
mod writer;

#[cfg(test)]
mod tests;

pub use channel::{ChannelLayout, StreamIdentity};
pub use flush::{FlushMode, Flushed};
pub use geometry::{BufferMode, Geometry, GeometryError, MAX_STREAM_BYTES, Wakeup};
pub use journal::{Journal, JournalEntry};
pub use layout::{PACKET_HEADER_BYTES, PACKET_MAGIC, PacketHeader};
pub use lease::{PacketLease, Padding};
pub use page_store::{BegunPacket, PacketState, PagePosition, PageStore};
pub use read_error::{AttachError, PacketFault, ReadError};
pub use reader::{Next, Positions, Reader};
pub use ring::LossCounters;
pub use stream_memory::{CreateError, StreamMemory, loss_counters, release_writers};
pub use system::{monotonic_now, possible_cpus};
pub use tally::{Delivered, Tally, UnderWay};
pub use wait_word::{WAIT_MEMORY_BYTES, WaitWord};
pub use writer::{Lost, Reservation, Writer};
