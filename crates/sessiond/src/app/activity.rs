//! What a process does, as far as it tells whether there is use in waiting for it.

use std::fs;

/// Whether it is stopped (a signal, a debugger), a zombie or gone.
pub(super) fn is_stopped(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.map_or(true, |stat| {
        matches!(state(&stat), None | Some('T' | 't' | 'Z' | 'X'))
    })
}

/// Whether one of its threads waits for a processor or a disk, or has got one: on a busy machine that takes time.
pub(super) fn is_busy(pid: u32) -> bool {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    tasks.into_iter().flatten().flatten().any(|task| {
        let stat = fs::read_to_string(task.path().join("stat"));
        stat.is_ok_and(|stat| matches!(state(&stat), Some('R' | 'D')))
    })
}

/// `PID (NAME) STATE …`; the name may hold anything.
fn state(stat: &str) -> Option<char> {
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.chars().next()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::thread;

    use super::*;

    #[test]
    fn a_name_does_not_hide_the_state() {
        assert_eq!(state("12 (a) T) R 1 12"), Some('R'));
        assert_eq!(state("12"), None);
    }

    #[test]
    fn a_process_is_idle_busy_or_stopped() {
        let mut idle = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        while is_busy(idle.id()) {
            thread::yield_now();
        }
        assert!(!is_stopped(idle.id()));
        // The thread that asks has a processor.
        assert!(is_busy(std::process::id()) && !is_stopped(std::process::id()));
        idle.kill().unwrap();
        idle.wait().unwrap();
        assert!(is_stopped(idle.id()) && !is_busy(idle.id()));
    }
}
