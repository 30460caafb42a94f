//! All sessions of the daemon.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use control::ErrorCode;
use tokio::sync::watch;

use crate::host::Host;
use crate::lock::lock;
use crate::session::channels::MAX_NAME;
use crate::session::delivery::{Delivery, OutputReport};
use crate::session::kernel::KernelDomain;
use crate::session::ledger::Ledger;
use crate::session::plan::{Plan, Refusal};
use crate::session::snapshot::Snapshots;
use crate::session::{
    ConsumerProgram, OutputSetting, Owner, RelayLoss, Session, SessionId, path_datetime,
};

/// Most sessions at once.
const MAX_SESSIONS: usize = 4096;

/// All sessions, by number.
#[derive(Debug)]
pub(crate) struct Sessions {
    inner: Mutex<Inner>,
    host: Arc<Host>,
    consumer_program: ConsumerProgram,
    kernel_domain: Arc<KernelDomain>,
}

#[derive(Debug, Default)]
struct Inner {
    by_id: BTreeMap<SessionId, Arc<Session>>,
    next_id: u64,
}

/// What a session is to be like.
#[derive(Debug)]
pub(crate) struct NewSession {
    /// Empty: `auto-DATE`.
    pub name: String,
    /// Who creates it.
    pub owner: Owner,
    /// Where the trace goes; `None`: below `home`.
    pub output: Option<OutputSetting>,
    /// Home directory of the owner.
    pub home: PathBuf,
    /// Let the consumer daemon count events.
    pub count_events: bool,
    /// Microseconds, 0 = not a live session.
    pub live_timer_us: u32,
    /// A snapshot session; `output` is where its snapshots go.
    pub snapshot: bool,
    /// What happens when the relay daemon goes away.
    pub relay_loss: RelayLoss,
}

impl Sessions {
    /// None yet.
    pub(crate) fn new(
        host: Arc<Host>,
        consumer_program: ConsumerProgram,
        kernel_domain: Arc<KernelDomain>,
    ) -> Self {
        Self {
            inner: Mutex::default(),
            host,
            consumer_program,
            kernel_domain,
        }
    }

    /// Creates an inactive session.
    pub(crate) fn create(&self, new: NewSession) -> Result<Arc<Session>, Refusal> {
        check_name(&new.name)?;
        if new.snapshot && new.live_timer_us != 0 {
            let message = "a session is a live session or a snapshot session, not both";
            return Err(Refusal::new(ErrorCode::INVALID, message));
        }
        let created = jiff::Zoned::now();
        let auto_named = new.name.is_empty();
        let mut inner = lock(&self.inner);
        let name = if auto_named {
            inner.auto_name(&created)
        } else {
            new.name
        };
        if inner.by_name(&name).is_some() {
            let message = format!("a session `{name}` exists already");
            return Err(Refusal::new(ErrorCode::SESSION_EXISTS, message));
        }
        if inner.by_id.len() == MAX_SESSIONS {
            let message = format!("{MAX_SESSIONS} sessions exist already; destroy some");
            return Err(Refusal::new(ErrorCode::SESSION_FAILED, message));
        }
        let directory = default_directory(&new.home, &name, auto_named, &created);
        let (output, directory) = match new.output {
            Some(OutputSetting::Local(path)) => (OutputSetting::Local(path.clone()), path),
            Some(output) => (output, directory),
            None => {
                check_home(&new.home)?;
                (OutputSetting::Local(directory.clone()), directory)
            }
        };
        if new.live_timer_us != 0 && !matches!(output, OutputSetting::Relay { .. }) {
            let message = "a live session needs a relay daemon as output";
            return Err(Refusal::new(ErrorCode::INVALID, message));
        }
        let (output, snapshots) = match (new.snapshot, output) {
            (false, output) => (output, Snapshots::new(None)),
            (true, OutputSetting::None) => (OutputSetting::None, Snapshots::new(None)),
            (true, output) => (OutputSetting::None, Snapshots::new(Some(output))),
        };
        let ledger = Arc::new(Ledger::default());
        let id = SessionId(inner.next_id);
        inner.next_id += 1;
        let session = Arc::new(Session {
            id,
            name,
            auto_named,
            owner: new.owner,
            created,
            directory: Mutex::new(directory),
            count_events: new.count_events,
            live_timer_us: new.live_timer_us,
            snapshot: new.snapshot,
            snapshots: Mutex::new(snapshots),
            schedules: Mutex::default(),
            rotation: watch::Sender::new(None),
            commands: tokio::sync::Mutex::default(),
            plan: Mutex::new(Arc::new(Plan::default())),
            report: Mutex::new(OutputReport::of(&output, new.relay_loss)),
            delivery: tokio::sync::Mutex::new(Delivery::new(
                output,
                new.relay_loss,
                ledger.clone(),
            )),
            ledger,
            numbers: Mutex::default(),
            shared_traces: tokio::sync::Mutex::default(),
            kernel: tokio::sync::Mutex::default(),
            kernel_domain: self.kernel_domain.clone(),
            draining: AtomicUsize::new(0),
            host: self.host.clone(),
            consumer_program: self.consumer_program.clone(),
        });
        inner.by_id.insert(id, session.clone());
        Ok(session)
    }

    /// Newest first.
    pub(crate) fn all(&self) -> Vec<Arc<Session>> {
        lock(&self.inner).by_id.values().rev().cloned().collect()
    }

    /// Those that trace.
    pub(crate) fn active(&self) -> Vec<Arc<Session>> {
        let all = self.all();
        all.into_iter()
            .rev()
            .filter(|session| session.plan().active)
            .collect()
    }

    /// The session of that name.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<Session>> {
        lock(&self.inner).by_name(name).cloned()
    }

    /// Forgets a session that was destroyed.
    pub(crate) fn remove(&self, id: SessionId) {
        lock(&self.inner).by_id.remove(&id);
    }
}

impl Inner {
    fn by_name(&self, name: &str) -> Option<&Arc<Session>> {
        self.by_id.values().find(|session| session.name == name)
    }

    /// `auto-DATE`, with a number if there are several in one second.
    fn auto_name(&self, created: &jiff::Zoned) -> String {
        let base = format!("auto-{}", path_datetime(created));
        let mut name = base.clone();
        let mut count = 1;
        while self.by_name(&name).is_some() {
            name = format!("{base}-{count}");
            count += 1;
        }
        name
    }
}

fn check_home(home: &Path) -> Result<(), Refusal> {
    if home.is_absolute() {
        return Ok(());
    }
    let message = format!("the home directory `{}` is not absolute", home.display());
    Err(Refusal::new(ErrorCode::INVALID, message))
}

fn default_directory(home: &Path, name: &str, auto_named: bool, created: &jiff::Zoned) -> PathBuf {
    let directory = if auto_named {
        name.to_owned()
    } else {
        format!("{name}-{}", path_datetime(created))
    };
    home.join("lttng-traces").join(directory)
}

fn check_name(name: &str) -> Result<(), Refusal> {
    if name.contains(['/', '\0']) || name.chars().any(char::is_control) {
        let message = format!(
            "the session name `{}` has a `/` or a control character",
            name.escape_debug()
        );
        return Err(Refusal::new(ErrorCode::SESSION_INVALID_CHAR, message));
    }
    if matches!(name, "." | "..") || name == "auto" || name.starts_with("auto-") {
        return Err(Refusal::new(
            ErrorCode::INVALID,
            format!("the session name `{name}` is reserved"),
        ));
    }
    if name.len() > MAX_NAME {
        let message = format!("the session name is longer than {MAX_NAME} bytes: `{name}`");
        return Err(Refusal::new(ErrorCode::INVALID, message));
    }
    Ok(())
}
