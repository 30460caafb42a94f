//! Makes the buffers that applications write into.

use std::collections::HashSet;
use std::sync::Arc;

use consumer_api::TraceKey;
use ctf::metadata::{Alignments, BufferOwner, TraceClass, UstEnvironment};
use ctf::types::ByteOrder;
use ctf::units::Uuid;
use ust::TracerVersion;

use crate::app::AppIdentity;
use crate::host::{random_uuid, safe_component};
use crate::lock::lock;
use crate::session::buffers::{BuffersError, TraceBuffers, TraceIdentity};
use crate::session::plan::{BufferType, Plan};
use crate::session::{Session, path_datetime};

/// Names that are unique in a session.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    next_trace: u64,
    next_stream: u64,
    used_paths: HashSet<String>,
}

/// The trace of all applications of a user.
#[derive(Debug)]
pub(super) struct SharedTrace {
    /// What its metadata begin with.
    pub(super) class: TraceClass,
    /// Its buffers.
    pub(super) buffers: Arc<TraceBuffers>,
}

struct TraceNumbers {
    trace: TraceKey,
    /// As many as the trace has streams follow.
    first_stream: u64,
    path: String,
}

impl Numbers {
    fn take(&mut self, path: String, plan: &Plan, cpus: u32) -> TraceNumbers {
        let streams = plan.channels.len() as u64 * u64::from(cpus);
        let (trace, first_stream, path) = self.take_trace(path, streams);
        TraceNumbers {
            trace,
            first_stream,
            path,
        }
    }

    /// Key, first stream and path of a trace of another kind with so many streams.
    pub(super) fn take_trace(&mut self, path: String, streams: u64) -> (TraceKey, u64, String) {
        let taken = (
            TraceKey(self.next_trace),
            self.next_stream,
            self.unused_path(path),
        );
        self.next_trace += 1;
        self.next_stream += streams;
        taken
    }

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

impl Session {
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
                    return Ok(trace.buffers.clone());
                }
                let (class, buffers) = self.make_buffers(app, version, plan).await?;
                let trace = SharedTrace {
                    class,
                    buffers: buffers.clone(),
                };
                shared.insert(app.uid, trace);
                Ok(buffers)
            }
            BufferType::PerPid => Ok(self.make_buffers(app, version, plan).await?.1),
        }
    }

    /// An application that had these buffers is gone.
    pub(crate) async fn writer_gone(&self, trace: &TraceBuffers) {
        if trace.identity.ends_with_writers {
            self.end_trace(trace.identity.key).await;
        }
    }

    async fn make_buffers(
        &self,
        app: &AppIdentity,
        version: TracerVersion,
        plan: &Plan,
    ) -> Result<(TraceClass, Arc<TraceBuffers>), BuffersError> {
        let per_pid = plan.buffer_type == Some(BufferType::PerPid);
        let uuid = random_uuid()?;
        let class = self.trace_class(app, version, uuid, per_pid);
        let preamble = ctf::tsdl::preamble(&class);
        let numbers = lock(&self.numbers).take(trace_path(app, per_pid), plan, self.host.cpus);
        let identity = TraceIdentity {
            key: numbers.trace,
            path: numbers.path,
            uuid,
            ends_with_writers: per_pid,
        };
        let cpus = self.host.cpus;
        // The memory of the buffers is allocated and cleared now: that may take long.
        let trace = tokio::task::block_in_place(|| {
            TraceBuffers::create(
                identity,
                plan.channels.as_slice(),
                cpus,
                &preamble,
                numbers.first_stream,
            )
        })?;
        let trace = Arc::new(trace);
        self.deliver_trace(trace.clone()).await?;
        Ok((class, trace))
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

/// `20261122T215112+0000`, local time.
pub(super) fn iso8601_basic(time: &jiff::Zoned) -> String {
    time.strftime("%Y%m%dT%H%M%S%z").to_string()
}
