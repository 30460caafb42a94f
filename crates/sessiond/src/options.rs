//! The options of the session daemon, as stock's, from the command line and from configuration files.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Context;
use clap::{ArgAction, ArgMatches, CommandFactory, FromArgMatches, Parser};
use daemon_config::{Section, boolean, first_line};

/// Many systems do without it.
pub(crate) const TRACING_GROUP: &str = "tracing";
/// Options that mean something on the command line only; in files they are skipped, as stock does.
const COMMAND_LINE_ONLY: [&str; 3] = ["help", "config", "version"];

/// The LTTng session daemon: manages recording sessions and the applications traced in them.
///
/// Every long option can also be set in section [sessiond] of a configuration file (`no-kernel=yes`). The command
/// line has the last word, before it --config, `$LTTNG_HOME/.lttng/lttng.conf` (or `$HOME/…`) and
/// `/etc/lttng/lttng.conf`.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "lttng-sessiond",
    disable_version_flag = true,
    args_override_self = true,
    infer_long_args = true,
    max_term_width = 100
)]
pub(crate) struct Options {
    /// Start as a daemon, keeping the console; return when it is ready
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_value_t = false,
        default_missing_value = "yes", value_parser = boolean, value_name = "BOOL")]
    pub background: bool,

    /// Start as a daemon, closing the console; return when it is ready
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_value_t = false,
        default_missing_value = "yes", value_parser = boolean, value_name = "BOOL")]
    pub daemonize: bool,

    /// Send SIGUSR1 to the parent process when ready
    #[arg(short = 'S', long, num_args = 0..=1, require_equals = true, default_value_t = false,
        default_missing_value = "yes", value_parser = boolean, value_name = "BOOL")]
    pub sig_parent: bool,

    /// Configure the daemon by this file too
    #[arg(short = 'f', long, value_name = "PATH")]
    pub config: Option<PathBuf>,

    /// Users of this group may control a daemon that runs as root
    #[arg(short, long, default_value = TRACING_GROUP)]
    pub group: String,

    /// Directory of sockets and of the pid file [default: /var/run/lttng as root, else
    /// $LTTNG_HOME/.lttng or $HOME/.lttng]
    #[arg(long, value_name = "PATH")]
    pub rundir: Option<PathBuf>,

    /// Socket of the control API [default: RUNDIR/control.sock]
    #[arg(short, long, value_name = "PATH")]
    pub client_sock: Option<PathBuf>,

    /// Socket on which applications register [default: RUNDIR/lttng-ust-sock-8]
    #[arg(short, long, value_name = "PATH")]
    pub apps_sock: Option<PathBuf>,

    /// File to write the process id to [default: RUNDIR/lttng-sessiond.pid]
    #[arg(short, long, value_name = "PATH")]
    pub pidfile: Option<PathBuf>,

    /// Consumer daemon to start for each session [default: the lttng-consumerd beside this program]
    #[arg(long, value_name = "PATH")]
    pub consumerd_path: Option<PathBuf>,

    /// The same by stock's name; passed over if it is stock's consumer daemon
    #[arg(long, env = "LTTNG_CONSUMERD64_BIN", value_name = "PATH")]
    pub consumerd64_path: Option<PathBuf>,

    /// Load the sessions of this file or directory [default: all of $LTTNG_HOME/.lttng/sessions/auto (or $HOME) and
    /// /etc/lttng/sessions/auto, if they are this user's]
    #[arg(short, long, value_name = "PATH")]
    pub load: Option<PathBuf>,

    /// Without the kernel domain
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false,
        default_missing_value = "yes", value_parser = boolean, value_name = "BOOL")]
    pub no_kernel: bool,

    /// More messages; up to three times
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,

    /// All messages of the consumer daemons
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false,
        default_missing_value = "yes", value_parser = boolean, value_name = "BOOL")]
    pub verbose_consumer: bool,

    /// No messages, not even errors
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_value_t = false,
        default_missing_value = "yes", value_parser = boolean, value_name = "BOOL")]
    pub quiet: bool,

    /// Print the version and exit
    #[arg(short = 'V', long)]
    pub version: bool,

    #[command(flatten)]
    unused: Unused,
}

/// Options of stock for parts that this daemon does not have.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Accepted, without effect")]
struct Unused {
    /// Agents of other languages are not there yet
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..65535))]
    agent_tcp_port: Option<u16>,
    /// 32-bit applications are not there yet
    #[arg(long, value_name = "PATH")]
    consumerd32_path: Option<PathBuf>,
    /// As above
    #[arg(long, value_name = "PATH")]
    consumerd32_libdir: Option<PathBuf>,
    /// The consumer daemon needs no libraries of ours
    #[arg(long, value_name = "PATH")]
    consumerd64_libdir: Option<PathBuf>,
    /// Triggers are not there yet
    #[arg(long, value_name = "SLOTS", value_parser = clap::value_parser!(u16).range(1..65535))]
    event_notifier_error_buffer_size_kernel: Option<u16>,
    /// As above
    #[arg(long, value_name = "SLOTS", value_parser = clap::value_parser!(u16).range(1..65535))]
    event_notifier_error_buffer_size_userspace: Option<u16>,
    /// The kernel is recorded without modules
    #[arg(long, value_name = "PROBES")]
    kmod_probes: Option<String>,
    /// As above
    #[arg(long, value_name = "PROBES")]
    extra_kmod_probes: Option<String>,
    /// Consumer daemons have no sockets in the file system
    #[arg(long, value_name = "PATH")]
    kconsumerd_err_sock: Option<PathBuf>,
    /// As above
    #[arg(long, value_name = "PATH")]
    kconsumerd_cmd_sock: Option<PathBuf>,
    /// As above
    #[arg(long, value_name = "PATH")]
    ustconsumerd32_err_sock: Option<PathBuf>,
    /// As above
    #[arg(long, value_name = "PATH")]
    ustconsumerd32_cmd_sock: Option<PathBuf>,
    /// As above
    #[arg(long, value_name = "PATH")]
    ustconsumerd64_err_sock: Option<PathBuf>,
    /// As above
    #[arg(long, value_name = "PATH")]
    ustconsumerd64_cmd_sock: Option<PathBuf>,
}

/// All options there are.
#[derive(Debug)]
pub(crate) struct Found {
    pub options: Options,
    /// Options that were given and do nothing, as the user knows them.
    pub without_effect: Vec<String>,
}

/// Why there are no options: what clap has to say on the command line, or a file that cannot be used.
#[derive(Debug)]
pub(crate) enum Refused {
    CommandLine(clap::Error),
    File(anyhow::Error),
}

/// The options of the command line, and what configuration files say where it says nothing.
pub(crate) fn find(arguments: Vec<OsString>) -> Result<Found, Refused> {
    // By itself first: its mistakes are no mistakes of the files.
    let line = Options::try_parse_from(&arguments).map_err(Refused::CommandLine)?;
    let mut words = arguments.into_iter();
    let mut all: Vec<OsString> = words.next().into_iter().collect();
    all.extend(from_files(&line).map_err(Refused::File)?);
    all.extend(words);
    let matches = Options::command().try_get_matches_from(all);
    let found = matches.and_then(|matches| {
        Ok(Found {
            without_effect: without_effect(&matches),
            options: Options::from_arg_matches(&matches)?,
        })
    });
    found.map_err(Refused::CommandLine)
}

fn from_files(line: &Options) -> anyhow::Result<Vec<OsString>> {
    let section = Section::new("sessiond", Options::command(), &COMMAND_LINE_ONLY);
    let home = places::home_directory();
    let mut all = Vec::new();
    for file in daemon_config::read(&section, home.as_deref(), line.config.as_deref())? {
        let alone = ["lttng-sessiond"]
            .into_iter()
            .chain(file.words.iter().map(String::as_str));
        Options::try_parse_from(alone)
            .map_err(|error| anyhow::anyhow!("{}", first_line(&error)))
            .with_context(|| format!("configuration file {}", file.path.display()))?;
        all.extend(file.words.into_iter().map(OsString::from));
    }
    Ok(all)
}

fn without_effect(matches: &ArgMatches) -> Vec<String> {
    let unused = <Unused as clap::Args>::augment_args(clap::Command::new("unused"));
    let given = unused.get_arguments().filter(|option| {
        matches.value_source(option.get_id().as_str())
            == Some(clap::parser::ValueSource::CommandLine)
    });
    given
        .filter_map(|option| Some(format!("--{}", option.get_long()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_sound() {
        Options::command().debug_assert();
    }

    #[test]
    fn the_command_line_is_stronger_than_a_file() {
        let directory =
            std::env::temp_dir().join(format!("sessiond-options-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let file = directory.join("lttng.conf");
        std::fs::write(
            &file,
            "[sessiond]\nno-kernel=yes\ngroup=file\nverbose=2\nkmod-probes=sched\ndaemonize=yes\n",
        )
        .unwrap();
        let words = [
            "lttng-sessiond",
            "--config",
            file.to_str().unwrap(),
            "--group=line",
            "--daemonize=no",
        ];
        let found = find(words.map(OsString::from).into()).unwrap();
        std::fs::remove_dir_all(&directory).unwrap();
        assert!(found.options.no_kernel && !found.options.daemonize);
        assert_eq!(found.options.group, "line");
        assert_eq!(found.options.verbose, 2);
        assert_eq!(found.without_effect, ["--kmod-probes"]);
    }
}
