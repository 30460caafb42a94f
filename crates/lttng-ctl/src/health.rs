//! Health: does a daemon answer, and which of its threads are not well.
//!
//! One question on a socket of the daemon: a command of 32 bits, 0, and an answer of 64 bits, one for each thread
//! that is ill, both in the machine's own byte order.

use std::ffi::{CStr, c_char, c_int, c_uint};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::ptr;

use crate::boundary::{guard, reference, reference_mut, text};
use crate::daemon::run_directories;

/// The only command.
const CHECK: u32 = 0;
/// What functions say that get no object.
const INVALID: c_int = -libc::EINVAL;
/// What they say of what is not well, or not known.
const ILL: c_int = -1;

/// Threads in the order of their bits. One has no name with upstream.
const SESSION_DAEMON: &[Option<&CStr>] = &[
    Some(c"Session daemon command"),
    Some(c"Session daemon application manager"),
    Some(c"Session daemon application registration"),
    Some(c"Session daemon kernel"),
    Some(c"Session daemon consumer manager"),
    Some(c"Session daemon hash table cleanup"),
    Some(c"Session daemon application notification manager"),
    Some(c"Session daemon application registration dispatcher"),
    None,
    Some(c"Session daemon rotation manager"),
    Some(c"Session daemon timer manager"),
    Some(c"Session daemon trigger action executor"),
];
const CONSUMER_DAEMON: &[Option<&CStr>] = &[
    Some(c"Consumer daemon channel"),
    Some(c"Consumer daemon metadata"),
    Some(c"Consumer daemon data"),
    Some(c"Consumer daemon session daemon command manager"),
    Some(c"Consumer daemon metadata timer"),
];
const RELAY_DAEMON: &[Option<&CStr>] = &[
    Some(c"Relay daemon dispatcher"),
    Some(c"Relay daemon worker"),
    Some(c"Relay daemon listener"),
    Some(c"Relay daemon live dispatcher"),
    Some(c"Relay daemon live worker"),
    Some(c"Relay daemon live listener"),
];
/// Run directories of the consumer daemons below that of the session daemon, in the order of
/// `enum lttng_health_consumerd`.
const CONSUMER_DIRECTORIES: [&str; 3] = ["ustconsumerd32", "ustconsumerd64", "kconsumerd"];

/// `struct lttng_health`.
#[derive(Debug)]
pub struct Health {
    /// None if there is no such daemon.
    socket: Option<PathBuf>,
    threads: Vec<Thread>,
    /// All are well, said the daemon.
    is_well: bool,
}

/// `struct lttng_health_thread`.
#[derive(Debug)]
pub struct Thread {
    name: Option<&'static CStr>,
    is_ill: bool,
}

impl Health {
    fn of(socket: Option<PathBuf>, names: &[Option<&'static CStr>]) -> *mut Self {
        let threads = names.iter().map(|&name| Thread {
            name,
            is_ill: false,
        });
        Box::into_raw(Box::new(Self {
            socket,
            threads: threads.collect(),
            is_well: false,
        }))
    }

    /// `None`: upstream has no such daemon.
    fn query(&mut self) -> Option<io::Result<()>> {
        let answer = ask(self.socket.as_deref()?);
        Some(answer.map(|ill| {
            self.is_well = ill == 0;
            for (at, thread) in self.threads.iter_mut().enumerate() {
                thread.is_ill = ill & 1 << at != 0;
            }
        }))
    }
}

fn ask(socket: &Path) -> io::Result<u64> {
    let mut connection = UnixStream::connect(socket)?;
    connection.write_all(&CHECK.to_ne_bytes())?;
    let mut answer = [0; 8];
    connection.read_exact(&mut answer)?;
    Ok(u64::from_ne_bytes(answer))
}

fn below_run_directory(name: &Path) -> Option<PathBuf> {
    Some(run_directories().first()?.join(name))
}

/// The session daemon of this user.
#[unsafe(no_mangle)]
pub extern "C" fn lttng_health_create_sessiond() -> *mut Health {
    guard(ptr::null_mut(), || {
        let socket = below_run_directory(Path::new(control::HEALTH_SOCKET));
        Health::of(socket, SESSION_DAEMON)
    })
}

/// A consumer daemon of the session daemon of this user.
#[unsafe(no_mangle)]
pub extern "C" fn lttng_health_create_consumerd(consumerd: c_uint) -> *mut Health {
    guard(ptr::null_mut(), || {
        let directory = CONSUMER_DIRECTORIES.get(consumerd as usize);
        let socket = directory
            .and_then(|name| below_run_directory(&Path::new(name).join(control::CONSUMER_HEALTH)));
        Health::of(socket, CONSUMER_DAEMON)
    })
}

/// The relay daemon that has this socket.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_health_create_relayd(path: *const c_char) -> *mut Health {
    // SAFETY: the crate's rule.
    guard(ptr::null_mut(), || match unsafe { text(path) } {
        Ok(path) => Health::of(Some(path.into()), RELAY_DAEMON),
        Err(_) => ptr::null_mut(),
    })
}

/// Frees an object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_health_destroy(health: *mut Health) {
    if !health.is_null() {
        // SAFETY: made by `Health::of`, and given back once.
        drop(unsafe { Box::from_raw(health) });
    }
}

/// Asks the daemon.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_health_query(health: *mut Health) -> c_int {
    guard(ILL, || {
        // SAFETY: the crate's rule.
        let Ok(health) = (unsafe { reference_mut(health) }) else {
            return INVALID;
        };
        match health.query() {
            Some(Ok(())) => 0,
            Some(Err(_)) => ILL,
            None => INVALID,
        }
    })
}

/// 0 if the daemon said that all is well.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_health_state(health: *const Health) -> c_int {
    // SAFETY: the crate's rule.
    match unsafe { reference(health) } {
        Ok(health) if health.is_well => 0,
        Ok(_) => ILL,
        Err(_) => INVALID,
    }
}

/// How many threads such a daemon has.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_health_get_nr_threads(health: *const Health) -> c_int {
    // SAFETY: the crate's rule.
    match unsafe { reference(health) } {
        Ok(health) => c_int::try_from(health.threads.len()).unwrap_or(INVALID),
        Err(_) => INVALID,
    }
}

/// One of the threads; it belongs to the object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_health_get_thread(
    health: *const Health,
    nth_thread: c_uint,
) -> *const Thread {
    // SAFETY: the crate's rule.
    let health = unsafe { reference(health) };
    let thread = health.ok().and_then(|h| h.threads.get(nth_thread as usize));
    thread.map_or(ptr::null(), ptr::from_ref)
}

/// 0 unless the daemon said that the thread is ill.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_health_thread_state(thread: *const Thread) -> c_int {
    // SAFETY: the crate's rule.
    match unsafe { reference(thread) } {
        Ok(thread) if thread.is_ill => ILL,
        Ok(_) => 0,
        Err(_) => INVALID,
    }
}

/// The name of a thread, for humans.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_health_thread_name(thread: *const Thread) -> *const c_char {
    // SAFETY: the crate's rule.
    let thread = unsafe { reference(thread) };
    let name = thread.ok().and_then(|thread| thread.name);
    name.map_or(ptr::null(), CStr::as_ptr)
}
