//! The C library `liblttng-ctl.so.0`: upstream's calls that drive a recording session, with upstream's
//! binary interface, and the calls of the network session proposal.
//!
//! Every call is translated to the control API of the session daemon (crate `control`); the library owns
//! nothing and starts no thread, but for the one that waits when a session is destroyed or cleared through a
//! handle.
//! `docs/c-api.md` is the reference, `include/lttng` has the headers.
//!
//! # Safety
//!
//! What every exported function asks of its C caller, as any C library does: a pointer is NULL or points to
//! a valid object of the type that the header says, a string ends with NUL, and nothing else changes them
//! during the call. NULL is checked everywhere. [`boundary`] turns pointers into checked values at
//! once; a panic ends at the boundary and becomes an error code.
#![allow(
    unsafe_code,
    reason = "this crate is the boundary to C: exported names and pointers from callers"
)]
#![allow(
    clippy::missing_safety_doc,
    reason = "the rule is the same for all functions and stated once, above"
)]

pub mod abi;
pub mod absent;
pub mod boundary;
pub mod channel;
pub mod clear;
pub mod context;
pub mod create;
pub mod daemon;
pub mod data;
pub mod descriptor;
pub mod destruction;
pub mod error_text;
pub mod event;
pub mod event_list;
pub mod event_place;
pub mod failure;
pub mod handle;
pub mod health;
pub mod kernel_probe;
pub mod lifecycle;
pub mod listing;
pub mod load;
pub mod location;
pub mod network;
pub mod network_option;
pub mod output;
pub mod pending;
pub mod rotation;
pub mod save;
pub mod schedule;
pub mod snapshot;
pub mod snapshot_output;
pub mod tracepoints;
pub mod tracker;
pub mod tracker_pids;
pub mod tracker_values;
pub mod userspace_probe;
