//! Where the probes of the kernel domain are, in the words of upstream.

use control::v1::{EventKind, EventRule};
use control::{KernelLocation, ProbeLocation};

use crate::mi::Element;

/// Lines below the rule; none if it is no probe.
pub(crate) fn lines(rule: &EventRule) -> Vec<String> {
    match place(rule) {
        Some(Place::Kernel(KernelLocation::Address(address))) => {
            vec![format!("addr: {address:#x}")]
        }
        Some(Place::Kernel(KernelLocation::Symbol { name, offset })) => {
            vec![format!("offset: {offset:#x}"), format!("symbol: {name}")]
        }
        Some(Place::Program(ProbeLocation::Symbol { path, symbol })) => vec![
            "Type: Function".to_owned(),
            format!("Binary path:   {path}"),
            format!("Function:      {symbol}()"),
            "Lookup method: ELF".to_owned(),
        ],
        Some(Place::Program(ProbeLocation::Sdt {
            path,
            provider,
            name,
        })) => vec![
            "Type: Tracepoint".to_owned(),
            format!("Binary path:   {path}"),
            format!("Tracepoint:    {provider}:{name}"),
            "Lookup method: SDT".to_owned(),
        ],
        None => Vec::new(),
    }
}

/// For the machine interface.
pub(crate) fn attributes(rule: &EventRule) -> Option<Element> {
    let inner = match place(rule)? {
        Place::Kernel(KernelLocation::Address(address)) => {
            Element::new("probe_attributes", [Element::text("address", address)])
        }
        Place::Kernel(KernelLocation::Symbol { name, offset }) => Element::new(
            "probe_attributes",
            [
                Element::text("offset", offset),
                Element::text("symbol_name", name),
            ],
        ),
        Place::Program(ProbeLocation::Symbol { path, symbol }) => Element::new(
            "userspace_probe_function_attributes",
            [
                Element::text("lookup_method", "ELF"),
                Element::text("binary_path", path),
                Element::text("function_name", symbol),
            ],
        ),
        // Upstream's element for functions, for these too.
        Place::Program(ProbeLocation::Sdt {
            path,
            provider,
            name,
        }) => Element::new(
            "userspace_probe_function_attributes",
            [
                Element::text("lookup_method", "SDT"),
                Element::text("binary_path", path),
                Element::text("provider_name", provider),
                Element::text("probe_name", name),
            ],
        ),
    };
    Some(Element::new("attributes", [inner]))
}

enum Place {
    Kernel(KernelLocation),
    Program(ProbeLocation),
}

fn place(rule: &EventRule) -> Option<Place> {
    match rule.kind() {
        EventKind::Probe | EventKind::Function => KernelLocation::parse(&rule.location)
            .ok()
            .map(Place::Kernel),
        EventKind::UserspaceProbe => ProbeLocation::parse(&rule.location)
            .ok()
            .map(Place::Program),
        EventKind::Unspecified | EventKind::Tracepoint | EventKind::Syscall => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_shown_as_upstream_shows_them() {
        let shown = |kind: EventKind, location: &str| {
            lines(&EventRule {
                kind: kind.into(),
                location: location.to_owned(),
                ..EventRule::default()
            })
        };
        assert_eq!(
            shown(EventKind::Probe, "schedule+16"),
            ["offset: 0x10", "symbol: schedule"]
        );
        assert_eq!(shown(EventKind::Function, "0xff"), ["addr: 0xff"]);
        assert_eq!(
            shown(EventKind::UserspaceProbe, "sdt:/bin/x:p:n"),
            [
                "Type: Tracepoint",
                "Binary path:   /bin/x",
                "Tracepoint:    p:n",
                "Lookup method: SDT"
            ]
        );
        assert!(shown(EventKind::Syscall, "").is_empty());
    }
}
