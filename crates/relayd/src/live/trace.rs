//! A trace as viewers see it: the streams of a session that share a directory, one of which is metadata.

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use relay::ChunkId;
use rustix::fs::{Mode, OFlags};

use super::mailbox::{Waker, Wakers};
use crate::group::Group;
use crate::output::{OutputError, failed};
use crate::pool::{Counted, FilePool, OpenFile};

/// A directory of a trace in one trace chunk. Files in it are found whatever it is renamed to.
pub(crate) type Directory = OpenFile;

/// See the module.
#[derive(Debug)]
pub(crate) struct Trace {
    /// Unique in the whole relay daemon.
    pub(super) id: u64,
    /// The directory opened last, which the streams of a trace share.
    directory: Mutex<Option<(ChunkId, Weak<Counted>)>>,
    /// One of its streams has a packet.
    has_packet: AtomicBool,
    /// Who waits for that.
    wakers: Mutex<Wakers>,
}

impl Trace {
    pub(super) fn new(id: u64) -> Self {
        Self {
            id,
            directory: Mutex::default(),
            has_packet: AtomicBool::new(false),
            wakers: Mutex::default(),
        }
    }

    /// One of its streams has a packet.
    pub(super) fn on_packet(&self) {
        if !self.has_packet.swap(true, Ordering::SeqCst) {
            self.lock_wakers().wake();
        }
    }

    /// One of its streams has had a packet; `waker` waits for that if not.
    pub(super) fn has_packet(&self, waker: Option<&Waker>) -> bool {
        if let Some(waker) = waker {
            self.lock_wakers().add(waker);
        }
        self.has_packet.load(Ordering::SeqCst)
    }

    fn lock_wakers(&self) -> MutexGuard<'_, Wakers> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The directory `path` of this trace in a chunk.
    pub(crate) fn directory(
        &self,
        group: &Group,
        pool: &Arc<FilePool>,
        chunk: ChunkId,
        path: &str,
    ) -> Result<Directory, OutputError> {
        let mut last = self
            .directory
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let shared = last
            .as_ref()
            .filter(|(of, _)| *of == chunk)
            .and_then(|(_, directory)| directory.upgrade());
        if let Some(directory) = shared {
            return Ok(directory);
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let directory = pool.open(|| {
            group.with_directory(chunk, path, |output, path| {
                let path = output.path(&path);
                rustix::fs::open(&path, flags, Mode::empty())
                    .map(File::from)
                    .map_err(|error| failed("open directory", &path)(error.into()))
            })
        })?;
        *last = Some((chunk, Arc::downgrade(&directory)));
        Ok(directory)
    }
}
