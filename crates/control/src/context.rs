//! The spellings of context fields, as the command line and [`AddContextRequest`] have them.
//!
//! [`AddContextRequest`]: crate::v1::AddContextRequest

/// A context field, of any domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContextField {
    /// One without parameters: `vpid`, `procname`, ….
    Plain(&'static str),
    /// A counter of the processor or the kernel.
    Perf(PerfCounter),
    /// `$app.PROVIDER:TYPE`: a field that an application provides.
    Application {
        /// The part before the colon.
        provider: String,
        /// The part after the colon.
        name: String,
    },
}

/// `perf:DOMAIN:NAME`, or `perf:DOMAIN:raw:rHEX:LABEL`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PerfCounter {
    /// `None` for the older form without domain.
    pub domain: Option<PerfDomain>,
    /// `perf_event_attr.type`.
    pub kind: u32,
    /// `perf_event_attr.config`.
    pub config: u64,
    /// Name of the field in the trace, a C identifier.
    pub field: String,
}

/// What a counter counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PerfDomain {
    /// Each processor: kernel domain.
    Cpu,
    /// Each thread: user space domain.
    Thread,
}

/// Names without parameters, in the order of `add-context --list`.
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

/// The names by value of `enum lttng_event_context_type`; the values that are missing have parameters.
const NUMBERS: [(u32, &str); 38] = [
    (0, "pid"),
    (2, "procname"),
    (3, "prio"),
    (4, "nice"),
    (5, "vpid"),
    (6, "tid"),
    (7, "vtid"),
    (8, "ppid"),
    (9, "vppid"),
    (10, "pthread_id"),
    (11, "hostname"),
    (12, "ip"),
    (16, "interruptible"),
    (17, "preemptible"),
    (18, "need_reschedule"),
    (19, "migratable"),
    (20, "callstack-kernel"),
    (21, "callstack-user"),
    (22, "cgroup_ns"),
    (23, "ipc_ns"),
    (24, "mnt_ns"),
    (25, "net_ns"),
    (26, "pid_ns"),
    (27, "user_ns"),
    (28, "uts_ns"),
    (29, "uid"),
    (30, "euid"),
    (31, "suid"),
    (32, "gid"),
    (33, "egid"),
    (34, "sgid"),
    (35, "vuid"),
    (36, "veuid"),
    (37, "vsuid"),
    (38, "vgid"),
    (39, "vegid"),
    (40, "vsgid"),
    (41, "time_ns"),
];

/// Performance counters: name, type and configuration of `perf_event_open`. Of two names of a counter the first is the
/// usual one.
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

/// Type of `perf_event_open` for raw counters.
const RAW_COUNTER: u32 = 4;

impl ContextField {
    /// All spellings without free parameters, in upstream's order.
    pub fn all() -> impl Iterator<Item = String> {
        let counters = |domain: &'static str| {
            COUNTERS
                .iter()
                .map(move |(name, ..)| format!("perf:{domain}:{name}"))
        };
        let plain = NAMES.iter().map(ToString::to_string);
        plain.chain(counters("cpu")).chain(counters("thread"))
    }

    /// Reads a spelling; `None` if it is unknown.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(application) = text.strip_prefix("$app.") {
            let (provider, name) = application.split_once(':')?;
            let both = !provider.is_empty() && !name.is_empty();
            return both.then(|| Self::Application {
                provider: provider.into(),
                name: name.into(),
            });
        }
        if let Some(counter) = text.strip_prefix("perf:") {
            return PerfCounter::parse(counter).map(Self::Perf);
        }
        let name = NAMES.into_iter().find(|name| *name == text)?;
        Some(Self::Plain(name))
    }

    /// The spelling of a value of `enum lttng_event_context_type` without parameters.
    pub fn spelling_of_number(number: u32) -> Option<&'static str> {
        let known = NUMBERS.into_iter().find(|(known, _)| *known == number);
        known.map(|(_, name)| name)
    }
}

impl PerfCounter {
    /// What follows `perf:`.
    fn parse(text: &str) -> Option<Self> {
        let (domain, name) = match text.split_once(':') {
            Some(("cpu", name)) => (Some(PerfDomain::Cpu), name),
            Some(("thread", name)) => (Some(PerfDomain::Thread), name),
            Some(_) => return None,
            None => (None, text),
        };
        let (label, kind, config) = match name.strip_prefix("raw:r") {
            Some(raw) if domain.is_some() => {
                let (number, label) = raw.split_once(':')?;
                let config = u64::from_str_radix(number, 16).ok()?;
                (!label.is_empty()).then_some((label, RAW_COUNTER, config))?
            }
            _ => COUNTERS.into_iter().find(|(known, ..)| *known == name)?,
        };
        let label = label.replace(['-', ':'], "_");
        let field = match domain {
            Some(PerfDomain::Cpu) => format!("perf_cpu_{label}"),
            Some(PerfDomain::Thread) => format!("perf_thread_{label}"),
            None => format!("perf_{label}"),
        };
        Some(Self {
            domain,
            kind,
            config,
            field,
        })
    }

    /// The spelling of a counter of `domain`, from its type, its configuration and, for a raw one, the name of its field;
    /// `None` if it is unknown.
    pub fn spelling(domain: PerfDomain, kind: u32, config: u64, field: &str) -> Option<String> {
        let domain = match domain {
            PerfDomain::Cpu => "cpu",
            PerfDomain::Thread => "thread",
        };
        if kind == RAW_COUNTER {
            let prefix = format!("perf_{domain}_");
            let label = field.strip_prefix(&prefix).unwrap_or(field);
            return Some(format!("perf:{domain}:raw:r{config:x}:{label}"));
        }
        let known = COUNTERS
            .into_iter()
            .find(|(_, known, its)| (*known, *its) == (kind, config));
        known.map(|(name, ..)| format!("perf:{domain}:{name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn perf(text: &str) -> Option<(u32, u64, String)> {
        match ContextField::parse(text)? {
            ContextField::Perf(counter) => Some((counter.kind, counter.config, counter.field)),
            _ => None,
        }
    }

    #[test]
    fn the_list_has_as_many_names_as_upstream() {
        assert_eq!(ContextField::all().count(), 144);
        assert!(ContextField::all().all(|name| ContextField::parse(&name).is_some()));
    }

    #[test]
    fn names() {
        assert_eq!(
            ContextField::parse("vpid"),
            Some(ContextField::Plain("vpid"))
        );
        let application = ContextField::Application {
            provider: "prov".into(),
            name: "ct".into(),
        };
        assert_eq!(ContextField::parse("$app.prov:ct"), Some(application));
        for text in [
            "",
            "bogus",
            "perf:",
            "perf:x:cycles",
            "perf:cpu:bogus",
            "perf:thread:raw:r1f:",
            "perf:raw:r1f:x",
            "$app.",
            "$app.a",
            "$app.:b",
        ] {
            assert_eq!(ContextField::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_counter_has_type_configuration_and_field() {
        for (text, kind, config, field) in [
            ("perf:thread:cpu-cycles", 0, 0, "perf_thread_cpu_cycles"),
            ("perf:thread:page-fault", 1, 2, "perf_thread_page_fault"),
            (
                "perf:cpu:LLC-load-misses",
                3,
                2 | 1 << 16,
                "perf_cpu_LLC_load_misses",
            ),
            ("perf:cpu:raw:r1f:x-y", 4, 0x1f, "perf_cpu_x_y"),
            ("perf:cycles", 0, 0, "perf_cycles"),
        ] {
            assert_eq!(perf(text), Some((kind, config, field.into())), "{text}");
        }
    }

    #[test]
    fn counters_are_spelled_again() {
        let spelling = |kind, config, field: &str| {
            PerfCounter::spelling(PerfDomain::Thread, kind, config, field)
        };
        assert_eq!(
            spelling(0, 1, "").as_deref(),
            Some("perf:thread:instructions")
        );
        let misses = spelling(3, 2 | 1 << 16, "");
        assert_eq!(misses.as_deref(), Some("perf:thread:LLC-load-misses"));
        let raw = spelling(4, 0x13c, "perf_thread_x");
        assert_eq!(raw.as_deref(), Some("perf:thread:raw:r13c:x"));
        for (kind, config) in [(0, 9), (1, 9), (3, 6), (3, 3 << 8), (3, 2 << 16), (9, 0)] {
            assert_eq!(spelling(kind, config, ""), None);
        }
    }

    #[test]
    fn every_name_has_a_number() {
        for (name, number) in [("vpid", 5), ("ip", 12), ("time_ns", 41), ("cgroup_ns", 22)] {
            assert_eq!(ContextField::spelling_of_number(number), Some(name));
        }
        assert_eq!(ContextField::spelling_of_number(1), None);
        for name in NAMES {
            assert_eq!(
                NUMBERS.iter().filter(|(_, known)| *known == name).count(),
                1,
                "{name}"
            );
        }
    }
}
