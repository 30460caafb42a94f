//! How other threads reach the thread that serves a viewer.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{EventfdFlags, eventfd};

/// A descriptor that becomes readable when there may be news.
#[derive(Debug)]
pub(super) struct Mailbox {
    wake: OwnedFd,
    /// It is readable, or about to be.
    rang: AtomicBool,
    stop: AtomicBool,
}

/// Tells a viewer's thread that there may be news.
#[derive(Clone, Debug)]
pub(crate) struct Waker(Arc<Mailbox>);

impl Mailbox {
    pub(super) fn new() -> std::io::Result<Arc<Self>> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Arc::new(Self {
            wake,
            rang: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        }))
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.ring();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// It became readable; what it told is looked at after this.
    pub(super) fn clear(&self) {
        // First this: who rings in between writes nothing, but is looked at as well.
        let _ = rustix::io::read(&self.wake, &mut [0; 8]);
        self.rang.store(false, Ordering::SeqCst);
    }

    #[cfg(test)]
    pub(super) fn has_rung(&self) -> bool {
        self.rang.load(Ordering::SeqCst)
    }

    fn ring(&self) {
        if !self.rang.swap(true, Ordering::SeqCst) {
            // Full means that it is readable already.
            let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
        }
    }
}

impl Waker {
    pub(super) fn new(mailbox: &Arc<Mailbox>) -> Self {
        Self(Arc::clone(mailbox))
    }

    pub(super) fn wake(&self) {
        self.0.ring();
    }
}

/// Those who wait for the same thing.
#[derive(Debug, Default)]
pub(super) struct Wakers(Vec<Waker>);

impl Wakers {
    /// Adds one, unless it waits already.
    pub(super) fn add(&mut self, waker: &Waker) {
        if !self
            .0
            .iter()
            .any(|waiting| Arc::ptr_eq(&waiting.0, &waker.0))
        {
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
