//! Finds workers whose thread is stuck in one connection, for instance in a write to a slow disk, and gives
//! them another thread. So one session delays no other, without a thread for each session. A
//! connection that is stuck again and again is left to a thread of its own: see [`super::thread::Worker`].
//!
//! It looks every 10 ms while anything happens, and not at all while nothing does.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use super::{Shared, WorkerId};

/// Between two looks.
const TICK: Duration = Duration::from_millis(10);
/// A thread that does one thing for so many looks after the first is stuck. (Or there was no processor for it:
/// then another thread does no harm.)
const LOOKS: u32 = 3;

/// How threads tell the sentinel that something happens.
#[derive(Debug, Default)]
pub(super) struct Bell {
    asleep: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Bell {
    /// Something happens.
    pub(super) fn ring(&self) {
        if self.asleep.load(Ordering::SeqCst) && self.asleep.swap(false, Ordering::SeqCst) {
            self.wake();
        }
    }

    pub(super) fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

/// Starts it.
pub(super) fn start(shared: &Arc<Shared>) -> std::io::Result<JoinHandle<()>> {
    let of_thread = Arc::clone(shared);
    let thread = std::thread::Builder::new()
        .name("sentinel".to_owned())
        .spawn(move || watch(&of_thread))?;
    let _ = shared.bell.thread.set(thread.thread().clone());
    Ok(thread)
}

fn watch(shared: &Arc<Shared>) {
    let mut last = vec![Seen::default(); shared.workers.len()];
    while !shared.over.load(Ordering::SeqCst) {
        if look(shared, &mut last) {
            std::thread::park_timeout(TICK);
            continue;
        }
        // Whoever begins something after this rings; whoever began before is seen by the second look.
        shared.bell.asleep.store(true, Ordering::SeqCst);
        if !look(shared, &mut last) {
            while shared.bell.asleep.load(Ordering::SeqCst) && !shared.over.load(Ordering::SeqCst) {
                std::thread::park();
            }
        }
        shared.bell.asleep.store(false, Ordering::SeqCst);
    }
}

/// What a worker did at the last look.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    beat: u64,
    /// For how many looks it has been the same.
    looks: u32,
}

/// Looks after all workers once; `false`: nothing happens.
fn look(shared: &Arc<Shared>, last: &mut [Seen]) -> bool {
    let mut something = false;
    for (id, seen) in last.iter_mut().enumerate() {
        let id = WorkerId(id);
        let beat = shared.worker(id).lock().shift.beat();
        let is_busy = !beat.is_multiple_of(2);
        something |= is_busy || beat != seen.beat;
        let looks = match beat == seen.beat {
            true => seen.looks + 1,
            false => 0,
        };
        *seen = Seen { beat, looks };
        if is_busy && looks >= LOOKS {
            shared.take_over(id, beat);
            *seen = Seen::default();
        }
    }
    something
}
