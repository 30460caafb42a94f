//! What a thread does that serves a worker.

use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{PollFd, Timespec, poll};
use rustix::io::Errno;

use super::connection::Connection;
use super::mailbox::Mailbox;
use super::set::{Set, Shift, is_data};
use super::{Outcome, Shared, WAKE};
use crate::pipe::Pipe;
use crate::pulse::Pulse;

/// Events taken from the kernel at once.
const EVENTS: usize = 512;
/// The scratch buffer for reads, one per thread. benches/README.md has figures of other sizes.
const READ_BUFFER: usize = 512 * 1024;
/// A turn that takes longer is slow. (Less may be for want of a processor.)
const QUICK: Duration = Duration::from_millis(10);
/// A connection that was slow is served together with others again when it was quick for so long.
const QUICK_FOR: Duration = Duration::from_secs(1);

/// What a thread lends to the connection that it serves.
#[derive(Debug)]
pub(crate) struct Scratch {
    pub(crate) buffer: Vec<u8>,
    pub(crate) pipe: Option<Pipe>,
    pub(crate) turn: Turn,
}

/// When a connection is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// With all others that are ready.
    OfRound,
    /// In the middle of a turn of its session's data connection.
    Between,
    /// By a thread of its own.
    Alone,
    /// No data connection has its turn after this.
    Last,
}

/// An epoll set and the connections in it. One thread serves them, all that are ready per wake-up, those of
/// data last; when it is stuck in one of them, another thread takes over the others. When that is not the first
/// time, the stuck thread then serves that connection alone, until it is quick again.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) mailbox: Mailbox,
    pub(super) epoll: OwnedFd,
    pub(super) pulse: Pulse,
    set: Mutex<Set>,
}

impl Worker {
    pub(super) fn new() -> std::io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mailbox = Mailbox::new()?;
        epoll::add(&epoll, &mailbox, EventData::new_u64(WAKE), EventFlags::IN)?;
        Ok(Self {
            mailbox,
            epoll,
            pulse: Pulse::default(),
            set: Mutex::new(Set::new()),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Set> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves until the daemon stops or another thread has taken over.
    pub(super) fn run(&self, shared: &Shared, shift: &Arc<Shift>) {
        let mut scratch = Scratch {
            buffer: vec![0; READ_BUFFER],
            pipe: Pipe::new(&shared.relay.pool),
            turn: Turn::OfRound,
        };
        let mut events = Vec::with_capacity(EVENTS);
        while !shared.stop.load(Ordering::SeqCst) {
            events.clear();
            self.pulse.ends();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => {
                    tracing::error!("cannot wait for events: {error}");
                    break;
                }
            }
            self.pulse.begins();
            let tokens = || events.iter().map(|event| event.data.u64());
            let control = tokens().filter(|token| !is_data(*token));
            // Last: peers get their replies, and the next packets ready, while we write these.
            let data = tokens().filter(|token| is_data(*token));
            for token in control.chain(data) {
                let goes_on = match token {
                    WAKE => self.welcome(shared, shift),
                    token => self.serve(shared, shift, token, &mut scratch),
                };
                if !goes_on {
                    return;
                }
            }
        }
        self.finish(shared, shift, &mut scratch);
    }

    /// Takes in what was delivered; `false`: this shift is over.
    fn welcome(&self, shared: &Shared, shift: &Arc<Shift>) -> bool {
        let (newcomers, sweep) = self.mailbox.empty();
        shared.begin(shift, WAKE);
        for connection in newcomers {
            let added = self.lock().add(&self.epoll, connection);
            if let Err((connection, error)) = added {
                tracing::error!(peer = connection.name(), "connection: {error}");
                connection.end(&shared.relay);
            }
        }
        if sweep {
            shared.relay.sweep(None);
        }
        shift.end();
        self.is_mine(shift)
    }

    /// Serves a connection that is ready; `false`: this shift is over.
    fn serve(
        &self,
        shared: &Shared,
        shift: &Arc<Shift>,
        token: u64,
        scratch: &mut Scratch,
    ) -> bool {
        let mut set = self.lock();
        if !Arc::ptr_eq(&set.shift, shift) {
            return false;
        }
        // Gone earlier in the same batch of events, or somebody is stuck in it.
        let Some(mut connection) = set.take(token) else {
            return true;
        };
        drop(set);
        shared.begin(shift, token);
        let mut outcome = connection.serve(&shared.relay, scratch);
        while let Outcome::GoOnAfter(control) = outcome {
            shift.set_behind(token);
            shift.end();
            self.serve_between(shared, shift, control, scratch);
            shared.begin(shift, token);
            shift.set_behind(WAKE);
            outcome = connection.serve(&shared.relay, scratch);
        }
        if !self.is_mine(shift) && self.lock().is_slow(token) {
            outcome = serve_alone(shared, &mut connection, outcome, scratch);
        }
        let is_mine = self.settle(shared, shift, token, connection, outcome);
        shift.end();
        is_mine
    }

    /// Serves a control connection in the middle of a turn of its session's data connection, unless it is
    /// somebody else's business now.
    fn serve_between(
        &self,
        shared: &Shared,
        shift: &Arc<Shift>,
        token: u64,
        scratch: &mut Scratch,
    ) {
        let mut set = self.lock();
        if !Arc::ptr_eq(&set.shift, shift) {
            return;
        }
        let Some(mut connection) = set.take(token) else {
            return;
        };
        drop(set);
        shared.begin(shift, token);
        scratch.turn = Turn::Between;
        let outcome = connection.serve(&shared.relay, scratch);
        scratch.turn = Turn::OfRound;
        self.settle(shared, shift, token, connection, outcome);
        shift.end();
    }

    /// Does what the connection wants after its turn.
    fn settle(
        &self,
        shared: &Shared,
        shift: &Arc<Shift>,
        token: u64,
        connection: Connection,
        outcome: Outcome,
    ) -> bool {
        let mut set = self.lock();
        let is_mine = Arc::ptr_eq(&set.shift, shift);
        // Those who took over may have ended all connections already.
        let is_over = !is_mine && shared.stop.load(Ordering::SeqCst);
        let to_end = match outcome {
            Outcome::Wait(interest) if !is_over => {
                match set.put_back(&self.epoll, token, connection, interest) {
                    Ok(()) => return is_mine,
                    Err((connection, error)) => {
                        tracing::error!(peer = connection.name(), "connection: {error}");
                        connection
                    }
                }
            }
            Outcome::MoveTo(worker) if !is_over => {
                set.forget(&self.epoll, token);
                drop(set);
                shared.worker(worker).mailbox.deliver(connection);
                return is_mine;
            }
            _ => connection,
        };
        set.forget(&self.epoll, token);
        drop(set);
        to_end.end(&shared.relay);
        self.is_mine(shift)
    }

    fn is_mine(&self, shift: &Arc<Shift>) -> bool {
        Arc::ptr_eq(&self.lock().shift, shift)
    }

    /// Takes in what has arrived, once, and ends all connections. Data first, so that the indexes that
    /// follow find their packets.
    fn finish(&self, shared: &Shared, shift: &Arc<Shift>, scratch: &mut Scratch) {
        if !self.welcome(shared, shift) {
            return;
        }
        scratch.turn = Turn::Last;
        let tokens = self.lock().tokens();
        for token in &tokens {
            if !self.serve(shared, shift, *token, scratch) {
                return;
            }
        }
        for token in tokens {
            let mut set = self.lock();
            let connection = set.take(token);
            set.forget(&self.epoll, token);
            drop(set);
            if let Some(connection) = connection {
                shared.begin(shift, token);
                connection.end(&shared.relay);
                shift.end();
            }
            if !self.is_mine(shift) {
                return;
            }
        }
    }
}

/// Serves only this one, which took long, until it has been quick for a while: until then it would keep
/// others waiting again and again.
fn serve_alone(
    shared: &Shared,
    connection: &mut Connection,
    mut outcome: Outcome,
    scratch: &mut Scratch,
) -> Outcome {
    let before = std::mem::replace(&mut scratch.turn, Turn::Alone);
    let mut quick_since = Instant::now();
    while let Outcome::Wait(interest) = outcome {
        let left = QUICK_FOR.saturating_sub(quick_since.elapsed());
        if left.is_zero() || shared.stop.load(Ordering::SeqCst) {
            break;
        }
        let mut ready = [PollFd::new(&**connection.socket(), interest.poll_flags())];
        let timeout = Timespec::try_from(left).ok();
        match poll(&mut ready, timeout.as_ref()) {
            Ok(0) | Err(_) => continue,
            Ok(_) => {}
        }
        let begin = Instant::now();
        outcome = connection.serve(&shared.relay, scratch);
        if begin.elapsed() > QUICK {
            quick_since = Instant::now();
        }
    }
    scratch.turn = before;
    outcome
}
