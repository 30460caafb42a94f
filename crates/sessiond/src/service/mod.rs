//! The control API: turns requests into changes of sessions, and sessions into answers.

mod access;
mod answers;
mod contexts;
mod kernel;
mod kernel_contexts;
mod probes;
mod requests;
mod rotations;
mod trackers;

use std::sync::Arc;

use control::v1::regenerate_request::What;
use control::v1::session_daemon_server::SessionDaemon;
use control::v1::{self, Domain};
use control::{ErrorCode, status};
use tonic::transport::server::UdsConnectInfo;
use tonic::{Request, Response, Status};

use crate::daemon::{Caller, Daemon};
use crate::session::channels::DEFAULT_CHANNEL;
use crate::session::kernel::plan::{KernelPlan, KernelRule};
use crate::session::plan::{Plan, PlannedContext, Refusal};
use crate::session::{NewSession, OutputSetting, Owner, Session};

pub(crate) use access::Access;

use access::Connection;
use requests::Kind;

/// The service.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    daemon: Arc<Daemon>,
    access: Arc<Access>,
}

type Answer<T> = Result<Response<T>, Status>;

impl Service {
    /// Of this daemon, for callers that `access` lets in.
    pub(crate) fn new(daemon: Arc<Daemon>, access: Access) -> Self {
        Self {
            daemon,
            access: Arc::new(access),
        }
    }

    fn caller<T>(&self, request: &Request<T>) -> Result<Caller, Status> {
        let info = request.extensions().get::<UdsConnectInfo>();
        let connection = info.and_then(Connection::of);
        self.access.check(connection).map_err(refused)
    }

    fn session<T>(&self, request: &Request<T>, name: &str) -> Result<Arc<Session>, Status> {
        let caller = self.caller(request)?;
        self.daemon.session(caller, name).map_err(refused)
    }

    /// Changes the plan of a session whose domain is `ust`, connecting its relay first.
    async fn change<T: Send + 'static>(
        &self,
        session: Arc<Session>,
        change: impl FnOnce(&Plan) -> Result<(Plan, T), Refusal> + Send + 'static,
    ) -> Result<T, Status> {
        let daemon = self.daemon.clone();
        to_the_end(async move {
            let _exclusive = session.exclusive().await?;
            // Refuse before connecting: a wrong request must not leave a session on the collector.
            let (plan, result) = change(&session.plan())?;
            session.ensure_connected().await?;
            session.change(&daemon.apps, plan).await?;
            let prepared = session.clone();
            tokio::spawn(async move { prepared.prepare().await });
            Ok(result)
        })
        .await
    }
}

impl Service {
    /// Changes the kernel domain of a session.
    async fn change_kernel(
        &self,
        session: Arc<Session>,
        change: impl FnOnce(&KernelPlan, bool) -> Result<KernelPlan, Refusal> + Send + 'static,
    ) -> Result<(), Status> {
        self.daemon.kernel.tracefs().map_err(refused)?;
        self.change(session, move |plan| {
            let kernel = change(&plan.kernel, plan.started_once)?;
            Ok((plan.with_kernel(kernel), ()))
        })
        .await
    }

    async fn enable_kernel_event(
        &self,
        session: Arc<Session>,
        request: v1::EnableEventRequest,
    ) -> Answer<v1::EnableEventResponse> {
        let rule = request.rule.unwrap_or_default();
        let checked = || kernel::rules(&self.daemon, &rule);
        let rules = tokio::task::block_in_place(checked).map_err(refused)?;
        let attributes =
            requests::default_kernel_attributes(Kind::of(&session)).map_err(refused)?;
        let channel = self
            .change(session, move |plan| {
                let name = plan.kernel.channels.for_rule(&request.channel)?.to_owned();
                let (kernel, started) = (&plan.kernel, plan.started_once);
                let kernel = kernel::enable(kernel, started, &name, attributes, rules)?;
                Ok((plan.with_kernel(kernel), name))
            })
            .await?;
        Ok(Response::new(v1::EnableEventResponse { channel }))
    }
}

fn refused(refusal: Refusal) -> Status {
    status(refusal.code, refusal.message)
}

/// Does the work to its end even if the caller goes away meanwhile (an interrupted command), so that nothing
/// is left half done.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
) -> Result<T, Status> {
    match tokio::spawn(work).await {
        Ok(result) => result.map_err(refused),
        Err(error) => Err(status(
            ErrorCode::UNKNOWN,
            format!("the command failed: {error}"),
        )),
    }
}

/// Whether a request is about the kernel domain.
fn is_kernel(domain: i32) -> Result<bool, Status> {
    match Domain::try_from(domain) {
        Ok(Domain::Ust) => Ok(false),
        Ok(Domain::Kernel) => Ok(true),
        _ => Err(status(
            ErrorCode::UNKNOWN_DOMAIN,
            format!("unknown tracing domain {domain}"),
        )),
    }
}

#[tonic::async_trait]
impl SessionDaemon for Service {
    async fn get_version(
        &self,
        request: Request<v1::GetVersionRequest>,
    ) -> Answer<v1::GetVersionResponse> {
        self.caller(&request)?;
        Ok(Response::new(v1::GetVersionResponse {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            ust_abi_major: *ust::ABI_MAJORS.end(),
        }))
    }

    async fn create_session(
        &self,
        request: Request<v1::CreateSessionRequest>,
    ) -> Answer<v1::CreateSessionResponse> {
        let caller = self.caller(&request)?;
        let request = request.into_inner();
        let output = request
            .output
            .map(requests::output)
            .transpose()
            .map_err(refused)?
            .flatten();
        let created = self.daemon.create_session(NewSession {
            name: request.name,
            owner: Owner {
                uid: caller.uid,
                gid: caller.gid,
            },
            output,
            home: request.home.into(),
            count_events: request.count_events,
            live_timer_us: request.live_timer_us,
            snapshot: request.snapshot,
            relay_loss: requests::relay_loss(request.relay_loss)
                .map_err(refused)?
                .unwrap_or_default(),
        });
        let session = created.map_err(refused)?;
        let snapshot_output = session.snapshot_output().ok().flatten();
        Ok(Response::new(v1::CreateSessionResponse {
            session: Some(answers::session(&session)),
            snapshot_output: snapshot_output.map(|output| rotations::snapshot_output(&output)),
        }))
    }

    async fn list_sessions(
        &self,
        request: Request<v1::ListSessionsRequest>,
    ) -> Answer<v1::ListSessionsResponse> {
        let caller = self.caller(&request)?;
        let all = self.daemon.sessions.all();
        let seen = all.iter().filter(|session| caller.may_see(session));
        let sessions = seen.map(|session| answers::session(session)).collect();
        Ok(Response::new(v1::ListSessionsResponse { sessions }))
    }

    async fn get_session(
        &self,
        request: Request<v1::GetSessionRequest>,
    ) -> Answer<v1::GetSessionResponse> {
        let session = self.session(&request, &request.get_ref().name)?;
        let counters = session.counters();
        Ok(Response::new(answers::session_details(&session, &counters)))
    }

    async fn start_session(
        &self,
        request: Request<v1::StartSessionRequest>,
    ) -> Answer<v1::StartSessionResponse> {
        let session = self.session(&request, &request.get_ref().name)?;
        let daemon = self.daemon.clone();
        to_the_end(async move {
            let _exclusive = session.exclusive().await?;
            session.start(&daemon.apps).await?;
            let plan = session.plan();
            let (applications, kernel) = (&plan.channels, &plan.kernel.channels);
            let health = &daemon.consumer_health;
            health.has_started(!applications.is_empty(), !kernel.is_empty());
            Ok(())
        })
        .await?;
        Ok(Response::new(v1::StartSessionResponse {}))
    }

    async fn stop_session(
        &self,
        request: Request<v1::StopSessionRequest>,
    ) -> Answer<v1::StopSessionResponse> {
        let session = self.session(&request, &request.get_ref().name)?;
        let wait = !request.get_ref().no_wait;
        let (daemon, stopping) = (self.daemon.clone(), session.clone());
        let delivered = to_the_end(async move {
            let _exclusive = stopping.exclusive().await?;
            stopping.stop(&daemon.apps, wait).await
        })
        .await?;
        let counters = if wait {
            Some(answers::counters(&session.counters().total))
        } else {
            None
        };
        let output_state = Some(answers::output_state(&session));
        Ok(Response::new(v1::StopSessionResponse {
            counters,
            output_state,
            stuck: !delivered,
        }))
    }

    async fn destroy_session(
        &self,
        request: Request<v1::DestroySessionRequest>,
    ) -> Answer<v1::DestroySessionResponse> {
        let session = self.session(&request, &request.get_ref().name)?;
        let wait = !request.get_ref().no_wait;
        let (daemon, ending) = (self.daemon.clone(), session.clone());
        let work = async move { daemon.destroy_session(&ending, wait).await };
        let destroyed = to_the_end(work).await?;
        let counters = Some(answers::counters(&session.counters().total));
        let output_state = Some(answers::output_state(&session));
        Ok(Response::new(v1::DestroySessionResponse {
            counters,
            output_state,
            rotation: destroyed.rotation.map(rotations::rotation),
            given_up: destroyed.given_up.map(answers::given_up),
        }))
    }

    async fn enable_channel(
        &self,
        request: Request<v1::EnableChannelRequest>,
    ) -> Answer<v1::EnableChannelResponse> {
        let session = self.session(&request, &request.get_ref().session)?;
        let request = request.into_inner();
        let attributes = request.attributes.unwrap_or_default();
        let kind = Kind::of(&session);
        if is_kernel(request.domain)? {
            let attributes = requests::kernel_attributes(&attributes, kind).map_err(refused)?;
            self.change_kernel(session, move |plan, started| {
                let channels = &plan.channels;
                Ok(plan.with(channels.enable(&request.channel, attributes, started)?))
            })
            .await?;
            return Ok(Response::new(v1::EnableChannelResponse {}));
        }
        let buffer_type = requests::buffer_type(request.buffer_type, &session.plan());
        let attributes = requests::attributes(&attributes, buffer_type, kind).map_err(refused)?;
        self.change(session, move |plan| {
            Ok((
                plan.enable_channel(&request.channel, buffer_type, attributes)?,
                (),
            ))
        })
        .await?;
        Ok(Response::new(v1::EnableChannelResponse {}))
    }

    async fn disable_channel(
        &self,
        request: Request<v1::DisableChannelRequest>,
    ) -> Answer<v1::DisableChannelResponse> {
        let session = self.session(&request, &request.get_ref().session)?;
        let request = request.into_inner();
        if is_kernel(request.domain)? {
            self.change_kernel(session, move |plan, _| {
                Ok(plan.with(plan.channels.disable(&request.channel)?))
            })
            .await?;
            return Ok(Response::new(v1::DisableChannelResponse {}));
        }
        self.change(session, move |plan| {
            Ok((plan.with(plan.channels.disable(&request.channel)?), ()))
        })
        .await?;
        Ok(Response::new(v1::DisableChannelResponse {}))
    }

    async fn enable_event(
        &self,
        request: Request<v1::EnableEventRequest>,
    ) -> Answer<v1::EnableEventResponse> {
        let session = self.session(&request, &request.get_ref().session)?;
        let request = request.into_inner();
        if is_kernel(request.domain)? {
            return self.enable_kernel_event(session, request).await;
        }
        let rule = requests::rule(request.rule.unwrap_or_default()).map_err(refused)?;
        let kind = Kind::of(&session);
        let channel = self
            .change(session, move |plan| {
                let name = plan.channels.for_rule(&request.channel)?;
                let plan = with_channel(plan, name, kind)?;
                let channels = plan.channels.enable_rule(name, rule)?;
                Ok((plan.with(channels), name.to_owned()))
            })
            .await?;
        Ok(Response::new(v1::EnableEventResponse { channel }))
    }

    async fn disable_event(
        &self,
        request: Request<v1::DisableEventRequest>,
    ) -> Answer<v1::DisableEventResponse> {
        let session = self.session(&request, &request.get_ref().session)?;
        let request = request.into_inner();
        if is_kernel(request.domain)? {
            self.change_kernel(session, move |plan, _| {
                let channels = &plan.channels;
                let channel = channels.for_rule(&request.channel)?;
                let is_of_kind = kernel::kind_filter(request.kind());
                let chosen = |rule: &KernelRule| is_of_kind(&rule.kind);
                Ok(plan.with(channels.disable_rules(channel, &request.name, chosen)?))
            })
            .await?;
            return Ok(Response::new(v1::DisableEventResponse {}));
        }
        self.change(session, move |plan| {
            let channels = &plan.channels;
            let name = channels.for_rule(&request.channel)?;
            let channels = channels.disable_rules(name, &request.name, |_| true)?;
            Ok((plan.with(channels), ()))
        })
        .await?;
        Ok(Response::new(v1::DisableEventResponse {}))
    }

    async fn add_context(
        &self,
        request: Request<v1::AddContextRequest>,
    ) -> Answer<v1::AddContextResponse> {
        let session = self.session(&request, &request.get_ref().session)?;
        let request = request.into_inner();
        if is_kernel(request.domain)? {
            let attributes =
                requests::default_kernel_attributes(Kind::of(&session)).map_err(refused)?;
            self.change_kernel(session, move |plan, started| {
                let (channel, context) = (&request.channel, &request.context);
                kernel::add_context(plan, started, channel, attributes, context)
            })
            .await?;
            return Ok(Response::new(v1::AddContextResponse {}));
        }
        let context = PlannedContext {
            context: requests::context(&request.context).map_err(refused)?,
            spelling: request.context.clone(),
        };
        let kind = Kind::of(&session);
        self.change(session, move |plan| {
            let (channels, started) = (&plan.channels, plan.started_once);
            if !request.channel.is_empty() {
                let channels = channels.add_context(&request.channel, context, started)?;
                return Ok((plan.with(channels), ()));
            }
            let plan = match channels.is_empty() {
                true => with_channel(plan, DEFAULT_CHANNEL, kind)?,
                false => plan.clone(),
            };
            let channels = plan.channels.add_context_to_all(&context, started)?;
            Ok((plan.with(channels), ()))
        })
        .await?;
        Ok(Response::new(v1::AddContextResponse {}))
    }

    async fn set_output(
        &self,
        request: Request<v1::SetOutputRequest>,
    ) -> Answer<v1::SetOutputResponse> {
        let session = self.session(&request, &request.get_ref().session)?;
        let given = request.into_inner().output.unwrap_or_default();
        let setting = requests::output(given).map_err(refused)?;
        let changed = session.clone();
        to_the_end(async move {
            let _exclusive = changed.exclusive().await?;
            let setting = setting.unwrap_or_else(|| changed.default_output());
            let network = changed.output_report().network.implied_by(&setting);
            changed.set_output(setting, network, None).await
        })
        .await?;
        let session = Some(answers::session(&session));
        Ok(Response::new(v1::SetOutputResponse { session }))
    }

    async fn set_network(
        &self,
        request: Request<v1::SetNetworkRequest>,
    ) -> Answer<v1::SetNetworkResponse> {
        let session = self.session(&request, &request.get_ref().session)?;
        let request = request.into_inner();
        let relay_loss = requests::relay_loss(request.relay_loss).map_err(refused)?;
        let changed = session.clone();
        to_the_end(async move {
            let _exclusive = changed.exclusive().await?;
            let report = changed.output_report();
            let network = requests::network(&report.network, &request)?;
            let setting = changed.output_for(&network, &report.setting);
            changed.set_output(setting, network, relay_loss).await
        })
        .await?;
        let network = Some(answers::network(&session.output_report().network));
        let session = Some(answers::session(&session));
        Ok(Response::new(v1::SetNetworkResponse { network, session }))
    }

    async fn get_data_pending(
        &self,
        request: Request<v1::GetDataPendingRequest>,
    ) -> Answer<v1::GetDataPendingResponse> {
        let session = self.session(&request, &request.get_ref().session)?;
        let pending = session.data_pending();
        Ok(Response::new(v1::GetDataPendingResponse { pending }))
    }

    async fn regenerate(
        &self,
        request: Request<v1::RegenerateRequest>,
    ) -> Answer<v1::RegenerateResponse> {
        let session = self.session(&request, &request.get_ref().session)?;
        let what = request.get_ref().what();
        let daemon = self.daemon.clone();
        to_the_end(async move {
            let _exclusive = session.exclusive().await?;
            match what {
                What::Metadata => session.regenerate_metadata().await,
                What::Statedump => session.regenerate_statedump(&daemon.apps).await,
                What::Unspecified => Err(Refusal::new(
                    ErrorCode::INVALID,
                    "say what to regenerate: metadata or state dump",
                )),
            }
        })
        .await?;
        Ok(Response::new(v1::RegenerateResponse {}))
    }

    async fn rotate_session(
        &self,
        request: Request<v1::RotateSessionRequest>,
    ) -> Answer<v1::RotateSessionResponse> {
        let session = self.session(&request, &request.get_ref().session)?;
        let rotation_id = to_the_end(async move {
            let _exclusive = session.exclusive().await?;
            session.rotate().await
        })
        .await?;
        Ok(Response::new(v1::RotateSessionResponse { rotation_id }))
    }

    async fn get_rotation(
        &self,
        request: Request<v1::GetRotationRequest>,
    ) -> Answer<v1::GetRotationResponse> {
        let session = self.session(&request, &request.get_ref().session)?;
        let v1::GetRotationRequest {
            rotation_id, wait, ..
        } = request.into_inner();
        let last = session.rotation(wait).await;
        let rotation = Some(rotations::asked_for(rotation_id, last).map_err(refused)?);
        Ok(Response::new(v1::GetRotationResponse { rotation }))
    }

    async fn add_rotation_schedule(
        &self,
        request: Request<v1::AddRotationScheduleRequest>,
    ) -> Answer<v1::AddRotationScheduleResponse> {
        let session = self.session(&request, &request.get_ref().session)?;
        let schedule = rotations::schedule(request.into_inner().schedule).map_err(refused)?;
        to_the_end(async move {
            let _exclusive = session.exclusive().await?;
            session.add_schedule(schedule).await
        })
        .await?;
        Ok(Response::new(v1::AddRotationScheduleResponse {}))
    }

    async fn remove_rotation_schedule(
        &self,
        request: Request<v1::RemoveRotationScheduleRequest>,
    ) -> Answer<v1::RemoveRotationScheduleResponse> {
        let session = self.session(&request, &request.get_ref().session)?;
        let kind = rotations::schedule_kind(request.get_ref().kind).map_err(refused)?;
        to_the_end(async move {
            let _exclusive = session.exclusive().await?;
            session.remove_schedule(kind).await
        })
        .await?;
        Ok(Response::new(v1::RemoveRotationScheduleResponse {}))
    }

    async fn add_snapshot_output(
        &self,
        request: Request<v1::AddSnapshotOutputRequest>,
    ) -> Answer<v1::AddSnapshotOutputResponse> {
        let session = self.session(&request, &request.get_ref().session)?;
        let output = rotations::snapshot_request(request.into_inner().output).map_err(refused)?;
        let added = session.add_snapshot_output(output).map_err(refused)?;
        let output = Some(rotations::snapshot_output(&added));
        Ok(Response::new(v1::AddSnapshotOutputResponse { output }))
    }

    async fn remove_snapshot_output(
        &self,
        request: Request<v1::RemoveSnapshotOutputRequest>,
    ) -> Answer<v1::RemoveSnapshotOutputResponse> {
        let session = self.session(&request, &request.get_ref().session)?;
        let which = rotations::which_output(request.into_inner().which).map_err(refused)?;
        session.remove_snapshot_output(&which).map_err(refused)?;
        Ok(Response::new(v1::RemoveSnapshotOutputResponse {}))
    }

    async fn list_snapshot_outputs(
        &self,
        request: Request<v1::ListSnapshotOutputsRequest>,
    ) -> Answer<v1::ListSnapshotOutputsResponse> {
        let session = self.session(&request, &request.get_ref().session)?;
        let output = session.snapshot_output().map_err(refused)?;
        let outputs = output.iter().map(rotations::snapshot_output).collect();
        Ok(Response::new(v1::ListSnapshotOutputsResponse { outputs }))
    }

    async fn record_snapshot(
        &self,
        request: Request<v1::RecordSnapshotRequest>,
    ) -> Answer<v1::RecordSnapshotResponse> {
        let session = self.session(&request, &request.get_ref().session)?;
        let output = rotations::snapshot_request(request.into_inner().output).map_err(refused)?;
        let location = to_the_end(async move {
            let _exclusive = session.exclusive().await?;
            session.record_snapshot(output).await
        })
        .await?;
        let location = Some(rotations::location(location));
        Ok(Response::new(v1::RecordSnapshotResponse { location }))
    }

    async fn clear_session(
        &self,
        request: Request<v1::ClearSessionRequest>,
    ) -> Answer<v1::ClearSessionResponse> {
        let session = self.session(&request, &request.get_ref().session)?;
        to_the_end(async move {
            let _exclusive = session.exclusive().await?;
            session.clear().await
        })
        .await?;
        Ok(Response::new(v1::ClearSessionResponse {}))
    }

    async fn get_tracker(
        &self,
        request: Request<v1::GetTrackerRequest>,
    ) -> Answer<v1::GetTrackerResponse> {
        let session = self.session(&request, &request.get_ref().session)?;
        if is_kernel(request.get_ref().domain)? {
            kernel::check_attribute(request.get_ref().attribute()).map_err(refused)?;
            let tracker = Some(kernel::tracker(&session.plan().kernel));
            return Ok(Response::new(v1::GetTrackerResponse { tracker }));
        }
        let attribute = trackers::attribute(request.get_ref().attribute).map_err(refused)?;
        let tracker = Some(trackers::one(&session.plan(), attribute));
        Ok(Response::new(v1::GetTrackerResponse { tracker }))
    }

    async fn set_tracking_policy(
        &self,
        request: Request<v1::SetTrackingPolicyRequest>,
    ) -> Answer<v1::SetTrackingPolicyResponse> {
        let session = self.session(&request, &request.get_ref().session)?;
        let request = request.into_inner();
        if is_kernel(request.domain)? {
            kernel::check_attribute(request.attribute()).map_err(refused)?;
            let all = request.policy() == v1::TrackingPolicy::IncludeAll;
            self.change_kernel(session, move |plan, _| Ok(plan.set_tracking(all)))
                .await?;
            return Ok(Response::new(v1::SetTrackingPolicyResponse {}));
        }
        let attribute = trackers::attribute(request.attribute).map_err(refused)?;
        let policy = trackers::policy(request.policy).map_err(refused)?;
        self.change(session, move |plan| {
            Ok((plan.set_policy(attribute, policy), ()))
        })
        .await?;
        Ok(Response::new(v1::SetTrackingPolicyResponse {}))
    }

    async fn track(&self, request: Request<v1::TrackRequest>) -> Answer<v1::TrackResponse> {
        let session = self.session(&request, &request.get_ref().session)?;
        let request = request.into_inner();
        if is_kernel(request.domain)? {
            kernel::check_attribute(request.attribute()).map_err(refused)?;
            let process = kernel::process(request.value).map_err(refused)?;
            self.change_kernel(session, move |plan, _| plan.track(process))
                .await?;
            return Ok(Response::new(v1::TrackResponse {}));
        }
        let attribute = trackers::attribute(request.attribute).map_err(refused)?;
        let value = trackers::value(attribute, request.value).map_err(refused)?;
        self.change(session, move |plan| Ok((plan.track(attribute, value)?, ())))
            .await?;
        Ok(Response::new(v1::TrackResponse {}))
    }

    async fn untrack(&self, request: Request<v1::UntrackRequest>) -> Answer<v1::UntrackResponse> {
        let session = self.session(&request, &request.get_ref().session)?;
        let request = request.into_inner();
        if is_kernel(request.domain)? {
            kernel::check_attribute(request.attribute()).map_err(refused)?;
            let process = kernel::process(request.value).map_err(refused)?;
            self.change_kernel(session, move |plan, _| plan.untrack(process))
                .await?;
            return Ok(Response::new(v1::UntrackResponse {}));
        }
        let attribute = trackers::attribute(request.attribute).map_err(refused)?;
        let value = trackers::value(attribute, request.value).map_err(refused)?;
        self.change(session, move |plan| {
            Ok((plan.untrack(attribute, &value)?, ()))
        })
        .await?;
        Ok(Response::new(v1::UntrackResponse {}))
    }

    async fn list_tracepoints(
        &self,
        request: Request<v1::ListTracepointsRequest>,
    ) -> Answer<v1::ListTracepointsResponse> {
        self.caller(&request)?;
        let with_fields = request.get_ref().with_fields;
        if is_kernel(request.get_ref().domain)? {
            let kind = request.get_ref().kind();
            let listed = || kernel::list(&self.daemon, kind, with_fields);
            let tracepoints = tokio::task::block_in_place(listed).map_err(refused)?;
            return Ok(Response::new(v1::ListTracepointsResponse { tracepoints }));
        }
        let apps = self.daemon.apps.all().into_iter();
        let asked = apps
            .map(|app| (app.list_tracepoints(with_fields), app))
            .collect();
        let mut tracepoints = Vec::new();
        for (app, events) in self.daemon.apps.wait(asked).await {
            tracepoints.extend(answers::tracepoints(
                &app.identity,
                events.unwrap_or_default(),
            ));
        }
        Ok(Response::new(v1::ListTracepointsResponse { tracepoints }))
    }
}

/// Adds a channel with default settings if there is none of that name.
fn with_channel(plan: &Plan, name: &str, kind: Kind) -> Result<Plan, Refusal> {
    if plan.channels.get(name).is_some() {
        return Ok(plan.clone());
    }
    let buffer_type = requests::buffer_type(v1::BufferType::Unspecified as i32, plan);
    let attributes = requests::attributes(&v1::ChannelAttributes::default(), buffer_type, kind)?;
    plan.enable_channel(name, buffer_type, attributes)
}

/// A session that sends nowhere is one that a request asked for.
impl From<v1::NoOutput> for OutputSetting {
    fn from(_: v1::NoOutput) -> Self {
        Self::None
    }
}
