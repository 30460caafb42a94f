//! Whether a thread still comes round.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// A thread that does not come round for so long is ill; as stock has it.
pub(crate) const ILL_AFTER: Duration = Duration::from_secs(20);

/// When a thread began what it is doing; told to others without a lock. One thread writes, and who reads
/// wants to know it to the second, so no ordering is needed.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    /// Milliseconds since the first use of any pulse, plus 1; 0: the thread waits for something to do.
    since: AtomicU64,
}

impl Pulse {
    /// The thread has something to do.
    pub(crate) fn begins(&self) {
        self.since.store(now_ms() + 1, Relaxed);
    }

    /// The thread waits.
    pub(crate) fn ends(&self) {
        self.since.store(0, Relaxed);
    }

    /// For how long it has not waited.
    pub(crate) fn busy_for(&self) -> Duration {
        match self.since.load(Relaxed) {
            0 => Duration::ZERO,
            since => Duration::from_millis((now_ms() + 1).saturating_sub(since)),
        }
    }
}

fn now_ms() -> u64 {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    let epoch = EPOCH.get_or_init(Instant::now);
    u64::try_from(epoch.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_is_not_busy() {
        let pulse = Pulse::default();
        assert_eq!(pulse.busy_for(), Duration::ZERO);
        pulse.since.store(1, Relaxed);
        std::thread::sleep(Duration::from_millis(3));
        now_ms();
        std::thread::sleep(Duration::from_millis(3));
        assert!(pulse.busy_for() > Duration::ZERO);
        pulse.begins();
        assert!(pulse.busy_for() < Duration::from_secs(60));
        pulse.ends();
        assert_eq!(pulse.busy_for(), Duration::ZERO);
    }
}
