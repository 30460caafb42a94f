//! Context fields.

use std::ffi::{c_char, c_int};

use control::ErrorCode;
use control::v1::{AddContextRequest, BufferType};

use crate::abi::{EventContext, Handle};
use crate::boundary::{negative, optional_text, reference, text, text_of};
use crate::daemon::connect;
use crate::event::make_per_pid_channel;
use crate::failure::Failure;
use crate::handle::Target;

/// Names of the control API, by value of `enum lttng_event_context_type`. Empty: has parameters, below.
const NAMES: [&str; 42] = [
    "pid",
    "",
    "procname",
    "prio",
    "nice",
    "vpid",
    "tid",
    "vtid",
    "ppid",
    "vppid",
    "pthread_id",
    "hostname",
    "ip",
    "",
    "",
    "",
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
    "time_ns",
];

const PERF_THREAD_COUNTER: c_int = 14;
const APP_CONTEXT: c_int = 15;

/// `PERF_TYPE_HARDWARE`, by configuration.
const HARDWARE: [&str; 9] = [
    "cpu-cycles",
    "instructions",
    "cache-references",
    "cache-misses",
    "branch-instructions",
    "branch-misses",
    "bus-cycles",
    "stalled-cycles-frontend",
    "stalled-cycles-backend",
];
/// `PERF_TYPE_SOFTWARE`, by configuration.
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
/// `PERF_TYPE_HW_CACHE`: cache, operation << 8, result << 16.
const CACHES: [&str; 6] = ["L1-dcache", "L1-icache", "LLC", "dTLB", "iTLB", "branch"];
const OPERATIONS: [[&str; 2]; 3] = [
    ["loads", "load-misses"],
    ["stores", "store-misses"],
    ["prefetches", "prefetch-misses"],
];

/// Adds a context field to a channel, or to all of the domain. The event name means nothing, as in upstream.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_add_context(
    handle: *const Handle,
    context: *const EventContext,
    _event_name: *const c_char,
    channel_name: *const c_char,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let (target, context, channel) = unsafe {
            (
                Target::read(handle)?,
                reference(context)?,
                optional_text(channel_name)?.unwrap_or_default(),
            )
        };
        // SAFETY: the crate's rule, for the strings inside.
        let context = unsafe { spelling(context) }?;
        let mut daemon = connect()?;
        if target.buffers == BufferType::PerPid {
            make_per_pid_channel(&mut daemon, &target, &channel)?;
        }
        daemon.add_context(AddContextRequest {
            session: target.session,
            domain: target.domain.into(),
            channel,
            context,
        })?;
        Ok(0)
    })
}

/// The context as the control API spells it.
unsafe fn spelling(context: &EventContext) -> Result<String, Failure> {
    let unknown = Failure(ErrorCode::UST_CONTEXT_INVALID);
    match context.ctx {
        PERF_THREAD_COUNTER => {
            // SAFETY: the type says that this member is the one in use; it is plain data.
            let counter = unsafe { &context.u.perf_counter };
            let name = text_of(&counter.name)?;
            perf(counter.kind, counter.config, &name).ok_or(unknown)
        }
        APP_CONTEXT => {
            // SAFETY: the type says that this member is the one in use, with two strings.
            let (provider, name) = unsafe {
                let app = context.u.app;
                (text(app.provider_name)?, text(app.ctx_name)?)
            };
            Ok(format!("$app.{provider}:{name}"))
        }
        plain => {
            let name = usize::try_from(plain).ok().and_then(|at| NAMES.get(at));
            match name {
                Some(name) if !name.is_empty() => Ok((*name).into()),
                _ => Err(unknown),
            }
        }
    }
}

/// `None`: no counter of the control API.
fn perf(kind: u32, config: u64, name: &str) -> Option<String> {
    let at = usize::try_from(config).ok()?;
    let counter = match kind {
        0 => (*HARDWARE.get(at)?).to_owned(),
        1 => (*SOFTWARE.get(at)?).to_owned(),
        3 => {
            let (cache, operation, result) = (at & 0xff, at >> 8 & 0xff, at >> 16);
            let operation = OPERATIONS.get(operation)?.get(result)?;
            format!("{}-{operation}", CACHES.get(cache)?)
        }
        4 => {
            let label = name.strip_prefix("perf_thread_").unwrap_or(name);
            format!("raw:r{config:x}:{label}")
        }
        _ => return None,
    };
    Some(format!("perf:thread:{counter}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_have_names() {
        assert_eq!(perf(0, 1, "").as_deref(), Some("perf:thread:instructions"));
        assert_eq!(
            perf(3, 2 | 1 << 16, "").as_deref(),
            Some("perf:thread:LLC-load-misses")
        );
        assert_eq!(
            perf(4, 0x13c, "perf_thread_x").as_deref(),
            Some("perf:thread:raw:r13c:x")
        );
        for (kind, config) in [(0, 9), (1, 9), (3, 6), (3, 3 << 8), (3, 2 << 16), (9, 0)] {
            assert_eq!(perf(kind, config, ""), None);
        }
    }

    #[test]
    fn positions_are_upstreams_values() {
        for (name, value) in [("vpid", 5), ("ip", 12), ("time_ns", 41), ("cgroup_ns", 22)] {
            assert_eq!(NAMES[value], name);
        }
    }
}
