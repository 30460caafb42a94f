//! How other threads reach the thread that serves a viewer.

use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{EventfdFlags, eventfd};

/// Names a viewer connection within its thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Token(pub(super) u64);

/// One thread's.
#[derive(Debug)]
pub(super) struct Mailbox {
    wake: OwnedFd,
    letters: Mutex<Letters>,
    stop: AtomicBool,
}

/// What came since the last look.
#[derive(Debug, Default)]
pub(super) struct Letters {
    /// Accepted connections.
    pub(super) newcomers: Vec<(TcpStream, SocketAddr)>,
    /// Connections for which there may be news.
    pub(super) woken: Vec<Token>,
}

/// Tells one connection that there may be news.
#[derive(Clone, Debug)]
pub(crate) struct Waker {
    mailbox: Arc<Mailbox>,
    token: Token,
}

impl Mailbox {
    pub(super) fn new() -> std::io::Result<Arc<Self>> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Arc::new(Self {
            wake,
            letters: Mutex::default(),
            stop: AtomicBool::new(false),
        }))
    }

    /// Becomes readable when there is something.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    pub(super) fn deliver(&self, socket: TcpStream, address: SocketAddr) {
        self.lock().newcomers.push((socket, address));
        self.ring();
    }

    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.ring();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Takes everything out.
    pub(super) fn take(&self) -> Letters {
        let mut count = [0; 8];
        let _ = rustix::io::read(&self.wake, &mut count);
        std::mem::take(&mut self.lock())
    }

    fn ring(&self) {
        // Full means that it is awake already.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    fn lock(&self) -> MutexGuard<'_, Letters> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waker {
    pub(super) fn new(mailbox: &Arc<Mailbox>, token: Token) -> Self {
        Self {
            mailbox: Arc::clone(mailbox),
            token,
        }
    }

    pub(super) fn wake(&self) {
        self.mailbox.lock().woken.push(self.token);
        self.mailbox.ring();
    }

    fn is(&self, other: &Self) -> bool {
        self.token == other.token && Arc::ptr_eq(&self.mailbox, &other.mailbox)
    }
}

/// Those who wait for the same thing.
#[derive(Debug, Default)]
pub(super) struct Wakers(Vec<Waker>);

impl Wakers {
    /// Adds one, unless it waits already.
    pub(super) fn add(&mut self, waker: &Waker) {
        if !self.0.iter().any(|waiting| waiting.is(waker)) {
            self.0.push(waker.clone());
        }
    }

    /// Wakes all; none waits any more.
    pub(super) fn wake(&mut self) {
        for waker in self.0.drain(..) {
            waker.wake();
        }
    }
}
