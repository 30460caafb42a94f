//! The threads of processes.

use std::collections::BTreeSet;
use std::fs;

/// All threads that these processes have now, as numbers. A process that does not exist (any more) stands
/// for itself.
pub(super) fn of(processes: &BTreeSet<u32>) -> Vec<u32> {
    let mut tids = BTreeSet::new();
    for &process in processes {
        tids.insert(process);
        let tasks = fs::read_dir(format!("/proc/{process}/task"));
        for entry in tasks.into_iter().flatten().flatten() {
            tids.extend(
                entry
                    .file_name()
                    .to_str()
                    .and_then(|name| name.parse::<u32>().ok()),
            );
        }
    }
    tids.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_all_its_threads() {
        let own = std::process::id();
        let (send, wait) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || wait.recv());
        let tids = of(&BTreeSet::from([own]));
        drop(send);
        let _ = thread.join();
        assert!(tids.contains(&own) && tids.len() >= 2, "{tids:?}");
        // More than there can be.
        assert_eq!(of(&BTreeSet::from([5_000_000])), [5_000_000]);
    }
}
