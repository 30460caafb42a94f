//! One synthetic target: its two connections and what it has sent.

use std::borrow::Cow;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use relay::client::Client;
use relay::{
    AddStream, ChunkId, CloseCommand, CreateSession, DATA_HEADER_LEN, DataPacket, MAJOR,
    METADATA_NAME, Minor, NO_PACKET, PacketIndex, Pending, Reply, Request, ReturnCode, SessionKey,
    StreamHandle, StreamPosition, TraceFormat,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::payload::Payload;
use super::{Plan, Ports};

/// Data streams of a target, beside its metadata.
pub(crate) const STREAMS: usize = 2;
/// What stock 2.13 speaks.
const MINOR: Minor = Minor(13);
/// Bytes of replies taken at once.
const REPLIES: usize = 1024;
const PATH: &str = "ust/uid/0/64-bit";
const CREATED_UNIX_S: u64 = 1_700_000_000;
/// How long the relay daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two questions whether a chunk is still there.
const CHUNK_PAUSE: Duration = Duration::from_micros(100);

#[derive(Debug)]
pub(super) struct Target {
    control: TcpStream,
    data: TcpStream,
    client: Client,
    chunk: u64,
    metadata: StreamHandle,
    streams: [StreamHandle; STREAMS],
    /// Packets sent, of both streams in turn.
    next: u64,
    acknowledged: u64,
    planned: u64,
    window: u64,
    header: [u8; DATA_HEADER_LEN],
    /// Of the current packet; `None`: no packet is on its way.
    sent: Option<usize>,
}

impl Target {
    pub(super) fn connect(address: Ipv4Addr, ports: Ports, number: usize) -> Result<Self> {
        let control = TcpStream::connect((address, ports.control))?;
        let data = TcpStream::connect((address, ports.data))?;
        control.set_nodelay(true)?;
        data.set_nodelay(true)?;
        control.set_nonblocking(true)?;
        data.set_nonblocking(true)?;
        let mut target = Self {
            control,
            data,
            client: Client::with_minor(MINOR),
            chunk: 0,
            metadata: StreamHandle(0),
            streams: [StreamHandle(0); STREAMS],
            next: 0,
            acknowledged: 0,
            planned: 0,
            window: 1,
            header: [0; DATA_HEADER_LEN],
            sent: None,
        };
        target.create(number)?;
        Ok(target)
    }

    fn create(&mut self, number: usize) -> Result<()> {
        let hostname = format!("target{number}");
        let mut sessiond_uuid = [7; 16];
        sessiond_uuid[..8].copy_from_slice(&(number as u64).to_le_bytes());
        self.client.request(&Request::Version {
            major: MAJOR,
            minor: MINOR,
        })?;
        self.client.request(&Request::CreateSession(CreateSession {
            session_name: "load",
            hostname: &hostname,
            live_timer_us: 0,
            snapshot: false,
            base_path: "",
            name_has_creation_time: false,
            key: SessionKey {
                sessiond_uuid,
                sessiond_session_id: 0,
            },
            creation_unix_s: CREATED_UNIX_S,
            current_chunk: None,
            trace_format: TraceFormat::CTF_1_8,
        }))?;
        self.create_chunk(0)?;
        for channel_name in ["c_0", "c_1", METADATA_NAME] {
            self.client.request(&Request::AddStream(AddStream {
                channel_name,
                pathname: PATH,
                tracefile_size: 0,
                tracefile_count: 0,
                chunk: ChunkId(0),
            }))?;
        }
        self.client.request(&Request::StreamsSent)?;
        let Reply::Version { .. } = self.reply()? else {
            bail!("no version")
        };
        match self.reply()? {
            Reply::Session {
                code: ReturnCode::OK,
                ..
            } => {}
            other => bail!("session: {other:?}"),
        }
        self.done("chunk")?;
        let mut streams = [StreamHandle(0); STREAMS + 1];
        for handle in &mut streams {
            match self.reply()? {
                Reply::Stream {
                    stream,
                    code: ReturnCode::OK,
                } => *handle = stream,
                other => bail!("stream: {other:?}"),
            }
        }
        let [first, second, metadata] = streams;
        (self.streams, self.metadata) = ([first, second], metadata);
        self.done("streams sent")?;
        self.client.request(&Request::SendMetadata {
            stream: self.metadata,
            padding_size: 0,
            bytes: &[b' '; 4096],
        })?;
        self.write()
    }

    pub(super) fn control(&self) -> &TcpStream {
        &self.control
    }

    pub(super) fn data(&self) -> &TcpStream {
        &self.data
    }

    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    pub(super) fn begin(&mut self, plan: &Plan) {
        self.planned = self.next + plan.packets_per_target;
        self.window = plan.window;
    }

    pub(super) fn is_done(&self) -> bool {
        self.acknowledged == self.planned
    }

    /// Sends as much as goes.
    pub(super) fn send(&mut self, payload: &Payload) -> Result<()> {
        self.write()?;
        loop {
            let sent = match self.sent {
                Some(sent) => sent,
                None if self.next < self.planned && self.next - self.acknowledged < self.window => {
                    self.header = self.next_header(payload);
                    0
                }
                None => return Ok(()),
            };
            match payload.send(&self.data, &self.header, sent)? {
                Some(len) if sent + len == payload.packet_len() => {
                    self.sent = None;
                    self.send_index(payload)?;
                }
                Some(len) => self.sent = Some(sent + len),
                None => {
                    self.sent = Some(sent);
                    return Ok(());
                }
            }
        }
    }

    /// Which stream the next packet is of, and its number there.
    fn position(&self) -> (StreamHandle, u64) {
        let streams = STREAMS as u64;
        let stream = self.streams[(self.next % streams) as usize];
        (stream, self.next / streams)
    }

    fn next_header(&self, payload: &Payload) -> [u8; DATA_HEADER_LEN] {
        let (stream, net_seq_num) = self.position();
        DataPacket {
            stream,
            net_seq_num,
            data_size: (payload.packet_len() - DATA_HEADER_LEN) as u32,
            padding_size: 0,
        }
        .encode()
    }

    fn send_index(&mut self, payload: &Payload) -> Result<()> {
        let (stream, number) = self.position();
        let bits = (payload.packet_len() - DATA_HEADER_LEN) as u64 * 8;
        self.next += 1;
        self.client.request(&Request::SendIndex(PacketIndex {
            stream: stream.0,
            net_seq_num: number,
            packet_size_bits: bits,
            content_size_bits: bits,
            timestamp_begin: number * 10,
            timestamp_end: number * 10 + 9,
            packet_seq_num: number,
            ..PacketIndex::default()
        }))?;
        self.write()
    }

    /// Takes in the acknowledgements that are there.
    pub(super) fn receive(&mut self) -> Result<()> {
        loop {
            let len = self.read()?;
            while let Some(reply) = self.client.next_reply()? {
                ensure!(reply == Reply::Code(ReturnCode::OK), "index: {reply:?}");
                self.acknowledged += 1;
            }
            // What comes after that is told again.
            if len < REPLIES {
                return Ok(());
            }
        }
    }

    pub(super) fn ask_pending(&mut self) -> Result<()> {
        let streams = STREAMS as u64;
        for (nr, stream) in (0..).zip(self.streams) {
            let packets = (self.next + streams - 1 - nr) / streams;
            self.client.request(&Request::DataPending {
                stream,
                last_net_seq_num: packets.checked_sub(1).unwrap_or(NO_PACKET),
            })?;
        }
        self.write()
    }

    pub(super) fn is_pending(&mut self) -> Result<bool> {
        let mut pending = false;
        for _ in self.streams {
            match self.reply()? {
                Reply::Pending(Pending::No) => {}
                Reply::Pending(Pending::Yes) => pending = true,
                other => bail!("data pending: {other:?}"),
            }
        }
        Ok(pending)
    }

    /// As a session daemon and its consumer do it for one rotation.
    pub(super) fn rotate(&mut self) -> Result<()> {
        let old = self.chunk;
        self.chunk += 1;
        self.create_chunk(self.chunk)?;
        self.done("next chunk")?;
        self.leave(Some(ChunkId(self.chunk)))?;
        self.close_chunk(old, CloseCommand::MOVE_TO_COMPLETED)
    }

    /// The last rotation, into no chunk, and the end of the streams.
    pub(super) fn destroy(&mut self) -> Result<()> {
        self.leave(None)?;
        self.close_chunk(self.chunk, CloseCommand::MOVE_TO_COMPLETED)?;
        let streams = self.streams.into_iter().chain([self.metadata]);
        for stream in streams {
            self.client.request(&Request::CloseStream {
                stream,
                last_net_seq_num: NO_PACKET,
            })?;
        }
        (0..=STREAMS).try_for_each(|_| self.done("close stream"))
    }

    fn create_chunk(&mut self, chunk: u64) -> Result<()> {
        self.client.request(&Request::CreateTraceChunk {
            chunk: ChunkId(chunk),
            created_unix_s: CREATED_UNIX_S + chunk,
            override_name: None,
        })?;
        Ok(())
    }

    fn leave(&mut self, to: Option<ChunkId>) -> Result<()> {
        let streams = STREAMS as u64;
        let mut positions: Vec<_> = (0..)
            .zip(self.streams)
            .map(|(nr, stream)| StreamPosition {
                stream,
                rotate_at_seq_num: (self.next + streams - 1 - nr) / streams,
            })
            .collect();
        positions.push(StreamPosition {
            stream: self.metadata,
            rotate_at_seq_num: 0,
        });
        self.client.request(&Request::RotateStreams {
            to,
            positions: Cow::Owned(positions),
        })?;
        self.done("rotate")
    }

    fn close_chunk(&mut self, chunk: u64, command: CloseCommand) -> Result<()> {
        let chunk = ChunkId(chunk);
        self.client.request(&Request::CloseTraceChunk {
            chunk,
            closed_unix_s: CREATED_UNIX_S + 60,
            command: Some(command),
        })?;
        match self.reply()? {
            Reply::ChunkClosed {
                code: ReturnCode::OK,
                ..
            } => {}
            other => bail!("close chunk: {other:?}"),
        }
        let end = Instant::now() + PATIENCE;
        loop {
            self.client.request(&Request::TraceChunkExists { chunk })?;
            match self.reply()? {
                Reply::ChunkExists {
                    code: ReturnCode::OK,
                    exists: false,
                } => return Ok(()),
                Reply::ChunkExists { exists: true, .. } if Instant::now() < end => {}
                other => bail!("chunk exists: {other:?}"),
            }
            std::thread::sleep(CHUNK_PAUSE);
        }
    }

    /// The next reply must be OK.
    fn done(&mut self, what: &str) -> Result<()> {
        match self.reply()? {
            Reply::Code(ReturnCode::OK) => Ok(()),
            other => bail!("{what}: {other:?}"),
        }
    }

    /// Writes what there is and waits for the next reply.
    fn reply(&mut self) -> Result<Reply> {
        self.write()?;
        loop {
            if let Some(reply) = self.client.next_reply()? {
                return Ok(reply);
            }
            if self.read()? == 0 {
                let mut ready = [PollFd::new(&self.control, PollFlags::IN)];
                let timeout = Timespec::try_from(PATIENCE)?;
                let ready = poll(&mut ready, Some(&timeout))?;
                ensure!(ready > 0, "no reply after {PATIENCE:?}");
            }
        }
    }

    /// How many bytes there were.
    fn read(&mut self) -> Result<usize> {
        let mut bytes = [0; REPLIES];
        match self.control.read(&mut bytes) {
            Ok(0) => bail!("the relay daemon closed the control connection"),
            Ok(len) => {
                self.client.on_bytes(&bytes[..len]);
                Ok(len)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            Err(error) => Err(error).context("read replies"),
        }
    }

    /// Writes what goes of what there is.
    fn write(&mut self) -> Result<()> {
        while !self.client.output().is_empty() {
            match self.control.write(self.client.output()) {
                Ok(len) => self.client.written(len),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).context("send requests"),
            }
        }
        Ok(())
    }
}
