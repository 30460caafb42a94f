//! Why a call failed, as the code that its caller gets.
#![forbid(unsafe_code)]

use std::ffi::{c_int, c_uint};

use control::{CallError, ErrorCode};

/// `LTTNG_OK` of `enum lttng_error_code`.
pub const OK: c_uint = 10;

/// A call that failed, with a value of `enum lttng_error_code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure(pub ErrorCode);

impl Failure {
    /// A value of the call is wrong.
    pub const INVALID: Self = Self(ErrorCode::INVALID);
    /// Not there (yet).
    pub const NOT_SUPPORTED: Self = Self(ErrorCode::NOT_SUPPORTED);
    /// A bug of this library.
    pub const UNKNOWN: Self = Self(ErrorCode::UNKNOWN);

    /// As functions return it that tell failure by a negative number.
    pub fn negative(self) -> c_int {
        -c_int::try_from(self.0.0).unwrap_or(11)
    }

    /// As functions return it whose type is `enum lttng_error_code`.
    pub fn positive(self) -> c_uint {
        self.0.0
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self(error.code())
    }
}
