//! The kernel's tracing file system, as this daemon uses it.

use std::sync::atomic::{AtomicU64, Ordering};

use control::ErrorCode;
use kernel::tracefs::{EventName, Owner, ProbePlace, Tracefs, TracefsError};
use tracing::{info, warn};

use crate::session::plan::Refusal;

/// How often leftovers are tried to be removed: a consumer daemon of the daemon before may hold them.
const ATTEMPTS: u32 = 5;

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
        // Relaxed: the numbers only have to differ.
        let number = self.trials.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}try_{number}", self.run);
        let tried = tracefs
            .add_probe(owner, &name, place)
            .and_then(|event| tracefs.remove_probe(&event, place));
        Ok(tried)
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
            match tracefs.remove_leftovers(owner, &self.run) {
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
