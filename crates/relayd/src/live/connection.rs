//! A viewer connection: socket to requests, answers to socket, held answers.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use relay::live::{MAX_VIEWER_REQUEST_LEN, ViewerPeer, ViewerRequest, ViewerStep};

use super::mailbox::Waker;
use super::output::Output;
use super::viewer::{Answered, Asking, Viewer};
use crate::relay::Relay;

/// Requests answered before other viewers are served.
const REQUESTS_PER_TURN: usize = 16;

/// See the module.
#[derive(Debug)]
pub(super) struct ViewerConnection {
    socket: TcpStream,
    address: SocketAddr,
    /// The number the viewer is told.
    id: u64,
    peer: ViewerPeer,
    output: Output,
    viewer: Viewer,
    held: Option<Held>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    request: ViewerRequest,
    until: Instant,
}

/// What a connection wants after its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// To be served when it sends something, or at this time.
    Read(Option<Instant>),
    /// To be served when it takes something.
    Write,
    /// To be served after the others.
    Again,
    /// To be closed.
    Close,
}

impl ViewerConnection {
    pub(super) fn new(socket: TcpStream, address: SocketAddr, id: u64) -> Self {
        Self {
            socket,
            address,
            id,
            peer: ViewerPeer::default(),
            output: Output::default(),
            viewer: Viewer::default(),
            held: None,
        }
    }

    pub(super) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Reads, answers, writes. `waker` leads back here.
    pub(super) fn serve(&mut self, relay: &Relay, waker: &Waker) -> Turn {
        match self.turn(relay, waker) {
            Ok(turn) => turn,
            Err(error) => {
                tracing::info!(peer = %self.address, "viewer: {error}");
                Turn::Close
            }
        }
    }

    fn turn(&mut self, relay: &Relay, waker: &Waker) -> io::Result<Turn> {
        if !self.output.write(&self.socket)? {
            return Ok(Turn::Write);
        }
        let ended = self.read()?;
        if self.peer.detaches_next() {
            // Somebody interrupted it while it waited: it takes the next answer for that to its farewell.
            self.held = None;
        }
        for _ in 0..REQUESTS_PER_TURN {
            let held = self.held.take();
            let request = match held {
                Some(held) => held.request,
                None => match self.peer.next_request(self.id) {
                    ViewerStep::NeedMore if ended => return Ok(Turn::Close),
                    ViewerStep::NeedMore => return Ok(Turn::Read(None)),
                    ViewerStep::Request(request) => {
                        self.viewer.on_question(request, Instant::now());
                        request
                    }
                    ViewerStep::Reply(reply) => {
                        self.output.reply(&reply);
                        if !self.output.write(&self.socket)? {
                            return Ok(Turn::Write);
                        }
                        continue;
                    }
                    ViewerStep::ReplyThenClose(reply, why) => {
                        tracing::error!(peer = %self.address, "viewer closed: {why}");
                        self.output.reply(&reply);
                        // Four bytes, and nothing waits before them.
                        self.output.write(&self.socket)?;
                        return Ok(Turn::Close);
                    }
                    ViewerStep::Close(why) => {
                        tracing::error!(peer = %self.address, "viewer closed: {why}");
                        return Ok(Turn::Close);
                    }
                },
            };
            if ended && held.is_some() {
                return Ok(Turn::Close);
            }
            let now = Instant::now();
            // A viewer that asks on does not wait for this answer only.
            let may_wait = self.peer.buffered() == 0 && held.is_none_or(|held| now < held.until);
            let asking = Asking {
                minor: self.peer.minor(),
                now,
                waker: may_wait.then_some(waker),
            };
            match self
                .viewer
                .answer(relay, request, asking, &mut self.output)?
            {
                Answered::Held(until) => {
                    let until = held.map_or(until, |held| held.until);
                    self.held = Some(Held { request, until });
                    return Ok(Turn::Read(Some(until)));
                }
                Answered::Yes if !self.output.write(&self.socket)? => return Ok(Turn::Write),
                Answered::Yes => {}
            }
        }
        Ok(Turn::Again)
    }

    /// Takes in what there is room for. `true` at the end.
    fn read(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 32 * MAX_VIEWER_REQUEST_LEN];
        let room = self.peer.room().min(buffer.len());
        let Some(buffer) = buffer.get_mut(..room).filter(|room| !room.is_empty()) else {
            return Ok(false);
        };
        loop {
            match (&self.socket).read(buffer) {
                Ok(0) => return Ok(true),
                Ok(len) => {
                    self.peer.on_bytes(&buffer[..len]);
                    return Ok(false);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
