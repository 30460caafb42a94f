//! Live viewers: who reads a session while it is received.
//!
//! ```text
//! workers (targets)                                   a thread for each viewer
//!   SharedStream ── its lock ──┐                        ViewerConnection: socket, requests, answers
//!     LiveStream: what is there ◀──── next, metadata ───── Viewer: attachments, places in streams
//!     wakers ──────────────────────── mailbox ───────────▶ held answers
//!   LiveSession: announced streams ─ Attachment ─────────▶ new streams
//! ```
//!
//! Packets and indexes are read from the files; nothing of them is kept. An answer that tells nothing new is
//! held back until there is news ([`relay::live::Patience`] says when that is right).

mod connection;
mod mailbox;
mod output;
mod reading;
mod session;
mod stream;
mod threads;
mod trace;
mod viewer;
mod watched;

pub(crate) use session::{LiveInfo, LiveSession, LiveSessions};
pub(crate) use stream::LiveStream;
pub(crate) use threads::{NotServedError, Viewers, ViewersWatch};
pub(crate) use trace::{Directory, Trace};
