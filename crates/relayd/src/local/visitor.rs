//! One program that asks something: it may be slow, it cannot hold up others.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::event::PollFlags;

/// What is asked, by the socket it came in on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    Health,
    Status,
    Metrics,
}

/// The longest question: the head of an HTTP request.
const MAX_QUESTION: usize = 8 * 1024;
/// Length of a question about health, as stock has it: one number.
const HEALTH_QUESTION: usize = 4;

impl Question {
    /// Has all of it arrived?
    fn is_complete(self, asked: &[u8]) -> bool {
        match self {
            Self::Health => asked.len() >= HEALTH_QUESTION,
            Self::Status => true,
            Self::Metrics => asked.windows(4).any(|end| end == b"\r\n\r\n"),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Visitor {
    socket: OwnedFd,
    question: Question,
    deadline: Instant,
    asked: Vec<u8>,
    /// What is still to be written, once the question is known.
    answer: Option<Vec<u8>>,
}

impl Visitor {
    pub(super) fn new(socket: OwnedFd, question: Question, deadline: Instant) -> Self {
        Self {
            socket,
            question,
            deadline,
            asked: Vec::new(),
            answer: None,
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(super) fn waits_for(&self) -> PollFlags {
        let writes = self.answer.is_some() || self.question == Question::Status;
        if writes {
            PollFlags::OUT
        } else {
            PollFlags::IN
        }
    }

    /// Reads or writes; `false` when it can go.
    pub(super) fn serve(&mut self, answer: impl FnOnce(Question, &[u8]) -> Vec<u8>) -> bool {
        if self.answer.is_none() {
            if !self.question.is_complete(&self.asked) {
                match self.read() {
                    Ok(0) => return false,
                    Ok(_) => {}
                    Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
                }
            }
            if !self.question.is_complete(&self.asked) {
                return self.asked.len() < MAX_QUESTION;
            }
            self.answer = Some(answer(self.question, &self.asked));
        }
        let Some(left) = &mut self.answer else {
            return true;
        };
        match rustix::net::send(&self.socket, left, rustix::net::SendFlags::NOSIGNAL) {
            Ok(len) => drop(left.drain(..len)),
            Err(error) => {
                return io::Error::from(error).kind() == io::ErrorKind::WouldBlock;
            }
        }
        !left.is_empty()
    }

    fn read(&mut self) -> io::Result<usize> {
        let mut bytes = [0; 1024];
        let len = rustix::io::read(&self.socket, &mut bytes)?;
        self.asked.extend_from_slice(&bytes[..len]);
        Ok(len)
    }
}

impl AsFd for Visitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
