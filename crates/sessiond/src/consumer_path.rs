//! Which consumer daemon to start.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::options::Options;

/// In the version of our consumer daemon, and not in that of stock's.
const OURS: &str = "lttng-rs";

/// `--consumerd-path`, else `--consumerd64-path` if that is ours, else the one beside this program.
pub(crate) fn consumer_path(options: &Options) -> anyhow::Result<PathBuf> {
    if let Some(path) = &options.consumerd_path {
        let version = version(path)?;
        ensure!(
            version.contains(OURS),
            "--consumerd-path: {} is no consumer daemon of lttng-rs: its version is `{}`",
            path.display(),
            version.lines().next().unwrap_or_default()
        );
        return Ok(path.clone());
    }
    let own = std::env::current_exe().context("cannot find this program's own path")?;
    let beside = own.with_file_name("lttng-consumerd");
    let Some(path) = &options.consumerd64_path else {
        return Ok(beside);
    };
    // It is in the configuration of systems that had stock's daemons.
    match version(path) {
        Ok(version) if version.contains(OURS) => Ok(path.clone()),
        Ok(_) => {
            tracing::warn!(
                "{} is no consumer daemon of lttng-rs: {} is used",
                path.display(),
                beside.display()
            );
            Ok(beside)
        }
        Err(error) => {
            tracing::warn!("{error:#}: {} is used", beside.display());
            Ok(beside)
        }
    }
}

/// What the program says its version is.
fn version(path: &Path) -> anyhow::Result<String> {
    let output = Command::new(path)
        .arg("--version")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .with_context(|| format!("cannot run the consumer daemon {}", path.display()))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
