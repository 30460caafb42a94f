//! What the ring buffers ask of the system.

use std::io;

use rustix::time::{ClockId, clock_gettime};

/// The clock of the traces: `CLOCK_MONOTONIC` in nanoseconds.
pub fn monotonic_now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Number of streams a channel needs: the highest CPU number that can ever exist here, plus one.
///
/// Applications count in the same way, and drop events of CPUs beyond, without counting them.
pub fn possible_cpus() -> io::Result<u32> {
    let list = std::fs::read_to_string("/sys/devices/system/cpu/possible")?;
    parse_cpu_list(&list).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("/sys/devices/system/cpu/possible says `{}`", list.trim()),
        )
    })
}

fn parse_cpu_list(list: &str) -> Option<u32> {
    let highest = list
        .trim()
        .split(',')
        .map(|range| range.rsplit('-').next()?.parse::<u32>().ok())
        .collect::<Option<Vec<_>>>()?;
    highest.into_iter().max()?.checked_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_cpu_counts_whatever_the_gaps() {
        assert_eq!(parse_cpu_list("0-1\n"), Some(2));
        assert_eq!(parse_cpu_list("0\n"), Some(1));
        assert_eq!(parse_cpu_list("0-3,8-11\n"), Some(12));
        assert_eq!(parse_cpu_list("0,5"), Some(6));
        assert_eq!(parse_cpu_list(""), None);
        assert_eq!(parse_cpu_list("0-x"), None);
    }

    #[test]
    fn this_system_has_cpus_and_a_clock_that_does_not_go_back() {
        assert!(possible_cpus().unwrap() >= 1);
        let before = monotonic_now();
        assert!(monotonic_now() >= before);
    }
}
