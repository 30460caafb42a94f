//! A peer that says what a scene wants, and notes what it hears.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result};
use relay::{
    AddStream, ChunkId, CreateSession, DataPacket, Minor, PacketIndex, Request, SessionKey,
    StreamHandle, TraceFormat,
};
use system_tests::eventually;

use crate::stage::Stage;

pub(crate) const TREE: &str = "ust/uid/0/64-bit";
/// `GET_CONFIGURATION`: has an answer at any time, which shows that what was asked before it has none
/// left to come.
const PROBE: u32 = 22;
/// Its answers, without and with unknown flags.
const PROBE_OK: [u8; 11] = [0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0];
const PROBE_REFUSED: [u8; 11] = [0, 0, 0, 152, 0, 0, 0, 0, 0, 0, 0];
const PROBE_REPLY_LEN: usize = 12;

/// What stock's session daemon says of a session.
pub(crate) fn session(name: &str) -> CreateSession<'_> {
    let mut uuid = [7; 16];
    for (to, from) in uuid.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    CreateSession {
        session_name: name,
        hostname: "host",
        live_timer_us: 0,
        snapshot: false,
        base_path: "",
        name_has_creation_time: false,
        key: SessionKey {
            sessiond_uuid: uuid,
            sessiond_session_id: 3,
        },
        creation_unix_s: 1_700_000_000,
        current_chunk: None,
        trace_format: TraceFormat::CTF_1_8,
    }
}

/// One pair of connections.
pub(crate) struct Peer<'a> {
    pub(crate) control: TcpStream,
    pub(crate) data: TcpStream,
    pub(crate) minor: Minor,
    pub(crate) closed: bool,
    pub(crate) stage: &'a mut Stage,
}

/// A message with this command and payload, whatever they are.
pub(crate) fn message(command: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 8];
    bytes.extend_from_slice(&(payload.len() as u64).to_be_bytes());
    bytes.extend_from_slice(&command.to_be_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(payload);
    bytes
}

impl Peer<'_> {
    /// Notes something that both have to have in common.
    pub(crate) fn note(&mut self, line: String) {
        self.stage.lines.push(line);
    }

    /// Says it and notes the reply: all that comes before the reply to the next question.
    pub(crate) fn say(&mut self, label: &str, bytes: &[u8]) -> Result<Vec<u8>> {
        if self.closed {
            return Ok(Vec::new());
        }
        // A peer may be closed on at once.
        let _ = self.control.write_all(bytes);
        // Not what was asked, if that was the same command.
        let plain = bytes
            .get(24..)
            .is_some_and(|flags| flags.starts_with(&[0; 8]));
        let (flag, probe_reply) = match plain {
            true => (1, PROBE_REFUSED),
            false => (0, PROBE_OK),
        };
        let probe = message(PROBE, &[0, 0, 0, 0, 0, 0, 0, flag]);
        let _ = self.control.write_all(&probe);
        let is_probe_reply = |bytes: &[u8]| {
            let start = bytes.len().checked_sub(PROBE_REPLY_LEN);
            start.is_some_and(|start| bytes[start..].starts_with(&probe_reply))
        };
        let mut reply = Vec::new();
        while !is_probe_reply(&reply) {
            let mut part = [0; 512];
            match self.control.read(&mut part) {
                Ok(0) => self.closed = true,
                Ok(len) => reply.extend_from_slice(&part[..len]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => self.closed = true,
                Err(error) => {
                    return Err(error).with_context(|| format!("{label}: got {}", hex(&reply)));
                }
            }
            if self.closed {
                break;
            }
        }
        if !self.closed {
            reply.truncate(reply.len() - PROBE_REPLY_LEN);
        }
        let command = bytes.get(16..20).and_then(|bytes| bytes.first_chunk());
        let command = command.map_or(0, |bytes| u32::from_be_bytes(*bytes));
        let closed = if self.closed { ", closed" } else { "" };
        let shown = hex(&comparable(command, &reply));
        self.note(format!("{label}: {shown}{closed}"));
        Ok(reply)
    }

    pub(crate) fn raw(&mut self, label: &str, command: u32, payload: &[u8]) -> Result<Vec<u8>> {
        self.say(label, &message(command, payload))
    }

    pub(crate) fn ask(&mut self, label: &str, request: &Request<'_>) -> Result<Vec<u8>> {
        let bytes = request.encode(self.minor)?;
        self.say(label, &bytes)
    }

    pub(crate) fn create(&mut self, session: &CreateSession<'_>) -> Result<Vec<u8>> {
        self.ask("create session", &Request::CreateSession(session.clone()))
    }

    pub(crate) fn create_chunk(&mut self, id: u64, name: Option<&str>) -> Result<Vec<u8>> {
        self.ask(
            &format!("create chunk {id} {name:?}"),
            &Request::CreateTraceChunk {
                chunk: ChunkId(id),
                created_unix_s: 1_700_000_000 + id,
                override_name: name,
            },
        )
    }

    /// The handle; the largest number when it was refused.
    pub(crate) fn add_stream(
        &mut self,
        pathname: &str,
        channel_name: &str,
    ) -> Result<StreamHandle> {
        self.add_limited_stream(pathname, channel_name, 0, 0)
    }

    pub(crate) fn add_limited_stream(
        &mut self,
        pathname: &str,
        channel_name: &str,
        tracefile_size: u64,
        tracefile_count: u64,
    ) -> Result<StreamHandle> {
        let reply = self.ask(
            &format!("add stream {pathname:?} {channel_name:?}"),
            &Request::AddStream(AddStream {
                channel_name,
                pathname,
                tracefile_size,
                tracefile_count,
                chunk: ChunkId(0),
            }),
        )?;
        let handle = reply.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
        Ok(StreamHandle(handle.unwrap_or(u64::MAX)))
    }

    pub(crate) fn metadata(
        &mut self,
        stream: StreamHandle,
        bytes: &[u8],
        padding: u32,
    ) -> Result<()> {
        let request = Request::SendMetadata {
            stream,
            padding_size: padding,
            bytes,
        };
        self.ask("metadata", &request).map(drop)
    }

    /// Sends a packet of `size` bytes, all of them the low byte of its number.
    pub(crate) fn packet(
        &mut self,
        stream: StreamHandle,
        net_seq_num: u64,
        (size, padding): (u32, u32),
    ) -> Result<()> {
        let header = DataPacket {
            stream,
            net_seq_num,
            data_size: size,
            padding_size: padding,
        };
        let mut bytes = header.encode().to_vec();
        bytes.resize(bytes.len() + size as usize, net_seq_num.to_le_bytes()[0]);
        self.data.write_all(&bytes).context("send a packet")
    }

    pub(crate) fn index(
        &mut self,
        stream: StreamHandle,
        net_seq_num: u64,
        packet_seq_num: u64,
    ) -> Result<()> {
        let index = index(stream, net_seq_num, packet_seq_num);
        self.ask("index", &Request::SendIndex(index)).map(drop)
    }

    /// A packet and its index, and waits until both are there.
    pub(crate) fn deliver(
        &mut self,
        stream: StreamHandle,
        net_seq_num: u64,
        size: (u32, u32),
    ) -> Result<()> {
        self.packet(stream, net_seq_num, size)?;
        self.index(stream, net_seq_num, net_seq_num)?;
        self.wait_received(stream, net_seq_num)
    }

    /// Asks, without notes, until nothing is missing.
    pub(crate) fn wait_received(
        &mut self,
        stream: StreamHandle,
        last_net_seq_num: u64,
    ) -> Result<()> {
        let request = Request::DataPending {
            stream,
            last_net_seq_num,
        };
        self.wait_for("everything is received", &request, &[0; 4])
    }

    /// Waits until a chunk is used no more.
    pub(crate) fn wait_gone(&mut self, chunk: u64) -> Result<()> {
        let request = Request::TraceChunkExists {
            chunk: ChunkId(chunk),
        };
        self.wait_for("the chunk is gone", &request, &[0, 0, 0, 10, 0])
    }

    fn wait_for(&mut self, what: &str, request: &Request<'_>, wanted: &[u8]) -> Result<()> {
        let bytes = request.encode(self.minor)?;
        eventually(what, || {
            self.control.write_all(&bytes)?;
            let mut reply = vec![0; wanted.len()];
            self.control.read_exact(&mut reply)?;
            Ok((reply == wanted).then_some(()))
        })
    }

    /// Notes that the data connection is closed, and waits for it.
    pub(crate) fn data_is_closed(&mut self) -> Result<()> {
        self.data.set_read_timeout(Some(Duration::from_secs(60)))?;
        let closed = match self.data.read(&mut [0; 16]) {
            Ok(len) => len == 0,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        };
        self.note(format!("data connection closed: {closed}"));
        Ok(())
    }
}

pub(crate) fn index(stream: StreamHandle, net_seq_num: u64, packet_seq_num: u64) -> PacketIndex {
    PacketIndex {
        stream: stream.0,
        net_seq_num,
        packet_size_bits: 4096 * 8,
        content_size_bits: 4000 * 8,
        timestamp_begin: net_seq_num * 10,
        timestamp_end: net_seq_num * 10 + 9,
        events_discarded: net_seq_num,
        stream_class_id: 5,
        stream_instance_id: 1,
        packet_seq_num,
    }
}

/// A reply without that in which ours is meant to differ.
fn comparable(command: u32, reply: &[u8]) -> Vec<u8> {
    const CREATE_SESSION: u32 = 2;
    const VERSION: u32 = 5;
    const CLOSE_TRACE_CHUNK: u32 = 20;
    match (command, reply.len()) {
        // Ours is newer.
        (VERSION, 8) => reply[..4].to_vec(),
        // A path of length 0 freezes stock's session daemon, so ours has length 1 when it refuses.
        (CREATE_SESSION, 16..) if reply[8..12] != [0, 0, 0, 10] => reply[..12].to_vec(),
        (CLOSE_TRACE_CHUNK, 8..) if reply[..4] != [0, 0, 0, 10] => reply[..4].to_vec(),
        _ => reply.to_vec(),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .chunks(4)
        .map(|chunk| {
            chunk
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        })
        .collect::<Vec<_>>()
        .join(" ")
}
