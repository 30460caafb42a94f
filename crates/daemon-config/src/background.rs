//! Going to the background without `fork`: the program starts itself again in a session of its own, and waits
//! on a pipe until the copy says that it is ready.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use rustix::process::{Pid, getppid, setsid};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

/// Tells a copy that it is one, and whose: the process that waits for it. Programs that the copy starts have the
/// variable as well, and another parent.
const VARIABLE: &str = "LTTNG_RS_COPY_OF";
const READY: &[u8] = b"ready\n";

/// What becomes of standard output and standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Console {
    /// `--background`
    Kept,
    /// `--daemonize`
    Closed,
}

/// Which of the two processes this is.
#[derive(Debug)]
pub enum Start {
    /// The first one. The copy is ready, or has ended with this code and has said why.
    Over(ExitCode),
    /// The copy, which is to be the daemon.
    Copy(Copy),
}

/// Why there is no daemon in the background.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action}")]
pub struct BackgroundError {
    action: &'static str,
    source: io::Error,
}

fn failed<E: Into<io::Error>>(action: &'static str) -> impl FnOnce(E) -> BackgroundError {
    move |error| BackgroundError {
        action,
        source: error.into(),
    }
}

/// Starts this program again with the same arguments and waits until it is ready; in the copy, leaves the
/// terminal. To be called once, before there are threads.
pub fn start(console: Console) -> Result<Start, BackgroundError> {
    if is_copy() {
        return Copy::begin(console).map(Start::Copy);
    }
    let (mut ready, ready_writer) = io::pipe().map_err(failed("create a pipe"))?;
    let mut arguments = std::env::args_os();
    let mut command = Command::new(this_program());
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    command
        .args(arguments)
        .env(VARIABLE, std::process::id().to_string())
        .stdin(Stdio::from(OwnedFd::from(ready_writer)));
    let child = command.spawn();
    let mut child = child.map_err(failed("start the background process"))?;
    // The copy's end of the pipe must be the only one.
    drop(command);
    let mut said = Vec::new();
    let read = ready.read_to_end(&mut said);
    read.map_err(failed("read from the background process"))?;
    if said == READY {
        return Ok(Start::Over(ExitCode::SUCCESS));
    }
    let status = child
        .wait()
        .map_err(failed("wait for the background process"))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    match code {
        Some(code) => Ok(Start::Over(ExitCode::from(code.max(1)))),
        None => Err(BackgroundError {
            action: "keep the background process",
            source: io::Error::other(status.to_string()),
        }),
    }
}

/// Under its own path, which gives the process its name for `ps`, `pidof` and `pkill`; if that is gone, what is left.
fn this_program() -> PathBuf {
    let path = std::env::current_exe().ok();
    path.filter(|path| path.exists())
        .unwrap_or_else(|| "/proc/self/exe".into())
}

/// Is this the second process?
pub fn is_copy() -> bool {
    let Ok(parent) = std::env::var(VARIABLE) else {
        return false;
    };
    getppid().is_some_and(|pid| parent == Pid::as_raw(Some(pid)).to_string())
}

/// The side of the daemon.
#[derive(Debug)]
pub struct Copy {
    /// Open once only, so that the other end sees its end.
    pipe: File,
    console: Console,
}

impl Copy {
    fn begin(console: Console) -> Result<Self, BackgroundError> {
        let pipe = io::stdin().as_fd().try_clone_to_owned();
        let pipe = pipe.map_err(failed("take over the pipe"))?;
        dup2_stdin(null()?).map_err(failed("leave standard input"))?;
        setsid().map_err(failed("create a process session"))?;
        Ok(Self {
            pipe: pipe.into(),
            console,
        })
    }

    /// Tells the process that waits, and leaves what it gave: the console unless it is kept, and its directory
    /// for `directory`, if one is given.
    pub fn ready(mut self, directory: Option<&Path>) -> Result<(), BackgroundError> {
        if let Some(directory) = directory {
            std::env::set_current_dir(directory).map_err(failed("leave the current directory"))?;
        }
        let null = null()?;
        let told = self.pipe.write_all(READY);
        told.map_err(failed("tell that the daemon is ready"))?;
        if self.console == Console::Closed {
            dup2_stdout(&null).map_err(failed("leave standard output"))?;
            dup2_stderr(&null).map_err(failed("leave standard error"))?;
        }
        Ok(())
    }
}

fn null() -> Result<File, BackgroundError> {
    let null = File::options().read(true).write(true).open("/dev/null");
    null.map_err(failed("open /dev/null"))
}
