//! The options, as stock `lttng-relayd` has them. The command line, the environment and the
//! configuration files all speak in these.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{ArgAction, Parser};
use daemon_config::boolean;

use crate::url::ListenUrl;

/// Receives traces from the network and writes them to disk.
///
/// Session daemons of LTTng 2.x stream their sessions to it. Traces are written below the output
/// directory, as HOST/SESSION-TIME/DOMAIN/…, and can be read with babeltrace2.
///
/// Every option can also be set in section [relayd] of a configuration file (`control-port=URL`;
/// `disallow-clear=yes`), and by an environment variable (`LTTNG_RELAYD_CONTROL_PORT=URL`). The command
/// line has the last word, before it the environment, --config, `$LTTNG_HOME/.lttng/lttng.conf` (or
/// `$HOME/…`) and `/etc/lttng/lttng.conf`.
///
/// Live viewers read sessions that were created with `--live` while they are received, any number of
/// viewers at once: `babeltrace2 -i lttng-live net://COLLECTOR/host/HOST/SESSION`.
///
/// Unlike the relay daemon of LTTng 2.13, this one exits with 1, not 0, when a port cannot be bound
/// or a directory is not there, also in the foreground.
#[derive(Clone, Debug, Default, Parser)]
#[command(
    name = "lttng-relayd",
    disable_version_flag = true,
    args_override_self = true,
    infer_long_args = true,
    max_term_width = 100
)]
pub(crate) struct Args {
    /// Listen here for control connections; port 0: any free port, told on standard output
    /// [default: tcp://0.0.0.0:5342].
    #[arg(short = 'C', long, value_name = "URL")]
    pub(crate) control_port: Option<ListenUrl>,

    /// Listen here for data connections; port 0 as above [default: tcp://0.0.0.0:5343].
    #[arg(short = 'D', long, value_name = "URL")]
    pub(crate) data_port: Option<ListenUrl>,

    /// Listen here for live viewers; port 0 as above [default: tcp://localhost:5344].
    #[arg(short = 'L', long, value_name = "URL")]
    pub(crate) live_port: Option<ListenUrl>,

    /// Write traces below this directory, an absolute path [default: $LTTNG_HOME/lttng-traces or
    /// $HOME/lttng-traces].
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,

    /// Begin each trace's path with the host name (default).
    #[arg(short = 'p', long, conflicts_with = "group_output_by_session", num_args = 0..=1,
        require_equals = true, default_missing_value = "yes", value_parser = boolean,
        hide_possible_values = true, value_name = "BOOL")]
    pub(crate) group_output_by_host: Option<bool>,

    /// Begin each trace's path with the session name.
    #[arg(short = 's', long, num_args = 0..=1, require_equals = true,
        default_missing_value = "yes", value_parser = boolean, value_name = "BOOL")]
    pub(crate) group_output_by_session: Option<bool>,

    /// Work in this directory; does not change where traces go.
    #[arg(short, long, value_name = "PATH")]
    pub(crate) working_directory: Option<PathBuf>,

    /// Do not let anybody clear (delete) what was received.
    #[arg(short = 'x', long, num_args = 0..=1, require_equals = true,
        default_missing_value = "yes", value_parser = boolean, value_name = "BOOL")]
    pub(crate) disallow_clear: Option<bool>,

    /// Run in the background, with standard streams closed; returns when connections are accepted.
    #[arg(short, long, num_args = 0..=1, require_equals = true,
        default_missing_value = "yes", value_parser = boolean, value_name = "BOOL")]
    pub(crate) daemonize: Option<bool>,

    /// Run in the background, with standard streams kept; returns when connections are accepted. Stronger
    /// than --daemonize.
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_missing_value = "yes",
        value_parser = boolean, value_name = "BOOL")]
    pub(crate) background: Option<bool>,

    /// The group that may ask the daemon for its health and status, when it runs as root [default:
    /// tracing].
    #[arg(short, long, value_name = "NAME")]
    pub(crate) group: Option<String>,

    /// At most so many open files, 100 or more [default: the limit of the system, which is raised].
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(100..))]
    pub(crate) fd_pool_size: Option<u32>,

    /// One more configuration file; stronger than those that are always read.
    #[arg(short = 'f', long, value_name = "PATH")]
    pub(crate) config: Option<PathBuf>,

    /// Write the process id into this file; it is removed at the end.
    #[arg(short = 'P', long, value_name = "PATH")]
    pub(crate) pid_file: Option<PathBuf>,

    /// Write the ports listened on into this file, as `control=PORT`, `data=PORT` and `live=PORT`.
    #[arg(long, value_name = "PATH")]
    pub(crate) port_file: Option<PathBuf>,

    /// Where to ask whether the daemon is healthy, with lttng_health_query(3) [default: health-PID in the
    /// run directory].
    #[arg(long, value_name = "PATH")]
    pub(crate) health_socket: Option<PathBuf>,

    /// Print what the running relay daemons of this machine do, and end.
    #[arg(long)]
    pub(crate) status: bool,

    /// Where to ask what the daemon does [default: status-PID in the run directory].
    #[arg(long, value_name = "PATH")]
    pub(crate) status_socket: Option<PathBuf>,

    /// Serve metrics for Prometheus on this port, at /metrics; port 0: any free port, told in the port
    /// file [default: no metrics].
    #[arg(long, value_name = "PORT")]
    pub(crate) metrics_port: Option<u16>,

    /// Serve metrics on this address [default: 127.0.0.1].
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) metrics_address: Option<IpAddr>,

    /// Send SIGUSR1 to the parent process when connections are accepted.
    #[arg(short = 'S', long, num_args = 0..=1, require_equals = true,
        default_missing_value = "yes", value_parser = boolean, value_name = "BOOL")]
    pub(crate) sig_parent: Option<bool>,

    /// Listen on any free ports, and write them to `control.port`, `data.port` and `live.port` in the run directory.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "yes",
        value_parser = boolean, value_name = "BOOL")]
    pub(crate) dynamic_port_allocation: Option<bool>,

    /// Keep the daemon in its output directory by Landlock [default: where the kernel can; yes: do not
    /// start otherwise].
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "yes",
        value_parser = boolean, value_name = "BOOL")]
    pub(crate) confine: Option<bool>,

    /// Take packets from other addresses than the one that their session's control connection comes from.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "yes",
        value_parser = boolean, value_name = "BOOL")]
    pub(crate) data_from_anywhere: Option<bool>,

    /// Notice vanished peers by TCP keep-alive.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "yes",
        value_parser = boolean, value_name = "BOOL")]
    pub(crate) tcp_keep_alive: Option<bool>,

    /// Seconds without traffic before the first probe; -1: the system's setting.
    #[arg(
        long,
        value_name = "SECONDS",
        value_parser = system_or_positive(),
        allow_negative_numbers = true
    )]
    pub(crate) tcp_keep_alive_idle_time: Option<i32>,

    /// Seconds between probes; -1: the system's setting.
    #[arg(
        long,
        value_name = "SECONDS",
        value_parser = system_or_positive(),
        allow_negative_numbers = true
    )]
    pub(crate) tcp_keep_alive_probe_interval: Option<i32>,

    /// Probes without an answer before a connection is given up; -1: the system's setting.
    #[arg(
        long,
        value_name = "COUNT",
        value_parser = system_or_positive(),
        allow_negative_numbers = true
    )]
    pub(crate) tcp_keep_alive_max_probe_count: Option<i32>,

    /// Say more; up to three times.
    #[arg(short, long, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Print the version.
    #[arg(short = 'V', long)]
    pub(crate) version: bool,
}

impl Args {
    /// These, and what is not set here from `weaker`.
    pub(crate) fn over(self, weaker: Self) -> Self {
        let (by_host, by_session) = pair(
            (self.group_output_by_host, self.group_output_by_session),
            (weaker.group_output_by_host, weaker.group_output_by_session),
        );
        let (daemonize, background) = pair(
            (self.daemonize, self.background),
            (weaker.daemonize, weaker.background),
        );
        Self {
            control_port: self.control_port.or(weaker.control_port),
            data_port: self.data_port.or(weaker.data_port),
            live_port: self.live_port.or(weaker.live_port),
            output: self.output.or(weaker.output),
            group_output_by_host: by_host,
            group_output_by_session: by_session,
            working_directory: self.working_directory.or(weaker.working_directory),
            disallow_clear: self.disallow_clear.or(weaker.disallow_clear),
            daemonize,
            background,
            group: self.group.or(weaker.group),
            fd_pool_size: self.fd_pool_size.or(weaker.fd_pool_size),
            config: self.config.or(weaker.config),
            pid_file: self.pid_file.or(weaker.pid_file),
            port_file: self.port_file.or(weaker.port_file),
            health_socket: self.health_socket.or(weaker.health_socket),
            status: self.status || weaker.status,
            status_socket: self.status_socket.or(weaker.status_socket),
            metrics_port: self.metrics_port.or(weaker.metrics_port),
            metrics_address: self.metrics_address.or(weaker.metrics_address),
            sig_parent: self.sig_parent.or(weaker.sig_parent),
            dynamic_port_allocation: self
                .dynamic_port_allocation
                .or(weaker.dynamic_port_allocation),
            data_from_anywhere: self.data_from_anywhere.or(weaker.data_from_anywhere),
            confine: self.confine.or(weaker.confine),
            tcp_keep_alive: self.tcp_keep_alive.or(weaker.tcp_keep_alive),
            tcp_keep_alive_idle_time: self
                .tcp_keep_alive_idle_time
                .or(weaker.tcp_keep_alive_idle_time),
            tcp_keep_alive_probe_interval: self
                .tcp_keep_alive_probe_interval
                .or(weaker.tcp_keep_alive_probe_interval),
            tcp_keep_alive_max_probe_count: self
                .tcp_keep_alive_max_probe_count
                .or(weaker.tcp_keep_alive_max_probe_count),
            verbose: if self.verbose > 0 {
                self.verbose
            } else {
                weaker.verbose
            },
            version: self.version || weaker.version,
        }
    }
}

/// Two options of which one at most is on: who sets one of them, sets both.
fn pair(
    stronger: (Option<bool>, Option<bool>),
    weaker: (Option<bool>, Option<bool>),
) -> (Option<bool>, Option<bool>) {
    match stronger {
        (None, None) => weaker,
        stronger => stronger,
    }
}

fn system_or_positive() -> impl clap::builder::TypedValueParser<Value = i32> {
    clap::builder::TypedValueParser::try_map(clap::value_parser!(i32).range(-1..), |value| {
        match value {
            0 => Err("0 is no time and no count; -1 is the system's setting"),
            value => Ok(value),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_sound() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }

    #[test]
    fn spellings_of_scripts() {
        let args = Args::try_parse_from([
            "lttng-relayd",
            "-b",
            "-C",
            "tcp://127.0.0.1:0",
            "--data-port=tcp6://[::1]:0",
            "-vvv",
            "-o",
            "/tmp/x",
            "-s",
            "-x",
        ]);
        let args = args.unwrap();
        assert_eq!(args.background, Some(true));
        assert_eq!(args.group_output_by_session, Some(true));
        assert_eq!(args.disallow_clear, Some(true));
        assert_eq!(args.verbose, 3);
        let args = Args::try_parse_from(["lttng-relayd", "-bxs", "--tcp-keep-alive-idle-time=-1"]);
        assert_eq!(args.unwrap().tcp_keep_alive_idle_time, Some(-1));
        assert!(Args::try_parse_from(["lttng-relayd", "-s", "-p"]).is_err());
        assert!(Args::try_parse_from(["lttng-relayd", "--fd-pool-size=99"]).is_err());
    }

    #[test]
    fn the_stronger_one_of_a_pair_turns_the_other_off() {
        let parse = |args: &[&str]| {
            Args::try_parse_from(std::iter::once("lttng-relayd").chain(args.iter().copied()))
                .unwrap()
        };
        let both = parse(&["-p", "-b"]).over(parse(&["-s", "-d", "-x", "-v"]));
        assert_eq!(both.group_output_by_host, Some(true));
        assert_eq!(both.group_output_by_session, None);
        assert_eq!(both.daemonize, None);
        assert_eq!(both.disallow_clear, Some(true));
        assert_eq!(both.verbose, 1);
        let no = parse(&["--disallow-clear=no"]).over(parse(&["-x"]));
        assert_eq!(no.disallow_clear, Some(false));
    }
}
