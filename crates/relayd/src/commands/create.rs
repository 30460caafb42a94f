//! `CREATE_SESSION` and `ADD_STREAM`.

use std::collections::HashMap;
use std::sync::Arc;

use relay::server::index_file::version_for;
use relay::server::layout::{old_stream_directory, session_directory};
use relay::server::names::{Component, NameError, RelativePath};
use relay::server::{Answer, ChunkMember, Stream, StreamSetup, Tracefiles, refused_session};
use relay::{AddStream, CreateSession, Minor, Reply, ReturnCode, StreamHandle, TraceFormat};

use super::{OpenSession, OpenStream};
use crate::counters::count;
use crate::files::StreamFiles;
use crate::group::GroupError;
use crate::groups::Place;
use crate::live::LiveInfo;
use crate::output::OutputError;
use crate::relay::Relay;
use crate::session::{Link, NewSession};
use crate::stream::{Seen, SharedStream, SharedStreamError};
use crate::time;

/// Streams of one session at once.
const MAX_STREAMS_OF_SESSION: usize = 1 << 18;

/// Why a session or a stream cannot be created.
#[derive(Debug, thiserror::Error)]
enum RefusedError {
    #[error(transparent)]
    Name(#[from] NameError),
    #[error("the session daemon's UUID is nil")]
    NilUuid,
    #[error("unknown trace format {0}")]
    TraceFormat(TraceFormat),
    #[error("the session is in no trace chunk")]
    NoChunk,
    #[error("too many streams")]
    TooManyStreams,
    #[error(transparent)]
    Group(#[from] GroupError),
    #[error(transparent)]
    Stream(#[from] SharedStreamError),
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// `CREATE_SESSION`: the session, if it was created, and the answer.
pub(crate) fn create_session(
    relay: &Relay,
    minor: Minor,
    request: &CreateSession<'_>,
    link: &Link,
) -> (Option<OpenSession>, Answer) {
    match try_create_session(relay, minor, request, link) {
        Ok((open, output_path)) => {
            let session = open.session.id;
            let path = output_path.as_deref().unwrap_or("");
            tracing::info!(
                %session,
                name = open.session.name,
                %minor,
                peer = %link.address,
                path,
                "session created"
            );
            let reply = Reply::Session {
                session,
                code: ReturnCode::OK,
                output_path,
            };
            (Some(open), Answer::Reply(reply))
        }
        Err(error) => {
            let (host, name) = (request.hostname, request.session_name);
            count(&relay.register.errors.refused);
            tracing::error!(
                peer = %link.address,
                "session {name:?} of host {host:?} refused: {error}"
            );
            (None, Answer::Reply(refused_session(minor)))
        }
    }
}

fn try_create_session(
    relay: &Relay,
    minor: Minor,
    request: &CreateSession<'_>,
    link: &Link,
) -> Result<(OpenSession, Option<String>), RefusedError> {
    let host = Component::new("host name", request.hostname)?;
    let session_name = Component::new("session name", request.session_name)?;
    let name = format!("{host}/{session_name}");
    let has_indexes = minor.has_indexes() && !request.snapshot;
    let open = |session, member| OpenSession {
        session,
        session_name: session_name.as_str().to_owned(),
        is_live: request.live_timer_us > 0,
        created: time::in_directory(time::now_unix_s()),
        member,
        streams: HashMap::new(),
    };
    let new = NewSession {
        name,
        minor,
        has_indexes,
        live: LiveInfo::new(request),
        link,
    };
    if !minor.has_trace_chunks() {
        let (session, member) = relay.new_old_session(new);
        relay.live.add(&session.live);
        return Ok((open(session, member), None));
    }
    if request.key.sessiond_uuid == [0; 16] {
        return Err(RefusedError::NilUuid);
    }
    if request.trace_format.name().is_none() {
        return Err(RefusedError::TraceFormat(request.trace_format));
    }
    let created = time::in_directory(request.creation_unix_s);
    let directory = session_directory(relay.grouping, request, &created)?;
    let place = match request {
        CreateSession { snapshot: true, .. } => Place::Snapshots,
        CreateSession { base_path: "", .. } => Place::Fresh,
        _ => Place::Named,
    };
    let session = relay.new_session(new, request.key, &directory, place)?;
    let directory = session.group.directory().to_owned();
    let mut member = ChunkMember::default();
    if let Some(chunk) = request.current_chunk {
        let joined = session
            .group
            .update(|chunks| chunks.join(&mut member, chunk));
        if let Err(error) = joined {
            // Nobody will use it.
            relay.output.remove_empty_directory(&directory);
            return Err(error.into());
        }
    }
    relay.live.add(&session.live);
    Ok((open(session, member), Some(directory)))
}

impl OpenSession {
    pub(super) fn add_stream(&mut self, relay: &Relay, request: &AddStream<'_>) -> Answer {
        let handle = relay.new_handle();
        let code = match self.try_add_stream(relay, handle, request) {
            Ok(()) => ReturnCode::OK,
            Err(error) => {
                let AddStream {
                    pathname,
                    channel_name,
                    ..
                } = request;
                let id = self.session.id;
                count(&relay.register.errors.refused);
                tracing::error!(
                    session = %id,
                    "stream {pathname:?} {channel_name:?} refused: {error}"
                );
                ReturnCode::UNKNOWN
            }
        };
        Answer::Reply(Reply::Stream {
            stream: handle,
            code,
        })
    }

    fn try_add_stream(
        &mut self,
        relay: &Relay,
        handle: StreamHandle,
        request: &AddStream<'_>,
    ) -> Result<(), RefusedError> {
        if self.streams.len() >= MAX_STREAMS_OF_SESSION {
            return Err(RefusedError::TooManyStreams);
        }
        let name = Component::new("channel name", request.channel_name)?;
        let directory = if self.session.minor.has_trace_chunks() {
            RelativePath::new("stream path", request.pathname)?
        } else {
            let (name, created) = (&self.session_name, &self.created);
            old_stream_directory(relay.grouping, name, created, request.pathname)?
        };
        let chunk = self.member.current().ok_or(RefusedError::NoChunk)?;
        let group = &self.session.group;
        let core = Stream::new(&StreamSetup {
            is_metadata: request.is_metadata(),
            has_indexes: self.session.has_indexes,
            tracefiles: Tracefiles {
                size: request.tracefile_size,
                count: request.tracefile_count,
            },
            chunk,
        });
        group.update(|chunks| chunks.stream_joins(chunk, &directory))?;
        let live = &self.session.live;
        let seen = live.is_live().then(|| Seen {
            trace: live.trace(&directory, relay.live.next_trace()),
            name: name.clone(),
        });
        let files = StreamFiles::new(
            Arc::clone(group),
            Arc::clone(&relay.pool),
            directory.clone(),
            name,
            core.tracefiles(),
            version_for(self.session.minor),
        );
        let stream = Arc::new(SharedStream::new(
            handle,
            Arc::clone(&self.session),
            directory,
            (core, files),
            seen,
        ));
        live.on_stream(&stream);
        let started = stream.start(relay).map_err(RefusedError::from);
        let added = started.and_then(|()| {
            relay
                .add_stream(&stream)
                .then_some(())
                .ok_or(RefusedError::TooManyStreams)
        });
        if let Err(error) = added {
            // Gives the trace chunk back.
            let _ = stream.abort(relay);
            return Err(error);
        }
        self.session.counters.stream();
        self.streams.insert(
            handle,
            OpenStream {
                shared: stream,
                checked: false,
            },
        );
        Ok(())
    }
}
