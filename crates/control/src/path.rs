//! Where the control socket is.

use std::env;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

/// File name of the control socket in the daemon's run directory.
pub const CONTROL_SOCKET: &str = "control.sock";

/// File name of the socket in the run directory that answers whether the daemon is well.
pub const HEALTH_SOCKET: &str = "sessiond-health";

/// The same for consumer daemons, in directories of their own below it.
pub const CONSUMER_HEALTH: &str = "health";

/// Run directory of the root session daemon.
const SYSTEM_RUN_DIRECTORY: &str = "/var/run/lttng";

/// Home directory for LTTng's files: `LTTNG_HOME`, else `HOME`, else the one in `/etc/passwd`. An empty
/// `LTTNG_HOME` is taken literally, as upstream does.
pub fn home_directory() -> Option<PathBuf> {
    env::var_os("LTTNG_HOME")
        .or_else(|| env::var_os("HOME"))
        .map(PathBuf::from)
        .or_else(|| {
            let users = std::fs::read_to_string("/etc/passwd").ok()?;
            home_of(&users, rustix::process::getuid().as_raw())
        })
}

/// The home directory of a user in the text of `/etc/passwd`.
fn home_of(users: &str, uid: u32) -> Option<PathBuf> {
    users.lines().find_map(|line| {
        let mut parts = line.split(':').skip(2);
        let this = parts.next()?.parse() == Ok(uid);
        this.then(|| parts.nth(2).map(PathBuf::from)).flatten()
    })
}

/// The run directory of a session daemon that runs as this process's user.
pub fn run_directory() -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Some(PathBuf::from(SYSTEM_RUN_DIRECTORY));
    }
    home_directory().map(|home| home.join(".lttng"))
}

/// Run directories of the session daemons that this process may talk to, in the order in which they are tried.
/// Upstream's rule: root talks to the system daemon; a member of the tracing group to the system daemon if that
/// answers, else to the user's own; everybody else to the user's own.
pub fn run_directories_for_this_user(tracing_group: &str) -> Vec<PathBuf> {
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

/// Whether one of the process's supplementary groups has this name. Reads `/etc/group`, as the C library
/// does with the usual configuration, without loading name service modules.
fn in_group(name: &str) -> bool {
    let Ok(groups) = rustix::process::getgroups() else {
        return false;
    };
    let Some(wanted) = group_id(name) else {
        return false;
    };
    groups.iter().any(|group| group.as_raw() == wanted)
}

/// The id of a user in `/etc/passwd`, `None` if it is not there.
pub fn user_id(name: &str) -> Option<u32> {
    id_in("/etc/passwd", name)
}

/// The id of a group in `/etc/group`, `None` if it is not there.
pub fn group_id(name: &str) -> Option<u32> {
    id_in("/etc/group", name)
}

/// Both files have the name first and the id third.
fn id_in(file: &str, name: &str) -> Option<u32> {
    let text = std::fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| {
        let mut parts = line.split(':');
        (parts.next() == Some(name))
            .then(|| parts.nth(1)?.parse().ok())
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_in_both_files() {
        assert_eq!(user_id("root"), Some(0));
        assert_eq!(user_id("no-such-user-name"), None);
        assert_eq!(group_id("root"), Some(0));
        assert_eq!(group_id("no-such-group-name"), None);
    }

    #[test]
    fn the_password_file_has_homes() {
        let users = "root:x:0:0:root:/root:/bin/sh\n\nbad\nme:x:1000:1000::/home/me:/bin/sh\n";
        assert_eq!(home_of(users, 1000), Some(PathBuf::from("/home/me")));
        assert_eq!(home_of(users, 0), Some(PathBuf::from("/root")));
        assert_eq!(home_of(users, 5), None);
    }

    #[test]
    fn an_exact_path_is_the_only_candidate() {
        assert_eq!(
            SocketPath::exactly("/a/b").candidates(),
            [PathBuf::from("/a/b")]
        );
    }
}
