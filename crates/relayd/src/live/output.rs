//! What a viewer has to be sent: a few bytes in memory, the rest made or read as the socket takes it.

use std::io::{self, ErrorKind, Write};
use std::net::TcpStream;
use std::sync::Arc;

use relay::Minor;
use relay::live::ViewerReply;
use rustix::fs::sendfile;
use rustix::io::Errno;
use rustix::net::{SendFlags, send};

use super::session::LiveSession;
use crate::pool::OpenFile;
use crate::stream::SharedStream;

/// Entries made at once: of streams, 280 KB.
const ENTRIES: usize = 64;
/// Bytes of a file sent at once, before others are served.
const FILE_PIECE: usize = 1 << 20;

/// One reply at a time.
#[derive(Debug, Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    written: usize,
    rest: Rest,
}

/// What follows the bytes.
#[derive(Debug, Default)]
enum Rest {
    #[default]
    Nothing,
    Sessions(std::vec::IntoIter<Arc<LiveSession>>, Minor),
    Streams(std::vec::IntoIter<Arc<SharedStream>>),
    File {
        file: OpenFile,
        offset: u64,
        left: u64,
    },
}

impl Output {
    pub(super) fn reply(&mut self, reply: &ViewerReply) {
        reply.encode_into(&mut self.bytes);
    }

    pub(super) fn sessions(&mut self, sessions: Vec<Arc<LiveSession>>, minor: Minor) {
        self.rest = Rest::Sessions(sessions.into_iter(), minor);
        self.refill();
    }

    pub(super) fn streams(&mut self, streams: Vec<Arc<SharedStream>>) {
        self.rest = Rest::Streams(streams.into_iter());
        self.refill();
    }

    /// `len` bytes of the data file follow the reply.
    pub(super) fn file(&mut self, file: OpenFile, offset: u64, len: u64) {
        self.rest = Rest::File {
            file,
            offset,
            left: len,
        };
    }

    /// Writes what the socket takes. `true` when everything is written.
    pub(super) fn write(&mut self, socket: &TcpStream) -> io::Result<bool> {
        loop {
            if !self.write_bytes(socket)? {
                return Ok(false);
            }
            if self.refill() {
                continue;
            }
            let Rest::File { file, offset, left } = &mut self.rest else {
                return Ok(true);
            };
            if *left == 0 {
                self.rest = Rest::Nothing;
                return Ok(true);
            }
            let piece = usize::try_from(*left).unwrap_or(usize::MAX).min(FILE_PIECE);
            match sendfile(socket, &***file, Some(offset), piece) {
                // The file became shorter than it was when the reply began.
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(len) => *left -= len as u64,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn write_bytes(&mut self, mut socket: &TcpStream) -> io::Result<bool> {
        while let Some(bytes) = self
            .bytes
            .get(self.written..)
            .filter(|bytes| !bytes.is_empty())
        {
            let sent = match self.rest {
                // What follows goes out in the same segment.
                Rest::File { .. } => {
                    send(socket, bytes, SendFlags::MORE | SendFlags::NOSIGNAL).map_err(Into::into)
                }
                _ => socket.write(bytes),
            };
            match sent {
                Ok(len) => self.written += len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.written = 0;
        self.bytes.clear();
        self.bytes.shrink_to(1024);
        Ok(true)
    }

    /// Makes the next entries. `true` if there were any.
    fn refill(&mut self) -> bool {
        let before = self.bytes.len();
        match &mut self.rest {
            Rest::Sessions(sessions, minor) => {
                for session in sessions.take(ENTRIES) {
                    session.entry().encode_into(*minor, &mut self.bytes);
                }
            }
            Rest::Streams(streams) => {
                for stream in streams.take(ENTRIES) {
                    // Viewers are told only of streams that have one.
                    if let Some(entry) = stream.entry() {
                        entry.encode_into(&mut self.bytes);
                    }
                }
            }
            Rest::Nothing | Rest::File { .. } => return false,
        }
        let added = self.bytes.len() > before;
        if !added {
            self.rest = Rest::Nothing;
        }
        added
    }
}
