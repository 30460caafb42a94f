//! The private place of one test.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::process::run;
use crate::{Daemon, Host, Relay, Target, Toolchain, Who, eventually, tracefs};

/// Directories, and the daemons started so far. Everything is below one tmpfs that only this test sees.
#[derive(Debug)]
pub struct World {
    root: PathBuf,
    daemons: Vec<Daemon>,
    relays: u16,
}

impl World {
    /// The world of this process, which [`crate::isolated`] or [`crate::enclose`] started.
    pub fn new() -> Result<Self> {
        let root = PathBuf::from("/run/world");
        for dir in ["home", "logs", "traces"] {
            fs::create_dir_all(root.join(dir)).with_context(|| format!("create {dir}"))?;
        }
        Ok(Self {
            root,
            daemons: Vec::new(),
            relays: 0,
        })
    }

    /// A path inside the world.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The home directory of root in this world.
    pub fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// Starts root's session daemon of `toolchain` and waits until it is ready.
    pub fn target(&mut self, toolchain: Toolchain) -> Result<Target> {
        self.target_of(toolchain, Who::root(self.home()))
    }

    /// Starts a session daemon of `toolchain` as user `who`.
    pub fn target_of(&mut self, toolchain: Toolchain, who: Who) -> Result<Target> {
        let (log_path, log) = self.log_file(&format!("{}-sessiond", toolchain.name()))?;
        let target = Target::start(toolchain, who, log_path, log)?;
        self.daemons.push(target.daemon().clone());
        Ok(target)
    }

    /// Starts root's session daemon of ours with the kernel domain.
    pub fn kernel_target(&mut self) -> Result<Target> {
        self.kernel_target_of(Who::root(self.home()))
    }

    /// Starts a session daemon of ours with the kernel domain as user `who`.
    pub fn kernel_target_of(&mut self, who: Who) -> Result<Target> {
        tracefs::reserve()?;
        self.start(Toolchain::Ours, who, &[])
    }

    /// Waits until nothing of this test's session daemons is in tracefs: when `destroy` has returned, some may still be
    /// on its way.
    pub fn tracefs_emptied(&self) -> Result<()> {
        eventually("all that was made in tracefs is removed", || {
            let empty = tracefs::instances(self)?.is_empty() && tracefs::own_probes()?.is_empty();
            Ok(empty.then_some(()))
        })
    }

    /// Starts root's session daemon with these options and no others.
    pub fn target_with(&mut self, toolchain: Toolchain, options: &[&str]) -> Result<Target> {
        self.start(toolchain, Who::root(self.home()), options)
    }

    fn start(&mut self, toolchain: Toolchain, who: Who, options: &[&str]) -> Result<Target> {
        let (log_path, log) = self.log_file(&format!("{}-sessiond", toolchain.name()))?;
        let target = Target::start_with(toolchain, who, log_path, log, options)?;
        self.daemons.push(target.daemon().clone());
        Ok(target)
    }

    /// Starts the session daemon of root on `host`.
    pub fn target_on(&mut self, toolchain: Toolchain, host: &Host) -> Result<Target> {
        self.target_of(toolchain, host.root())
    }

    /// Starts a relay daemon of `toolchain` on ports of its own and waits until it listens.
    pub fn relay(&mut self, toolchain: Toolchain) -> Result<Relay> {
        let number = self.relays;
        let output = self.path(&format!("collector{number}"));
        self.relay_into(toolchain, &output)
    }

    /// Starts a relay daemon that writes into `output`.
    pub fn relay_into(&mut self, toolchain: Toolchain, output: &Path) -> Result<Relay> {
        let number = self.relays;
        self.relays += 1;
        let who = Who::root(self.home());
        self.start_relay(toolchain, number, output, (&who, "tcp://127.0.0.1"))
    }

    /// Starts a relay daemon on the ports of `gone`, which has ended, that writes into `output`.
    pub fn relay_in_place_of(
        &mut self,
        gone: &Relay,
        toolchain: Toolchain,
        output: &Path,
    ) -> Result<Relay> {
        let who = Who::root(self.home());
        self.start_relay(toolchain, gone.number, output, (&who, "tcp://127.0.0.1"))
    }

    /// Starts a relay daemon on `host` that listens on `address`, for instance `tcp6://[::]`.
    pub fn relay_on(&mut self, host: &Host, address: &str, output: &Path) -> Result<Relay> {
        let number = self.relays;
        self.relays += 1;
        self.start_relay(Toolchain::Ours, number, output, (&host.root(), address))
    }

    fn start_relay(
        &mut self,
        toolchain: Toolchain,
        number: u16,
        output: &Path,
        place: (&Who, &str),
    ) -> Result<Relay> {
        fs::create_dir_all(output)?;
        let (log_path, log) = self.log_file(&format!("{}-relayd", toolchain.name()))?;
        let relay = Relay::start(toolchain, number, output, place, log_path, log)?;
        self.daemons.push(relay.daemon().clone());
        Ok(relay)
    }

    /// Mounts an empty tmpfs of `size_kib` KiB at `name` inside the world.
    pub fn small_disk(&self, name: &str, size_kib: u64) -> Result<PathBuf> {
        let dir = self.path(name);
        fs::create_dir_all(&dir)?;
        let options = format!("size={size_kib}k,mode=755");
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(&dir))?
        .ok()?;
        Ok(dir)
    }

    fn log_file(&self, name: &str) -> Result<(PathBuf, File)> {
        let path = self
            .path("logs")
            .join(format!("{}-{name}.log", self.daemons.len()));
        let file = File::create(&path)?;
        Ok((path, file))
    }

    /// Ends every daemon that still runs.
    pub fn end_daemons(&self) -> Result<()> {
        self.daemons.iter().rev().try_for_each(Daemon::terminate)
    }

    /// Ends every daemon that still runs and fails if one does not end, had panicked, or left something in the kernel.
    pub(crate) fn finish(&mut self) -> Result<()> {
        self.end_daemons()?;
        for daemon in self.daemons.iter().rev() {
            let log = daemon.log();
            if let Some(line) = log.lines().find(|line| line.contains("panicked")) {
                bail!("{} panicked: {line}", daemon.name);
            }
        }
        tracefs::ensure_clean()
    }

    /// What remains: processes, files, and the ends of the logs.
    pub(crate) fn post_mortem(&self) -> String {
        let mut text = String::new();
        let mut show = |command: &mut Command| {
            if let Ok(output) = command.stdin(Stdio::null()).output() {
                text.push_str(&beginning(&String::from_utf8_lossy(&output.stdout)));
            }
        };
        show(Command::new("ps").args(["-eo", "pid,ppid,stat,wchan:20,args"]));
        show(Command::new("sh").args([
            "-c",
            "find /run /dev/shm -not -type d -printf '%s %p\\n' | sort -k2",
        ]));
        for daemon in &self.daemons {
            let log = daemon.log();
            let lines: Vec<&str> = log.lines().collect();
            let from = lines.len().saturating_sub(200);
            text.push_str(&format!(
                "---- {} (pid {}), end of its log:\n{}\n",
                daemon.name,
                daemon.pid,
                lines[from..].join("\n")
            ));
        }
        text
    }
}

/// The first lines of a text, and how many there are besides: what a reader can take in.
pub(crate) fn beginning(text: &str) -> String {
    const LINES: usize = 40;
    let mut lines = text.lines();
    let mut shown: String = lines
        .by_ref()
        .take(LINES)
        .flat_map(|line| [line, "\n"])
        .collect();
    let more = lines.count();
    if more > 0 {
        shown.push_str(&format!("... and {more} lines more\n"));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_says_how_much_is_left_out() {
        assert_eq!(beginning("a\nb"), "a\nb\n");
        let text = beginning(&"x\n".repeat(42));
        assert!(text.ends_with("x\n... and 2 lines more\n"), "{text}");
        assert_eq!(text.lines().count(), 41);
    }
}
