//! A peer that says exactly what a test wants, over real sockets.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use relay::client::Client;
use relay::{
    AddStream, ChunkId, CreateSession, DataPacket, MAJOR, Minor, PacketIndex, RelaySessionId,
    Reply, Request, ReturnCode, SessionKey, StreamHandle, TraceFormat,
};
use system_tests::{Relay, Signal, eventually, signal};

/// Bytes of every packet before its padding.
pub(crate) const DATA_SIZE: u32 = 3000;
/// Zeros after it.
pub(crate) const PADDING_SIZE: u32 = 1096;
/// What that makes in a file.
pub(crate) const PACKET_SIZE: u64 = 4096;

const TIMEOUT: Duration = Duration::from_secs(60);

/// Both connections.
pub(crate) struct RawPeer {
    pub(crate) control: TcpStream,
    pub(crate) data: TcpStream,
    pub(crate) client: Client,
}

impl RawPeer {
    /// Connects and agrees on a version.
    pub(crate) fn connect(relay: &Relay, minor: Minor) -> Result<Self> {
        let [control, data, _] = relay.ports();
        Self::connect_to(control, data, minor)
    }

    /// Connects to these ports and agrees on a version.
    pub(crate) fn connect_to(control: u16, data: u16, minor: Minor) -> Result<Self> {
        let connect = |port| -> Result<TcpStream> {
            let socket = TcpStream::connect(("127.0.0.1", port))?;
            socket.set_read_timeout(Some(TIMEOUT))?;
            socket.set_write_timeout(Some(TIMEOUT))?;
            Ok(socket)
        };
        let mut peer = Self {
            control: connect(control)?,
            data: connect(data)?,
            client: Client::new(),
        };
        let reply = peer.ask(&Request::Version {
            major: MAJOR,
            minor,
        })?;
        let Reply::Version {
            major: MAJOR,
            minor: theirs,
        } = reply
        else {
            bail!("{reply:?}")
        };
        peer.client.set_minor(minor.negotiate(theirs));
        Ok(peer)
    }

    /// Connects, creates session `name` and chunk 0.
    pub(crate) fn session(relay: &Relay, name: &str) -> Result<Self> {
        let mut peer = Self::connect(relay, Minor::NEWEST)?;
        peer.create_session(name, "")?;
        peer.create_chunk(0)?;
        Ok(peer)
    }

    /// Chunk `id`, created `id` seconds after 2023-11-14 22:13:20.
    pub(crate) fn create_chunk(&mut self, id: u64) -> Result<()> {
        self.ok(&Request::CreateTraceChunk {
            chunk: ChunkId(id),
            created_unix_s: 1_700_000_000 + id,
            override_name: None,
        })
    }

    pub(crate) fn create_session(&mut self, name: &str, base_path: &str) -> Result<RelaySessionId> {
        self.create_timed_session(name, base_path, 0)
    }

    /// The same with a live timer.
    pub(crate) fn create_timed_session(
        &mut self,
        name: &str,
        base_path: &str,
        live_timer_us: u32,
    ) -> Result<RelaySessionId> {
        let mut uuid = [7; 16];
        for (to, from) in uuid.iter_mut().zip(name.bytes()) {
            *to = from;
        }
        let reply = self.ask(&Request::CreateSession(CreateSession {
            session_name: name,
            hostname: "raw",
            live_timer_us,
            snapshot: false,
            base_path,
            name_has_creation_time: true,
            key: SessionKey {
                sessiond_uuid: uuid,
                sessiond_session_id: 3,
            },
            creation_unix_s: 1_700_000_000,
            current_chunk: None,
            trace_format: TraceFormat::CTF_1_8,
        }))?;
        match reply {
            Reply::Session {
                session,
                code: ReturnCode::OK,
                ..
            } => Ok(session),
            other => bail!("{other:?}"),
        }
    }

    pub(crate) fn add_stream(
        &mut self,
        pathname: &str,
        channel_name: &str,
    ) -> Result<StreamHandle> {
        self.add_tracefiles(pathname, channel_name, 0, 0)
    }

    pub(crate) fn add_tracefiles(
        &mut self,
        pathname: &str,
        channel_name: &str,
        tracefile_size: u64,
        tracefile_count: u64,
    ) -> Result<StreamHandle> {
        let reply = self.ask(&Request::AddStream(AddStream {
            channel_name,
            pathname,
            tracefile_size,
            tracefile_count,
            chunk: ChunkId(0),
        }))?;
        match reply {
            Reply::Stream {
                stream,
                code: ReturnCode::OK,
            } => Ok(stream),
            other => bail!("{other:?}"),
        }
    }

    /// Sends a request and waits for its reply.
    pub(crate) fn ask(&mut self, request: &Request<'_>) -> Result<Reply> {
        self.client.request(request)?;
        self.control.write_all(&self.client.take_output())?;
        self.reply()
    }

    /// Waits for the next reply.
    pub(crate) fn reply(&mut self) -> Result<Reply> {
        loop {
            if let Some(reply) = self.client.next_reply()? {
                return Ok(reply);
            }
            let mut bytes = [0; 512];
            let len = self.control.read(&mut bytes)?;
            ensure!(len > 0, "the relay daemon closed the control connection");
            self.client.on_bytes(&bytes[..len]);
        }
    }

    /// A request that must be answered with OK.
    pub(crate) fn ok(&mut self, request: &Request<'_>) -> Result<()> {
        let reply = self.ask(request)?;
        ensure!(
            reply.code() == Some(ReturnCode::OK),
            "{request:?}: {reply:?}"
        );
        Ok(())
    }

    /// Sends one packet, filled with the low byte of its number.
    pub(crate) fn packet(&mut self, stream: StreamHandle, net_seq_num: u64) -> Result<()> {
        let mut bytes = Self::header(stream, net_seq_num).to_vec();
        bytes.extend_from_slice(&payload(net_seq_num));
        self.data.write_all(&bytes).context("send a packet")
    }

    /// The header of such a packet.
    pub(crate) fn header(stream: StreamHandle, net_seq_num: u64) -> [u8; relay::DATA_HEADER_LEN] {
        DataPacket {
            stream,
            net_seq_num,
            data_size: DATA_SIZE,
            padding_size: PADDING_SIZE,
        }
        .encode()
    }

    /// Sends the index of such a packet.
    pub(crate) fn index(&mut self, stream: StreamHandle, net_seq_num: u64) -> Result<()> {
        self.ok(&Request::SendIndex(index(stream, net_seq_num)))
    }

    /// Asks until nothing up to this packet is missing.
    pub(crate) fn wait_received(
        &mut self,
        stream: StreamHandle,
        last_net_seq_num: u64,
    ) -> Result<()> {
        eventually("everything is received", || {
            let reply = self.ask(&Request::DataPending {
                stream,
                last_net_seq_num,
            })?;
            Ok((reply == Reply::Pending(relay::Pending::No)).then_some(()))
        })
    }
}

pub(crate) fn index(stream: StreamHandle, net_seq_num: u64) -> PacketIndex {
    PacketIndex {
        stream: stream.0,
        net_seq_num,
        packet_size_bits: PACKET_SIZE * 8,
        content_size_bits: u64::from(DATA_SIZE) * 8,
        timestamp_begin: net_seq_num * 10,
        timestamp_end: net_seq_num * 10 + 9,
        packet_seq_num: net_seq_num,
        ..PacketIndex::default()
    }
}

pub(crate) fn payload(net_seq_num: u64) -> Vec<u8> {
    vec![net_seq_num.to_le_bytes()[0]; DATA_SIZE as usize]
}

/// A packet as it has to be in a file.
pub(crate) fn stored(net_seq_num: u64) -> Vec<u8> {
    let mut bytes = payload(net_seq_num);
    bytes.resize(PACKET_SIZE as usize, 0);
    bytes
}

/// Waits for the relay daemon to close a connection.
pub(crate) fn wait_closed(socket: &mut TcpStream) -> Result<()> {
    let mut rest = [0; 64];
    loop {
        match socket.read(&mut rest) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(error).context("wait for the end of a connection"),
        }
    }
}

/// Does what the relay daemon finds all at once.
pub(crate) fn at_once(relay: &Relay, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let pid = relay.daemon().pid();
    signal(pid, Signal::STOP)?;
    eventually("all of it has stopped", || {
        Ok(has_stopped(pid)?.then_some(()))
    })?;
    work()?;
    signal(pid, Signal::CONT)
}

/// All its threads are stopped.
fn has_stopped(pid: u32) -> Result<bool> {
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let stat = fs::read_to_string(thread?.path().join("stat"))?;
        let (_, state) = stat.rsplit_once(") ").context("no name in it")?;
        if !state.starts_with('T') {
            return Ok(false);
        }
    }
    Ok(true)
}
