//! The control connection to a relay daemon: requests, replies, and indexes nobody waits for.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use anyhow::{Context, bail};
use relay::client::Client;
use relay::{Minor, PacketIndex, Pending, Reply, Request, ReturnCode};
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::activity::Activity;

/// Indexes whose replies we do not have yet. A relay that has not answered the oldest of so many is
/// behind, and then we had better wait.
const MAX_INDEXES_UNDER_WAY: usize = 64;
/// Requests sent before the first reply is read: they and their replies fit into the buffers of the sockets, so
/// that neither end waits for the other to read.
const MAX_AT_ONCE: usize = 256;
/// Bytes of requests without replies that are put together before they are sent: more than sockets take at once.
const MOST_TOLD_AT_ONCE: usize = 1 << 20;

/// The control connection.
#[derive(Debug)]
pub(crate) struct Control {
    socket: OwnedFd,
    client: Client,
    activity: Arc<Activity>,
}

impl Control {
    /// A connection on which the two ends have agreed on a version.
    pub(crate) fn new(socket: OwnedFd, minor: Minor, activity: Arc<Activity>) -> Self {
        Self {
            socket,
            client: Client::with_minor(minor),
            activity,
        }
    }

    /// The version both ends speak.
    pub(crate) fn minor(&self) -> Minor {
        self.client.minor()
    }

    /// To wait for its end.
    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Sends requests that have no replies, in one go: half of the metadata makes a trace unreadable, should this
    /// daemon be killed in between.
    pub(crate) fn tell_all<'r>(
        &mut self,
        requests: impl Iterator<Item = Request<'r>>,
    ) -> anyhow::Result<()> {
        for request in requests {
            self.client.request(&request)?;
            if self.client.output().len() >= MOST_TOLD_AT_ONCE {
                self.write_out()?;
            }
        }
        self.write_out()
    }

    /// Something has come, or the end.
    pub(crate) fn readable(&mut self) -> anyhow::Result<()> {
        self.receive(RecvFlags::DONTWAIT)?;
        self.check_index_replies()
    }

    /// Sends the index of a packet at once: when this daemon is killed, the relay has the indexes of all
    /// packets that are gone from the buffers.
    pub(crate) fn send_index(&mut self, index: PacketIndex) -> anyhow::Result<()> {
        self.client.request(&Request::SendIndex(index))?;
        self.write_out()
    }

    /// Waits until another index may be sent. Call it before its packet: whoever is killed while it waits has not
    /// begun a packet of which nobody can tell whether it will arrive.
    pub(crate) fn wait_for_room(&mut self) -> anyhow::Result<()> {
        while self.client.outstanding() > MAX_INDEXES_UNDER_WAY {
            self.receive(RecvFlags::empty())?;
            self.check_index_replies()?;
        }
        Ok(())
    }

    /// Sends a request and waits for its reply.
    pub(crate) fn ask(&mut self, request: &Request<'_>) -> anyhow::Result<Reply> {
        self.client.request(request)?;
        self.write_out()?;
        loop {
            while let Some(reply) = self.client.next_reply()? {
                if self.client.outstanding() == 0 {
                    return Ok(reply);
                }
                check_index_reply(&reply)?;
            }
            self.receive(RecvFlags::empty())?;
        }
    }

    /// Sends requests in one go, and gives their replies: over a long way each wait for a reply counts.
    pub(crate) fn ask_all(&mut self, requests: &[Request<'_>]) -> anyhow::Result<Vec<Reply>> {
        let mut replies = Vec::with_capacity(requests.len());
        for requests in requests.chunks(MAX_AT_ONCE) {
            for request in requests {
                self.client.request(request)?;
            }
            self.write_out()?;
            let end = replies.len() + requests.len();
            while replies.len() < end {
                match self.client.next_reply()? {
                    Some(reply) if self.client.outstanding() < end - replies.len() => {
                        replies.push(reply);
                    }
                    Some(reply) => check_index_reply(&reply)?,
                    None => self.receive(RecvFlags::empty())?,
                }
            }
        }
        Ok(replies)
    }

    /// Sends a request that is answered with "done", or something is wrong.
    pub(crate) fn expect_ok(&mut self, request: &Request<'_>) -> anyhow::Result<()> {
        expect_ok(request, &self.ask(request)?)
    }

    /// Sends what was put together.
    pub(crate) fn write_out(&mut self) -> anyhow::Result<()> {
        while !self.client.output().is_empty() {
            match send(&self.socket, self.client.output(), SendFlags::NOSIGNAL) {
                Ok(sent) => {
                    self.activity.moved(sent as u64);
                    self.client.written(sent);
                }
                // The time limit for sending: nothing was taken so long.
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
                Err(errno) => {
                    return Err(io::Error::from(errno)).context("cannot send to the relay daemon");
                }
            }
        }
        Ok(())
    }

    /// Reads what has come, and waits for something if `flags` do not say otherwise.
    fn receive(&mut self, flags: RecvFlags) -> anyhow::Result<()> {
        if flags.is_empty() {
            // A relay that holds its replies back until the ones before are acknowledged would keep us waiting
            // for the delay of acknowledgements. Not possible on a Unix socket.
            let _ = rustix::net::sockopt::set_tcp_quickack(&self.socket, true);
        }
        let mut bytes = [0; 4096];
        match recv(&self.socket, &mut bytes, flags) {
            Ok((0, _)) => bail!("the relay daemon closed the control connection"),
            Ok((got, _)) => {
                self.activity.answered();
                self.client.on_bytes(&bytes[..got]);
            }
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            Err(errno) => {
                return Err(io::Error::from(errno)).context("the relay daemon is out of reach");
            }
        }
        Ok(())
    }

    fn check_index_replies(&mut self) -> anyhow::Result<()> {
        while let Some(reply) = self.client.next_reply()? {
            check_index_reply(&reply)?;
        }
        Ok(())
    }
}

/// The reply says "done", or something is wrong.
pub(crate) fn expect_ok(request: &Request<'_>, reply: &Reply) -> anyhow::Result<()> {
    match reply {
        Reply::Code(ReturnCode::OK) => Ok(()),
        other => bail!(
            "the relay daemon answers {} with {other:?}",
            request.command()
        ),
    }
}

/// The reply says that something is still missing.
pub(crate) fn is_pending(request: &Request<'_>, reply: &Reply) -> anyhow::Result<bool> {
    match reply {
        Reply::Pending(Pending::No) => Ok(false),
        Reply::Pending(Pending::Yes) => Ok(true),
        other => bail!(
            "the relay daemon answers {} with {other:?}",
            request.command()
        ),
    }
}

fn check_index_reply(reply: &Reply) -> anyhow::Result<()> {
    match reply {
        Reply::Code(ReturnCode::OK) => Ok(()),
        other => bail!("the relay daemon does not take the index of a packet: {other:?}"),
    }
}
