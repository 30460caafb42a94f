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
    /// Of the one that goes on after it, if any.
    behind: AtomicU64,
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

    /// This connection goes on after those that are served next; [`WAKE`]: none does any more.
    pub(super) fn set_behind(&self, token: u64) {
        self.behind.store(token, Ordering::Relaxed);
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
        mut connection: Connection,
    ) -> Result<(), (Connection, Errno)> {
        self.count += 1;
        let kind = u64::from(matches!(connection, Connection::Data(_)));
        let token = WAKE + 2 * self.count + kind;
        connection.set_token(token);
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

    /// Begins another shift: nothing is told any more of the connection that the old one is stuck in, nor of
    /// the one that waits for it.
    pub(super) fn next_shift(&mut self, epoll: &OwnedFd) -> Arc<Shift> {
        let token = self.shift.token.load(Ordering::Relaxed);
        let behind = self.shift.behind.load(Ordering::Relaxed);
        self.turn_off(epoll, behind);
        if let Some(slot) = self.turn_off(epoll, token) {
            let now = Instant::now();
            let last = slot.stuck_at.replace(now);
            slot.is_slow = last.is_some_and(|last| now.duration_since(last) < LATELY);
        }
        self.shift = Arc::default();
        Arc::clone(&self.shift)
    }

    /// Nothing is told any more of a connection that is being served.
    fn turn_off(&mut self, epoll: &OwnedFd, token: u64) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(&token)?;
        if slot.connection.is_some() {
            return None;
        }
        // Not only without interest: a peer that goes away would be told over and over.
        slot.is_off |= epoll::delete(epoll, slot.socket.as_fd()).is_ok();
        Some(slot)
    }

    /// All tokens, those of data connections first.
    pub(super) fn tokens(&self) -> Vec<u64> {
        let mut tokens: Vec<_> = self.slots.keys().copied().collect();
        tokens.sort_by_key(|token| !is_data(*token));
        tokens
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::io::Write;
    use std::net::TcpListener;

    use rustix::buffer::spare_capacity;
    use rustix::event::Timespec;

    use super::super::WorkerId;
    use super::*;
    use crate::data::DataConnection;

    /// Tokens that are ready now.
    fn ready(epoll: &OwnedFd) -> HashSet<u64> {
        let mut events = Vec::with_capacity(8);
        epoll::wait(
            epoll,
            spare_capacity(&mut events),
            Some(&Timespec::default()),
        )
        .unwrap();
        events.iter().map(|event| event.data.u64()).collect()
    }

    #[test]
    fn nothing_is_told_of_who_is_stuck_and_of_who_goes_on_after_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let mut set = Set::new();
        let mut peers = Vec::new();
        for _ in 0..3 {
            let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (socket, address) = listener.accept().unwrap();
            peer.write_all(b"x").unwrap();
            // It has arrived.
            socket.peek(&mut [0]).unwrap();
            let connection = DataConnection::new(Arc::new(socket), address, WorkerId(0));
            set.add(&epoll, Connection::Data(Box::new(connection)))
                .unwrap();
            peers.push(peer);
        }
        let all: HashSet<_> = set.tokens().into_iter().collect();
        assert_eq!(ready(&epoll), all);
        let [behind, stuck, other] = set.tokens()[..] else {
            panic!("there are three")
        };
        let mut taken: Vec<_> = [behind, stuck]
            .into_iter()
            .map(|token| (token, set.take(token).unwrap()))
            .collect();
        set.shift.set_behind(behind);
        set.shift.begin(stuck);
        set.next_shift(&epoll);
        assert_eq!(ready(&epoll), HashSet::from([other]));
        for (token, connection) in taken.drain(..) {
            set.put_back(&epoll, token, connection, Interest::Read)
                .unwrap();
        }
        assert_eq!(ready(&epoll), all);
    }
}
