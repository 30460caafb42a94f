//! Traced applications: who they are, and how to make them do something.
//!
//! Each application has one task ([`actor`]) that owns both of its connections. Everybody else only knows
//! its [`App`]: a mailbox in which sessions leave word that something has changed. Nothing here waits for an
//! application, so one that hangs holds up nobody.

mod actor;
mod channel;
mod listener;
mod notify;
mod objects;
mod reconcile;
mod tracepoints;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout_at};
use tracing::warn;
use ust::Registration;

use crate::lock::lock;
use crate::session::{Session, SessionId};

pub(crate) use channel::SharedFd;
pub(crate) use listener::listen;
pub(crate) use tracepoints::ListedEvent;

/// How often a waiting command looks whether an application that does not answer was stopped.
const STATE_CHECK: Duration = Duration::from_millis(50);
/// How long a command waits for an application that runs but does not answer. It goes on with the
/// others then; the application does what is asked once it answers again.
const PATIENCE: Duration = Duration::from_secs(2);

/// Who the application is, from its registration and its socket's credentials.
#[derive(Clone, Debug)]
pub(crate) struct AppIdentity {
    /// Counts registrations: a process that executes another program registers again.
    pub id: u64,
    /// In our process namespace.
    pub pid: u32,
    /// User.
    pub uid: u32,
    /// What it said.
    pub registration: Registration,
    /// When it registered.
    pub registered: jiff::Zoned,
}

/// An application, as the rest of the daemon sees it.
#[derive(Debug)]
pub(crate) struct App {
    /// Who it is.
    pub identity: AppIdentity,
    mailbox: Mutex<Mailbox>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Mailbox {
    /// Sessions whose plan has changed, with who waits for the application to follow.
    sessions: BTreeMap<SessionId, (Arc<Session>, Vec<oneshot::Sender<()>>)>,
    lists: Vec<ListRequest>,
    closed: bool,
}

#[derive(Debug)]
struct ListRequest {
    with_fields: bool,
    answer: oneshot::Sender<Vec<ListedEvent>>,
}

impl App {
    fn new(identity: AppIdentity) -> Self {
        Self {
            identity,
            mailbox: Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// Leaves word that the session's plan has changed. The receiver resolves when the application has
    /// followed, or is gone.
    pub(crate) fn session_changed(&self, session: &Arc<Session>) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        let mut mailbox = lock(&self.mailbox);
        if !mailbox.closed {
            let entry = mailbox
                .sessions
                .entry(session.id)
                .or_insert_with(|| (session.clone(), Vec::new()));
            entry.1.push(sender);
            self.wake.notify_one();
        }
        receiver
    }

    /// Asks for the application's tracepoints.
    pub(crate) fn list_tracepoints(
        &self,
        with_fields: bool,
    ) -> oneshot::Receiver<Vec<ListedEvent>> {
        let (answer, receiver) = oneshot::channel();
        let mut mailbox = lock(&self.mailbox);
        if !mailbox.closed {
            mailbox.lists.push(ListRequest {
                with_fields,
                answer,
            });
            self.wake.notify_one();
        }
        receiver
    }

    /// Waits for an answer, but not for an application that is stopped (a signal, a debugger), and not
    /// beyond the deadline. `None`: it did not answer in time, or is gone.
    pub(crate) async fn patiently<T>(
        &self,
        mut answer: oneshot::Receiver<T>,
        deadline: Instant,
    ) -> Option<T> {
        loop {
            let until = deadline.min(Instant::now() + STATE_CHECK);
            match timeout_at(until, &mut answer).await {
                Ok(answer) => return answer.ok(),
                Err(_) if Instant::now() >= deadline || self.is_stopped() => {
                    warn!(
                        "application {} (pid {}) does not answer; not waiting for it",
                        self.identity.registration.name, self.identity.pid
                    );
                    return None;
                }
                Err(_) => {}
            }
        }
    }

    /// Whether the process is stopped or a zombie, so that it cannot answer.
    fn is_stopped(&self) -> bool {
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{}/stat", self.identity.pid)) else {
            return true;
        };
        // "PID (NAME) STATE …"; the name may hold anything.
        let state = stat
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.chars().next());
        matches!(state, Some('T' | 't' | 'Z' | 'X'))
    }
}

/// All registered applications.
#[derive(Debug, Default)]
pub(crate) struct Apps {
    by_id: Mutex<BTreeMap<u64, Arc<App>>>,
}

impl Apps {
    /// In order of registration.
    pub(crate) fn all(&self) -> Vec<Arc<App>> {
        lock(&self.by_id).values().cloned().collect()
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        lock(&self.by_id).len()
    }

    fn insert(&self, app: Arc<App>) {
        lock(&self.by_id).insert(app.identity.id, app);
    }

    fn remove(&self, id: u64) {
        lock(&self.by_id).remove(&id);
    }

    /// Tells all applications that the session's plan has changed and waits for those that answer.
    pub(crate) async fn follow(&self, session: &Arc<Session>) {
        let told = self
            .all()
            .into_iter()
            .map(|app| (app.session_changed(session), app));
        self.wait(told.collect()).await;
    }

    /// Waits for many at once; the answers come in the order of the applications.
    pub(crate) async fn wait<T>(
        &self,
        asked: Vec<(oneshot::Receiver<T>, Arc<App>)>,
    ) -> Vec<(Arc<App>, Option<T>)> {
        let deadline = Instant::now() + PATIENCE;
        let mut answers = Vec::with_capacity(asked.len());
        for (answer, app) in asked {
            // One after the other, but all are at work: the slowest decides.
            let answer = app.patiently(answer, deadline).await;
            answers.push((app, answer));
        }
        answers
    }
}
