//! Where to listen: `tcp://HOST:PORT`, as stock relay daemons take it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::str::FromStr;

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListenUrl {
    family: Family,
    host: String,
    /// 0: any free port.
    port: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

/// A URL nobody can listen on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UrlError {
    #[error("`{0}` is no URL; use for instance tcp://0.0.0.0:5342 or tcp6://[::1]:5342")]
    NoUrl(String),
    #[error("`{0}`: only tcp, tcp4, tcp6, net, net4 and net6 can be listened on")]
    Scheme(String),
    #[error("`{0}` is no port; 0 to 65535 are, 0 means any free one")]
    Port(String),
    #[error("`{0}` is no IPv6 address; write it in brackets")]
    Brackets(String),
    #[error("`{0}`: an IPv6 address needs tcp6, as in {1}")]
    Version(String, String),
}

impl FromStr for ListenUrl {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| UrlError::NoUrl(url.to_owned()))?;
        let family = match scheme.to_ascii_lowercase().as_str() {
            "tcp" | "tcp4" | "net" | "net4" => Family::V4,
            "tcp6" | "net6" => Family::V6,
            _ => return Err(UrlError::Scheme(scheme.to_owned())),
        };
        let authority = rest.split('/').next().unwrap_or(rest);
        let (host, port) = match authority.strip_prefix('[') {
            Some(bracketed) => {
                let (host, after) = bracketed
                    .split_once(']')
                    .ok_or_else(|| UrlError::Brackets(authority.to_owned()))?;
                if host.parse::<Ipv6Addr>().is_err() {
                    return Err(UrlError::Brackets(authority.to_owned()));
                }
                if family == Family::V4 {
                    return Err(UrlError::Version(url.to_owned(), format!("tcp6://{rest}")));
                }
                match after {
                    "" => (host, None),
                    _ => (host, Some(after.strip_prefix(':').unwrap_or(after))),
                }
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        if host.is_empty() {
            return Err(UrlError::NoUrl(url.to_owned()));
        }
        let port = match port {
            Some(port) => Some(port.parse().map_err(|_| UrlError::Port(port.to_owned()))?),
            None => None,
        };
        Ok(Self {
            family,
            host: host.to_owned(),
            port,
        })
    }
}

/// Why nothing listens.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    #[error("cannot find an address for `{host}`: {reason}")]
    Resolve {
        host: String,
        reason: std::io::Error,
    },
    #[error("`{host}` has no IPv{version} address")]
    NoAddress { host: String, version: u8 },
    #[error("cannot listen on {address}: {reason}{}", hint(reason))]
    Bind {
        address: SocketAddr,
        reason: std::io::Error,
    },
}

fn hint(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            "; another relay daemon may be running, choose other ports with --control-port, \
             --data-port and --live-port (port 0: any free one)"
        }
        _ => "",
    }
}

/// Connections that may wait to be accepted: thousands of targets may come back at once.
const BACKLOG: i32 = 4096;

impl ListenUrl {
    /// The system chooses the port.
    pub(crate) fn is_any_port(&self) -> bool {
        self.port == Some(0)
    }

    /// With this port, if none was given.
    pub(crate) fn or_port(self, port: u16) -> Self {
        Self {
            port: self.port.or(Some(port)),
            ..self
        }
    }

    /// Listens there.
    pub(crate) fn listen(&self) -> Result<TcpListener, ListenError> {
        let host = &self.host;
        let candidates = (host.as_str(), self.port.unwrap_or(0))
            .to_socket_addrs()
            .map_err(|reason| ListenError::Resolve {
                host: host.clone(),
                reason,
            })?;
        let (wanted, version) = match self.family {
            Family::V4 => (IpAddr::is_ipv4 as fn(&IpAddr) -> bool, 4),
            Family::V6 => (IpAddr::is_ipv6 as fn(&IpAddr) -> bool, 6),
        };
        let address = candidates
            .into_iter()
            .find(|address| wanted(&address.ip()))
            .ok_or_else(|| ListenError::NoAddress {
                host: host.clone(),
                version,
            })?;
        let bind = || {
            let listener = TcpListener::bind(address)?;
            // Again, because the standard library lets only 128 wait.
            rustix::net::listen(&listener, BACKLOG)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        bind().map_err(|reason| ListenError::Bind { address, reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> (Family, String, Option<u16>) {
        let ListenUrl { family, host, port } = url.parse().unwrap();
        (family, host, port)
    }

    #[test]
    fn urls_that_stock_takes() {
        assert_eq!(
            parsed("tcp://0.0.0.0:5342"),
            (Family::V4, "0.0.0.0".to_owned(), Some(5342))
        );
        assert_eq!(
            parsed("TCP6://[::1]:0"),
            (Family::V6, "::1".to_owned(), Some(0))
        );
        assert_eq!(
            parsed("net://localhost"),
            (Family::V4, "localhost".to_owned(), None)
        );
        assert_eq!(parsed("tcp6://[::]/"), (Family::V6, "::".to_owned(), None));
    }

    #[test]
    fn an_ipv6_address_behind_tcp_is_told_about_tcp6() {
        let error = "tcp://[::]:5342".parse::<ListenUrl>().unwrap_err();
        assert!(error.to_string().ends_with("tcp6://[::]:5342"), "{error}");
    }

    #[test]
    fn urls_that_nobody_takes() {
        for bad in [
            "",
            "5342",
            "udp://h:1",
            "tcp://h:70000",
            "tcp://h:abc",
            "tcp://:1",
            "tcp6://::1",
            "tcp://[::1]:1",
            "tcp6://[::1",
        ] {
            assert!(bad.parse::<ListenUrl>().is_err(), "{bad}");
        }
    }
}
