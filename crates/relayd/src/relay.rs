//! What all connections of the relay daemon share.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use relay::server::layout::Grouping;
use relay::server::names::RelativePath;
use relay::server::{ChunkMember, ChunkSet};
use relay::{RelaySessionId, SessionKey, StreamHandle};

use crate::group::Group;
use crate::groups::{Groups, Place};
use crate::journal::Journal;
use crate::live::LiveSessions;
use crate::output::{Output, OutputError};
use crate::pool::FilePool;
use crate::register::Register;
use crate::session::{NewSession, Session};
use crate::stream::SharedStream;

/// Streams at once, of all sessions.
pub(crate) const MAX_STREAMS: usize = 1 << 20;
/// How long a stream waits for packets of a session whose control connection is gone, when no data
/// connection is known to carry it.
const ORPHAN_PATIENCE: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) output: Arc<Output>,
    pub(crate) grouping: Grouping,
    pub(crate) clear_allowed: bool,
    /// Packets may come from another address than their session.
    pub(crate) data_from_anywhere: bool,
    pub(crate) pool: Arc<FilePool>,
    pub(crate) register: Arc<Register>,
    pub(crate) live: LiveSessions,
    next_session: AtomicU64,
    next_stream: AtomicU64,
    /// Looked up once per stream and data connection.
    streams: RwLock<HashMap<StreamHandle, Arc<SharedStream>>>,
    groups: Groups,
    /// Streams whose control connection is gone and that wait for packets.
    lingering: Mutex<Vec<(Instant, Arc<SharedStream>)>>,
    lingering_count: AtomicUsize,
}

impl Relay {
    pub(crate) fn new(
        output: Arc<Output>,
        grouping: Grouping,
        clear_allowed: bool,
        data_from_anywhere: bool,
        pool: Arc<FilePool>,
        journal: Journal,
    ) -> Self {
        Self {
            groups: Groups::new(Arc::clone(&output), journal),
            output,
            grouping,
            clear_allowed,
            data_from_anywhere,
            pool,
            register: Arc::new(Register::new()),
            live: LiveSessions::default(),
            next_session: AtomicU64::new(1),
            next_stream: AtomicU64::new(1),
            streams: RwLock::default(),
            lingering: Mutex::default(),
            lingering_count: AtomicUsize::new(0),
        }
    }

    /// A session of a peer since minor 11; joins the directories of others with the same key.
    pub(crate) fn new_session(
        &self,
        new: NewSession<'_>,
        key: SessionKey,
        directory: &RelativePath,
        place: Place,
    ) -> Result<Arc<Session>, OutputError> {
        let group = self.groups.get(key, directory, place)?;
        Ok(Session::new(self.session_id(), new, group, &self.register))
    }

    /// A session of an older peer.
    pub(crate) fn new_old_session(&self, new: NewSession<'_>) -> (Arc<Session>, ChunkMember) {
        let (chunks, member) = ChunkSet::for_old_peer();
        let output = Arc::clone(&self.output);
        let group = Arc::new(Group::new(output, chunks, "", None));
        let session = Session::new(self.session_id(), new, group, &self.register);
        (session, member)
    }

    fn session_id(&self) -> RelaySessionId {
        RelaySessionId(self.next_session.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn new_handle(&self) -> StreamHandle {
        StreamHandle(self.next_stream.fetch_add(1, Ordering::Relaxed))
    }

    /// Makes a stream known to data connections; `false` when there are too many.
    pub(crate) fn add_stream(&self, stream: &Arc<SharedStream>) -> bool {
        let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
        if streams.len() >= MAX_STREAMS {
            return false;
        }
        streams.insert(stream.handle, Arc::clone(stream));
        true
    }

    pub(crate) fn stream(&self, handle: StreamHandle) -> Option<Arc<SharedStream>> {
        let streams = self.streams.read().unwrap_or_else(PoisonError::into_inner);
        streams.get(&handle).cloned()
    }

    /// Streams at present.
    pub(crate) fn stream_count(&self) -> usize {
        let streams = self.streams.read().unwrap_or_else(PoisonError::into_inner);
        streams.len()
    }

    pub(crate) fn forget_stream(&self, handle: StreamHandle) {
        let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
        streams.remove(&handle);
    }

    /// The control connection of this stream is gone, packets of it are still to come.
    pub(crate) fn linger(&self, stream: Arc<SharedStream>) {
        let mut lingering = lock(&self.lingering);
        lingering.push((Instant::now(), stream));
        self.lingering_count
            .store(lingering.len(), Ordering::SeqCst);
    }

    /// When [`Relay::sweep`] should be called, even if nothing happens.
    pub(crate) fn sweep_in(&self) -> Option<Duration> {
        (self.lingering_count.load(Ordering::SeqCst) > 0).then_some(ORPHAN_PATIENCE / 4)
    }

    /// Ends the waiting of streams for which nothing can come: `left` is a session whose data
    /// connection has just gone.
    pub(crate) fn sweep(&self, left: Option<&Session>) {
        if self.lingering_count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let now = Instant::now();
        let mut lingering = lock(&self.lingering);
        let mut orphans = Vec::new();
        lingering.retain(|(since, stream)| {
            if stream.is_closed() {
                return false;
            }
            let session = &stream.session;
            let known = left.is_some_and(|left| left.id == session.id);
            let over = known || now.duration_since(*since) > ORPHAN_PATIENCE;
            if over && session.is_orphaned() {
                orphans.push(Arc::clone(stream));
                return false;
            }
            true
        });
        self.lingering_count
            .store(lingering.len(), Ordering::SeqCst);
        drop(lingering);
        for stream in orphans {
            tracing::warn!(
                session = %stream.session.id,
                stream = %stream.handle,
                "packets never came"
            );
            if let Err(error) = stream.abort(self) {
                tracing::error!(session = %stream.session.id, "{error}");
            }
        }
    }

    /// Closes what is still open, at the end of the daemon. Sessions that somebody is stuck in come last.
    pub(crate) fn close_all(&self) {
        let mut streams: Vec<_> = {
            let streams = self.streams.read().unwrap_or_else(PoisonError::into_inner);
            streams.values().cloned().collect()
        };
        let stuck: HashSet<_> = streams
            .iter()
            .filter(|stream| stream.is_locked())
            .map(|stream| stream.session.id)
            .collect();
        streams.sort_by_key(|stream| stuck.contains(&stream.session.id));
        for stream in streams {
            // No worker is there any more to complete a packet.
            let closed = stream.abort_packet(self).and_then(|()| stream.abort(self));
            if let Err(error) = closed {
                tracing::error!(session = %stream.session.id, "{error}");
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
