//! One relay session: what a control connection created and data connections write into.

use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use relay::{Minor, RelaySessionId};

use crate::counters::{Counters, count};
use crate::group::Group;
use crate::live::{LiveInfo, LiveSession};
use crate::register::Register;
use crate::worker::WorkerId;

/// See the module.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: RelaySessionId,
    /// `HOST/SESSION`, for messages.
    pub(crate) name: String,
    pub(crate) minor: Minor,
    /// Of its control connection.
    pub(crate) address: SocketAddr,
    pub(crate) counters: Arc<Counters>,
    register: Arc<Register>,
    /// Indexes will come.
    pub(crate) has_indexes: bool,
    pub(crate) group: Arc<Group>,
    /// As viewers see it.
    pub(crate) live: Arc<LiveSession>,
    /// Serves the control connection.
    pub(crate) worker: WorkerId,
    /// Of the control connection, there.
    pub(crate) control_token: u64,
    /// To end the conversation from another thread. The connection's own thread decides when the
    /// socket is closed.
    control: Weak<TcpStream>,
    control_gone: AtomicBool,
    /// The data connection that carries its packets.
    data: Mutex<Weak<TcpStream>>,
    failure: OnceLock<String>,
}

/// What a control connection says of the session it creates.
#[derive(Debug)]
pub(crate) struct NewSession<'a> {
    pub(crate) name: String,
    pub(crate) minor: Minor,
    pub(crate) has_indexes: bool,
    pub(crate) live: LiveInfo,
    pub(crate) link: &'a Link,
}

/// A control connection as its session sees it.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) socket: Arc<TcpStream>,
    pub(crate) address: SocketAddr,
    pub(crate) worker: WorkerId,
    /// Its number there.
    pub(crate) token: u64,
}

impl Session {
    /// A new one, which the register knows.
    pub(crate) fn new(
        id: RelaySessionId,
        new: NewSession<'_>,
        group: Arc<Group>,
        register: &Arc<Register>,
    ) -> Arc<Self> {
        let session = Arc::new(Self {
            id,
            name: new.name,
            minor: new.minor,
            address: new.link.address,
            counters: Arc::default(),
            register: Arc::clone(register),
            has_indexes: new.has_indexes,
            group,
            live: Arc::new(LiveSession::new(id, new.live)),
            worker: new.link.worker,
            control_token: new.link.token,
            control: Arc::downgrade(&new.link.socket),
            control_gone: AtomicBool::new(false),
            data: Mutex::default(),
            failure: OnceLock::new(),
        });
        register.add(&session);
        session
    }

    /// The session cannot go on: says why (once) and ends its control connection, in whatever
    /// thread that is served; its streams are aborted there.
    pub(crate) fn fail(&self, why: String) {
        if self.failure.set(why).is_ok() {
            count(&self.register.errors.failed_sessions);
            let why = self.failure.get().map_or("", String::as_str);
            tracing::error!(session = %self.id, name = self.name, peer = %self.address, "session ends: {why}");
            if let Some(control) = self.control.upgrade() {
                // Fails only when the peer has closed it already.
                let _ = control.shutdown(std::net::Shutdown::Both);
            }
        }
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failure.get().is_some()
    }

    /// The control connection has ended; streams may still wait for packets.
    pub(crate) fn set_control_gone(&self) {
        self.control_gone.store(true, Ordering::SeqCst);
    }

    /// A data connection wants to carry packets of this session: it may, if it is the only one. So nobody
    /// who guesses the number of a stream gets in between.
    pub(crate) fn admit_data_connection(&self, socket: &Arc<TcpStream>) -> bool {
        let mut data = self.data();
        let is_free = data.strong_count() == 0;
        if is_free {
            *data = Arc::downgrade(socket);
        }
        is_free
    }

    /// A data connection that carried a packet of it is still there.
    pub(crate) fn has_data_connection(&self) -> bool {
        self.data().strong_count() > 0
    }

    /// Its connections, to compare with others.
    pub(crate) fn sockets(&self) -> [*const TcpStream; 2] {
        [self.control.as_ptr(), self.data().as_ptr()]
    }

    fn data(&self) -> MutexGuard<'_, Weak<TcpStream>> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn data_connection_left(&self) {
        *self.data() = Weak::new();
    }

    /// Its control connection has ended.
    pub(crate) fn is_ending(&self) -> bool {
        self.control_gone.load(Ordering::SeqCst)
    }

    /// Nothing can come for it any more, as far as is known.
    pub(crate) fn is_orphaned(&self) -> bool {
        self.control_gone.load(Ordering::SeqCst) && !self.has_data_connection()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.register.remove(self.id);
    }
}
