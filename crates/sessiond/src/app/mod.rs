//! Traced applications: who they are, and how to make them do something.
//!
//! Each application has one task ([`actor`]) that owns both of its connections. Everybody else only knows
//! its [`App`]: a mailbox in which sessions leave word that something has changed. Nothing here waits for an
//! application, so one that hangs holds up nobody.

mod activity;
mod actor;
mod channel;
mod listener;
mod notify;
mod objects;
mod reconcile;
mod tracepoints;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;
use tracing::warn;
use ust::Registration;

use crate::lock::lock;
use crate::session::{Session, SessionId};

pub(crate) use channel::SharedFd;
pub(crate) use listener::listen;
pub(crate) use tracepoints::ListedEvent;

/// How often a waiting command looks what the applications do that have not answered.
const LOOK: Duration = Duration::from_millis(50);
/// Looks after the last answer at which a command may find that none of them does anything, and looks at all. It goes on
/// without the silent applications then; they do what is asked once they answer again. Looks and not time: when the
/// whole machine has stood still, nobody had the time to answer.
const IDLE_LOOKS: u32 = 10;
const LOOKS: u32 = 100;

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
    /// A command has waited for it in vain, and it has not answered since.
    silent: AtomicBool,
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
            silent: AtomicBool::new(false),
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

    fn mark_silent(&self) {
        if !self.silent.swap(true, Ordering::Relaxed) {
            let AppIdentity {
                pid, registration, ..
            } = &self.identity;
            warn!(
                "application {} (pid {pid}) does not answer; not waiting for it",
                registration.name
            );
        }
    }

    /// Whether there is no use in waiting for it.
    fn cannot_answer(&self) -> bool {
        self.silent.load(Ordering::Relaxed) || activity::is_stopped(self.identity.pid)
    }

    /// Whether it may answer as soon as the machine lets it.
    fn is_busy(&self) -> bool {
        !self.cannot_answer() && activity::is_busy(self.identity.pid)
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

    /// Waits for many at once; the answers come in the order of the applications. Does not wait for one
    /// that is stopped (a signal, a debugger) or silent.
    pub(crate) async fn wait<T>(
        &self,
        asked: Vec<(oneshot::Receiver<T>, Arc<App>)>,
    ) -> Vec<(Arc<App>, Option<T>)> {
        let (answers, apps): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
        let mut results: Vec<Option<Option<T>>> = answers.iter().map(|_| None).collect();
        let numbered = answers.into_iter().enumerate();
        let mut pending: FuturesUnordered<_> = numbered
            .map(|(at, answer)| async move { (at, answer.await.ok()) })
            .collect();
        let (mut looks, mut idle_looks) = (0, 0);
        loop {
            match timeout(LOOK, pending.next()).await {
                Ok(Some((at, answer))) => {
                    results[at] = Some(answer);
                    (looks, idle_looks) = (0, 0);
                }
                Ok(None) => break,
                Err(_) => {
                    let missing = || {
                        apps.iter()
                            .zip(&results)
                            .filter(|(_, result)| result.is_none())
                    };
                    looks += 1;
                    idle_looks += u32::from(!missing().any(|(app, _)| app.is_busy()));
                    let hopeless = missing().all(|(app, _)| app.cannot_answer());
                    if hopeless || idle_looks == IDLE_LOOKS || looks == LOOKS {
                        missing().for_each(|(app, _)| app.mark_silent());
                        break;
                    }
                }
            }
        }
        apps.into_iter()
            .zip(results.into_iter().map(Option::flatten))
            .collect()
    }
}
