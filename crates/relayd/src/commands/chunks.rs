//! The trace chunk commands.

use relay::server::names::Component;
use relay::server::{Answer, CloseReason, StreamError};
use relay::{ChunkId, CloseCommand, Command, Reply, ReturnCode, StreamPosition};

use super::{OK, OpenSession, refuse};
use crate::group::GroupError;
use crate::relay::Relay;
use crate::stream::SharedStreamError;
use crate::time;

impl OpenSession {
    pub(super) fn create_chunk(
        &mut self,
        chunk: ChunkId,
        created_unix_s: u64,
        name: Option<&str>,
    ) -> Answer {
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
        self.session.live.set_rotating(self.member.is_rotating());
        match created {
            Ok(()) => OK,
            Err(error) => refuse(COMMAND, error.code(), error.to_string()),
        }
    }

    pub(super) fn close_chunk(
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
        self.session.live.set_rotating(self.member.is_rotating());
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

    pub(super) fn rotate(
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
