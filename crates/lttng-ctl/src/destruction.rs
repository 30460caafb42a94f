//! Destroying a session through a handle that tells when it is done.

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use control::blocking::Client;
use control::v1::DestroySessionRequest;

use crate::boundary::{
    guard, leave_signals_to_the_program, out, positive, reference, reference_mut,
};
use crate::daemon::connect;
use crate::failure::{Failure, OK};
use crate::lifecycle::session_name;

/// How long [`lttng_destroy_session_ext`] itself waits for the end at most. A destruction that takes longer
/// has surely arrived at the daemon by then, so that it happens even if the program ends at once.
const ARRIVAL: Duration = Duration::from_millis(200);

/// Values of `enum lttng_destruction_handle_status`.
const STATUS_OK: c_int = 0;
const STATUS_COMPLETED: c_int = 1;
const STATUS_TIMEOUT: c_int = 2;
const STATUS_INVALID: c_int = -1;
const STATUS_ERROR: c_int = -2;

/// `LTTNG_ROTATION_STATE_NO_ROTATION`.
const NO_ROTATION: c_int = 0;

/// `struct lttng_destruction_handle`, opaque to C.
#[derive(Debug)]
pub struct DestructionHandle {
    state: State,
}

#[derive(Debug)]
enum State {
    Waiting(Receiver<Result<(), Failure>>),
    Done(Result<(), Failure>),
    /// The thread that waited is gone: a bug.
    Lost,
}

impl DestructionHandle {
    /// Destroys in a thread of its own, so that the caller may stop waiting.
    fn begin(mut client: Client, name: String) -> Result<Self, Failure> {
        let (sender, receiver) = mpsc::channel();
        std::thread::Builder::new()
            .name("lttng-destroy".into())
            .spawn(move || {
                leave_signals_to_the_program();
                let answer = client.destroy_session(DestroySessionRequest::of(name));
                // Nobody listens if the handle is gone.
                let _ = sender.send(answer.map(drop).map_err(Failure::from));
            })
            .map_err(|_| Failure(control::ErrorCode::NO_MEMORY))?;
        let mut handle = Self {
            state: State::Waiting(receiver),
        };
        handle.wait(Some(ARRIVAL));
        Ok(handle)
    }

    /// `None`: for ever.
    fn wait(&mut self, limit: Option<Duration>) -> c_int {
        let State::Waiting(receiver) = &self.state else {
            return self.status();
        };
        let answer = match limit {
            None => receiver.recv().ok(),
            Some(limit) => match receiver.recv_timeout(limit) {
                Ok(answer) => Some(answer),
                Err(mpsc::RecvTimeoutError::Timeout) => return STATUS_TIMEOUT,
                Err(mpsc::RecvTimeoutError::Disconnected) => None,
            },
        };
        self.state = answer.map_or(State::Lost, State::Done);
        self.status()
    }

    fn status(&self) -> c_int {
        match self.state {
            State::Waiting(_) => STATUS_TIMEOUT,
            State::Done(_) => STATUS_COMPLETED,
            State::Lost => STATUS_ERROR,
        }
    }
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
                place.set(Box::into_raw(Box::new(DestructionHandle::begin(
                    client, name,
                )?)));
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
    guard(STATUS_ERROR, || {
        // SAFETY: the crate's rule; a handle was made by this library.
        match unsafe { reference_mut(handle) } {
            Ok(handle) => handle.wait(u64::try_from(timeout_ms).ok().map(Duration::from_millis)),
            Err(_) => STATUS_INVALID,
        }
    })
}

/// Whether the destruction worked, once it is completed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_destruction_handle_get_result(
    handle: *const DestructionHandle,
    result: *mut c_uint,
) -> c_int {
    guard(STATUS_ERROR, || {
        // SAFETY: the crate's rule; a handle was made by this library.
        match unsafe { (reference(handle), out(result)) } {
            (Ok(handle), Ok(place)) => match handle.state {
                State::Done(result) => {
                    place.set(result.map_or_else(Failure::positive, |()| OK));
                    STATUS_OK
                }
                _ => STATUS_INVALID,
            },
            _ => STATUS_INVALID,
        }
    })
}

/// Always "no rotation", once the destruction is completed: sessions are not rotated yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_destruction_handle_get_rotation_state(
    handle: *const DestructionHandle,
    rotation_state: *mut c_int,
) -> c_int {
    guard(STATUS_ERROR, || {
        // SAFETY: the crate's rule; a handle was made by this library.
        match unsafe { (reference(handle), out(rotation_state)) } {
            (Ok(handle), Ok(place)) if matches!(handle.state, State::Done(_)) => {
                place.set(NO_ROTATION);
                STATUS_OK
            }
            _ => STATUS_INVALID,
        }
    })
}

/// Always invalid, as upstream answers for a session that was not rotated.
#[unsafe(no_mangle)]
pub extern "C" fn lttng_destruction_handle_get_archive_location(
    _handle: *const DestructionHandle,
    _location: *mut *const c_void,
) -> c_int {
    STATUS_INVALID
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
