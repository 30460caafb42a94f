//! TSDL: the metadata language of CTF 1.8.
//!
//! The writer produces, byte for byte, the text of the session daemon of lttng-tools 2.13 for the
//! same schema; `tests/stock_text.rs` holds it to recorded text. The reader takes that text, the
//! text of other LTTng tracers, and garbage: it answers with a schema or with the line of the
//! mistake.

mod block;
mod declare;
mod error;
mod lex;
mod names;
mod parse;
mod scalar;
mod schema;
mod strip;
mod write;

pub use block::{EventKey, Reader, parse};
pub use error::{ErrorKind, TsdlError};
pub use parse::MAX_DEPTH;
pub(crate) use schema::lttng_header;
pub use schema::{EventSchema, Schema, StreamSchema, StructType, TraceSchema};
pub use write::{event, preamble, stream, streams_in};
