//! What makes a saved session again.

use control::v1::{
    AddContextRequest, AddRotationScheduleRequest, AddSnapshotOutputRequest, Channel,
    CreateSessionRequest, DisableChannelRequest, DisableEventRequest, EnableChannelRequest,
    EnableEventRequest, EventRule, Output, SetNetworkRequest, SetTrackingPolicyRequest,
    StartSessionRequest, TrackRequest, TrackingPolicy,
};

use crate::SavedSession;

/// One request.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "they are the requests of the API")]
pub enum Step {
    CreateSession(CreateSessionRequest),
    AddSnapshotOutput(AddSnapshotOutputRequest),
    SetNetwork(SetNetworkRequest),
    EnableChannel(EnableChannelRequest),
    DisableChannel(DisableChannelRequest),
    EnableEvent(EnableEventRequest),
    DisableEvent(DisableEventRequest),
    AddContext(AddContextRequest),
    SetTrackingPolicy(SetTrackingPolicyRequest),
    Track(TrackRequest),
    AddRotationSchedule(AddRotationScheduleRequest),
    StartSession(StartSessionRequest),
}

/// The requests that make `saved` again, in order; the first one creates it. `home` is the caller's directory for
/// default outputs.
pub fn steps(saved: &SavedSession, home: &str) -> Vec<Step> {
    let session = saved.details.session.clone().unwrap_or_default();
    let name = session.name.as_str();
    let output = match session.snapshot {
        // They are added, with their names.
        true => Some(Output::none()),
        false => session.output.clone(),
    };
    let mut steps = vec![Step::CreateSession(CreateSessionRequest {
        name: name.into(),
        output,
        home: home.into(),
        count_events: false,
        relay_loss: session.relay_loss,
        live_timer_us: session.live_timer_us,
        snapshot: session.snapshot,
    })];
    for output in &saved.snapshot_outputs {
        steps.push(Step::AddSnapshotOutput(AddSnapshotOutputRequest {
            session: name.into(),
            output: Some(output.clone()),
        }));
    }
    if let Some(network) = &session.network {
        steps.push(Step::SetNetwork(SetNetworkRequest {
            session: name.into(),
            enabled: Some(network.enabled),
            address: Some(network.address.clone()),
            control_port: Some(network.control_port),
            data_port: Some(network.data_port),
            relay_loss: 0,
        }));
    }
    for channel in &saved.details.channels {
        add_channel(&mut steps, name, channel, saved);
    }
    for tracker in &saved.details.trackers {
        if tracker.policy() == TrackingPolicy::IncludeAll {
            continue;
        }
        let (domain, attribute) = (tracker.domain, tracker.attribute);
        steps.push(Step::SetTrackingPolicy(SetTrackingPolicyRequest {
            session: name.into(),
            domain,
            attribute,
            policy: tracker.policy,
        }));
        for value in &tracker.values {
            steps.push(Step::Track(TrackRequest {
                session: name.into(),
                domain,
                attribute,
                value: Some(value.clone()),
            }));
        }
    }
    for schedule in &session.rotation_schedules {
        steps.push(Step::AddRotationSchedule(AddRotationScheduleRequest {
            session: name.into(),
            schedule: Some(*schedule),
        }));
    }
    if session.active {
        steps.push(Step::StartSession(StartSessionRequest::of(name)));
    }
    steps
}

fn add_channel(steps: &mut Vec<Step>, session: &str, channel: &Channel, saved: &SavedSession) {
    let domain = channel.domain;
    steps.push(Step::EnableChannel(EnableChannelRequest {
        session: session.into(),
        domain,
        channel: channel.name.clone(),
        attributes: channel.attributes,
        buffer_type: saved.details.buffer_type,
    }));
    // Disabling is by name: the disabled ones come first, so that others of their name stay enabled.
    let (enabled, disabled): (Vec<_>, Vec<_>) =
        channel.events.iter().partition(|rule| rule.enabled);
    let enable = |rule: &EventRule| {
        Step::EnableEvent(EnableEventRequest {
            session: session.into(),
            domain,
            channel: channel.name.clone(),
            rule: Some(rule.clone()),
        })
    };
    for rule in disabled {
        steps.push(enable(rule));
        steps.push(Step::DisableEvent(DisableEventRequest {
            session: session.into(),
            domain,
            channel: channel.name.clone(),
            name: rule.name.clone(),
            kind: rule.kind,
        }));
    }
    steps.extend(enabled.into_iter().map(enable));
    for context in &channel.contexts {
        steps.push(Step::AddContext(AddContextRequest {
            session: session.into(),
            domain,
            channel: channel.name.clone(),
            context: context.clone(),
        }));
    }
    if !channel.enabled {
        steps.push(Step::DisableChannel(DisableChannelRequest {
            session: session.into(),
            domain,
            channel: channel.name.clone(),
        }));
    }
}
