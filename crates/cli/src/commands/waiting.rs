//! Progress while the daemon works.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{self, MissedTickBehavior};

use crate::ui::Ui;

/// One dot per tick, as upstream draws them.
const TICK: Duration = Duration::from_millis(200);

/// Awaits `work`. When it takes longer than a tick, prints `text` and dots; the line is left open then, and
/// the second value is true.
pub(super) async fn with_dots<T>(ui: &Ui, text: &str, work: impl Future<Output = T>) -> (T, bool) {
    let mut work = pin!(work);
    // Not `interval`: its first tick is due at once, and the timer takes a millisecond for that.
    let mut ticks = time::interval_at(time::Instant::now() + TICK, TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut begun = false;
    loop {
        tokio::select! {
            done = &mut work => return (done, begun),
            _ = ticks.tick() => {
                if !begun {
                    ui.progress(text);
                    begun = true;
                }
                ui.progress(".");
            }
        }
    }
}
