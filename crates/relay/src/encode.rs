//! Requests to bytes.

use zerocopy::{Immutable, IntoBytes};

use crate::limits::{
    MAX_BASE_PATH_LEN, MAX_CHANNEL_NAME_LEN, MAX_CHUNK_NAME_LEN, MAX_HOSTNAME_LEN,
    MAX_OLD_HOSTNAME_LEN, MAX_OLD_STREAM_PATH_LEN, MAX_SESSION_NAME_LEN, MAX_STREAM_PATH_LEN,
};
use crate::request::{AddStream, CreateSession, DataPacket, PacketIndex, Request, StreamPosition};
use crate::{ChunkId, Minor, wire};

/// The caller asks for something the protocol cannot carry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The name does not fit.
    #[error("the {field} has {len} bytes, the relay protocol carries {max} at most")]
    TooLong {
        /// Which name.
        field: &'static str,
        /// Its length without NUL.
        len: usize,
        /// The longest one, without NUL.
        max: usize,
    },
    /// The name holds a NUL byte.
    #[error("the {field} holds a NUL byte")]
    HoldsNul {
        /// Which name.
        field: &'static str,
    },
    /// More metadata or positions than a message has room for.
    #[error("a message of {len} bytes is too long for the relay protocol")]
    MessageTooLong {
        /// Its payload.
        len: usize,
    },
    /// The negotiated minor does not know this command.
    #[error("protocol {minor} has no {command}")]
    TooNew {
        /// The command.
        command: crate::Command,
        /// The negotiated version.
        minor: Minor,
    },
}

impl Request<'_> {
    /// The whole message, header included, ready for one write.
    ///
    /// # Errors
    /// When the request does not fit the protocol version; nothing is encoded then.
    pub fn encode(&self, minor: Minor) -> Result<Vec<u8>, EncodeError> {
        let mut out = Vec::new();
        self.encode_into(minor, &mut out)?;
        Ok(out)
    }

    /// Appends the whole message, header included, to `out`: many can go out with one write.
    ///
    /// # Errors
    /// When the request does not fit the protocol version; `out` is as before then.
    pub fn encode_into(&self, minor: Minor, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.check_minor(minor)?;
        let start = out.len();
        put(
            out,
            &wire::ControlHeader {
                circuit_id: 0.into(),
                data_size: 0.into(),
                cmd: self.command().0.into(),
                cmd_version: 0.into(),
            },
        );
        let payload = out.len();
        let result = self.payload_into(minor, out).and_then(|()| {
            let len = out.len() - payload;
            u32::try_from(len).map_err(|_| EncodeError::MessageTooLong { len })
        });
        match result {
            Ok(len) => {
                out[start + 8..start + 16].copy_from_slice(&u64::from(len).to_be_bytes());
                Ok(())
            }
            Err(error) => {
                out.truncate(start);
                Err(error)
            }
        }
    }

    fn check_minor(&self, minor: Minor) -> Result<(), EncodeError> {
        let known = match self {
            Self::SendIndex(_) | Self::StreamsSent => minor.has_indexes(),
            Self::ResetMetadata { .. } => minor.has_packet_seq_num(),
            Self::RotateStreams { .. }
            | Self::CreateTraceChunk { .. }
            | Self::CloseTraceChunk { .. }
            | Self::TraceChunkExists { .. } => minor.has_trace_chunks(),
            Self::GetConfiguration { .. } => minor.has_configuration(),
            _ => true,
        };
        if known {
            Ok(())
        } else {
            Err(EncodeError::TooNew {
                command: self.command(),
                minor,
            })
        }
    }

    fn payload_into(&self, minor: Minor, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self {
            Self::Version { major, minor } => put(
                out,
                &wire::Version {
                    major: (*major).into(),
                    minor: minor.0.into(),
                },
            ),
            Self::GetConfiguration { query_flags } => put_u64(out, *query_flags),
            Self::CreateSession(session) => return create_session(session, minor, out),
            Self::AddStream(stream) => return add_stream(stream, minor, out),
            Self::StreamsSent | Self::StartData => {}
            Self::SendMetadata {
                stream,
                padding_size,
                bytes,
            } => {
                put(
                    out,
                    &wire::SendMetadata {
                        stream_id: stream.0.into(),
                        padding_size: (*padding_size).into(),
                    },
                );
                out.extend_from_slice(bytes);
            }
            Self::SendIndex(index) => send_index(index, minor, out),
            Self::CloseStream {
                stream,
                last_net_seq_num,
            }
            | Self::DataPending {
                stream,
                last_net_seq_num,
            } => put(
                out,
                &wire::StreamAndSeq {
                    stream_id: stream.0.into(),
                    last_net_seq_num: (*last_net_seq_num).into(),
                },
            ),
            Self::Quiescent { stream } => put_u64(out, stream.0),
            Self::BeginDataPending { session } | Self::EndDataPending { session } => {
                put_u64(out, session.0);
            }
            Self::ResetMetadata { stream, version } => put(
                out,
                &wire::ResetMetadata {
                    stream_id: stream.0.into(),
                    version: (*version).into(),
                },
            ),
            Self::RotateStreams { to, positions } => return rotate(*to, positions, out),
            Self::CreateTraceChunk {
                chunk,
                created_unix_s,
                override_name,
            } => {
                let name_len = match override_name {
                    Some(name) => name_len("chunk name", name, MAX_CHUNK_NAME_LEN)?,
                    None => 0,
                };
                put(
                    out,
                    &wire::CreateTraceChunk {
                        chunk_id: chunk.0.into(),
                        creation_unix_s: (*created_unix_s).into(),
                        override_name_len: name_len.into(),
                    },
                );
                if let Some(name) = override_name {
                    put_name(out, name);
                }
            }
            Self::CloseTraceChunk {
                chunk,
                closed_unix_s,
                command,
            } => put(
                out,
                &wire::CloseTraceChunk {
                    chunk_id: chunk.0.into(),
                    close_unix_s: (*closed_unix_s).into(),
                    command_is_set: command.is_some().into(),
                    command: command.map_or(0, |command| command.0).into(),
                },
            ),
            Self::TraceChunkExists { chunk } => put_u64(out, chunk.0),
        }
        Ok(())
    }
}

impl DataPacket {
    /// The 32 bytes in front of the packet's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; DATA_HEADER_LEN] {
        let header = wire::DataHeader {
            circuit_id: 0.into(),
            stream_id: self.stream.0.into(),
            net_seq_num: self.net_seq_num.into(),
            data_size: self.data_size.into(),
            padding_size: self.padding_size.into(),
        };
        zerocopy::transmute!(header)
    }
}

/// Bytes of the header of a control message.
pub const CONTROL_HEADER_LEN: usize = size_of::<wire::ControlHeader>();
/// Bytes of the header of a data packet.
pub const DATA_HEADER_LEN: usize = size_of::<wire::DataHeader>();

fn create_session(
    session: &CreateSession<'_>,
    minor: Minor,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    if !minor.has_indexes() {
        return Ok(());
    }
    let name_len = name_len("session name", session.session_name, MAX_SESSION_NAME_LEN)?;
    if !minor.has_trace_chunks() {
        let mut old = wire::CreateSession2_4 {
            session_name: [0; 255],
            hostname: [0; 64],
            live_timer_us: session.live_timer_us.into(),
            snapshot: u32::from(session.snapshot).into(),
        };
        fixed_name(
            "host name",
            session.hostname,
            MAX_OLD_HOSTNAME_LEN,
            &mut old.hostname,
        )?;
        old.session_name[..session.session_name.len()]
            .copy_from_slice(session.session_name.as_bytes());
        put(out, &old);
        return Ok(());
    }
    let hostname_len = self::name_len("host name", session.hostname, MAX_HOSTNAME_LEN)?;
    let base_path_len = self::name_len("base path", session.base_path, MAX_BASE_PATH_LEN)?;
    put(
        out,
        &wire::CreateSession2_11 {
            session_name_len: name_len.into(),
            hostname_len: hostname_len.into(),
            base_path_len: base_path_len.into(),
            live_timer_us: session.live_timer_us.into(),
            snapshot: session.snapshot.into(),
            name_has_creation_time: session.name_has_creation_time.into(),
            sessiond_uuid: session.key.sessiond_uuid,
            sessiond_session_id: session.key.sessiond_session_id.into(),
            creation_unix_s: session.creation_unix_s.into(),
            chunk_is_set: session.current_chunk.is_some().into(),
            chunk_id: session.current_chunk.map_or(0, |chunk| chunk.0).into(),
        },
    );
    if minor.has_trace_format() {
        out.extend_from_slice(&session.trace_format.0.to_be_bytes());
    }
    for name in [session.session_name, session.hostname, session.base_path] {
        put_name(out, name);
    }
    Ok(())
}

fn add_stream(stream: &AddStream<'_>, minor: Minor, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if minor.has_trace_chunks() {
        let channel_name_len = name_len("channel name", stream.channel_name, MAX_CHANNEL_NAME_LEN)?;
        let pathname_len = name_len("stream path", stream.pathname, MAX_STREAM_PATH_LEN)?;
        put(
            out,
            &wire::AddStream2_11 {
                channel_name_len: channel_name_len.into(),
                pathname_len: pathname_len.into(),
                tracefile_size: stream.tracefile_size.into(),
                tracefile_count: stream.tracefile_count.into(),
                chunk_id: stream.chunk.0.into(),
            },
        );
        put_name(out, stream.channel_name);
        put_name(out, stream.pathname);
        return Ok(());
    }
    let mut old = wire::AddStream2_1 {
        channel_name: [0; 264],
        pathname: [0; 4096],
    };
    let AddStream {
        channel_name,
        pathname,
        ..
    } = stream;
    fixed_name(
        "channel name",
        channel_name,
        MAX_CHANNEL_NAME_LEN,
        &mut old.channel_name,
    )?;
    fixed_name(
        "stream path",
        pathname,
        MAX_OLD_STREAM_PATH_LEN,
        &mut old.pathname,
    )?;
    put(out, &old);
    if minor.has_tracefile_limits() {
        put(
            out,
            &wire::TracefileLimits {
                size: stream.tracefile_size.into(),
                count: stream.tracefile_count.into(),
            },
        );
    }
    Ok(())
}

fn send_index(index: &PacketIndex, minor: Minor, out: &mut Vec<u8>) {
    put(
        out,
        &wire::SendIndex1_0 {
            relay_stream_id: index.stream.into(),
            net_seq_num: index.net_seq_num.into(),
            packet_size_bits: index.packet_size_bits.into(),
            content_size_bits: index.content_size_bits.into(),
            timestamp_begin: index.timestamp_begin.into(),
            timestamp_end: index.timestamp_end.into(),
            events_discarded: index.events_discarded.into(),
            stream_id: index.stream_class_id.into(),
        },
    );
    if minor.has_packet_seq_num() {
        put(
            out,
            &wire::IndexInstance {
                stream_instance_id: index.stream_instance_id.into(),
                packet_seq_num: index.packet_seq_num.into(),
            },
        );
    }
}

/// Sends the 20-byte head, as 64-bit x86 peers do: the form stock relays see every day.
fn rotate(
    to: Option<ChunkId>,
    positions: &[StreamPosition],
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let count = u32::try_from(positions.len()).map_err(|_| EncodeError::MessageTooLong {
        len: positions.len(),
    })?;
    out.extend_from_slice(&count.to_be_bytes());
    out.push(to.is_some().into());
    out.extend_from_slice(&[0; 7]);
    put_u64(out, to.map_or(0, |chunk| chunk.0));
    for position in positions {
        put(
            out,
            &wire::Position {
                stream_id: position.stream.0.into(),
                rotate_at_seq_num: position.rotate_at_seq_num.into(),
            },
        );
    }
    Ok(())
}

fn put(out: &mut Vec<u8>, value: &(impl IntoBytes + Immutable)) {
    out.extend_from_slice(value.as_bytes());
}

fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn put_name(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(name.as_bytes());
    out.push(0);
}

/// Length of a checked name with its NUL; `max` counts the NUL too.
fn name_len(field: &'static str, name: &str, max: usize) -> Result<u32, EncodeError> {
    if name.as_bytes().contains(&0) {
        return Err(EncodeError::HoldsNul { field });
    }
    let len = name.len() + 1;
    match u32::try_from(len) {
        Ok(wire_len) if len <= max => Ok(wire_len),
        _ => Err(EncodeError::TooLong {
            field,
            len: name.len(),
            max: max - 1,
        }),
    }
}

fn fixed_name(
    field: &'static str,
    name: &str,
    max: usize,
    out: &mut [u8],
) -> Result<(), EncodeError> {
    name_len(field, name, max)?;
    out[..name.len()].copy_from_slice(name.as_bytes());
    Ok(())
}
