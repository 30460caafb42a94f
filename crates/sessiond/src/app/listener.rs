//! Accepts applications: reads their registrations and pairs their two connections.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tracing::{debug, warn};
use ust::{REGISTRATION_BYTES, Registration, SocketType};

use crate::app::{App, AppIdentity, Apps, actor};
use crate::session::Sessions;

/// How long a connection may take to register, and to be followed by its other half.
const PATIENCE: Duration = Duration::from_secs(5);
/// Connections that may be about to register at once; more wait in the socket's backlog.
const MAX_REGISTERING: usize = 4096;
/// Pause after the system refused to accept (no descriptors left): others may end meanwhile.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// One connection of an application that has said who it is.
struct Half {
    socket: UnixStream,
    pid: u32,
    uid: u32,
    registration: Registration,
}

/// Serves applications until the task is dropped.
pub(crate) async fn listen(listener: UnixListener, apps: Arc<Apps>, sessions: Arc<Sessions>) {
    let (halves, queue) = mpsc::channel(MAX_REGISTERING);
    tokio::join!(accept(listener, halves), pair(queue, apps, sessions));
}

async fn accept(listener: UnixListener, halves: mpsc::Sender<Half>) {
    let registering = Arc::new(tokio::sync::Semaphore::new(MAX_REGISTERING));
    loop {
        let Ok(permit) = registering.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((socket, _)) => {
                let halves = halves.clone();
                tokio::spawn(async move {
                    register(socket, halves).await;
                    drop(permit);
                });
            }
            Err(error) => {
                warn!("cannot accept an application: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn register(mut socket: UnixStream, halves: mpsc::Sender<Half>) {
    let mut bytes = [0; REGISTRATION_BYTES];
    match timeout(PATIENCE, socket.read_exact(&mut bytes)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return debug!("a connection ended before it registered: {error}"),
        Err(_) => {
            return warn!(
                "a connection did not register within {} s",
                PATIENCE.as_secs()
            );
        }
    }
    match identify(&socket, &bytes) {
        Ok((pid, uid, registration)) => {
            let half = Half {
                socket,
                pid,
                uid,
                registration,
            };
            let _ = halves.send(half).await;
        }
        Err(error) => warn!("an application is refused: {error}"),
    }
}

fn identify(
    socket: &UnixStream,
    bytes: &[u8; REGISTRATION_BYTES],
) -> Result<(u32, u32, Registration), String> {
    let registration = Registration::parse(bytes).map_err(|error| error.to_string())?;
    let credentials = socket
        .peer_cred()
        .map_err(|error: io::Error| error.to_string())?;
    // Zero: the process is in a process namespace that we do not see.
    let pid = credentials
        .pid()
        .and_then(|pid| u32::try_from(pid).ok())
        .filter(|&pid| pid != 0);
    let Some(pid) = pid else {
        return Err(format!(
            "`{}` is in a foreign process namespace",
            registration.name
        ));
    };
    if registration.bits_per_long != 64 {
        return Err(format!(
            "`{}` (pid {pid}) is a {}-bit program; only 64-bit programs are served",
            registration.name, registration.bits_per_long
        ));
    }
    Ok((pid, credentials.uid(), registration))
}

/// Puts the two connections of each process together; others come in between, and either may be read first.
async fn pair(mut queue: mpsc::Receiver<Half>, apps: Arc<Apps>, sessions: Arc<Sessions>) {
    let mut next_id = 1;
    let mut waiting: HashMap<u32, (Half, Instant)> = HashMap::new();
    while let Some(half) = queue.recv().await {
        let now = Instant::now();
        waiting.retain(|_, (_, since)| now.duration_since(*since) < PATIENCE);
        let other = waiting.remove(&half.pid).map(|(other, _)| other);
        let (command, notify) = match (other, half.registration.socket_type) {
            (Some(other), kind) if other.registration.socket_type != kind => match kind {
                SocketType::Command => (half, other),
                SocketType::Notify => (other, half),
            },
            // The first of the two; or a program that has replaced itself registers again under the
            // same process id, and the first half of the old one is of no use any more.
            _ => {
                waiting.insert(half.pid, (half, now));
                continue;
            }
        };
        if apps.count() >= max_apps() {
            warn!(
                "pid {} is refused: no descriptors left for more applications",
                command.pid
            );
            continue;
        }
        let identity = AppIdentity {
            id: next_id,
            pid: command.pid,
            uid: command.uid,
            registration: command.registration,
            registered: jiff::Zoned::now(),
        };
        next_id += 1;
        debug!(
            "application {} (pid {}) registers",
            identity.registration.name, identity.pid
        );
        let app = Arc::new(App::new(identity));
        tokio::spawn(actor::run(
            app,
            command.socket,
            notify.socket,
            apps.clone(),
            sessions.clone(),
        ));
    }
}

/// Two connections each; a quarter of the descriptors is left for buffers and clients.
fn max_apps() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    usize::try_from(limit.unwrap_or(u64::MAX) / 4 * 3 / 2).unwrap_or(usize::MAX)
}
