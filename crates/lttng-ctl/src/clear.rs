//! Clearing a session, with a handle that tells when it is done.

use std::ffi::{c_char, c_int, c_uint};

use control::v1::ClearSessionRequest;

use crate::boundary::{guard, out, positive, reference, reference_mut};
use crate::daemon::connect;
use crate::failure::{Failure, OK};
use crate::lifecycle::session_name;
use crate::pending::{Pending, status};

/// `struct lttng_clear_handle`, opaque to C.
#[derive(Debug)]
pub struct ClearHandle {
    pending: Pending<()>,
}

/// Begins to clear a session. Without handle, returns when it is done; with handle, what became of it is the
/// handle's result.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_clear_session(
    session_name: *const c_char,
    handle: *mut *mut ClearHandle,
) -> c_uint {
    positive(|| {
        // SAFETY: the crate's rule.
        let session = unsafe { self::session_name(session_name) }?;
        let mut client = connect()?;
        let request = ClearSessionRequest { session };
        let mut clear = move || {
            client.clear_session(request.clone())?;
            Ok(())
        };
        // SAFETY: the crate's rule.
        match unsafe { out(handle) } {
            Ok(place) => {
                let pending = Pending::begin("lttng-clear", clear)?;
                place.set(Box::into_raw(Box::new(ClearHandle { pending })));
                Ok(())
            }
            Err(_) => clear(),
        }
    })
}

/// Waits until the session is cleared, `timeout_ms` milliseconds at most, -1 for ever.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_clear_handle_wait_for_completion(
    handle: *mut ClearHandle,
    timeout_ms: c_int,
) -> c_int {
    guard(status::ERROR, || {
        // SAFETY: the crate's rule; a handle was made by this library.
        match unsafe { reference_mut(handle) } {
            Ok(handle) => handle.pending.wait(timeout_ms),
            Err(_) => status::INVALID,
        }
    })
}

/// Whether it worked, once it is completed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_clear_handle_get_result(
    handle: *const ClearHandle,
    result: *mut c_uint,
) -> c_int {
    guard(status::ERROR, || {
        // SAFETY: the crate's rule; a handle was made by this library.
        let (Ok(handle), Ok(place)) = (unsafe { (reference(handle), out(result)) }) else {
            return status::INVALID;
        };
        match handle.pending.answer() {
            Some(answer) => {
                place.set(answer.map_or_else(Failure::positive, |()| OK));
                status::OK
            }
            None => status::INVALID,
        }
    })
}

/// Frees a handle; the clearing goes on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_clear_handle_destroy(handle: *mut ClearHandle) {
    guard((), || {
        if !handle.is_null() {
            // SAFETY: made by `lttng_clear_session`, and given back once.
            drop(unsafe { Box::from_raw(handle) });
        }
    });
}
