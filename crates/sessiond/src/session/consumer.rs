//! A consumer daemon, seen from the session daemon.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use consumer_api::{
    Answer, Envelope, Notice, Request, RequestId, StreamKey, TraceKey, TransportError,
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::timeout;
use tracing::{debug, warn};

use crate::app::SharedFd;
use crate::lock::lock;

/// Requests that may wait for a busy consumer daemon. Beyond that, the requester waits.
const MAX_QUEUED_REQUESTS: usize = 1024;
/// Filter of the consumer daemon's messages.
const LOG_VARIABLE: &str = "LTTNG_CONSUMERD_LOG";
/// How long a consumer daemon may take to end after its socket was closed.
const END_PATIENCE: Duration = Duration::from_secs(10);

/// Who the consumer daemon runs as.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner {
    /// User of the session.
    pub uid: u32,
    /// Group of the session.
    pub gid: u32,
}

impl Owner {
    /// The owner, if that is not the user this process runs as already.
    pub(crate) fn if_other(self) -> Option<Self> {
        (self.uid != rustix::process::geteuid().as_raw()).then_some(self)
    }
}

/// The consumer daemon to start.
#[derive(Clone, Debug)]
pub(crate) struct ConsumerProgram {
    /// Its executable.
    pub path: PathBuf,
    /// It tells all it does.
    pub verbose: bool,
}

/// Why a request failed.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum ConsumerError {
    /// It said so.
    #[error("{0}")]
    Refused(String),
    /// The process has ended, or its socket failed.
    #[error("the consumer daemon is gone ({0})")]
    Gone(String),
}

/// What the consumer daemon has become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ConsumerState {
    /// It works.
    Running,
    /// Its output takes nothing any more.
    OutputFailed(String),
    /// The process has ended.
    Gone(String),
}

/// A running consumer daemon.
#[derive(Debug)]
pub(crate) struct Consumer {
    queue: mpsc::Sender<Outgoing>,
    next_id: AtomicU64,
    shared: Arc<Shared>,
    state: watch::Receiver<ConsumerState>,
}

#[derive(Debug)]
struct Outgoing {
    envelope: Envelope,
    fds: Vec<SharedFd>,
}

type Waiting = HashMap<RequestId, oneshot::Sender<Result<Answer, ConsumerError>>>;

/// What a consumer daemon tells by itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum News {
    /// All of a trace was delivered after its writers had gone.
    TraceEnded(TraceKey),
    /// So much was delivered into this chunk as was to be watched for.
    SizeReached(u64),
}

/// Called with news; must not block.
pub(super) type OnNews = Box<dyn Fn(News) + Send + Sync>;

#[derive(Debug, Default)]
struct Shared {
    /// `None` once the consumer is gone: nobody would answer.
    waiting: Mutex<Option<Waiting>>,
    /// Numbers that the relay daemon gave to the streams.
    relay_streams: Mutex<HashMap<StreamKey, u64>>,
    /// It is to be killed.
    killed: Notify,
}

/// How far the output of a consumer daemon is: numbers that grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// When the output takes something.
    pub(super) taken: u64,
    /// When a relay daemon says something.
    pub(super) answered: u64,
}

impl Consumer {
    /// Starts the program as `owner` (`None`: as this process).
    pub(crate) fn spawn(
        program: &ConsumerProgram,
        owner: Option<Owner>,
        on_news: OnNews,
    ) -> io::Result<Self> {
        let (near, far) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        let child = start(program, owner, far)?;
        let near = std::os::unix::net::UnixStream::from(near);
        near.set_nonblocking(true)?;
        // Only its readiness is used: each message is one packet, sent and received by `consumer_api`.
        let socket = UnixStream::from_std(near)?;
        let (queue, requests) = mpsc::channel(MAX_QUEUED_REQUESTS);
        let (state_sender, state) = watch::channel(ConsumerState::Running);
        let shared = Arc::new(Shared {
            waiting: Mutex::new(Some(HashMap::new())),
            relay_streams: Mutex::default(),
            killed: Notify::new(),
        });
        let link = Link {
            socket,
            shared: shared.clone(),
            state: state_sender,
            on_news,
        };
        tokio::spawn(link.run(requests, child));
        Ok(Self {
            queue,
            next_id: AtomicU64::new(1),
            shared,
            state,
        })
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn call(
        &self,
        request: Request,
        fds: Vec<SharedFd>,
    ) -> Result<Answer, ConsumerError> {
        let answer = self.post(request, fds).await?;
        answer.await.unwrap_or_else(|_| Err(self.gone()))
    }

    /// Sends a request; the receiver brings its answer. Requests are carried out in the order in which
    /// this function returns.
    pub(crate) async fn post(
        &self,
        request: Request,
        fds: Vec<SharedFd>,
    ) -> Result<oneshot::Receiver<Result<Answer, ConsumerError>>, ConsumerError> {
        let id = RequestId(self.next_id.fetch_add(1, Ordering::Relaxed));
        let (sender, receiver) = oneshot::channel();
        match lock(&self.shared.waiting).as_mut() {
            Some(waiting) => waiting.insert(id, sender),
            None => return Err(self.gone()),
        };
        let outgoing = Outgoing {
            envelope: Envelope { id, request },
            fds,
        };
        self.queue.send(outgoing).await.map_err(|_| self.gone())?;
        Ok(receiver)
    }

    /// How far its output is; `None` if it does not tell within this time.
    pub(super) async fn progress(&self, limit: Duration) -> Option<Progress> {
        let asked = self.call(Request::QueryProgress, Vec::new());
        match timeout(limit, asked).await {
            Ok(Ok(Answer::Progress { taken, answered })) => Some(Progress { taken, answered }),
            _ => None,
        }
    }

    /// Kills it. When this returns it reads no buffer any more, unless the kernel keeps it for longer than a
    /// killed process should stay.
    pub(super) async fn end(&self) {
        self.shared.killed.notify_one();
        let mut state = self.state.clone();
        let gone = state.wait_for(|state| matches!(state, ConsumerState::Gone(_)));
        if timeout(END_PATIENCE, gone).await.is_err() {
            warn!("a consumer daemon was killed and does not end");
        }
    }

    /// What it has become.
    pub(crate) fn state(&self) -> ConsumerState {
        self.state.borrow().clone()
    }

    /// For waiting until it becomes something else.
    pub(super) fn watch(&self) -> watch::Receiver<ConsumerState> {
        self.state.clone()
    }

    /// Numbers that the relay daemon gave to its streams.
    pub(super) fn relay_streams(&self) -> HashMap<StreamKey, u64> {
        lock(&self.shared.relay_streams).clone()
    }

    /// Nobody will ask for these any more.
    pub(super) fn forget_relay_streams(&self, streams: impl Iterator<Item = StreamKey>) {
        let mut known = lock(&self.shared.relay_streams);
        streams.for_each(|stream| {
            known.remove(&stream);
        });
    }

    fn gone(&self) -> ConsumerError {
        match self.state() {
            ConsumerState::Gone(why) => ConsumerError::Gone(why),
            _ => ConsumerError::Gone("its socket is closed".into()),
        }
    }
}

fn start(program: &ConsumerProgram, owner: Option<Owner>, socket: OwnedFd) -> io::Result<Child> {
    use std::os::unix::process::CommandExt;

    let mut command = Command::new(&program.path);
    command.stdin(Stdio::from(socket)).stdout(Stdio::null());
    if program.verbose {
        command.env(LOG_VARIABLE, "debug");
    }
    if let Some(owner) = owner {
        command.uid(owner.uid).gid(owner.gid);
    }
    // A group of its own: an interrupt typed at the terminal of the session daemon is for the session
    // daemon, which then ends its consumers in order.
    command.process_group(0);
    command.spawn()
}

/// The socket's end, owned by one task.
struct Link {
    socket: UnixStream,
    shared: Arc<Shared>,
    state: watch::Sender<ConsumerState>,
    on_news: OnNews,
}

impl Link {
    async fn run(self, requests: mpsc::Receiver<Outgoing>, child: Child) {
        let end = tokio::select! {
            end = self.send_all(requests) => end,
            end = self.receive_all() => end,
            () = self.shared.killed.notified() => {
                // Not reaped yet, so the number is still its own.
                let _ = kill_process(Pid::from_child(&child), Signal::KILL);
                Ok(())
            }
        };
        let how = match end {
            Ok(()) => String::new(),
            Err(error) => format!("{error}; "),
        };
        // What it told before it died.
        while let Ok(Some(received)) = consumer_api::receive::<Notice>(&self.socket) {
            self.notice(received.message);
        }
        drop(self.socket);
        let status = end_of(child).await;
        debug!("consumer daemon ended: {how}{status}");
        let why = format!("{how}{status}");
        self.state.send_replace(ConsumerState::Gone(why.clone()));
        let waiting = lock(&self.shared.waiting).take();
        for (_, sender) in waiting.into_iter().flatten() {
            let _ = sender.send(Err(ConsumerError::Gone(why.clone())));
        }
    }

    /// Ends without error when the [`Consumer`] is dropped.
    async fn send_all(&self, mut requests: mpsc::Receiver<Outgoing>) -> Result<(), TransportError> {
        while let Some(Outgoing { envelope, fds }) = requests.recv().await {
            let fds: Vec<_> = fds.iter().map(|fd| fd.as_fd()).collect();
            self.when(Interest::WRITABLE, |socket| {
                consumer_api::send(socket, &envelope, &fds)
            })
            .await?;
        }
        Ok(())
    }

    /// Ends without error when the consumer daemon closes its end.
    async fn receive_all(&self) -> Result<(), TransportError> {
        loop {
            let receive = |socket: &UnixStream| consumer_api::receive::<Notice>(socket);
            match self.when(Interest::READABLE, receive).await? {
                Some(received) => self.notice(received.message),
                None => return Ok(()),
            }
        }
    }

    async fn when<T>(
        &self,
        interest: Interest,
        attempt: impl Fn(&UnixStream) -> Result<T, TransportError>,
    ) -> Result<T, TransportError> {
        loop {
            self.socket.ready(interest).await?;
            let mut result = None;
            // The closure's error only tells the runtime that the socket was not ready after all.
            let _ = self.socket.try_io(interest, || {
                let attempted = attempt(&self.socket);
                let blocked = matches!(&attempted, Err(error) if error.is_would_block());
                result = Some(attempted);
                if blocked {
                    Err(io::ErrorKind::WouldBlock.into())
                } else {
                    Ok(())
                }
            });
            match result {
                Some(Err(error)) if error.is_would_block() => {}
                Some(result) => return result,
                None => {}
            }
        }
    }

    fn notice(&self, notice: Notice) {
        match notice {
            Notice::Done { id, answer } => self.answer(id, Ok(answer)),
            Notice::Failed { id, reason } => self.answer(id, Err(ConsumerError::Refused(reason))),
            Notice::TraceEnded { trace } => (self.on_news)(News::TraceEnded(trace)),
            Notice::SizeReached { chunk_id } => (self.on_news)(News::SizeReached(chunk_id)),
            Notice::RelayStream { stream, handle } => {
                lock(&self.shared.relay_streams).insert(stream, handle);
            }
            Notice::OutputFailed(failure) => {
                debug!("the output of a session failed: {}", failure.reason);
                self.state
                    .send_replace(ConsumerState::OutputFailed(failure.reason));
            }
        }
    }

    fn answer(&self, id: RequestId, result: Result<Answer, ConsumerError>) {
        let sender = lock(&self.shared.waiting)
            .as_mut()
            .and_then(|waiting| waiting.remove(&id));
        match sender {
            Some(sender) => {
                if let Err(Err(error)) = sender.send(result) {
                    warn!("a consumer daemon could not do what nobody waits for: {error}");
                }
            }
            None => warn!(
                "a consumer daemon answers request {} that nobody made",
                id.0
            ),
        }
    }
}

/// Waits for the process to end, which it does by itself without its socket; one that cannot get rid of
/// what it has (a relay daemon that does not read) is killed.
async fn end_of(mut child: Child) -> String {
    let pid = Pid::from_child(&child);
    let mut waiting = tokio::task::spawn_blocking(move || match child.wait() {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    });
    let status = match timeout(END_PATIENCE, &mut waiting).await {
        Ok(status) => status,
        Err(_) => {
            warn!("a consumer daemon does not end; it is killed");
            // Not reaped yet, so the number is still its own.
            let _ = kill_process(pid, Signal::KILL);
            waiting.await
        }
    };
    status.unwrap_or_else(|_| "its end could not be awaited".into())
}
