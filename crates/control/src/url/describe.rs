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

/// A relay daemon in the form of a URL: only an IPv6 address has a colon.
pub fn describe_relay(address: &str, control: u32, data: u32, base: &str) -> String {
    if address.contains(':') {
        format!("tcp6://[{address}]:{control}/{base} [data: {data}]")
    } else {
        format!("tcp4://{address}:{control}/{base} [data: {data}]")
    }
}
