//! The daemon: what the control API acts on.

use std::sync::Arc;

use control::ErrorCode;

use crate::app::Apps;
use crate::health::ConsumerHealth;
use crate::host::Host;
use crate::rundir::ConsumerDirectories;
use crate::session::kernel::KernelDomain;
use crate::session::plan::Refusal;
use crate::session::{ConsumerProgram, Destroyed, NewSession, Session, Sessions};

/// Everything that lives as long as the daemon.
#[derive(Debug)]
pub(crate) struct Daemon {
    /// The traced applications.
    pub apps: Arc<Apps>,
    /// The recording sessions.
    pub sessions: Arc<Sessions>,
    /// The kernel's tracing file system.
    pub kernel: Arc<KernelDomain>,
    /// Whether consumer daemons are well.
    pub consumer_health: ConsumerHealth,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Caller {
    /// A session is for the user who created it, and for root.
    pub(crate) fn may_see(self, session: &Session) -> bool {
        self.uid == 0 || self.uid == session.owner.uid
    }
}

impl Daemon {
    /// No sessions, no applications.
    pub(crate) fn new(
        host: Host,
        consumer_program: ConsumerProgram,
        kernel: KernelDomain,
        directories: ConsumerDirectories,
    ) -> Self {
        let kernel = Arc::new(kernel);
        let sessions = Sessions::new(Arc::new(host), consumer_program, kernel.clone());
        let sessions = Arc::new(sessions);
        Self {
            apps: Arc::default(),
            consumer_health: ConsumerHealth::new(directories, sessions.clone()),
            sessions,
            kernel,
        }
    }

    /// The session of that name, if the caller may use it.
    pub(crate) fn session(&self, caller: Caller, name: &str) -> Result<Arc<Session>, Refusal> {
        let session = self.sessions.find(name).ok_or_else(|| not_found(name))?;
        if !caller.may_see(&session) {
            let message = format!("the session `{name}` belongs to another user");
            return Err(Refusal::new(ErrorCode::PERMISSION_DENIED, message));
        }
        Ok(session)
    }

    /// Creates a session.
    pub(crate) fn create_session(&self, new: NewSession) -> Result<Arc<Session>, Refusal> {
        self.sessions.create(new)
    }

    /// Destroys a session: nobody finds it any more when this returns.
    pub(crate) async fn destroy_session(
        &self,
        session: &Arc<Session>,
        wait: bool,
    ) -> Result<Destroyed, Refusal> {
        let _exclusive = session.exclusive().await?;
        let destroyed = session.destroy(&self.apps, wait).await;
        self.sessions.remove(session.id);
        Ok(destroyed)
    }

    /// Destroys all sessions, at the daemon's end.
    pub(crate) async fn destroy_all(&self) {
        let mut work = tokio::task::JoinSet::new();
        for session in self.sessions.all() {
            let apps = self.apps.clone();
            work.spawn(async move {
                if let Ok(_exclusive) = session.exclusive().await {
                    session.destroy(&apps, true).await;
                }
            });
        }
        while work.join_next().await.is_some() {}
    }
}

fn not_found(name: &str) -> Refusal {
    Refusal::new(
        ErrorCode::SESSION_NOT_FOUND,
        format!("there is no session `{name}`"),
    )
}
