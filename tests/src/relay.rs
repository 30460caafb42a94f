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
    const LISTEN: &str = "0A";
    ["tcp", "tcp6"].iter().any(|table| {
        fs::read_to_string(format!("/proc/{pid}/net/{table}"))
            .unwrap_or_default()
            .lines()
            .skip(1)
            .any(|line| {
                let mut words = line.split_whitespace().skip(1);
                let local = words.next().unwrap_or_default();
                let state = words.nth(1).unwrap_or_default();
                state == LISTEN && local.ends_with(&format!(":{port:04X}"))
            })
    })
}
