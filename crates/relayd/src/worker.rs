//! Worker threads. A worker is an epoll set and the connections in it; a session's connections are all with
//! one worker. One thread serves a worker, unless that is stuck: see [`sentinel`].

mod connection;
mod mailbox;
mod sentinel;
mod set;
mod thread;

use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::event::epoll::EventFlags;

use self::connection::Connection;
use self::sentinel::Bell;
use self::set::Shift;
use self::thread::Worker;
pub(crate) use self::thread::{Scratch, Turn};
use crate::control::ControlConnection;
use crate::data::DataConnection;
use crate::pulse::ILL_AFTER;
use crate::relay::Relay;

/// The token of the mailbox; connections count from 1.
const WAKE: u64 = 0;
/// Threads at once, those that are stuck included. More sessions that wait for their disks at the same
/// time delay others.
const MOST_THREADS: usize = 128;
/// How long the end of the daemon waits for threads that are stuck.
const STOP_PATIENCE: Duration = Duration::from_secs(3);

/// What a connection wants after its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Wait(Interest),
    /// Be served by another worker, where what it shares data with is served.
    MoveTo(WorkerId),
    /// Go on when the control connection of this token had its turn: only in [`Turn::OfRound`].
    GoOnAfter(u64),
    Close,
}

/// One of the workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WorkerId(usize);

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    Read,
    Write,
    ReadWrite,
}

impl Interest {
    fn flags(self) -> EventFlags {
        match self {
            Self::Read => EventFlags::IN,
            Self::Write => EventFlags::OUT,
            Self::ReadWrite => EventFlags::IN | EventFlags::OUT,
        }
    }

    fn poll_flags(self) -> PollFlags {
        match self {
            Self::Read => PollFlags::IN,
            Self::Write => PollFlags::OUT,
            Self::ReadWrite => PollFlags::IN | PollFlags::OUT,
        }
    }
}

/// Which port a connection came in on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Control,
    Data,
}

/// What all threads share.
#[derive(Debug)]
struct Shared {
    relay: Arc<Relay>,
    workers: Vec<Worker>,
    bell: Bell,
    /// Threads end when they see it.
    stop: AtomicBool,
    /// All that will end have ended.
    over: AtomicBool,
    threads: Mutex<usize>,
    thread_left: Condvar,
    /// Somebody was told that there are too many threads.
    told: AtomicBool,
}

/// All workers, seen from the accepting thread.
#[derive(Debug)]
pub(crate) struct Workers {
    shared: Arc<Shared>,
    sentinel: JoinHandle<()>,
    /// The next one for each kind: both come in turn, and what a session costs lies with the worker of
    /// its control connection.
    next: [usize; 2],
}

impl Workers {
    /// Starts `count` of them.
    pub(crate) fn start(count: usize, relay: &Arc<Relay>) -> std::io::Result<Self> {
        let workers = (0..count).map(|_| Worker::new());
        let shared = Arc::new(Shared {
            relay: Arc::clone(relay),
            workers: workers.collect::<Result<_, _>>()?,
            bell: Bell::default(),
            stop: AtomicBool::new(false),
            over: AtomicBool::new(false),
            threads: Mutex::new(0),
            thread_left: Condvar::new(),
            told: AtomicBool::new(false),
        });
        for (id, worker) in shared.workers.iter().enumerate() {
            let shift = Arc::clone(&worker.lock().shift);
            shared.start_thread(WorkerId(id), shift)?;
        }
        Ok(Self {
            sentinel: sentinel::start(&shared)?,
            shared,
            next: [0; 2],
        })
    }

    /// For who wants to know how they are.
    pub(crate) fn watch(&self) -> Watch {
        Watch(Arc::clone(&self.shared))
    }

    /// Gives a connection to one of them, in turn.
    pub(crate) fn assign(&mut self, kind: Kind, socket: Arc<TcpStream>, address: SocketAddr) {
        let next = &mut self.next[kind as usize];
        let worker = WorkerId(*next);
        *next = (*next + 1) % self.shared.workers.len();
        let relay = &self.shared.relay;
        self.shared.worker(worker).mailbox.deliver(match kind {
            Kind::Control => {
                let connection = ControlConnection::new(socket, address, worker, relay);
                Connection::Control(Box::new(connection))
            }
            Kind::Data => Connection::Data(Box::new(DataConnection::new(socket, address, worker))),
        });
    }

    /// Has a worker call [`Relay::sweep`], which may wait for a disk.
    pub(crate) fn sweep(&self) {
        if let Some(worker) = self.shared.workers.first() {
            worker.mailbox.ask_for_sweep();
        }
    }

    /// Stops all workers; their connections are over then, but for those that somebody is stuck in.
    pub(crate) fn stop(self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for worker in &self.shared.workers {
            worker.mailbox.wake();
        }
        let stuck = self.shared.wait_for_threads();
        if stuck > 0 {
            tracing::error!("{stuck} threads still wait for a disk after {STOP_PATIENCE:?}");
        }
        self.shared.over.store(true, Ordering::SeqCst);
        self.shared.bell.wake();
        if self.sentinel.join().is_err() {
            tracing::error!("the sentinel thread panicked");
        }
    }
}

/// How the workers are, seen from elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct Watch(Arc<Shared>);

impl Watch {
    /// Connections at present.
    pub(crate) fn connections(&self) -> usize {
        self.0.relay.pool.sockets()
    }

    /// All come round.
    pub(crate) fn are_well(&self) -> bool {
        let mut workers = self.0.workers.iter();
        workers.all(|worker| worker.pulse.busy_for() < ILL_AFTER)
    }
}

impl Shared {
    fn worker(&self, worker: WorkerId) -> &Worker {
        // Ids are made from positions in it.
        &self.workers[worker.0]
    }

    /// Something begins that may take long.
    fn begin(&self, shift: &Shift, token: u64) {
        shift.begin(token);
        self.bell.ring();
    }

    /// Another thread serves this worker, if it is still stuck in the same thing.
    fn take_over(self: &Arc<Self>, id: WorkerId, beat: u64) {
        let worker = self.worker(id);
        if *self.count() >= MOST_THREADS {
            if !self.told.swap(true, Ordering::Relaxed) {
                tracing::error!(
                    "{MOST_THREADS} threads wait for disks: sessions have to wait for each other"
                );
            }
            return;
        }
        let mut set = worker.lock();
        if set.shift.beat() != beat {
            return;
        }
        let stuck = Arc::clone(&set.shift);
        let shift = set.next_shift(&worker.epoll);
        if let Err(error) = self.start_thread(id, shift) {
            tracing::error!("cannot start another thread: {error}");
            // It goes on when it is no more stuck.
            set.shift = stuck;
        }
    }

    fn start_thread(self: &Arc<Self>, id: WorkerId, shift: Arc<Shift>) -> std::io::Result<()> {
        *self.count() += 1;
        let shared = Arc::clone(self);
        let started = std::thread::Builder::new()
            .name(format!("worker-{}", id.0))
            .spawn(move || {
                let _present = Present(&shared);
                shared.worker(id).run(&shared, &shift);
            });
        if started.is_err() {
            *self.count() -= 1;
        }
        started.map(drop)
    }

    /// Waits until all threads are gone; how many are not.
    fn wait_for_threads(&self) -> usize {
        let (count, _) = self
            .thread_left
            .wait_timeout_while(self.count(), STOP_PATIENCE, |count| *count > 0)
            .unwrap_or_else(PoisonError::into_inner);
        *count
    }

    fn count(&self) -> MutexGuard<'_, usize> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread that is counted, until it ends, however it does.
struct Present<'a>(&'a Shared);

impl Drop for Present<'_> {
    fn drop(&mut self) {
        *self.0.count() -= 1;
        self.0.thread_left.notify_all();
    }
}
