//! Rotating a session at once.

use std::ffi::{c_char, c_int, c_void};

use control::v1::rotation::State;
use control::v1::{GetRotationRequest, RotateSessionRequest, Rotation};

use crate::boundary::{guard, negative, out, reference_mut};
use crate::daemon::connect;
use crate::failure::Failure;
use crate::lifecycle::session_name;
use crate::location::{Location, OwnedLocation};

/// Values of `enum lttng_rotation_status`.
pub(crate) mod status {
    use std::ffi::c_int;

    pub(crate) const OK: c_int = 0;
    pub(crate) const UNAVAILABLE: c_int = 1;
    pub(crate) const ERROR: c_int = -1;
    pub(crate) const INVALID: c_int = -2;
    pub(crate) const SCHEDULE_ALREADY_SET: c_int = -3;
}

/// A value of `enum lttng_rotation_state`.
pub(crate) fn state(of: State) -> c_int {
    match of {
        State::Unspecified => 0,
        State::Ongoing => 1,
        State::Completed => 2,
        State::Expired => 3,
        State::Error => -1,
    }
}

/// `struct lttng_rotation_handle`, opaque to C.
#[derive(Debug)]
pub struct RotationHandle {
    session: String,
    id: u64,
    /// Once it is known.
    location: Option<Box<OwnedLocation>>,
}

impl RotationHandle {
    /// Asks how far it is.
    fn ask(&mut self) -> Result<Rotation, Failure> {
        let answer = connect()?.get_rotation(GetRotationRequest {
            session: self.session.clone(),
            rotation_id: self.id,
            wait: false,
        })?;
        let rotation = answer.rotation.unwrap_or_default();
        // A caller may hold the address of the first one.
        if self.location.is_none() {
            let location = rotation.location.as_ref().and_then(OwnedLocation::of);
            self.location = location.map(Box::new);
        }
        Ok(rotation)
    }
}

/// Begins to archive the current trace chunk. The descriptor is reserved; a NULL handle is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_rotate_session(
    session_name: *const c_char,
    _descriptor: *const c_void,
    rotation_handle: *mut *mut RotationHandle,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let session = unsafe { self::session_name(session_name) }?;
        let request = RotateSessionRequest {
            session: session.clone(),
        };
        let id = connect()?.rotate_session(request)?.rotation_id;
        // SAFETY: the crate's rule.
        if let Ok(place) = unsafe { out(rotation_handle) } {
            let location = None;
            place.set(Box::into_raw(Box::new(RotationHandle {
                session,
                id,
                location,
            })));
        }
        Ok(0)
    })
}

/// Asks the daemon how far the rotation is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_rotation_handle_get_state(
    rotation_handle: *mut RotationHandle,
    rotation_state: *mut c_int,
) -> c_int {
    guard(status::ERROR, || {
        // SAFETY: the crate's rule; a handle was made by this library.
        let (Ok(handle), Ok(place)) =
            (unsafe { (reference_mut(rotation_handle), out(rotation_state)) })
        else {
            return status::INVALID;
        };
        match handle.ask() {
            Ok(rotation) => {
                place.set(state(rotation.state()));
                status::OK
            }
            Err(_) => status::ERROR,
        }
    })
}

/// Where the archive is, once the rotation is completed. It belongs to the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_rotation_handle_get_archive_location(
    rotation_handle: *mut RotationHandle,
    location: *mut *const Location,
) -> c_int {
    guard(status::ERROR, || {
        // SAFETY: the crate's rule; a handle was made by this library.
        let (Ok(handle), Ok(place)) = (unsafe { (reference_mut(rotation_handle), out(location)) })
        else {
            return status::INVALID;
        };
        if handle.location.is_none() && handle.ask().is_err() {
            return status::ERROR;
        }
        match &handle.location {
            Some(location) => {
                place.set(location.as_ptr());
                status::OK
            }
            None => status::UNAVAILABLE,
        }
    })
}

/// Frees a handle; the rotation goes on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_rotation_handle_destroy(rotation_handle: *mut RotationHandle) {
    guard((), || {
        if !rotation_handle.is_null() {
            // SAFETY: made by `lttng_rotate_session`, and given back once.
            drop(unsafe { Box::from_raw(rotation_handle) });
        }
    });
}
