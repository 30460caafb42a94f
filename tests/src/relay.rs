//! A relay daemon: the collector's side.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::{Daemon, Toolchain, Who, eventually};

/// A running relay daemon.
#[derive(Debug, Clone)]
pub struct Relay {
    daemon: Daemon,
    pub(crate) number: u16,
    output: PathBuf,
    control_port: u16,
    data_port: u16,
    live_port: u16,
}

/// The option of `lttng create` that lets a session go to a relay daemon, or else into a local directory.
pub fn place(relay: Option<&Relay>, local: &Path) -> String {
    match relay {
        Some(relay) => format!("--set-url={}", relay.url()),
        None => format!("--output={}", local.display()),
    }
}

impl Relay {
    pub(crate) fn start(
        toolchain: Toolchain,
        number: u16,
        output: &Path,
        (who, address): (&Who, &str),
        log_path: PathBuf,
        log: File,
    ) -> Result<Self> {
        // Every port is free in here.
        let [control_port, data_port, live_port] =
            [7000, 7001, 7002].map(|port| port + 10 * number);
        let program = toolchain.program("lttng-relayd")?;
        let mut child = who
            .command(&program)?
            .arg(format!("--control-port={address}:{control_port}"))
            .arg(format!("--data-port={address}:{data_port}"))
            .arg(format!("--live-port={address}:{live_port}"))
            .arg("--output")
            .arg(output)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        let daemon = Daemon {
            name: format!("{} lttng-relayd", toolchain.name()),
            pid: child.id(),
            log: log_path,
        };
        eventually("the relay daemon listens", || {
            if let Some(status) = child.try_wait()? {
                bail!("{}: {status}\n{}", program.display(), daemon.log());
            }
            Ok([control_port, data_port, live_port]
                .into_iter()
                .all(|port| is_listening(child.id(), port))
                .then_some(()))
        })?;
        // So that a dead relay is no corpse for ever.
        std::thread::spawn(move || child.wait());
        Ok(Self {
            daemon,
            number,
            output: output.into(),
            control_port,
            data_port,
            live_port,
        })
    }

    /// The daemon.
    pub fn daemon(&self) -> &Daemon {
        &self.daemon
    }

    /// Waits until it has read and stored all that it was sent by those who have left: until no connection for traces
    /// is open, at either end.
    pub fn wait_until_left(&self) -> Result<()> {
        // Of these both ends are closed already.
        const TIME_WAIT: &str = "06";
        eventually("the relay daemon has read all", || {
            let sockets = sockets(self.daemon.pid);
            let open = sockets.iter().any(|socket| {
                [self.control_port, self.data_port]
                    .iter()
                    .any(|port| socket.ports.contains(port))
                    && ![LISTEN, TIME_WAIT].contains(&socket.state.as_str())
            });
            Ok((!open).then_some(()))
        })
    }

    /// The directory it writes into.
    pub fn output(&self) -> &Path {
        &self.output
    }

    /// `net://` URL for `--set-url`.
    pub fn url(&self) -> String {
        format!("net://127.0.0.1:{}:{}", self.control_port, self.data_port)
    }

    /// `net://` URL for viewers.
    pub fn live_url(&self) -> String {
        format!("net://127.0.0.1:{}", self.live_port)
    }

    /// The TCP ports: control, data, live.
    pub fn ports(&self) -> [u16; 3] {
        [self.control_port, self.data_port, self.live_port]
    }
}

/// Whether some socket of the process's network namespace listens on `port`; asks nobody, so no log shows it.
fn is_listening(pid: u32, port: u16) -> bool {
    let listens = |socket: &Socket| socket.state == LISTEN && socket.ports[0] == port;
    sockets(pid).iter().any(listens)
}

/// A state in the kernel's table.
const LISTEN: &str = "0A";

/// A TCP socket.
struct Socket {
    /// Local and remote.
    ports: [u16; 2],
    state: String,
}

/// Those of a process's network namespace.
fn sockets(pid: u32) -> Vec<Socket> {
    let mut sockets = Vec::new();
    for table in ["tcp", "tcp6"] {
        let text = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        sockets.extend(text.lines().skip(1).filter_map(|line| {
            // `SL: ADDRESS:PORT ADDRESS:PORT STATE ...`
            let mut words = line.split_whitespace().skip(1);
            let mut port = || u16::from_str_radix(words.next()?.rsplit(':').next()?, 16).ok();
            let ports = [port()?, port()?];
            let state = words.next()?.to_owned();
            Some(Socket { ports, state })
        }));
    }
    sockets
}
