//! Starting, stopping, destroying and regenerating sessions.

use std::ffi::{c_char, c_int};

use control::v1::regenerate_request::What;
use control::v1::{
    DestroySessionRequest, GetDataPendingRequest, GetSessionRequest, RegenerateRequest,
    StartSessionRequest, StopSessionRequest,
};

use crate::abi::NAME_MAX;
use crate::boundary::{negative, text};
use crate::daemon::connect;
use crate::failure::Failure;

/// The name of a session from a C caller.
///
/// # Safety
/// The crate's rule.
pub(crate) unsafe fn session_name(name: *const c_char) -> Result<String, Failure> {
    // SAFETY: the caller keeps the same rule.
    let name = unsafe { text(name) }?;
    if name.is_empty() || name.len() >= NAME_MAX {
        return Err(Failure::INVALID);
    }
    Ok(name)
}

/// Starts tracing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_start_tracing(session_name: *const c_char) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let name = unsafe { self::session_name(session_name) }?;
        connect()?.start_session(StartSessionRequest::of(name))?;
        Ok(0)
    })
}

/// Stops tracing and returns when all data is where it belongs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_stop_tracing(session_name: *const c_char) -> c_int {
    // SAFETY: the crate's rule.
    unsafe { stop(session_name, false) }
}

/// Stops tracing and returns at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_stop_tracing_no_wait(session_name: *const c_char) -> c_int {
    // SAFETY: the crate's rule.
    unsafe { stop(session_name, true) }
}

unsafe fn stop(session_name: *const c_char, no_wait: bool) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let name = unsafe { self::session_name(session_name) }?;
        connect()?.stop_session(StopSessionRequest { name, no_wait })?;
        Ok(0)
    })
}

/// 1 while data of a stopped session is on its way, else 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_data_pending(session_name: *const c_char) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let session = unsafe { self::session_name(session_name) }?;
        let answer = connect()?.get_data_pending(GetDataPendingRequest { session })?;
        Ok(answer.pending.into())
    })
}

/// Destroys a session and returns when all its data is where it belongs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_destroy_session(name: *const c_char) -> c_int {
    // SAFETY: the crate's rule.
    unsafe { destroy(name, false) }
}

/// Destroys a session and returns at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_destroy_session_no_wait(name: *const c_char) -> c_int {
    // SAFETY: the crate's rule.
    unsafe { destroy(name, true) }
}

unsafe fn destroy(name: *const c_char, no_wait: bool) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let name = unsafe { session_name(name) }?;
        connect()?.destroy_session(DestroySessionRequest { name, no_wait })?;
        Ok(0)
    })
}

/// Writes the metadata again, with a new clock offset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_regenerate_metadata(session_name: *const c_char) -> c_int {
    // SAFETY: the crate's rule.
    unsafe { regenerate(session_name, What::Metadata) }
}

/// The deprecated name of [`lttng_regenerate_metadata`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_metadata_regenerate(session_name: *const c_char) -> c_int {
    // SAFETY: the crate's rule.
    unsafe { regenerate(session_name, What::Metadata) }
}

/// Records the state of the applications again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_regenerate_statedump(session_name: *const c_char) -> c_int {
    // SAFETY: the crate's rule.
    unsafe { regenerate(session_name, What::Statedump) }
}

unsafe fn regenerate(session_name: *const c_char, what: What) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let session = unsafe { self::session_name(session_name) }?;
        let what = what.into();
        connect()?.regenerate(RegenerateRequest { session, what })?;
        Ok(0)
    })
}

/// Not supported: the daemon keeps its buffers in memory that has no path.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_set_session_shm_path(
    session_name: *const c_char,
    shm_path: *const c_char,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let (name, _path) = unsafe { (self::session_name(session_name)?, text(shm_path)?) };
        connect()?.get_session(GetSessionRequest::of(name))?;
        Err(Failure::NOT_SUPPORTED)
    })
}

/// Obsolete, as upstream: always `-LTTNG_ERR_UND`.
#[unsafe(no_mangle)]
pub extern "C" fn lttng_calibrate() -> c_int {
    Failure(control::ErrorCode::UNKNOWN_COMMAND).negative()
}
