//! A running daemon: its process and its log.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::process::{process_state, signal, thread_count};
use crate::{complaints, eventually};

/// A daemon that was started into the background, with its log file.
#[derive(Debug, Clone)]
pub struct Daemon {
    pub(crate) name: String,
    pub(crate) pid: u32,
    pub(crate) log: PathBuf,
}

impl Daemon {
    /// Process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Everything it wrote to its standard output and error so far.
    pub fn log(&self) -> String {
        fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Fails if the log holds errors or warnings.
    pub fn assert_no_complaints(&self) -> Result<()> {
        let log = self.log();
        let lines = complaints(&log);
        if !lines.is_empty() {
            bail!("{} complained:\n{}", self.name, lines.join("\n"));
        }
        Ok(())
    }

    /// Whether its process is there and not a corpse.
    pub fn is_alive(&self) -> bool {
        // The first thread is a corpse already when others still hold the sockets.
        !matches!(process_state(self.pid), None | Some('Z' | 'X')) || thread_count(self.pid) > 1
    }

    /// Asks it to end and waits until it has.
    pub fn terminate(&self) -> Result<()> {
        self.end(Signal::TERM)
    }

    /// Kills it and waits until it is gone.
    pub fn kill(&self) -> Result<()> {
        self.end(Signal::KILL)
    }

    fn end(&self, how: Signal) -> Result<()> {
        if self.is_alive() {
            signal(self.pid, how)?;
            eventually(&format!("{} ends after {how:?}", self.name), || {
                Ok((!self.is_alive()).then_some(()))
            })?;
        }
        Ok(())
    }

    /// Waits for the daemon that starts in the background to have written its process id.
    pub(crate) fn from_pid_file(name: String, pid_file: &Path, log: PathBuf) -> Result<Self> {
        let pid = eventually(&format!("{} holds a pid", pid_file.display()), || {
            Ok(fs::read_to_string(pid_file)
                .ok()
                .and_then(|text| text.trim().parse().ok()))
        })
        .with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
        Ok(Self { name, pid, log })
    }
}
