//! What the engine waits for.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use consumer_api::{StreamKey, TraceKey};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use crate::timers::TimerKey;

/// Who became ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The control thread has passed something on.
    Inbox,
    /// The wakeup pipe of a stream.
    Stream(StreamKey),
    /// The kernel tells about tasks, for this trace.
    Tasks(TraceKey),
    /// A timer of some streams.
    Timer(TimerKey),
    /// A connection of the output.
    Output,
}

/// What happened there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready {
    pub(crate) source: Source,
    /// Something can be read.
    pub(crate) readable: bool,
    /// The other end is closed.
    pub(crate) hung_up: bool,
}

/// Names a registration, for its removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Token(u64);

/// An epoll instance that knows its sources.
pub(crate) struct Poller {
    epoll: OwnedFd,
    sources: HashMap<Token, Source>,
    next: u64,
    events: Vec<Event>,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            sources: HashMap::new(),
            next: 0,
            events: Vec::with_capacity(64),
        })
    }

    /// Waits for `fd` to become readable or to be hung up, from now on.
    pub(crate) fn add(&mut self, fd: impl AsFd, source: Source) -> io::Result<Token> {
        let token = Token(self.next);
        epoll::add(
            &self.epoll,
            fd,
            EventData::new_u64(token.0),
            EventFlags::IN | EventFlags::RDHUP,
        )?;
        self.next += 1;
        self.sources.insert(token, source);
        Ok(token)
    }

    /// Waits for `fd` no more. Needed before it is closed: another process may hold the same pipe, and
    /// the kernel would go on reporting it.
    pub(crate) fn remove(&mut self, fd: impl AsFd, token: Token) {
        if self.sources.remove(&token).is_some() {
            let _ = epoll::delete(&self.epoll, fd);
        }
    }

    /// Waits until something is ready; with `poll` only looks.
    pub(crate) fn wait(&mut self, poll: bool) -> io::Result<Vec<Ready>> {
        let none = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        self.events.clear();
        let timeout = poll.then_some(&none);
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), timeout) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(Vec::new()),
            Err(errno) => return Err(errno.into()),
        }
        let ready = self.events.iter().filter_map(|event| {
            let flags = event.flags;
            let gone = EventFlags::HUP | EventFlags::ERR | EventFlags::RDHUP;
            Some(Ready {
                source: *self.sources.get(&Token(event.data.u64()))?,
                readable: flags.contains(EventFlags::IN),
                hung_up: flags.intersects(gone),
            })
        });
        Ok(ready.collect())
    }
}
