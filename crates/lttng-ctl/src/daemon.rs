//! The session daemon: finding it, asking it.

use std::ffi::{c_char, c_int};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use control::SocketPath;
use control::blocking::Client;

use crate::boundary::{negative, text};
use crate::failure::Failure;

/// Name of the group whose members use root's daemon, for the whole process; `None`: the default.
static TRACING_GROUP: Mutex<Option<String>> = Mutex::new(None);
const DEFAULT_TRACING_GROUP: &str = "tracing";

/// A connection for one call, as upstream makes one for each.
pub(crate) fn connect() -> Result<Client, Failure> {
    let path = SocketPath::for_this_user(&tracing_group());
    Ok(Client::connect(&path)?)
}

/// Where the session daemon of this user may be, the likeliest place first.
pub(crate) fn run_directories() -> Vec<PathBuf> {
    control::run_directories_for_this_user(&tracing_group())
}

fn tracing_group() -> String {
    let group = TRACING_GROUP.lock().unwrap_or_else(PoisonError::into_inner);
    group
        .clone()
        .unwrap_or_else(|| DEFAULT_TRACING_GROUP.to_owned())
}

/// 1 if a session daemon answers this user, else 0.
#[unsafe(no_mangle)]
pub extern "C" fn lttng_session_daemon_alive() -> c_int {
    negative(|| Ok(connect().is_ok().into()))
}

/// Names the group whose members use root's daemon (`tracing` at first).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_set_tracing_group(name: *const c_char) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let name = unsafe { text(name) }?;
        *TRACING_GROUP.lock().unwrap_or_else(PoisonError::into_inner) = Some(name);
        Ok(0)
    })
}
