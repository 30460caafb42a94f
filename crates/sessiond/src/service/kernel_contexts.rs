//! Why some context fields of LTTng's kernel tracer cannot be had without its module.

/// What to say of a context field that is not offered.
pub(super) fn reason(context: &str) -> &'static str {
    match context {
        "vtid" | "vpid" | "vppid" => {
            "the kernel's events have the numbers of the initial pid namespace only; use `tid`, `pid` and `ppid`"
        }
        "prio" | "nice" => {
            "the kernel does not record each change of it; the sched_* events have priorities"
        }
        "hostname" => {
            "the kernel does not record which UTS namespace a thread is in; the trace has the name of the host"
        }
        "preemptible" | "migratable" => {
            "not every kernel counts it, and then its records do not tell; use `interruptible` and \
             `need_reschedule`"
        }
        "uid" | "euid" | "suid" | "gid" | "egid" | "sgid" | "vuid" | "veuid" | "vsuid" | "vgid"
        | "vegid" | "vsgid" => "the kernel does not record changes of credentials",
        _ if context.ends_with("_ns") => {
            "the kernel does not record which namespaces a thread is in"
        }
        _ if context.starts_with("callstack") => {
            "stacks are events of their own in the kernel's ring buffer, which belong to no other event"
        }
        _ if context.starts_with("perf:") => {
            "the kernel does not read performance counters for its ring buffer"
        }
        _ => "the kernel's ring buffer does not tell it with its events",
    }
}
