//! Context fields of user space.

use control::{ContextField, PerfDomain};
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

/// `None`: there is no such context in user space.
pub(super) fn parse(spelling: &str) -> Option<Context> {
    match ContextField::parse(spelling)? {
        ContextField::Plain(name) => {
            let number = PLAIN.iter().position(|known| *known == name)?;
            Some(Context::Plain(number as u32))
        }
        ContextField::Perf(counter) if counter.domain == Some(PerfDomain::Thread) => {
            Some(Context::PerfCounter {
                kind: counter.kind,
                config: counter.config,
                name: counter.field,
            })
        }
        ContextField::Perf(_) => None,
        ContextField::Application { provider, name } => {
            Some(Context::Application { provider, name })
        }
    }
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
    fn counters_are_those_of_threads() {
        let expected = Context::PerfCounter {
            kind: 1,
            config: 2,
            name: "perf_thread_page_fault".into(),
        };
        assert_eq!(parse("perf:thread:page-fault"), Some(expected));
        assert_eq!(parse("perf:cpu:page-fault"), None);
        assert_eq!(parse("perf:page-fault"), None);
    }
}
