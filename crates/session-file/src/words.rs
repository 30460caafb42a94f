//! The words of the format for what the API has numbers for.

use control::v1::{Domain, EventKind, LogLevelType, ProcessAttribute};
use control::{ContextField, PerfCounter, PerfDomain};

pub(crate) const EVENT_KINDS: [(EventKind, &str); 6] = [
    (EventKind::Unspecified, "ALL"),
    (EventKind::Tracepoint, "TRACEPOINT"),
    (EventKind::Syscall, "SYSCALL"),
    (EventKind::Probe, "KPROBE"),
    (EventKind::UserspaceProbe, "USERSPACE_PROBE"),
    (EventKind::Function, "KRETPROBE"),
];

/// Other words that files have for the same.
pub(crate) const OTHER_EVENT_KINDS: [(EventKind, &str); 3] = [
    (EventKind::Probe, "PROBE"),
    (EventKind::Function, "FUNCTION"),
    (EventKind::Probe, "FUNCTION_ENTRY"),
];

pub(crate) const LEVEL_TYPES: [(LogLevelType, &str); 3] = [
    (LogLevelType::All, "ALL"),
    (LogLevelType::Range, "RANGE"),
    (LogLevelType::Single, "SINGLE"),
];

pub(crate) const DOMAINS: [(Domain, &str); 2] = [(Domain::Kernel, "KERNEL"), (Domain::Ust, "UST")];

/// Domains of logging libraries, which other files have, with nothing in them as a rule.
pub(crate) const AGENT_DOMAINS: [&str; 3] = ["JUL", "LOG4J", "PYTHON"];

/// A tracker is `NAME_process_attr_tracker`, one of its values `NAME`.
pub(crate) const ATTRIBUTES: [(ProcessAttribute, &str); 6] = [
    (ProcessAttribute::ProcessId, "pid"),
    (ProcessAttribute::VirtualProcessId, "vpid"),
    (ProcessAttribute::UserId, "uid"),
    (ProcessAttribute::VirtualUserId, "vuid"),
    (ProcessAttribute::GroupId, "gid"),
    (ProcessAttribute::VirtualGroupId, "vgid"),
];

pub(crate) const TRACKER_SUFFIX: &str = "_process_attr_tracker";

/// The word for a value of a table.
pub(crate) fn word<T: PartialEq>(table: &[(T, &'static str)], value: T) -> &'static str {
    let found = table.iter().find(|(known, _)| *known == value);
    found.map_or("", |(_, word)| word)
}

/// The value for a word of a table.
pub(crate) fn value<T: Copy>(table: &[(T, &str)], word: &str) -> Option<T> {
    let found = table.iter().find(|(_, known)| *known == word);
    found.map(|(value, _)| *value)
}

/// `VPID` for `vpid`: contexts without parameters.
pub(crate) fn context_word(spelling: &str) -> String {
    spelling.to_ascii_uppercase().replace('-', "_")
}

/// The spelling for such a word, if there is one.
pub(crate) fn context_spelling(word: &str) -> Option<String> {
    ContextField::all().find(|known| !known.contains(':') && context_word(known) == word)
}

/// The spelling of a counter, from what a file says of it.
pub(crate) fn counter_spelling(kind: u32, config: u64, field: &str) -> Option<String> {
    let domain = match field.starts_with("perf_cpu_") {
        true => PerfDomain::Cpu,
        false => PerfDomain::Thread,
    };
    PerfCounter::spelling(domain, kind, config, field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_context_has_a_word() {
        for spelling in ContextField::all().filter(|spelling| !spelling.contains(':')) {
            let word = context_word(&spelling);
            assert_eq!(context_spelling(&word), Some(spelling));
        }
        assert_eq!(context_word("callstack-kernel"), "CALLSTACK_KERNEL");
        assert_eq!(context_spelling("BOGUS"), None);
    }
}
