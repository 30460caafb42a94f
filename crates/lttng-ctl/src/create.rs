//! Creating sessions by name and URL.

use std::ffi::{c_char, c_int, c_uint};

use control::v1::{CreateSessionRequest, Output};

use crate::boundary::{negative, optional_text};
use crate::daemon::connect;
use crate::failure::Failure;
use crate::lifecycle::session_name;
use crate::output::{from_urls, relay_from_urls, this_machine};

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

/// Creates a live session, whose data reach the relay daemon at least every `timer_interval` microseconds, not 0;
/// without URL a relay daemon on this machine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_create_session_live(
    name: *const c_char,
    url: *const c_char,
    timer_interval: c_uint,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let (name, url) = unsafe { (session_name(name)?, optional_text(url)?) };
        if timer_interval == 0 {
            return Err(Failure::INVALID);
        }
        let output = relay_from_urls(url.as_deref(), None)?;
        connect()?.create_session(CreateSessionRequest {
            live_timer_us: timer_interval,
            ..CreateSessionRequest::new(name, output.unwrap_or_else(this_machine))
        })?;
        Ok(0)
    })
}

/// Creates a snapshot session; without URL it has no snapshot output yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_create_session_snapshot(
    name: *const c_char,
    snapshot_url: *const c_char,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let (name, url) = unsafe { (session_name(name)?, optional_text(snapshot_url)?) };
        let output = from_urls(url.as_deref(), None)?.unwrap_or_else(Output::none);
        connect()?.create_session(CreateSessionRequest {
            snapshot: true,
            ..CreateSessionRequest::new(name, output)
        })?;
        Ok(0)
    })
}
