//! What the control connection of one session asks, carried out.

use std::collections::HashMap;
use std::sync::Arc;

use relay::server::index_file::IndexVersion;
use relay::server::layout::{old_stream_directory, session_directory};
use relay::server::names::{Component, NameError, RelativePath};
use relay::server::{
    Answer, ChunkMember, CloseReason, Stream, StreamError, StreamSetup, Tracefiles, refused_session,
};
use relay::{
    AddStream, ChunkId, CloseCommand, Command, CreateSession, Minor, Pending, Reply, Request,
    ReturnCode, StreamHandle, StreamPosition, TraceFormat,
};

use crate::files::StreamFiles;
use crate::group::GroupError;
use crate::output::OutputError;
use crate::relay::Relay;
use crate::session::{Link, NewSession, Session};
use crate::stream::{SharedStream, SharedStreamError};
use crate::time;

/// Streams of one session at once.
const MAX_STREAMS_OF_SESSION: usize = 1 << 18;

/// The session of one control connection, from `CREATE_SESSION` on.
#[derive(Debug)]
pub(crate) struct OpenSession {
    session: Arc<Session>,
    session_name: String,
    member: ChunkMember,
    streams: HashMap<StreamHandle, OpenStream>,
}

#[derive(Debug)]
struct OpenStream {
    shared: Arc<SharedStream>,
    /// Since the last `BEGIN_DATA_PENDING`.
    checked: bool,
}

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
                "session {session} ({}) of minor {minor}: {path}",
                open.session.name
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
            tracing::error!("session {name:?} of host {host:?} refused: {error}");
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
        member,
        streams: HashMap::new(),
    };
    let new = NewSession {
        name,
        minor,
        has_indexes,
        link,
    };
    if !minor.has_trace_chunks() {
        let (session, member) = relay.new_old_session(new);
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
    relay.output.make_directory(directory.as_str())?;
    let session = relay.new_session(new, request.key, &directory);
    let mut member = ChunkMember::default();
    if let Some(chunk) = request.current_chunk {
        session
            .group
            .update(|chunks| chunks.join(&mut member, chunk))?;
    }
    Ok((open(session, member), Some(directory.as_str().to_owned())))
}

impl OpenSession {
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// Carries out everything but `CREATE_SESSION`.
    pub(crate) fn handle(&mut self, relay: &Relay, request: &Request<'_>) -> Answer {
        match request {
            Request::SendIndex(index) => {
                let handle = StreamHandle(index.stream);
                self.on_stream(request.command(), handle, |stream| {
                    stream.on_index(relay, *index)
                })
            }
            Request::SendMetadata {
                stream,
                padding_size,
                bytes,
            } => self.metadata(*stream, bytes, *padding_size),
            Request::AddStream(stream) => self.add_stream(relay, stream),
            Request::StreamsSent => OK,
            Request::CloseStream {
                stream,
                last_net_seq_num,
            } => self.close_stream(relay, *stream, *last_net_seq_num),
            Request::ResetMetadata { stream, .. } => {
                self.on_stream(request.command(), *stream, |stream| {
                    stream.reset_metadata(relay)
                })
            }
            Request::DataPending {
                stream,
                last_net_seq_num,
            } => self.data_pending(*stream, *last_net_seq_num),
            Request::Quiescent { stream } => {
                // Stock answers OK for unknown streams too.
                if let Some(open) = self.streams.get_mut(stream) {
                    open.checked = true;
                }
                OK
            }
            Request::BeginDataPending { .. } => {
                self.streams.retain(|_, open| !open.shared.is_closed());
                self.streams
                    .values_mut()
                    .for_each(|open| open.checked = false);
                OK
            }
            Request::EndDataPending { .. } => {
                let missing = self
                    .streams
                    .values()
                    .any(|open| !open.checked && !open.shared.is_closed());
                pending(missing)
            }
            Request::CreateTraceChunk {
                chunk,
                created_unix_s,
                override_name,
            } => self.create_chunk(*chunk, *created_unix_s, *override_name),
            Request::CloseTraceChunk {
                chunk,
                closed_unix_s,
                command,
            } => self.close_chunk(relay, *chunk, *closed_unix_s, *command),
            Request::TraceChunkExists { chunk } => {
                let exists = self.session.group.exists(*chunk);
                Answer::Reply(Reply::ChunkExists {
                    code: ReturnCode::OK,
                    exists,
                })
            }
            Request::RotateStreams { to, positions } => self.rotate(relay, *to, positions),
            Request::Version { .. }
            | Request::GetConfiguration { .. }
            | Request::CreateSession(_)
            | Request::StartData => OK,
        }
    }

    /// The control connection is gone: in order, or not.
    pub(crate) fn end(mut self, relay: &Relay, in_order: bool) {
        let in_order = in_order && !self.session.has_failed();
        for (_, open) in self.streams.drain() {
            let stream = open.shared;
            let ended = if in_order {
                stream.control_ended(relay)
            } else {
                stream.abort(relay)
            };
            if let Err(error) = ended {
                tracing::error!("session {}: {error}", self.session.id);
            }
            if !stream.is_closed() {
                relay.linger(stream);
            }
        }
        self.session.set_control_gone();
        if let Err(error) = self.session.group.member_left(&mut self.member) {
            tracing::error!("session {}: {error}", self.session.id);
        }
        tracing::info!(
            "session {} ({}) is over",
            self.session.id,
            self.session.name
        );
    }

    fn on_stream(
        &mut self,
        command: Command,
        handle: StreamHandle,
        work: impl FnOnce(&SharedStream) -> Result<(), SharedStreamError>,
    ) -> Answer {
        let done = match self.streams.get(&handle) {
            Some(open) => work(&open.shared).map_err(|error| error.to_string()),
            None => Err(format!("no stream {handle} in this session")),
        };
        match done {
            Ok(()) => OK,
            Err(why) => refuse(command, ReturnCode::UNKNOWN, why),
        }
    }

    fn close_stream(&mut self, relay: &Relay, handle: StreamHandle, last: u64) -> Answer {
        let answer = self.on_stream(Command::CLOSE_STREAM, handle, |stream| {
            stream.close(relay, last)
        });
        // Most are closed now; the others go when the session asks for pending data, or ends.
        if self
            .streams
            .get(&handle)
            .is_some_and(|open| open.shared.is_closed())
        {
            self.streams.remove(&handle);
        }
        answer
    }

    fn metadata(&self, handle: StreamHandle, bytes: &[u8], padding: u32) -> Answer {
        let done = match self.streams.get(&handle) {
            Some(open) => open
                .shared
                .append_metadata(bytes, padding)
                .map_err(|error| error.to_string()),
            None => Err(format!("no stream {handle} in this session")),
        };
        match done {
            Ok(()) => Answer::Nothing,
            Err(why) => Answer::Close(CloseReason::Failed {
                command: Command::SEND_METADATA,
                why,
            }),
        }
    }

    fn add_stream(&mut self, relay: &Relay, request: &AddStream<'_>) -> Answer {
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
                tracing::error!(
                    "session {id}: stream {pathname:?} {channel_name:?} refused: {error}"
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
            old_stream_directory(relay.grouping, &self.session_name, request.pathname)?
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
        let files = StreamFiles::new(
            Arc::clone(group),
            Arc::clone(&relay.budget),
            directory.clone(),
            name,
            core.tracefiles(),
            IndexVersion::of(self.session.minor),
        );
        let stream = Arc::new(SharedStream::new(
            handle,
            Arc::clone(&self.session),
            directory,
            core,
            files,
        ));
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
        self.streams.insert(
            handle,
            OpenStream {
                shared: stream,
                checked: false,
            },
        );
        Ok(())
    }

    fn data_pending(&mut self, handle: StreamHandle, last_net_seq_num: u64) -> Answer {
        match self.streams.get_mut(&handle) {
            Some(open) => {
                open.checked = true;
                pending(!open.shared.is_closed() && open.shared.is_pending(last_net_seq_num))
            }
            None => {
                let reply = Reply::Pending(Pending::Failed(ReturnCode::MINUS_ONE.0));
                let why = format!("no stream {handle} in this session");
                let reason = CloseReason::Failed {
                    command: Command::DATA_PENDING,
                    why,
                };
                Answer::ReplyThenClose(reply, reason)
            }
        }
    }

    fn create_chunk(&mut self, chunk: ChunkId, created_unix_s: u64, name: Option<&str>) -> Answer {
        const COMMAND: Command = Command::CREATE_TRACE_CHUNK;
        let name = match name.map(Component::chunk_name).transpose() {
            Ok(name) => name,
            Err(error) => return refuse(COMMAND, ReturnCode::INVALID, error.to_string()),
        };
        let start = time::in_chunk(created_unix_s);
        let member = &mut self.member;
        let created = self
            .session
            .group
            .update(|chunks| chunks.create(member, chunk, &start, name));
        match created {
            Ok(()) => OK,
            Err(error) => refuse(COMMAND, error.code(), error.to_string()),
        }
    }

    fn close_chunk(
        &mut self,
        relay: &Relay,
        chunk: ChunkId,
        closed_unix_s: u64,
        command: Option<CloseCommand>,
    ) -> Answer {
        let end = time::in_chunk(closed_unix_s);
        let member = &mut self.member;
        let closed = self
            .session
            .group
            .update(|chunks| chunks.close(member, chunk, &end, command, relay.clear_allowed));
        match closed {
            Ok(path) => Answer::Reply(Reply::ChunkClosed {
                code: ReturnCode::OK,
                path,
            }),
            Err(error) => {
                let reply = Reply::ChunkClosed {
                    code: error.code(),
                    path: String::new(),
                };
                let why = error.to_string();
                let reason = CloseReason::Failed {
                    command: Command::CLOSE_TRACE_CHUNK,
                    why,
                };
                Answer::ReplyThenClose(reply, reason)
            }
        }
    }

    fn rotate(
        &mut self,
        relay: &Relay,
        to: Option<ChunkId>,
        positions: &[StreamPosition],
    ) -> Answer {
        const COMMAND: Command = Command::ROTATE_STREAMS;
        for position in positions {
            let Some(open) = self.streams.get(&position.stream) else {
                let why = format!("no stream {} in this session", position.stream);
                return refuse(COMMAND, ReturnCode::INVALID, why);
            };
            let stream = &open.shared;
            if let Some(chunk) = to {
                let directory = &stream.directory;
                let group = &self.session.group;
                let joined = group.update(|chunks| chunks.stream_joins(chunk, directory));
                if let Err(error) = joined {
                    let why = error.to_string();
                    return refuse(COMMAND, ReturnCode::INVALID_PROTOCOL, why);
                }
            }
            if let Err(error) = stream.rotate(relay, position.rotate_at_seq_num, to) {
                if let (Some(chunk), SharedStreamError::Peer(_)) = (to, &error) {
                    // The stream did not take it.
                    let _ = self.session.group.leave(chunk);
                }
                let code = match &error {
                    SharedStreamError::Peer(StreamError::Rotating)
                    | SharedStreamError::Output(_) => ReturnCode::FILE_CREATION_ERROR,
                    SharedStreamError::Peer(_) => ReturnCode::INVALID,
                };
                return refuse(COMMAND, code, error.to_string());
            }
        }
        OK
    }
}

impl GroupError {
    fn code(&self) -> ReturnCode {
        match self {
            Self::Chunk(error) => error.code(),
            Self::Output(_) => ReturnCode::NO_MEMORY,
        }
    }
}

const OK: Answer = Answer::Reply(Reply::Code(ReturnCode::OK));

fn pending(missing: bool) -> Answer {
    Answer::Reply(Reply::Pending(if missing {
        Pending::Yes
    } else {
        Pending::No
    }))
}

fn refuse(command: Command, code: ReturnCode, why: String) -> Answer {
    Answer::ReplyThenClose(Reply::Code(code), CloseReason::Failed { command, why })
}
