//! The context fields that the command line knows.

use crate::mi::Element;

/// Names besides the performance counters, in the order of `add-context --list`.
const NAMES: [&str; 38] = [
    "pid",
    "procname",
    "prio",
    "nice",
    "vpid",
    "tid",
    "pthread_id",
    "vtid",
    "ppid",
    "vppid",
    "hostname",
    "ip",
    "interruptible",
    "preemptible",
    "need_reschedule",
    "migratable",
    "callstack-kernel",
    "callstack-user",
    "cgroup_ns",
    "ipc_ns",
    "mnt_ns",
    "net_ns",
    "pid_ns",
    "time_ns",
    "user_ns",
    "uts_ns",
    "uid",
    "euid",
    "suid",
    "gid",
    "egid",
    "sgid",
    "vuid",
    "veuid",
    "vsuid",
    "vgid",
    "vegid",
    "vsgid",
];

/// Performance counters: hidden behind `perf:cpu:` and `perf:thread:`, with type and configuration of
/// `perf_event_open`.
const COUNTERS: [(&str, u32, u64); 53] = [
    ("cpu-cycles", 0, 0),
    ("cycles", 0, 0),
    ("stalled-cycles-frontend", 0, 7),
    ("idle-cycles-frontend", 0, 7),
    ("stalled-cycles-backend", 0, 8),
    ("idle-cycles-backend", 0, 8),
    ("instructions", 0, 1),
    ("cache-references", 0, 2),
    ("cache-misses", 0, 3),
    ("branch-instructions", 0, 4),
    ("branches", 0, 4),
    ("branch-misses", 0, 5),
    ("bus-cycles", 0, 6),
    ("L1-dcache-loads", 3, 0),
    ("L1-dcache-load-misses", 3, 0x1_0000),
    ("L1-dcache-stores", 3, 0x100),
    ("L1-dcache-store-misses", 3, 0x1_0100),
    ("L1-dcache-prefetches", 3, 0x200),
    ("L1-dcache-prefetch-misses", 3, 0x1_0200),
    ("L1-icache-loads", 3, 1),
    ("L1-icache-load-misses", 3, 0x1_0001),
    ("L1-icache-stores", 3, 0x101),
    ("L1-icache-store-misses", 3, 0x1_0101),
    ("L1-icache-prefetches", 3, 0x201),
    ("L1-icache-prefetch-misses", 3, 0x1_0201),
    ("LLC-loads", 3, 2),
    ("LLC-load-misses", 3, 0x1_0002),
    ("LLC-stores", 3, 0x102),
    ("LLC-store-misses", 3, 0x1_0102),
    ("LLC-prefetches", 3, 0x202),
    ("LLC-prefetch-misses", 3, 0x1_0202),
    ("dTLB-loads", 3, 3),
    ("dTLB-load-misses", 3, 0x1_0003),
    ("dTLB-stores", 3, 0x103),
    ("dTLB-store-misses", 3, 0x1_0103),
    ("dTLB-prefetches", 3, 0x203),
    ("dTLB-prefetch-misses", 3, 0x1_0203),
    ("iTLB-loads", 3, 4),
    ("iTLB-load-misses", 3, 0x1_0004),
    ("branch-loads", 3, 5),
    ("branch-load-misses", 3, 0x1_0005),
    ("cpu-clock", 1, 0),
    ("task-clock", 1, 1),
    ("page-fault", 1, 2),
    ("faults", 1, 2),
    ("major-faults", 1, 6),
    ("minor-faults", 1, 5),
    ("context-switches", 1, 3),
    ("cs", 1, 3),
    ("cpu-migrations", 1, 4),
    ("migrations", 1, 4),
    ("alignment-faults", 1, 7),
    ("emulation-faults", 1, 8),
];

/// A context field that was named on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ContextField {
    Plain(&'static str),
    /// The domain (`cpu`, `thread` or none), the counter's label, type and configuration.
    Perf(String, u32, u64),
    App(String, String),
}

/// All names, as `--list` prints them.
pub(crate) fn all() -> impl Iterator<Item = String> {
    let counters = |domain: &'static str| {
        COUNTERS
            .iter()
            .map(move |(name, ..)| format!("perf:{domain}:{name}"))
    };
    let plain = NAMES.iter();
    plain
        .map(ToString::to_string)
        .chain(counters("cpu"))
        .chain(counters("thread"))
}

/// Reads a name; `None` if it is unknown.
pub(crate) fn parse(text: &str) -> Option<ContextField> {
    if let Some(app) = text.strip_prefix("$app.") {
        let (provider, kind) = app.split_once(':')?;
        let both = !provider.is_empty() && !kind.is_empty();
        return both.then(|| ContextField::App(provider.into(), kind.into()));
    }
    if let Some(counter) = text.strip_prefix("perf:") {
        return perf(counter);
    }
    let name = NAMES.into_iter().find(|name| *name == text)?;
    Some(ContextField::Plain(name))
}

/// `cpu:NAME`, `thread:NAME`, `NAME`, or `cpu:raw:rHEX:LABEL` and the same for threads.
fn perf(text: &str) -> Option<ContextField> {
    let (domain, name) = match text.split_once(':') {
        Some((domain @ ("cpu" | "thread"), name)) => (Some(domain), name),
        Some(_) => return None,
        None => (None, text),
    };
    if let (Some(domain), Some(raw)) = (domain, name.strip_prefix("raw:r")) {
        let (mask, label) = raw.split_once(':')?;
        let config = u64::from_str_radix(mask, 16).ok()?;
        let label = perf_name(Some(domain), label);
        return Some(ContextField::Perf(label, RAW_COUNTER, config));
    }
    let (_, kind, config) = COUNTERS.into_iter().find(|(known, ..)| *known == name)?;
    Some(ContextField::Perf(perf_name(domain, name), kind, config))
}

/// Type of `perf_event_open` for raw counters.
const RAW_COUNTER: u32 = 4;

/// The field's name in the trace.
fn perf_name(domain: Option<&str>, name: &str) -> String {
    let name = name.replace('-', "_");
    match domain {
        Some(domain) => format!("perf_{domain}_{name}"),
        None => format!("perf_{name}"),
    }
}

impl ContextField {
    /// The element that names it in the machine interface.
    pub(crate) fn element(&self) -> Element {
        match self {
            Self::Plain(name) => Element::text("type", name.to_uppercase().replace('-', "_")),
            Self::Perf(name, kind, config) => Element::new(
                "perf",
                [
                    Element::text("type", kind),
                    Element::text("config", config),
                    Element::text("name", name),
                ],
            ),
            Self::App(provider, name) => Element::new(
                "app",
                [
                    Element::text("provider_name", provider),
                    Element::text("ctx_name", name),
                ],
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_as_many_names_as_upstream() {
        assert_eq!(all().count(), 144);
        assert!(all().all(|name| parse(&name).is_some()));
    }

    #[test]
    fn names() {
        assert_eq!(parse("vpid"), Some(ContextField::Plain("vpid")));
        assert_eq!(
            parse("$app.prov:ct"),
            Some(ContextField::App("prov".into(), "ct".into()))
        );
        assert_eq!(
            parse("perf:thread:cpu-cycles"),
            Some(ContextField::Perf("perf_thread_cpu_cycles".into(), 0, 0))
        );
        assert_eq!(
            parse("perf:cpu:raw:r1f:x"),
            Some(ContextField::Perf("perf_cpu_x".into(), 4, 0x1f))
        );
        for text in [
            "",
            "bogus",
            "perf:",
            "perf:x:cycles",
            "perf:cpu:bogus",
            "$app.",
            "$app.a",
            "$app.:b",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
