//! A control connection: socket to core and back.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use relay::Request;
use relay::server::{Answer, CloseReason, ControlPeer, Step};

use crate::commands::{OpenSession, create_session};
use crate::counters::count;
use crate::relay::Relay;
use crate::session::Link;
use crate::worker::{Interest, Outcome, WorkerId};

/// How much one connection may read before others are served.
const READS_PER_TURN: usize = 4;
/// Buffers of an idle connection larger than this are given back: there may be thousands of connections.
const IDLE_BUFFER: usize = 4 * 1024;
/// A peer that does not read its replies is not read from, once so much waits for it.
const MAX_UNSENT: usize = 256 * 1024;

/// See the module.
#[derive(Debug)]
pub(crate) struct ControlConnection {
    link: Link,
    address: SocketAddr,
    peer: ControlPeer,
    session: Option<OpenSession>,
}

impl ControlConnection {
    pub(crate) fn new(
        socket: Arc<TcpStream>,
        address: SocketAddr,
        worker: WorkerId,
        relay: &Relay,
    ) -> Self {
        let peer = ControlPeer::new(relay.clear_allowed);
        Self {
            link: Link {
                socket,
                address,
                worker,
            },
            address,
            peer,
            session: None,
        }
    }

    pub(crate) fn socket(&self) -> &Arc<TcpStream> {
        &self.link.socket
    }

    /// Reads, answers, writes. `buffer` is scratch.
    pub(crate) fn serve(&mut self, relay: &Relay, buffer: &mut [u8]) -> Outcome {
        match self.turn(relay, buffer) {
            Ok(outcome) => outcome,
            Err(error) => {
                tracing::info!(peer = %self.address, "control connection: {error}");
                Outcome::Close
            }
        }
    }

    fn turn(&mut self, relay: &Relay, buffer: &mut [u8]) -> io::Result<Outcome> {
        let mut ended = false;
        for _ in 0..READS_PER_TURN {
            if self.peer.output().len() > MAX_UNSENT {
                break;
            }
            match (&*self.link.socket).read(buffer) {
                Ok(0) => {
                    ended = true;
                    break;
                }
                Ok(len) => {
                    self.on_bytes(relay, &buffer[..len]);
                    if self.peer.closing().is_some() || len < buffer.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let all_written = self.write()?;
        if ended || self.peer.closing().is_some() {
            return Ok(Outcome::Close);
        }
        if self.peer.buffered() > 0 {
            // Stock consumer daemons send metadata in two pieces, the second of which waits for the first to be
            // acknowledged. As a rule that waits in turn, for the next reply.
            let _ = rustix::net::sockopt::set_tcp_quickack(&*self.link.socket, true);
        }
        self.peer.shrink(IDLE_BUFFER);
        if all_written {
            Ok(Outcome::Wait(Interest::Read))
        } else if self.peer.output().len() > MAX_UNSENT {
            Ok(Outcome::Wait(Interest::Write))
        } else {
            Ok(Outcome::Wait(Interest::ReadWrite))
        }
    }

    fn on_bytes(&mut self, relay: &Relay, bytes: &[u8]) {
        self.peer.on_bytes(bytes);
        loop {
            let minor = self.peer.minor();
            let answer = match self.peer.step() {
                Step::NeedMore => break,
                Step::Handled => continue,
                Step::Request(Request::CreateSession(request)) => {
                    let (session, answer) = create_session(relay, minor, &request, &self.link);
                    self.session = session;
                    answer
                }
                Step::Request(request) => match &mut self.session {
                    Some(session) => session.handle(relay, &request),
                    None => Answer::Close(CloseReason::NoSession(request.command())),
                },
            };
            self.peer.answer(&answer);
        }
    }

    /// `true` when nothing is left to write.
    fn write(&mut self) -> io::Result<bool> {
        let output = self.peer.output();
        while !output.is_empty() {
            match (&*self.link.socket).write(output) {
                Ok(len) => drop(output.drain(..len)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// The connection is over.
    pub(crate) fn end(mut self, relay: &Relay) {
        let reason = self.peer.closing().cloned();
        if let Some(reason) = &reason {
            count(&relay.register.errors.protocol);
            tracing::error!(peer = %self.address, "control connection closed: {reason}");
        } else if self.peer.buffered() > 0 {
            let left = self.peer.buffered();
            tracing::error!(
                peer = %self.address,
                "control connection ended inside a message ({left} bytes)"
            );
        }
        let in_order = reason.is_none();
        if let Some(session) = self.session.take() {
            session.end(relay, in_order);
        }
    }

    /// What to call it.
    pub(crate) fn name(&self) -> String {
        match &self.session {
            Some(session) => format!("{} ({})", self.address, session.session().name),
            None => self.address.to_string(),
        }
    }
}
