//! `lttng_strerror`.

use std::ffi::{CStr, c_char, c_int};
use std::ptr;

use control::ErrorCode;

/// What a code is called to a person; NULL for the few that have no text. Only negative codes are errors.
#[unsafe(no_mangle)]
pub extern "C" fn lttng_strerror(code: c_int) -> *const c_char {
    let text = if code < 0 {
        ErrorCode(code.unsigned_abs()).text()
    } else {
        Some(c"Unknown error code")
    };
    text.map_or(ptr::null(), CStr::as_ptr)
}
