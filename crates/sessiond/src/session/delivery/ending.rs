//! The end of a session's delivery, whatever its output does: it is tried once more, then elsewhere if the user
//! said so, and what cannot be delivered is counted.

use std::sync::Arc;
use std::time::Duration;

use consumer_api::{Answer, ChunkSetup, Counters, OutputSetup, Request, SessionSetup};
use tokio::time::timeout;
use tracing::{info, warn};

use super::patience::{Patience, while_it_moves};
use super::{Delivery, Problem, and_then, now_unix_s};
use crate::session::Session;
use crate::session::consumer::{ConsumerError, ConsumerState};
use crate::session::output::{OutputSetting, RelayLoss};
use crate::session::plan::Refusal;
use crate::session::rotation::ArchiveLocation;
use crate::session::snapshot::all_done;

/// How long the one more try may take to reach the relay daemon.
const RETRY_PATIENCE: Duration = Duration::from_secs(15);
/// Consumer daemons that may be killed while they count what is given up.
const COUNTING_ATTEMPTS: u32 = 3;

/// How a consumer daemon may take its leave.
#[derive(Clone, Copy, Debug)]
pub(super) enum Leave {
    /// As long as its output moves.
    WhileItMoves,
    /// So long.
    Within(Duration),
}

/// The last trace chunk of a place: its number and where it is, if it went to the archives.
pub(super) type LastChunk = Option<(u64, ArchiveLocation)>;

/// The last chunk may not be complete.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{reason}")]
pub(super) struct Incomplete {
    reason: String,
    /// Another consumer daemon can try to go on in the same chunk.
    resumable: bool,
}

/// What was in the buffers when a session was destroyed, and could not be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GivenUp {
    pub(crate) events: u64,
    pub(crate) packets: u64,
    /// Of the packets.
    pub(crate) bytes: u64,
    /// What the output did.
    pub(crate) reason: String,
}

/// How a session's delivery has ended.
#[derive(Debug, Default)]
pub(in crate::session) struct Ending {
    /// Where the last chunk is, if the session was rotated before.
    pub(in crate::session) archived: LastChunk,
    /// All is where it belongs if this is none.
    pub(in crate::session) given_up: Option<GivenUp>,
}

impl Session {
    /// Ends the delivery: all that is complete is delivered, and the place is closed. This takes as long as the
    /// output moves, and is bounded when it does not.
    pub(in crate::session) async fn end_delivery(self: &Arc<Self>) -> Ending {
        self.end_rotation().await;
        let mut delivery = self.delivery.lock().await;
        delivery.generation += 1;
        let ending = self.finish(&mut delivery).await;
        for trace in self.ledger.live() {
            trace.trace.give_up();
            self.ledger.end(trace.trace.key());
        }
        delivery.place = None;
        delivery.spare = None;
        ending
    }

    /// Waits for the change of chunks that is under way. When its output does not move, there will be none.
    async fn end_rotation(self: &Arc<Self>) {
        let consumer = {
            let delivery = self.delivery.lock().await;
            let consumer = delivery.consumer.clone();
            consumer.map(|consumer| (consumer, delivery.patience()))
        };
        if let Some((consumer, patience)) = consumer
            && let Err(stuck) = while_it_moves(&consumer, patience, self.rotation_settled()).await
        {
            warn!("session `{}`: changing the trace chunk: {stuck}", self.name);
            consumer.end().await;
        }
        self.rotation_settled().await;
    }

    async fn finish(self: &Arc<Self>, delivery: &mut Delivery) -> Ending {
        let had_chunk = delivery.chunks.current.is_some();
        let mut incomplete = match leave(delivery, false, Leave::WhileItMoves).await {
            Ok(archived) => return Ending::whole(archived),
            Err(incomplete) => incomplete,
        };
        warn!("session `{}`: {}", self.name, incomplete.reason);
        match self.try_again(delivery, &incomplete).await {
            Ok(archived) => return Ending::whole(archived),
            Err(again) => incomplete = again,
        }
        let remote = matches!(delivery.setting, OutputSetting::Relay { .. });
        if remote && delivery.relay_loss == RelayLoss::Local {
            self.fall_back(delivery, incomplete.reason.clone()).await;
            self.publish(delivery);
            match leave(delivery, false, Leave::WhileItMoves).await {
                Ok(archived) => return Ending::whole(archived),
                Err(last) => incomplete = last,
            }
        }
        let reason = incomplete.reason;
        let counted = self.count_the_rest(delivery).await;
        if counted.packets == 0 && !(had_chunk && delivery.has_traced) {
            return Ending::default();
        }
        warn!(
            "session `{}`: {} events in {} packets are given up: {reason}",
            self.name, counted.events, counted.packets
        );
        Ending {
            archived: None,
            given_up: Some(GivenUp {
                events: counted.events,
                packets: counted.packets,
                bytes: counted.bytes,
                reason,
            }),
        }
    }

    /// Lets another consumer daemon go on, in another session on the relay daemon.
    async fn try_again(
        self: &Arc<Self>,
        delivery: &mut Delivery,
        incomplete: &Incomplete,
    ) -> Result<LastChunk, Incomplete> {
        let begun = timeout(RETRY_PATIENCE, self.begin_again(delivery, incomplete)).await;
        let reason = match begun {
            Ok(Ok(())) => return leave(delivery, false, Leave::WhileItMoves).await,
            Ok(Err(None)) => return Err(incomplete.clone()),
            Ok(Err(Some(refusal))) => refusal.message,
            Err(_) => "it could not be reached in time".to_owned(),
        };
        Err(Incomplete {
            reason: and_then(&incomplete.reason, &reason),
            resumable: false,
        })
    }

    /// `None`: there is no use in it.
    async fn begin_again(
        self: &Arc<Self>,
        delivery: &mut Delivery,
        incomplete: &Incomplete,
    ) -> Result<(), Option<Refusal>> {
        match delivery.setting.clone() {
            setting @ OutputSetting::Relay { .. } => {
                delivery.place = self.open_next(delivery, &setting).await.map_err(Some)?;
                delivery.chunks.leave_place();
            }
            _ if incomplete.resumable => {}
            _ => return Err(None),
        }
        self.launch(delivery).await.map_err(Some)?;
        info!(
            "session `{}` is ended by another consumer daemon",
            self.name
        );
        Ok(())
    }

    /// Empties the buffers, and counts what was in them.
    async fn count_the_rest(self: &Arc<Self>, delivery: &mut Delivery) -> Counters {
        delivery.forget_doubts();
        let before = self.ledger.counters();
        for _ in 0..COUNTING_ATTEMPTS {
            match self.discard_the_rest().await {
                Ok(()) => break,
                Err(error) => warn!("session `{}`: counting what is left: {error}", self.name),
            }
        }
        self.ledger.give_up_since(&before)
    }

    async fn discard_the_rest(self: &Arc<Self>) -> Result<(), ConsumerError> {
        let refused = |refusal: Refusal| ConsumerError::Refused(refusal.message);
        let consumer = self.spawn_consumer().map_err(refused)?;
        let setup = SessionSetup {
            session_name: self.name.clone(),
            output: OutputSetup::Nowhere,
            count_events: true,
            snapshot: false,
        };
        let mut requests = vec![
            (Request::Setup(setup), Vec::new()),
            (Request::OpenChunk(ChunkSetup::default()), Vec::new()),
        ];
        for trace in self.ledger.live() {
            requests.extend(trace.next_handover());
        }
        requests.push((Request::Drain, Vec::new()));
        requests.push((
            Request::CloseChunk {
                closed_unix_s: now_unix_s(),
                writers_alive: false,
                ending: Default::default(),
            },
            Vec::new(),
        ));
        let done = all_done(&consumer, requests);
        let done = while_it_moves(&consumer, Patience::RELAY, done).await;
        let done = done.unwrap_or_else(|stuck| Err(ConsumerError::Refused(stuck.to_string())));
        if done.is_err() {
            consumer.end().await;
        }
        done
    }
}

impl Ending {
    fn whole(archived: LastChunk) -> Self {
        Self {
            archived,
            given_up: None,
        }
    }
}

/// Lets the consumer daemon finish and go; it is gone when this fails. Fails also when there was none, although
/// something may have to be delivered.
pub(super) async fn leave(
    delivery: &mut Delivery,
    writers_alive: bool,
    how: Leave,
) -> Result<LastChunk, Incomplete> {
    let Some(consumer) = delivery.consumer.take() else {
        let resumable = matches!(delivery.problem, Some(Problem::Failing(_)));
        if !resumable {
            delivery.chunks.leave_place();
        }
        return match delivery.problem_text().map(ToOwned::to_owned) {
            Some(reason) => Err(Incomplete { reason, resumable }),
            None => Ok(None),
        };
    };
    // Stretches that follow each other fast have creation times ahead of the clock.
    let closed_unix_s = now_unix_s().max(delivery.last_created_unix_s.unwrap_or(0));
    let ending = delivery.chunks.last_ending(closed_unix_s);
    let chunk = delivery.chunks.current_id();
    let closing = consumer.call(
        Request::CloseChunk {
            closed_unix_s,
            writers_alive,
            ending: ending.clone(),
        },
        Vec::new(),
    );
    let closed = match how {
        Leave::WhileItMoves => while_it_moves(&consumer, delivery.patience(), closing)
            .await
            .map_err(|stuck| stuck.to_string()),
        Leave::Within(limit) => timeout(limit, closing)
            .await
            .map_err(|_| "the output does not take what is left".to_owned()),
    };
    let (reason, resumable, in_doubt) = match (closed, consumer.state()) {
        (Ok(Ok(Answer::Closed { path })), _) => {
            let location = delivery.location(&ending, path);
            delivery.chunks.leave_place();
            return Ok(chunk.zip(location));
        }
        (Ok(Ok(_)), _) => (
            "the consumer daemon is out of step".to_owned(),
            false,
            false,
        ),
        (Ok(Err(error)), ConsumerState::Running) => {
            // All is there; what could not be done is to move the chunk.
            warn!("closing a trace chunk: {error}");
            delivery.chunks.leave_place();
            return Ok(None);
        }
        (Ok(Err(error)), ConsumerState::Gone(_)) => (error.to_string(), true, true),
        (Ok(Err(error)), ConsumerState::OutputFailed(_)) => (error.to_string(), true, false),
        (Err(reason), _) => (reason, false, true),
    };
    consumer.end().await;
    if in_doubt {
        delivery.note_doubts(&consumer);
    }
    if !resumable {
        delivery.chunks.leave_place();
    }
    Err(Incomplete { reason, resumable })
}
