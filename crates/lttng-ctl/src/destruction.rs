//! Destroying a session through a handle that tells when it is done.

use std::ffi::{c_char, c_int, c_uint};

use control::v1::DestroySessionRequest;
use control::v1::rotation::State;

use crate::boundary::{guard, out, positive, reference, reference_mut};
use crate::daemon::connect;
use crate::failure::{Failure, OK};
use crate::lifecycle::session_name;
use crate::location::{Location, OwnedLocation};
use crate::pending::{Pending, status};
use crate::rotation::state;

/// `struct lttng_destruction_handle`, opaque to C.
#[derive(Debug)]
pub struct DestructionHandle {
    pending: Pending<Archive>,
}

/// What became of the last trace chunk.
#[derive(Debug)]
struct Archive {
    state: State,
    location: Option<OwnedLocation>,
}

/// Begins to destroy a session. Without handle, returns what the daemon said; with handle, what became of it
/// is the handle's result.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_destroy_session_ext(
    session_name: *const c_char,
    handle: *mut *mut DestructionHandle,
) -> c_uint {
    positive(|| {
        // SAFETY: the crate's rule.
        let name = unsafe { self::session_name(session_name) }?;
        let mut client = connect()?;
        // SAFETY: the crate's rule.
        match unsafe { out(handle) } {
            Ok(place) => {
                let pending = Pending::begin("lttng-destroy", move || {
                    let answer = client.destroy_session(DestroySessionRequest::of(name))?;
                    let rotation = answer.rotation.unwrap_or_default();
                    Ok(Archive {
                        state: rotation.state(),
                        location: rotation.location.as_ref().and_then(OwnedLocation::of),
                    })
                })?;
                place.set(Box::into_raw(Box::new(DestructionHandle { pending })));
            }
            Err(_) => {
                let no_wait = true;
                client.destroy_session(DestroySessionRequest { name, no_wait })?;
            }
        }
        Ok(())
    })
}

/// Waits until the session is destroyed, `timeout_ms` milliseconds at most, -1 for ever.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_destruction_handle_wait_for_completion(
    handle: *mut DestructionHandle,
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

/// Puts what `read` finds in the answer, once it is there.
///
/// # Safety
/// The crate's rule.
unsafe fn get<T>(
    handle: *const DestructionHandle,
    place: *mut T,
    read: impl FnOnce(&Result<Archive, Failure>) -> Option<T>,
) -> c_int {
    guard(status::ERROR, || {
        // SAFETY: the crate's rule; a handle was made by this library.
        let (Ok(handle), Ok(place)) = (unsafe { (reference(handle), out(place)) }) else {
            return status::INVALID;
        };
        match handle.pending.answer().and_then(read) {
            Some(value) => {
                place.set(value);
                status::OK
            }
            None => status::INVALID,
        }
    })
}

/// Whether the destruction worked, once it is completed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_destruction_handle_get_result(
    handle: *const DestructionHandle,
    result: *mut c_uint,
) -> c_int {
    let read = |answer: &Result<Archive, Failure>| {
        Some(
            answer
                .as_ref()
                .map_or_else(|failure| failure.positive(), |_| OK),
        )
    };
    // SAFETY: the crate's rule.
    unsafe { get(handle, result, read) }
}

/// Whether the last trace chunk was archived, once the destruction is completed: "no rotation" for a session that
/// was never rotated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_destruction_handle_get_rotation_state(
    handle: *const DestructionHandle,
    rotation_state: *mut c_int,
) -> c_int {
    let read = |answer: &Result<Archive, Failure>| {
        let state_of = answer
            .as_ref()
            .map_or(State::Unspecified, |archive| archive.state);
        Some(state(state_of))
    };
    // SAFETY: the crate's rule.
    unsafe { get(handle, rotation_state, read) }
}

/// Where the last trace chunk was archived. It belongs to the handle. Invalid for a session that was not rotated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_destruction_handle_get_archive_location(
    handle: *const DestructionHandle,
    location: *mut *const Location,
) -> c_int {
    let read = |answer: &Result<Archive, Failure>| {
        let location = answer.as_ref().ok()?.location.as_ref()?;
        Some(location.as_ptr())
    };
    // SAFETY: the crate's rule.
    unsafe { get(handle, location, read) }
}

/// Frees a handle; the destruction goes on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_destruction_handle_destroy(handle: *mut DestructionHandle) {
    guard((), || {
        if !handle.is_null() {
            // SAFETY: made by `lttng_destroy_session_ext`, and given back once.
            drop(unsafe { Box::from_raw(handle) });
        }
    });
}
