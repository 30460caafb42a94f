//! A session daemon and the `lttng` command that talks to it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::host::command_on;
use crate::peers::require;
use crate::process::run;
use crate::{Daemon, Output, Toolchain, descendants, eventually, process_state};

/// Exit status of a command that died of SIGPIPE.
const BROKEN_PIPE: i32 = 128 + 13;

/// A user of the system, with a home directory.
#[derive(Debug, Clone)]
pub struct Who {
    uid: u32,
    home: PathBuf,
    /// The process whose namespaces the user's programs run in, if not in the world's.
    host: Option<u32>,
}

impl Who {
    /// The administrator.
    pub fn root(home: PathBuf) -> Self {
        Self {
            uid: 0,
            home,
            host: None,
        }
    }

    /// An ordinary user, who gets a home directory at `home`.
    pub fn user(uid: u32, home: PathBuf) -> Result<Self> {
        std::fs::create_dir_all(&home)?;
        std::os::unix::fs::chown(&home, Some(uid), Some(uid))?;
        Ok(Self {
            uid,
            home,
            host: None,
        })
    }

    /// The same user in the namespaces of process `holder`.
    pub(crate) fn on_host(self, holder: u32) -> Self {
        Self {
            host: Some(holder),
            ..self
        }
    }

    /// The home directory.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// `program`, to be run as this user.
    pub fn command(&self, program: &Path) -> Result<Command> {
        let mut command = if let (Some(holder), 0) = (self.host, self.uid) {
            command_on(holder, program)?
        } else if self.uid == 0 {
            Command::new(program)
        } else {
            let uid = self.uid;
            let mut command = Command::new(require("setpriv")?);
            command
                .arg(format!("--reuid={uid}"))
                .arg(format!("--regid={uid}"))
                .arg("--clear-groups")
                .arg(program);
            command
        };
        command
            .env("HOME", &self.home)
            .env_remove("LTTNG_HOME")
            .env("TZ", "UTC")
            .current_dir("/");
        Ok(command)
    }

    fn run_directory(&self) -> PathBuf {
        if let Some(holder) = self.host {
            Path::new(&format!("/proc/{holder}/root")).join("run/lttng")
        } else if self.uid == 0 {
            "/run/lttng".into()
        } else {
            self.home.join(".lttng")
        }
    }
}

/// The side that traces.
#[derive(Debug, Clone)]
pub struct Target {
    toolchain: Toolchain,
    who: Who,
    daemon: Daemon,
}

impl Target {
    pub(crate) fn start(
        toolchain: Toolchain,
        who: Who,
        log_path: PathBuf,
        log: File,
    ) -> Result<Self> {
        Self::start_with(toolchain, who, log_path, log, &["--no-kernel"])
    }

    pub(crate) fn start_with(
        toolchain: Toolchain,
        who: Who,
        log_path: PathBuf,
        log: File,
        options: &[&str],
    ) -> Result<Self> {
        let program = toolchain.program("lttng-sessiond")?;
        // The parent ends when the daemon is ready.
        let status = who
            .command(&program)?
            .args(options)
            .arg("--background")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .status()
            .with_context(|| format!("start {}", program.display()))?;
        let text = || std::fs::read_to_string(&log_path).unwrap_or_default();
        if !status.success() {
            anyhow::bail!("{} --background: {status}\n{}", program.display(), text());
        }
        let pid_file = who.run_directory().join("lttng-sessiond.pid");
        let daemon = Daemon::from_pid_file(
            format!("{} lttng-sessiond", toolchain.name()),
            &pid_file,
            log_path,
        )?;
        Ok(Self {
            toolchain,
            who,
            daemon,
        })
    }

    /// The session daemon.
    pub fn daemon(&self) -> &Daemon {
        &self.daemon
    }

    /// Whose it is.
    pub fn toolchain(&self) -> Toolchain {
        self.toolchain
    }

    /// The user it runs as.
    pub fn who(&self) -> &Who {
        &self.who
    }

    /// The directory of its sockets.
    pub fn run_directory(&self) -> PathBuf {
        self.who.run_directory()
    }

    /// Process ids of the consumer daemons that run now.
    pub fn consumers(&self) -> Vec<u32> {
        let is_consumer = |pid: &u32| {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            name.starts_with("lttng-consumerd") && process_state(*pid) != Some('Z')
        };
        descendants(self.daemon.pid)
            .into_iter()
            .filter(is_consumer)
            .collect()
    }

    /// The only consumer daemon, as soon as it is the only one: that of an output that was left may be ending still.
    pub fn consumer(&self) -> Result<u32> {
        eventually("there is one consumer daemon", || {
            Ok(match self.consumers()[..] {
                [one] => Some(one),
                _ => None,
            })
        })
    }

    /// Waits for the successor of consumer daemon `pid`, which was killed.
    pub fn wait_for_successor(&self, pid: u32) -> Result<()> {
        eventually("the consumer daemon is replaced", || {
            Ok(matches!(self.consumers()[..], [one] if one != pid).then_some(()))
        })
    }

    /// Runs `lttng` with `line`, cut at white space.
    pub fn lttng(&self, line: &str) -> Result<Output> {
        self.lttng_args(&line.split_whitespace().collect::<Vec<_>>())
    }

    /// Runs `lttng` with `args`.
    pub fn lttng_args(&self, args: &[&str]) -> Result<Output> {
        let mut output = run(self.command()?.args(args))?;
        // Stock's daemon hangs up when it refuses a command, maybe before its client has written all, which then dies
        // of it: a race that says nothing of the command.
        for _ in 0..20 {
            if self.toolchain == Toolchain::Stock && output.code == BROKEN_PIPE {
                output = run(self.command()?.args(args))?;
            }
        }
        Ok(output)
    }

    /// The `lttng` command, for this target's user.
    pub fn command(&self) -> Result<Command> {
        self.who.command(&self.toolchain.program("lttng")?)
    }

    /// Runs `lttng` once for each line; all must succeed.
    pub fn script(&self, lines: &str) -> Result<()> {
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            self.lttng(line)?.ok()?;
        }
        Ok(())
    }
}
