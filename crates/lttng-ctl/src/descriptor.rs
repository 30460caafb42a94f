//! Session descriptors: what a session shall be, described step by step.

use std::ffi::{CString, c_char, c_int, c_uint, c_ulonglong};
use std::ptr;

use control::ErrorCode;
use control::v1::{CreateSessionRequest, Output};

use crate::abi::NAME_MAX;
use crate::boundary::{guard, optional_text, out, positive, reference, reference_mut};
use crate::daemon::connect;
use crate::failure::Failure;
use crate::output::{relay_from_urls, this_machine};

/// What kind of session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Regular,
    /// With its timer, microseconds, not 0.
    Live(u32),
    Snapshot,
}

/// `struct lttng_session_descriptor`, opaque to C.
#[derive(Debug)]
pub struct Descriptor {
    /// As C reads it; `None`: the daemon chooses.
    name: Option<CString>,
    /// The daemon has chosen.
    auto_named: bool,
    /// `None`: the default directory.
    output: Option<Output>,
    mode: Mode,
}

/// Values of `enum lttng_session_descriptor_status`.
const STATUS_OK: c_int = 0;
const STATUS_UNSET: c_int = 1;
const STATUS_INVALID: c_int = -1;

/// Makes the object for C: NULL if anything is wrong.
///
/// # Safety
/// The crate's rule for `name`.
unsafe fn make(
    name: *const c_char,
    mode: Mode,
    output: impl FnOnce() -> Result<Option<Output>, Failure>,
) -> *mut Descriptor {
    guard(ptr::null_mut(), || {
        // SAFETY: the crate's rule.
        let name = unsafe { optional_text(name) };
        let described = name.and_then(|name| {
            let name = name.filter(|name| !name.is_empty());
            if name.as_ref().is_some_and(|name| name.len() >= NAME_MAX) {
                return Err(Failure::INVALID);
            }
            Ok(Descriptor {
                name: name
                    .map(CString::new)
                    .transpose()
                    .map_err(|_| Failure::INVALID)?,
                auto_named: false,
                output: output()?,
                mode,
            })
        });
        described.map_or(ptr::null_mut(), |made| Box::into_raw(Box::new(made)))
    })
}

/// An absolute path, or NULL for the default.
unsafe fn local(path: *const c_char) -> Result<Option<Output>, Failure> {
    // SAFETY: the crate's rule.
    match unsafe { optional_text(path) }? {
        None => Ok(None),
        Some(path) if path.starts_with('/') => Ok(Some(Output::local(path))),
        Some(_) => Err(Failure::INVALID),
    }
}

/// URLs of a relay, or NULL for one on this machine.
unsafe fn network(
    control_url: *const c_char,
    data_url: *const c_char,
) -> Result<Option<Output>, Failure> {
    // SAFETY: the crate's rule.
    let (control, data) = unsafe { (optional_text(control_url)?, optional_text(data_url)?) };
    let output = relay_from_urls(control.as_deref(), data.as_deref())?;
    Ok(Some(output.unwrap_or_else(this_machine)))
}

/// A regular session without output. A NULL or empty name is chosen by the daemon, here and below.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_session_descriptor_create(name: *const c_char) -> *mut Descriptor {
    // SAFETY: the crate's rule.
    unsafe { make(name, Mode::Regular, || Ok(Some(Output::none()))) }
}

/// A regular session with a local directory; a NULL path is the default below the home directory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_session_descriptor_local_create(
    name: *const c_char,
    path: *const c_char,
) -> *mut Descriptor {
    // SAFETY: the crate's rule.
    unsafe { make(name, Mode::Regular, || local(path)) }
}

/// A regular session that goes to a relay; NULL URLs are one on this machine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_session_descriptor_network_create(
    name: *const c_char,
    control_url: *const c_char,
    data_url: *const c_char,
) -> *mut Descriptor {
    // SAFETY: the crate's rule.
    unsafe { make(name, Mode::Regular, || network(control_url, data_url)) }
}

/// A snapshot session without output.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_session_descriptor_snapshot_create(
    name: *const c_char,
) -> *mut Descriptor {
    // SAFETY: the crate's rule.
    unsafe { make(name, Mode::Snapshot, || Ok(Some(Output::none()))) }
}

/// A snapshot session with a local directory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_session_descriptor_snapshot_local_create(
    name: *const c_char,
    path: *const c_char,
) -> *mut Descriptor {
    // SAFETY: the crate's rule.
    unsafe { make(name, Mode::Snapshot, || local(path)) }
}

/// A snapshot session that goes to a relay.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_session_descriptor_snapshot_network_create(
    name: *const c_char,
    control_url: *const c_char,
    data_url: *const c_char,
) -> *mut Descriptor {
    // SAFETY: the crate's rule.
    unsafe { make(name, Mode::Snapshot, || network(control_url, data_url)) }
}

/// A live session through a relay on this machine. The interval is in microseconds, 1 to 2^32 - 1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_session_descriptor_live_create(
    name: *const c_char,
    live_timer_interval_us: c_ulonglong,
) -> *mut Descriptor {
    // SAFETY: the crate's rule.
    unsafe {
        lttng_session_descriptor_live_network_create(
            name,
            ptr::null(),
            ptr::null(),
            live_timer_interval_us,
        )
    }
}

/// A live session through a relay. The interval is in microseconds, 1 to 2^32 - 1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_session_descriptor_live_network_create(
    name: *const c_char,
    control_url: *const c_char,
    data_url: *const c_char,
    live_timer_interval_us: c_ulonglong,
) -> *mut Descriptor {
    let timer_us = match u32::try_from(live_timer_interval_us) {
        Ok(us) if us != 0 => us,
        _ => return ptr::null_mut(),
    };
    // SAFETY: the crate's rule.
    unsafe {
        make(name, Mode::Live(timer_us), || {
            network(control_url, data_url)
        })
    }
}

/// The session's name; it belongs to the descriptor.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_session_descriptor_get_session_name(
    descriptor: *const Descriptor,
    name: *mut *const c_char,
) -> c_int {
    guard(STATUS_INVALID, || {
        // SAFETY: the crate's rule; a descriptor was made by this library.
        let (Ok(descriptor), Ok(place)) = (unsafe { (reference(descriptor), out(name)) }) else {
            return STATUS_INVALID;
        };
        match &descriptor.name {
            Some(name) => {
                place.set(name.as_ptr());
                STATUS_OK
            }
            None => {
                place.set(ptr::null());
                STATUS_UNSET
            }
        }
    })
}

/// Frees a descriptor.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_session_descriptor_destroy(descriptor: *mut Descriptor) {
    guard((), || {
        if !descriptor.is_null() {
            // SAFETY: made by `make`, and given back once.
            drop(unsafe { Box::from_raw(descriptor) });
        }
    });
}

/// Creates the session that is described, and puts the name the daemon chose into the descriptor.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_create_session_ext(session_descriptor: *mut Descriptor) -> c_uint {
    positive(|| {
        // SAFETY: the crate's rule; a descriptor was made by this library.
        let descriptor = unsafe { reference_mut(session_descriptor) }?;
        if descriptor.auto_named {
            // Such names are the daemon's to give.
            return Err(Failure(ErrorCode::SESSION_EXISTS));
        }
        let name = descriptor
            .name
            .as_ref()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let request = CreateSessionRequest {
            output: descriptor.output.clone(),
            live_timer_us: match descriptor.mode {
                Mode::Live(us) => us,
                Mode::Regular | Mode::Snapshot => 0,
            },
            snapshot: descriptor.mode == Mode::Snapshot,
            ..CreateSessionRequest::in_home(name)
        };
        let created = connect()?.create_session(request)?;
        let name = created.session.unwrap_or_default().name;
        descriptor.auto_named = descriptor.name.is_none();
        descriptor.name = Some(CString::new(name).map_err(|_| Failure::UNKNOWN)?);
        Ok(())
    })
}
