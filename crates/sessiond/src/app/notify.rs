//! Answers an application's notify connection.
//!
//! The application holds its lock while it waits for an answer, so an answer never waits for anything but
//! the registry of the trace, which is memory.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tracing::warn;
use ust::field::{FieldError, decode_enum_entries, decode_fields};
use ust::notify::{Refusal, channel_reply, enum_reply, event_reply};
use ust::{NotifyDecoder, NotifyError, NotifyRequest};

use crate::app::objects::Objects;
use crate::session::{AnnouncedEvent, RegisterError, RegistryError, TraceBuffers};

/// Why serving ended; both connections must be closed.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotifyEnd {
    #[error("notify connection: {0}")]
    Io(#[from] io::Error),
    #[error("notify connection: {0}")]
    Protocol(#[from] NotifyError),
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("it is of a session or channel that is gone")]
    UnknownHandle,
    #[error(transparent)]
    Field(#[from] FieldError),
    #[error(transparent)]
    Register(#[from] RegisterError),
}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Self {
        Self::Register(error.into())
    }
}

/// Answers until the application closes the connection.
pub(super) async fn serve(mut socket: UnixStream, objects: &Objects) -> Result<(), NotifyEnd> {
    let mut decoder = NotifyDecoder::new();
    // Small: there is one for each application, and most never announce anything any more.
    let mut buffer = [0; 4096];
    loop {
        let count = socket.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        decoder.feed(&buffer[..count]);
        while let Some(request) = decoder.next_request()? {
            socket.write_all(&answer(request, objects)).await?;
        }
    }
}

fn answer(request: NotifyRequest, objects: &Objects) -> Vec<u8> {
    match request {
        NotifyRequest::Event {
            channel,
            name,
            log_level,
            fields,
            model_emf_uri,
            ..
        } => {
            let what = format!("event `{name}`");
            let registered = objects
                .channel(channel)
                .ok_or(Problem::UnknownHandle)
                .and_then(|(trace, channel)| {
                    let fields = decode(&trace, &fields)?;
                    let event = AnnouncedEvent {
                        name,
                        log_level,
                        fields,
                        model_emf_uri,
                    };
                    Ok(trace.register(|registry| registry.add_event(channel, event))?)
                });
            event_reply(logged(&what, registered))
        }
        NotifyRequest::Channel {
            channel,
            context_fields,
            ..
        } => {
            let registered = objects
                .channel(channel)
                .ok_or(Problem::UnknownHandle)
                .and_then(|(trace, channel)| {
                    let context = decode(&trace, &context_fields)?;
                    Ok(trace.register(|registry| registry.set_context(channel, context))?)
                });
            channel_reply(logged("channel", registered))
        }
        NotifyRequest::Enum {
            session,
            name,
            entries,
        } => {
            let what = format!("enumeration `{name}`");
            let registered = objects
                .session(session)
                .ok_or(Problem::UnknownHandle)
                .and_then(|trace| {
                    let entries = decode_enum_entries(&entries)?;
                    Ok(trace.with_registry(|registry| registry.add_enum(&name, entries))?)
                });
            enum_reply(logged(&what, registered))
        }
    }
}

fn decode(trace: &TraceBuffers, fields: &[u8]) -> Result<Vec<ctf::types::Field>, FieldError> {
    trace.with_registry(|registry| decode_fields(fields, &|id| registry.enum_entries(id)))
}

fn logged<T>(what: &str, result: Result<T, Problem>) -> Result<T, Refusal> {
    result.map_err(|problem| {
        warn!("an application announces {what}, which is not traced: {problem}");
        Refusal
    })
}
