//! Where the history of tasks comes from, which the context fields of some channels need: an instance of its own,
//! so that its events are in nobody's trace.

use std::io;
use std::sync::{Arc, Mutex};

use consumer_api::{Request, TraceKey};
use kernel::selection;
use kernel::tasks::proc::{self, Proc};
use kernel::tasks::{Change, JOURNAL_CHANGES, TaskEvents, records};
use kernel::tracefs::{Instance, Owner, Tracefs};
use ring_buffer::{Journal, monotonic_now};
use tracing::warn;

use crate::app::SharedFd;
use crate::lock::lock;
use crate::session::kernel::channel::{CLOCK, KernelError};

/// Memory of the events of one CPU, bytes: some 15000 of them.
const BUFFER_BYTES: u64 = 1 << 20;
/// How full it is when the consumer daemon is woken, per cent.
const WAKEUP_PERCENT: u32 = 25;

/// See the module.
#[derive(Debug)]
pub(super) struct TaskHistory {
    instance: Mutex<Option<Instance>>,
    formats: String,
    journal: SharedFd,
    proc: SharedFd,
    page_size: u64,
    buffers: Mutex<Vec<(u32, SharedFd)>>,
}

impl TaskHistory {
    /// Begins it, with what runs now. All events that are enabled afterwards are in the time that it covers.
    pub(super) fn begin(tracefs: &Tracefs, owner: &Owner, name: &str) -> Result<Self, KernelError> {
        let instance = tracefs.create(owner, name)?;
        match Self::set_up(tracefs, &instance) {
            Ok(history) => {
                *lock(&history.instance) = Some(instance);
                Ok(history)
            }
            Err(error) => {
                if let Err(error) = instance.remove() {
                    warn!("{error}");
                }
                Err(error)
            }
        }
    }

    fn set_up(tracefs: &Tracefs, instance: &Instance) -> Result<Self, KernelError> {
        instance.set_clock(CLOCK)?;
        // What is lost is the oldest: the kernel tells where.
        instance.set_overwrite(true)?;
        instance.set_small_buffer(BUFFER_BYTES)?;
        instance.set_wakeup_level(WAKEUP_PERCENT)?;
        let mut formats = selection::page_entry(&instance.page_header()?);
        for event in TaskEvents::names() {
            formats += &selection::event_entry(&event.subsystem, &tracefs.format(&event)?);
            instance.set_event(&event, true)?;
        }
        TaskEvents::parse(&formats)?;
        let mut buffers: Vec<(u32, SharedFd)> = Vec::new();
        for cpu in instance.cpus()? {
            buffers.push((cpu, Arc::new(instance.open_raw(cpu)?.pipe)));
        }
        instance.set_tracing(true)?;

        let journal = Journal::create()?;
        let proc = Proc::open(&proc::find()?)?;
        let now = monotonic_now();
        let tasks = Proc::new(proc.try_clone()?).tasks()?;
        let found: Vec<Change> = tasks.iter().map(|task| task.seen(now, false)).collect();
        Journal::map(journal.try_clone()?)?.append(JOURNAL_CHANGES, 0, &records(&found))?;
        Ok(Self {
            instance: Mutex::new(None),
            formats,
            journal: Arc::new(journal),
            proc: Arc::new(proc),
            page_size: instance.subbuf_size(),
            buffers: Mutex::new(buffers),
        })
    }

    /// What hands it to a consumer daemon, which goes on where the one before stopped.
    pub(super) fn handover(&self, trace: TraceKey) -> Vec<(Request, Vec<SharedFd>)> {
        let formats = self.formats.clone();
        let mut requests = vec![(
            Request::AddTasks { trace, formats },
            vec![self.journal.clone(), self.proc.clone()],
        )];
        for (cpu, pipe) in &*lock(&self.buffers) {
            let buffer = Request::AddTaskBuffer {
                trace,
                cpu: *cpu,
                page_size: self.page_size,
            };
            requests.push((buffer, vec![pipe.clone()]));
        }
        requests
    }

    /// Removes the instance. The consumer daemon must have let go of it.
    pub(super) fn remove(&self) {
        lock(&self.buffers).clear();
        if let Some(instance) = lock(&self.instance).take()
            && let Err(error) = instance.remove()
        {
            warn!("{error}; it is removed when the daemon starts again");
        }
    }
}

/// Whether a history can be had; the reason if it cannot.
pub(crate) fn can_be_had() -> Result<(), String> {
    proc::find().map(|_| ()).map_err(|error| error.to_string())
}

impl From<kernel::tasks::TaskEventsError> for KernelError {
    fn from(error: kernel::tasks::TaskEventsError) -> Self {
        Self::System(io::Error::other(error))
    }
}

impl From<proc::NoProc> for KernelError {
    fn from(error: proc::NoProc) -> Self {
        Self::System(io::Error::other(error))
    }
}
