//! Going to the background without forking: the program starts itself again in a session of its own and
//! waits until the copy says that it is ready.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

use anyhow::Context;
use rustix::pipe::{PipeFlags, pipe_with};

/// Option of the copy; its standard input is the write end of the readiness pipe.
const MARK: &str = "--background-copy";
/// Says that the copy is ready.
const READY: u8 = b'r';

/// Starts the copy and waits for it. `keep_console`: messages go on to the terminal.
pub(crate) fn start_copy(keep_console: bool) -> anyhow::Result<ExitCode> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    let mut command = Command::new("/proc/self/exe");
    command.arg0(
        std::env::args_os()
            .next()
            .unwrap_or_else(|| "lttng-sessiond".into()),
    );
    command
        .args(std::env::args_os().skip(1))
        .arg(MARK)
        .stdin(Stdio::from(writer));
    if !keep_console {
        command.stdout(Stdio::null());
    }
    let mut child = command.spawn().context("cannot start in the background")?;
    // The copy's end must be the only one.
    drop(command);
    let mut said = Vec::new();
    std::fs::File::from(reader).read_to_end(&mut said)?;
    if said == [READY] {
        return Ok(ExitCode::SUCCESS);
    }
    // It has printed why.
    let status = child.wait()?;
    Ok(ExitCode::from(
        u8::try_from(status.code().unwrap_or(1)).unwrap_or(1).max(1),
    ))
}

/// The copy's side.
#[derive(Debug)]
pub(crate) struct Copy {
    pipe: std::fs::File,
    keep_console: bool,
}

impl Copy {
    /// Takes the pipe and leaves the terminal's session. Only for a process that has the option.
    pub(crate) fn begin(keep_console: bool) -> anyhow::Result<Self> {
        let pipe = std::io::stdin().as_fd().try_clone_to_owned()?;
        let null = std::fs::File::open("/dev/null")?;
        rustix::stdio::dup2_stdin(&null)?;
        rustix::process::setsid().context("cannot leave the terminal's session")?;
        Ok(Self {
            pipe: pipe.into(),
            keep_console,
        })
    }

    /// Tells the parent and, unless the console is kept, lets go of it.
    pub(crate) fn ready(mut self) -> anyhow::Result<()> {
        self.pipe.write_all(&[READY])?;
        if !self.keep_console {
            let null = std::fs::File::options().write(true).open("/dev/null")?;
            rustix::stdio::dup2_stderr(&null)?;
        }
        Ok(())
    }
}
