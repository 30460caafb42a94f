//! The command connection of one application, as a request and answer channel.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::io::{AsyncReadExt, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::ReadHalf;
use ust::command::FdGroup;
use ust::{Batch, REPLY_BYTES, Reply, ReplyError};

/// A descriptor that several messages may carry.
pub(crate) type SharedFd = Arc<OwnedFd>;

/// Why the application can no longer be commanded; both of its connections must be closed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChannelError {
    /// The application has exited or closed the connection.
    #[error("the application is gone: {0}")]
    Gone(#[from] io::Error),
    /// It answers nonsense.
    #[error(transparent)]
    Protocol(#[from] ReplyError),
}

/// An answer with what follows it.
#[derive(Debug)]
pub(super) struct Answer {
    /// The answer.
    pub reply: Reply,
    /// Empty except for fields of a list.
    pub tail: Vec<u8>,
}

/// The command connection.
#[derive(Debug)]
pub(super) struct CommandChannel {
    socket: UnixStream,
}

impl CommandChannel {
    /// Takes over a connection on which the registration was read.
    pub(super) fn new(socket: UnixStream) -> Self {
        Self { socket }
    }

    /// Sends all commands of the batch and reads their answers.
    pub(super) async fn execute(
        &mut self,
        batch: &Batch<SharedFd>,
    ) -> Result<Vec<Answer>, ChannelError> {
        // Both at once: the answers to a long batch may fill the socket before all of it is sent.
        let (mut reader, writer) = self.socket.split();
        let sending = async { Ok(send(writer.as_ref(), batch).await?) };
        let ((), answers) = tokio::try_join!(sending, read_answers(&mut reader, batch))?;
        Ok(answers)
    }

    /// Resolves when the application closes the connection or says something unasked for.
    pub(super) async fn closed(&self) {
        loop {
            if self.socket.readable().await.is_err() {
                return;
            }
            let mut byte = [0];
            match self.socket.try_read(&mut byte) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                _ => return,
            }
        }
    }
}

async fn read_answers(
    reader: &mut ReadHalf<'_>,
    batch: &Batch<SharedFd>,
) -> Result<Vec<Answer>, ChannelError> {
    let mut answers = Vec::with_capacity(batch.expected().len());
    for &expected in batch.expected() {
        let mut bytes = [0; REPLY_BYTES];
        reader.read_exact(&mut bytes).await?;
        let reply = Reply::parse(&bytes, expected)?;
        let mut tail = vec![0; reply.tail_bytes(expected)];
        reader.read_exact(&mut tail).await?;
        answers.push(Answer { reply, tail });
    }
    Ok(answers)
}

async fn send(socket: &UnixStream, batch: &Batch<SharedFd>) -> io::Result<()> {
    let bytes = batch.bytes();
    let mut at = 0;
    for FdGroup { at: carrier, fds } in batch.fd_groups() {
        send_all(socket, &bytes[at..*carrier], &[]).await?;
        let fds: Vec<_> = fds.iter().map(|fd| fd.as_fd()).collect();
        send_all(socket, &bytes[*carrier..carrier + 1], &fds).await?;
        at = carrier + 1;
    }
    send_all(socket, &bytes[at..], &[]).await
}

async fn send_all(socket: &UnixStream, mut bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    while !bytes.is_empty() {
        let send = || send_some(socket, bytes, fds);
        let sent = socket.async_io(Interest::WRITABLE, send).await?;
        bytes = &bytes[sent..];
    }
    Ok(())
}

fn send_some(socket: &UnixStream, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    Ok(sendmsg(
        socket,
        &[IoSlice::new(bytes)],
        &mut control,
        flags,
    )?)
}
