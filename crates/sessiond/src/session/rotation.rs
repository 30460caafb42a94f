//! Rotations and clearing: the current trace chunk ends, the next one begins.

use std::path::Path;
use std::sync::Arc;

use consumer_api::{Answer, ChunkEnding, Request, RotationSetup};
use control::ErrorCode;
use tokio::sync::watch;
use tracing::warn;

use crate::session::chunks::Chunk;
use crate::session::consumer::{ConsumerError, ConsumerState};
use crate::session::delivery::{Delivery, Posted, now_unix_s, while_it_moves};
use crate::session::output::{OutputSetting, Place, PlaceKind};
use crate::session::plan::Refusal;
use crate::session::{RelayAddress, Session};

/// The last rotation of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rotation {
    /// Of the chunk that ended.
    pub id: u64,
    /// How far it is.
    pub state: RotationState,
}

/// How far a rotation is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RotationState {
    /// The old chunk is not where it belongs yet.
    Ongoing,
    /// It is there.
    Completed(ArchiveLocation),
    /// It did not get there.
    Failed(String),
}

/// Where an archived chunk is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ArchiveLocation {
    /// Directory on this machine.
    Local(String),
    /// On a collector.
    Relay {
        /// As the session's output names it.
        address: RelayAddress,
        /// Below the relay daemon's output directory.
        path: String,
    },
}

/// A change of chunks that a consumer daemon was asked for.
#[derive(Debug)]
pub(super) struct Rotating {
    /// The old chunk's.
    id: u64,
    /// What was asked.
    pub(super) setup: RotationSetup,
    next: Option<Chunk>,
    outcome: watch::Sender<Option<Result<(), String>>>,
}

/// What becomes of the old chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Archive,
    Clear,
}

type Outcome = watch::Receiver<Option<Result<(), String>>>;

impl Delivery {
    /// Where the present place has its archived chunks: `from_relay` is what the relay daemon said of it.
    pub(super) fn location(
        &self,
        ending: &ChunkEnding,
        from_relay: Option<String>,
    ) -> Option<ArchiveLocation> {
        let ChunkEnding::Archive { path } = ending else {
            return None;
        };
        location(self.place.as_ref()?, self.setting(), path, from_relay)
    }

    fn begin_rotation(&mut self, purpose: Purpose, active: bool) -> Option<Outcome> {
        let old = self.chunks.current.clone()?;
        let closed_unix_s = now_unix_s().max(old.created_unix_s);
        let ending = match purpose {
            Purpose::Archive => old.archive(closed_unix_s),
            Purpose::Clear => ChunkEnding::Delete,
        };
        let archived = self.chunks.archived || purpose == Purpose::Archive;
        let next = active.then(|| self.chunks.make(closed_unix_s, archived));
        let watch_bytes = self.watch_bytes;
        let setup = RotationSetup {
            closed_unix_s,
            ending,
            next: next.as_ref().map(|next| next.setup(watch_bytes)),
        };
        let (outcome, receiver) = watch::channel(None);
        self.rotating = Some(Rotating {
            id: old.id,
            setup,
            next,
            outcome,
        });
        Some(receiver)
    }
}

impl Session {
    /// Begins a rotation; returns its id. Its end is told by [`Session::rotation`].
    pub(crate) async fn rotate(self: &Arc<Self>) -> Result<u64, Refusal> {
        self.check_rotations()?;
        let plan = self.plan();
        if !plan.started_once {
            let message = "the session was not started yet: there is nothing to rotate";
            return Err(Refusal::new(ErrorCode::START_SESSION_ONCE, message));
        }
        let mut delivery = self.delivery.lock().await;
        if delivery.rotating.is_some() {
            let message = "a rotation of the session is ongoing";
            return Err(Refusal::new(ErrorCode::ROTATION_PENDING, message));
        }
        if let Some(problem) = delivery.problem_text() {
            let message = format!("the output of the session does not work: {problem}");
            return Err(Refusal::new(ErrorCode::ROTATION_FAILED, message));
        }
        let begun = delivery.begin_rotation(Purpose::Archive, plan.active);
        let (Some(_), Some(rotating)) = (begun, &delivery.rotating) else {
            return Err(Refusal::new(
                ErrorCode::ROTATION_MULTIPLE_AFTER_STOP,
                "the session was rotated or cleared since it became inactive: nothing came after it",
            ));
        };
        let id = rotating.id;
        self.rotation.send_replace(Some(Rotation {
            id,
            state: RotationState::Ongoing,
        }));
        self.post_rotation(&mut delivery).await;
        Ok(id)
    }

    /// Refuses for sessions that have no rotations.
    pub(super) fn check_rotations(&self) -> Result<(), Refusal> {
        let unrotated = self.live_timer_us != 0 || self.snapshot || self.has_no_output();
        if unrotated {
            return Err(Refusal::new(
                ErrorCode::ROTATION_NOT_AVAILABLE,
                "live sessions, snapshot sessions and sessions without output are not rotated",
            ));
        }
        Ok(())
    }

    /// Removes what was recorded into the current chunk. Returns when it is gone.
    pub(crate) async fn clear(self: &Arc<Self>) -> Result<(), Refusal> {
        if self.has_no_output() {
            return self.clear_buffers().await;
        }
        self.rotation_settled().await;
        let plan = self.plan();
        let mut delivery = self.delivery.lock().await;
        if delivery.forbids_clear() {
            return Err(Refusal::new(
                ErrorCode::CLEAR_RELAY_DISALLOWED,
                "the relay daemon does not allow to clear sessions",
            ));
        }
        if let Some(problem) = delivery.problem_text() {
            let message = format!("the output of the session does not work: {problem}");
            return Err(Refusal::new(ErrorCode::CLEAR_FAILED, message));
        }
        let Some(mut outcome) = delivery.begin_rotation(Purpose::Clear, plan.active) else {
            // Not started yet, or nothing came since the last rotation.
            return Ok(());
        };
        self.post_rotation(&mut delivery).await;
        let consumer = delivery.consumer.clone();
        let patience = delivery.patience();
        drop(delivery);
        let done = async {
            match outcome.wait_for(Option::is_some).await {
                Ok(outcome) => outcome.clone().unwrap_or(Ok(())),
                Err(_) => Ok(()),
            }
        };
        let cleared = match consumer {
            Some(consumer) => while_it_moves(&consumer, patience, done)
                .await
                .unwrap_or_else(|stuck| Err(format!("{stuck}; it is cleared when it does"))),
            None => done.await,
        };
        for trace in self.delivery.lock().await.live_traces() {
            trace.begin_chunk();
        }
        cleared.map_err(|reason| {
            Refusal::new(
                ErrorCode::CLEAR_FAILED,
                format!("the session could not be cleared: {reason}"),
            )
        })
    }

    /// The last rotation; waits for its end if asked to.
    pub(crate) async fn rotation(&self, wait: bool) -> Option<Rotation> {
        let mut rotation = self.rotation.subscribe();
        if !wait {
            return rotation.borrow().clone();
        }
        let ongoing = |rotation: &Option<Rotation>| {
            let state = rotation.as_ref().map(|rotation| &rotation.state);
            state == Some(&RotationState::Ongoing)
        };
        match rotation.wait_for(|rotation| !ongoing(rotation)).await {
            Ok(rotation) => rotation.clone(),
            Err(_) => None,
        }
    }

    /// Returns when no change of chunks is under way.
    pub(super) async fn rotation_settled(&self) {
        loop {
            let Some(mut outcome) = ({
                let delivery = self.delivery.lock().await;
                let rotating = delivery.rotating.as_ref();
                rotating.map(|rotating| rotating.outcome.subscribe())
            }) else {
                return;
            };
            // An error: it is over, whatever came of it.
            let _ = outcome.wait_for(Option::is_some).await;
        }
    }

    /// Opens a chunk for a session that starts again after a rotation or clearing.
    pub(super) async fn reopen_chunk(self: &Arc<Self>) -> Result<(), Refusal> {
        self.rotation_settled().await;
        let mut delivery = self.delivery.lock().await;
        if delivery.chunks.current.is_some() || delivery.problem_text().is_some() {
            return Ok(());
        }
        let Some(consumer) = delivery.consumer.clone() else {
            return Ok(());
        };
        let archived = delivery.chunks.archived;
        let chunk = delivery.chunks.make(now_unix_s(), archived);
        let setup = chunk.setup(delivery.watch_bytes);
        let opened = consumer.call(Request::OpenChunk(setup), Vec::new());
        let opened = while_it_moves(&consumer, delivery.patience(), opened).await;
        let opened = opened.unwrap_or_else(|stuck| Err(ConsumerError::Refused(stuck.to_string())));
        opened.map_err(|error| {
            let message = format!("the consumer daemon cannot begin a trace chunk: {error}");
            Refusal::new(ErrorCode::ENABLE_CONSUMER_FAILED, message)
        })?;
        delivery.chunks.current = Some(chunk);
        delivery.post_deferred().await;
        Ok(())
    }

    /// Asks the consumer daemon for the rotation that is to be made.
    pub(super) async fn post_rotation(self: &Arc<Self>, delivery: &mut Delivery) {
        let Some(rotating) = &delivery.rotating else {
            return;
        };
        let request = Request::Rotate(rotating.setup.clone());
        let id = rotating.id;
        let posted = match &delivery.consumer {
            Some(consumer) => consumer.post(request, Vec::new()).await,
            None => Err(ConsumerError::Gone("there is none".into())),
        };
        match posted {
            Ok(answer) => {
                let session = self.clone();
                tokio::spawn(async move { session.rotation_answered(id, answer).await });
            }
            // Its successor is asked again.
            Err(_) if delivery.consumer.is_some() => {}
            Err(error) => self.fail_rotation(delivery, &error.to_string()),
        }
    }

    async fn rotation_answered(self: Arc<Self>, id: u64, answer: Posted) {
        let answer = answer.await;
        let mut delivery = self.delivery.lock().await;
        if delivery
            .rotating
            .as_ref()
            .is_none_or(|rotating| rotating.id != id)
        {
            return;
        }
        match answer {
            Ok(Ok(Answer::Rotated { path })) => self.commit_rotation(&mut delivery, path),
            Ok(Ok(_)) => self.fail_rotation(&mut delivery, "the consumer daemon is out of step"),
            Ok(Err(ConsumerError::Refused(reason))) => self.fail_rotation(&mut delivery, &reason),
            // Whoever deals with its end goes on with this.
            Ok(Err(ConsumerError::Gone(_))) | Err(_) => {}
        }
    }

    /// The old chunk is where it belongs.
    pub(super) fn commit_rotation(&self, delivery: &mut Delivery, from_relay: Option<String>) {
        let Some(rotating) = delivery.rotating.take() else {
            return;
        };
        let location = delivery.location(&rotating.setup.ending, from_relay);
        delivery.chunks.archived |= location.is_some();
        delivery.chunks.current = rotating.next;
        if let Some(location) = location {
            self.rotation.send_replace(Some(Rotation {
                id: rotating.id,
                state: RotationState::Completed(location),
            }));
        }
        rotating.outcome.send_replace(Some(Ok(())));
    }

    /// The old chunk did not get where it belongs; if the consumer daemon still works, the next one is
    /// current all the same.
    pub(super) fn fail_rotation(&self, delivery: &mut Delivery, reason: &str) {
        let Some(rotating) = delivery.rotating.take() else {
            return;
        };
        warn!(
            "session `{}`: changing the trace chunk: {reason}",
            self.name
        );
        let running = |state| state == ConsumerState::Running;
        if delivery
            .consumer
            .as_ref()
            .is_some_and(|consumer| running(consumer.state()))
        {
            delivery.chunks.archived |=
                matches!(rotating.setup.ending, ChunkEnding::Archive { .. });
            delivery.chunks.current = rotating.next;
        }
        if rotating.setup.ending != ChunkEnding::Delete {
            self.rotation.send_replace(Some(Rotation {
                id: rotating.id,
                state: RotationState::Failed(reason.to_owned()),
            }));
        }
        rotating.outcome.send_replace(Some(Err(reason.to_owned())));
    }
}

fn location(
    place: &Place,
    setting: &OutputSetting,
    path: &str,
    from_relay: Option<String>,
) -> Option<ArchiveLocation> {
    match (&place.kind, setting) {
        (PlaceKind::Directory(_), _) => {
            let path = Path::new(&place.path).join(path);
            Some(ArchiveLocation::Local(path.display().to_string()))
        }
        (PlaceKind::Relay(_), OutputSetting::Relay { address, .. }) => {
            Some(ArchiveLocation::Relay {
                address: address.clone(),
                path: from_relay.unwrap_or_else(|| place.path.clone()),
            })
        }
        (PlaceKind::Relay(_), _) => None,
    }
}
