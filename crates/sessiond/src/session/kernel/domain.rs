//! The kernel's tracing file system, as this daemon uses it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use control::ErrorCode;
use kernel::format::{EventFormat, PageHeader};
use kernel::machine::Machine;
use kernel::names;
use kernel::tracefs::{EventName, EventProbe, Owner, ProbePlace, Tracefs, TracefsError};
use tracing::{info, warn};

use crate::session::kernel::gate::Gate;
use crate::session::kernel::text_probes::LeftProbes;
use crate::session::plan::Refusal;

/// How often leftovers are tried to be removed: a consumer daemon of the daemon before may hold them.
const ATTEMPTS: u32 = 5;

/// An event whose text is read to see whether it can be.
const PROBED: &str = "sys_enter_openat";

/// What is common to the kernel traces of all sessions.
#[derive(Debug)]
pub(crate) struct KernelDomain {
    owner: Result<Owner, String>,
    /// Begins the names of this daemon's instances; another one for each start of the daemon.
    run: String,
    /// The administrator does not want it.
    off: bool,
    /// Numbers the probes that are made to see whether they can be had.
    trials: AtomicU64,
    /// Whether the kernel has event probes, which read the text of system calls.
    has_event_probes: OnceLock<bool>,
    left_probes: LeftProbes,
    gate: Arc<Gate>,
}

impl KernelDomain {
    /// `identity` tells this daemon from others on the machine, and is the same after a restart.
    pub(crate) fn new(identity: Result<String, String>, run: String, off: bool) -> Self {
        let owner =
            identity.and_then(|identity| Owner::new(&identity).map_err(|error| error.to_string()));
        Self {
            owner,
            run,
            off,
            trials: AtomicU64::new(0),
            has_event_probes: OnceLock::new(),
            left_probes: LeftProbes::default(),
            gate: Arc::default(),
        }
    }

    /// Tracefs, found or mounted now: it may come and go.
    pub(crate) fn tracefs(&self) -> Result<Tracefs, Refusal> {
        let reason = match self.off {
            true => "the session daemon was started with --no-kernel".to_owned(),
            false => match Tracefs::find() {
                Ok(tracefs) => return Ok(tracefs),
                Err(error) => error.to_string(),
            },
        };
        // Upstream's codes.
        let code = if rustix::process::geteuid().is_root() {
            ErrorCode::KERNEL_UNAVAILABLE
        } else {
            ErrorCode::NEED_ROOT_SESSION_DAEMON
        };
        Err(Refusal::new(code, reason))
    }

    pub(super) fn owner(&self) -> Result<&Owner, Refusal> {
        self.owner.as_ref().map_err(|reason| {
            let message = format!("instances in tracefs cannot be named: {reason}");
            Refusal::new(ErrorCode::KERNEL_UNAVAILABLE, message)
        })
    }

    /// Name of an instance or a probe.
    pub(super) fn name(&self, session: u64, part: &str) -> String {
        format!("{}{session}_{part}", self.run)
    }

    /// Makes a probe and removes it at once: only the kernel knows whether it can be there.
    pub(crate) fn try_probe(
        &self,
        tracefs: &Tracefs,
        place: &ProbePlace,
    ) -> Result<Result<(), TracefsError>, Refusal> {
        let owner = self.owner()?;
        let tried = tracefs
            .add_probe(owner, &self.trial_name(), place)
            .and_then(|event| tracefs.remove_probe(&event, place));
        Ok(tried)
    }

    fn trial_name(&self) -> String {
        // Relaxed: the numbers only have to differ.
        let number = self.trials.fetch_add(1, Ordering::Relaxed);
        format!("{}try_{number}", self.run)
    }

    /// Where removals let others go first.
    pub(super) fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Probes of channels that are gone; what goes next removes them.
    pub(super) fn left_probes(&self) -> LeftProbes {
        self.left_probes.clone()
    }

    /// Whether an event of a system call can be recorded with its text. Found out once: no file of the kernel
    /// tells.
    pub(super) fn has_event_probes(&self, tracefs: &Tracefs) -> bool {
        *self.has_event_probes.get_or_init(|| {
            let made = || {
                let event = EventName::new(names::SYSCALLS, PROBED);
                let format = EventFormat::parse(&tracefs.format(&event).ok()?).ok()?;
                let machine = Machine::native(&PageHeader::LONG_64);
                let probe = EventProbe::reading_text(format, &event.subsystem, &machine)?;
                let owner = self.owner.as_ref().ok()?;
                tracefs
                    .add_event_probe(owner, &self.trial_name(), &probe)
                    .ok()
            };
            let made = made();
            if let Some(Err(error)) = made.as_ref().map(|event| tracefs.remove_event_probe(event)) {
                warn!("{error}; it is removed when the daemon starts again");
            }
            made.is_some()
        })
    }

    /// The format that the event of a system call has in a trace: with its text, if the kernel can read it.
    pub(crate) fn recorded_format(
        &self,
        tracefs: &Tracefs,
        event: &EventName,
        format: EventFormat,
    ) -> EventFormat {
        if event.subsystem != names::SYSCALLS || !self.has_event_probes(tracefs) {
            return format;
        }
        let machine = Machine::native(&PageHeader::LONG_64);
        match EventProbe::reading_text(format.clone(), &event.subsystem, &machine) {
            Some(probe) => probe.expected(),
            None => format,
        }
    }

    /// Whether the kernel takes a filter: not every one can do everything.
    pub(crate) fn try_filter(
        &self,
        tracefs: &Tracefs,
        event: &EventName,
        filter: &str,
    ) -> Result<Result<(), TracefsError>, Refusal> {
        let instance = tracefs.create(self.owner()?, &self.trial_name());
        Ok(instance.and_then(|instance| {
            let tried = instance.set_filter(event, Some(filter));
            instance.remove().and(tried)
        }))
    }

    /// All tracepoints of the kernel, without system calls and without probes of ours.
    pub(crate) fn events(&self) -> Result<Vec<EventName>, Refusal> {
        let tracefs = self.tracefs()?;
        tracefs
            .events()
            .map_err(|error| Refusal::new(ErrorCode::KERNEL_LIST_FAILED, error.to_string()))
    }

    /// Removes what a former run of this daemon left.
    pub(crate) fn remove_leftovers(&self) {
        let (Ok(owner), Ok(tracefs)) = (&self.owner, self.tracefs()) else {
            return;
        };
        for _ in 0..ATTEMPTS {
            let removed = tracefs.remove_leftovers(owner, &self.run, &|| self.gate.give_way());
            match removed {
                Ok(0) => return,
                Ok(count) => {
                    info!("removed {count} instances and probes that a former daemon left");
                    return;
                }
                Err(error) => warn!("a former daemon left something in tracefs: {error}"),
            }
        }
    }
}
