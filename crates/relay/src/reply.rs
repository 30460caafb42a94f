//! What a relay daemon answers. Replies have no header: who asked knows which one comes.

use std::collections::VecDeque;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::limits::MAX_REPLY_PATH_LEN;
use crate::{Command, Minor, RelaySessionId, ReturnCode, StreamHandle, wire};

/// A decoded reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To `VERSION`: the peer's own version.
    Version {
        /// Anything but [`crate::MAJOR`] ends the conversation.
        major: u32,
        /// Take the smaller one of the two.
        minor: Minor,
    },
    /// To `GET_CONFIGURATION`.
    Configuration {
        /// Done, or why not.
        code: ReturnCode,
        /// See [`CONFIGURATION_CLEAR_ALLOWED`].
        flags: u64,
    },
    /// To `CREATE_SESSION`.
    Session {
        /// The new session.
        session: RelaySessionId,
        /// Done, or why not.
        code: ReturnCode,
        /// Its directory below the relay's output directory. `None` before minor 11.
        output_path: Option<String>,
    },
    /// To `ADD_STREAM`.
    Stream {
        /// The new stream.
        stream: StreamHandle,
        /// Done, or why not.
        code: ReturnCode,
    },
    /// To `CLOSE_TRACE_CHUNK`.
    ChunkClosed {
        /// Done, or why not.
        code: ReturnCode,
        /// Where the chunk will be found.
        path: String,
    },
    /// To `TRACE_CHUNK_EXISTS`.
    ChunkExists {
        /// Done, or why not.
        code: ReturnCode,
        /// Something still uses it.
        exists: bool,
    },
    /// To `DATA_PENDING` and `END_DATA_PENDING`: a bare number, not a return code.
    Pending(Pending),
    /// To all others.
    Code(ReturnCode),
}

/// The answer to a data pending question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pending {
    /// Everything has arrived.
    No,
    /// Something is missing: ask again.
    Yes,
    /// Neither: the relay found an error (stock: 0xffffffff for an unknown stream).
    Failed(u32),
}

/// Bit of [`Reply::Configuration`]: trace chunks may be deleted (clear).
pub const CONFIGURATION_CLEAR_ALLOWED: u64 = 1;

/// Which reply to expect. Says where a reply ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyKind {
    /// 8 bytes.
    Version,
    /// 12 bytes.
    Configuration,
    /// 12 bytes.
    OldSession,
    /// 16 bytes and a path.
    Session,
    /// 12 bytes.
    Stream,
    /// 8 bytes and a path.
    ChunkClosed,
    /// 5 bytes.
    ChunkExists,
    /// 4 bytes.
    Pending,
    /// 4 bytes.
    Code,
}

/// A relay daemon that breaks the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// A path that no relay may send.
    #[error(
        "the relay daemon answered with a path of {len} bytes; {MAX_REPLY_PATH_LEN} at most are allowed"
    )]
    PathTooLong {
        /// Its length.
        len: u32,
    },
    /// A path that is no text.
    #[error("the relay daemon answered with a path that is not UTF-8")]
    PathNotText,
    /// Bytes came that no request asked for.
    #[error("the relay daemon sent {len} bytes that nobody asked for")]
    Unexpected {
        /// How many.
        len: usize,
    },
}

impl ReplyKind {
    /// The reply to a command, `None` if it has none.
    #[must_use]
    pub fn of(command: Command, minor: Minor) -> Option<Self> {
        Some(match command {
            Command::VERSION => Self::Version,
            Command::GET_CONFIGURATION => Self::Configuration,
            Command::CREATE_SESSION if minor.has_trace_chunks() => Self::Session,
            Command::CREATE_SESSION => Self::OldSession,
            Command::ADD_STREAM => Self::Stream,
            Command::CLOSE_TRACE_CHUNK => Self::ChunkClosed,
            Command::TRACE_CHUNK_EXISTS => Self::ChunkExists,
            Command::DATA_PENDING | Command::END_DATA_PENDING => Self::Pending,
            Command::SEND_METADATA => return None,
            _ => Self::Code,
        })
    }

    /// Takes one reply from the front of `bytes`: the reply and its length, or `None` if its end has
    /// not arrived yet.
    ///
    /// # Errors
    /// When the relay breaks the protocol; nothing that follows can be understood then.
    pub fn parse(self, bytes: &[u8]) -> Result<Option<(Reply, usize)>, ReplyError> {
        Ok(match self {
            Self::Version => fixed::<wire::Version>(bytes).map(|(reply, len)| {
                let reply = Reply::Version {
                    major: reply.major.get(),
                    minor: Minor(reply.minor.get()),
                };
                (reply, len)
            }),
            Self::Configuration => fixed::<wire::ConfigurationReply>(bytes).map(|(reply, len)| {
                let code = ReturnCode(reply.ret_code.get());
                (
                    Reply::Configuration {
                        code,
                        flags: reply.flags.get(),
                    },
                    len,
                )
            }),
            Self::OldSession => fixed::<wire::SessionReply>(bytes).map(|(reply, len)| {
                let session = RelaySessionId(reply.session_id.get());
                let code = ReturnCode(reply.ret_code.get());
                (
                    Reply::Session {
                        session,
                        code,
                        output_path: None,
                    },
                    len,
                )
            }),
            Self::Session => {
                let Some((id, id_len)) = fixed::<wire::SessionReplyId>(bytes) else {
                    return Ok(None);
                };
                path_reply(&bytes[id_len..])?.map(|(code, path, len)| {
                    let session = RelaySessionId(id.session_id.get());
                    (
                        Reply::Session {
                            session,
                            code,
                            output_path: Some(path),
                        },
                        id_len + len,
                    )
                })
            }
            Self::Stream => fixed::<wire::StreamReply>(bytes).map(|(reply, len)| {
                let stream = StreamHandle(reply.handle.get());
                (
                    Reply::Stream {
                        stream,
                        code: ReturnCode(reply.ret_code.get()),
                    },
                    len,
                )
            }),
            Self::ChunkClosed => {
                path_reply(bytes)?.map(|(code, path, len)| (Reply::ChunkClosed { code, path }, len))
            }
            Self::ChunkExists => fixed::<wire::ExistsReply>(bytes).map(|(reply, len)| {
                let code = ReturnCode(reply.ret_code.get());
                (
                    Reply::ChunkExists {
                        code,
                        exists: reply.exists != 0,
                    },
                    len,
                )
            }),
            Self::Pending => fixed::<wire::CodeReply>(bytes)
                .map(|(reply, len)| (Reply::Pending(Pending::from_wire(reply.code.get())), len)),
            Self::Code => fixed::<wire::CodeReply>(bytes)
                .map(|(reply, len)| (Reply::Code(ReturnCode(reply.code.get())), len)),
        })
    }
}

impl Pending {
    fn from_wire(value: u32) -> Self {
        match value {
            0 => Self::No,
            1 => Self::Yes,
            other => Self::Failed(other),
        }
    }

    fn to_wire(self) -> u32 {
        match self {
            Self::No => 0,
            Self::Yes => 1,
            Self::Failed(other) => other,
        }
    }
}

impl Reply {
    /// Appends the bytes of the reply. An empty path is sent as one NUL, never as nothing: stock peers
    /// freeze in a receive of zero bytes. Paths are cut to what peers accept.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        match self {
            Self::Version { major, minor } => {
                put(
                    out,
                    &wire::Version {
                        major: (*major).into(),
                        minor: minor.0.into(),
                    },
                );
            }
            Self::Configuration { code, flags } => put(
                out,
                &wire::ConfigurationReply {
                    ret_code: code.0.into(),
                    flags: (*flags).into(),
                },
            ),
            Self::Session {
                session,
                code,
                output_path: None,
            } => put(
                out,
                &wire::SessionReply {
                    session_id: session.0.into(),
                    ret_code: code.0.into(),
                },
            ),
            Self::Session {
                session,
                code,
                output_path: Some(path),
            } => {
                put(
                    out,
                    &wire::SessionReplyId {
                        session_id: session.0.into(),
                    },
                );
                put_path(out, *code, path);
            }
            Self::Stream { stream, code } => {
                put(
                    out,
                    &wire::StreamReply {
                        handle: stream.0.into(),
                        ret_code: code.0.into(),
                    },
                );
            }
            Self::ChunkClosed { code, path } => put_path(out, *code, path),
            Self::ChunkExists { code, exists } => {
                put(
                    out,
                    &wire::ExistsReply {
                        ret_code: code.0.into(),
                        exists: (*exists).into(),
                    },
                );
            }
            Self::Pending(pending) => out.extend_from_slice(&pending.to_wire().to_be_bytes()),
            Self::Code(code) => out.extend_from_slice(&code.0.to_be_bytes()),
        }
    }

    /// The return code, where the reply has one.
    #[must_use]
    pub fn code(&self) -> Option<ReturnCode> {
        match self {
            Self::Configuration { code, .. }
            | Self::Session { code, .. }
            | Self::Stream { code, .. }
            | Self::ChunkClosed { code, .. }
            | Self::ChunkExists { code, .. }
            | Self::Code(code) => Some(*code),
            Self::Version { .. } | Self::Pending(_) => None,
        }
    }
}

fn put(out: &mut Vec<u8>, value: &(impl IntoBytes + Immutable)) {
    out.extend_from_slice(value.as_bytes());
}

fn put_path(out: &mut Vec<u8>, code: ReturnCode, path: &str) {
    let path = &path.as_bytes()[..path.len().min(MAX_REPLY_PATH_LEN - 1)];
    // Cut above, so it fits.
    let path_len = u32::try_from(path.len() + 1).unwrap_or(1);
    put(
        out,
        &wire::PathReply {
            ret_code: code.0.into(),
            path_len: path_len.into(),
        },
    );
    out.extend_from_slice(path);
    out.push(0);
}

fn fixed<T: FromBytes + KnownLayout + Immutable + Unaligned>(bytes: &[u8]) -> Option<(&T, usize)> {
    let (value, _) = T::ref_from_prefix(bytes).ok()?;
    Some((value, size_of::<T>()))
}

/// A length of 0 is accepted, stock relays send it with errors.
fn path_reply(bytes: &[u8]) -> Result<Option<(ReturnCode, String, usize)>, ReplyError> {
    let Some((head, head_len)) = fixed::<wire::PathReply>(bytes) else {
        return Ok(None);
    };
    let len = head.path_len.get();
    let path_len = match usize::try_from(len) {
        Ok(path_len) if path_len <= MAX_REPLY_PATH_LEN => path_len,
        _ => return Err(ReplyError::PathTooLong { len }),
    };
    let Some(path) = bytes.get(head_len..head_len + path_len) else {
        return Ok(None);
    };
    let path = path.split(|byte| *byte == 0).next().unwrap_or(path);
    let path = std::str::from_utf8(path).map_err(|_| ReplyError::PathNotText)?;
    Ok(Some((
        ReturnCode(head.ret_code.get()),
        path.to_owned(),
        head_len + path_len,
    )))
}

/// The replies that are still to come on a control connection, in order, and the bytes of them that
/// have arrived.
#[derive(Debug, Default)]
pub struct ReplyQueue {
    expected: VecDeque<ReplyKind>,
    bytes: Vec<u8>,
    /// How many of `bytes` have been taken already.
    taken: usize,
}

impl ReplyQueue {
    /// A request was sent; `kind` is what [`crate::Request::reply_kind`] says.
    pub fn expect(&mut self, kind: Option<ReplyKind>) {
        self.expected.extend(kind);
    }

    /// How many replies are still to come.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.expected.len()
    }

    /// Bytes arrived, cut anywhere.
    pub fn on_bytes(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next reply, `None` if it has not arrived in full.
    ///
    /// # Errors
    /// When the relay breaks the protocol; the connection is of no more use then.
    pub fn next_reply(&mut self) -> Result<Option<Reply>, ReplyError> {
        let bytes = &self.bytes[self.taken..];
        let Some(kind) = self.expected.front() else {
            return if bytes.is_empty() {
                Ok(None)
            } else {
                Err(ReplyError::Unexpected { len: bytes.len() })
            };
        };
        let Some((reply, len)) = kind.parse(bytes)? else {
            return Ok(None);
        };
        self.taken += len;
        self.expected.pop_front();
        Ok(Some(reply))
    }
}
