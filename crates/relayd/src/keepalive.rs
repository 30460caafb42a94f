//! TCP keep-alive on accepted connections.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

use rustix::net::sockopt;

use crate::args::Args;

/// What to set on accepted sockets; what is not given stays as the system has it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KeepAlive {
    enabled: bool,
    idle_s: Option<u32>,
    interval_s: Option<u32>,
    count: Option<u32>,
}

impl KeepAlive {
    /// Viewers say nothing while nothing happens, and those that vanished must not stay for ever.
    pub(crate) const OF_VIEWERS: Self = Self {
        enabled: true,
        idle_s: Some(60),
        interval_s: Some(15),
        count: Some(4),
    };

    pub(crate) fn new(args: &Args) -> Self {
        // -1 is the system's setting.
        let given = |value: Option<i32>| value.and_then(|value| u32::try_from(value).ok());
        Self {
            enabled: args.tcp_keep_alive.unwrap_or(false),
            idle_s: given(args.tcp_keep_alive_idle_time),
            interval_s: given(args.tcp_keep_alive_probe_interval),
            count: given(args.tcp_keep_alive_max_probe_count),
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
