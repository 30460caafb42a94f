//! Creating sessions by name and URL.

use std::ffi::{c_char, c_int, c_uint};

use control::v1::{CreateSessionRequest, Output};

use crate::boundary::{negative, optional_text};
use crate::daemon::connect;
use crate::failure::Failure;
use crate::lifecycle::session_name;
use crate::output::{from_urls, relay_from_urls};

/// Creates a session; without URL it has no output.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_create_session(name: *const c_char, url: *const c_char) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let (name, url) = unsafe { (session_name(name)?, optional_text(url)?) };
        let output = from_urls(url.as_deref(), None)?.unwrap_or_else(Output::none);
        connect()?.create_session(CreateSessionRequest::new(name, output))?;
        Ok(0)
    })
}

/// Not supported yet: checks what it is given and creates nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_create_session_live(
    name: *const c_char,
    url: *const c_char,
    timer_interval: c_uint,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let (_name, url) = unsafe { (session_name(name)?, optional_text(url)?) };
        if timer_interval == 0 {
            return Err(Failure::INVALID);
        }
        relay_from_urls(url.as_deref(), None)?;
        Err(Failure::NOT_SUPPORTED)
    })
}

/// Not supported yet: checks what it is given and creates nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_create_session_snapshot(
    name: *const c_char,
    snapshot_url: *const c_char,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let (_name, url) = unsafe { (session_name(name)?, optional_text(snapshot_url)?) };
        from_urls(url.as_deref(), None)?;
        Err(Failure::NOT_SUPPORTED)
    })
}
