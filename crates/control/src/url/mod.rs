//! Where a trace shall go: URLs and the network option.
//!
//! ```text
//! net URL = ("net" | "net4" | "net6") "://" HOST [ ":" CONTROL_PORT [ ":" DATA_PORT ] ] [ "/" SUBDIR ]
//! tcp URL = ("tcp" | "tcp4" | "tcp6") "://" HOST [ ":" PORT ] [ "/" SUBDIR ]
//! local   = "file://" ABSOLUTE_PATH | ABSOLUTE_PATH
//! network = HOST [ ":" DATA_PORT ":" CONTROL_PORT ]
//! ```
//!
//! A host is resolved here: the daemon and everybody who lists the session see the address. Source: the
//! relay protocol facts, section 7.1, and the command line facts, section 6.

mod describe;
mod error;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};

use crate::v1::{Output, RelayOutput, output::Kind};
use crate::{DEFAULT_CONTROL_PORT, DEFAULT_DATA_PORT};

pub use describe::{describe, describe_pair, describe_relay};
pub use error::UrlError;

/// Addresses that a protocol allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
    /// Prefers IPv4.
    Any,
}

/// Finds the address of a host, `None` if there is none of the family.
pub type Resolver<'a> = &'a dyn Fn(&str, Family) -> Option<IpAddr>;

/// The system's resolver. `localhost` is known in any case.
pub fn system_resolver(host: &str, family: Family) -> Option<IpAddr> {
    let fits = |address: &IpAddr| match family {
        Family::V4 => address.is_ipv4(),
        Family::V6 => address.is_ipv6(),
        Family::Any => true,
    };
    if let Ok(address) = host.parse::<IpAddr>() {
        return Some(address).filter(fits);
    }
    let mut found: Vec<_> = (host, 0)
        .to_socket_addrs()
        .map(|addresses| addresses.map(|address| address.ip()).filter(fits).collect())
        .unwrap_or_default();
    found.sort_by_key(IpAddr::is_ipv6);
    found.first().copied().or_else(|| {
        (host == "localhost").then_some(match family {
            Family::V6 => IpAddr::V6(Ipv6Addr::LOCALHOST),
            Family::V4 | Family::Any => IpAddr::V4(Ipv4Addr::LOCALHOST),
        })
    })
}

/// A URL, read and resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Url {
    Local(String),
    Net(Relay),
    Tcp(Relay),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Relay {
    address: IpAddr,
    /// As written: control and data, or just one.
    ports: [Option<u16>; 2],
    subdir: String,
}

/// `--set-url`: one URL for both streams, or a path.
pub fn set_url(url: &str, resolver: Resolver<'_>) -> Result<Output, UrlError> {
    match parse(url, resolver)? {
        Url::Local(path) => Ok(Output::local(path)),
        Url::Net(relay) => {
            let [control, data] = relay.ports;
            relay_output(relay.address, control, data, relay.subdir)
        }
        Url::Tcp(_) => Err(UrlError::Misplaced),
    }
}

/// `--ctrl-url` with `--data-url`.
pub fn control_and_data(
    control: &str,
    data: &str,
    resolver: Resolver<'_>,
) -> Result<Output, (UrlError, String)> {
    let read = |text: &str| parse(text, resolver).map_err(|error| (error, text.to_owned()));
    let refuse = |error| Err((error, String::new()));
    match (read(control)?, read(data)?) {
        (Url::Net(_), _) if control == data => {
            set_url(control, resolver).map_err(|error| (error, control.into()))
        }
        (Url::Net(_), _) => refuse(UrlError::DataUrlDiffers),
        (Url::Tcp(control), Url::Tcp(data)) if control.address == data.address => {
            let ports = (control.ports[0], data.ports[0]);
            relay_output(control.address, ports.0, ports.1, control.subdir)
                .map_err(|error| (error, String::new()))
        }
        (Url::Tcp(_), Url::Tcp(_)) => refuse(UrlError::HostsDiffer),
        _ => refuse(UrlError::Misplaced),
    }
}

/// `--network`: note that the data port comes first.
pub fn network(text: &str, resolver: Resolver<'_>) -> Result<Output, UrlError> {
    let (host, rest) = split_host(text)?;
    let family = if text.starts_with('[') {
        Family::V6
    } else {
        Family::Any
    };
    let (data, control) = match rest.split(':').collect::<Vec<_>>()[..] {
        [""] => (None, None),
        ["", data, control] if !data.is_empty() && !control.is_empty() => {
            (port(data)?, port(control)?)
        }
        _ => return Err(UrlError::NetworkPorts(text.into())),
    };
    let address = resolve(host, family, resolver)?;
    relay_output(address, control, data, String::new())
}

fn relay_output(
    address: IpAddr,
    control: Option<u16>,
    data: Option<u16>,
    base_path: String,
) -> Result<Output, UrlError> {
    let control = control.unwrap_or(DEFAULT_CONTROL_PORT);
    let data = data.unwrap_or(DEFAULT_DATA_PORT);
    if control == data {
        return Err(UrlError::Refused(
            "the control port and the data port are the same",
        ));
    }
    if base_path.split('/').any(|part| part == "..") {
        return Err(UrlError::Refused("the directory may not contain `..`"));
    }
    Ok(Output::from(Kind::Relay(RelayOutput {
        address: address.to_string(),
        control_port: control.into(),
        data_port: data.into(),
        base_path,
        ipv6: address.is_ipv6(),
    })))
}

fn parse(url: &str, resolver: Resolver<'_>) -> Result<Url, UrlError> {
    if url.starts_with('/') {
        return Ok(Url::Local(url.into()));
    }
    let unknown = || UrlError::UnknownProtocol(url.into());
    let (protocol, rest) = url.split_once("://").ok_or_else(unknown)?;
    let (streams, family) = match protocol.to_ascii_lowercase().as_str() {
        "file" if rest.starts_with('/') => return Ok(Url::Local(rest.into())),
        "file" => return Err(UrlError::RelativePath),
        "net" | "net4" => (2, Family::V4),
        "net6" => (2, Family::V6),
        "tcp" | "tcp4" => (1, Family::V4),
        "tcp6" => (1, Family::V6),
        _ => return Err(unknown()),
    };
    let (host, rest) = split_host(rest)?;
    let (port_text, subdir) = rest.split_once('/').unwrap_or((rest, ""));
    let ports = ports(port_text, streams)?;
    let relay = Relay {
        address: resolve(host, family, resolver)?,
        ports,
        subdir: subdir.into(),
    };
    Ok(if streams == 2 {
        Url::Net(relay)
    } else {
        Url::Tcp(relay)
    })
}

/// The host without brackets, and what follows it.
fn split_host(text: &str) -> Result<(&str, &str), UrlError> {
    let (host, rest) = if let Some(inside) = text.strip_prefix('[') {
        inside
            .split_once(']')
            .ok_or_else(|| UrlError::OpenBracket(inside.into()))?
    } else {
        text.split_at(text.find([':', '/']).unwrap_or(text.len()))
    };
    if host.is_empty() {
        return Err(UrlError::NoHost);
    }
    if !rest.is_empty() && !rest.starts_with([':', '/']) {
        return Err(UrlError::Trailing(rest.into()));
    }
    Ok((host, rest))
}

/// `:PORT` or `:PORT:PORT`; an empty slot is a default.
fn ports(text: &str, most: usize) -> Result<[Option<u16>; 2], UrlError> {
    let mut ports = [None; 2];
    let mut rest = text;
    for slot in ports.iter_mut().take(most) {
        let Some(after) = rest.strip_prefix(':') else {
            break;
        };
        let (number, next) = after.split_at(after.find(':').unwrap_or(after.len()));
        *slot = port(number)?;
        rest = next;
    }
    if rest.is_empty() {
        Ok(ports)
    } else {
        Err(UrlError::Trailing(rest.into()))
    }
}

fn port(text: &str) -> Result<Option<u16>, UrlError> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse::<u16>() {
        Ok(port) if port > 0 && !text.starts_with('+') => Ok(Some(port)),
        _ => Err(UrlError::Port(text.into())),
    }
}

fn resolve(host: &str, family: Family, resolver: Resolver<'_>) -> Result<IpAddr, UrlError> {
    resolver(host, family).ok_or_else(|| UrlError::Unresolvable(host.into(), family))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Knows literals, and the host `h` as 10.0.0.1 and fd00::1.
    fn resolver(host: &str, family: Family) -> Option<IpAddr> {
        let host = match (host, family) {
            ("h", Family::V6) => "fd00::1",
            ("h", _) => "10.0.0.1",
            (other, _) => other,
        };
        let address = host.parse::<IpAddr>().ok()?;
        (family == Family::Any || address.is_ipv6() == (family == Family::V6)).then_some(address)
    }

    fn url(text: &str) -> Result<String, UrlError> {
        set_url(text, &resolver).map(|output| describe(Some(&output)).unwrap())
    }

    #[test]
    fn one_url_for_both_streams() {
        for (text, shown) in [
            ("net://h", "tcp4://10.0.0.1:5342/ [data: 5343]"),
            ("NET4://h:6342", "tcp4://10.0.0.1:6342/ [data: 5343]"),
            (
                "net://h:6342:6343/a/b",
                "tcp4://10.0.0.1:6342/a/b [data: 6343]",
            ),
            ("net://h::77", "tcp4://10.0.0.1:5342/ [data: 77]"),
            ("net://h:", "tcp4://10.0.0.1:5342/ [data: 5343]"),
            (
                "net://127.0.0.1//a//b",
                "tcp4://127.0.0.1:5342//a//b [data: 5343]",
            ),
            ("net6://h", "tcp6://[fd00::1]:5342/ [data: 5343]"),
            ("net6://[::1]:7000/a/", "tcp6://[::1]:7000/a/ [data: 5343]"),
            ("file:///tmp/f", "/tmp/f"),
            ("/tmp/f", "/tmp/f"),
        ] {
            assert_eq!(url(text).as_deref(), Ok(shown), "{text}");
        }
    }

    #[test]
    fn urls_that_are_refused() {
        use UrlError::*;
        for (text, error) in [
            ("tmp/f", UnknownProtocol("tmp/f".into())),
            ("foo://h", UnknownProtocol("foo://h".into())),
            ("file://tmp", RelativePath),
            ("net://", NoHost),
            ("net6://::1", NoHost),
            ("net6://[::1", OpenBracket("::1".into())),
            ("net6://[::1]x", Trailing("x".into())),
            ("net://h:99999", Port("99999".into())),
            ("net://h:0", Port("0".into())),
            ("net://h:+1", Port("+1".into())),
            ("net://h:1:2:3", Trailing(":3".into())),
            ("net://nohost", Unresolvable("nohost".into(), Family::V4)),
            ("net://[::1]", Unresolvable("::1".into(), Family::V4)),
            (
                "net6://127.0.0.1",
                Unresolvable("127.0.0.1".into(), Family::V6),
            ),
            ("tcp://h", Misplaced),
        ] {
            assert_eq!(url(text), Err(error), "{text}");
        }
        for text in ["net://h:5342:5342", "net://h/../x", "net://h:5343"] {
            assert!(matches!(url(text), Err(Refused(_))), "{text}");
        }
    }

    #[test]
    fn two_urls() {
        let both = |control: &str, data: &str| {
            control_and_data(control, data, &resolver)
                .map(|output| describe(Some(&output)).unwrap())
                .map_err(|(error, _)| error)
        };
        assert_eq!(
            both("tcp://h:11/sub", "tcp://h:12/other").as_deref(),
            Ok("tcp4://10.0.0.1:11/sub [data: 12]")
        );
        assert_eq!(
            both("net://h", "net://h").as_deref(),
            Ok("tcp4://10.0.0.1:5342/ [data: 5343]")
        );
        assert_eq!(both("net://h", "tcp://h"), Err(UrlError::DataUrlDiffers));
        assert_eq!(
            both("tcp://h", "tcp://10.0.0.2"),
            Err(UrlError::HostsDiffer)
        );
        assert_eq!(both("/a", "/b"), Err(UrlError::Misplaced));
    }

    #[test]
    fn the_network_option_has_the_data_port_first() {
        let shown =
            |text: &str| network(text, &resolver).map(|output| describe(Some(&output)).unwrap());
        for (text, expected) in [
            ("h", "tcp4://10.0.0.1:5342/ [data: 5343]"),
            ("h:10:20", "tcp4://10.0.0.1:20/ [data: 10]"),
            ("[::1]", "tcp6://[::1]:5342/ [data: 5343]"),
            ("[::1]:10:20", "tcp6://[::1]:20/ [data: 10]"),
        ] {
            assert_eq!(shown(text).as_deref(), Ok(expected), "{text}");
        }
        for text in ["h:10", "h:10:20:30", "h:", "h:10:", "h/x"] {
            assert_eq!(
                shown(text),
                Err(UrlError::NetworkPorts(text.into())),
                "{text}"
            );
        }
        assert_eq!(shown("h:0:1"), Err(UrlError::Port("0".into())));
        assert_eq!(shown(""), Err(UrlError::NoHost));
    }
}
