//! Recording snapshots, and the snapshot outputs of sessions.

use std::ffi::{c_char, c_int};
use std::ptr;

use control::v1::remove_snapshot_output_request::Which;
use control::v1::{
    AddSnapshotOutputRequest, ListSnapshotOutputsRequest, RecordSnapshotRequest,
    RemoveSnapshotOutputRequest,
};

use crate::boundary::{guard, negative, out, reference, reference_mut};
use crate::daemon::connect;
use crate::failure::Failure;
use crate::lifecycle::session_name;
use crate::snapshot_output::SnapshotOutput;

/// `struct lttng_snapshot_output_list`, opaque to C.
#[derive(Debug)]
pub struct OutputList {
    outputs: Vec<SnapshotOutput>,
    next: usize,
}

/// Makes an output the one of the session, and tells its id in it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_snapshot_add_output(
    session_name: *const c_char,
    output: *mut SnapshotOutput,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule; an output was made by this library.
        let (session, output) =
            unsafe { (self::session_name(session_name)?, reference_mut(output)?) };
        let wanted = output.message()?;
        if wanted.output.is_none() {
            return Err(Failure::INVALID);
        }
        let request = AddSnapshotOutputRequest {
            session,
            output: Some(wanted),
        };
        let added = connect()?.add_snapshot_output(request)?;
        output.id = added.output.unwrap_or_default().id;
        Ok(0)
    })
}

/// Takes back the output of this id, or else of this name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_snapshot_del_output(
    session_name: *const c_char,
    output: *const SnapshotOutput,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule; an output was made by this library.
        let (session, output) = unsafe { (self::session_name(session_name)?, reference(output)?) };
        let which = if output.id != 0 {
            Which::Id(output.id)
        } else {
            Which::Name(output.name.to_str().map_err(|_| Failure::INVALID)?.into())
        };
        let which = Some(which);
        connect()?.remove_snapshot_output(RemoveSnapshotOutputRequest { session, which })?;
        Ok(0)
    })
}

/// The outputs of a session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_snapshot_list_output(
    session_name: *const c_char,
    list: *mut *mut OutputList,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let (session, place) = unsafe { (self::session_name(session_name)?, out(list)?) };
        let there = connect()?
            .list_snapshot_outputs(ListSnapshotOutputsRequest { session })?
            .outputs;
        let outputs = there.iter().map(SnapshotOutput::of).collect();
        place.set(Box::into_raw(Box::new(OutputList { outputs, next: 0 })));
        Ok(0)
    })
}

/// The next output, NULL behind the last; it belongs to the list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_snapshot_output_list_get_next(
    list: *mut OutputList,
) -> *const SnapshotOutput {
    // SAFETY: the crate's rule; a list was made by this library.
    let Ok(list) = (unsafe { reference_mut(list) }) else {
        return ptr::null();
    };
    let next = list
        .outputs
        .get(list.next)
        .map_or(ptr::null(), ptr::from_ref);
    if !next.is_null() {
        list.next += 1;
    }
    next
}

/// Frees a list with its outputs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_snapshot_output_list_destroy(list: *mut OutputList) {
    guard((), || {
        if !list.is_null() {
            // SAFETY: made by `lttng_snapshot_list_output`, and given back once.
            drop(unsafe { Box::from_raw(list) });
        }
    });
}

/// Writes what the buffers hold: to the session's output, or as `output` says where it says something. Returns when
/// it is written, whatever `wait` is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_snapshot_record(
    session_name: *const c_char,
    output: *const SnapshotOutput,
    _wait: c_int,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule; an output is NULL or was made by this library.
        let (session, output) = unsafe { (self::session_name(session_name)?, output.as_ref()) };
        let output = output.map(SnapshotOutput::message).transpose()?;
        connect()?.record_snapshot(RecordSnapshotRequest { session, output })?;
        Ok(0)
    })
}
