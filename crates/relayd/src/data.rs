//! A data connection: packets from the socket into the files of their streams.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Weak};
use std::time::Instant;

use relay::server::{DataPeer, DataPiece};
use relay::{DATA_HEADER_LEN, DataPacket, StreamHandle};

use crate::counters::count;
use crate::files::DataFile;
use crate::pipe::Pipe;
use crate::pool::OpenFile;
use crate::relay::Relay;
use crate::session::Session;
use crate::stream::{SharedStream, SharedStreamError, write_with_padding};
use crate::worker::{Interest, Outcome, Scratch, Turn, WorkerId};

/// How often one connection may read before others are served.
const READS_PER_TURN: usize = 6;
/// From this size on packets go through a pipe: 128 KiB is better off, 4 KiB is not.
const BIG_PACKET: u32 = 64 * 1024;
/// Less than that of a big packet is read.
const LEAST_MOVED: usize = 4096;
/// When the streams a connection knows are searched for closed ones.
const FIRST_PURGE: usize = 64;

/// See the module.
#[derive(Debug)]
pub(crate) struct DataConnection {
    socket: Arc<TcpStream>,
    address: SocketAddr,
    worker: WorkerId,
    peer: DataPeer,
    current: Option<Current>,
    in_pipe: Option<InPipe>,
    /// The last packet was big, so the next one will be.
    is_big: bool,
    /// Streams looked up before, so that the table of all streams is asked once per stream.
    known: HashMap<StreamHandle, Weak<SharedStream>>,
    purge_at: usize,
    /// Sessions this connection has carried packets of.
    sessions: Vec<Arc<Session>>,
}

/// The packet that is arriving.
#[derive(Debug)]
struct Current {
    stream: Arc<SharedStream>,
    file: DataFile,
    /// The same, open; only during a turn, so that no target keeps a descriptor.
    open: Option<OpenFile>,
    offset: u64,
    padding: u32,
}

/// In the middle of a turn: the thread's pipe holds bytes of the current packet.
#[derive(Clone, Copy, Debug)]
struct InPipe {
    len: usize,
    /// What is left of the turn.
    reads: usize,
}

/// What reading came to.
enum Progress {
    /// There may be more.
    More,
    /// So many bytes of the packet are in the pipe, and there may be more.
    InPipe(usize),
    /// That was all for now.
    Nothing,
    /// The peer has closed the connection.
    Ended,
}

/// Why a data connection cannot go on.
#[derive(Debug, thiserror::Error)]
enum DataError {
    #[error("a packet of stream {0}, which does not exist")]
    UnknownStream(StreamHandle),
    #[error("a packet of stream {0}, which another data connection carries")]
    Taken(StreamHandle),
    #[error(
        "a packet of stream {stream}, whose session is of {from} (where addresses change on the way, use \
         --data-from-anywhere)"
    )]
    Elsewhere { stream: StreamHandle, from: IpAddr },
    #[error("session {} ({}), stream {}: {error}", session.id, session.name, stream)]
    Stream {
        session: Arc<Session>,
        stream: StreamHandle,
        error: SharedStreamError,
    },
    #[error(transparent)]
    Socket(#[from] io::Error),
}

impl DataConnection {
    pub(crate) fn new(socket: Arc<TcpStream>, address: SocketAddr, worker: WorkerId) -> Self {
        Self {
            socket,
            address,
            worker,
            peer: DataPeer::default(),
            current: None,
            in_pipe: None,
            is_big: false,
            known: HashMap::new(),
            purge_at: FIRST_PURGE,
            sessions: Vec::new(),
        }
    }

    pub(crate) fn socket(&self) -> &Arc<TcpStream> {
        &self.socket
    }

    /// Reads and stores.
    pub(crate) fn serve(&mut self, relay: &Relay, scratch: &mut Scratch) -> Outcome {
        let outcome = self.turn(relay, scratch);
        if let Some(current) = &mut self.current {
            current.open = None;
        }
        match outcome {
            Ok(outcome) => outcome,
            Err(DataError::Stream {
                session,
                stream,
                error,
            }) => {
                // The session suffers; its peer has to learn it on the control connection.
                session.fail(format!("stream {stream}: {error}"));
                Outcome::Close
            }
            Err(DataError::Socket(error)) => {
                tracing::info!(peer = %self.address, "data connection: {error}");
                Outcome::Close
            }
            Err(error) => {
                count(&relay.register.errors.protocol);
                tracing::error!(peer = %self.address, "data connection closed: {error}");
                Outcome::Close
            }
        }
    }

    fn turn(&mut self, relay: &Relay, scratch: &mut Scratch) -> Result<Outcome, DataError> {
        let mut reads = READS_PER_TURN;
        if let Some(in_pipe) = self.in_pipe.take() {
            self.store_from_pipe(relay, scratch, in_pipe.len)?;
            reads = in_pipe.reads;
        }
        while reads > 0 {
            reads -= 1;
            // At most a packet's length.
            let left = self.peer.payload_left() as usize;
            let pipe = scratch.pipe.as_mut().filter(|pipe| pipe.is_open());
            let progress = match pipe {
                Some(pipe) if self.is_big && left >= LEAST_MOVED => self.receive(pipe, left)?,
                // Not more than the next header: its payload goes through the pipe.
                Some(_) if self.is_big => {
                    self.read(relay, &mut scratch.buffer[..left + DATA_HEADER_LEN])?
                }
                _ => self.read(relay, &mut scratch.buffer)?,
            };
            match progress {
                Progress::More => {}
                Progress::InPipe(len) => match self.control_token() {
                    // The peer gets the next packet ready while this one is written.
                    Some(control) if scratch.turn == Turn::OfRound => {
                        self.in_pipe = Some(InPipe { len, reads });
                        return Ok(Outcome::GoOnAfter(control));
                    }
                    _ => self.store_from_pipe(relay, scratch, len)?,
                },
                Progress::Nothing => break,
                Progress::Ended => return Ok(Outcome::Close),
            }
        }
        Ok(self.next_turn())
    }

    fn read(&mut self, relay: &Relay, buffer: &mut [u8]) -> Result<Progress, DataError> {
        match (&*self.socket).read(buffer) {
            Ok(0) => Ok(Progress::Ended),
            Ok(len) => {
                self.on_bytes(relay, &buffer[..len])?;
                Ok(match len == buffer.len() {
                    true => Progress::More,
                    false => Progress::Nothing,
                })
            }
            Err(error) => not_now(error),
        }
    }

    /// Up to `left` bytes of the current packet's payload go into the pipe.
    fn receive(&self, pipe: &Pipe, left: usize) -> Result<Progress, DataError> {
        match pipe.receive(&self.socket, left) {
            Ok(0) => Ok(Progress::Ended),
            Ok(len) => Ok(Progress::InPipe(len)),
            Err(error) => not_now(error),
        }
    }

    /// Of the connection that brings the index of the current packet.
    fn control_token(&self) -> Option<u64> {
        let session = &self.current.as_ref()?.stream.session;
        (session.worker == self.worker).then_some(session.control_token)
    }

    /// The `len` bytes in the pipe go to the current packet's file.
    fn store_from_pipe(
        &mut self,
        relay: &Relay,
        scratch: &mut Scratch,
        len: usize,
    ) -> Result<(), DataError> {
        let Some(pipe) = &mut scratch.pipe else {
            return Ok(());
        };
        let is_last = len == self.peer.payload_left() as usize;
        self.put(len, |file, offset| pipe.store(file, offset, len))?;
        self.peer
            .payload_moved(u32::try_from(len).unwrap_or(u32::MAX));
        if is_last {
            self.store(relay, &[], true)?;
        }
        Ok(())
    }

    /// Goes to the worker of its session, once: then both ends of a stream are served by one thread,
    /// which costs neither waiting for its lock nor moving it between cores.
    fn next_turn(&mut self) -> Outcome {
        match self.sessions.first() {
            Some(session) if session.worker != self.worker => {
                self.worker = session.worker;
                Outcome::MoveTo(self.worker)
            }
            _ => Outcome::Wait(Interest::Read),
        }
    }

    fn on_bytes(&mut self, relay: &Relay, mut bytes: &[u8]) -> Result<(), DataError> {
        while !bytes.is_empty() {
            let (used, piece) = self.peer.next_piece(bytes);
            match piece {
                Some(DataPiece::Header(packet)) => self.begin(relay, packet)?,
                Some(DataPiece::Payload { len, complete }) => {
                    self.store(relay, &bytes[..len], complete)?;
                }
                None => {}
            }
            bytes = &bytes[used..];
        }
        Ok(())
    }

    fn begin(&mut self, relay: &Relay, packet: DataPacket) -> Result<(), DataError> {
        self.is_big = packet.data_size >= BIG_PACKET;
        let stream = self.find(relay, packet.stream)?;
        let (file, offset) = stream.begin_packet(packet).map_err(about(&stream))?;
        self.current = Some(Current {
            stream,
            file,
            open: None,
            offset,
            padding: packet.padding_size,
        });
        if packet.data_size == 0 {
            self.store(relay, &[], true)?;
        }
        Ok(())
    }

    fn store(&mut self, relay: &Relay, bytes: &[u8], complete: bool) -> Result<(), DataError> {
        // Set by the header before any payload.
        let Some(Current { padding, .. }) = self.current else {
            return Ok(());
        };
        if !complete {
            return self.put(bytes.len(), |file, offset| file.write_all_at(bytes, offset));
        }
        if !bytes.is_empty() || padding > 0 {
            self.put(bytes.len(), |file, offset| {
                write_with_padding(file, bytes, offset, padding)
            })?;
        }
        if let Some(Current { stream, .. }) = self.current.take() {
            stream.end_packet(relay).map_err(about(&stream))?;
        }
        Ok(())
    }

    /// Has `len` bytes written behind those of the current packet that are in its file.
    fn put(
        &mut self,
        len: usize,
        write: impl FnOnce(&File, u64) -> io::Result<()>,
    ) -> Result<(), DataError> {
        let Some(current) = &mut self.current else {
            return Ok(());
        };
        let file = match &current.open {
            Some(file) => file,
            None => {
                let opened = current.stream.open(&current.file);
                current.open.insert(opened.map_err(about(&current.stream))?)
            }
        };
        let begin = Instant::now();
        let written = write(file, current.offset);
        current.stream.session.counters.write(begin.elapsed());
        current.offset += len as u64;
        written.map_err(|error| about(&current.stream)(current.stream.write_failed(error)))
    }

    fn find(
        &mut self,
        relay: &Relay,
        handle: StreamHandle,
    ) -> Result<Arc<SharedStream>, DataError> {
        if let Some(stream) = self.known.get(&handle).and_then(Weak::upgrade) {
            return Ok(stream);
        }
        let stream = relay
            .stream(handle)
            .ok_or(DataError::UnknownStream(handle))?;
        self.admit(relay, &stream)?;
        self.known.insert(handle, Arc::downgrade(&stream));
        if self.known.len() >= self.purge_at {
            self.known.retain(|_, stream| stream.strong_count() > 0);
            self.purge_at = (self.known.len() * 2).max(FIRST_PURGE);
        }
        Ok(stream)
    }

    /// May this connection carry packets of the stream? Nothing in the protocol says whose a data connection
    /// is, and the numbers of streams are easy to guess.
    fn admit(&mut self, relay: &Relay, stream: &SharedStream) -> Result<(), DataError> {
        let session = &stream.session;
        if self.sessions.iter().any(|known| known.id == session.id) {
            return Ok(());
        }
        let from = session.address.ip();
        if !relay.data_from_anywhere && from != self.address.ip() {
            let stream = stream.handle;
            return Err(DataError::Elsewhere { stream, from });
        }
        if !session.admit_data_connection(&self.socket) {
            return Err(DataError::Taken(stream.handle));
        }
        self.sessions.push(Arc::clone(session));
        Ok(())
    }

    /// The connection is over.
    pub(crate) fn end(mut self, relay: &Relay) {
        if let Some(Current { stream, .. }) = self.current.take() {
            let left = self.peer.payload_left();
            tracing::warn!(
                peer = %self.address,
                session = %stream.session.id,
                stream = %stream.handle,
                "data connection ended inside a packet, {left} bytes are missing"
            );
            if let Err(error) = stream.abort_packet(relay) {
                stream
                    .session
                    .fail(format!("stream {}: {error}", stream.handle));
            }
        } else if !self.peer.between_packets() {
            tracing::warn!(peer = %self.address, "data connection ended inside a header");
        }
        for session in self.sessions.drain(..) {
            session.data_connection_left();
            relay.sweep(Some(&session));
        }
    }

    /// What to call it.
    pub(crate) fn name(&self) -> String {
        self.address.to_string()
    }
}

/// Nothing can be read, for the moment or for ever.
fn not_now(error: io::Error) -> Result<Progress, DataError> {
    match error.kind() {
        io::ErrorKind::WouldBlock => Ok(Progress::Nothing),
        io::ErrorKind::Interrupted => Ok(Progress::More),
        _ => Err(error.into()),
    }
}

/// Says whose error it is.
fn about(stream: &Arc<SharedStream>) -> impl FnOnce(SharedStreamError) -> DataError {
    let (session, stream) = (Arc::clone(&stream.session), stream.handle);
    move |error| DataError::Stream {
        session,
        stream,
        error,
    }
}
