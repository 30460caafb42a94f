//! A thread for each viewer: whatever a viewer does, and however slow the disk is that it reads from, targets and
//! other viewers go on.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::connection::{Turn, ViewerConnection};
use super::mailbox::{Mailbox, Waker};
use crate::pool::Holder;
use crate::pulse::{ILL_AFTER, Pulse};
use crate::relay::Relay;

/// Viewers at once: they must not push the targets out.
const MAX_VIEWERS: usize = 1024;
/// A viewer's thread needs little more than the entries of one list.
const STACK: usize = 256 * 1024;
/// How long the end of the daemon waits for viewers whose disk is stuck.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// All of them, seen from the accepting thread.
#[derive(Debug)]
pub(crate) struct Viewers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    relay: Arc<Relay>,
    present: Mutex<Present>,
    left: Condvar,
}

/// Those that are there, by the numbers they are told.
#[derive(Debug, Default)]
struct Present {
    mailboxes: HashMap<u64, (Arc<Mailbox>, Arc<Pulse>)>,
    last: u64,
}

/// Why a viewer is not served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotServedError {
    #[error("{MAX_VIEWERS} viewers are connected already")]
    TooMany,
    #[error("the limit of descriptors leaves no room for more")]
    NoRoom,
    #[error("cannot start a thread for it: {0}")]
    System(#[from] std::io::Error),
}

impl Viewers {
    pub(crate) fn new(relay: &Arc<Relay>) -> Self {
        Self(Arc::new(Shared {
            relay: Arc::clone(relay),
            present: Mutex::default(),
            left: Condvar::new(),
        }))
    }

    /// Serves a connection from now on.
    pub(crate) fn serve(
        &self,
        socket: TcpStream,
        address: SocketAddr,
    ) -> Result<(), NotServedError> {
        let place = VacantPlace::take(&self.0)?;
        let mailbox = Mailbox::new()?;
        let pulse = Arc::new(Pulse::default());
        let id = {
            let mut present = self.0.lock();
            present.last += 1;
            let id = present.last;
            let told = (Arc::clone(&mailbox), Arc::clone(&pulse));
            present.mailboxes.insert(id, told);
            id
        };
        let guest = Guest { place, id };
        let thread = std::thread::Builder::new()
            .name(format!("viewer-{id}"))
            .stack_size(STACK);
        thread.spawn(move || {
            let connection = ViewerConnection::new(socket, address, id);
            run(&guest.place.0.relay, connection, &mailbox, &pulse);
            tracing::info!(peer = %address, "viewer is gone");
            drop(guest);
        })?;
        Ok(())
    }

    /// For who wants to know how many there are.
    pub(crate) fn watch(&self) -> ViewersWatch {
        ViewersWatch(Arc::clone(&self.0))
    }

    /// Ends all connections.
    pub(crate) fn stop(self) {
        let end = Instant::now() + STOP_PATIENCE;
        let mut present = self.0.lock();
        for (mailbox, _) in present.mailboxes.values() {
            mailbox.stop();
        }
        while !present.mailboxes.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                tracing::error!(
                    "{} viewers have not ended within {STOP_PATIENCE:?}",
                    present.mailboxes.len()
                );
                return;
            }
            present = match self.0.left.wait_timeout(present, left) {
                Ok((present, _)) => present,
                Err(error) => error.into_inner().0,
            };
        }
    }
}

/// The viewers, seen from elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct ViewersWatch(Arc<Shared>);

impl ViewersWatch {
    /// How many are connected.
    pub(crate) fn connections(&self) -> usize {
        self.0.lock().mailboxes.len()
    }

    /// All come round.
    pub(crate) fn are_well(&self) -> bool {
        let present = self.0.lock();
        let mut viewers = present.mailboxes.values();
        viewers.all(|(_, pulse)| pulse.busy_for() < ILL_AFTER)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Present> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room for the two descriptors of a viewer.
struct VacantPlace(Arc<Shared>);

impl VacantPlace {
    fn take(shared: &Arc<Shared>) -> Result<Self, NotServedError> {
        if shared.lock().mailboxes.len() >= MAX_VIEWERS {
            return Err(NotServedError::TooMany);
        }
        if !shared.relay.pool.admit(Holder::Viewer) {
            return Err(NotServedError::NoRoom);
        }
        Ok(Self(Arc::clone(shared)))
    }
}

impl Drop for VacantPlace {
    fn drop(&mut self) {
        self.0.relay.pool.left(Holder::Viewer);
    }
}

/// A viewer that is present.
struct Guest {
    place: VacantPlace,
    id: u64,
}

impl Drop for Guest {
    fn drop(&mut self) {
        let shared = &self.place.0;
        shared.lock().mailboxes.remove(&self.id);
        shared.left.notify_all();
    }
}

/// Serves one viewer to its end.
fn run(relay: &Relay, mut connection: ViewerConnection, mailbox: &Arc<Mailbox>, pulse: &Pulse) {
    let waker = Waker::new(mailbox);
    while !mailbox.is_stopped() {
        pulse.begins();
        let (flags, due) = match connection.serve(relay, &waker) {
            Turn::Read(due) => (PollFlags::IN, due),
            Turn::Write => (PollFlags::OUT, None),
            Turn::Again => continue,
            Turn::Close => return,
        };
        let timeout = due
            .map(|due| due.saturating_duration_since(Instant::now()))
            .and_then(|left| Timespec::try_from(left).ok());
        let mut ready = [
            PollFd::new(connection.socket(), flags),
            PollFd::from_borrowed_fd(mailbox.as_fd(), PollFlags::IN),
        ];
        pulse.ends();
        match poll(&mut ready, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => {
                tracing::error!(peer = %connection.address(), "cannot wait for a viewer: {error}");
                return;
            }
        }
        if !ready[1].revents().is_empty() {
            mailbox.clear();
        }
    }
}
