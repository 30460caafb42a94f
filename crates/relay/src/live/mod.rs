//! The LTTng-live protocol: what viewers such as babeltrace2 speak with a relay daemon.
//!
//! ```text
//! viewer bytes ─▶ ViewerPeer ─▶ ViewerRequest ─▶ (driver) ─▶ Published: what of a stream is there
//!                                                   │            ▲
//! viewer ◀── ViewerReply, entries, bytes of files ◀─┘            └─ the relay's end of the stream
//! ```
//!
//! A viewer asks, the relay answers, in order; nothing else ever comes. Requests have a header, replies have
//! none. A viewer connects, creates its session, lists the sessions, attaches to some, and then asks for
//! indexes, packets, metadata and new streams until everything has hung up.

mod curb;
mod entry;
mod patience;
mod peer;
mod published;
mod reply;
mod request;
mod status;
#[cfg(test)]
mod tests;
mod wire;

pub use curb::Curb;
pub use entry::{SessionEntry, StreamEntry};
pub use patience::{Expected, Patience, Ticks};
pub use peer::{ViewerClose, ViewerPeer, ViewerStep};
pub use published::{Beacon, Cursor, Next, Place, Published, State};
pub use reply::{IndexReply, ViewerIndex, ViewerReply};
pub use request::{MAX_VIEWER_REQUEST_LEN, VIEWER_HEADER_LEN, ViewerRequest};
pub use status::{
    AttachStatus, ConnectionKind, CreateStatus, DetachStatus, FLAG_NEW_METADATA, FLAG_NEW_STREAM,
    IndexStatus, MetadataStatus, NewStreamsStatus, PacketStatus, Seek, ViewerCommand,
};
