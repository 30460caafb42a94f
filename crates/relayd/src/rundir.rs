//! The directory for what exists while the daemon runs: sockets and port files.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use rustix::fs::{Gid, chown};

/// Who may use the sockets, unless told otherwise. Many systems do without it.
pub(crate) const TRACING_GROUP: &str = "tracing";
/// Mode of the directory and of those made above it.
const MODE: u32 = 0o755;
/// Mode of sockets: the daemon's user, and the tracing group.
const SOCKET_MODE: u32 = 0o660;

/// Where stock relay daemons have theirs: `$LTTNG_RUNDIR/relayd`, `/var/run/lttng/relayd` of root,
/// `$LTTNG_HOME/.lttng/relayd` (or `$HOME/…`) of others.
pub(crate) fn path() -> Option<PathBuf> {
    Some(places::run_directory()?.join("relayd"))
}

/// Where the system's daemon has its own.
pub(crate) fn system() -> PathBuf {
    Path::new(places::SYSTEM_RUN_DIRECTORY).join("relayd")
}

/// Makes the directory; that it is there already is fine.
pub(crate) fn create(path: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(MODE)
        .create(path)
        .with_context(|| format!("cannot create the run directory {}", path.display()))
}

/// Gives a socket to the tracing group, when this is root and the group exists.
pub(crate) fn open_to_group(socket: &Path, group: &str) -> io::Result<()> {
    if let Some(gid) = is_root().then(|| places::group_id(group)).flatten() {
        chown(socket, None, Some(Gid::from_raw(gid)))?;
    }
    fs::set_permissions(socket, Permissions::from_mode(SOCKET_MODE))
}

/// Tells when a group that was named does not exist.
pub(crate) fn warn_without_group(name: &str) {
    if is_root() && name != TRACING_GROUP && places::group_id(name).is_none() {
        tracing::warn!("there is no group `{name}`: only root may ask for health and status");
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A file that goes away with the daemon.
#[derive(Debug)]
pub(crate) struct Temporary(PathBuf);

impl Temporary {
    /// The file is there already.
    pub(crate) fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes it.
    pub(crate) fn write(path: &Path, text: &str) -> anyhow::Result<Self> {
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
