//! A control connection: socket to core and back.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use relay::server::{Answer, CloseReason, ControlPeer, Step};
use relay::{Command, Request};

use crate::commands::{OpenSession, create_session};
use crate::counters::count;
use crate::relay::Relay;
use crate::session::{Link, Session};
use crate::worker::{Interest, Outcome, Scratch, Turn, WorkerId};

/// How much one connection may read before others are served.
const READS_PER_TURN: usize = 4;
/// What it may read at once while its data connection waits: some indexes.
const BETWEEN_BUFFER: usize = 4 * 1024;
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
    /// The next request, or the end, has its turn when data connections had theirs.
    waits_for_data: bool,
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
                token: 0,
            },
            address,
            peer,
            session: None,
            waits_for_data: false,
        }
    }

    pub(crate) fn socket(&self) -> &Arc<TcpStream> {
        &self.link.socket
    }

    pub(crate) fn set_token(&mut self, token: u64) {
        self.link.token = token;
    }

    /// Reads, answers, writes.
    pub(crate) fn serve(&mut self, relay: &Relay, scratch: &mut Scratch) -> Outcome {
        let is_between = scratch.turn == Turn::Between;
        if is_between && self.waits_for_data {
            return Outcome::Wait(Interest::ReadWrite);
        }
        let has_waited = std::mem::take(&mut self.waits_for_data);
        let before_data = !has_waited && scratch.turn != Turn::Last;
        if has_waited {
            self.handle(relay, before_data);
        }
        let buffer = match is_between {
            true => &mut scratch.buffer[..BETWEEN_BUFFER],
            false => &mut scratch.buffer[..],
        };
        let outcome = self.turn(relay, buffer, before_data);
        let outcome = outcome.unwrap_or_else(|error| {
            tracing::info!(peer = %self.address, "control connection: {error}");
            Outcome::Close
        });
        let is_mistake = self.peer.closing().is_some();
        if outcome == Outcome::Close && !is_mistake && before_data && self.has_data_connection() {
            // What was sent before it is part of the trace. The next turn finds the end again.
            self.waits_for_data = true;
            return Outcome::Wait(Interest::ReadWrite);
        }
        outcome
    }

    fn turn(&mut self, relay: &Relay, buffer: &mut [u8], before_data: bool) -> io::Result<Outcome> {
        let mut ended = false;
        for _ in 0..READS_PER_TURN {
            if self.waits_for_data || self.peer.output().len() > MAX_UNSENT {
                break;
            }
            match (&*self.link.socket).read(buffer) {
                Ok(0) => {
                    ended = true;
                    break;
                }
                Ok(len) => {
                    self.peer.on_bytes(&buffer[..len]);
                    self.handle(relay, before_data);
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
        if self.peer.output().len() > MAX_UNSENT {
            Ok(Outcome::Wait(Interest::Write))
        } else if all_written && !self.waits_for_data {
            Ok(Outcome::Wait(Interest::Read))
        } else {
            // As a rule it can be written to, so that this is the next turn.
            Ok(Outcome::Wait(Interest::ReadWrite))
        }
    }

    /// Handles the requests that are there; `before_data`: those only that can be answered then.
    fn handle(&mut self, relay: &Relay, before_data: bool) {
        loop {
            if before_data && self.is_about_data() {
                self.waits_for_data = true;
                break;
            }
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

    /// What the next request does, or its answer, depends on data that may be there already. The peer would
    /// ask whether they are, again and again.
    fn is_about_data(&self) -> bool {
        match self.peer.next_command() {
            None | Some(Command::SEND_INDEX | Command::SEND_METADATA) => false,
            Some(_) => self.has_data_connection(),
        }
    }

    fn has_data_connection(&self) -> bool {
        let session = self.session.as_ref().map(OpenSession::session);
        session.is_some_and(Session::has_data_connection)
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
