//! Lists of what applications can record.

use std::ffi::c_int;

use control::v1::{Domain, EventKind, ListTracepointsRequest, Tracepoint, TracepointField};

use crate::abi::{Event, EventField, Handle, event_type};
use crate::boundary::{array, count, fixed, negative, out};
use crate::daemon::connect;
use crate::event_list::plain;
use crate::failure::Failure;
use crate::handle::Target;

/// `LTTNG_EVENT_FLAG_SYSCALL_32` and `LTTNG_EVENT_FLAG_SYSCALL_64`.
const SYSCALL_32: c_int = 1;
const SYSCALL_64: c_int = 2;

/// Tracepoints of all registered applications; the handle's session does not matter.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_list_tracepoints(
    handle: *const Handle,
    events: *mut *mut Event,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let (target, place) = unsafe { (Target::read(handle)?, out(events)?) };
        let there = ask(&target, false)?;
        place.set(array(&there, |_| 0, |tracepoint, _| listed(tracepoint))?);
        count(there.len())
    })
}

/// The kernel's system calls.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_list_syscalls(events: *mut *mut Event) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let place = unsafe { out(events)? };
        let answer = connect()?.list_tracepoints(ListTracepointsRequest {
            domain: Domain::Kernel.into(),
            kind: EventKind::Syscall.into(),
            with_fields: false,
        })?;
        let there = answer.tracepoints;
        let syscall = |tracepoint: &Tracepoint, _: &mut _| Event {
            kind: event_type::SYSCALL,
            // The kernel records the calls of programs of its own size only.
            flags: if usize::BITS == 64 {
                SYSCALL_64
            } else {
                SYSCALL_32
            },
            ..listed(tracepoint)
        };
        place.set(array(&there, |_| 0, syscall)?);
        count(there.len())
    })
}

/// Their fields, one record for each; a tracepoint without fields has one with an empty name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_list_tracepoint_fields(
    handle: *const Handle,
    fields: *mut *mut EventField,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let (target, place) = unsafe { (Target::read(handle)?, out(fields)?) };
        let there = ask(&target, true)?;
        let none = TracepointField {
            nowrite: true,
            ..Default::default()
        };
        let records: Vec<_> = there
            .iter()
            .flat_map(|tracepoint| {
                let fields = match tracepoint.fields.as_slice() {
                    [] => std::slice::from_ref(&none),
                    fields => fields,
                };
                fields.iter().map(move |field| (tracepoint, field))
            })
            .collect();
        place.set(array(
            &records,
            |_| 0,
            |(tracepoint, field), _| EventField {
                field_name: fixed(&field.name),
                kind: field.r#type,
                padding: [0; 288],
                event: listed(tracepoint),
                nowrite: field.nowrite.into(),
            },
        )?);
        count(records.len())
    })
}

fn ask(target: &Target, with_fields: bool) -> Result<Vec<Tracepoint>, Failure> {
    let answer = connect()?.list_tracepoints(ListTracepointsRequest {
        domain: target.domain.into(),
        with_fields,
        ..ListTracepointsRequest::default()
    })?;
    Ok(answer.tracepoints)
}

fn listed(tracepoint: &Tracepoint) -> Event {
    Event {
        loglevel: tracepoint.log_level,
        // Neither enabled nor disabled: it is no rule.
        enabled: -1,
        pid: i32::try_from(tracepoint.pid).unwrap_or(0),
        ..plain(&tracepoint.name)
    }
}
