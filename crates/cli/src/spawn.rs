//! Starting a session daemon, or a relay daemon for live sessions, when none answers.

use std::env;
use std::ffi::OsString;
use std::net::TcpStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use control::{Client, ErrorCode};
use rustix::fs::{Access, access};

use crate::daemon::{Context, refuse};
use crate::ui::Exit;

/// Where upstream's packages put it.
const INSTALLED: &str = "/usr/bin/lttng-sessiond";
const INSTALLED_RELAY: &str = "/usr/bin/lttng-relayd";

/// A connection to the daemon; starts one unless `--no-sessiond`.
pub(crate) async fn connect_or_spawn(context: &Context) -> Result<Client, Exit> {
    let ui = &context.ui;
    match context.connect().await {
        Ok(client) => return Ok(client),
        Err(failure)
            if context.no_sessiond
                || failure.of_upstream
                || failure.code != ErrorCode::NO_SESSION_DAEMON =>
        {
            return Err(refuse(ui, &failure));
        }
        Err(_) => {}
    }
    let path = spawn(context)?;
    match context.connect().await {
        Ok(client) => Ok(client),
        Err(failure) => {
            let exit = refuse(ui, &failure);
            if failure.of_upstream {
                ui.detail(format_args!("{} was started", path.display()));
            }
            Err(exit)
        }
    }
}

/// Where the relay daemon of live sessions on this machine listens for viewers.
const LIVE_ADDRESS: &str = "127.0.0.1:5344";

/// Starts a relay daemon on this machine if none listens for viewers. It goes on when this command has ended.
pub(crate) fn ensure_relay(context: &Context) -> Result<(), Exit> {
    let ui = &context.ui;
    if TcpStream::connect(LIVE_ADDRESS).is_ok() {
        return Ok(());
    }
    ui.say("Spawning a relayd daemon");
    let path = match &context.relayd_path {
        Some(path) => path.into(),
        None => beside("lttng-relayd").unwrap_or_else(|| INSTALLED_RELAY.into()),
    };
    // The first process ends when the daemon serves. The daemon keeps none of our streams open: who reads them would
    // wait for it.
    let ended = Command::new(&path)
        .arg0("lttng-relayd")
        .args(["--daemonize", "--live-port", "tcp://localhost:5344"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status();
    match ended {
        Ok(ended) if ended.success() => Ok(()),
        Ok(ended) => {
            let exit = ui.fail("No relayd found. Use --relayd-path.");
            ui.detail(format_args!("{}: {ended}", path.display()));
            Err(exit)
        }
        Err(error) => {
            let exit = ui.fail("No relayd found. Use --relayd-path.");
            ui.detail(format_args!("{}: {error}", path.display()));
            Err(exit)
        }
    }
}

/// The program of this name beside this one.
fn beside(name: &str) -> Option<PathBuf> {
    let program = env::current_exe().ok()?;
    let path = program.with_file_name(name);
    path.is_file().then_some(path)
}

/// `--sessiond-path`, else `LTTNG_SESSIOND_PATH`, else the one beside this program, else the installed one.
fn daemon_path(context: &Context) -> PathBuf {
    if let Some(path) = &context.sessiond_path {
        return path.into();
    }
    let named: Option<OsString> = env::var_os("LTTNG_SESSIOND_PATH");
    if let Some(path) = named.filter(|path| !path.is_empty()) {
        return path.into();
    }
    beside("lttng-sessiond").unwrap_or_else(|| INSTALLED.into())
}

/// Starts it, waits until it serves, and returns its path: with `--daemonize` the first process ends only then.
fn spawn(context: &Context) -> Result<PathBuf, Exit> {
    let ui = &context.ui;
    let path = daemon_path(context);
    let problem = |path: &Path| {
        ui.fail(format_args!(
            "Problem occurred while launching session daemon ({})",
            path.display()
        ))
    };
    if !path.is_file() || access(&path, Access::EXEC_OK).is_err() {
        ui.error(format_args!(
            "No such file or access denied: {}",
            path.display()
        ));
        return Err(problem(&path));
    }
    ui.say("Spawning a session daemon");
    let ended = Command::new(&path)
        .arg0("lttng-sessiond")
        .arg("--daemonize")
        .stdin(Stdio::null())
        .status();
    match ended {
        Ok(ended) if ended.success() => return Ok(path),
        Ok(ended) => match (ended.code(), ended.signal()) {
            (Some(code), _) => ui.error(format_args!(
                "Session daemon terminated with an error (exit status: {code})"
            )),
            (None, signal) => ui.error(format_args!(
                "Session daemon was killed by signal {}",
                signal.unwrap_or_default()
            )),
        },
        Err(error) => ui.error(format_args!("Cannot run {}: {error}", path.display())),
    }
    Err(problem(&path))
}
