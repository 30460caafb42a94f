//! Short forms of the messages that programs write most.

use crate::v1::{
    CreateSessionRequest, DestroySessionRequest, Domain, EnableEventRequest, EventRule,
    GetSessionRequest, NoOutput, Output, RelayOutput, StartSessionRequest, StopSessionRequest,
    output::Kind,
};
use places::home_directory;

/// TCP port of a relay daemon's control connection when none is given.
pub const DEFAULT_CONTROL_PORT: u16 = 5342;
/// TCP port of a relay daemon's data connection when none is given.
pub const DEFAULT_DATA_PORT: u16 = 5343;

impl Output {
    /// Nothing leaves the buffers.
    pub fn none() -> Self {
        Kind::None(NoOutput {}).into()
    }

    /// A local directory; must be absolute.
    pub fn local(path: impl Into<String>) -> Self {
        Kind::LocalPath(path.into()).into()
    }

    /// A relay daemon at `address` (literal or host name) on the default ports.
    pub fn relay(address: impl Into<String>) -> Self {
        Self::relay_on(address, DEFAULT_CONTROL_PORT, DEFAULT_DATA_PORT)
    }

    /// A relay daemon at `address` (literal or host name) on these ports.
    pub fn relay_on(address: impl Into<String>, control_port: u16, data_port: u16) -> Self {
        let address = address.into();
        let ipv6 = address.parse::<std::net::Ipv6Addr>().is_ok();
        Kind::Relay(RelayOutput {
            address,
            control_port: control_port.into(),
            data_port: data_port.into(),
            base_path: String::new(),
            ipv6,
        })
        .into()
    }
}

impl From<Kind> for Output {
    fn from(kind: Kind) -> Self {
        Self { kind: Some(kind) }
    }
}

impl CreateSessionRequest {
    /// A session `name` (empty: the daemon chooses one) that goes to `output`.
    pub fn new(name: impl Into<String>, output: Output) -> Self {
        Self {
            output: Some(output),
            ..Self::in_home(name)
        }
    }

    /// A session that goes to the default directory below this user's home.
    pub fn in_home(name: impl Into<String>) -> Self {
        let home = home_directory().unwrap_or_default();
        Self {
            name: name.into(),
            home: home.to_string_lossy().into_owned(),
            ..Self::default()
        }
    }
}

impl EnableEventRequest {
    /// The user space tracepoints that match `pattern`, into the session's default channel.
    pub fn ust(session: impl Into<String>, pattern: impl Into<String>) -> Self {
        Self {
            session: session.into(),
            domain: Domain::Ust.into(),
            channel: String::new(),
            rule: Some(EventRule {
                name: pattern.into(),
                log_level: -1,
                ..Default::default()
            }),
        }
    }
}

impl StartSessionRequest {
    /// Starts `session`.
    pub fn of(session: impl Into<String>) -> Self {
        Self {
            name: session.into(),
        }
    }
}

impl StopSessionRequest {
    /// Stops `session` and waits for its data.
    pub fn of(session: impl Into<String>) -> Self {
        Self {
            name: session.into(),
            no_wait: false,
        }
    }
}

impl DestroySessionRequest {
    /// Destroys `session` and waits for its data.
    pub fn of(session: impl Into<String>) -> Self {
        Self {
            name: session.into(),
            no_wait: false,
        }
    }
}

impl GetSessionRequest {
    /// Asks about `session`.
    pub fn of(session: impl Into<String>) -> Self {
        Self {
            name: session.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_has_the_default_ports_and_its_family() {
        let Some(Kind::Relay(relay)) = Output::relay("fd00::1").kind else {
            panic!()
        };
        assert_eq!((relay.control_port, relay.data_port), (5342, 5343));
        assert!(relay.ipv6);
    }
}
