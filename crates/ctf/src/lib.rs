//! The Common Trace Format: metadata, packets, index files and the decoder that reads events back.
//!
//! | module | what it describes |
//! | --- | --- |
//! | [`types`], [`metadata`] | the schema of a trace: field types; trace, stream and event classes |
//! | [`tsdl`] | that schema as text (TSDL, the metadata language of CTF 1.8) |
//! | [`metadata_packet`] | the packets in which the text travels |
//! | [`packet`] | the header of a data packet of the user-space tracer |
//! | [`decode`] | the decoder that reads events back out of packets |
//! | [`index`] | index files: the directory of a stream's packets |
//!
//! Everything here turns bytes into values and back; nothing opens a file or a socket.

#![forbid(unsafe_code)]

pub mod decode;
pub mod index;
pub mod metadata;
pub mod metadata_packet;
pub mod packet;
pub mod tsdl;
pub mod types;
pub mod units;

pub use metadata::{Clock, EnvValue, EventClass, HeaderType, StreamClass, TraceClass};
pub use types::{ByteOrder, Field, FieldType};
pub use units::{Bits, Uuid};
