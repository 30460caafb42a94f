//! How long somebody waits for an output that takes nothing.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::session::consumer::{Consumer, Progress};

/// How often we look whether it moves. Nobody who waits less than that pays for it.
const LOOK: Duration = Duration::from_secs(1);

/// How long an output may do nothing before it is given up.
#[derive(Clone, Copy, Debug)]
pub(in crate::session) struct Patience {
    /// It takes nothing.
    idle: Duration,
    /// It takes nothing and says nothing.
    silent: Duration,
}

impl Patience {
    /// For a relay daemon. One that answers is alive: its disk may be slow.
    pub(in crate::session) const RELAY: Self = Self {
        idle: Duration::from_secs(60),
        silent: Duration::from_secs(10),
    };

    /// For a directory: disks say nothing.
    pub(in crate::session) const DIRECTORY: Self = Self {
        idle: Duration::from_secs(60),
        silent: Duration::from_secs(60),
    };
}

/// The output did nothing for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the output took nothing for {} s", .0.as_secs())]
pub(in crate::session) struct Stuck(Duration);

/// Waits for `work`, which a consumer daemon does, as long as its output moves.
pub(in crate::session) async fn while_it_moves<T>(
    consumer: &Consumer,
    patience: Patience,
    work: impl Future<Output = T>,
) -> Result<T, Stuck> {
    let mut work = pin!(work);
    let mut watch = Watch::new(Instant::now());
    loop {
        let look = async {
            sleep(LOOK).await;
            consumer.progress(LOOK).await
        };
        tokio::select! {
            biased;
            done = &mut work => return Ok(done),
            seen = look => watch.look(Instant::now(), seen, patience)?,
        }
    }
}

/// When something was seen to move.
#[derive(Debug)]
struct Watch {
    last: Progress,
    taken_at: Instant,
    answered_at: Instant,
}

impl Watch {
    fn new(now: Instant) -> Self {
        Self {
            last: Progress::default(),
            taken_at: now,
            answered_at: now,
        }
    }

    /// Nothing seen: the consumer daemon itself does not answer.
    fn look(
        &mut self,
        now: Instant,
        seen: Option<Progress>,
        patience: Patience,
    ) -> Result<(), Stuck> {
        let seen = seen.unwrap_or(self.last);
        if seen.taken != self.last.taken {
            self.taken_at = now;
        }
        if seen.answered != self.last.answered {
            self.answered_at = now;
        }
        self.last = seen;
        let idle = now - self.taken_at;
        let silent = idle.min(now - self.answered_at);
        if idle >= patience.idle || silent >= patience.silent {
            return Err(Stuck(idle));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(taken: u64, answered: u64) -> Option<Progress> {
        Some(Progress { taken, answered })
    }

    /// Seconds until it counts as stuck.
    fn stuck_after(look: impl Fn(u64) -> Option<Progress>) -> Option<u64> {
        let start = Instant::now();
        let mut watch = Watch::new(start);
        (1..200).find(|&second| {
            let now = start + Duration::from_secs(second);
            watch.look(now, look(second), Patience::RELAY).is_err()
        })
    }

    #[test]
    fn an_output_that_moves_has_all_the_time_it_needs() {
        assert_eq!(stuck_after(|second| seen(second / 5, 0)), None);
    }

    #[test]
    fn silence_ends_patience_soon_and_answers_alone_later() {
        assert_eq!(stuck_after(|_| seen(7, 3)), Some(11));
        assert_eq!(stuck_after(|second| seen(7, second)), Some(61));
    }

    #[test]
    fn a_consumer_daemon_that_does_not_answer_does_not_move() {
        assert_eq!(stuck_after(|_| None), Some(10));
    }
}
