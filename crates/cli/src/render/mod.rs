//! Answers to text and to XML.

pub(crate) mod archive;
pub(crate) mod losses;
pub(crate) mod output_state;
pub(crate) mod probe;
pub(crate) mod session;
pub(crate) mod tracepoints;
pub(crate) mod trackers;
pub(crate) mod xml;
