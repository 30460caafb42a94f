//! Answers to programs of this machine: is the daemon healthy, what does it do, what has it counted. One
//! thread for all of them, apart from the workers, so that it answers when they are busy, and cannot keep
//! them from their work.

mod health;
mod metrics;
mod status;
mod visitor;

use std::fs;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};

use self::visitor::{Question, Visitor};
use crate::live::ViewersWatch;
use crate::relay::Relay;
use crate::rundir::{self, Temporary};
use crate::settings::Settings;
use crate::worker::Watch;

pub(crate) use self::status::ask as ask_for_status;

/// Programs that are served at once; more wait.
const MAX_VISITORS: usize = 32;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long nobody is let in when there are no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The sockets, which listen. Their files go away with it.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    health: Option<UnixListener>,
    status: Option<UnixListener>,
    metrics: Option<TcpListener>,
    files: Vec<Temporary>,
}

impl Sockets {
    /// Makes them. That there is no place for the sockets of health and status is no reason not to serve
    /// traces.
    pub(crate) fn open(settings: &Settings) -> anyhow::Result<Self> {
        let mut sockets = Self::default();
        let pid = std::process::id();
        let path = |given: &Option<_>, name: &str| {
            let default = || {
                Some(
                    settings
                        .run_directory
                        .as_ref()?
                        .join(format!("{name}-{pid}")),
                )
            };
            given.clone().or_else(default)
        };
        rundir::warn_without_group(&settings.group);
        if let Some(path) = path(&settings.health_socket, "health") {
            sockets.health = sockets.add(&path, &settings.group);
        }
        if let Some(path) = path(&settings.status_socket, status::NAME) {
            sockets.status = sockets.add(&path, &settings.group);
        }
        if let Some(address) = settings.metrics {
            let listener = TcpListener::bind(address)
                .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
                .with_context(|| format!("cannot serve metrics on {address}"))?;
            sockets.metrics = Some(listener);
        }
        Ok(sockets)
    }

    /// The files of the sockets, for somebody else to keep.
    pub(crate) fn take_files(&mut self) -> Vec<Temporary> {
        std::mem::take(&mut self.files)
    }

    /// Where metrics are served.
    pub(crate) fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref()?.local_addr().ok()
    }

    fn add(&mut self, path: &Path, group: &str) -> Option<UnixListener> {
        match listen(path, group) {
            Ok(listener) => {
                self.files.push(Temporary::at(path));
                Some(listener)
            }
            Err(error) => {
                tracing::warn!("cannot listen on {}: {error:#}", path.display());
                None
            }
        }
    }
}

fn listen(path: &Path, group: &str) -> anyhow::Result<UnixListener> {
    if let Some(directory) = path.parent() {
        rundir::create(directory)?;
    }
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            // Of a daemon that was killed, unless somebody answers.
            if UnixStream::connect(path).is_ok() {
                return Err(error.into());
            }
            fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        other => other?,
    };
    rundir::open_to_group(path, group)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// The thread, while it runs.
#[derive(Debug)]
pub(crate) struct LocalService {
    thread: JoinHandle<()>,
    stop: UnixStream,
}

impl LocalService {
    pub(crate) fn start(
        sockets: Sockets,
        relay: &Arc<Relay>,
        (workers, viewers): (Watch, ViewersWatch),
        facts: Facts,
    ) -> io::Result<Self> {
        let (stop, stopped) = UnixStream::pair()?;
        let Sockets {
            health,
            status,
            metrics,
            files: _,
        } = sockets;
        let service = Service {
            listeners: [
                health.map(|socket| (socket.into(), Question::Health)),
                status.map(|socket| (socket.into(), Question::Status)),
                metrics.map(|socket| (socket.into(), Question::Metrics)),
            ]
            .into_iter()
            .flatten()
            .collect(),
            oracle: Oracle {
                relay: Arc::clone(relay),
                workers,
                viewers,
                facts,
            },
            visitors: Vec::new(),
            stopped,
        };
        let thread = std::thread::Builder::new().name("local".to_owned());
        Ok(Self {
            thread: thread.spawn(move || service.run())?,
            stop,
        })
    }

    pub(crate) fn stop(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::error!("the thread for local questions panicked");
        }
    }
}

/// What does not change while the daemon runs.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// Name and address of each port.
    pub(crate) ports: Vec<(&'static str, SocketAddr)>,
    /// How the daemon is confined, or why not.
    pub(crate) confinement: String,
    /// Most connections at once.
    pub(crate) max_connections: usize,
}

/// Who knows the answers.
#[derive(Debug)]
struct Oracle {
    relay: Arc<Relay>,
    workers: Watch,
    viewers: ViewersWatch,
    facts: Facts,
}

impl Oracle {
    fn answer(&self, question: Question, asked: &[u8]) -> Vec<u8> {
        match question {
            Question::Health => {
                health::answer(self.workers.are_well(), self.viewers.are_well(), asked)
            }
            Question::Status => status::answer(self).into_bytes(),
            Question::Metrics => metrics::answer(self, asked),
        }
    }
}

struct Service {
    listeners: Vec<(OwnedFd, Question)>,
    oracle: Oracle,
    visitors: Vec<Visitor>,
    stopped: UnixStream,
}

impl Service {
    fn run(mut self) {
        loop {
            let ready = match self.wait() {
                Ok(ready) => ready,
                Err(error) => {
                    tracing::error!("cannot wait for local questions: {error}");
                    return;
                }
            };
            if ready.stop {
                return;
            }
            let oracle = &self.oracle;
            let now = Instant::now();
            let mut is_ready = ready.visitors.into_iter();
            self.visitors.retain_mut(|visitor| {
                let ready = is_ready.next().unwrap_or(false);
                let stays =
                    !ready || visitor.serve(|question, asked| oracle.answer(question, asked));
                stays && visitor.deadline() > now
            });
            for listener in ready.listeners {
                self.accept(listener, now + PATIENCE);
            }
        }
    }

    /// Until somebody is ready, or has been here for too long.
    fn wait(&self) -> io::Result<Ready> {
        let has_room = self.visitors.len() < MAX_VISITORS;
        let listeners = if has_room { &self.listeners[..] } else { &[] };
        let mut polled = vec![PollFd::new(&self.stopped, PollFlags::IN)];
        for (listener, _) in listeners {
            polled.push(PollFd::new(listener, PollFlags::IN));
        }
        for visitor in &self.visitors {
            polled.push(PollFd::new(visitor, visitor.waits_for()));
        }
        let timeout = self.visitors.iter().map(Visitor::deadline).min();
        let timeout = timeout.map(|at| at.saturating_duration_since(Instant::now()));
        let timeout = timeout.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut ready = polled.iter().map(|fd| !fd.revents().is_empty());
        let stop = ready.next().unwrap_or(false);
        let of_listeners: Vec<_> = ready.by_ref().take(listeners.len()).collect();
        Ok(Ready {
            stop,
            listeners: (0..listeners.len())
                .filter(|at| of_listeners[*at])
                .collect(),
            visitors: ready.collect(),
        })
    }

    fn accept(&mut self, listener: usize, deadline: Instant) {
        let (socket, question) = &self.listeners[listener];
        match accept_with(socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Ok(visitor) => self
                .visitors
                .push(Visitor::new(visitor, *question, deadline)),
            Err(Errno::WOULDBLOCK | Errno::INTR | Errno::CONNABORTED) => {}
            Err(error) => {
                tracing::warn!("cannot answer a local question: {error}");
                // Without descriptors it would be back at once.
                std::thread::sleep(ACCEPT_PAUSE);
            }
        }
    }
}

/// Who is ready.
struct Ready {
    stop: bool,
    /// Which ones.
    listeners: Vec<usize>,
    /// One for each, in their order.
    visitors: Vec<bool>,
}
