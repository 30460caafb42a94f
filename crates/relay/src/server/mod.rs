//! The receiving end, without sockets, files or clocks.

pub mod names;
