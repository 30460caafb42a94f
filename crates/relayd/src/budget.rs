//! How many descriptors there may be.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors for everything else: listeners, epoll, logs.
const RESERVED: usize = 64;

/// How the descriptors are shared out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Descriptors {
    /// Sockets and trace files at once.
    pub(crate) usable: usize,
    /// Sockets at once; what they do not use goes to trace files.
    pub(crate) connections: usize,
}

impl Descriptors {
    pub(crate) fn new(usable: usize) -> Self {
        // Trace files can be closed and opened again: a few places are enough to go on.
        let least_files = (usable / 16).max(8);
        Self {
            usable,
            connections: usable.saturating_sub(least_files),
        }
    }
}

/// Raises the limit of descriptors as far as it goes, and shares them out. `pool_size` is
/// `--fd-pool-size`.
pub(crate) fn descriptors(pool_size: Option<usize>) -> Descriptors {
    let wanted = nr_open();
    let now = getrlimit(Resource::Nofile);
    // The hard limit can be raised by a privileged process only; the soft one up to it by anybody.
    let raised = wanted
        .filter(|wanted| now.maximum.is_some_and(|maximum| *wanted > maximum))
        .map(|wanted| Rlimit {
            current: Some(wanted),
            maximum: Some(wanted),
        });
    if raised.is_none_or(|limit| setrlimit(Resource::Nofile, limit).is_err()) {
        let limit = Rlimit {
            current: now.maximum,
            maximum: now.maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!("cannot raise the limit of open files: {error}");
        }
    }
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let usable = pool_size
        .map_or(limit, |size| size.min(limit))
        .saturating_sub(RESERVED);
    Descriptors::new(usable)
}

/// The most descriptors any process may have.
fn nr_open() -> Option<u64> {
    std::fs::read_to_string("/proc/sys/fs/nr_open")
        .ok()?
        .trim()
        .parse()
        .ok()
}
