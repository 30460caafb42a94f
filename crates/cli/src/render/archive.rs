//! Where archived trace chunks are.

use control::v1::ArchiveLocation;
use control::v1::archive_location::Kind;

use crate::mi::Element;

/// The sentence that tells where the archive of a session is.
pub(crate) fn readable(session: &str, location: Option<&ArchiveLocation>) -> String {
    let start = format!("Trace chunk archive for session {session} is now readable");
    match location.and_then(|location| location.kind.as_ref()) {
        Some(Kind::LocalPath(path)) => format!("{start} at {path}"),
        Some(Kind::Relay(relay)) => format!(
            "{start} on relay tcp://{}/{} [control port {}, data port {}]",
            host(&relay.host),
            relay.relative_path,
            relay.control_port,
            relay.data_port
        ),
        None => format!("{start} at an unknown location"),
    }
}

/// An IPv6 address in brackets.
fn host(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.into()
    }
}

/// The same for the machine interface.
pub(crate) fn element(location: Option<&ArchiveLocation>) -> Element {
    let inner = match location.and_then(|location| location.kind.as_ref()) {
        Some(Kind::LocalPath(path)) => Some(Element::new(
            "local",
            [Element::text("absolute_path", path)],
        )),
        Some(Kind::Relay(relay)) => Some(Element::new(
            "relay",
            [
                Element::text("host", &relay.host),
                Element::text("control_port", relay.control_port),
                Element::text("data_port", relay.data_port),
                Element::text("protocol", "TCP"),
                Element::text("relative_path", &relay.relative_path),
            ],
        )),
        None => None,
    };
    Element::new("location", inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use control::v1::RelayLocation;

    #[test]
    fn sentences_are_upstreams() {
        let local = ArchiveLocation {
            kind: Some(Kind::LocalPath("/t/archives/x-0".into())),
        };
        assert_eq!(
            readable("s", Some(&local)),
            "Trace chunk archive for session s is now readable at /t/archives/x-0"
        );
        let relay = ArchiveLocation {
            kind: Some(Kind::Relay(RelayLocation {
                host: "127.0.0.1".into(),
                control_port: 5342,
                data_port: 5343,
                relative_path: "h/s-DATE/archives/x-2".into(),
            })),
        };
        assert_eq!(
            readable("s", Some(&relay)),
            "Trace chunk archive for session s is now readable on relay \
             tcp://127.0.0.1/h/s-DATE/archives/x-2 [control port 5342, data port 5343]"
        );
    }
}
