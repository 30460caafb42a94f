//! What an application's handles stand for, shared by its command and notify sides.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use ust::Handle;

use crate::lock::lock;
use crate::session::TraceBuffers;

/// The traces behind the session and channel handles of one application.
#[derive(Debug, Default)]
pub(super) struct Objects {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    sessions: HashMap<Handle, Arc<TraceBuffers>>,
    /// With the channel's number in its trace.
    channels: HashMap<Handle, (Arc<TraceBuffers>, u32)>,
}

impl Objects {
    pub(super) fn add_session(&self, handle: Handle, trace: Arc<TraceBuffers>) {
        lock(&self.inner).sessions.insert(handle, trace);
    }

    pub(super) fn add_channel(&self, handle: Handle, trace: Arc<TraceBuffers>, channel: u32) {
        lock(&self.inner).channels.insert(handle, (trace, channel));
    }

    pub(super) fn session(&self, handle: Handle) -> Option<Arc<TraceBuffers>> {
        lock(&self.inner).sessions.get(&handle).cloned()
    }

    pub(super) fn channel(&self, handle: Handle) -> Option<(Arc<TraceBuffers>, u32)> {
        lock(&self.inner).channels.get(&handle).cloned()
    }

    pub(super) fn forget(&self, session: Handle, channels: &[Handle]) {
        let mut inner = lock(&self.inner);
        inner.sessions.remove(&session);
        for channel in channels {
            inner.channels.remove(channel);
        }
    }
}
