//! The directory for what exists while the daemon runs: sockets and port files.

use std::env;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use rustix::fs::{Gid, chown};

const SYSTEM: &str = "/var/run/lttng";
/// Mode of the directory and of those made above it.
const MODE: u32 = 0o755;
/// Mode of sockets: the daemon's user, and the tracing group.
const SOCKET_MODE: u32 = 0o660;

/// `LTTNG_HOME`, else `HOME`.
pub(crate) fn home_directory() -> Option<PathBuf> {
    env::var_os("LTTNG_HOME")
        .or_else(|| env::var_os("HOME"))
        .map(PathBuf::from)
}

/// Where stock relay daemons have theirs: `$LTTNG_RUNDIR/relayd`, `/var/run/lttng/relayd` of root,
/// `$LTTNG_HOME/.lttng/relayd` (or `$HOME/…`) of others.
pub(crate) fn path() -> Option<PathBuf> {
    let base = match env::var_os("LTTNG_RUNDIR") {
        Some(given) => PathBuf::from(given),
        None if is_root() => PathBuf::from(SYSTEM),
        None => home_directory()?.join(".lttng"),
    };
    Some(base.join("relayd"))
}

/// Where the system's daemon has its own.
pub(crate) fn system() -> PathBuf {
    Path::new(SYSTEM).join("relayd")
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
    if let Some(gid) = is_root().then(|| group_id(group)).flatten() {
        chown(socket, None, Some(Gid::from_raw(gid)))?;
    }
    fs::set_permissions(socket, Permissions::from_mode(SOCKET_MODE))
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// From `/etc/group`, `None` if it is not there.
fn group_id(name: &str) -> Option<u32> {
    let text = fs::read_to_string("/etc/group").ok()?;
    text.lines().find_map(|line| {
        let mut parts = line.split(':');
        (parts.next() == Some(name))
            .then(|| parts.nth(1)?.parse().ok())
            .flatten()
    })
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
