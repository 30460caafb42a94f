//! Bytes to requests. Everything a peer says is checked for length here; whether names are fit for a
//! file system is decided in [`crate::server::names`].

use std::borrow::Cow;

use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use crate::limits::{
    MAX_BASE_PATH_LEN, MAX_CHANNEL_NAME_LEN, MAX_CHUNK_NAME_LEN, MAX_HOSTNAME_LEN,
    MAX_SESSION_NAME_LEN, MAX_STREAM_PATH_LEN,
};
use crate::request::{AddStream, CreateSession, DataPacket, PacketIndex, Request, StreamPosition};
use crate::{
    ChunkId, CloseCommand, Command, DATA_HEADER_LEN, Minor, RelaySessionId, SessionKey,
    StreamHandle, TraceFormat, wire,
};

/// A message that breaks the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No such command.
    #[error("unknown command {:#x}", .0.0)]
    UnknownCommand(Command),
    /// The payload ends inside the structure.
    #[error("{command} with a payload of {len} bytes, too short")]
    TooShort {
        /// The command.
        command: Command,
        /// Its payload.
        len: usize,
    },
    /// A name that is too long, has no NUL or is not UTF-8.
    #[error("{command} with a bad {field}: {problem}")]
    BadName {
        /// The command.
        command: Command,
        /// Which name.
        field: &'static str,
        /// What is wrong.
        problem: NameProblem,
    },
    /// `ROTATE_STREAMS` whose size fits no known layout.
    #[error("ROTATE_STREAMS of {count} streams with a payload of {len} bytes fits no known layout")]
    RotateLayout {
        /// Positions it says it has.
        count: u32,
        /// Its payload.
        len: usize,
    },
}

/// What is wrong with a received name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameProblem {
    /// Longer than the protocol allows.
    #[error("too long")]
    TooLong,
    /// Longer than the message.
    #[error("the message ends inside it")]
    Cut,
    /// The last byte is no NUL.
    #[error("no NUL at its end")]
    NoNul,
    /// Not text.
    #[error("not UTF-8")]
    NotUtf8,
}

/// The header in front of a control message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlHeader {
    /// What is asked.
    pub command: Command,
    /// Bytes that follow.
    pub payload_len: u64,
}

impl ControlHeader {
    /// Decodes a header.
    #[must_use]
    pub fn decode(bytes: &[u8; crate::CONTROL_HEADER_LEN]) -> Self {
        let header: wire::ControlHeader = zerocopy::transmute!(*bytes);
        Self {
            command: Command(header.cmd.get()),
            payload_len: header.data_size.get(),
        }
    }
}

impl DataPacket {
    /// Decodes the header in front of a packet.
    #[must_use]
    pub fn decode(bytes: &[u8; DATA_HEADER_LEN]) -> Self {
        let header: wire::DataHeader = zerocopy::transmute!(*bytes);
        Self {
            stream: StreamHandle(header.stream_id.get()),
            net_seq_num: header.net_seq_num.get(),
            data_size: header.data_size.get(),
            padding_size: header.padding_size.get(),
        }
    }
}

impl<'a> Request<'a> {
    /// Decodes the payload of a control message; bytes beyond the known structure are ignored.
    ///
    /// # Errors
    /// When the payload breaks the protocol in this minor.
    pub fn decode(command: Command, minor: Minor, payload: &'a [u8]) -> Result<Self, DecodeError> {
        let input = Payload {
            command,
            bytes: payload,
        };
        Ok(match command {
            Command::VERSION => {
                let version: &wire::Version = input.head()?.0;
                Self::Version {
                    major: version.major.get(),
                    minor: Minor(version.minor.get()),
                }
            }
            Command::GET_CONFIGURATION => Self::GetConfiguration {
                query_flags: input.number()?,
            },
            Command::CREATE_SESSION => Self::CreateSession(input.create_session(minor)?),
            Command::ADD_STREAM => Self::AddStream(input.add_stream(minor)?),
            Command::STREAMS_SENT => Self::StreamsSent,
            Command::START_DATA => Self::StartData,
            Command::SEND_METADATA => {
                let (head, bytes): (&wire::SendMetadata, _) = input.head()?;
                if bytes.is_empty() {
                    return Err(input.too_short());
                }
                Self::SendMetadata {
                    stream: StreamHandle(head.stream_id.get()),
                    padding_size: head.padding_size.get(),
                    bytes,
                }
            }
            Command::SEND_INDEX => Self::SendIndex(input.index(minor)?),
            Command::CLOSE_STREAM => {
                let (stream, last_net_seq_num) = input.stream_and_seq()?;
                Self::CloseStream {
                    stream,
                    last_net_seq_num,
                }
            }
            Command::DATA_PENDING => {
                let (stream, last_net_seq_num) = input.stream_and_seq()?;
                Self::DataPending {
                    stream,
                    last_net_seq_num,
                }
            }
            Command::QUIESCENT_CONTROL => Self::Quiescent {
                stream: StreamHandle(input.number()?),
            },
            Command::BEGIN_DATA_PENDING => Self::BeginDataPending {
                session: RelaySessionId(input.number()?),
            },
            Command::END_DATA_PENDING => Self::EndDataPending {
                session: RelaySessionId(input.number()?),
            },
            Command::RESET_METADATA => {
                let head: &wire::ResetMetadata = input.head()?.0;
                Self::ResetMetadata {
                    stream: StreamHandle(head.stream_id.get()),
                    version: head.version.get(),
                }
            }
            Command::ROTATE_STREAMS => input.rotate()?,
            Command::CREATE_TRACE_CHUNK => input.create_chunk()?,
            Command::CLOSE_TRACE_CHUNK => {
                let head: &wire::CloseTraceChunk = input.head()?.0;
                Self::CloseTraceChunk {
                    chunk: ChunkId(head.chunk_id.get()),
                    closed_unix_s: head.close_unix_s.get(),
                    command: (head.command_is_set != 0).then_some(CloseCommand(head.command.get())),
                }
            }
            Command::TRACE_CHUNK_EXISTS => Self::TraceChunkExists {
                chunk: ChunkId(input.number()?),
            },
            unknown => return Err(DecodeError::UnknownCommand(unknown)),
        })
    }
}

/// The payload of one message, and what to say when it is wrong.
struct Payload<'a> {
    command: Command,
    bytes: &'a [u8],
}

impl<'a> Payload<'a> {
    fn too_short(&self) -> DecodeError {
        DecodeError::TooShort {
            command: self.command,
            len: self.bytes.len(),
        }
    }

    /// The structure at the front, and what follows it.
    fn head<T>(&self) -> Result<(&'a T, &'a [u8]), DecodeError>
    where
        T: FromBytes + KnownLayout + Immutable + Unaligned,
    {
        T::ref_from_prefix(self.bytes).map_err(|_| self.too_short())
    }

    fn number(&self) -> Result<u64, DecodeError> {
        match self.bytes.first_chunk() {
            Some(bytes) => Ok(u64::from_be_bytes(*bytes)),
            None => Err(self.too_short()),
        }
    }

    fn stream_and_seq(&self) -> Result<(StreamHandle, u64), DecodeError> {
        let head: &wire::StreamAndSeq = self.head()?.0;
        Ok((
            StreamHandle(head.stream_id.get()),
            head.last_net_seq_num.get(),
        ))
    }

    /// Takes a name of `len` bytes, NUL included, from the front of `rest`.
    fn name(
        &self,
        field: &'static str,
        len: u32,
        max: usize,
        rest: &mut &'a [u8],
    ) -> Result<&'a str, DecodeError> {
        let bad = |problem| DecodeError::BadName {
            command: self.command,
            field,
            problem,
        };
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len > max {
            return Err(bad(NameProblem::TooLong));
        }
        let cut = || bad(NameProblem::Cut);
        let (name, after) = rest.split_at_checked(len).ok_or_else(cut)?;
        if name.last() != Some(&0) {
            return Err(bad(NameProblem::NoNul));
        }
        *rest = after;
        self.c_string(field, name)
    }

    /// The bytes up to the first NUL, as text.
    fn c_string(&self, field: &'static str, bytes: &'a [u8]) -> Result<&'a str, DecodeError> {
        let bad = |problem| DecodeError::BadName {
            command: self.command,
            field,
            problem,
        };
        let end = bytes
            .iter()
            .position(|byte| *byte == 0)
            .ok_or(bad(NameProblem::NoNul))?;
        std::str::from_utf8(&bytes[..end]).map_err(|_| bad(NameProblem::NotUtf8))
    }

    fn create_session(&self, minor: Minor) -> Result<CreateSession<'a>, DecodeError> {
        if minor.has_trace_chunks() {
            return self.create_session_2_11(minor);
        }
        let mut session = CreateSession {
            session_name: "",
            hostname: "",
            live_timer_us: 0,
            snapshot: false,
            base_path: "",
            name_has_creation_time: false,
            key: SessionKey {
                sessiond_uuid: [0; 16],
                sessiond_session_id: 0,
            },
            creation_unix_s: 0,
            current_chunk: None,
            trace_format: TraceFormat::CTF_1_8,
        };
        if minor.has_indexes() {
            let head: &wire::CreateSession2_4 = self.head()?.0;
            session.session_name = self.c_string("session name", &head.session_name)?;
            session.hostname = self.c_string("host name", &head.hostname)?;
            session.live_timer_us = head.live_timer_us.get();
            session.snapshot = head.snapshot.get() != 0;
        }
        Ok(session)
    }

    fn create_session_2_11(&self, minor: Minor) -> Result<CreateSession<'a>, DecodeError> {
        let (head, mut rest): (&wire::CreateSession2_11, _) = self.head()?;
        let mut trace_format = TraceFormat::CTF_1_8;
        if minor.has_trace_format() {
            let (format, names) = rest.split_first_chunk().ok_or_else(|| self.too_short())?;
            trace_format = TraceFormat(u32::from_be_bytes(*format));
            rest = names;
        }
        let rest = &mut rest;
        Ok(CreateSession {
            session_name: self.name(
                "session name",
                head.session_name_len.get(),
                MAX_SESSION_NAME_LEN,
                rest,
            )?,
            hostname: self.name("host name", head.hostname_len.get(), MAX_HOSTNAME_LEN, rest)?,
            base_path: match head.base_path_len.get() {
                // Stock relays take it for an empty one.
                0 => "",
                len => self.name("base path", len, MAX_BASE_PATH_LEN, rest)?,
            },
            live_timer_us: head.live_timer_us.get(),
            snapshot: head.snapshot != 0,
            name_has_creation_time: head.name_has_creation_time != 0,
            key: SessionKey {
                sessiond_uuid: head.sessiond_uuid,
                sessiond_session_id: head.sessiond_session_id.get(),
            },
            creation_unix_s: head.creation_unix_s.get(),
            current_chunk: (head.chunk_is_set != 0).then_some(ChunkId(head.chunk_id.get())),
            trace_format,
        })
    }

    fn add_stream(&self, minor: Minor) -> Result<AddStream<'a>, DecodeError> {
        if minor.has_trace_chunks() {
            let (head, mut rest): (&wire::AddStream2_11, _) = self.head()?;
            let channel_name_len = head.channel_name_len.get();
            let channel_name = self.name(
                "channel name",
                channel_name_len,
                MAX_CHANNEL_NAME_LEN,
                &mut rest,
            )?;
            let pathname_len = head.pathname_len.get();
            let pathname =
                self.name("stream path", pathname_len, MAX_STREAM_PATH_LEN, &mut rest)?;
            return Ok(AddStream {
                channel_name,
                pathname,
                tracefile_size: head.tracefile_size.get(),
                tracefile_count: head.tracefile_count.get(),
                chunk: ChunkId(head.chunk_id.get()),
            });
        }
        let (head, rest): (&wire::AddStream2_1, _) = self.head()?;
        let mut stream = AddStream {
            channel_name: self.c_string("channel name", &head.channel_name)?,
            pathname: self.c_string("stream path", &head.pathname)?,
            tracefile_size: 0,
            tracefile_count: 0,
            chunk: ChunkId(0),
        };
        if minor.has_tracefile_limits() {
            let limits: &wire::TracefileLimits = Payload {
                command: self.command,
                bytes: rest,
            }
            .head()?
            .0;
            stream.tracefile_size = limits.size.get();
            stream.tracefile_count = limits.count.get();
        }
        Ok(stream)
    }

    fn index(&self, minor: Minor) -> Result<PacketIndex, DecodeError> {
        let (head, rest): (&wire::SendIndex1_0, _) = self.head()?;
        let mut index = PacketIndex {
            stream: head.relay_stream_id.get(),
            net_seq_num: head.net_seq_num.get(),
            packet_size_bits: head.packet_size_bits.get(),
            content_size_bits: head.content_size_bits.get(),
            timestamp_begin: head.timestamp_begin.get(),
            timestamp_end: head.timestamp_end.get(),
            events_discarded: head.events_discarded.get(),
            stream_class_id: head.stream_id.get(),
            stream_instance_id: 0,
            packet_seq_num: 0,
        };
        if minor.has_packet_seq_num() {
            let instance: &wire::IndexInstance = Payload {
                command: self.command,
                bytes: rest,
            }
            .head()?
            .0;
            index.stream_instance_id = instance.stream_instance_id.get();
            index.packet_seq_num = instance.packet_seq_num.get();
        }
        Ok(index)
    }

    fn rotate(&self) -> Result<Request<'a>, DecodeError> {
        let (count, _) = self
            .bytes
            .split_first_chunk()
            .ok_or_else(|| self.too_short())?;
        let count = u32::from_be_bytes(*count);
        let len = self.bytes.len();
        let head_len = usize::try_from(count)
            .ok()
            .and_then(|count| count.checked_mul(size_of::<wire::Position>()))
            .and_then(|positions_len| len.checked_sub(positions_len));
        let layout = wire::ROTATE_HEADS
            .into_iter()
            .find(|(_, size)| Some(*size) == head_len);
        let layout_error = DecodeError::RotateLayout { count, len };
        let Some((chunk_at, positions_at)) = layout else {
            return Err(layout_error);
        };
        let Some(chunk) = self.bytes[chunk_at..].first_chunk() else {
            return Err(layout_error);
        };
        let chunk = ChunkId(u64::from_be_bytes(*chunk));
        let positions = <[wire::Position]>::ref_from_bytes(&self.bytes[positions_at..])
            .map_err(|_| layout_error)?;
        let positions = positions.iter().map(|position| StreamPosition {
            stream: StreamHandle(position.stream_id.get()),
            rotate_at_seq_num: position.rotate_at_seq_num.get(),
        });
        Ok(Request::RotateStreams {
            to: (self.bytes[4] != 0).then_some(chunk),
            positions: Cow::Owned(positions.collect()),
        })
    }

    fn create_chunk(&self) -> Result<Request<'a>, DecodeError> {
        let (head, mut rest): (&wire::CreateTraceChunk, _) = self.head()?;
        let override_name = match head.override_name_len.get() {
            0 => None,
            len => Some(self.name("chunk name", len, MAX_CHUNK_NAME_LEN, &mut rest)?),
        };
        Ok(Request::CreateTraceChunk {
            chunk: ChunkId(head.chunk_id.get()),
            created_unix_s: head.creation_unix_s.get(),
            override_name,
        })
    }
}
