//! Exported variables.

use std::ffi::{c_int, c_ulong, c_void};
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU64, Ordering};

/// Not 0: the library prints nothing. In no header; programs of upstream set it.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub static lttng_opt_quiet: AtomicI32 = AtomicI32::new(0);
/// How much to print; not used here.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub static lttng_opt_verbose: AtomicI32 = AtomicI32::new(0);
/// Machine interface output; not used here.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub static lttng_opt_mi: AtomicI32 = AtomicI32::new(0);

/// An endpoint is an address and no more: nothing can be asked of it yet.
static COMMANDS: u8 = 0;
static NOTIFICATIONS: u8 = 1;

/// The endpoint of the session daemon's commands.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub static lttng_session_daemon_command_endpoint: AtomicPtr<c_void> =
    AtomicPtr::new((&raw const COMMANDS).cast_mut().cast());
/// The endpoint of the session daemon's notifications.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub static lttng_session_daemon_notification_endpoint: AtomicPtr<c_void> =
    AtomicPtr::new((&raw const NOTIFICATIONS).cast_mut().cast());

// The types above are what C sees.
const _: () = {
    assert!(size_of::<AtomicI32>() == size_of::<c_int>());
    assert!(size_of::<AtomicPtr<c_void>>() == size_of::<*mut c_void>());
    assert!(size_of::<AtomicU64>() == size_of::<c_ulong>());
};

/// A message for the person at the terminal, unless the program wants quiet.
pub(crate) fn say(message: &str) {
    if lttng_opt_quiet.load(Ordering::Relaxed) == 0 {
        eprintln!("Error: {message}");
    }
}

/// Upstream's internal seed, which its own command looks for; not used here.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub static lttng_ht_seed: AtomicU64 = AtomicU64::new(0x42);
