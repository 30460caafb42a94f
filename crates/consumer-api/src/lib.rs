//! The messages between the session daemon and its consumer daemons.
//!
//! One consumer daemon serves one output of one session. The session daemon starts it with a
//! `SOCK_SEQPACKET` Unix socket as standard input; every message is one JSON text in one packet, with
//! its descriptors attached. The session daemon sends [`Request`]s, each with an id; the consumer
//! daemon answers every one with [`Notice::Done`] or [`Notice::Failed`], in any order, and tells
//! what happens by itself in the other notices.
//!
//! ```text
//! Setup ── OpenChunk ── AddTrace ─ (AddTasks) ─ AddStream… ── PublishTrace ──┐
//!                          ▲                                                  │ any number of times
//!                          └──────────────────────────────────────────────────┘
//!          Rotate ── … ── Drain (at stop) ── CloseChunk (at destroy) ── end of file: exit
//! ```
//!
//! JSON, because this is the control plane: a session daemon and a consumer daemon of neighbouring
//! versions have to understand each other after an upgrade, unknown fields are skipped, and what
//! passes can be read in `strace`.

#![forbid(unsafe_code)]

mod message;
mod transport;

pub use message::{
    Answer, BufferMode, ChunkEnding, ChunkSetup, Counters, Envelope, KernelStream, Notice,
    OutputFailure, OutputSetup, Predecessor, RelaySetup, Request, RequestId, RotationSetup,
    SessionSetup, StreamKey, StreamSetup, TraceKey, TraceSetup, Wakeup, channel_label,
};
pub use transport::{MAX_FDS, MAX_MESSAGE_BYTES, Received, TransportError, receive, send};
