//! A live viewer that asks exactly what a test wants.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use relay::live::{
    AttachStatus, ConnectionKind, CreateStatus, IndexReply, IndexStatus, MetadataStatus,
    NewStreamsStatus, PacketStatus, Seek, SessionEntry, StreamEntry, ViewerIndex, ViewerReply,
    ViewerRequest,
};
use relay::{MAJOR, Minor, RelaySessionId, StreamHandle};

use crate::eventually;

const TIMEOUT: Duration = Duration::from_secs(60);

/// One viewer connection.
#[derive(Debug)]
pub struct Viewer {
    /// To say what no viewer says.
    pub socket: TcpStream,
    minor: Minor,
}

impl Viewer {
    /// Connects to a live port and agrees on a version: babeltrace2 2.0.4 speaks minor 4.
    pub fn connect(port: u16, minor: u32) -> Result<Self> {
        let socket = TcpStream::connect(("127.0.0.1", port)).context("connect to the live port")?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        socket.set_nodelay(true)?;
        let mut viewer = Self {
            socket,
            minor: Minor(minor),
        };
        let reply = viewer.ask(&ViewerRequest::Connect {
            major: MAJOR,
            minor: viewer.minor,
            kind: ConnectionKind::COMMAND,
        })?;
        let ViewerReply::Connected {
            major: MAJOR,
            minor,
            ..
        } = reply
        else {
            bail!("{reply:?}")
        };
        viewer.minor = viewer.minor.negotiate(minor);
        Ok(viewer)
    }

    /// Connects as babeltrace2 does, and creates its viewer session.
    pub fn new(port: u16) -> Result<Self> {
        let mut viewer = Self::connect(port, 4)?;
        viewer.create()?;
        Ok(viewer)
    }

    /// Creates the viewer session.
    pub fn create(&mut self) -> Result<()> {
        let reply = self.ask(&ViewerRequest::CreateSession)?;
        ensure!(reply == ViewerReply::Created(CreateStatus::OK), "{reply:?}");
        Ok(())
    }

    /// Waits until a session of this name has a stream, and attaches to it.
    pub fn attach_to(&mut self, name: &str, seek: Seek) -> Result<Watching> {
        let session = self.wait_for_session(name)?;
        let (status, streams) = self.attach(session, seek)?;
        ensure!(status == AttachStatus::OK, "{status}");
        Ok(Watching { session, streams })
    }

    /// The id of a session, once it is listed.
    pub fn wait_for_session(&mut self, name: &str) -> Result<RelaySessionId> {
        eventually("the session is listed", || {
            let sessions = self.sessions()?;
            let found = sessions.iter().find(|entry| entry.session_name == name);
            Ok(found.map(|entry| entry.session))
        })
    }

    /// Sends a request and reads the head of its reply.
    pub fn ask(&mut self, request: &ViewerRequest) -> Result<ViewerReply> {
        self.send(request)?;
        self.reply_to(request)
    }

    /// Sends a request.
    pub fn send(&mut self, request: &ViewerRequest) -> Result<()> {
        self.socket
            .write_all(&request.encode())
            .context("write to the relay daemon")
    }

    /// Reads the head of the reply to a request that was sent.
    pub fn reply_to(&mut self, request: &ViewerRequest) -> Result<ViewerReply> {
        let command = request.command();
        let head = self.read(ViewerReply::head_len(command))?;
        ViewerReply::parse_head(command, &head).context("no reply to that command")
    }

    /// So many bytes.
    pub fn read(&mut self, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.socket
            .read_exact(&mut bytes)
            .context("read from the relay daemon")?;
        Ok(bytes)
    }

    /// Every session.
    pub fn sessions(&mut self) -> Result<Vec<SessionEntry<'static>>> {
        let ViewerReply::Sessions { count } = self.ask(&ViewerRequest::ListSessions)? else {
            bail!("no list")
        };
        let mut sessions = Vec::new();
        let mut bytes = Vec::new();
        for _ in 0..count {
            let entry = loop {
                if let Some((entry, len)) = SessionEntry::parse(self.minor, &bytes) {
                    bytes.drain(..len);
                    break entry;
                }
                bytes.extend(self.read(1)?);
            };
            sessions.push(entry);
        }
        Ok(sessions)
    }

    /// Attaches; gives the status and the streams.
    pub fn attach(
        &mut self,
        session: RelaySessionId,
        seek: Seek,
    ) -> Result<(AttachStatus, Vec<StreamEntry<'static>>)> {
        match self.ask(&ViewerRequest::Attach { session, seek })? {
            ViewerReply::Attached { status, streams } => Ok((status, self.streams(streams)?)),
            other => bail!("{other:?}"),
        }
    }

    /// New streams of a session.
    pub fn new_streams(
        &mut self,
        session: RelaySessionId,
    ) -> Result<(NewStreamsStatus, Vec<StreamEntry<'static>>)> {
        match self.ask(&ViewerRequest::NewStreams { session })? {
            ViewerReply::NewStreams { status, streams } => Ok((status, self.streams(streams)?)),
            other => bail!("{other:?}"),
        }
    }

    /// So many stream entries.
    pub fn streams(&mut self, count: u32) -> Result<Vec<StreamEntry<'static>>> {
        let mut streams = Vec::new();
        for _ in 0..count {
            let bytes = self.read(StreamEntry::LEN)?;
            streams.push(StreamEntry::parse(&bytes).context("no stream entry")?);
        }
        Ok(streams)
    }

    /// The next index of a stream, whatever it is.
    pub fn next_index(&mut self, stream: StreamHandle) -> Result<IndexReply> {
        match self.ask(&ViewerRequest::NextIndex { stream })? {
            ViewerReply::Index(index) => Ok(index),
            other => bail!("{other:?}"),
        }
    }

    /// Asks until there is a packet; gives its index.
    pub fn wait_for_packet(&mut self, stream: StreamHandle) -> Result<IndexReply> {
        eventually("a packet", || {
            let index = self.next_index(stream)?;
            match index.status {
                IndexStatus::OK => Ok(Some(index)),
                IndexStatus::RETRY | IndexStatus::INACTIVE => Ok(None),
                status => bail!("stream {stream}: {status}"),
            }
        })
    }

    /// Asks until the stream has hung up; there must be no packet any more.
    pub fn wait_for_hup(&mut self, stream: StreamHandle) -> Result<()> {
        eventually("the end of the stream", || {
            match self.next_index(stream)?.status {
                IndexStatus::HUP => Ok(Some(())),
                IndexStatus::RETRY | IndexStatus::INACTIVE => Ok(None),
                status => bail!("stream {stream}: {status}"),
            }
        })
    }

    /// Bytes of the packet told last.
    pub fn packet(
        &mut self,
        stream: StreamHandle,
        offset_bytes: u64,
        len_bytes: u32,
    ) -> Result<(PacketStatus, Vec<u8>)> {
        let request = ViewerRequest::Packet {
            stream,
            offset_bytes,
            len_bytes,
        };
        match self.ask(&request)? {
            ViewerReply::Packet { status, len_bytes } => {
                Ok((status, self.read(usize::try_from(len_bytes)?)?))
            }
            other => bail!("{other:?}"),
        }
    }

    /// The whole packet of an index.
    pub fn whole_packet(&mut self, stream: StreamHandle, index: &ViewerIndex) -> Result<Vec<u8>> {
        let len = u32::try_from(index.packet_size_bits / 8)?;
        let (status, bytes) = self.packet(stream, index.offset_bytes, len)?;
        ensure!(status == PacketStatus::OK, "{status}");
        Ok(bytes)
    }

    /// New metadata.
    pub fn metadata(&mut self, stream: StreamHandle) -> Result<(MetadataStatus, Vec<u8>)> {
        match self.ask(&ViewerRequest::Metadata { stream })? {
            ViewerReply::Metadata { status, len_bytes } => {
                Ok((status, self.read(usize::try_from(len_bytes)?)?))
            }
            other => bail!("{other:?}"),
        }
    }

    /// Waits for the relay daemon to close the connection; what it said before.
    pub fn wait_for_end(&mut self) -> Result<Vec<u8>> {
        let mut rest = Vec::new();
        match self.socket.read_to_end(&mut rest) {
            Ok(_) => Ok(rest),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(rest),
            Err(error) => Err(error).context("wait for the end of a viewer connection"),
        }
    }
}

/// A session a [`Viewer`] is attached to.
#[derive(Debug, Clone)]
pub struct Watching {
    /// Its id.
    pub session: RelaySessionId,
    /// The streams it had then.
    pub streams: Vec<StreamEntry<'static>>,
}

impl Watching {
    /// The data streams.
    pub fn data(&self) -> Vec<StreamHandle> {
        self.of(false)
    }

    /// The metadata streams.
    pub fn metadata(&self) -> Vec<StreamHandle> {
        self.of(true)
    }

    fn of(&self, is_metadata: bool) -> Vec<StreamHandle> {
        let streams = self.streams.iter();
        streams
            .filter(|entry| entry.is_metadata == is_metadata)
            .map(|entry| entry.stream)
            .collect()
    }
}

impl Viewer {
    /// Waits until a session has so many viewers.
    pub fn wait_for_clients(&mut self, name: &str, clients: u32) -> Result<()> {
        eventually("the viewers are attached", || {
            Ok((self.clients(name)? == Some(clients)).then_some(()))
        })
    }

    /// How many viewers a session has, if it is listed.
    pub(crate) fn clients(&mut self, name: &str) -> Result<Option<u32>> {
        let sessions = self.sessions()?;
        let found = sessions.iter().find(|entry| entry.session_name == name);
        Ok(found.map(|entry| entry.clients))
    }
}
