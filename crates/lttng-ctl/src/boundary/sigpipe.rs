//! Keeps SIGPIPE away from the calling program.
//!
//! Writing to a daemon that has just gone raises the signal in the writing thread. A program in C has usually
//! not decided to ignore it, and would die. The signal is blocked while a call runs, and taken off the
//! thread if it came meanwhile.

use std::mem::MaybeUninit;
use std::ptr;

/// SIGPIPE is held back while this lives.
pub(super) struct SigPipe {
    /// The thread's mask before; `None` if nothing is to be done at the end.
    before: Option<libc::sigset_t>,
}

impl SigPipe {
    pub(super) fn hold() -> Self {
        let mut pending = MaybeUninit::uninit();
        let mut before = MaybeUninit::uninit();
        let only = only_sigpipe();
        // SAFETY: all three sets are local; `pending` and `before` are written by the calls that succeed, and
        // read only then.
        unsafe {
            // One that is pending already belongs to the program.
            let theirs = libc::sigpending(pending.as_mut_ptr()) == 0
                && libc::sigismember(pending.as_ptr(), libc::SIGPIPE) == 1;
            if theirs || libc::pthread_sigmask(libc::SIG_BLOCK, &only, before.as_mut_ptr()) != 0 {
                return Self { before: None };
            }
            Self {
                before: Some(before.assume_init()),
            }
        }
    }
}

impl Drop for SigPipe {
    fn drop(&mut self) {
        let Some(before) = &self.before else {
            return;
        };
        let at_once = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let only = only_sigpipe();
        // SAFETY: the sets and the time are local and initialised; no information is asked for.
        unsafe {
            while libc::sigtimedwait(&only, ptr::null_mut(), &at_once) == libc::SIGPIPE {}
            libc::pthread_sigmask(libc::SIG_SETMASK, before, ptr::null_mut());
        }
    }
}

fn only_sigpipe() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `sigemptyset` initialises the set and cannot fail; SIGPIPE is a valid signal.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGPIPE);
        set.assume_init()
    }
}

/// Leaves all signals to the threads of the program: for a thread of this library, at its start.
pub(crate) fn leave_signals_to_the_program() {
    let mut all = MaybeUninit::uninit();
    // SAFETY: `sigfillset` initialises the set, which is local, and cannot fail.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), ptr::null_mut());
    }
}
