//! `lttng-relayd`: receives traces from the network.
//!
//! The protocol is in crate `relay`; here are the sockets, threads and files. The main thread accepts
//! connections and gives each to one of the workers, one per core. A worker serves every ready
//! connection per wake-up. A data connection shares nothing with others but the streams it carries,
//! and their locks are held for decisions only, not while bytes move.

#![forbid(unsafe_code)]

mod args;
mod background;
mod budget;
mod commands;
mod control;
mod data;
mod files;
mod group;
mod keepalive;
mod logging;
mod output;
mod relay;
mod server;
mod session;
mod settings;
mod stream;
mod time;
mod url;
mod worker;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use clap::error::ErrorKind;

use crate::args::Args;
use crate::budget::{FileBudget, descriptors};
use crate::keepalive::KeepAlive;
use crate::output::Output;
use crate::relay::Relay;
use crate::server::{Listeners, StopSignal};
use crate::settings::Settings;
use crate::worker::Workers;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            // Stock exits with 1, not with clap's 2.
            return match error.kind() {
                ErrorKind::DisplayHelp => ExitCode::SUCCESS,
                _ => ExitCode::FAILURE,
            };
        }
    };
    if args.version {
        let minor = ::relay::Minor::NEWEST;
        println!(
            "{} (lttng-rs, relay protocol {minor})",
            env!("CARGO_PKG_VERSION")
        );
        return ExitCode::SUCCESS;
    }
    logging::init(args.verbose);
    match run(&args) {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let settings = Settings::new(args)?;
    let in_background = args.daemonize || args.background;
    if in_background && !background::is_detached_process() {
        return background::start();
    }
    if in_background {
        background::detach()?;
    }
    settings.enter_working_directory()?;
    let listeners = Listeners::open(args)?;
    let stop = StopSignal::register().context("cannot handle signals")?;
    let limits = descriptors(args.fd_pool_size.map(|size| size as usize));
    let relay = Arc::new(Relay::new(
        Arc::new(Output::new(settings.output.clone())),
        settings.grouping,
        settings.clear_allowed,
        FileBudget::new(limits.files),
    ));
    tracing::info!("writing traces below {}", relay.output.root().display());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = Workers::start(cores, &relay).context("cannot start threads")?;
    let _pid_file = settings
        .pid_file
        .as_deref()
        .map(PidFile::create)
        .transpose()?;
    announce(args, &listeners, settings.port_file.as_deref())?;
    if in_background {
        background::report_ready(args.daemonize)?;
    }
    let keep_alive = KeepAlive::from_environment();
    server::serve(&relay, &listeners, &stop, workers, limits, &keep_alive)?;
    Ok(ExitCode::SUCCESS)
}

/// Tells the ports to programs that gave a file for it, and to people who cannot know them.
fn announce(args: &Args, listeners: &Listeners, port_file: Option<&Path>) -> anyhow::Result<()> {
    let ports = listeners.ports().context("cannot find out the ports")?;
    if let Some(path) = port_file {
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
        args.control_port.is_any_port(),
        args.data_port.is_any_port(),
    ];
    for ((name, port), _) in ports.iter().zip(chosen).filter(|(_, chosen)| *chosen) {
        // Nobody may be reading.
        let _ = writeln!(out, "lttng-relayd: {name} port {port}");
    }
    let _ = out.flush();
    Ok(())
}

/// The process id in a file, which goes away with the daemon.
struct PidFile(PathBuf);

impl PidFile {
    fn create(path: &Path) -> anyhow::Result<Self> {
        std::fs::write(path, format!("{}\n", std::process::id()))
            .with_context(|| format!("cannot write the pid file {}", path.display()))?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
