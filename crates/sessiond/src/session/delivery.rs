//! Brings a session's packets to their place: which consumer daemon does it, where to, and what happens when
//! either of them goes away.
//!
//! Buffers outlive consumer daemons. Whatever happens - the user changes the output, a consumer daemon is
//! killed, a relay daemon goes away - the answer is the same: another consumer daemon gets all live buffers
//! and goes on where the last one stopped.

mod doubts;
mod ending;
mod lost;
mod patience;

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use consumer_api::{Answer, Request, SessionSetup, TraceKey};
use control::ErrorCode;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tracing::warn;

use crate::app::SharedFd;
use crate::lock::lock;
use crate::session::Session;
use crate::session::chunks::Chunks;
use crate::session::consumer::{Consumer, ConsumerError, ConsumerState, News, OnNews};
use crate::session::ledger::Ledger;
use crate::session::live_trace::LiveTrace;
use crate::session::output::{NetworkAttributes, OutputSetting, Place, PlaceKind, RelayLoss};
use crate::session::plan::Refusal;
use crate::session::rotation::Rotating;
use crate::session::settle::Sent;
use crate::session::status::{OutputStatus, SessionCounters};

pub(crate) use ending::GivenUp;
use ending::{Leave, leave};
pub(super) use patience::{Patience, while_it_moves};

use doubts::Unsettled;
use lost::watch_over;

/// How long a consumer daemon may take to leave a place while tracing goes on elsewhere.
const LEAVE_PATIENCE: Duration = Duration::from_secs(10);
/// How long the applications of a live session wait for the announcement of their streams.
const PUBLISH_PATIENCE: Duration = Duration::from_secs(1);

/// See the module. Behind an async lock: its holder may talk to consumer daemons, never to applications.
#[derive(Debug)]
pub(super) struct Delivery {
    setting: OutputSetting,
    network: NetworkAttributes,
    relay_loss: RelayLoss,
    /// The relay daemon was lost like this, and the session went on here.
    fallback: Option<String>,
    pub(super) place: Option<Place>,
    /// The stretches of the trace in the present place.
    pub(super) chunks: Chunks,
    /// A change of chunks is under way.
    pub(super) rotating: Option<Rotating>,
    /// The session is rotated when so many bytes are in a chunk.
    pub(super) watch_bytes: Option<u64>,
    pub(super) consumer: Option<Arc<Consumer>>,
    /// Started before it is needed, so that the command that starts tracing need not wait for it.
    spare: Option<Consumer>,
    /// Counts consumer daemons, so that news of an earlier one are recognised.
    generation: u64,
    /// There were applications: something may have to be delivered or counted.
    has_traced: bool,
    /// The traces, and what was delivered of them.
    ledger: Arc<Ledger>,
    /// Those among them that wait for a chunk.
    deferred: Vec<TraceKey>,
    /// A consumer daemon was killed: some of its packets may have arrived or not.
    unsettled: Option<Unsettled>,
    /// The last packets of the trace that ended last, if they went to a relay daemon.
    last_ended: Vec<Sent>,
    last_created_unix_s: Option<u64>,
    /// Local directories that hold a stretch of the trace already.
    used_directories: HashSet<PathBuf>,
    deaths: Vec<Instant>,
    /// How the output failed last, and when.
    failure: Option<(String, Instant)>,
    problem: Option<Problem>,
}

/// Why nothing is delivered now.
#[derive(Clone, Debug)]
enum Problem {
    /// An attempt to reach the relay daemon again is under way.
    Reconnecting(String),
    /// The local output takes nothing; it is tried again and again.
    Failing(String),
    /// For good.
    Failed(String),
}

pub(super) type Posted = oneshot::Receiver<Result<Answer, ConsumerError>>;

impl Delivery {
    pub(super) fn new(setting: OutputSetting, relay_loss: RelayLoss, ledger: Arc<Ledger>) -> Self {
        Self {
            network: NetworkAttributes::default().implied_by(&setting),
            setting,
            relay_loss,
            fallback: None,
            place: None,
            chunks: Chunks::default(),
            rotating: None,
            watch_bytes: None,
            consumer: None,
            spare: None,
            generation: 0,
            has_traced: false,
            ledger,
            deferred: Vec::new(),
            unsettled: None,
            last_ended: Vec::new(),
            last_created_unix_s: None,
            used_directories: HashSet::new(),
            deaths: Vec::new(),
            failure: None,
            problem: None,
        }
    }

    /// What the user asked for.
    pub(super) fn setting(&self) -> &OutputSetting {
        &self.setting
    }

    /// For those who wait for the present output.
    pub(super) fn patience(&self) -> Patience {
        match self.setting {
            OutputSetting::Relay { .. } => Patience::RELAY,
            _ => Patience::DIRECTORY,
        }
    }

    /// Why nothing is delivered now.
    pub(super) fn problem_text(&self) -> Option<&str> {
        match self.problem.as_ref()? {
            Problem::Reconnecting(reason) | Problem::Failing(reason) | Problem::Failed(reason) => {
                Some(reason)
            }
        }
    }

    /// The relay daemon does not let anybody clear a session.
    pub(super) fn forbids_clear(&self) -> bool {
        let kind = self.place.as_ref().map(|place| &place.kind);
        matches!(kind, Some(PlaceKind::Relay(relay)) if !relay.clear_allowed)
    }

    /// Buffers of the session, in the order of their creation.
    pub(super) fn live_traces(&self) -> Vec<Arc<dyn LiveTrace>> {
        let live = self.ledger.live().into_iter();
        live.map(|tallied| tallied.trace.clone()).collect()
    }

    /// Gives the consumer daemon the traces that had to wait for a chunk.
    pub(super) async fn post_deferred(&mut self) {
        for key in std::mem::take(&mut self.deferred) {
            if let Some(trace) = self.ledger.get(key) {
                self.post(trace.first_handover()).await;
            }
        }
    }

    /// Sends requests in order without waiting for their answers; failures of the output come back as
    /// news of the consumer daemon. The receiver brings the answer to the last one.
    pub(super) async fn post(
        &self,
        requests: Vec<(Request, Vec<SharedFd>)>,
    ) -> Option<oneshot::Receiver<Result<Answer, ConsumerError>>> {
        let consumer = self.consumer.as_ref()?;
        let mut last = None;
        for (request, fds) in requests {
            // If it is gone another one will get everything.
            last = Some(consumer.post(request, fds).await.ok()?);
        }
        last
    }

    /// Seconds since the Unix epoch, later than for any earlier stretch.
    fn next_creation(&mut self, session: &Session) -> u64 {
        let created = match self.last_created_unix_s {
            None => session.created_unix_s(),
            Some(last) => now_unix_s().max(last + 1),
        };
        self.last_created_unix_s = Some(created);
        created
    }

    fn status(&self) -> OutputStatus {
        let path = self
            .place
            .as_ref()
            .map(|place| place.path.clone())
            .unwrap_or_default();
        match (&self.problem, &self.place) {
            (Some(Problem::Failed(reason)), _) => OutputStatus::Failed {
                path,
                reason: reason.clone(),
            },
            (Some(Problem::Failing(reason)), _) => OutputStatus::Failed {
                path,
                reason: format!("{reason}; it is tried again every second"),
            },
            (Some(Problem::Reconnecting(reason)), _) => OutputStatus::Reconnecting {
                path,
                reason: reason.clone(),
            },
            (None, None) => OutputStatus::Unused,
            (None, Some(place)) => OutputStatus::Ready {
                remote: matches!(place.kind, PlaceKind::Relay(_)),
                path,
            },
        }
    }
}

/// What can be told of a session's output without waiting for anybody.
#[derive(Clone, Debug)]
pub(crate) struct OutputReport {
    /// In force.
    pub setting: OutputSetting,
    /// Attributes, also while streaming is off.
    pub network: NetworkAttributes,
    /// What happens when the relay daemon goes away.
    pub relay_loss: RelayLoss,
    /// The relay daemon was lost like this, and the session went on here.
    pub fallback: Option<String>,
    /// Whether it works.
    pub status: OutputStatus,
    /// Consumer daemons that died and were replaced.
    pub replaced: u64,
}

impl OutputReport {
    /// Of a session that was just created.
    pub(super) fn of(setting: &OutputSetting, relay_loss: RelayLoss) -> Self {
        Self {
            setting: setting.clone(),
            network: NetworkAttributes::default().implied_by(setting),
            relay_loss,
            fallback: None,
            status: OutputStatus::Unused,
            replaced: 0,
        }
    }
}

impl Session {
    /// What can be told of the output now.
    pub(crate) fn output_report(&self) -> OutputReport {
        lock(&self.report).clone()
    }

    /// Makes sure that the relay daemon, if the session has one, is connected. Local outputs are opened
    /// when tracing starts.
    pub(crate) async fn ensure_connected(self: &Arc<Self>) -> Result<(), Refusal> {
        let mut delivery = self.delivery.lock().await;
        if delivery.place.is_none() && matches!(delivery.setting, OutputSetting::Relay { .. }) {
            self.open(&mut delivery).await?;
        }
        Ok(())
    }

    /// Opens the output and starts a consumer daemon, if the session has an output and none runs yet.
    pub(super) async fn ensure_consumer(self: &Arc<Self>) -> Result<(), Refusal> {
        let mut delivery = self.delivery.lock().await;
        if delivery.consumer.is_some() || delivery.problem.is_some() {
            return Ok(());
        }
        if delivery.place.is_none() {
            self.open(&mut delivery).await?;
        }
        self.launch(&mut delivery).await
    }

    /// Gives a new trace to the consumer daemon.
    ///
    /// In a live session it is published, if the relay daemon answers soon, when this returns: viewers that know
    /// nothing of a stream yet may have been told that nothing older than its first events is to come.
    pub(super) async fn deliver_trace(&self, trace: Arc<dyn LiveTrace>) -> io::Result<()> {
        let published = {
            let mut delivery = self.delivery.lock().await;
            delivery.has_traced = true;
            let key = trace.key();
            let trace = self.ledger.add(trace)?;
            if delivery.chunks.current.is_none() {
                delivery.deferred.push(key);
                return Ok(());
            }
            let mut requests = trace.first_handover();
            for (request, _) in &mut requests {
                if let Request::PublishTrace { unwritten, .. } = request {
                    *unwritten = self.live_timer_us != 0;
                }
            }
            delivery.post(requests).await
        };
        if let Some(published) = published.filter(|_| self.live_timer_us != 0) {
            let _ = timeout(PUBLISH_PATIENCE, published).await;
        }
        Ok(())
    }

    /// Lets the consumer daemon deliver something again, and waits until it has. Without one nothing is to
    /// be done: the next one delivers all anyway.
    pub(super) async fn deliver_again(
        &self,
        requests: Vec<(Request, Vec<SharedFd>)>,
    ) -> Result<(), Refusal> {
        let mut answers = Vec::new();
        {
            let delivery = self.delivery.lock().await;
            let Some(consumer) = &delivery.consumer else {
                return Ok(());
            };
            for (request, fds) in requests {
                answers.extend(consumer.post(request, fds).await);
            }
        }
        let failed =
            |error: ConsumerError| Refusal::new(ErrorCode::UST_CONSUMER_FAILED, error.to_string());
        for answer in answers {
            // If it is gone, or its output is slow, it will be done.
            if let Ok(Ok(Err(error @ ConsumerError::Refused(_)))) =
                timeout(LEAVE_PATIENCE, answer).await
            {
                return Err(failed(error));
            }
        }
        Ok(())
    }

    /// The writers of the trace are gone.
    pub(super) async fn end_trace(&self, trace: TraceKey) {
        let delivery = self.delivery.lock().await;
        if delivery.setting == OutputSetting::None {
            // Nobody will ever ask for what is in it.
            self.ledger.end(trace);
        }
        delivery
            .post(vec![(Request::EndTrace { trace }, Vec::new())])
            .await;
    }

    /// The consumer daemon has delivered all of a trace.
    async fn trace_ended(&self, trace: TraceKey) {
        // Not while somebody hands it over.
        let mut delivery = self.delivery.lock().await;
        if let Some(ended) = self.ledger.end(trace) {
            delivery.note_end(&ended);
        }
    }

    /// Asks for everything that was written to be delivered; the receiver brings the answer.
    pub(super) async fn request_drain(&self) -> Option<(Posted, Arc<Consumer>, Patience)> {
        let delivery = self.delivery.lock().await;
        let consumer = delivery.consumer.clone().filter(|_| delivery.has_traced)?;
        let posted = consumer.post(Request::Drain, Vec::new()).await.ok()?;
        Some((posted, consumer, delivery.patience()))
    }

    /// Totals of what was delivered so far.
    pub(crate) fn counters(&self) -> SessionCounters {
        self.ledger.counters()
    }

    /// Changes the output. While a consumer daemon runs, it stops at a packet boundary of each stream and
    /// another one goes on with the next packet in the new place; if that cannot be opened, nothing
    /// changes.
    pub(crate) async fn set_output(
        self: &Arc<Self>,
        setting: OutputSetting,
        network: NetworkAttributes,
        relay_loss: Option<RelayLoss>,
    ) -> Result<(), Refusal> {
        self.rotation_settled().await;
        let mut delivery = self.delivery.lock().await;
        let relay_loss = relay_loss.unwrap_or(delivery.relay_loss);
        let same_place = delivery.setting == setting && delivery.problem.is_none();
        if !same_place {
            self.move_to(&mut delivery, setting).await?;
            delivery.fallback = None;
        }
        if let OutputSetting::Local(directory) = &delivery.setting {
            lock(&self.directory).clone_from(directory);
        }
        delivery.network = network;
        delivery.relay_loss = relay_loss;
        self.publish(&delivery);
        Ok(())
    }

    async fn move_to(
        self: &Arc<Self>,
        delivery: &mut Delivery,
        setting: OutputSetting,
    ) -> Result<(), Refusal> {
        let running = delivery.consumer.is_some() || delivery.problem.is_some();
        // A session whose channels are known talks to its relay at once, so that a wrong host is an error
        // of this command; otherwise the first command that needs it does.
        let connect =
            !self.plan().has_no_channel() && matches!(setting, OutputSetting::Relay { .. });
        let place = match running || connect {
            true => self.open_next(delivery, &setting).await?,
            false => None,
        };
        delivery.generation += 1;
        if running
            && let Err(incomplete) = leave(delivery, true, Leave::Within(LEAVE_PATIENCE)).await
        {
            warn!("session `{}` leaves a place: {incomplete}", self.name);
        }
        delivery.chunks.leave_place();
        delivery.setting = setting;
        delivery.place = place;
        delivery.problem = None;
        if running && delivery.place.is_some() {
            self.launch(delivery).await?;
        }
        Ok(())
    }

    async fn open(self: &Arc<Self>, delivery: &mut Delivery) -> Result<(), Refusal> {
        let setting = delivery.setting.clone();
        delivery.place = self.open_next(delivery, &setting).await?;
        self.publish(delivery);
        Ok(())
    }

    /// Opens the place for the next stretch of the trace.
    async fn open_next(
        &self,
        delivery: &mut Delivery,
        setting: &OutputSetting,
    ) -> Result<Option<Place>, Refusal> {
        let was_created = delivery.last_created_unix_s;
        let created = delivery.next_creation(self);
        let fresh = match setting {
            OutputSetting::Local(path) => delivery.used_directories.insert(path.clone()),
            _ => true,
        };
        let opened = self.open_place(setting, created, fresh).await;
        if let (Err(_), OutputSetting::Local(path)) = (&opened, setting)
            && fresh
        {
            delivery.used_directories.remove(path);
        }
        if opened.is_err() {
            delivery.last_created_unix_s = was_created;
        }
        opened
    }

    /// Starts a consumer daemon for the place that is open and gives it all live buffers.
    async fn launch(self: &Arc<Self>, delivery: &mut Delivery) -> Result<(), Refusal> {
        delivery.settle().await;
        delivery.last_ended.clear();
        let Some(place) = &mut delivery.place else {
            return Ok(());
        };
        let failed = |error: String| Refusal::new(ErrorCode::ENABLE_CONSUMER_FAILED, error);
        let Some((output, fds)) = place.kind.hand_over() else {
            return Err(failed("the relay connections were used up".into()));
        };
        let setup = SessionSetup {
            session_name: self.name.clone(),
            output,
            count_events: self.count_events,
            snapshot: false,
        };
        let created_unix_s = now_unix_s().max(place.created_unix_s);
        let resumed = delivery.chunks.current.is_some();
        let chunk = match delivery.chunks.current.clone() {
            Some(chunk) => chunk,
            None => {
                let archived = delivery.chunks.archived;
                delivery.chunks.make(created_unix_s, archived)
            }
        };
        let mut chunk_setup = chunk.setup(delivery.watch_bytes);
        chunk_setup.resumed = resumed;
        chunk_setup.interrupted = delivery
            .rotating
            .as_ref()
            .map(|rotating| Box::new(rotating.setup.clone()));
        let consumer = match delivery.spare.take() {
            Some(spare) if spare.state() == ConsumerState::Running => spare,
            _ => self.spawn_consumer()?,
        };
        let mut opened = Answer::Nothing;
        for (request, fds) in [
            (Request::Setup(setup), fds),
            (Request::OpenChunk(chunk_setup), Vec::new()),
        ] {
            let cannot = |error: &dyn std::fmt::Display| {
                failed(format!("the consumer daemon cannot begin: {error}"))
            };
            let done = consumer.call(request, fds);
            let done = while_it_moves(&consumer, delivery.patience(), done).await;
            let done = done.map_err(|stuck| cannot(&stuck))?;
            if let Err(ConsumerError::Gone(_)) = &done {
                delivery.deaths.push(Instant::now());
            }
            opened = done.map_err(|error| cannot(&error))?;
        }
        delivery.chunks.current = Some(chunk);
        if opened == (Answer::Opened { rotated: true }) {
            self.commit_rotation(delivery, None);
        }
        delivery.generation += 1;
        delivery.problem = None;
        tokio::spawn(watch_over(
            Arc::downgrade(self),
            consumer.watch(),
            delivery.generation,
        ));
        delivery.consumer = Some(Arc::new(consumer));
        if delivery.chunks.current.is_none() {
            let live = self.ledger.live();
            delivery.deferred = live.iter().map(|trace| trace.trace.key()).collect();
            self.publish(delivery);
            return Ok(());
        }
        delivery.deferred.clear();
        for trace in self.ledger.live() {
            delivery.post(trace.next_handover()).await;
            trace.trace.begin_chunk();
        }
        if !self.plan().active {
            // What was in the buffers when tracing stopped is still to be closed and delivered.
            delivery.post(vec![(Request::Drain, Vec::new())]).await;
        }
        self.post_rotation(delivery).await;
        self.publish(delivery);
        Ok(())
    }

    pub(super) fn spawn_consumer(self: &Arc<Self>) -> Result<Consumer, Refusal> {
        let program = &self.consumer_program;
        Consumer::spawn(program, self.owner.if_other(), self.news_reader()).map_err(|error| {
            let path = program.path.display();
            let message = format!("cannot start the consumer daemon {path}: {error}");
            Refusal::new(ErrorCode::ENABLE_CONSUMER_FAILED, message)
        })
    }

    /// Starts a consumer daemon for the session's first start, if it will need one.
    pub(crate) async fn prepare(self: &Arc<Self>) {
        let mut delivery = self.delivery.lock().await;
        let needed = delivery.consumer.is_none()
            && delivery.spare.is_none()
            && delivery.generation == 0
            && delivery.setting != OutputSetting::None
            && !self.plan().destroyed;
        if needed {
            // Its failure is reported when it is needed.
            delivery.spare = self.spawn_consumer().ok();
        }
    }

    /// A function for the consumer's task to call when there are news.
    fn news_reader(self: &Arc<Self>) -> OnNews {
        let session = Arc::downgrade(self);
        Box::new(move |news| {
            if let Some(session) = session.upgrade() {
                tokio::spawn(async move {
                    match news {
                        News::TraceEnded(trace) => session.trace_ended(trace).await,
                        News::SizeReached(chunk) => session.size_reached(chunk).await,
                    }
                });
            }
        })
    }

    fn publish(&self, delivery: &Delivery) {
        let mut report = lock(&self.report);
        report.setting = delivery.setting.clone();
        report.network = delivery.network.clone();
        report.relay_loss = delivery.relay_loss;
        report.fallback.clone_from(&delivery.fallback);
        report.status = delivery.status();
    }
}

/// The time of this moment.
pub(super) fn now_unix_s() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or(0)
}

/// One reason after another; what is the same again is told once.
fn and_then(reason: &str, next: &str) -> String {
    if reason.ends_with(next) {
        return reason.to_owned();
    }
    format!("{reason}; and then: {next}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_reason_is_told_once() {
        assert_eq!(and_then("closed", "refused"), "closed; and then: refused");
        assert_eq!(and_then("refused", "refused"), "refused");
        assert_eq!(
            and_then("closed; and then: refused", "refused"),
            "closed; and then: refused"
        );
    }
}
