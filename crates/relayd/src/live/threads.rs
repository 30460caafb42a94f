//! The threads that serve viewers. They are not those of the targets: whatever a viewer does, the data go on.

use std::collections::{BTreeSet, HashMap};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;

use super::connection::{Turn, ViewerConnection};
use super::mailbox::{Mailbox, Token, Waker};
use crate::relay::Relay;

/// Events taken from the kernel at once.
const EVENTS: usize = 256;
/// The token of the mailbox; viewers count from 1.
const MAILBOX: u64 = 0;

/// All of them, seen from the accepting thread.
#[derive(Debug)]
pub(crate) struct Viewers {
    shared: Arc<Shared>,
    mailboxes: Vec<Arc<Mailbox>>,
    threads: Vec<JoinHandle<()>>,
    next: usize,
}

#[derive(Debug)]
struct Shared {
    relay: Arc<Relay>,
    connections: AtomicUsize,
    next_id: AtomicU64,
}

impl Shared {
    /// A viewer is gone.
    fn left(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
        self.relay.pool.socket_left();
    }
}

impl Viewers {
    /// Starts the threads.
    pub(crate) fn start(count: usize, relay: &Arc<Relay>) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            relay: Arc::clone(relay),
            connections: AtomicUsize::new(0),
            next_id: AtomicU64::new(1),
        });
        let mut viewers = Self {
            shared: Arc::clone(&shared),
            mailboxes: Vec::new(),
            threads: Vec::new(),
            next: 0,
        };
        for number in 0..count.max(1) {
            let mailbox = Mailbox::new()?;
            let thread = LiveThread::new(Arc::clone(&shared), Arc::clone(&mailbox))?;
            let builder = std::thread::Builder::new().name(format!("live-{number}"));
            viewers.threads.push(builder.spawn(move || thread.run())?);
            viewers.mailboxes.push(mailbox);
        }
        Ok(viewers)
    }

    /// Connections at present.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Gives a connection to one of them, in turn.
    pub(crate) fn assign(&mut self, socket: TcpStream, address: SocketAddr) {
        self.shared.connections.fetch_add(1, Ordering::Relaxed);
        // There is one at least.
        self.mailboxes[self.next].deliver(socket, address);
        self.next = (self.next + 1) % self.mailboxes.len();
    }

    /// Stops all threads; their connections are over then.
    pub(crate) fn stop(self) {
        for mailbox in &self.mailboxes {
            mailbox.stop();
        }
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the viewers panicked");
            }
        }
    }
}

/// One thread's state.
struct LiveThread {
    shared: Arc<Shared>,
    mailbox: Arc<Mailbox>,
    epoll: OwnedFd,
    connections: HashMap<Token, Slot>,
    next_token: u64,
    /// When held answers are due.
    due: BTreeSet<(Instant, Token)>,
    /// To be served again without waiting.
    again: Vec<Token>,
}

struct Slot {
    connection: ViewerConnection,
    waker: Waker,
    writing: bool,
    due: Option<Instant>,
}

impl LiveThread {
    fn new(shared: Arc<Shared>, mailbox: Arc<Mailbox>) -> std::io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let data = EventData::new_u64(MAILBOX);
        epoll::add(&epoll, mailbox.as_fd(), data, EventFlags::IN)?;
        Ok(Self {
            shared,
            mailbox,
            epoll,
            connections: HashMap::new(),
            next_token: MAILBOX + 1,
            due: BTreeSet::new(),
            again: Vec::new(),
        })
    }

    fn run(mut self) {
        let mut events = Vec::with_capacity(EVENTS);
        while !self.mailbox.is_stopped() {
            events.clear();
            let timeout = self.timeout();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => {
                    tracing::error!("cannot wait for viewers: {error}");
                    break;
                }
            }
            for token in std::mem::take(&mut self.again) {
                self.serve(token);
            }
            for event in &events {
                match event.data.u64() {
                    MAILBOX => self.read_letters(),
                    token => self.serve(Token(token)),
                }
            }
            self.serve_due();
        }
        for (_, slot) in self.connections.drain() {
            drop(slot);
            self.shared.left();
        }
    }

    fn timeout(&self) -> Option<Timespec> {
        let wait = if self.again.is_empty() {
            let (due, _) = self.due.first()?;
            due.saturating_duration_since(Instant::now())
        } else {
            Duration::ZERO
        };
        Timespec::try_from(wait).ok()
    }

    fn read_letters(&mut self) {
        let letters = self.mailbox.take();
        for (socket, address) in letters.newcomers {
            self.welcome(socket, address);
        }
        for token in letters.woken {
            // Only those that wait: an old waker of another stream may have called.
            if self
                .connections
                .get(&token)
                .is_some_and(|slot| slot.due.is_some())
            {
                self.serve(token);
            }
        }
    }

    fn welcome(&mut self, socket: TcpStream, address: SocketAddr) {
        let token = Token(self.next_token);
        self.next_token += 1;
        let data = EventData::new_u64(token.0);
        if let Err(error) = epoll::add(&self.epoll, socket.as_fd(), data, EventFlags::IN) {
            tracing::error!(peer = %address, "viewer: {error}");
            drop(socket);
            self.shared.left();
            return;
        }
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let slot = Slot {
            connection: ViewerConnection::new(socket, address, id),
            waker: Waker::new(&self.mailbox, token),
            writing: false,
            due: None,
        };
        self.connections.insert(token, slot);
    }

    fn serve_due(&mut self) {
        let now = Instant::now();
        while let Some((due, token)) = self.due.first().copied() {
            if due > now {
                return;
            }
            self.due.remove(&(due, token));
            self.serve(token);
        }
    }

    fn serve(&mut self, token: Token) {
        let Some(slot) = self.connections.get_mut(&token) else {
            return;
        };
        if let Some(due) = slot.due.take() {
            self.due.remove(&(due, token));
        }
        let writing = match slot.connection.serve(&self.shared.relay, &slot.waker) {
            Turn::Read(due) => {
                slot.due = due;
                self.due.extend(due.map(|due| (due, token)));
                false
            }
            Turn::Write => true,
            Turn::Again => {
                self.again.push(token);
                false
            }
            Turn::Close => return self.close(token),
        };
        if writing == slot.writing {
            return;
        }
        slot.writing = writing;
        let flags = if writing {
            EventFlags::OUT
        } else {
            EventFlags::IN
        };
        let data = EventData::new_u64(token.0);
        let socket = slot.connection.socket().as_fd();
        if let Err(error) = epoll::modify(&self.epoll, socket, data, flags) {
            tracing::error!(peer = %slot.connection.address(), "viewer: {error}");
            self.close(token);
        }
    }

    fn close(&mut self, token: Token) {
        if let Some(slot) = self.connections.remove(&token) {
            if let Some(due) = slot.due {
                self.due.remove(&(due, token));
            }
            // Fails only for a socket that is not there, which is what is wanted.
            let _ = epoll::delete(&self.epoll, slot.connection.socket().as_fd());
            tracing::info!(peer = %slot.connection.address(), "viewer is gone");
            drop(slot);
            self.shared.left();
        }
    }
}
