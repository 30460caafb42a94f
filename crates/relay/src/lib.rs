//! The relay protocol, major 2: how traces travel from a target to a collector.
//!
//! No sockets, files or clocks here: bytes in, values out, and back. [`client`] shows the sending end.
//!
//! A peer opens two TCP connections. On the *control connection* it sends [`Request`]s, each is
//! answered by one [`Reply`] (but `SEND_METADATA`), in order, without a header. On the *data
//! connection* it sends [`DataPacket`]s and nothing ever comes back. What a message looks like
//! depends on the smaller of the two minors the ends told each other: [`Minor`].
//!
//! Viewers speak another protocol, on a third port: [`live`].

#![forbid(unsafe_code)]

#[cfg(test)]
mod captures;
pub mod client;
mod code;
mod decode;
mod encode;
mod ids;
pub mod limits;
pub mod live;
mod minor;
mod reply;
mod request;
pub mod server;
mod wire;

pub use code::{CloseCommand, Command, ReturnCode, TraceFormat};
pub use decode::{ControlHeader, DecodeError, NameProblem};
pub use encode::{CONTROL_HEADER_LEN, DATA_HEADER_LEN, EncodeError};
pub use ids::{ChunkId, NO_PACKET, RelaySessionId, SessionKey, StreamHandle};
pub use minor::{MAJOR, Minor};
pub use reply::{CONFIGURATION_CLEAR_ALLOWED, Pending, Reply, ReplyError, ReplyKind, ReplyQueue};
pub use request::{
    AddStream, CreateSession, DataPacket, METADATA_NAME, PacketIndex, Request, StreamPosition,
};
