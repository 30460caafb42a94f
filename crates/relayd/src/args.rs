//! The command line, as stock `lttng-relayd` has it.

use std::path::PathBuf;

use clap::{ArgAction, Parser};

use crate::url::ListenUrl;

/// Receives traces from the network and writes them to disk.
///
/// Session daemons of LTTng 2.x stream their sessions to it. Traces are written below the output
/// directory, as HOST/SESSION-TIME/DOMAIN/…, and can be read with babeltrace2.
///
/// Unlike the relay daemon of LTTng 2.13, this one exits with 1, not 0, when a port cannot be bound
/// or a directory is not there, also in the foreground. Live viewers are not served yet: --live-port
/// is accepted, but nothing listens on it.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "lttng-relayd",
    disable_version_flag = true,
    args_override_self = true,
    max_term_width = 100
)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are flags of a command line"
)]
pub(crate) struct Args {
    /// Listen here for control connections; port 0: any free port, told on standard output.
    #[arg(
        short = 'C',
        long,
        value_name = "URL",
        default_value = "tcp://0.0.0.0:5342"
    )]
    pub(crate) control_port: ListenUrl,

    /// Listen here for data connections; port 0 as above.
    #[arg(
        short = 'D',
        long,
        value_name = "URL",
        default_value = "tcp://0.0.0.0:5343"
    )]
    pub(crate) data_port: ListenUrl,

    /// Where live viewers would connect; accepted, but viewers are not served yet.
    #[arg(
        short = 'L',
        long,
        value_name = "URL",
        default_value = "tcp://localhost:5344"
    )]
    pub(crate) live_port: ListenUrl,

    /// Write traces below this directory, an absolute path [default: $LTTNG_HOME/lttng-traces or
    /// $HOME/lttng-traces].
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,

    /// Begin each trace's path with the host name (default).
    #[arg(short = 'p', long, conflicts_with = "group_output_by_session")]
    pub(crate) group_output_by_host: bool,

    /// Begin each trace's path with the session name.
    #[arg(short = 's', long)]
    pub(crate) group_output_by_session: bool,

    /// Work in this directory; does not change where traces go.
    #[arg(short, long, value_name = "PATH")]
    pub(crate) working_directory: Option<PathBuf>,

    /// Do not let anybody clear (delete) what was received.
    #[arg(short = 'x', long)]
    pub(crate) disallow_clear: bool,

    /// Run in the background, with standard streams closed; returns when connections are accepted.
    #[arg(short, long, conflicts_with = "background")]
    pub(crate) daemonize: bool,

    /// Run in the background, with standard streams kept; returns when connections are accepted.
    #[arg(short, long)]
    pub(crate) background: bool,

    /// The group that may ask the daemon for its health (accepted; there is no health socket yet).
    #[arg(short, long, value_name = "NAME", default_value = "tracing")]
    pub(crate) group: String,

    /// At most so many open files [default: the limit of the system, which is raised].
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(100..))]
    pub(crate) fd_pool_size: Option<u32>,

    /// A configuration file (accepted for compatibility; not read yet).
    #[arg(short = 'f', long, value_name = "PATH")]
    pub(crate) config: Option<PathBuf>,

    /// Write the process id into this file; it is removed at the end.
    #[arg(short = 'P', long, value_name = "PATH")]
    pub(crate) pid_file: Option<PathBuf>,

    /// Write the ports listened on into this file, as `control=PORT` and `data=PORT`.
    #[arg(long, value_name = "PATH")]
    pub(crate) port_file: Option<PathBuf>,

    /// Say more; up to three times.
    #[arg(short, long, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Print the version.
    #[arg(short = 'V', long)]
    pub(crate) version: bool,
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
        assert!(args.background && args.group_output_by_session && args.disallow_clear);
        assert_eq!(args.verbose, 3);
        assert!(Args::try_parse_from(["lttng-relayd", "-s", "-p"]).is_err());
        assert!(Args::try_parse_from(["lttng-relayd", "--fd-pool-size=99"]).is_err());
    }
}
