//! Which events of the running kernel a rule means.

use filter::glob;
use kernel::names;
use kernel::tracefs::{EventName, is_probe_group};

use crate::session::kernel::plan::{KernelRule, KernelRuleKind};

/// Subsystem whose events tell the same as those of the system calls, without their names.
const RAW_SYSCALLS: &str = "raw_syscalls";
/// Kernel's prefixes of the events of a system call.
const SYSCALL_PREFIXES: [&str; 2] = ["sys_enter_", "sys_exit_"];

/// The name of an event in a trace.
pub(crate) fn trace_name(event: &EventName) -> String {
    names::event_name(&event.subsystem, &event.name).into_owned()
}

/// Whether a rule means an event that is no probe. Tracepoints are known by LTTng's name, by the
/// kernel's, and by the kernel's with subsystem; system calls by their own name.
pub(crate) fn means(rule: &KernelRule, event: &EventName) -> bool {
    match &rule.kind {
        KernelRuleKind::Tracepoint => means_tracepoint(&rule.name, event),
        KernelRuleKind::Syscall => {
            syscall(event).is_some_and(|(call, _)| glob::matches(&rule.name, call))
        }
        KernelRuleKind::Probe(_) => false,
    }
}

fn means_tracepoint(pattern: &str, event: &EventName) -> bool {
    if !is_tracepoint(event) {
        return false;
    }
    let qualified = || format!("{}:{}", event.subsystem, event.name);
    if event.subsystem == RAW_SYSCALLS && glob::is_pattern(pattern) {
        // A star that means everything would record each call twice.
        return pattern.starts_with(RAW_SYSCALLS) && glob::matches(pattern, &qualified());
    }
    glob::matches(pattern, &names::event_name(&event.subsystem, &event.name))
        || glob::matches(pattern, &event.name)
        || glob::matches(pattern, &qualified())
}

/// Whether an event is a tracepoint of the kernel.
pub(crate) fn is_tracepoint(event: &EventName) -> bool {
    event.subsystem != names::SYSCALLS && !is_probe_group(&event.subsystem)
}

/// The system call of an event and whether it is the entry.
pub(crate) fn syscall(event: &EventName) -> Option<(&str, bool)> {
    if event.subsystem != names::SYSCALLS {
        return None;
    }
    let [enter, exit] = SYSCALL_PREFIXES;
    let entry = event.name.strip_prefix(enter).map(|call| (call, true));
    entry.or_else(|| event.name.strip_prefix(exit).map(|call| (call, false)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(kind: KernelRuleKind, name: &str) -> KernelRule {
        KernelRule {
            name: name.into(),
            kind,
            filter: None,
        }
    }

    #[test]
    fn tracepoints_are_known_by_all_their_names() {
        let event = EventName::new("irq", "softirq_entry");
        for name in [
            "irq_softirq_entry",
            "softirq_entry",
            "irq:softirq_entry",
            "irq_*",
            "*",
        ] {
            assert!(
                means(&rule(KernelRuleKind::Tracepoint, name), &event),
                "{name}"
            );
        }
        assert!(!means(&rule(KernelRuleKind::Tracepoint, "irq"), &event));
        assert!(!means(&rule(KernelRuleKind::Syscall, "*"), &event));
    }

    #[test]
    fn a_call_is_recorded_once() {
        let calls = [
            EventName::new("syscalls", "sys_enter_openat"),
            EventName::new("syscalls", "sys_exit_openat"),
        ];
        for call in &calls {
            for name in ["openat", "open*", "*"] {
                assert!(means(&rule(KernelRuleKind::Syscall, name), call));
            }
            assert!(!means(&rule(KernelRuleKind::Tracepoint, "*"), call));
        }
        let raw = EventName::new("raw_syscalls", "sys_enter");
        assert!(!means(&rule(KernelRuleKind::Tracepoint, "*"), &raw));
        assert!(means(&rule(KernelRuleKind::Tracepoint, "sys_enter"), &raw));
    }
}
