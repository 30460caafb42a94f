//! How an output is written in messages.

use crate::v1::{Output, RelayOutput, output::Kind};

/// A path, or `tcp4://ADDRESS:PORT/SUBDIR [data: PORT]`; `None` for a session without output.
pub fn describe(output: Option<&Output>) -> Option<String> {
    match output?.kind.as_ref()? {
        Kind::None(_) => None,
        Kind::LocalPath(path) => Some(path.clone()),
        Kind::Relay(relay) => Some(describe_relay(relay)),
    }
}

fn describe_relay(relay: &RelayOutput) -> String {
    let (address, control, base) = (&relay.address, relay.control_port, &relay.base_path);
    let data = relay.data_port;
    if relay.ipv6 {
        format!("tcp6://[{address}]:{control}/{base} [data: {data}]")
    } else {
        format!("tcp4://{address}:{control}/{base} [data: {data}]")
    }
}
