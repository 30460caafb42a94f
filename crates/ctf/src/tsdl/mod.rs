//! TSDL: the metadata language of CTF 1.8.
//!
//! The writer produces, byte for byte, the text of the session daemon of lttng-tools 2.13 for the
//! same schema; `tests/stock_text.rs` holds it to recorded text.

mod names;
mod write;

pub use write::{event, preamble, stream};
