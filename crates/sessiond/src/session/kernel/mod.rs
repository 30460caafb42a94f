//! The kernel domain of a session.

mod catalog;
mod channel;
mod domain;
mod filters;
mod gate;
pub(crate) mod plan;
mod state_dump;
mod tasks;
mod text_probes;
mod threads;
mod trace;
mod wanted;

use std::sync::Arc;
use std::time::Duration;

use consumer_api::Request;
use control::ErrorCode;
use ctf::types::ByteOrder;
use ctf::units::Uuid;
use kernel::environment::{KernelEnvironment, trace_class};
use tokio::time::timeout;
use tracing::{info, warn};

use crate::app::SharedFd;
use crate::host::random_uuid;
use crate::lock::lock;
use crate::session::Session;
use crate::session::plan::{Plan, Refusal};
use crate::session::traces::iso8601_basic;

pub(crate) use catalog::{is_tracepoint, means, syscall, trace_name};
pub(crate) use domain::KernelDomain;
pub(crate) use filters::of as kernel_filter;
pub(crate) use tasks::can_be_had as task_history_can_be_had;

use channel::KernelError;
use trace::{KernelIdentity, KernelTrace};

/// How long a user waits until all is removed from tracefs; the rest is done behind his back.
const REMOVAL_PATIENCE: Duration = Duration::from_secs(1);
/// The directory of the kernel trace below the chunk.
const PATH: &str = "kernel";

/// The kernel trace of a session, once it was started.
#[derive(Debug, Default)]
pub(super) struct KernelSide {
    trace: Option<Arc<KernelTrace>>,
}

impl Session {
    /// Makes the kernel trace if the plan has one, and lets it record.
    pub(super) async fn start_kernel(self: &Arc<Self>, plan: &Plan) -> Result<(), Refusal> {
        if plan.kernel.channels.is_empty() {
            return Ok(());
        }
        let mut side = self.kernel.lock().await;
        let _first = self.kernel_domain.gate().go_first();
        let trace = match &side.trace {
            Some(trace) => trace.clone(),
            None => {
                let made = tokio::task::block_in_place(|| self.make_kernel_trace(plan))?;
                let trace = Arc::new(made);
                let delivered = self.deliver_trace(trace.clone()).await;
                delivered.map_err(|error| refused(&error.into()))?;
                side.trace = Some(trace.clone());
                trace
            }
        };
        tokio::task::block_in_place(|| {
            trace.apply(&plan.kernel)?;
            trace.set_tracing(true)?;
            // Now: what changes from here on is in the other streams.
            trace.dump_state();
            Ok(())
        })
        .map_err(|error: KernelError| refused(&error))
    }

    /// Lets the kernel record what the plan wants now.
    pub(super) async fn change_kernel(&self, plan: &Plan) -> Result<(), Refusal> {
        let side = self.kernel.lock().await;
        let _first = self.kernel_domain.gate().go_first();
        match &side.trace {
            Some(trace) => tokio::task::block_in_place(|| trace.apply(&plan.kernel))
                .map_err(|error| Refusal::new(ErrorCode::KERNEL_ENABLE_FAILED, error.to_string())),
            None => Ok(()),
        }
    }

    /// Writes the state of the system into the trace again, if there is one.
    pub(super) async fn dump_kernel_state(&self) {
        if let Some(trace) = &self.kernel.lock().await.trace {
            tokio::task::block_in_place(|| trace.dump_state());
        }
    }

    /// Stops recording.
    pub(super) async fn stop_kernel(&self) {
        let side = self.kernel.lock().await;
        if let Some(trace) = &side.trace
            && let Err(error) = trace.set_tracing(false)
        {
            warn!("session `{}`: {error}", self.name);
        }
    }

    /// Removes everything from tracefs. The consumer daemon must be gone. If it takes long, it is done later; the
    /// daemon does not end before.
    pub(super) async fn remove_kernel(&self) {
        if let Some(trace) = self.kernel.lock().await.trace.take() {
            let gate = self.kernel_domain.gate().clone();
            let removal = tokio::task::spawn_blocking(move || trace.remove(&|| gate.give_way()));
            if timeout(REMOVAL_PATIENCE, removal).await.is_err() {
                info!(
                    "session `{}`: its events are still being removed from tracefs",
                    self.name
                );
            }
        }
    }

    fn make_kernel_trace(&self, plan: &Plan) -> Result<KernelTrace, Refusal> {
        let tracefs = self.kernel_domain.tracefs()?;
        let owner = self.kernel_domain.owner()?.clone();
        let uuid = random_uuid().map_err(|error| refused(&error.into()))?;
        let cpus = self.host.cpus;
        // One more for the state dump.
        let streams = plan.kernel.channels.len() as u64 * u64::from(cpus) + 1;
        let (key, first_stream, path) = lock(&self.numbers).take_trace(PATH.into(), streams);
        let identity = KernelIdentity {
            key,
            path,
            uuid,
            first_stream,
            prefix: self.kernel_domain.name(self.id.0, ""),
            left_probes: self
                .kernel_domain
                .has_event_probes(&tracefs)
                .then(|| self.kernel_domain.left_probes()),
        };
        let preamble = self.kernel_preamble(uuid);
        KernelTrace::create(identity, tracefs, owner, &plan.kernel, cpus, &preamble)
            .map_err(|error| refused(&error))
    }

    /// What the metadata begin with, with the clock as it is now.
    fn kernel_preamble(&self, uuid: [u8; 16]) -> String {
        let environment = self.kernel_environment().entries();
        let clock = self.host.clock();
        ctf::tsdl::preamble(&trace_class(
            Uuid(uuid),
            ByteOrder::NATIVE,
            environment,
            clock,
        ))
    }

    /// Lets the metadata of the kernel trace begin with the clock as it is now. The request tells a consumer
    /// daemon.
    pub(super) async fn regenerate_kernel_metadata(
        &self,
    ) -> std::io::Result<Option<(Request, Vec<SharedFd>)>> {
        let side = self.kernel.lock().await;
        let Some(trace) = &side.trace else {
            return Ok(None);
        };
        let preamble = self.kernel_preamble(trace.uuid());
        trace.replace_preamble(&preamble).map(Some)
    }

    fn kernel_environment(&self) -> KernelEnvironment {
        let uname = rustix::system::uname();
        let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
        KernelEnvironment {
            sysname: text(uname.sysname()),
            kernel_release: text(uname.release()),
            kernel_version: text(uname.version()),
            hostname: self.host.name.clone(),
            trace_name: if self.auto_named {
                "auto".into()
            } else {
                self.name.clone()
            },
            trace_creation_datetime: iso8601_basic(&self.created),
        }
    }
}

fn refused(error: &KernelError) -> Refusal {
    let code = match error {
        KernelError::Tracefs(error) if error.is_out_of_memory() => ErrorCode::NO_MEMORY,
        _ => ErrorCode::KERNEL_START_FAILED,
    };
    Refusal::new(code, error.to_string())
}
