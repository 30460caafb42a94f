//! All sessions there are, for who asks what the daemon does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use relay::RelaySessionId;

use crate::counters::{Counters, Counts, Errors};
use crate::session::Session;

/// See the module.
#[derive(Debug)]
pub(crate) struct Register {
    started: Instant,
    sessions: Mutex<Sessions>,
    pub(crate) errors: Errors,
}

#[derive(Debug, Default)]
struct Sessions {
    open: BTreeMap<RelaySessionId, Open>,
    created: u64,
    /// Of those that are over.
    past: Counts,
}

#[derive(Debug)]
struct Open {
    session: Weak<Session>,
    counters: Arc<Counters>,
}

/// What the daemon does and has done.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) uptime_s: u64,
    pub(crate) sessions_created: u64,
    pub(crate) sessions: Vec<Arc<Session>>,
    /// Of all sessions, past ones too.
    pub(crate) total: Counts,
}

impl Register {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            sessions: Mutex::default(),
            errors: Errors::default(),
        }
    }

    pub(crate) fn add(&self, session: &Arc<Session>) {
        let mut sessions = self.lock();
        sessions.created += 1;
        let open = Open {
            session: Arc::downgrade(session),
            counters: Arc::clone(&session.counters),
        };
        sessions.open.insert(session.id, open);
    }

    /// A session is over: what it did stays.
    pub(crate) fn remove(&self, id: RelaySessionId) {
        let mut sessions = self.lock();
        if let Some(open) = sessions.open.remove(&id) {
            sessions.past.add(&open.counters.now());
        }
    }

    pub(crate) fn summary(&self) -> Summary {
        let sessions = self.lock();
        let mut total = sessions.past;
        for open in sessions.open.values() {
            total.add(&open.counters.now());
        }
        let open = sessions.open.values();
        Summary {
            uptime_s: self.started.elapsed().as_secs(),
            sessions_created: sessions.created,
            // Dropped by the caller, without the lock: a session that goes then asks for it.
            sessions: open.filter_map(|open| open.session.upgrade()).collect(),
            total,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
