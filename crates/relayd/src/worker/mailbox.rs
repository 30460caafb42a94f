//! How others reach a worker.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::event::{EventfdFlags, eventfd};

use super::connection::Connection;

/// Connections that are to be served, and a descriptor that becomes readable when there is something.
#[derive(Debug)]
pub(super) struct Mailbox {
    wake: OwnedFd,
    newcomers: Mutex<Vec<Connection>>,
    sweep: AtomicBool,
}

impl Mailbox {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            newcomers: Mutex::default(),
            sweep: AtomicBool::new(false),
        })
    }

    pub(super) fn deliver(&self, connection: Connection) {
        self.newcomers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(connection);
        self.wake();
    }

    pub(super) fn ask_for_sweep(&self) {
        self.sweep.store(true, Ordering::SeqCst);
        self.wake();
    }

    pub(super) fn wake(&self) {
        // Full means that it is awake already.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    /// What is there: new connections, and whether a sweep was asked for.
    pub(super) fn empty(&self) -> (Vec<Connection>, bool) {
        let mut count = [0; 8];
        let _ = rustix::io::read(&self.wake, &mut count);
        let newcomers = std::mem::take(
            &mut *self
                .newcomers
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        (newcomers, self.sweep.swap(false, Ordering::SeqCst))
    }
}

impl AsFd for Mailbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}
