//! The receiving end, without sockets, files or clocks.
//!
//! ```text
//! control bytes ─▶ ControlPeer ─▶ Request ─▶ (driver) ─▶ ChunkSet: directories of a session
//!                      ▲                        │
//!                      └──── Answer ◀───────────┤
//!                                               ▼
//! data bytes ────▶ DataPeer ──▶ DataPacket ─▶ Stream: joins data and indexes, rotates, closes
//!                                               │
//!                                               ▼
//!                                          StreamEffect: what to do to files
//! ```
//!
//! Control and data connections may live in different threads: a [`Stream`] is what they share, and
//! the driver's lock is around one of them at a time.

mod chunks;
mod control;
mod data;
pub mod index_file;
pub mod layout;
pub mod names;
mod stream;

pub use chunks::{
    ChunkEffect, ChunkError, ChunkMember, ChunkSet, MAX_CHUNKS, MAX_STREAM_DIRECTORIES,
};
pub use control::{Answer, CloseReason, ControlPeer, Step, refused_session};
pub use data::{DataPeer, DataPiece};
pub use stream::{
    FileKey, MAX_WAITING, Stream, StreamEffect, StreamError, StreamSetup, Tracefiles,
};
