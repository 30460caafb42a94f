//! `lttng-relayd`: receives traces from the network.
//!
//! The protocol is in crate `relay`; here are the sockets, threads and files. The main thread accepts
//! connections and gives each to one of the workers, one per core. A worker serves every ready
//! connection per wake-up; while its thread waits for a disk, another thread serves in its place. A data
//! connection shares nothing with others but the streams it carries, and their locks are held for
//! decisions only, not while bytes move.

mod activation;
mod args;
mod budget;
mod commands;
mod config;
mod confine;
mod control;
mod counters;
mod data;
mod files;
mod group;
mod groups;
mod guests;
mod journal;
mod keepalive;
mod live;
mod local;
mod log_quota;
mod logging;
mod mend;
mod output;
mod pipe;
mod pool;
mod pulse;
mod register;
mod relay;
mod rundir;
mod server;
mod service_manager;
mod session;
mod settings;
mod shelf;
mod stream;
mod time;
mod url;
mod worker;

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{CommandFactory, Parser};
use daemon_config::background::{self, Start};

use crate::activation::Inherited;
use crate::args::Args;
use crate::budget::descriptors;
use crate::confine::confine;
use crate::guests::Guests;
use crate::journal::{Journal, LeftOver};
use crate::live::Viewers;
use crate::local::{Facts, LocalService, Sockets};
use crate::output::Output;
use crate::pool::FilePool;
use crate::relay::Relay;
use crate::rundir::Temporary;
use crate::server::{Listeners, Servers, StopSignal};
use crate::service_manager::ServiceManager;
use crate::settings::Settings;
use crate::worker::Workers;

fn main() -> ExitCode {
    if let Some(code) = daemon_config::man_page(Args::command()) {
        return code;
    }
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return daemon_config::refuse(&error),
    };
    if args.version {
        let minor = ::relay::Minor::NEWEST;
        println!(
            "{} (relay protocol {minor})",
            daemon_config::version(env!("CARGO_PKG_VERSION"))
        );
        return ExitCode::SUCCESS;
    }
    let found = match config::complete(args) {
        Ok(found) => found,
        Err(error) => {
            logging::init(0);
            tracing::error!("{error:#}");
            return ExitCode::FAILURE;
        }
    };
    logging::init(found.args.verbose);
    for warning in &found.warnings {
        tracing::warn!("{warning}");
    }
    match Settings::new(&found.args).and_then(|settings| run(&settings, found.args.status)) {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(settings: &Settings, status: bool) -> anyhow::Result<ExitCode> {
    if status {
        print!("{}", local::ask_for_status(settings)?);
        return Ok(ExitCode::SUCCESS);
    }
    let copy = match settings.background.map(background::start).transpose()? {
        None => None,
        Some(Start::Copy(copy)) => Some(copy),
        Some(Start::Over(code)) => {
            if code == ExitCode::SUCCESS {
                signal_parent(settings)?;
            }
            return Ok(code);
        }
    };
    settings.enter_working_directory()?;
    let mut inherited = Inherited::take()?;
    let listeners = Listeners::open(settings, &mut inherited)?;
    let mut sockets = Sockets::open(settings)?;
    let addresses: Vec<_> = listeners
        .addresses()
        .context("cannot find out the ports")?
        .into_iter()
        .chain(
            sockets
                .metrics_address()
                .map(|address| ("metrics", address)),
        )
        .collect();
    let stop = StopSignal::register().context("cannot handle signals")?;
    let limits = descriptors(settings.fd_pool_size);
    let output = Output::new(settings.output.clone());
    if let Err(error) = output.make_root() {
        // Perhaps it comes later, with a disk.
        tracing::warn!("{error}");
    }
    let mut files = sockets.take_files();
    let (journal, left_over) = begin_journal(settings, &mut files);
    files.extend(announce(settings, &addresses)?);
    let confinement = confine(settings.confine, output.root(), &files)?;
    tracing::info!(
        confinement,
        "writing traces below {}",
        output.root().display()
    );
    for left in left_over {
        mend::mend(&output, left);
    }
    let relay = Arc::new(Relay::new(
        Arc::new(output),
        settings.grouping,
        settings.clear_allowed,
        settings.data_from_anywhere,
        FilePool::new(limits),
        journal,
    ));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let servers = Servers {
        workers: Workers::start(cores, &relay).context("cannot start threads")?,
        viewers: Viewers::new(&relay),
        guests: Guests::default(),
    };
    let facts = Facts {
        ports: addresses,
        confinement,
        max_connections: limits.connections,
    };
    let local = LocalService::start(sockets, &relay, servers.watch(), facts);
    let local = local.context("cannot start threads")?;
    let mut manager = ServiceManager::ready(&format!("traces go to {}", settings.output.display()));
    match copy {
        Some(copy) => copy.ready(settings.directory_in_background())?,
        None => signal_parent(settings)?,
    }
    server::serve(
        &relay,
        &listeners,
        &stop,
        servers,
        &settings.keep_alive,
        &mut manager,
    )?;
    local.stop();
    // Before the files: whoever waits for those to go may start the next daemon on the same ports.
    drop(listeners);
    drop(files);
    Ok(ExitCode::SUCCESS)
}

/// Begins to note which sessions there are. Gives also what daemons that were killed have noted.
fn begin_journal(settings: &Settings, files: &mut Vec<Temporary>) -> (Journal, Vec<LeftOver>) {
    let Some(directory) = &settings.run_directory else {
        return (Journal::default(), Vec::new());
    };
    let left = journal::left_over(directory, &settings.output);
    match Journal::begin(directory, &settings.output) {
        Ok((journal, file)) => {
            files.push(file);
            (journal, left)
        }
        Err(error) => {
            tracing::warn!("sessions will not be mended if this daemon is killed: {error:#}");
            (Journal::default(), left)
        }
    }
}

/// For who asked for a signal instead of waiting for something to be there.
fn signal_parent(settings: &Settings) -> anyhow::Result<()> {
    if settings.signal_parent
        && let Some(parent) = rustix::process::getppid()
    {
        rustix::process::kill_process(parent, rustix::process::Signal::USR1)
            .context("cannot signal the parent process")?;
    }
    Ok(())
}

/// Tells the process id and the ports to programs that gave files for it, and the ports to people who
/// cannot know them. The files go away with what is returned.
fn announce(
    settings: &Settings,
    addresses: &[(&'static str, SocketAddr)],
) -> anyhow::Result<Vec<Temporary>> {
    let ports: Vec<_> = addresses
        .iter()
        .map(|(name, address)| (*name, address.port()))
        .collect();
    let mut files = Vec::new();
    if let Some(path) = &settings.pid_file {
        files.push(
            Temporary::write(path, &format!("{}\n", std::process::id())).context("pid file")?,
        );
    }
    if settings.port_files {
        let directory = settings.run_directory.as_deref();
        let directory = directory.context("no run directory: set LTTNG_RUNDIR or LTTNG_HOME")?;
        rundir::create(directory)?;
        for (name, port) in &ports {
            let path = directory.join(format!("{name}.port"));
            files.push(Temporary::write(&path, &format!("{port}\n"))?);
        }
    }
    if let Some(path) = &settings.port_file {
        let text: String = ports
            .iter()
            .map(|(name, port)| format!("{name}={port}\n"))
            .collect();
        // Renamed into place, so that whoever waits for it finds it complete.
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        std::fs::write(&partial, text)
            .and_then(|()| std::fs::rename(&partial, path))
            .with_context(|| format!("cannot write the port file {}", path.display()))?;
    }
    let mut out = std::io::stdout().lock();
    let chosen = [
        settings.control_port.is_any_port(),
        settings.data_port.is_any_port(),
        settings.live_port.is_any_port(),
    ];
    for ((name, port), _) in ports.iter().zip(chosen).filter(|(_, chosen)| *chosen) {
        // Nobody may be reading.
        let _ = writeln!(out, "lttng-relayd: {name} port {port}");
    }
    let _ = out.flush();
    Ok(files)
}
