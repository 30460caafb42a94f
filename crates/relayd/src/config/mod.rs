//! Where options come from: configuration files, the environment, the command line. Each gives a set of
//! [`Args`]; the later ones are stronger.

mod keys;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use places::home_directory;

use crate::args::Args;

/// All options there are, and what is odd about them but no reason to stop.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) args: Args,
    pub(crate) warnings: Vec<String>,
}

/// Adds what the files and the environment say to the command line.
pub(crate) fn complete(command_line: Args) -> anyhow::Result<Found> {
    let home = home_directory();
    let named = command_line.config.as_deref();
    let mut args = Args::default();
    for file in daemon_config::read(&keys::section(), home.as_deref(), named)? {
        let from_file = keys::parse(file.words)
            .with_context(|| format!("configuration file {}", file.path.display()))?;
        args = from_file.over(args);
    }
    let (environment, warnings) = environment(std::env::vars_os())?;
    args = command_line.over(environment.over(args));
    Ok(Found { args, warnings })
}

/// Options in variables `LTTNG_RELAYD_…`.
fn environment(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> anyhow::Result<(Args, Vec<String>)> {
    let section = keys::section();
    let mut args = Args::default();
    let mut warnings = Vec::new();
    for (name, value) in variables {
        let Some(name) = name.to_str() else { continue };
        if !keys::is_of_relayd(name) {
            continue;
        }
        let key = match keys::of_variable(&section, name) {
            Ok(key) => key,
            Err(unknown) => {
                // Perhaps of a newer program: no reason not to start.
                warnings.push(format!("variable {name}: {unknown}"));
                continue;
            }
        };
        let parsed = value
            .to_str()
            .context("it is no UTF-8")
            .and_then(|value| Ok(section.option(&key, value)?))
            .and_then(keys::parse);
        match parsed {
            Ok(one) => args = one.over(args),
            // As stock does.
            Err(error) if key.starts_with("tcp-keep-alive") => {
                warnings.push(format!("variable {name} is ignored: {error:#}"));
            }
            Err(error) => bail!("variable {name}: {error:#}"),
        }
    }
    Ok((args, warnings))
}

/// A path given by the user, before the daemon changes its directory.
pub(crate) fn from_here(path: Option<&Path>) -> anyhow::Result<Option<PathBuf>> {
    path.map(|path| std::path::absolute(path).context("cannot find out the current directory"))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_text(text: &str) -> anyhow::Result<Args> {
        keys::parse(keys::section().words(text)?)
    }

    fn vars(vars: &[(&str, &str)]) -> anyhow::Result<(Args, Vec<String>)> {
        environment(vars.iter().map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn files_speak_in_long_options() {
        let args = from_text(
            "[relayd]\noutput=/x\nverbose=3\ngroup-output-by-session=yes\ndaemonize=no\n\
             fd-pool-size=200\nhelp=yes\nversion=1\nconfig=/other\n",
        );
        let args = args.unwrap();
        assert_eq!(args.output.as_deref(), Some(Path::new("/x")));
        assert_eq!(args.verbose, 3);
        assert_eq!(args.group_output_by_session, Some(true));
        assert_eq!(args.daemonize, Some(false));
        assert_eq!(args.fd_pool_size, Some(200));
        assert!(!args.version && args.config.is_none());
    }

    #[test]
    fn mistakes_in_files_are_told_with_their_line() {
        for (text, says) in [
            (
                "[relayd]\noutputs=/x\n",
                "line 2, `outputs`: no such option; did you mean `output`?",
            ),
            ("[relayd]\n\ndisallow-clear=maybe\n", "say yes or no"),
            ("[relayd]\nfd-pool-size=7\n", "7"),
            ("[relayd]\ncontrol-port=what\n", "what"),
        ] {
            let error = format!("{:#}", from_text(text).unwrap_err());
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn the_environment_has_all_options_and_the_names_of_stock() {
        let (args, warnings) = vars(&[
            ("LTTNG_RELAYD_DISALLOW_CLEAR", "1"),
            ("LTTNG_RELAYD_WORKING_DIRECTORY", "/w"),
            ("LTTNG_RELAYD_CONTROL_PORT", "tcp://127.0.0.1:1"),
            ("LTTNG_RELAYD_TCP_KEEP_ALIVE", "on"),
            ("LTTNG_RELAYD_TCP_KEEP_ALIVE_IDLE_TIME", "soon"),
            ("LTTNG_RELAYD_TCP_KEEP_ALIVE_PROBE_INTERVAL", "5"),
            ("LTTNG_RELAYD_DISALOW_CLEAR", "1"),
            ("LTTNG_HOME", "/h"),
        ])
        .unwrap();
        assert_eq!(args.disallow_clear, Some(true));
        assert_eq!(args.working_directory.as_deref(), Some(Path::new("/w")));
        assert!(args.control_port.is_some());
        assert_eq!(args.tcp_keep_alive, Some(true));
        assert_eq!(args.tcp_keep_alive_idle_time, None);
        assert_eq!(args.tcp_keep_alive_probe_interval, Some(5));
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(
            warnings
                .iter()
                .any(|warning| warning.contains("LTTNG_RELAYD_DISALLOW_CLEAR")),
            "{warnings:?}"
        );
        assert!(vars(&[("LTTNG_RELAYD_DISALLOW_CLEAR", "maybe")]).is_err());
    }
}
