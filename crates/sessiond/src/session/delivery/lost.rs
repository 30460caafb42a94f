//! A consumer daemon was killed, or the place takes nothing any more: who goes on, and where.

use std::sync::{Arc, Weak};
use std::time::Duration;

use consumer_api::{Answer, Request};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::{Delivery, Problem, and_then};
use crate::lock::lock;
use crate::session::Session;
use crate::session::consumer::{Consumer, ConsumerState};
use crate::session::output::{OutputSetting, RelayLoss};

/// Pauses between attempts to reach a relay daemon again: doubled up to the second one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Between attempts to write to a local output again, and how long the same failure is not told again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
const SILENCE: Duration = Duration::from_secs(60);
/// Consumer daemons that may die within [`DEATHS_WITHIN`] before we give up.
const MAX_DEATHS: usize = 10;
const DEATHS_WITHIN: Duration = Duration::from_secs(10);

impl Session {
    /// A consumer daemon has ended, or its output takes nothing any more.
    pub(super) async fn delivery_lost(self: &Arc<Self>, generation: u64, state: ConsumerState) {
        let mut delivery = self.delivery.lock().await;
        if delivery.generation != generation {
            return;
        }
        delivery.generation += 1;
        if let (Some(consumer), ConsumerState::Gone(_)) = (delivery.consumer.take(), &state) {
            delivery.note_doubts(&consumer);
        }
        let to_relay = matches!(delivery.setting, OutputSetting::Relay { .. });
        let (reason, died) = match state {
            ConsumerState::Running => return,
            ConsumerState::OutputFailed(reason) => (reason, false),
            ConsumerState::Gone(how) => (
                format!("the consumer daemon ended unexpectedly ({how})"),
                true,
            ),
        };
        if died || delivery.is_news(&reason) {
            warn!("session `{}`: {reason}", self.name);
        }
        if died {
            lock(&self.report).replaced += 1;
            delivery
                .deaths
                .retain(|death| death.elapsed() < DEATHS_WITHIN);
            delivery.deaths.push(Instant::now());
        }
        if to_relay || !died {
            // What was sent of it cannot be told; the next place is another chunk in any case.
            self.fail_rotation(&mut delivery, &reason);
        }
        let between = delivery.chunks.current.is_none() && delivery.rotating.is_none();
        if between && died {
            // Nothing is to be delivered until the session starts again.
            if to_relay {
                delivery.place = None;
            }
        } else if delivery.deaths.len() > MAX_DEATHS {
            delivery.problem = Some(Problem::Failed(format!(
                "{reason}; it was replaced too often"
            )));
        } else if to_relay && !died && delivery.relay_loss == RelayLoss::Local {
            self.fall_back(&mut delivery, reason).await;
        } else if to_relay {
            delivery.problem = Some(Problem::Reconnecting(reason));
            tokio::spawn(reconnect(Arc::downgrade(self), delivery.generation));
        } else if died {
            self.replace(&mut delivery).await;
        } else {
            delivery.problem = Some(Problem::Failing(reason));
            tokio::spawn(try_here(Arc::downgrade(self), delivery.generation));
        }
        if let Some(Problem::Failed(reason)) = delivery.problem.clone() {
            self.fail_rotation(&mut delivery, &reason);
        }
        self.publish(&delivery);
    }

    /// Starts another consumer daemon for a local place.
    async fn replace(self: &Arc<Self>, delivery: &mut Delivery) {
        loop {
            let deaths = delivery.deaths.len();
            match self.launch(delivery).await {
                Ok(()) => return,
                // It was killed before it had begun.
                Err(_) if (deaths + 1..=MAX_DEATHS).contains(&delivery.deaths.len()) => {}
                Err(refusal) => {
                    delivery.problem = Some(Problem::Failed(refusal.message));
                    return;
                }
            }
        }
    }

    pub(super) async fn fall_back(self: &Arc<Self>, delivery: &mut Delivery, reason: String) {
        let setting = self.default_output();
        delivery.problem = Some(Problem::Failed(reason.clone()));
        match self.move_to(delivery, setting).await {
            Ok(()) => {
                info!("session `{}` goes on locally", self.name);
                delivery.network.enabled = false;
                delivery.fallback = Some(reason);
            }
            Err(refusal) => {
                let message = and_then(&reason, &refusal.message);
                delivery.problem = Some(Problem::Failed(message));
            }
        }
    }

    /// One attempt to go on in the present place. `true`: somebody else cares for what comes of it.
    async fn try_to_go_on(self: &Arc<Self>, generation: u64) -> bool {
        let mut delivery = self.delivery.lock().await;
        if delivery.generation != generation || self.plan().destroyed {
            return true;
        }
        let reason = delivery.problem_text().unwrap_or_default().to_owned();
        let launched = self.launch(&mut delivery).await;
        if let (Ok(()), Some(consumer)) = (&launched, delivery.consumer.clone()) {
            tokio::spawn(has_room(
                Arc::downgrade(self),
                consumer,
                delivery.generation,
            ));
        }
        let is_running = launched.is_ok();
        let reason = launched.map_or_else(|refusal| refusal.message, |()| reason);
        // Until something was written, nobody knows.
        delivery.problem = Some(Problem::Failing(reason));
        self.publish(&delivery);
        is_running
    }

    /// The local output takes something again.
    async fn is_whole_again(&self, generation: u64) {
        let mut delivery = self.delivery.lock().await;
        if delivery.generation == generation && delivery.consumer.is_some() {
            info!("session `{}`: its output takes packets again", self.name);
            delivery.problem = None;
            self.publish(&delivery);
        }
    }

    /// One attempt to reach the relay daemon again. `true`: no more attempts are needed.
    async fn try_reconnect(self: &Arc<Self>, generation: u64) -> bool {
        let (setting, created) = {
            let mut delivery = self.delivery.lock().await;
            if delivery.generation != generation || self.plan().destroyed {
                return true;
            }
            let created = delivery.next_creation(self);
            (delivery.setting.clone(), created)
        };
        // Without the lock: this may take seconds, and applications must not wait for it.
        let opened = self.open_place(&setting, created, false).await;
        let mut delivery = self.delivery.lock().await;
        if delivery.generation != generation {
            return true;
        }
        let launched = match opened {
            Ok(place) => {
                delivery.place = place;
                delivery.chunks.leave_place();
                self.launch(&mut delivery).await
            }
            Err(refusal) => Err(refusal),
        };
        match launched {
            Ok(()) => {
                info!("session `{}` streams again", self.name);
                true
            }
            // A consumer daemon had died, and now the relay daemon is gone as well.
            Err(refusal) if delivery.relay_loss == RelayLoss::Local => {
                self.fall_back(&mut delivery, refusal.message).await;
                self.publish(&delivery);
                true
            }
            Err(refusal) => {
                delivery.problem = Some(Problem::Reconnecting(refusal.message));
                self.publish(&delivery);
                false
            }
        }
    }
}

impl Delivery {
    /// The output did not fail for the same reason a moment ago.
    fn is_news(&mut self, reason: &str) -> bool {
        match &self.failure {
            Some((last, since)) if last == reason && since.elapsed() < SILENCE => false,
            _ => {
                self.failure = Some((reason.to_owned(), Instant::now()));
                true
            }
        }
    }
}

/// Waits for bad news of a consumer daemon. Boxed: what it does may end in watching over another one.
pub(super) fn watch_over(
    session: Weak<Session>,
    mut state: watch::Receiver<ConsumerState>,
    generation: u64,
) -> BoxFuture<'static, ()> {
    let watching = async move {
        let bad = match state
            .wait_for(|state| *state != ConsumerState::Running)
            .await
        {
            Ok(bad) => ConsumerState::clone(&bad),
            Err(_) => return,
        };
        if let Some(session) = session.upgrade() {
            session.delivery_lost(generation, bad).await;
        }
    };
    watching.boxed()
}

/// Waits until a consumer daemon has brought all that there is to a local output that had failed.
async fn has_room(session: Weak<Session>, consumer: Arc<Consumer>, generation: u64) {
    if let Ok(Answer::Nothing) = consumer.call(Request::Drain, Vec::new()).await
        && let Some(session) = session.upgrade()
    {
        session.is_whole_again(generation).await;
    }
}

/// Tries the local output until it takes something again: disks get space, and file systems are mounted again.
/// Boxed for the same reason.
fn try_here(session: Weak<Session>, generation: u64) -> BoxFuture<'static, ()> {
    let trying = async move {
        loop {
            sleep(RETRY_PAUSE).await;
            match session.upgrade() {
                Some(session) if session.try_to_go_on(generation).await => return,
                Some(_) => {}
                None => return,
            }
        }
    };
    trying.boxed()
}

/// Tries until the relay daemon is reached, or somebody decides otherwise. Boxed for the same reason.
fn reconnect(session: Weak<Session>, generation: u64) -> BoxFuture<'static, ()> {
    let trying = async move {
        let mut pause = FIRST_PAUSE;
        while let Some(session) = session.upgrade() {
            if session.try_reconnect(generation).await {
                return;
            }
            drop(session);
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    };
    trying.boxed()
}
