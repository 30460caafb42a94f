//! The main thread: listens, accepts, and waits for the signal to stop.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use anyhow::Context;
use daemon_config::ignores_hangup;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::activation::Inherited;
use crate::counters::count;
use crate::guests::{Guests, Room};
use crate::keepalive::KeepAlive;
use crate::live::{NotServedError, Viewers, ViewersWatch};
use crate::log_quota;
use crate::pool::Holder;
use crate::relay::Relay;
use crate::service_manager::ServiceManager;
use crate::settings::Settings;
use crate::url::ListenUrl;
use crate::worker::{Kind, Watch, Workers};

/// Connections taken from one listener before the other is looked at.
const ACCEPTS_PER_TURN: usize = 64;
/// How long nothing is accepted when there are no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// How long the end of the daemon waits for the files of streams.
const CLOSE_PATIENCE: Duration = Duration::from_secs(3);

/// The listening sockets.
#[derive(Debug)]
pub(crate) struct Listeners {
    control: TcpListener,
    data: TcpListener,
    live: TcpListener,
}

impl Listeners {
    /// Those that were handed over, and the others as the settings say.
    pub(crate) fn open(settings: &Settings, inherited: &mut Inherited) -> anyhow::Result<Self> {
        let mut open = |role, url: &ListenUrl| match inherited.remove(role) {
            Some(listener) => Ok(listener),
            None => url.listen().with_context(|| format!("{role} port")),
        };
        Ok(Self {
            control: open("control", &settings.control_port)?,
            data: open("data", &settings.data_port)?,
            live: open("live", &settings.live_port)?,
        })
    }

    /// Where they listen, by name.
    pub(crate) fn addresses(&self) -> io::Result<[(&'static str, SocketAddr); 3]> {
        Ok([
            ("control", self.control.local_addr()?),
            ("data", self.data.local_addr()?),
            ("live", self.live.local_addr()?),
        ])
    }
}

/// Signals that end the daemon, as something to poll.
#[derive(Debug)]
pub(crate) struct StopSignal(UnixStream);

impl StopSignal {
    pub(crate) fn register() -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        let hangup = (!ignores_hangup()).then_some(SIGHUP);
        for signal in [SIGTERM, SIGINT].into_iter().chain(hangup) {
            signal_hook::low_level::pipe::register(signal, writer.try_clone()?)?;
        }
        Ok(Self(reader))
    }

    fn arrived(&self) -> bool {
        (&self.0).read(&mut [0]).is_ok_and(|len| len > 0)
    }
}

/// Who serves what is accepted.
#[derive(Debug)]
pub(crate) struct Servers {
    pub(crate) workers: Workers,
    pub(crate) viewers: Viewers,
    pub(crate) guests: Guests,
}

/// Which port a connection came in on.
#[derive(Clone, Copy, Debug)]
enum Port {
    Target(Kind),
    Live,
}

impl Port {
    fn holder(self) -> Holder {
        match self {
            Self::Target(Kind::Control) => Holder::Control,
            Self::Target(Kind::Data) => Holder::Data,
            Self::Live => Holder::Viewer,
        }
    }
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Target(kind) => write!(f, "{kind:?}"),
            Self::Live => f.write_str("Live"),
        }
    }
}

/// Serves until a signal comes.
pub(crate) fn serve(
    relay: &Arc<Relay>,
    listeners: &Listeners,
    stop: &StopSignal,
    mut servers: Servers,
    keep_alive: &KeepAlive,
    manager: &mut ServiceManager,
) -> anyhow::Result<()> {
    let watch = servers.workers.watch();
    let mut paused = false;
    loop {
        let mut ready = [
            PollFd::new(&stop.0, PollFlags::IN),
            PollFd::new(&listeners.control, PollFlags::IN),
            PollFd::new(&listeners.data, PollFlags::IN),
            PollFd::new(&listeners.live, PollFlags::IN),
        ];
        let watched = if paused {
            &mut ready[..1]
        } else {
            &mut ready[..]
        };
        let timeout = if paused {
            Some(ACCEPT_PAUSE)
        } else {
            relay.sweep_in()
        };
        let timeout = [timeout, manager.beat_in(), log_quota::due_in()];
        let timeout = timeout.into_iter().flatten().min();
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        match poll(watched, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("cannot wait for connections"),
        }
        if stop.arrived() {
            break;
        }
        if relay.sweep_in().is_some() {
            servers.workers.sweep();
        }
        manager.beat(|| watch.are_well());
        log_quota::tell();
        paused = false;
        for (listener, port) in [
            (&listeners.control, Port::Target(Kind::Control)),
            (&listeners.data, Port::Target(Kind::Data)),
            (&listeners.live, Port::Live),
        ] {
            paused |= !servers.accept(relay, listener, port, keep_alive);
        }
    }
    tracing::info!("stopping");
    ServiceManager::stopping();
    servers.workers.stop();
    close_all(relay);
    servers.viewers.stop();
    log_quota::tell_the_last();
    Ok(())
}

/// Closes all streams, but does not wait for a disk that is stuck.
fn close_all(relay: &Arc<Relay>) {
    let (done, wait) = mpsc::channel();
    let of_thread = Arc::clone(relay);
    std::thread::spawn(move || {
        of_thread.close_all();
        let _ = done.send(());
    });
    if wait.recv_timeout(CLOSE_PATIENCE).is_err() {
        tracing::error!("some streams could not be closed within {CLOSE_PATIENCE:?}");
    }
}

impl Servers {
    /// For who wants to know how they are.
    pub(crate) fn watch(&self) -> (Watch, ViewersWatch) {
        (self.workers.watch(), self.viewers.watch())
    }

    /// Accepts what is there; `false` when there are no descriptors for more.
    fn accept(
        &mut self,
        relay: &Relay,
        listener: &TcpListener,
        port: Port,
        keep_alive: &KeepAlive,
    ) -> bool {
        for _ in 0..ACCEPTS_PER_TURN {
            if !relay.pool.has_room(port.holder())
                && somebody_waits(listener)
                && self.guests.make_room(&relay.register) == Room::Soon
            {
                // Who wants to come in waits.
                return false;
            }
            match listener.accept() {
                Ok((socket, address)) => {
                    self.take_in(relay, port, (socket, address), keep_alive);
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return true,
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                    _ => {
                        count(&relay.register.errors.turned_away);
                        tracing::error!("cannot accept a connection: {error}");
                        return false;
                    }
                },
            }
        }
        true
    }

    fn take_in(
        &mut self,
        relay: &Relay,
        port: Port,
        (socket, address): (TcpStream, SocketAddr),
        keep_alive: &KeepAlive,
    ) {
        if let Err(error) = prepare(&socket, port, keep_alive) {
            tracing::error!(peer = %address, "connection: {error}");
            return;
        }
        tracing::info!(peer = %address, "{port} connection");
        let refused = match port {
            Port::Target(kind) if relay.pool.admit(port.holder()) => {
                let socket = Arc::new(socket);
                self.guests.add(&socket, kind, address);
                self.workers.assign(kind, socket, address);
                return;
            }
            Port::Target(_) => NotServedError::NoRoom,
            Port::Live => match self.viewers.serve(socket, address) {
                Ok(()) => return,
                Err(error) => error,
            },
        };
        count(&relay.register.errors.turned_away);
        let open = relay.pool.sockets();
        tracing::error!(peer = %address, "connection refused, {open} are open: {refused}");
    }
}

fn somebody_waits(listener: &TcpListener) -> bool {
    let mut ready = [PollFd::new(listener, PollFlags::IN)];
    poll(&mut ready, Some(&Timespec::default())).is_ok_and(|count| count > 0)
}

fn prepare(socket: &TcpStream, port: Port, keep_alive: &KeepAlive) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    // Replies are small and waited for.
    socket.set_nodelay(true)?;
    match port {
        Port::Target(_) => keep_alive.apply(socket),
        Port::Live => KeepAlive::OF_VIEWERS.apply(socket),
    }
}
