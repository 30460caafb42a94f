//! Recording sessions.

mod buffers;
pub(crate) mod channels;
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

use control::ErrorCode;
use tokio::sync::watch;
use tracing::warn;

use crate::app::Apps;
use crate::host::Host;
use crate::lock::lock;

pub(crate) use buffers::{RegisterError, TraceBuffers};
pub(crate) use collector::RelayAddress;
pub(crate) use consumer::{ConsumerProgram, Owner};
pub(crate) use delivery::{GivenUp, OutputReport};
pub(crate) use directory::{CREATE_DIRECTORY, create as create_directory};
pub(crate) use output::{NetworkAttributes, OutputSetting, RelayLoss};
pub(crate) use registry::{AnnouncedEvent, RegistryError};
pub(crate) use rotation::{ArchiveLocation, Rotation, RotationState};
pub(crate) use schedule::Schedule;
pub(crate) use sessions::{NewSession, Sessions};
pub(crate) use snapshot::{SnapshotOutput, SnapshotRequest, WhichOutput};
pub(crate) use status::{OutputStatus, SessionCounters, kernel_label};

use delivery::{Delivery, while_it_moves};
use kernel::{KernelDomain, KernelSide};
use ledger::Ledger;
use plan::{Plan, Refusal};
use schedule::Schedules;
use snapshot::Snapshots;
use traces::{Numbers, SharedTrace};

/// A session's number in this daemon, from 0, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SessionId(pub u64);

/// How a session has ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Destroyed {
    /// The archiving of the last chunk, if the session was rotated before.
    pub rotation: Option<Rotation>,
    /// What could not be delivered.
    pub given_up: Option<GivenUp>,
}

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

    /// Stops tracing; with `wait`, returns when all data is where it belongs. `false`: the output takes nothing
    /// now, and what it has not got stays in the buffers.
    pub(crate) async fn stop(self: &Arc<Self>, apps: &Apps, wait: bool) -> Result<bool, Refusal> {
        self.set_plan(self.plan().stop()?);
        self.run_schedule(false);
        apps.follow(self).await;
        self.stop_kernel().await;
        Ok(self.drain(wait).await)
    }

    /// Stops if needed, ends the chunk, and makes everybody forget the session. How it ended is only known if
    /// this waits for it.
    pub(crate) async fn destroy(self: &Arc<Self>, apps: &Apps, wait: bool) -> Destroyed {
        self.run_schedule(false);
        let was = self.plan();
        if was.active {
            self.set_plan(was.stop().unwrap_or_default());
            apps.follow(self).await;
            self.stop_kernel().await;
            // When the output does not take it in time, the end of the delivery deals with that.
            self.drain(false).await;
        }
        self.set_plan(was.destroy());
        for app in apps.all() {
            // They let go of it when they can; nobody waits for that.
            drop(app.session_changed(self));
        }
        self.shared_traces.lock().await.clear();
        let session = self.clone();
        let end = async move {
            let ending = session.end_delivery().await;
            session.remove_kernel().await;
            let completed = |(id, location)| {
                let state = RotationState::Completed(location);
                Rotation { id, state }
            };
            Destroyed {
                rotation: ending.archived.map(completed),
                given_up: ending.given_up,
            }
        };
        if wait {
            end.await
        } else {
            tokio::spawn(end);
            Destroyed::default()
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

    async fn drain(self: &Arc<Self>, wait: bool) -> bool {
        let Some((answer, consumer, patience)) = self.request_drain().await else {
            return true;
        };
        let session = self.clone();
        session.draining.fetch_add(1, Ordering::AcqRel);
        let drained = tokio::spawn(async move {
            if let Ok(Err(error)) = answer.await {
                warn!("session `{}`: {error}", session.name);
            }
            session.draining.fetch_sub(1, Ordering::AcqRel);
        });
        // A panic there was reported already.
        !wait || while_it_moves(&consumer, patience, drained).await.is_ok()
    }
}

/// `20261122-214708`, local time.
pub(crate) fn path_datetime(time: &jiff::Zoned) -> String {
    time.strftime("%Y%m%d-%H%M%S").to_string()
}
