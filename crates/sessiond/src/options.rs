//! The command line of the session daemon, as stock's.

use std::path::PathBuf;

use clap::{ArgAction, Parser};

/// The LTTng session daemon: manages recording sessions and the applications traced in them.
#[derive(Clone, Debug, Parser)]
#[command(name = "lttng-sessiond", disable_version_flag = true)]
pub(crate) struct Options {
    /// Start as a daemon, keeping the console; return when it is ready
    #[arg(short, long)]
    pub background: bool,

    /// Start as a daemon, closing the console; return when it is ready
    #[arg(short, long)]
    pub daemonize: bool,

    /// Send SIGUSR1 to the parent process when ready
    #[arg(short = 'S', long)]
    pub sig_parent: bool,

    /// Users of this group may control a daemon that runs as root
    #[arg(short, long, default_value = "tracing")]
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
    #[arg(
        long,
        alias = "consumerd64-path",
        env = "LTTNG_CONSUMERD64_BIN",
        value_name = "PATH"
    )]
    pub consumerd_path: Option<PathBuf>,

    /// Load the sessions of this file or directory [default: all of $LTTNG_HOME/.lttng/sessions/auto (or $HOME) and
    /// /etc/lttng/sessions/auto, if they are this user's]
    #[arg(short, long, value_name = "PATH")]
    pub load: Option<PathBuf>,

    /// Without the kernel domain
    #[arg(long)]
    pub no_kernel: bool,

    /// More messages; up to three times
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,

    /// All messages of the consumer daemons
    #[arg(long)]
    pub verbose_consumer: bool,

    /// No messages, not even errors
    #[arg(short, long)]
    pub quiet: bool,

    /// Print the version and exit
    #[arg(short = 'V', long)]
    pub version: bool,

    /// This process was started by `--background` or `--daemonize`
    #[arg(long, hide = true)]
    pub background_copy: bool,
}
