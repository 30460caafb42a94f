//! The LTTng ring buffer in shared memory: layouts, creation, reader and flush.
mod channel;
mod geometry;
mod ids;
mod layout;
mod stream_memory;
mod system;

pub use channel::{ChannelLayout, StreamIdentity};
pub use geometry::{BufferMode, Geometry, GeometryError, MAX_STREAM_BYTES, Wakeup};
pub use layout::{PACKET_HEADER_BYTES, PACKET_MAGIC, PacketHeader};
pub use stream_memory::{CreateError, StreamMemory};
pub use system::{monotonic_now, possible_cpus};
