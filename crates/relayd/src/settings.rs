//! Arguments and environment, resolved and checked.

use std::path::{Path, PathBuf, absolute};

use anyhow::{Context, bail};
use relay::server::layout::Grouping;

use crate::args::Args;
use crate::keepalive::is_true;

/// What the daemon works with.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) output: PathBuf,
    pub(crate) grouping: Grouping,
    pub(crate) clear_allowed: bool,
    pub(crate) pid_file: Option<PathBuf>,
    pub(crate) port_file: Option<PathBuf>,
    working_directory: Option<PathBuf>,
}

impl Settings {
    pub(crate) fn new(args: &Args) -> anyhow::Result<Self> {
        Ok(Self {
            output: output(args.output.as_deref())?,
            grouping: match args.group_output_by_session {
                true => Grouping::BySession,
                false => Grouping::ByHost,
            },
            clear_allowed: !args.disallow_clear && !clear_disallowed_by_environment()?,
            pid_file: from_here(args.pid_file.as_deref())?,
            port_file: from_here(args.port_file.as_deref())?,
            working_directory: args
                .working_directory
                .clone()
                .or_else(|| std::env::var_os("LTTNG_RELAYD_WORKING_DIRECTORY").map(PathBuf::from)),
        })
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
    let home = std::env::var_os("LTTNG_HOME")
        .or_else(|| std::env::var_os("HOME"))
        .context("neither LTTNG_HOME nor HOME is set: give the output directory with --output")?;
    Ok(PathBuf::from(home).join("lttng-traces"))
}

fn clear_disallowed_by_environment() -> anyhow::Result<bool> {
    const VARIABLE: &str = "LTTNG_RELAYD_DISALLOW_CLEAR";
    match std::env::var(VARIABLE) {
        Ok(value) => is_true(&value).with_context(|| {
            format!("{VARIABLE} is `{value}`; it must be a boolean, for instance 1")
        }),
        Err(_) => Ok(false),
    }
}

fn from_here(path: Option<&Path>) -> anyhow::Result<Option<PathBuf>> {
    path.map(|path| absolute(path).context("cannot find out the current directory"))
        .transpose()
}
