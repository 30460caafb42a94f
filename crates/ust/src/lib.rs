//! The protocol between the session daemon and applications linked with liblttng-ust.
//!
//! An application opens two connections to the session daemon's registration socket and sends a
//! [`Registration`] on each. On the *command* connection the daemon speaks: [`Batch`] encodes commands,
//! [`Reply`] decodes the answers. On the *notify* connection the application speaks:
//! [`NotifyDecoder`] cuts its requests out of the byte stream, [`notify`] encodes the answers.
//!
//! Everything here is bytes to values and back; sockets belong to the caller. Layouts are those of
//! ABI 9 and 10 (liblttng-ust 2.13 and 2.14), host byte order.

#![forbid(unsafe_code)]

pub mod command;
pub mod field;
pub mod notify;
mod registration;
mod reply;
mod text;

pub use command::{Batch, Handle};
pub use notify::{NotifyDecoder, NotifyError, NotifyRequest};
pub use registration::{REGISTRATION_BYTES, Registration, RegistrationError, SocketType};
pub use reply::{
    FIELD_ITERATOR_BYTES, FieldIterator, ListedTracepoint, REPLY_BYTES, Reply, ReplyCode,
    ReplyError, TracerVersion,
};

/// Suffix of the registration socket and wait memory of ABI 8 to 10.
pub const SOCKET_SUFFIX: u32 = 8;

/// Oldest and newest ABI major that register on that socket and are served.
pub const ABI_MAJORS: std::ops::RangeInclusive<u32> = 9..=10;
