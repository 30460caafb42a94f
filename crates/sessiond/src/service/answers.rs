//! Sessions as messages.

use consumer_api::Counters;
use control::v1;
use ust::command::LogLevels;

use super::{rotations, trackers};
use crate::app::{AppIdentity, ListedEvent};
use crate::service::kernel;
use crate::session::plan::{Attributes, BufferType, PlannedChannel, PlannedRule};
use crate::session::{
    GivenUp, NetworkAttributes, OutputReport, OutputSetting, OutputStatus, RelayLoss, Session,
    SessionCounters,
};

pub(super) fn session(session: &Session) -> v1::Session {
    let report = session.output_report();
    v1::Session {
        name: session.name.clone(),
        output: Some(output(&report.setting)),
        active: session.plan().active,
        created_unix_s: session.created_unix_s(),
        owner_uid: session.owner.uid,
        owner_gid: session.owner.gid,
        network: Some(network(&report.network)),
        relay_loss: relay_loss(report.relay_loss).into(),
        fallback: report
            .fallback
            .clone()
            .map(|reason| v1::RelayFallback { reason }),
        output_state: Some(state(report)),
        live_timer_us: session.live_timer_us,
        snapshot: session.snapshot,
        rotation_schedules: rotations::schedules(&session.schedules()),
    }
}

fn relay_loss(setting: RelayLoss) -> v1::RelayLoss {
    match setting {
        RelayLoss::Reconnect => v1::RelayLoss::Reconnect,
        RelayLoss::Local => v1::RelayLoss::Local,
    }
}

pub(super) fn network(attributes: &NetworkAttributes) -> v1::NetworkAttributes {
    v1::NetworkAttributes {
        enabled: attributes.enabled,
        address: attributes.address.clone(),
        control_port: attributes.control_port.into(),
        data_port: attributes.data_port.into(),
    }
}

pub(super) fn session_details(of: &Session, counted: &SessionCounters) -> v1::GetSessionResponse {
    let plan = of.plan();
    let buffer_type = match plan.buffer_type {
        None => v1::BufferType::Unspecified,
        Some(BufferType::PerUid) => v1::BufferType::PerUid,
        Some(BufferType::PerPid) => v1::BufferType::PerPid,
    };
    v1::GetSessionResponse {
        session: Some(session(of)),
        channels: kernel::channels(of, counted)
            .into_iter()
            .chain(
                plan.channels
                    .iter()
                    .map(|planned| channel(planned, counted)),
            )
            .collect(),
        buffer_type: buffer_type.into(),
        counters: Some(counters(&counted.total)),
        trackers: kernel::trackers(&plan.kernel)
            .into_iter()
            .chain(trackers::all(&plan))
            .collect(),
    }
}

pub(super) fn counters(counted: &Counters) -> v1::Counters {
    v1::Counters {
        events: counted.events,
        packets: counted.packets,
        bytes: counted.bytes,
        discarded_events: counted.discarded_events,
        lost_packets: counted.lost_packets,
    }
}

pub(super) fn given_up(given_up: GivenUp) -> v1::GivenUp {
    v1::GivenUp {
        events: given_up.events,
        packets: given_up.packets,
        bytes: given_up.bytes,
        reason: given_up.reason,
    }
}

pub(super) fn output_state(session: &Session) -> v1::OutputState {
    state(session.output_report())
}

fn state(report: OutputReport) -> v1::OutputState {
    use v1::output_state::Kind;

    let (kind, reason, path) = match report.status {
        OutputStatus::Unused => (Kind::Unspecified, String::new(), String::new()),
        OutputStatus::Ready {
            path,
            remote: false,
        } => (Kind::Ready, String::new(), path),
        OutputStatus::Ready { path, remote: true } => (Kind::Connected, String::new(), path),
        OutputStatus::Reconnecting { path, reason } => (Kind::Reconnecting, reason, path),
        OutputStatus::Failed { path, reason } => (Kind::Failed, reason, path),
    };
    v1::OutputState {
        kind: kind.into(),
        reason,
        path,
        consumers_replaced: report.replaced,
    }
}

pub(super) fn tracepoints(
    app: &AppIdentity,
    events: Vec<ListedEvent>,
) -> impl Iterator<Item = v1::Tracepoint> {
    events.into_iter().map(move |event| v1::Tracepoint {
        pid: app.pid,
        process: app.registration.name.clone(),
        name: event.name,
        log_level: event.log_level,
        fields: event
            .fields
            .into_iter()
            .map(|field| v1::TracepointField {
                name: field.name,
                r#type: v1::tracepoint_field::Type::try_from(field.kind)
                    .unwrap_or_default()
                    .into(),
                nowrite: field.nowrite,
            })
            .collect(),
    })
}

pub(super) fn output(setting: &OutputSetting) -> v1::Output {
    use v1::output::Kind;

    let kind = match setting {
        OutputSetting::None => Kind::None(v1::NoOutput {}),
        OutputSetting::Local(path) => Kind::LocalPath(path.display().to_string()),
        OutputSetting::Relay { address, base_path } => Kind::Relay(v1::RelayOutput {
            address: address.host.clone(),
            control_port: address.control_port.into(),
            data_port: address.data_port.into(),
            base_path: base_path.clone(),
            ipv6: address.ipv6,
        }),
    };
    v1::Output { kind: Some(kind) }
}

fn channel(planned: &PlannedChannel, counted: &SessionCounters) -> v1::Channel {
    v1::Channel {
        name: planned.name.clone(),
        domain: v1::Domain::Ust.into(),
        enabled: planned.enabled,
        attributes: Some(attributes(&planned.attributes)),
        events: planned.rules.iter().map(rule).collect(),
        contexts: planned
            .contexts
            .iter()
            .map(|context| context.spelling.clone())
            .collect(),
        counters: Some(counters(&counted.channel(&planned.name))),
    }
}

pub(super) fn attributes(of: &Attributes) -> v1::ChannelAttributes {
    v1::ChannelAttributes {
        overwrite: Some(of.overwrite),
        subbuf_size: of.subbuf_size,
        subbuf_count: of.subbuf_count,
        switch_timer_us: of.switch_timer_us,
        read_timer_us: of.read_timer_us,
        monitor_timer_us: Some(of.monitor_timer_us),
        blocking_timeout_us: of.blocking_timeout_us,
        tracefile_size: of.tracefile_size,
        tracefile_count: of.tracefile_count,
    }
}

fn rule(planned: &PlannedRule) -> v1::EventRule {
    let rule = &planned.rule;
    let (kind, log_level) = match rule.levels {
        LogLevels::Any => (v1::LogLevelType::All, -1),
        LogLevels::AtLeast(level) => (v1::LogLevelType::Range, level),
        LogLevels::Exactly(level) => (v1::LogLevelType::Single, level),
    };
    v1::EventRule {
        name: rule.name.clone(),
        log_level_type: kind.into(),
        log_level,
        filter: rule
            .filter
            .as_ref()
            .map(|filter| filter.text.clone())
            .unwrap_or_default(),
        exclusions: rule.exclusions.clone(),
        enabled: planned.enabled,
        ..v1::EventRule::default()
    }
}
