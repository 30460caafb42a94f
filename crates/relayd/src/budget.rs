//! How many descriptors there may be. Sockets cannot be closed and opened again, files can: streams
//! give theirs up after each packet while more are open than the budget says.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Counts open trace files against a limit.
#[derive(Debug)]
pub(crate) struct FileBudget {
    open: AtomicUsize,
    limit: usize,
}

/// One open file, counted.
#[derive(Debug)]
pub(crate) struct Counted<T> {
    file: T,
    budget: Arc<FileBudget>,
}

impl FileBudget {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            open: AtomicUsize::new(0),
            limit,
        })
    }

    /// More are open than there should be. Only a hint, so no ordering is needed.
    pub(crate) fn is_exceeded(&self) -> bool {
        self.open.load(Ordering::Relaxed) > self.limit
    }

    /// Files open at present.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// How many there should be at most.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn count<T>(self: &Arc<Self>, file: T) -> Counted<T> {
        self.open.fetch_add(1, Ordering::Relaxed);
        Counted {
            file,
            budget: Arc::clone(self),
        }
    }
}

impl<T> Drop for Counted<T> {
    fn drop(&mut self) {
        self.budget.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<T> std::ops::Deref for Counted<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.file
    }
}

/// Descriptors for everything else: listeners, epoll, logs.
const RESERVED: usize = 64;

/// Trace files kept open at once, even where the system allows more: an open file costs memory.
const MAX_FILES: usize = 1 << 16;

/// How the descriptors are shared out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Descriptors {
    /// Connections at once.
    pub(crate) connections: usize,
    /// Trace files at once, more or less.
    pub(crate) files: usize,
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
    Descriptors {
        connections: (usable / 2).max(16),
        files: (usable / 2).clamp(16, MAX_FILES),
    }
}

/// The most descriptors any process may have.
fn nr_open() -> Option<u64> {
    std::fs::read_to_string("/proc/sys/fs/nr_open")
        .ok()?
        .trim()
        .parse()
        .ok()
}
