//! Running in the background without `fork`: the program starts itself again, detached, and waits on
//! a pipe until the new process is ready.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, Stdio};

use anyhow::Context;
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

/// Tells the new process that its standard input is the pipe.
pub(crate) const VARIABLE: &str = "LTTNG_RELAYD_READY_ON_STDIN";
const READY: &[u8] = b"ready\n";

/// Am I the new process?
pub(crate) fn is_detached_process() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// Starts this program again with the same arguments; returns when it is ready, or with its exit code
/// when it failed. Its messages until then go to our standard error.
pub(crate) fn start() -> anyhow::Result<ExitCode> {
    let (mut ready, ready_writer) = std::io::pipe().context("cannot create a pipe")?;
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut child = Command::new(program)
        .args(std::env::args_os().skip(1))
        .env(VARIABLE, "1")
        .stdin(Stdio::from(OwnedFd::from(ready_writer)))
        .spawn()
        .context("cannot start the background process")?;
    let mut answer = Vec::new();
    ready
        .read_to_end(&mut answer)
        .context("cannot read from the background process")?;
    if answer == READY {
        return Ok(ExitCode::SUCCESS);
    }
    let status = child
        .wait()
        .context("cannot wait for the background process")?;
    if let Some(signal) = status.signal() {
        anyhow::bail!("the background process was killed by signal {signal}");
    }
    Ok(ExitCode::FAILURE)
}

/// In the new process: leave the session and the terminal.
pub(crate) fn detach() -> anyhow::Result<()> {
    rustix::process::setsid().context("cannot create a process session")?;
    Ok(())
}

/// In the new process: tell the other one, and leave what it gave us. `close_output`: standard output and
/// error too.
pub(crate) fn report_ready(close_output: bool) -> anyhow::Result<()> {
    std::env::set_current_dir("/").context("cannot change to /")?;
    let null = File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .context("cannot open /dev/null")?;
    // The pipe must be open once only, so that the other end sees its end.
    let mut pipe = File::from(rustix::io::dup(rustix::stdio::stdin())?);
    dup2_stdin(&null)?;
    pipe.write_all(READY).context("cannot report readiness")?;
    if close_output {
        dup2_stdout(&null)?;
        dup2_stderr(&null)?;
    }
    Ok(())
}
