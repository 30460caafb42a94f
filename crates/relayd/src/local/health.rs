//! Health as stock's clients ask for it (`lttng_health_query`): a command in, the set of threads that are
//! not well out, both numbers in the machine's own byte order.

use std::time::Duration;

use crate::pulse::Pulse;

/// The only command there is.
const CHECK: u32 = 0;
/// Stock's number of the thread that serves control and data connections.
const WORKER: u32 = 1;
/// How long a thread may not come round, as stock has it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Which threads have not come back for too long; nothing for a command that does not exist.
pub(super) fn answer<'a>(mut pulses: impl Iterator<Item = &'a Pulse>, asked: &[u8]) -> Vec<u8> {
    let command = asked.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes));
    if command != Some(CHECK) {
        return Vec::new();
    }
    let mut ill = 0_u64;
    if pulses.any(|pulse| pulse.busy_for() > PATIENCE) {
        ill |= 1 << WORKER;
    }
    ill.to_ne_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_is_not_ill() {
        let pulses = [Pulse::default(), Pulse::default()];
        pulses[0].begins();
        assert_eq!(answer(pulses.iter(), &[0; 4]), 0_u64.to_ne_bytes());
        assert!(answer(pulses.iter(), &[1; 4]).is_empty());
    }
}
