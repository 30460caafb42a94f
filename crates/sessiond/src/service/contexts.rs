//! Context fields of user space, as the command line spells them.

use ust::command::Context;

/// Position is the tracer's number. Numbers 5 (perf) and 7 (application) have parameters.
const PLAIN: [&str; 22] = [
    "vtid",
    "vpid",
    "pthread_id",
    "procname",
    "ip",
    "",
    "cpu_id",
    "",
    "cgroup_ns",
    "ipc_ns",
    "mnt_ns",
    "net_ns",
    "pid_ns",
    "user_ns",
    "uts_ns",
    "vuid",
    "veuid",
    "vsuid",
    "vgid",
    "vegid",
    "vsgid",
    "time_ns",
];

/// `PERF_TYPE_HARDWARE`, by `config`.
const HARDWARE: [&str; 10] = [
    "cpu-cycles",
    "instructions",
    "cache-references",
    "cache-misses",
    "branch-instructions",
    "branch-misses",
    "bus-cycles",
    "stalled-cycles-frontend",
    "stalled-cycles-backend",
    "ref-cycles",
];
/// `PERF_TYPE_SOFTWARE`, by `config`.
const SOFTWARE: [&str; 9] = [
    "cpu-clock",
    "task-clock",
    "page-fault",
    "context-switches",
    "cpu-migrations",
    "minor-faults",
    "major-faults",
    "alignment-faults",
    "emulation-faults",
];
/// `PERF_TYPE_HW_CACHE`: `config` is cache, operation << 8, result << 16.
const CACHES: [&str; 6] = ["L1-dcache", "L1-icache", "LLC", "dTLB", "iTLB", "branch"];
const OPERATIONS: [(&str, u64); 3] = [("load", 0), ("store", 1), ("prefetch", 2)];

/// Other spellings of upstream.
const ALIASES: [(&str, &str); 4] = [
    ("cycles", "cpu-cycles"),
    ("branches", "branch-instructions"),
    ("faults", "page-fault"),
    ("cs", "context-switches"),
];

/// `None`: there is no such context.
pub(super) fn parse(spelling: &str) -> Option<Context> {
    if let Some(application) = spelling.strip_prefix("$app.") {
        let (provider, name) = application.split_once(':')?;
        let filled = !provider.is_empty() && !name.is_empty();
        return filled.then(|| Context::Application {
            provider: provider.into(),
            name: name.into(),
        });
    }
    if let Some(counter) = spelling.strip_prefix("perf:thread:") {
        return perf(counter);
    }
    let number = PLAIN
        .iter()
        .position(|name| !name.is_empty() && *name == spelling)?;
    Some(Context::Plain(number as u32))
}

fn perf(counter: &str) -> Option<Context> {
    let (kind, config) = raw(counter).or_else(|| named(counter))?;
    let label = counter
        .strip_prefix("raw:")
        .and_then(|raw| raw.split_once(':'))
        .map_or(counter, |r| r.1);
    let name = format!("perf_thread_{}", label.replace(['-', ':'], "_"));
    Some(Context::PerfCounter { kind, config, name })
}

/// `raw:rHEX:NAME`.
fn raw(counter: &str) -> Option<(u32, u64)> {
    const PERF_TYPE_RAW: u32 = 4;
    let (number, name) = counter.strip_prefix("raw:r")?.split_once(':')?;
    let config = u64::from_str_radix(number, 16).ok()?;
    (!name.is_empty()).then_some((PERF_TYPE_RAW, config))
}

fn named(counter: &str) -> Option<(u32, u64)> {
    let counter = ALIASES
        .iter()
        .find(|(alias, _)| *alias == counter)
        .map_or(counter, |(_, real)| real);
    let at = |list: &[&str]| {
        list.iter()
            .position(|name| *name == counter)
            .map(|at| at as u64)
    };
    if let Some(config) = at(&HARDWARE) {
        return Some((0, config));
    }
    if let Some(config) = at(&SOFTWARE) {
        return Some((1, config));
    }
    cache(counter).map(|config| (3, config))
}

/// `L1-dcache-loads`, `LLC-store-misses`, ….
fn cache(counter: &str) -> Option<u64> {
    let (at, rest) = CACHES.iter().enumerate().find_map(|(at, cache)| {
        Some((at as u64, counter.strip_prefix(cache)?.strip_prefix('-')?))
    })?;
    let (operation, rest) = OPERATIONS
        .iter()
        .find_map(|(name, number)| Some((number, rest.strip_prefix(name)?)))?;
    let result = match rest {
        "s" | "es" => 0,
        "-misses" => 1,
        _ => return None,
    };
    Some(at | operation << 8 | result << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_have_the_tracers_numbers() {
        for (name, number) in [
            ("vtid", 0),
            ("procname", 3),
            ("cgroup_ns", 8),
            ("vsgid", 20),
        ] {
            assert_eq!(parse(name), Some(Context::Plain(number)));
        }
        assert_eq!(parse(""), None);
        assert_eq!(parse("tid"), None);
    }

    #[test]
    fn a_perf_counter_has_type_config_and_field_name() {
        let expected = Context::PerfCounter {
            kind: 1,
            config: 2,
            name: "perf_thread_page_fault".into(),
        };
        assert_eq!(parse("perf:thread:page-fault"), Some(expected));
        let Some(Context::PerfCounter {
            kind: 3, config, ..
        }) = parse("perf:thread:LLC-load-misses")
        else {
            panic!()
        };
        assert_eq!(config, 2 | 1 << 16);
        let Some(Context::PerfCounter {
            kind: 4,
            config: 0x13c,
            name,
        }) = parse("perf:thread:raw:r13c:x86unhalted")
        else {
            panic!()
        };
        assert_eq!(name, "perf_thread_x86unhalted");
    }

    #[test]
    fn application_contexts_have_two_parts() {
        let expected = Context::Application {
            provider: "p".into(),
            name: "t".into(),
        };
        assert_eq!(parse("$app.p:t"), Some(expected));
        assert_eq!(parse("$app.p"), None);
    }
}
