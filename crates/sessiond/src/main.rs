//! The session daemon.
//!
//! Manages recording sessions: makes their buffers, tells applications what to trace, starts the consumer
//! daemons that bring the packets to their place. It never touches a packet.

mod app;
mod autoload;
mod consumer_path;
mod daemon;
mod health;
mod host;
mod lock;
mod options;
mod rundir;
mod service;
mod session;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::CommandFactory;
use control::v1::session_daemon_server::SessionDaemonServer;
use daemon_config::background::{self, Console, Start};
use daemon_config::ignores_hangup;
use rustix::process::{Resource, Rlimit, Signal, getppid, getrlimit, kill_process, setrlimit};
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_stream::wrappers::UnixListenerStream;
use tracing_subscriber::EnvFilter;

use crate::consumer_path::consumer_path;
use crate::daemon::Daemon;
use crate::host::Host;
use crate::options::{Found, Options, Refused, TRACING_GROUP};
use crate::rundir::{Listeners, Paths, RunDirectory};
use crate::service::{Access, Service};
use crate::session::ConsumerProgram;
use crate::session::kernel::KernelDomain;

/// Descriptors that the daemon would like: two for each application, three for each stream.
const WANTED_DESCRIPTORS: u64 = 65_535;

fn main() -> ExitCode {
    if let Some(code) = create_directory_only() {
        return code;
    }
    if let Some(code) = daemon_config::man_page(Options::command()) {
        return code;
    }
    let Found {
        options,
        without_effect,
    } = match options::find(std::env::args_os().collect()) {
        Ok(found) => found,
        Err(Refused::CommandLine(error)) => return daemon_config::refuse(&error),
        Err(Refused::File(error)) => {
            eprintln!("Error: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    if options.version {
        println!("{}", daemon_config::version(env!("CARGO_PKG_VERSION")));
        return ExitCode::SUCCESS;
    }
    log_to_stderr(&options);
    // The copy in the background was given the same ones.
    if !background::is_copy() && !without_effect.is_empty() {
        let which = without_effect.join(", ");
        tracing::warn!("without effect, see --help: {which}");
    }
    match run(&options) {
        Ok(code) => code,
        Err(error) => {
            if !options.quiet {
                eprintln!("Error: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

/// This program creates directories as another user by starting itself as that user.
fn create_directory_only() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != session::CREATE_DIRECTORY {
        return None;
    }
    let path = PathBuf::from(arguments.next().unwrap_or_default());
    Some(match session::create_directory(&path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    })
}

fn log_to_stderr(options: &Options) {
    let level = match (options.quiet, options.verbose) {
        (true, _) => "off",
        (_, 0) => "warn",
        (_, 1) => "info",
        (_, 2) => "debug",
        _ => "trace",
    };
    // What the libraries say is of no use to a user of this daemon.
    let default = || EnvFilter::new(format!("off,lttng_sessiond={level}"));
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_env("LTTNG_LOG").unwrap_or_else(|_| default()))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}

fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let copy = match console(options).map(background::start).transpose()? {
        None => None,
        Some(Start::Copy(copy)) => Some(copy),
        Some(Start::Over(code)) => {
            if code == ExitCode::SUCCESS {
                signal_parent(options)?;
            }
            return Ok(code);
        }
    };
    raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(serve(options, copy))?;
    Ok(ExitCode::SUCCESS)
}

/// What becomes of the console of a daemon in the background.
fn console(options: &Options) -> Option<Console> {
    match (options.background, options.daemonize) {
        (true, _) => Some(Console::Kept),
        (false, true) => Some(Console::Closed),
        (false, false) => None,
    }
}

async fn serve(options: &Options, copy: Option<background::Copy>) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = match ignores_hangup() {
        true => None,
        false => Some(signal(SignalKind::hangup())?),
    };
    let tracing_gid = places::group_id(&options.group);
    let own_uid = rustix::process::geteuid().as_raw();
    if own_uid == 0 && tracing_gid.is_none() && options.group != TRACING_GROUP {
        let name = &options.group;
        tracing::warn!("there is no group `{name}`: only root may control this daemon");
    }
    let consumer = ConsumerProgram {
        path: consumer_path(options)?,
        verbose: options.verbose_consumer,
    };
    let (directory, listeners) = RunDirectory::take(Paths::new(options)?, tracing_gid)?;
    let run = format!("r{}_", host::random_text(6)?);
    let identity = directory.kernel_identity();
    let kernel = KernelDomain::new(
        identity.map_err(|error| format!("{error:#}")),
        run,
        options.no_kernel,
    );
    let directories = directory.consumer_directories();
    let daemon = Arc::new(Daemon::new(
        Host::discover()?,
        consumer,
        kernel,
        directories,
    ));
    let kernel = daemon.kernel.clone();
    // A consumer daemon of a daemon that was killed may hold them for a moment.
    tokio::task::spawn_blocking(move || kernel.remove_leftovers());
    let Listeners {
        control,
        apps,
        health,
    } = listeners;
    let apps = UnixListener::from_std(apps)?;
    let applications = app::listen(apps, daemon.apps.clone(), daemon.sessions.clone());
    let service = Service::new(
        daemon.clone(),
        Access {
            own_uid,
            tracing_gid,
        },
    );
    let connections = UnixListenerStream::new(UnixListener::from_std(control)?);
    let api = tonic::transport::Server::builder()
        .add_service(SessionDaemonServer::new(service))
        .serve_with_incoming(connections);
    let applications = tokio::spawn(applications);
    let health = UnixListener::from_std(health)?;
    tokio::spawn(health::serve_own(health, applications.abort_handle()));
    let api = tokio::spawn(api);
    announce(&directory, options, copy)?;
    let socket = directory.control_socket().to_owned();
    tokio::spawn(autoload::load(socket, options.load.clone()));
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        Some(_) = async { hangup.as_mut()?.recv().await } => {}
        result = api => result?.context("the control API ended")?,
    }
    daemon.destroy_all().await;
    applications.abort();
    drop(directory);
    Ok(())
}

/// Everything listens: says so to everybody who waits for it.
fn announce(
    directory: &RunDirectory,
    options: &Options,
    copy: Option<background::Copy>,
) -> anyhow::Result<()> {
    directory.announce()?;
    // No service manager: nothing to tell.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    match copy {
        // The process that waits for it signals its own parent.
        Some(copy) => Ok(copy.ready(None)?),
        None => signal_parent(options),
    }
}

fn signal_parent(options: &Options) -> anyhow::Result<()> {
    if let (true, Some(parent)) = (options.sig_parent, getppid()) {
        kill_process(parent, Signal::USR1).context("cannot signal the parent process")?;
    }
    Ok(())
}

fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    let wanted = WANTED_DESCRIPTORS.min(most);
    if limit.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit {
            current: Some(wanted),
            maximum: limit.maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!("cannot raise the limit of descriptors to {wanted}: {error}");
        }
    }
}
