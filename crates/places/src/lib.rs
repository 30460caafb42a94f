//! Where LTTng's programs keep their files, and the users and groups whose they are. The daemons and the
//! command agree on it here.

#![forbid(unsafe_code)]

use std::env;
use std::fs;
use std::path::PathBuf;

/// Run directory of root's daemons.
pub const SYSTEM_RUN_DIRECTORY: &str = "/var/run/lttng";
const USERS: &str = "/etc/passwd";
const GROUPS: &str = "/etc/group";

/// Home directory for LTTng's files: `LTTNG_HOME`, else `HOME`, else the one in `/etc/passwd`. An empty
/// `LTTNG_HOME` is taken literally, as upstream does.
pub fn home_directory() -> Option<PathBuf> {
    env::var_os("LTTNG_HOME")
        .or_else(|| env::var_os("HOME"))
        .map(PathBuf::from)
        .or_else(|| {
            let users = fs::read_to_string(USERS).ok()?;
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

/// The run directory that `LTTNG_RUNDIR` names, for root too, as upstream does since 2.14.
pub fn named_run_directory() -> Option<PathBuf> {
    let named = env::var_os("LTTNG_RUNDIR");
    named.filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The run directory of the daemons of this process's user.
pub fn run_directory() -> Option<PathBuf> {
    named_run_directory().or_else(|| match rustix::process::geteuid().is_root() {
        true => Some(PathBuf::from(SYSTEM_RUN_DIRECTORY)),
        false => home_directory().map(|home| home.join(".lttng")),
    })
}

/// Whether one of the process's supplementary groups has this name. Reads `/etc/group`, as the C library
/// does with the usual configuration, without loading name service modules.
pub fn in_group(name: &str) -> bool {
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
    id_in(USERS, name)
}

/// The id of a group in `/etc/group`, `None` if it is not there.
pub fn group_id(name: &str) -> Option<u32> {
    id_in(GROUPS, name)
}

/// Both files have the name first and the id third.
fn id_in(file: &str, name: &str) -> Option<u32> {
    let text = fs::read_to_string(file).ok()?;
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
}
