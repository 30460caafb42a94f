//! How an output is written in messages.

use crate::v1::{Output, output::Kind};

/// A path, or `tcp4://ADDRESS:PORT/SUBDIR [data: PORT]`; `None` for a session without output.
pub fn describe(output: Option<&Output>) -> Option<String> {
    match output?.kind.as_ref()? {
        Kind::None(_) => None,
        Kind::LocalPath(path) => Some(path.clone()),
        Kind::Relay(relay) => Some(describe_relay(
            &relay.address,
            relay.control_port,
            relay.data_port,
            &relay.base_path,
        )),
    }
}

/// A relay daemon in the form of a URL.
pub fn describe_relay(address: &str, control: u32, data: u32, base: &str) -> String {
    format!("{} [data: {data}]", tcp(address, control, base))
}

/// The same as two URLs, for control and data; the second is empty for a path, and both are without output.
pub fn describe_pair(output: Option<&Output>) -> (String, String) {
    match output.and_then(|output| output.kind.as_ref()) {
        None | Some(Kind::None(_)) => Default::default(),
        Some(Kind::LocalPath(path)) => (path.clone(), String::new()),
        Some(Kind::Relay(relay)) => (
            tcp(&relay.address, relay.control_port, &relay.base_path),
            tcp(&relay.address, relay.data_port, ""),
        ),
    }
}

/// Only an IPv6 address has a colon.
fn tcp(address: &str, port: u32, base: &str) -> String {
    if address.contains(':') {
        format!("tcp6://[{address}]:{port}/{base}")
    } else {
        format!("tcp4://{address}:{port}/{base}")
    }
}
