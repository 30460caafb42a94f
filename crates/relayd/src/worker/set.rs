//! The connections of one worker, and who serves them.

use std::collections::HashMap;
use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData};
use rustix::io::Errno;

use super::connection::Connection;
use super::{Interest, WAKE};

/// A connection in which threads are stuck twice within this time is slow. (Once may be for want of a
/// processor.)
const LATELY: Duration = Duration::from_secs(2);

/// The time that one thread serves a worker. Ends when the thread is found to be stuck in one
/// connection: then another thread's shift begins.
#[derive(Debug, Default)]
pub(super) struct Shift {
    /// Odd: something is being done that may take long. Each thing has another number.
    beat: AtomicU64,
    /// Of the connection that is being served.
    token: AtomicU64,
}

impl Shift {
    /// Something begins that may take long.
    pub(super) fn begin(&self, token: u64) {
        self.token.store(token, Ordering::Relaxed);
        self.beat.fetch_add(1, Ordering::SeqCst);
    }

    /// It is done.
    pub(super) fn end(&self) {
        self.beat.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn beat(&self) -> u64 {
        self.beat.load(Ordering::SeqCst)
    }
}

/// All of it; behind the worker's lock.
#[derive(Debug)]
pub(super) struct Set {
    pub(super) shift: Arc<Shift>,
    slots: HashMap<u64, Slot>,
    /// Connections so far.
    count: u64,
}

#[derive(Debug)]
struct Slot {
    socket: Arc<TcpStream>,
    /// `None`: a thread serves it.
    connection: Option<Connection>,
    interest: Interest,
    /// Whoever serves it is stuck; nothing is waited for until it is back.
    is_off: bool,
    /// When a thread was last found stuck in it, and that it was not the first time lately.
    stuck_at: Option<Instant>,
    is_slow: bool,
}

/// Whether a token is that of a data connection: those are odd, the others are even.
pub(super) fn is_data(token: u64) -> bool {
    !token.is_multiple_of(2)
}

impl Set {
    pub(super) fn new() -> Self {
        Self {
            shift: Arc::default(),
            slots: HashMap::new(),
            count: 0,
        }
    }

    /// Waits for this connection from now on. Gives it back if that cannot be.
    pub(super) fn add(
        &mut self,
        epoll: &OwnedFd,
        connection: Connection,
    ) -> Result<(), (Connection, Errno)> {
        self.count += 1;
        let kind = u64::from(matches!(connection, Connection::Data(_)));
        let token = WAKE + 2 * self.count + kind;
        let interest = Interest::Read;
        let socket = Arc::clone(connection.socket());
        let data = EventData::new_u64(token);
        if let Err(error) = epoll::add(epoll, socket.as_fd(), data, interest.flags()) {
            return Err((connection, error));
        }
        let slot = Slot {
            socket,
            connection: Some(connection),
            interest,
            is_off: false,
            stuck_at: None,
            is_slow: false,
        };
        self.slots.insert(token, slot);
        Ok(())
    }

    /// Takes a connection out, to serve it; `None`: it is gone, or being served.
    pub(super) fn take(&mut self, token: u64) -> Option<Connection> {
        self.slots.get_mut(&token)?.connection.take()
    }

    /// Puts it back.
    pub(super) fn put_back(
        &mut self,
        epoll: &OwnedFd,
        token: u64,
        connection: Connection,
        interest: Interest,
    ) -> Result<(), (Connection, Errno)> {
        let Some(slot) = self.slots.get_mut(&token) else {
            return Err((connection, Errno::NOENT));
        };
        if slot.is_off || slot.interest != interest {
            let (socket, data) = (slot.socket.as_fd(), EventData::new_u64(token));
            let changed = if slot.is_off {
                epoll::add(epoll, socket, data, interest.flags())
            } else {
                epoll::modify(epoll, socket, data, interest.flags())
            };
            if let Err(error) = changed {
                return Err((connection, error));
            }
            slot.is_off = false;
            slot.interest = interest;
        }
        slot.connection = Some(connection);
        Ok(())
    }

    /// Threads were stuck in it again and again; it is told once.
    pub(super) fn is_slow(&mut self, token: u64) -> bool {
        let slot = self.slots.get_mut(&token);
        slot.is_some_and(|slot| std::mem::take(&mut slot.is_slow))
    }

    /// Waits for it no more.
    pub(super) fn forget(&mut self, epoll: &OwnedFd, token: u64) {
        if let Some(slot) = self.slots.remove(&token) {
            // Fails only for a socket that is not there, which is what is wanted.
            let _ = epoll::delete(epoll, slot.socket.as_fd());
        }
    }

    /// Begins another shift: nothing is told any more of the connection that the old one is stuck in.
    pub(super) fn next_shift(&mut self, epoll: &OwnedFd) -> Arc<Shift> {
        let token = self.shift.token.load(Ordering::Relaxed);
        if let Some(slot) = self.slots.get_mut(&token)
            && slot.connection.is_none()
        {
            // Not only without interest: a peer that goes away would be told over and over.
            slot.is_off = epoll::delete(epoll, slot.socket.as_fd()).is_ok();
            let now = Instant::now();
            let last = slot.stuck_at.replace(now);
            slot.is_slow = last.is_some_and(|last| now.duration_since(last) < LATELY);
        }
        self.shift = Arc::default();
        Arc::clone(&self.shift)
    }

    /// All tokens, those of data connections first.
    pub(super) fn tokens(&self) -> Vec<u64> {
        let mut tokens: Vec<_> = self.slots.keys().copied().collect();
        tokens.sort_by_key(|token| !is_data(*token));
        tokens
    }
}
