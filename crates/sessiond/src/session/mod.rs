//! Recording sessions.

mod buffers;
mod chunks;
mod collector;
mod consumer;
mod delivery;
mod directory;
pub(crate) mod kernel;
mod ledger;
mod live_trace;
mod metadata_text;
mod output;
pub(crate) mod plan;
mod regenerate;
mod registry;
mod rotation;
mod schedule;
mod sessions;
mod settle;
mod snapshot;
mod status;
#[expect(
    unsafe_code,
    reason = "asks for counts of a connection that rustix does not know"
)]
mod tcp_written;
mod traces;
pub(crate) mod trackers;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use control::ErrorCode;
use tokio::sync::watch;
use tracing::warn;

use crate::app::Apps;
use crate::host::Host;
use crate::lock::lock;

pub(crate) use buffers::{RegisterError, TraceBuffers};
pub(crate) use collector::RelayAddress;
pub(crate) use consumer::{ConsumerProgram, Owner};
pub(crate) use delivery::OutputReport;
pub(crate) use directory::{CREATE_DIRECTORY, create as create_directory};
pub(crate) use output::{NetworkAttributes, OutputSetting, RelayLoss};
pub(crate) use registry::{AnnouncedEvent, RegistryError};
pub(crate) use rotation::{ArchiveLocation, Rotation, RotationState};
pub(crate) use schedule::Schedule;
pub(crate) use sessions::{NewSession, Sessions};
pub(crate) use snapshot::{SnapshotOutput, SnapshotRequest, WhichOutput};
pub(crate) use status::{OutputStatus, SessionCounters, kernel_label};

use delivery::Delivery;
use kernel::{KernelDomain, KernelSide};
use ledger::Ledger;
use plan::{Plan, Refusal};
use schedule::Schedules;
use snapshot::Snapshots;
use traces::{Numbers, SharedTrace};

/// How long a place may take what is left of a session when nobody waits for it.
const UNWATCHED_PATIENCE: Duration = Duration::from_secs(10);

/// A session's number in this daemon, from 0, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SessionId(pub u64);

/// One recording session.
#[derive(Debug)]
pub(crate) struct Session {
    /// Its number.
    pub id: SessionId,
    /// What the user calls it.
    pub name: String,
    /// The daemon chose the name.
    pub auto_named: bool,
    /// Who created it.
    pub owner: Owner,
    /// When.
    pub created: jiff::Zoned,
    /// Where it collects on this machine: the directory that the user named last, or the default.
    directory: Mutex<PathBuf>,
    /// The consumer daemon counts events.
    pub count_events: bool,
    /// A live session: its data reach the relay daemon at least this often. Microseconds, 0 = it is none.
    pub live_timer_us: u32,
    /// A snapshot session.
    pub snapshot: bool,
    snapshots: Mutex<Snapshots>,
    schedules: Mutex<Schedules>,
    /// The last rotation.
    rotation: watch::Sender<Option<Rotation>>,
    /// Held by the one user command that is at work on the session.
    commands: tokio::sync::Mutex<()>,
    plan: Mutex<Arc<Plan>>,
    delivery: tokio::sync::Mutex<Delivery>,
    /// What was delivered; for those who cannot wait for the lock above.
    ledger: Arc<Ledger>,
    /// What the delivery was like last; for those who cannot wait for its lock.
    report: Mutex<OutputReport>,
    numbers: Mutex<Numbers>,
    /// Buffers shared by all applications of a user. The lock is held while they are made.
    shared_traces: tokio::sync::Mutex<BTreeMap<u32, SharedTrace>>,
    /// The lock is held while something is changed in tracefs.
    kernel: tokio::sync::Mutex<KernelSide>,
    kernel_domain: Arc<KernelDomain>,
    /// Drains that were asked for and not yet answered.
    draining: AtomicUsize,
    host: Arc<Host>,
    consumer_program: ConsumerProgram,
}

impl Session {
    /// What applications have to be like now.
    pub(crate) fn plan(&self) -> Arc<Plan> {
        lock(&self.plan).clone()
    }

    /// Keeps other user commands away from the session until dropped; fails if one of them has destroyed
    /// it.
    pub(crate) async fn exclusive(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, Refusal> {
        let guard = self.commands.lock().await;
        if self.plan().destroyed {
            let message = format!("the session `{}` has just been destroyed", self.name);
            return Err(Refusal::new(ErrorCode::SESSION_NOT_FOUND, message));
        }
        Ok(guard)
    }

    /// Changes the plan and lets the applications follow. Call with [`Session::exclusive`] held, like
    /// all functions that change the session.
    pub(crate) async fn change(self: &Arc<Self>, apps: &Apps, plan: Plan) -> Result<(), Refusal> {
        let active = plan.active;
        if active && !Arc::ptr_eq(&self.plan().kernel, &plan.kernel) {
            self.change_kernel(&plan).await?;
        }
        self.set_plan(plan);
        if active {
            apps.follow(self).await;
        }
        Ok(())
    }

    /// Starts tracing.
    pub(crate) async fn start(self: &Arc<Self>, apps: &Apps) -> Result<(), Refusal> {
        let plan = self.plan().start()?;
        self.ensure_consumer().await?;
        self.reopen_chunk().await?;
        self.start_kernel(&plan).await?;
        self.set_plan(plan);
        self.run_schedule(true);
        apps.follow(self).await;
        Ok(())
    }

    /// Stops tracing; with `wait`, returns when all data is where it belongs.
    pub(crate) async fn stop(self: &Arc<Self>, apps: &Apps, wait: bool) -> Result<(), Refusal> {
        self.set_plan(self.plan().stop()?);
        self.run_schedule(false);
        apps.follow(self).await;
        self.stop_kernel().await;
        self.drain(wait).await;
        Ok(())
    }

    /// Stops if needed, ends the chunk, and makes everybody forget the session. Returns the archiving of the
    /// last chunk, if the session was rotated before and this waits for it.
    pub(crate) async fn destroy(self: &Arc<Self>, apps: &Apps, wait: bool) -> Option<Rotation> {
        self.run_schedule(false);
        let was = self.plan();
        if was.active {
            self.set_plan(was.stop().unwrap_or_default());
            apps.follow(self).await;
            self.stop_kernel().await;
            self.drain(wait).await;
        }
        self.set_plan(was.destroy());
        for app in apps.all() {
            // They let go of it when they can; nobody waits for that.
            drop(app.session_changed(self));
        }
        self.shared_traces.lock().await.clear();
        if wait {
            let ended = self.end_delivery(None).await;
            self.remove_kernel().await;
            let (id, location) = ended?;
            let state = RotationState::Completed(location);
            Some(Rotation { id, state })
        } else {
            let session = self.clone();
            tokio::spawn(async move {
                session.end_delivery(Some(UNWATCHED_PATIENCE)).await;
                session.remove_kernel().await;
            });
            None
        }
    }

    /// Creation time, seconds since the Unix epoch.
    pub(crate) fn created_unix_s(&self) -> u64 {
        u64::try_from(self.created.timestamp().as_second()).unwrap_or(0)
    }

    fn set_plan(&self, plan: Plan) {
        *lock(&self.plan) = Arc::new(plan);
    }

    /// Whether data is still on its way after the last drain was asked for.
    pub(crate) fn data_pending(&self) -> bool {
        self.draining.load(Ordering::Acquire) > 0
    }

    async fn drain(self: &Arc<Self>, wait: bool) {
        let Some(answer) = self.request_drain().await else {
            return;
        };
        let session = self.clone();
        session.draining.fetch_add(1, Ordering::AcqRel);
        let drained = tokio::spawn(async move {
            if let Ok(Err(error)) = answer.await {
                warn!("session `{}`: {error}", session.name);
            }
            session.draining.fetch_sub(1, Ordering::AcqRel);
        });
        if wait {
            // A panic there was reported already.
            let _ = drained.await;
        }
    }
}

/// `20261122-214708`, local time.
pub(crate) fn path_datetime(time: &jiff::Zoned) -> String {
    time.strftime("%Y%m%d-%H%M%S").to_string()
}
