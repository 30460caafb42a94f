//! Answers to text and to XML.

pub(crate) mod losses;
pub(crate) mod session;
pub(crate) mod tracepoints;
pub(crate) mod xml;
