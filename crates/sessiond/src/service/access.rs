//! Who may use the control API.

use std::fs;

use control::ErrorCode;
use tonic::transport::server::UdsConnectInfo;

use crate::daemon::Caller;
use crate::session::plan::Refusal;

/// The peer of a connection, from the socket's credentials.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connection {
    uid: u32,
    gid: u32,
    pid: Option<i32>,
}

impl Connection {
    /// From what the server keeps of each connection.
    pub(crate) fn of(info: &UdsConnectInfo) -> Option<Self> {
        let credentials = info.peer_cred?;
        Some(Self {
            uid: credentials.uid(),
            gid: credentials.gid(),
            pid: credentials.pid(),
        })
    }
}

/// Root, the daemon's own user and the tracing group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Access {
    /// User of the daemon.
    pub own_uid: u32,
    /// The tracing group, if it exists.
    pub tracing_gid: Option<u32>,
}

impl Access {
    /// The caller behind a connection, if it may use the API.
    pub(crate) fn check(&self, connection: Option<Connection>) -> Result<Caller, Refusal> {
        let Some(Connection { uid, gid, pid }) = connection else {
            let message = "the system does not tell who is at the other end of the connection";
            return Err(Refusal::new(ErrorCode::PERMISSION_DENIED, message));
        };
        let member = || {
            self.tracing_gid
                .is_some_and(|tracing| gid == tracing || has_group(pid, tracing))
        };
        if uid == 0 || uid == self.own_uid || member() {
            return Ok(Caller { uid, gid });
        }
        let message = format!(
            "user {uid} is neither root, nor user {}, nor in the tracing group",
            self.own_uid
        );
        Err(Refusal::new(ErrorCode::PERMISSION_DENIED, message))
    }
}

/// Whether the process has the group among its supplementary ones.
fn has_group(pid: Option<i32>, gid: u32) -> bool {
    let Some(pid) = pid else { return false };
    let Ok(text) = fs::read_to_string(format!("/proc/{pid}/status")) else {
        return false;
    };
    let groups = text.lines().find_map(|line| line.strip_prefix("Groups:"));
    groups.is_some_and(|list| {
        list.split_whitespace()
            .any(|group| group.parse() == Ok(gid))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCESS: Access = Access {
        own_uid: 1000,
        tracing_gid: Some(120),
    };

    #[test]
    fn root_the_own_user_and_the_group_may() {
        for (uid, gid) in [(0, 0), (1000, 1000), (1001, 120)] {
            assert!(
                ACCESS
                    .check(Some(Connection {
                        uid,
                        gid,
                        pid: None
                    }))
                    .is_ok()
            );
        }
    }

    #[test]
    fn others_may_not() {
        let stranger = Connection {
            uid: 1001,
            gid: 1001,
            pid: None,
        };
        assert!(ACCESS.check(Some(stranger)).is_err());
        assert!(ACCESS.check(None).is_err());
    }
}
