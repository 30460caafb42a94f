//! What the control connection of one session asks, carried out.

mod chunks;
mod create;

use std::collections::HashMap;
use std::sync::Arc;

use relay::server::{Answer, ChunkMember, CloseReason};
use relay::{Command, Pending, Reply, Request, ReturnCode, StreamHandle};

use crate::relay::Relay;
use crate::session::Session;
use crate::stream::{SharedStream, SharedStreamError};

pub(crate) use create::create_session;

/// The session of one control connection, from `CREATE_SESSION` on.
#[derive(Debug)]
pub(crate) struct OpenSession {
    session: Arc<Session>,
    session_name: String,
    /// Viewers may be reading its metadata.
    is_live: bool,
    /// When it came, as in names of directories.
    created: String,
    member: ChunkMember,
    streams: HashMap<StreamHandle, OpenStream>,
}

#[derive(Debug)]
struct OpenStream {
    shared: Arc<SharedStream>,
    /// Since the last `BEGIN_DATA_PENDING`.
    checked: bool,
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
            Request::StreamsSent => {
                self.session.live.on_streams_sent();
                OK
            }
            Request::CloseStream {
                stream,
                last_net_seq_num,
            } => self.close_stream(relay, *stream, *last_net_seq_num),
            // A viewer has the old ones already.
            Request::ResetMetadata { .. } if self.is_live => {
                let why = "metadata of a live session cannot begin again".to_owned();
                refuse(Command::RESET_METADATA, ReturnCode::UNKNOWN, why)
            }
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
                tracing::error!(session = %self.session.id, "{error}");
            }
            if !stream.is_closed() {
                relay.linger(stream);
            }
        }
        self.session.set_control_gone();
        relay.live.remove(&self.session.live);
        if let Err(error) = self.session.group.member_left(&mut self.member) {
            tracing::error!(session = %self.session.id, "{error}");
        }
        tracing::info!(
            session = %self.session.id,
            name = self.session.name,
            "session is over"
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
