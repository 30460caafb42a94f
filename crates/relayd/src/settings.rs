//! Options, resolved and checked.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use daemon_config::background::Console;
use places::home_directory;
use relay::server::layout::Grouping;

use crate::args::Args;
use crate::config::from_here;
use crate::confine::Confine;
use crate::keepalive::KeepAlive;
use crate::rundir::{self, TRACING_GROUP};
use crate::url::ListenUrl;

/// What the daemon works with.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) control_port: ListenUrl,
    pub(crate) data_port: ListenUrl,
    pub(crate) live_port: ListenUrl,
    pub(crate) output: PathBuf,
    pub(crate) grouping: Grouping,
    pub(crate) clear_allowed: bool,
    pub(crate) data_from_anywhere: bool,
    pub(crate) background: Option<Console>,
    pub(crate) fd_pool_size: Option<usize>,
    pub(crate) keep_alive: KeepAlive,
    /// Made when something is put there; `None`: there is no home directory to put it into.
    pub(crate) run_directory: Option<PathBuf>,
    pub(crate) pid_file: Option<PathBuf>,
    pub(crate) port_file: Option<PathBuf>,
    /// Write one file for each port into the run directory.
    pub(crate) port_files: bool,
    pub(crate) signal_parent: bool,
    pub(crate) confine: Confine,
    /// The group that may use the sockets below.
    pub(crate) group: String,
    pub(crate) health_socket: Option<PathBuf>,
    pub(crate) status_socket: Option<PathBuf>,
    /// Serve metrics there.
    pub(crate) metrics: Option<SocketAddr>,
    working_directory: Option<PathBuf>,
}

impl Settings {
    pub(crate) fn new(args: &Args) -> anyhow::Result<Self> {
        let is_on = |option: Option<bool>| option.unwrap_or(false);
        let any_port = is_on(args.dynamic_port_allocation);
        let port = |given: &Option<ListenUrl>, default: &str, number: u16| {
            let url = match given {
                Some(url) => url.clone(),
                None => default.parse()?,
            };
            anyhow::Ok(url.or_port(if any_port { 0 } else { number }))
        };
        Ok(Self {
            control_port: port(&args.control_port, "tcp://0.0.0.0", 5342)?,
            data_port: port(&args.data_port, "tcp://0.0.0.0", 5343)?,
            live_port: port(&args.live_port, "tcp://localhost", 5344)?,
            output: output(args.output.as_deref())?,
            grouping: if is_on(args.group_output_by_session) {
                Grouping::BySession
            } else {
                Grouping::ByHost
            },
            data_from_anywhere: is_on(args.data_from_anywhere),
            clear_allowed: !is_on(args.disallow_clear),
            background: if is_on(args.background) {
                Some(Console::Kept)
            } else {
                is_on(args.daemonize).then_some(Console::Closed)
            },
            fd_pool_size: args.fd_pool_size.map(|size| size as usize),
            keep_alive: KeepAlive::new(args),
            run_directory: rundir::path(),
            pid_file: from_here(args.pid_file.as_deref())?,
            port_file: from_here(args.port_file.as_deref())?,
            port_files: any_port,
            signal_parent: is_on(args.sig_parent),
            confine: match args.confine {
                None => Confine::WherePossible,
                Some(true) => Confine::Always,
                Some(false) => Confine::Never,
            },
            group: args
                .group
                .clone()
                .unwrap_or_else(|| TRACING_GROUP.to_owned()),
            health_socket: from_here(args.health_socket.as_deref())?,
            status_socket: from_here(args.status_socket.as_deref())?,
            metrics: metrics(args)?,
            working_directory: args.working_directory.clone(),
        })
    }

    /// Where a daemon in the background goes: away from the directory of the user, which may be on a disk that
    /// is to be unmounted.
    pub(crate) fn directory_in_background(&self) -> Option<&Path> {
        let elsewhere = self.working_directory.is_none();
        elsewhere.then_some(Path::new("/"))
    }

    /// Changes to the working directory, if one was given.
    pub(crate) fn enter_working_directory(&self) -> anyhow::Result<()> {
        let Some(directory) = &self.working_directory else {
            return Ok(());
        };
        std::env::set_current_dir(directory).with_context(|| {
            format!(
                "cannot change to the working directory {}",
                directory.display()
            )
        })
    }
}

fn metrics(args: &Args) -> anyhow::Result<Option<SocketAddr>> {
    let address = args.metrics_address;
    match args.metrics_port {
        Some(port) => {
            let address = address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
            Ok(Some(SocketAddr::new(address, port)))
        }
        None if address.is_some() => bail!("--metrics-address needs --metrics-port"),
        None => Ok(None),
    }
}

fn output(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(path) = given {
        if !path.is_absolute() {
            bail!(
                "the output directory `{}` is no absolute path",
                path.display()
            );
        }
        return Ok(path.to_owned());
    }
    let home = home_directory().context(
        "there is no home directory: set LTTNG_HOME, or give the output directory with --output",
    )?;
    Ok(home.join("lttng-traces"))
}
