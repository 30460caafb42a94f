//! TCP keep-alive, set by the environment as for stock relay daemons.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

use rustix::net::sockopt;

/// What to set on accepted sockets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KeepAlive {
    enabled: bool,
    idle_s: Option<u32>,
    interval_s: Option<u32>,
    count: Option<u32>,
}

impl KeepAlive {
    pub(crate) fn from_environment() -> Self {
        Self {
            enabled: variable("").is_some_and(|value| is_true(&value).unwrap_or(false)),
            idle_s: number("_IDLE_TIME"),
            interval_s: number("_PROBE_INTERVAL"),
            count: number("_MAX_PROBE_COUNT"),
        }
    }

    pub(crate) fn apply(&self, socket: &TcpStream) -> io::Result<()> {
        if !self.enabled {
            return Ok(());
        }
        sockopt::set_socket_keepalive(socket, true)?;
        if let Some(idle) = self.idle_s {
            sockopt::set_tcp_keepidle(socket, Duration::from_secs(idle.into()))?;
        }
        if let Some(interval) = self.interval_s {
            sockopt::set_tcp_keepintvl(socket, Duration::from_secs(interval.into()))?;
        }
        if let Some(count) = self.count {
            sockopt::set_tcp_keepcnt(socket, count)?;
        }
        Ok(())
    }
}

fn variable(suffix: &str) -> Option<String> {
    std::env::var(format!("LTTNG_RELAYD_TCP_KEEP_ALIVE{suffix}")).ok()
}

/// -1 is the system's default; a bad value is told, then ignored, as stock does.
fn number(suffix: &str) -> Option<u32> {
    let value = variable(suffix)?;
    if value == "-1" {
        return None;
    }
    let number = value.parse().ok().filter(|number| *number > 0);
    if number.is_none() {
        tracing::warn!(
            "LTTNG_RELAYD_TCP_KEEP_ALIVE{suffix} is `{value}`, which is no number; ignored"
        );
    }
    number
}

/// How LTTng spells booleans: yes, true, on, a number that is not 0, and their opposites.
pub(crate) fn is_true(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" => Some(true),
        "no" | "false" | "off" => Some(false),
        other => other.parse::<u64>().ok().map(|number| number != 0),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn booleans_as_lttng_spells_them() {
        assert_eq!(super::is_true("on"), Some(true));
        assert_eq!(super::is_true("2"), Some(true));
        assert_eq!(super::is_true("0"), Some(false));
        assert_eq!(super::is_true("maybe"), None);
    }
}
