//! What systemd is told (`Type=notify`): ready, stopping, alive.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// The conversation; without a service manager it says nothing.
#[derive(Debug)]
pub(crate) struct ServiceManager {
    /// How often to say that we are alive.
    interval: Option<Duration>,
    next: Instant,
}

impl ServiceManager {
    /// Connections are accepted.
    pub(crate) fn ready(summary: &str) -> Self {
        tell(&[NotifyState::Ready, NotifyState::Status(summary)]);
        Self {
            // Half of what is allowed, as sd_watchdog_enabled(3) recommends.
            interval: sd_notify::watchdog_enabled().map(|allowed| allowed / 2),
            next: Instant::now(),
        }
    }

    /// When [`ServiceManager::beat`] should be called.
    pub(crate) fn beat_in(&self) -> Option<Duration> {
        self.interval?;
        Some(self.next.saturating_duration_since(Instant::now()))
    }

    /// Says that we are alive, when it is time to and all is well.
    pub(crate) fn beat(&mut self, well: impl FnOnce() -> bool) {
        let Some(interval) = self.interval else {
            return;
        };
        let now = Instant::now();
        if now >= self.next {
            self.next = now + interval;
            if well() {
                tell(&[NotifyState::Watchdog]);
            }
        }
    }

    /// No more connections are accepted.
    pub(crate) fn stopping() {
        tell(&[NotifyState::Stopping]);
    }
}

fn tell(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(what) {
        tracing::warn!("cannot tell the service manager: {error}");
    }
}
