//! Rotations that a session makes by itself: every so often, and when so much was written.

use std::sync::{Arc, Weak};
use std::time::Duration;

use consumer_api::Request;
use control::ErrorCode;
use tokio::task::AbortHandle;
use tracing::{debug, warn};

use crate::lock::lock;
use crate::session::Session;
use crate::session::plan::Refusal;

/// When a session is rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schedule {
    /// Every so many microseconds while it is active.
    Periodic(u64),
    /// When so many bytes were written to the chunk.
    Size(u64),
}

/// The schedules of a session, at most one of each kind.
#[derive(Debug, Default)]
pub(super) struct Schedules {
    period_us: Option<u64>,
    size_bytes: Option<u64>,
    /// Rotates while the session is active.
    timer: Option<AbortHandle>,
}

impl Schedules {
    fn slot(&mut self, kind: Schedule) -> &mut Option<u64> {
        match kind {
            Schedule::Periodic(_) => &mut self.period_us,
            Schedule::Size(_) => &mut self.size_bytes,
        }
    }
}

impl Session {
    /// In force.
    pub(crate) fn schedules(&self) -> Vec<Schedule> {
        let schedules = lock(&self.schedules);
        let period = schedules.period_us.map(Schedule::Periodic);
        let size = schedules.size_bytes.map(Schedule::Size);
        period.into_iter().chain(size).collect()
    }

    /// Rotates the session by itself from now on.
    pub(crate) async fn add_schedule(self: &Arc<Self>, schedule: Schedule) -> Result<(), Refusal> {
        self.check_rotations()?;
        let (Schedule::Periodic(value) | Schedule::Size(value)) = schedule;
        if value == 0 {
            let message = "a rotation schedule needs a period or size above 0";
            return Err(Refusal::new(ErrorCode::INVALID, message));
        }
        {
            let mut schedules = lock(&self.schedules);
            let slot = schedules.slot(schedule);
            if slot.is_some() {
                let message = "the session has a rotation schedule of that kind already";
                return Err(Refusal::new(ErrorCode::ROTATION_SCHEDULE_SET, message));
            }
            *slot = Some(value);
        }
        self.schedule_changed().await;
        Ok(())
    }

    /// No more; the value of `kind` does not matter.
    pub(crate) async fn remove_schedule(self: &Arc<Self>, kind: Schedule) -> Result<(), Refusal> {
        if lock(&self.schedules).slot(kind).take().is_none() {
            let message = "the session has no rotation schedule of that kind";
            return Err(Refusal::new(ErrorCode::ROTATION_SCHEDULE_NOT_SET, message));
        }
        self.schedule_changed().await;
        Ok(())
    }

    async fn schedule_changed(self: &Arc<Self>) {
        self.run_schedule(self.plan().active);
        let size_bytes = lock(&self.schedules).size_bytes;
        let mut delivery = self.delivery.lock().await;
        if delivery.watch_bytes != size_bytes {
            delivery.watch_bytes = size_bytes;
            let bytes = size_bytes.unwrap_or(0);
            delivery
                .post(vec![(Request::WatchSize { bytes }, Vec::new())])
                .await;
        }
    }

    /// Starts the timer of an active session, and stops that of one that is not.
    pub(super) fn run_schedule(self: &Arc<Self>, active: bool) {
        let mut schedules = lock(&self.schedules);
        if let Some(timer) = schedules.timer.take() {
            timer.abort();
        }
        if let Some(period_us) = schedules.period_us.filter(|_| active) {
            let period = Duration::from_micros(period_us);
            let timer = tokio::spawn(rotate_every(Arc::downgrade(self), period));
            schedules.timer = Some(timer.abort_handle());
        }
    }

    /// A chunk has grown to the watched size.
    pub(super) async fn size_reached(self: Arc<Self>, chunk_id: u64) {
        if self.delivery.lock().await.chunks.current_id() == Some(chunk_id) {
            self.rotate_by_itself().await;
        }
    }

    async fn rotate_by_itself(self: &Arc<Self>) {
        let rotated = match self.exclusive().await {
            Ok(_exclusive) if !self.plan().active => return,
            Ok(_exclusive) => self.rotate().await,
            Err(refusal) => Err(refusal),
        };
        match rotated {
            Ok(id) => debug!("session `{}`: chunk {id} ends by schedule", self.name),
            Err(refusal) if refusal.code == ErrorCode::ROTATION_PENDING => {}
            Err(refusal) => warn!(
                "session `{}` is not rotated by schedule: {}",
                self.name, refusal.message
            ),
        }
    }
}

async fn rotate_every(session: Weak<Session>, period: Duration) {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // The first one is at once.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let Some(session) = session.upgrade() else {
            return;
        };
        // In a task of its own: this one is ended when the schedule is, and a rotation is not.
        let rotating = tokio::spawn(async move { session.rotate_by_itself().await });
        let _ = rotating.await;
    }
}
