//! The kernel trace of a session: all its channels, and the text that describes them.

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;

use consumer_api::{Request, StreamKey, TraceKey, TraceSetup};
use kernel::tracefs::{Owner, Tracefs};
use tracing::warn;

use crate::app::SharedFd;
use crate::lock::lock;
use crate::session::kernel::channel::{KernelChannel, KernelError, contexts_of};
use crate::session::kernel::plan::{KernelPlan, KernelRuleKind, PlannedKernelChannel};
use crate::session::kernel::state_dump::StateDumpStream;
use crate::session::kernel::tasks::TaskHistory;
use crate::session::kernel::text_probes::{LeftProbes, TextProbeNames, TextProbes};
use crate::session::kernel::threads;
use crate::session::kernel::wanted::{ProbeEvent, Wanted};
use crate::session::live_trace::{After, BufferShape, LiveTrace};
use crate::session::metadata_text::MetadataText;

/// Whose trace it is, and all that follows from it.
#[derive(Clone, Debug)]
pub(super) struct KernelIdentity {
    /// Name of the trace between the daemons.
    pub(super) key: TraceKey,
    /// Directory below the chunk.
    pub(super) path: String,
    /// Random.
    pub(super) uuid: [u8; 16],
    /// As many as there are channels times CPUs follow.
    pub(super) first_stream: u64,
    /// Begins the names of what it makes in tracefs.
    pub(super) prefix: String,
    /// If the kernel can read the text of system calls for it: what channels before it have left.
    pub(super) left_probes: Option<LeftProbes>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct KernelTrace {
    identity: KernelIdentity,
    tracefs: Tracefs,
    owner: Owner,
    channels: Vec<KernelChannel>,
    /// If a channel has context fields that need it.
    tasks: Option<TaskHistory>,
    state_dump: StateDumpStream,
    metadata: Mutex<MetadataText>,
    /// Events that were made for the probe rules, by the rule's number.
    probes: Mutex<BTreeMap<u64, Vec<ProbeEvent>>>,
}

impl KernelTrace {
    /// Makes the instances of all channels, which record nothing yet. `preamble` begins the metadata.
    pub(super) fn create(
        identity: KernelIdentity,
        tracefs: Tracefs,
        owner: Owner,
        plan: &KernelPlan,
        cpus: u32,
        preamble: &str,
    ) -> Result<Self, KernelError> {
        let channels = plan.channels.len() as u64;
        let last = identity.first_stream + channels * u64::from(cpus);
        let names = plan.channels.iter().map(|channel| channel.name.as_str());
        let live_timers = plan.channels.iter().map(|c| c.attributes.live_timer_us);
        let live_timer_us = live_timers.max().unwrap_or(0);
        let state_dump =
            StateDumpStream::create(identity.uuid, StreamKey(last), names, live_timer_us)?;
        let mut metadata = MetadataText::new(preamble)?;
        metadata.append(&state_dump.metadata())?;
        let mut trace = Self {
            channels: Vec::new(),
            tasks: None,
            state_dump,
            metadata: Mutex::new(metadata),
            probes: Mutex::default(),
            tracefs,
            owner,
            identity,
        };
        let mut contexts = plan.channels.iter().map(|channel| &channel.contexts);
        if contexts.any(|names| contexts_of(names).need_tasks()) {
            let name = format!("{}tasks", trace.identity.prefix);
            trace.tasks = Some(TaskHistory::begin(&trace.tracefs, &trace.owner, &name)?);
        }
        for planned in plan.channels.iter() {
            let first = trace.identity.first_stream + u64::from(planned.id) * u64::from(cpus);
            // What was made so far is removed when the trace is dropped.
            let channel = trace.create_channel(planned, first)?;
            trace.announce(&channel.stream_text())?;
            trace.channels.push(channel);
        }
        Ok(trace)
    }

    fn create_channel(
        &self,
        planned: &PlannedKernelChannel,
        first_stream: u64,
    ) -> Result<KernelChannel, KernelError> {
        let short: String = planned.name.chars().take(64).collect();
        let name = format!("{}{}_{short}", self.identity.prefix, planned.id);
        let instance = self.tracefs.create(&self.owner, &name)?;
        let left = self.identity.left_probes.clone();
        let names = left.map(|left| TextProbeNames {
            left,
            owner: self.owner.clone(),
            prefix: format!("{}c{}_", self.identity.prefix, planned.id),
        });
        KernelChannel::create(planned, instance, TextProbes::new(names), first_stream)
    }

    fn announce(&self, text: &str) -> io::Result<()> {
        lock(&self.metadata).append(text)
    }

    /// Gives the metadata another beginning. The request tells a consumer daemon that has the trace.
    pub(super) fn replace_preamble(&self, preamble: &str) -> io::Result<(Request, Vec<SharedFd>)> {
        let mut metadata = lock(&self.metadata);
        metadata.replace_preamble(preamble)?;
        Ok(metadata.replacement(self.identity.key))
    }

    /// Its identity in its metadata.
    pub(super) fn uuid(&self) -> [u8; 16] {
        self.identity.uuid
    }

    /// Lets the instances record what the plan wants and nothing else.
    pub(super) fn apply(&self, plan: &KernelPlan) -> Result<(), KernelError> {
        let all = self.tracefs.events()?;
        self.add_probes(plan)?;
        let probes = lock(&self.probes);
        let tids = plan.tracked.as_ref().map(threads::of);
        for channel in &self.channels {
            let Some(planned) = plan.channels.iter().find(|p| p.id == channel.id()) else {
                continue;
            };
            channel.set_threads(tids.as_deref())?;
            let wanted = Wanted::of(planned, &all, &probes);
            channel.apply(&self.tracefs, &wanted, &mut |text| self.announce(text))?;
        }
        Ok(())
    }

    fn add_probes(&self, plan: &KernelPlan) -> Result<(), KernelError> {
        let mut probes = lock(&self.probes);
        for planned in plan.channels.iter().flat_map(|channel| &channel.rules) {
            let KernelRuleKind::Probe(probe) = &planned.rule.kind else {
                continue;
            };
            if probes.contains_key(&planned.id) {
                continue;
            }
            // What was made is remembered also if the rest is refused, and removed with the trace.
            let events = probes.entry(planned.id).or_default();
            for (number, place) in probe.places.iter().enumerate() {
                let name = format!("{}{}_{number}", self.identity.prefix, planned.id);
                events.push(ProbeEvent {
                    event: self.tracefs.add_probe(&self.owner, &name, place)?,
                    place: place.clone(),
                });
            }
        }
        Ok(())
    }

    /// Writes the state of the system into the trace.
    pub(super) fn dump_state(&self) {
        self.state_dump.write();
    }

    /// Starts or stops all channels.
    pub(super) fn set_tracing(&self, on: bool) -> Result<(), KernelError> {
        for channel in &self.channels {
            channel.set_tracing(on)?;
        }
        Ok(())
    }

    /// Removes all that was made in tracefs. The consumer daemon must have let go of it. `pause` comes before each
    /// step.
    pub(super) fn remove(&self, pause: &dyn Fn()) {
        for channel in &self.channels {
            channel.remove(&self.tracefs, pause);
        }
        if let Some(tasks) = &self.tasks {
            tasks.remove();
        }
        for probe in std::mem::take(&mut *lock(&self.probes))
            .into_values()
            .flatten()
        {
            pause();
            if let Err(error) = self.tracefs.remove_probe(&probe.event, &probe.place) {
                warn!("{error}; it is removed when the daemon starts again");
            }
        }
    }
}

impl Drop for KernelTrace {
    fn drop(&mut self) {
        self.remove(&|| {});
    }
}

impl LiveTrace for KernelTrace {
    fn key(&self) -> TraceKey {
        self.identity.key
    }

    fn handover(&self, after: &After<'_>) -> Vec<(Request, Vec<SharedFd>)> {
        let trace = self.identity.key;
        let setup = TraceSetup {
            trace,
            path: self.identity.path.clone(),
            uuid: self.identity.uuid,
            ends_with_writers: false,
        };
        let mut requests = vec![(
            Request::AddTrace(setup),
            vec![lock(&self.metadata).reader()],
        )];
        if let Some(tasks) = &self.tasks {
            requests.extend(tasks.handover(trace));
        }
        for channel in &self.channels {
            let setups = channel.setups(trace, after).into_iter();
            requests.extend(setups.map(|(setup, fds)| (Request::AddStream(setup), fds)));
        }
        let key = self.state_dump.key();
        let (setup, fds) = self.state_dump.setup(trace, after(key));
        requests.push((Request::AddStream(setup), fds));
        let publish = Request::PublishTrace {
            trace,
            unwritten: false,
        };
        requests.push((publish, Vec::new()));
        requests
    }

    fn shapes(&self) -> Vec<BufferShape> {
        self.channels
            .iter()
            .flat_map(KernelChannel::shapes)
            .collect()
    }

    fn begin_chunk(&self) {
        self.state_dump.begin_chunk();
    }

    fn give_up(&self) {}
}
