//! The history of the kernel's tasks among what a session has.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use anyhow::anyhow;
use consumer_api::TraceKey;

use super::{Session, refused};
use crate::kernel_tasks::KernelTasks;
use crate::output::OutputError;
use crate::poller::{Poller, Source};
use crate::trace::Trace;

impl Session {
    /// The streams that are added to this trace afterwards may need the history of tasks.
    pub(crate) fn add_tasks(
        &mut self,
        key: TraceKey,
        formats: &str,
        journal: OwnedFd,
        proc: OwnedFd,
    ) -> Result<(), OutputError> {
        let tasks = KernelTasks::new(formats, journal, proc).map_err(refused)?;
        self.trace_mut(key)?.tasks = Some(Rc::new(RefCell::new(tasks)));
        Ok(())
    }

    /// Reads the history of one more CPU.
    pub(crate) fn add_task_buffer(
        &mut self,
        poller: &mut Poller,
        key: TraceKey,
        cpu: u32,
        page_size: u64,
        pipe: OwnedFd,
    ) -> Result<(), OutputError> {
        let Some(tasks) = &self.trace_mut(key)?.tasks else {
            return Err(refused(anyhow!("trace {} has no history", key.0)));
        };
        let wait = |pipe: &OwnedFd| poller.add(pipe, Source::Tasks(key));
        let added = tasks.borrow_mut().add_buffer(cpu, page_size, pipe, wait);
        added.map_err(refused)
    }

    /// A buffer of the history fills.
    pub(crate) fn tasks_ready(&mut self, key: TraceKey) {
        let Some(tasks) = self.traces.get(&key).and_then(|trace| trace.tasks.as_ref()) else {
            return;
        };
        if let Err(error) = tasks.borrow_mut().catch_up() {
            tracing::error!("{error:#}");
        }
    }

    /// Waits for no buffer of its history any more.
    pub(super) fn forget_tasks(&mut self, poller: &mut Poller, key: TraceKey) {
        if let Some(tasks) = self.traces.get(&key).and_then(|trace| trace.tasks.as_ref()) {
            let remove = |pipe: &OwnedFd, token| poller.remove(pipe, token);
            tasks.borrow_mut().let_go(remove);
        }
    }

    fn trace_mut(&mut self, key: TraceKey) -> Result<&mut Trace, OutputError> {
        let trace = self.traces.get_mut(&key);
        trace.ok_or_else(|| refused(anyhow!("there is no trace {}", key.0)))
    }
}
