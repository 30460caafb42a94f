//! Between C and the rest: pointers to values and back, results to numbers, no panic across.

mod array;
mod input;
mod sigpipe;

use std::ffi::{c_int, c_uint};
use std::panic::{AssertUnwindSafe, catch_unwind};

pub use array::{Tail, array, own_text, zeroed};
pub use input::{Out, fixed, optional_text, out, reference, reference_mut, text, text_of};

use crate::failure::{Failure, OK};
use sigpipe::SigPipe;
pub(crate) use sigpipe::leave_signals_to_the_program;

/// Runs the body of a call; `failed` if it panics. A daemon that hangs up does not raise SIGPIPE in the
/// calling program.
pub fn guard<T>(failed: T, body: impl FnOnce() -> T) -> T {
    let _sigpipe = SigPipe::hold();
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(failed)
}

/// For functions that return 0, a count or a truth value, and a negative code on failure.
pub fn negative(body: impl FnOnce() -> Result<c_int, Failure>) -> c_int {
    guard(Err(Failure::UNKNOWN), body).unwrap_or_else(Failure::negative)
}

/// For functions that return `enum lttng_error_code`.
pub fn positive(body: impl FnOnce() -> Result<(), Failure>) -> c_uint {
    match guard(Err(Failure::UNKNOWN), body) {
        Ok(()) => OK,
        Err(failure) => failure.positive(),
    }
}

/// The length of a list as C functions return it.
pub fn count(length: usize) -> Result<c_int, Failure> {
    c_int::try_from(length).map_err(|_| Failure(control::ErrorCode::NO_MEMORY))
}
