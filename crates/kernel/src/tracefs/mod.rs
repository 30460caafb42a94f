//! The kernel's tracing file system: where it is, what it offers, and instances of our own.
//!
//! tracefs is one for the whole machine, whatever namespaces a process is in. Everything here happens in
//! instances ([`Instance`]) whose names begin with the identity of their owner ([`Owner`]), so that a
//! restarted daemon finds what its former self left, and never touches what belongs to others.

mod error;
mod files;
mod instance;
mod owner;
mod probe;
mod stats;

pub use error::TracefsError;
pub use instance::{Instance, RawStream};
pub use owner::{Owner, is_probe_group};
pub use probe::{EventProbe, KprobeSite, ProbeArgumentError, ProbePlace, UprobeSite};
pub use stats::Stats;

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statfs};
use rustix::mount::{MountFlags, mount};

use crate::files::mounts_of;
use files::{list, read};

/// Where current kernels want it.
const USUAL_PLACE: &str = "/sys/kernel/tracing";
/// Where it also was, and may be reached if it is nowhere else.
const DEBUGFS_PLACE: &str = "/sys/kernel/debug/tracing";
/// `f_type` of a tracefs.
const TRACEFS_MAGIC: u64 = 0x7472_6163;

/// Kernel's name of an event: its subsystem and its name there.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventName {
    /// For instance `sched`.
    pub subsystem: String,
    /// For instance `sched_switch`.
    pub name: String,
}

impl EventName {
    /// The event `name` of `subsystem`.
    pub fn new(subsystem: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            subsystem: subsystem.into(),
            name: name.into(),
        }
    }

    /// `sched:sched_switch`, as lists of the kernel have it.
    fn parse(line: &str) -> Option<Self> {
        let (subsystem, name) = line.trim().split_once(':')?;
        Some(Self::new(subsystem, name))
    }

    fn path(&self) -> String {
        format!("events/{}/{}", self.subsystem, self.name)
    }
}

/// The tracing file system, in a place where it can be used.
#[derive(Clone, Debug)]
pub struct Tracefs {
    root: PathBuf,
}

impl Tracefs {
    /// Looks for it where it belongs, then among all mounts, and mounts it if it is nowhere.
    pub fn find() -> Result<Self, TracefsError> {
        let places = [USUAL_PLACE, DEBUGFS_PLACE].map(PathBuf::from);
        let found = places
            .into_iter()
            .chain(mounts_of("tracefs"))
            .find(|place| is_tracefs(place));
        let root = match found {
            Some(root) => root,
            None => mount_it()?,
        };
        let instances = root.join("instances");
        // Others than root may not even look, mostly.
        if matches!(instances.try_exists(), Ok(false)) {
            return Err(TracefsError::NoInstances(root));
        }
        access(&instances, Access::WRITE_OK | Access::EXEC_OK)
            .map_err(|_| TracefsError::Denied(instances))?;
        Ok(Self { root })
    }

    /// All events of the running kernel.
    pub fn events(&self) -> Result<Vec<EventName>, TracefsError> {
        let text = read(&self.root.join("available_events"))?;
        Ok(text.lines().filter_map(EventName::parse).collect())
    }

    /// The `format` file of an event.
    pub fn format(&self, event: &EventName) -> Result<String, TracefsError> {
        read(&self.root.join(event.path()).join("format"))
    }

    /// Whether the kernel has this file, for instance `kprobe_events`.
    pub fn has(&self, file: &str) -> bool {
        self.root.join(file).exists()
    }

    /// Creates an instance that records nothing yet.
    pub fn create(&self, owner: &Owner, name: &str) -> Result<Instance, TracefsError> {
        Instance::create(self.root.join("instances").join(owner.instance(name)))
    }

    /// Removes all instances and probes of this owner but those whose names begin with `except`, and tells
    /// how many there were. `pause` comes before each step.
    pub fn remove_leftovers(
        &self,
        owner: &Owner,
        except: &str,
        pause: &dyn Fn(),
    ) -> Result<usize, TracefsError> {
        let mut removed = 0;
        let kept = owner.instance(except);
        for name in list(&self.root.join("instances"))? {
            if owner.owns_instance(&name) && !name.starts_with(&kept) {
                let instance = Instance::at(self.root.join("instances").join(name));
                instance.remove_in_steps(pause)?;
                removed += 1;
            }
        }
        removed += self.remove_probes(owner, except)?;
        Ok(removed)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }
}

fn is_tracefs(place: &Path) -> bool {
    statfs(place).is_ok_and(|found| found.f_type as u64 == TRACEFS_MAGIC)
}

fn mount_it() -> Result<PathBuf, TracefsError> {
    let place = PathBuf::from(USUAL_PLACE);
    match mount("nodev", USUAL_PLACE, "tracefs", MountFlags::empty(), None) {
        Ok(()) => Ok(place),
        Err(errno) => Err(TracefsError::NotMounted(errno.into())),
    }
}
