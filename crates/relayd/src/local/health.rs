//! Health as stock's clients ask for it (`lttng_health_query`): a command in, the set of threads that are
//! not well out, both numbers in the machine's own byte order.

/// The only command there is.
const CHECK: u32 = 0;
/// Stock's number of the thread that serves control and data connections.
const WORKER: u32 = 1;
/// Stock's number of the thread that serves viewers.
const LIVE_WORKER: u32 = 4;

/// Which threads are ill; nothing for a command that does not exist.
pub(super) fn answer(workers_are_well: bool, viewers_are_well: bool, asked: &[u8]) -> Vec<u8> {
    let command = asked.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes));
    if command != Some(CHECK) {
        return Vec::new();
    }
    let ill = u64::from(!workers_are_well) << WORKER | u64::from(!viewers_are_well) << LIVE_WORKER;
    ill.to_ne_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_for_each_ill_thread() {
        assert_eq!(answer(true, true, &[0; 4]), 0_u64.to_ne_bytes());
        assert_eq!(answer(false, true, &[0; 4]), 2_u64.to_ne_bytes());
        assert_eq!(answer(true, false, &[0; 4]), 16_u64.to_ne_bytes());
        assert!(answer(true, true, &[1; 4]).is_empty());
    }
}
