//! Recording sessions.

mod buffers;
mod collector;
mod consumer;
mod directory;
mod output;
pub(crate) mod plan;
mod registry;
mod sessions;
mod status;

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use consumer_api::{Answer, ChunkSetup, Request, TraceKey};
use control::ErrorCode;
use ctf::metadata::{Alignments, BufferOwner, TraceClass, UstEnvironment};
use ctf::types::ByteOrder;
use ctf::units::Uuid;
use tokio::time::timeout;
use tracing::warn;
use ust::TracerVersion;

use crate::app::{AppIdentity, Apps};
use crate::host::{Host, random_uuid, safe_component};
use crate::lock::lock;

pub(crate) use buffers::{BuffersError, RegisterError, TraceBuffers};
pub(crate) use collector::RelayAddress;
pub(crate) use consumer::{Consumer, ConsumerState, Owner};
pub(crate) use directory::{CREATE_DIRECTORY, create as create_directory};
pub(crate) use output::OutputSetting;
pub(crate) use registry::{AnnouncedEvent, RegistryError};
pub(crate) use sessions::{NewSession, Sessions};
pub(crate) use status::{OutputStatus, SessionCounters};

use buffers::TraceIdentity;
use collector::Collector;
use plan::{BufferType, Plan, Refusal};

/// How long a consumer daemon may take to tell its counters.
const COUNTERS_PATIENCE: Duration = Duration::from_millis(500);

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
    /// Where its trace goes.
    pub output: OutputSetting,
    /// The consumer daemon counts events.
    pub count_events: bool,
    /// Held by the one user command that is at work on the session.
    commands: tokio::sync::Mutex<()>,
    plan: Mutex<Arc<Plan>>,
    runtime: Mutex<Runtime>,
    /// Buffers shared by all applications of a user. The lock is held while they are made.
    shared_traces: tokio::sync::Mutex<BTreeMap<u32, Arc<TraceBuffers>>>,
    /// Drains that were asked for and not yet answered.
    draining: AtomicUsize,
    host: Arc<Host>,
    consumer_path: PathBuf,
}

/// What exists outside of this process for the session.
#[derive(Debug, Default)]
struct Runtime {
    collector: Option<Collector>,
    consumer: Option<Arc<Consumer>>,
    next_trace: u64,
    next_stream: u64,
    used_paths: HashSet<String>,
    /// Totals when the consumer daemon was last asked.
    last_counters: SessionCounters,
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
    pub(crate) async fn change(self: &Arc<Self>, apps: &Apps, plan: Plan) {
        let active = plan.active;
        self.set_plan(plan);
        if active {
            apps.follow(self).await;
        }
    }

    /// Starts tracing.
    pub(crate) async fn start(self: &Arc<Self>, apps: &Apps) -> Result<(), Refusal> {
        let plan = self.plan().start()?;
        self.ensure_consumer().await?;
        self.set_plan(plan);
        apps.follow(self).await;
        Ok(())
    }

    /// Stops tracing; with `wait`, returns when all data is where it belongs.
    pub(crate) async fn stop(self: &Arc<Self>, apps: &Apps, wait: bool) -> Result<(), Refusal> {
        self.set_plan(self.plan().stop()?);
        apps.follow(self).await;
        self.drain(wait).await;
        Ok(())
    }

    /// Stops if needed, ends the chunk, and makes everybody forget the session.
    pub(crate) async fn destroy(self: &Arc<Self>, apps: &Apps, wait: bool) {
        let was = self.plan();
        if was.active {
            self.set_plan(was.stop().unwrap_or_default());
            apps.follow(self).await;
            self.drain(wait).await;
        }
        self.set_plan(was.destroy());
        for app in apps.all() {
            // They let go of it when they can; nobody waits for that.
            drop(app.session_changed(self));
        }
        self.shared_traces.lock().await.clear();
        if wait {
            self.close_chunk().await;
        } else {
            let session = self.clone();
            tokio::spawn(async move { session.close_chunk().await });
        }
    }

    /// The buffers that this application writes into, made and handed to the consumer daemon if needed.
    pub(crate) async fn buffers_for(
        &self,
        app: &AppIdentity,
        version: TracerVersion,
        plan: &Plan,
    ) -> Result<Arc<TraceBuffers>, BuffersError> {
        match plan.buffer_type.unwrap_or(BufferType::PerUid) {
            BufferType::PerUid => {
                let mut shared = self.shared_traces.lock().await;
                if let Some(trace) = shared.get(&app.uid) {
                    return Ok(trace.clone());
                }
                let trace = self.make_buffers(app, version, plan).await?;
                shared.insert(app.uid, trace.clone());
                Ok(trace)
            }
            BufferType::PerPid => self.make_buffers(app, version, plan).await,
        }
    }

    /// An application that had these buffers is gone.
    pub(crate) async fn writer_gone(&self, trace: &TraceBuffers) {
        if trace.identity.ends_with_writers {
            self.post(vec![(
                Request::EndTrace {
                    trace: trace.identity.key,
                },
                Vec::new(),
            )])
            .await;
        }
    }

    /// Creation time, seconds since the Unix epoch.
    pub(crate) fn created_unix_s(&self) -> u64 {
        u64::try_from(self.created.timestamp().as_second()).unwrap_or(0)
    }

    fn set_plan(&self, plan: Plan) {
        *lock(&self.plan) = Arc::new(plan);
    }

    async fn make_buffers(
        &self,
        app: &AppIdentity,
        version: TracerVersion,
        plan: &Plan,
    ) -> Result<Arc<TraceBuffers>, BuffersError> {
        let per_pid = plan.buffer_type == Some(BufferType::PerPid);
        let uuid = random_uuid()?;
        let preamble = ctf::tsdl::preamble(&self.trace_class(app, version, uuid, per_pid));
        let trace = {
            let mut runtime = lock(&self.runtime);
            let identity = TraceIdentity {
                key: TraceKey(runtime.next_trace),
                path: runtime.unused_path(trace_path(app, per_pid)),
                uuid,
                ends_with_writers: per_pid,
            };
            runtime.next_trace += 1;
            let cpus = self.host.cpus;
            let next_stream = &mut runtime.next_stream;
            TraceBuffers::create(identity, &plan.channels, cpus, &preamble, next_stream)?
        };
        self.post(trace.handover(false)).await;
        Ok(Arc::new(trace))
    }

    fn trace_class(
        &self,
        app: &AppIdentity,
        version: TracerVersion,
        uuid: [u8; 16],
        per_pid: bool,
    ) -> TraceClass {
        let registration = &app.registration;
        let owner = if per_pid {
            BufferOwner::Pid {
                pid: app.pid,
                tracer_patchlevel: version.patchlevel,
                procname: registration.name.clone(),
                registered: iso8601_basic(&app.registered),
            }
        } else {
            BufferOwner::Uid(app.uid)
        };
        let environment = UstEnvironment {
            tracer_major: version.major,
            tracer_minor: version.minor,
            owner,
            bits_per_long: registration.bits_per_long,
            trace_name: if self.auto_named {
                "auto".into()
            } else {
                self.name.clone()
            },
            trace_creation_datetime: iso8601_basic(&self.created),
            hostname: self.host.name.clone(),
        };
        let [u8_bits, u16_bits, u32_bits, u64_bits, long_bits] = registration.alignments;
        TraceClass {
            uuid: Uuid(uuid),
            byte_order: ByteOrder::NATIVE,
            alignments: Alignments {
                u8_bits,
                u16_bits,
                u32_bits,
                u64_bits,
                long_bits,
            },
            long_size_bits: registration.bits_per_long,
            env: environment.entries(),
            clock: self.host.clock(),
        }
    }

    /// Starts the consumer daemon if the session has an output and none runs yet.
    async fn ensure_consumer(&self) -> Result<(), Refusal> {
        if lock(&self.runtime).consumer.is_some() {
            return Ok(());
        }
        let Some((setup, fds)) = self.open_output().await? else {
            return Ok(());
        };
        let failed = |error: String| Refusal::new(ErrorCode::ENABLE_CONSUMER_FAILED, error);
        let owner = self.owner.if_other();
        let consumer = Consumer::spawn(&self.consumer_path, owner).map_err(|error| {
            failed(format!(
                "cannot start the consumer daemon {}: {error}",
                self.consumer_path.display()
            ))
        })?;
        let chunk = ChunkSetup {
            chunk_id: 0,
            created_unix_s: self.created_unix_s(),
        };
        for (request, fds) in [(setup, fds), (Request::OpenChunk(chunk), Vec::new())] {
            consumer
                .call(request, fds)
                .await
                .map_err(|error| failed(format!("the consumer daemon cannot begin: {error}")))?;
        }
        lock(&self.runtime).consumer = Some(Arc::new(consumer));
        Ok(())
    }

    fn consumer(&self) -> Option<Arc<Consumer>> {
        lock(&self.runtime).consumer.clone()
    }

    /// Sends requests in order without waiting for their answers; failures of the output come back as
    /// its state.
    async fn post(&self, requests: Vec<(Request, Vec<crate::app::SharedFd>)>) {
        let Some(consumer) = self.consumer() else {
            return;
        };
        for (request, fds) in requests {
            if let Err(error) = consumer.post(request, fds).await {
                return warn!("session `{}`: {error}", self.name);
            }
        }
    }

    /// Whether data is still on its way after the last drain was asked for.
    pub(crate) fn data_pending(&self) -> bool {
        self.draining.load(Ordering::Acquire) > 0
    }

    async fn drain(self: &Arc<Self>, wait: bool) {
        let Some(consumer) = self.consumer() else {
            return;
        };
        let answer = match consumer.post(Request::Drain, Vec::new()).await {
            Ok(answer) => answer,
            Err(error) => return warn!("session `{}`: {error}", self.name),
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

    async fn close_chunk(&self) {
        let Some(consumer) = self.consumer() else {
            return;
        };
        self.refresh_counters().await;
        let now = jiff::Timestamp::now().as_second();
        let request = Request::CloseChunk {
            closed_unix_s: u64::try_from(now).unwrap_or(0),
        };
        if let Err(error) = consumer.call(request, Vec::new()).await {
            warn!("session `{}`: {error}", self.name);
        }
        // Without its socket the consumer daemon ends.
        lock(&self.runtime).consumer = None;
    }

    async fn refresh_counters(&self) {
        let Some(consumer) = self.consumer() else {
            return;
        };
        if consumer.state() != ConsumerState::Running {
            return;
        }
        // A consumer daemon whose relay or disk is slow answers late; the user is told the last figures.
        let query = consumer.call(Request::QueryCounters, Vec::new());
        if let Ok(Ok(Answer::Counters { total, channels })) =
            timeout(COUNTERS_PATIENCE, query).await
        {
            lock(&self.runtime).last_counters = SessionCounters { total, channels };
        }
    }
}

impl Runtime {
    /// A program that replaces itself within a second would get the directory of its former self.
    fn unused_path(&mut self, wanted: String) -> String {
        let mut path = wanted.clone();
        let mut count = 1;
        while !self.used_paths.insert(path.clone()) {
            path = format!("{wanted}-{count}");
            count += 1;
        }
        path
    }
}

/// Directory of a trace below the chunk.
fn trace_path(app: &AppIdentity, per_pid: bool) -> String {
    if per_pid {
        let name = safe_component(&app.registration.name);
        format!(
            "ust/pid/{name}-{}-{}",
            app.pid,
            path_datetime(&app.registered)
        )
    } else {
        format!("ust/uid/{}/{}-bit", app.uid, app.registration.bits_per_long)
    }
}

/// `20261122-214708`, local time.
pub(crate) fn path_datetime(time: &jiff::Zoned) -> String {
    time.strftime("%Y%m%d-%H%M%S").to_string()
}

/// `20261122T215112+0000`, local time.
fn iso8601_basic(time: &jiff::Zoned) -> String {
    time.strftime("%Y%m%dT%H%M%S%z").to_string()
}
