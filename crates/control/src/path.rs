//! Where the control socket is.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use places::{SYSTEM_RUN_DIRECTORY, home_directory, in_group, named_run_directory};

/// File name of the control socket in the daemon's run directory.
pub const CONTROL_SOCKET: &str = "control.sock";

/// File name of the socket in the run directory that answers whether the daemon is well.
pub const HEALTH_SOCKET: &str = "sessiond-health";

/// The same for consumer daemons, in directories of their own below it.
pub const CONSUMER_HEALTH: &str = "health";

/// Run directories of the session daemons that this process may talk to, in the order in which they are tried.
/// Upstream's rule: root talks to the system daemon; a member of the tracing group to the system daemon if that
/// answers, else to the user's own; everybody else to the user's own; `LTTNG_RUNDIR` names the only one.
pub fn run_directories_for_this_user(tracing_group: &str) -> Vec<PathBuf> {
    if let Some(named) = named_run_directory() {
        return vec![named];
    }
    let system = PathBuf::from(SYSTEM_RUN_DIRECTORY);
    if rustix::process::getuid().is_root() {
        return vec![system];
    }
    let mut directories = Vec::new();
    if in_group(tracing_group) && UnixStream::connect(system.join(CONTROL_SOCKET)).is_ok() {
        directories.push(system);
    }
    directories.extend(home_directory().map(|home| home.join(".lttng")));
    directories
}

/// The control sockets to try, in order.
#[derive(Clone, Debug)]
pub struct SocketPath {
    candidates: Vec<PathBuf>,
}

impl SocketPath {
    /// Those of [`run_directories_for_this_user`].
    pub fn for_this_user(tracing_group: &str) -> Self {
        let directories = run_directories_for_this_user(tracing_group).into_iter();
        let candidates = directories.map(|directory| directory.join(CONTROL_SOCKET));
        Self {
            candidates: candidates.collect(),
        }
    }

    /// Exactly this socket.
    pub fn exactly(path: impl Into<PathBuf>) -> Self {
        Self {
            candidates: vec![path.into()],
        }
    }

    /// The sockets to try, in order; empty if no home directory is known.
    pub fn candidates(&self) -> &[PathBuf] {
        &self.candidates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exact_path_is_the_only_candidate() {
        assert_eq!(
            SocketPath::exactly("/a/b").candidates(),
            [PathBuf::from("/a/b")]
        );
    }
}
