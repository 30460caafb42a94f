//! LTTng's names for the kernel's events and fields.
//!
//! Analyses know the events by the names of LTTng's own kernel tracer (lttng-modules 2.13). The table
//! here says what the kernel calls them; what is not in it keeps the kernel's names. `docs/kernel-events.md`
//! is made from it, and held to it by a test.

mod rwbs;
mod table;

use std::borrow::Cow;

use crate::text;

pub use rwbs::rwbs_flags;
pub use table::{
    FIELDS, PREFIXED, Prefixed, RENAMED, Renamed, RenamedField, TASK_EVENTS, TASK_FIELDS,
};

/// Subsystem of the system calls.
pub const SYSCALLS: &str = "syscalls";

/// The name of an event in a trace.
pub fn event_name<'n>(subsystem: &str, event: &'n str) -> Cow<'n, str> {
    if subsystem == SYSCALLS {
        if let Some(call) = event.strip_prefix("sys_enter_") {
            return Cow::Owned(format!("syscall_entry_{call}"));
        }
        if let Some(call) = event.strip_prefix("sys_exit_") {
            return Cow::Owned(format!("syscall_exit_{call}"));
        }
    }
    if let Some(renamed) = renamed(subsystem, event) {
        return Cow::Borrowed(renamed.lttng);
    }
    let prefixed = PREFIXED.iter().find(|row| {
        row.subsystem == subsystem && row.events.iter().any(|pattern| matches(pattern, event))
    });
    match prefixed {
        Some(row) => Cow::Owned(format!("{}{event}", row.prefix)),
        None => Cow::Borrowed(event),
    }
}

fn renamed(subsystem: &str, event: &str) -> Option<&'static Renamed> {
    if subsystem == table::KVM && cfg!(not(any(target_arch = "x86", target_arch = "x86_64"))) {
        return None;
    }
    RENAMED
        .iter()
        .find(|renamed| renamed.subsystem == subsystem && renamed.kernel == event)
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

/// The name of a field in a trace.
pub fn field_name<'n>(subsystem: &str, event: &str, field: &'n str) -> &'n str {
    let tells_tasks = subsystem == "sched" && TASK_EVENTS.iter().any(|name| matches(name, event));
    if tells_tasks && let Some((_, lttng)) = TASK_FIELDS.iter().find(|(kernel, _)| *kernel == field)
    {
        return lttng;
    }
    let renamed = FIELDS
        .iter()
        .find(|row| (row.subsystem, row.event, row.kernel) == (subsystem, event, field));
    if let Some(row) = renamed {
        return row.lttng;
    }
    // Kernels that read the strings of system calls put them in fields of their own.
    match text::argument_of(field) {
        Some(argument) if subsystem == SYSCALLS => argument,
        _ => field,
    }
}

/// Whether an analysis takes the numbers of this subsystem for what they are in LTTng: plain integers.
/// The others are shown with labels where the kernel has some.
pub(crate) fn has_plain_numbers(subsystem: &str) -> bool {
    subsystem == SYSCALLS
        || matches!(subsystem, "sched" | "block" | "signal")
        || RENAMED.iter().any(|row| row.subsystem == subsystem)
        || PREFIXED.iter().any(|row| row.subsystem == subsystem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_lttng_where_it_has_some() {
        for (subsystem, kernel, lttng) in [
            ("syscalls", "sys_enter_openat", "syscall_entry_openat"),
            ("syscalls", "sys_exit_openat", "syscall_exit_openat"),
            ("sched", "sched_switch", "sched_switch"),
            ("irq", "softirq_entry", "irq_softirq_entry"),
            ("irq", "irq_handler_entry", "irq_handler_entry"),
            ("timer", "hrtimer_start", "timer_hrtimer_start"),
            ("timer", "timer_start", "timer_start"),
            ("net", "netif_receive_skb", "net_if_receive_skb"),
            ("net", "net_dev_queue", "net_dev_queue"),
            ("kmem", "kmalloc", "kmem_kmalloc"),
            ("kmem", "kmem_cache_alloc", "kmem_cache_alloc"),
            ("power", "cpu_frequency", "power_cpu_frequency"),
            (
                "irq_vectors",
                "local_timer_entry",
                "x86_irq_vectors_local_timer_entry",
            ),
            ("irq_vectors", "vector_alloc", "vector_alloc"),
            ("ext4", "ext4_sync_file_enter", "ext4_sync_file_enter"),
        ] {
            assert_eq!(event_name(subsystem, kernel), lttng);
        }
        assert_eq!(field_name("sched", "sched_switch", "prev_pid"), "prev_tid");
        assert_eq!(field_name("sched", "sched_stat_runtime", "pid"), "tid");
        assert_eq!(field_name("sched", "sched_move_numa", "pid"), "pid");
        assert_eq!(field_name("syscalls", "sys_enter_mmap", "off"), "offset");
        assert_eq!(field_name("syscalls", "sys_enter_sync", "off"), "off");
        assert_eq!(field_name("signal", "signal_generate", "pid"), "pid");
        assert_eq!(
            field_name("syscalls", "sys_enter_openat", "__filename_val"),
            "filename"
        );
    }
}
