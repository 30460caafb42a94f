//! What the tests of this crate share.

#![allow(dead_code, reason = "each test uses its part")]

pub(crate) mod pages;
pub(crate) mod trace_dir;
pub(crate) mod tracefs;
