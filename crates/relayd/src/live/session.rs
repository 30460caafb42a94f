//! A session as viewers see it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use relay::live::{Cursor, Expected, SessionEntry, Ticks};
use relay::server::names::RelativePath;
use relay::{CreateSession, RelaySessionId, StreamHandle, TraceFormat};

use super::mailbox::{Waker, Wakers};
use super::trace::Trace;
use crate::stream::SharedStream;

/// New streams that wait for a viewer to ask for them; of what comes then it learns nothing.
const MAX_FRESH: usize = 1 << 16;

/// What viewers are told of a session.
#[derive(Clone, Debug)]
pub(crate) struct LiveInfo {
    pub(crate) host: String,
    pub(crate) name: String,
    /// 0: viewers may not attach.
    pub(crate) live_timer_us: u32,
    pub(crate) trace_format: TraceFormat,
}

impl LiveInfo {
    pub(crate) fn new(request: &CreateSession<'_>) -> Self {
        Self {
            host: request.hostname.to_owned(),
            name: request.session_name.to_owned(),
            live_timer_us: request.live_timer_us,
            trace_format: request.trace_format,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct LiveSession {
    pub(super) id: RelaySessionId,
    pub(super) info: LiveInfo,
    /// All open ones.
    stream_count: AtomicU32,
    viewers: AtomicU32,
    /// Nothing can come but the rest of what is there.
    closed: AtomicBool,
    /// A trace chunk was created and the one before it is not closed yet.
    rotating: AtomicBool,
    /// The newest time of the trace clock that an index told.
    newest: AtomicU64,
    ticks: Mutex<Ticks>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    traces: HashMap<RelativePath, TraceState>,
    /// Not announced yet.
    added: Vec<Arc<SharedStream>>,
    /// Announced, without a metadata stream in their trace.
    incomplete: Vec<Arc<SharedStream>>,
    visible: BTreeMap<StreamHandle, Arc<SharedStream>>,
    attachments: Vec<Weak<Attachment>>,
}

#[derive(Debug)]
struct TraceState {
    trace: Weak<Trace>,
    has_metadata: bool,
}

/// A viewer's hold on a session.
#[derive(Debug)]
pub(super) struct Attachment {
    pub(super) session: Arc<LiveSession>,
    has_fresh: AtomicBool,
    /// The newest time that was known when the first of the fresh streams was announced.
    limit: AtomicU64,
    fresh: Mutex<Fresh>,
}

#[derive(Debug, Default)]
struct Fresh {
    /// Streams the viewer was not told of.
    streams: VecDeque<View>,
    wakers: Wakers,
}

/// A viewer's hold on a stream, which keeps what it has not read.
#[derive(Debug)]
pub(super) struct View {
    pub(super) stream: Arc<SharedStream>,
    /// Where the viewer begins.
    pub(super) begin: Cursor,
}

impl View {
    fn new(stream: &Arc<SharedStream>, from_beginning: bool) -> Option<Self> {
        let begin = stream.view(from_beginning)?;
        Some(Self {
            stream: Arc::clone(stream),
            begin,
        })
    }
}

impl Drop for View {
    fn drop(&mut self) {
        self.stream.unview();
    }
}

impl LiveSession {
    pub(crate) fn new(id: RelaySessionId, info: LiveInfo) -> Self {
        let timer = Duration::from_micros(info.live_timer_us.into());
        Self {
            id,
            info,
            stream_count: AtomicU32::new(0),
            viewers: AtomicU32::new(0),
            closed: AtomicBool::new(false),
            rotating: AtomicBool::new(false),
            newest: AtomicU64::new(0),
            ticks: Mutex::new(Ticks::new(timer)),
            state: Mutex::default(),
        }
    }

    /// Viewers may attach.
    pub(crate) fn is_live(&self) -> bool {
        self.info.live_timer_us > 0
    }

    /// The trace of a stream in this directory. `next_id` counts the traces of the relay daemon.
    pub(crate) fn trace(&self, directory: &RelativePath, next_id: &AtomicU64) -> Arc<Trace> {
        let mut state = self.lock();
        let known = state
            .traces
            .get(directory)
            .and_then(|it| it.trace.upgrade());
        if let Some(trace) = known {
            return trace;
        }
        if state.traces.len().is_power_of_two() {
            state.traces.retain(|_, it| it.trace.strong_count() > 0);
        }
        let trace = Arc::new(Trace::new(next_id.fetch_add(1, Ordering::Relaxed)));
        let slot = TraceState {
            trace: Arc::downgrade(&trace),
            has_metadata: false,
        };
        state.traces.insert(directory.clone(), slot);
        trace
    }

    /// A stream was added.
    pub(crate) fn on_stream(&self, stream: &Arc<SharedStream>) {
        self.stream_count.fetch_add(1, Ordering::Relaxed);
        if self.is_live() {
            self.lock().added.push(Arc::clone(stream));
        }
    }

    /// A stream is closed. Viewers that know it keep it until they have read everything.
    pub(crate) fn on_closed_stream(&self, handle: StreamHandle) {
        // An error after the end may say so again.
        let less = |count: u32| count.checked_sub(1);
        let _ = self
            .stream_count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        if self.is_live() {
            let mut state = self.lock();
            state.visible.remove(&handle);
            state.added.retain(|stream| stream.handle != handle);
            state.incomplete.retain(|stream| stream.handle != handle);
        }
    }

    /// `STREAMS_SENT`: what was added is announced.
    pub(crate) fn on_streams_sent(&self) {
        let mut state = self.lock();
        let State {
            traces,
            added,
            incomplete,
            visible,
            attachments,
        } = &mut *state;
        for stream in added.iter().filter(|stream| stream.is_metadata()) {
            if let Some(trace) = traces.get_mut(&stream.directory) {
                trace.has_metadata = true;
            }
        }
        let mut fresh = Vec::new();
        incomplete.append(added);
        incomplete.retain(|stream| {
            let complete = traces
                .get(&stream.directory)
                .is_some_and(|trace| trace.has_metadata);
            if complete {
                visible.insert(stream.handle, Arc::clone(stream));
                fresh.push(Arc::clone(stream));
            }
            !complete
        });
        attachments.retain(|attachment| match attachment.upgrade() {
            Some(attachment) => {
                attachment.add(&fresh);
                true
            }
            None => false,
        });
    }

    /// An index or a beacon told this time.
    pub(crate) fn on_time(&self, timestamp_end: u64) {
        if self.is_live() {
            self.newest.fetch_max(timestamp_end, Ordering::SeqCst);
            self.ticks().on_news(Instant::now());
        }
    }

    /// What is known of the next news of a stream that had news last at that time.
    pub(super) fn expected(&self, heard: Option<Instant>) -> Expected {
        self.ticks().expected(heard)
    }

    fn ticks(&self) -> MutexGuard<'_, Ticks> {
        self.ticks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A rotation or clear begins, or ends.
    pub(crate) fn set_rotating(&self, rotating: bool) {
        let before = self.rotating.swap(rotating, Ordering::SeqCst);
        if before && !rotating {
            self.wake_viewers();
        }
    }

    fn wake_viewers(&self) {
        let state = self.lock();
        for attachment in state.attachments.iter().filter_map(Weak::upgrade) {
            attachment.lock().wakers.wake();
        }
    }

    fn is_rotating(&self) -> bool {
        self.rotating.load(Ordering::SeqCst)
    }

    /// The control connection is gone.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.rotating.store(false, Ordering::SeqCst);
        self.wake_viewers();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// A viewer attaches: its hold, and the streams there are.
    pub(super) fn attach(self: &Arc<Self>, from_beginning: bool) -> (Arc<Attachment>, Vec<View>) {
        let attachment = Arc::new(Attachment {
            session: Arc::clone(self),
            has_fresh: AtomicBool::new(false),
            limit: AtomicU64::new(0),
            fresh: Mutex::default(),
        });
        self.viewers.fetch_add(1, Ordering::Relaxed);
        let mut state = self.lock();
        state.attachments.push(Arc::downgrade(&attachment));
        let views = state
            .visible
            .values()
            .filter_map(|stream| View::new(stream, from_beginning))
            .collect();
        (attachment, views)
    }

    /// As it is listed.
    pub(super) fn entry(&self) -> SessionEntry<'_> {
        SessionEntry {
            session: self.id,
            live_timer_us: self.info.live_timer_us,
            clients: self.viewers.load(Ordering::Relaxed),
            streams: self.stream_count.load(Ordering::Relaxed),
            hostname: self.info.host.as_str().into(),
            session_name: self.info.name.as_str().into(),
            trace_format: self.info.trace_format,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attachment {
    fn add(&self, streams: &[Arc<SharedStream>]) {
        if streams.is_empty() {
            return;
        }
        let mut fresh = self.lock();
        for stream in streams {
            if fresh.streams.len() < MAX_FRESH {
                fresh.streams.extend(View::new(stream, true));
            }
        }
        if !self.has_fresh() {
            let newest = self.session.newest.load(Ordering::SeqCst);
            self.limit.store(newest, Ordering::SeqCst);
            self.has_fresh.store(true, Ordering::SeqCst);
        }
        fresh.wakers.wake();
    }

    /// There are streams the viewer was not told of.
    pub(super) fn has_fresh(&self) -> bool {
        self.has_fresh.load(Ordering::SeqCst)
    }

    /// While there are: the newest time that was known when the first of them was announced.
    pub(super) fn limit(&self) -> u64 {
        self.limit.load(Ordering::SeqCst)
    }

    /// Takes the streams the viewer was not told of; `waker` waits for one if there are none.
    pub(super) fn take_fresh(&self, waker: Option<&Waker>) -> Vec<View> {
        let mut fresh = self.lock();
        self.has_fresh.store(false, Ordering::SeqCst);
        if let Some(waker) = waker.filter(|_| fresh.streams.is_empty()) {
            fresh.wakers.add(waker);
        }
        fresh.streams.drain(..).collect()
    }

    /// A rotation or clear goes on; `waker` waits for its end if so.
    pub(super) fn is_rotating(&self, waker: Option<&Waker>) -> bool {
        if !self.session.is_rotating() {
            return false;
        }
        if let Some(waker) = waker {
            self.watch(waker);
        }
        // It may have ended before the waker was there.
        self.session.is_rotating()
    }

    /// Waits for new streams, the end of a rotation, or that of the session.
    pub(super) fn watch(&self, waker: &Waker) {
        self.lock().wakers.add(waker);
    }

    fn lock(&self) -> MutexGuard<'_, Fresh> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.session.viewers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All sessions whose control connection is there.
#[derive(Debug)]
pub(crate) struct LiveSessions {
    sessions: Mutex<BTreeMap<RelaySessionId, Arc<LiveSession>>>,
    next_trace: AtomicU64,
}

impl Default for LiveSessions {
    fn default() -> Self {
        Self {
            sessions: Mutex::default(),
            next_trace: AtomicU64::new(1),
        }
    }
}

impl LiveSessions {
    pub(crate) fn add(&self, session: &Arc<LiveSession>) {
        self.lock().insert(session.id, Arc::clone(session));
    }

    pub(crate) fn remove(&self, session: &LiveSession) {
        self.lock().remove(&session.id);
        session.close();
    }

    pub(super) fn get(&self, id: RelaySessionId) -> Option<Arc<LiveSession>> {
        self.lock().get(&id).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<LiveSession>> {
        self.lock().values().cloned().collect()
    }

    /// Counts traces.
    pub(crate) fn next_trace(&self) -> &AtomicU64 {
        &self.next_trace
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<RelaySessionId, Arc<LiveSession>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::mailbox::Mailbox;

    fn attached() -> (Arc<LiveSession>, Arc<Attachment>) {
        let info = LiveInfo {
            host: "h".into(),
            name: "s".into(),
            live_timer_us: 1,
            trace_format: TraceFormat::CTF_1_8,
        };
        let session = Arc::new(LiveSession::new(RelaySessionId(1), info));
        let (attachment, _) = session.attach(true);
        (session, attachment)
    }

    /// Also of one that waits for a stream that was closed meanwhile.
    #[test]
    fn the_end_of_a_rotation_wakes_the_viewer() {
        let (session, attachment) = attached();
        let mailbox = Mailbox::new().unwrap();
        let waker = Waker::new(&mailbox);
        assert!(!attachment.is_rotating(Some(&waker)));
        session.set_rotating(false);
        assert!(!mailbox.has_rung());
        session.set_rotating(true);
        assert!(attachment.is_rotating(Some(&waker)));
        session.set_rotating(false);
        assert!(mailbox.has_rung());
        assert!(!attachment.is_rotating(Some(&waker)));
    }

    #[test]
    fn the_end_of_a_session_ends_its_rotation() {
        let (session, attachment) = attached();
        let mailbox = Mailbox::new().unwrap();
        session.set_rotating(true);
        assert!(attachment.is_rotating(Some(&Waker::new(&mailbox))));
        session.close();
        assert!(mailbox.has_rung());
        assert!(!attachment.is_rotating(None));
    }
}
