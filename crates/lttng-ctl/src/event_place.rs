//! Where a rule of the kernel domain is, in `struct lttng_event`.

use std::ffi::c_int;

use control::v1::{EventKind, EventRule};
use control::{ErrorCode, KernelLocation, ProbeLocation};

use crate::abi::{Event, SYMBOL_NAME_LEN, event_type};
use crate::boundary::{fixed, text_of};
use crate::failure::Failure;

/// Bytes of the union.
const LEN: usize = size_of::<Event>() - std::mem::offset_of!(Event, attr);
/// Where `struct lttng_event_probe_attr` has its symbol; it begins with the address and the offset.
const SYMBOL_AT: usize = 16;

/// The kind of a rule by the event's type, in the kernel domain. A function's entry alone is a probe at its
/// start.
pub(crate) fn kind(kind: c_int) -> Option<EventKind> {
    Some(match kind {
        event_type::ALL => EventKind::Unspecified,
        event_type::TRACEPOINT => EventKind::Tracepoint,
        event_type::SYSCALL => EventKind::Syscall,
        event_type::PROBE | event_type::FUNCTION_ENTRY => EventKind::Probe,
        event_type::FUNCTION => EventKind::Function,
        event_type::USERSPACE_PROBE => EventKind::UserspaceProbe,
        _ => return None,
    })
}

/// The place that a program has put into an event; empty for those that have none.
pub(crate) fn read(event: &Event) -> Result<String, Failure> {
    let bytes = bytes_of(&event.attr);
    match event.kind {
        event_type::PROBE | event_type::FUNCTION => {
            let number = |at: usize| {
                let bytes = bytes[at..at + 8].try_into().unwrap_or_default();
                u64::from_ne_bytes(bytes)
            };
            let name = symbol(&bytes[SYMBOL_AT..])?;
            Ok(match (name.is_empty(), number(0)) {
                (true, 0) => return Err(Failure::INVALID),
                (true, address) => KernelLocation::Address(address).to_string(),
                (false, _) => KernelLocation::Symbol {
                    name,
                    offset: number(8),
                }
                .to_string(),
            })
        }
        event_type::FUNCTION_ENTRY => match symbol(&bytes)? {
            name if name.is_empty() => Err(Failure::INVALID),
            name => Ok(name),
        },
        event_type::USERSPACE_PROBE => {
            // SAFETY: the extension is NULL or made by this library, and so is the place in it.
            let location = unsafe {
                event
                    .extended
                    .as_ref()
                    .and_then(|extended| extended.probe_location.as_ref())
            };
            let place = location.and_then(|location| location.described());
            let place = place.ok_or(Failure(ErrorCode::PROBE_LOCATION_INVALID))?;
            Ok(place.to_string())
        }
        _ => Ok(String::new()),
    }
}

/// What the union of a listed rule says.
pub(crate) fn written(rule: &EventRule) -> [u64; 36] {
    let mut bytes = [0_u8; LEN];
    match (rule.kind(), KernelLocation::parse(&rule.location)) {
        (EventKind::Probe | EventKind::Function, Ok(KernelLocation::Address(address))) => {
            bytes[..8].copy_from_slice(&address.to_ne_bytes());
        }
        (EventKind::Probe | EventKind::Function, Ok(KernelLocation::Symbol { name, offset })) => {
            bytes[8..16].copy_from_slice(&offset.to_ne_bytes());
            let name = fixed::<SYMBOL_NAME_LEN>(&name).map(|byte| byte as u8);
            bytes[SYMBOL_AT..SYMBOL_AT + SYMBOL_NAME_LEN].copy_from_slice(&name);
        }
        _ => {}
    }
    let mut words = [0; 36];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_ne_bytes(bytes.try_into().unwrap_or_default());
    }
    words
}

/// The place of a listed rule that is in a program.
pub(crate) fn in_program(rule: &EventRule) -> Option<ProbeLocation> {
    match rule.kind() {
        EventKind::UserspaceProbe => ProbeLocation::parse(&rule.location).ok(),
        _ => None,
    }
}

fn bytes_of(words: &[u64; 36]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn symbol(bytes: &[u8]) -> Result<String, Failure> {
    let name = &bytes[..SYMBOL_NAME_LEN];
    text_of(&name.iter().map(|byte| *byte as _).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_list::plain;

    #[test]
    fn a_place_survives_the_union() {
        for location in ["schedule", "schedule+0x10", "0xffffffff81000000"] {
            let rule = EventRule {
                kind: EventKind::Probe.into(),
                location: location.into(),
                ..EventRule::default()
            };
            let event = Event {
                kind: event_type::PROBE,
                attr: written(&rule),
                ..plain("p")
            };
            assert_eq!(read(&event).as_deref(), Ok(location));
        }
        let nothing = Event {
            kind: event_type::FUNCTION,
            ..plain("p")
        };
        assert_eq!(read(&nothing), Err(Failure::INVALID));
    }
}
