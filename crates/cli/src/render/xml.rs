//! Answers as elements of the machine interface.

use control::url;
use control::v1::rotation_schedule::Kind;
use control::v1::tracepoint_field::Type;
use control::v1::{
    BufferType, Channel, ChannelAttributes, EventKind, EventRule, GetSessionResponse, LogLevelType,
    RotationSchedule, Session, Tracepoint,
};

use crate::commands::Domain;
use crate::log_level;
use crate::mi::Element;
use crate::render::session::domains;
use crate::render::tracepoints::applications;
use crate::render::{output_state, probe, trackers};

/// The monitor timer that upstream gives a channel, microseconds.
const DEFAULT_MONITOR_TIMER_US: u64 = 1_000_000;

pub(crate) fn session(session: &Session) -> Element {
    let path = url::describe(session.output.as_ref()).unwrap_or_default();
    let element = Element::new(
        "session",
        [
            Element::text("name", &session.name),
            Element::text("path", path),
            Element::text("enabled", session.active),
            Element::text("snapshot_mode", u8::from(session.snapshot)),
            Element::text("live_timer_interval", session.live_timer_us),
        ],
    );
    match output_state::element(session) {
        Some(state) => element.with(state),
        None => element,
    }
}

/// A session by name, with or without its state.
pub(crate) fn session_name(name: &str, enabled: Option<bool>) -> Element {
    let enabled = enabled.map(|enabled| Element::text("enabled", enabled));
    Element::new(
        "session",
        [Element::text("name", name)].into_iter().chain(enabled),
    )
}

/// A session with its domain. `channels`: with trackers and channels, or the domain's name only.
pub(crate) fn details(answer: &GetSessionResponse, only: Option<&str>, channels: bool) -> Element {
    let Some(described) = &answer.session else {
        return Element::new("session", []);
    };
    let all = domains(answer).into_iter().map(|which| {
        let (element, tracked) = match which {
            Domain::Kernel => (kernel_domain(), control::v1::Domain::Kernel),
            Domain::Ust => (domain(answer.buffer_type()), control::v1::Domain::Ust),
        };
        if !channels {
            return element;
        }
        let channels = answer
            .channels
            .iter()
            .filter(|channel| channel.domain == which.proto())
            .filter(|channel| only.is_none_or(|name| name == channel.name))
            .map(full_channel);
        element
            .with(trackers::elements(tracked, &answer.trackers))
            .with(Element::new("channels", channels))
    });
    let all: Vec<_> = all.collect();
    let element = session(described);
    let schedules = &described.rotation_schedules;
    let element = if schedules.is_empty() {
        element
    } else {
        let schedules = schedules.iter().filter_map(schedule);
        element.with(Element::new("rotation_schedules", schedules))
    };
    element.with(Element::new("domains", all))
}

/// A rotation schedule.
pub(crate) fn schedule(schedule: &RotationSchedule) -> Option<Element> {
    Some(match schedule.kind? {
        Kind::PeriodUs(us) => Element::new("periodic", [Element::text("time_us", us)]),
        Kind::SizeBytes(bytes) => Element::new("size_threshold", [Element::text("bytes", bytes)]),
    })
}

fn kernel_domain() -> Element {
    Element::new(
        "domain",
        [
            Element::text("type", "KERNEL"),
            Element::text("buffer_type", "GLOBAL"),
        ],
    )
}

fn domain(buffer_type: BufferType) -> Element {
    let buffers = match buffer_type {
        BufferType::PerPid => "PER_PID",
        BufferType::PerUid | BufferType::Unspecified => "PER_UID",
    };
    Element::new(
        "domain",
        [
            Element::text("type", "UST"),
            Element::text("buffer_type", buffers),
        ],
    )
}

fn full_channel(channel: &Channel) -> Element {
    let attributes = channel.attributes.unwrap_or_default();
    let counters = channel.counters.unwrap_or_default();
    let losses = [counters.discarded_events, counters.lost_packets];
    Element::new(
        "channel",
        [
            Element::text("name", &channel.name),
            Element::text("enabled", channel.enabled),
            channel_attributes(&attributes, losses),
            Element::new("events", channel.events.iter().map(rule)),
        ],
    )
}

/// `losses`: discarded events and lost packets.
pub(crate) fn channel_attributes(attributes: &ChannelAttributes, losses: [u64; 2]) -> Element {
    let mode = if attributes.overwrite() {
        "OVERWRITE"
    } else {
        "DISCARD"
    };
    let monitor = attributes.monitor_timer_us;
    Element::new(
        "attributes",
        [
            Element::text("overwrite_mode", mode),
            Element::text("subbuffer_size", attributes.subbuf_size),
            Element::text("subbuffer_count", attributes.subbuf_count),
            Element::text("switch_timer_interval", attributes.switch_timer_us),
            Element::text("read_timer_interval", attributes.read_timer_us),
            Element::text(
                "monitor_timer_interval",
                monitor.unwrap_or(DEFAULT_MONITOR_TIMER_US),
            ),
            Element::text("blocking_timeout", attributes.blocking_timeout_us),
            Element::text("output_type", "MMAP"),
            Element::text("tracefile_size", attributes.tracefile_size),
            Element::text("tracefile_count", attributes.tracefile_count),
            Element::text("live_timer_interval", 0),
            Element::text("discarded_events", losses[0]),
            Element::text("lost_packets", losses[1]),
        ],
    )
}

/// A rule as `list` shows it.
fn rule(rule: &EventRule) -> Element {
    event(rule, !rule.filter.is_empty())
}

fn kind(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Unspecified | EventKind::Tracepoint => "TRACEPOINT",
        EventKind::Syscall => "SYSCALL",
        EventKind::Probe => "PROBE",
        EventKind::UserspaceProbe => "USERSPACE_PROBE",
        EventKind::Function => "FUNCTION",
    }
}

/// A rule, with its filter or without, as `enable-event` shows it.
pub(crate) fn event(rule: &EventRule, with_filter: bool) -> Element {
    let mut children = vec![
        Element::text("name", &rule.name),
        Element::text("type", kind(rule.kind())),
        Element::text("enabled", rule.enabled),
    ];
    if with_filter {
        children.push(Element::text("filter_expression", &rule.filter));
    }
    let level_type = match rule.log_level_type() {
        LogLevelType::All => None,
        LogLevelType::Range => Some("RANGE"),
        LogLevelType::Single => Some("SINGLE"),
    };
    if let Some(level_type) = level_type {
        children.push(Element::text("loglevel", log_level::name(rule.log_level)));
        children.push(Element::text("loglevel_type", level_type));
    }
    if matches!(rule.kind(), EventKind::Unspecified | EventKind::Tracepoint) {
        let exclusions = rule.exclusions.iter();
        children.push(Element::new(
            "exclusions",
            exclusions.map(|name| Element::text("exclusion", name)),
        ));
    }
    children.extend(probe::attributes(rule));
    Element::new("event", children)
}

/// `list -u [-f]`.
pub(crate) fn tracepoints(tracepoints: &[Tracepoint], with_fields: bool) -> Element {
    let pids = applications(tracepoints).into_iter().map(|application| {
        let events = application.tracepoints.iter();
        Element::new(
            "pid",
            [
                Element::text("id", application.pid),
                Element::text("name", application.name),
                Element::new("events", events.map(|point| tracepoint(point, with_fields))),
            ],
        )
    });
    // Upstream calls the buffers of instrumentation points per process, whatever they are.
    let domain = domain(BufferType::PerPid).with(Element::new("pids", pids));
    Element::new("domains", [domain])
}

/// `list -k [--syscall] [-f]`.
pub(crate) fn kernel_points(points: &[Tracepoint], syscalls: bool, with_fields: bool) -> Element {
    let what = if syscalls { "SYSCALL" } else { "TRACEPOINT" };
    let events = points.iter().map(|shown| point(shown, what, with_fields));
    let domain = kernel_domain().with(Element::new("events", events));
    Element::new("domains", [domain])
}

fn tracepoint(tracepoint: &Tracepoint, with_fields: bool) -> Element {
    point(tracepoint, "TRACEPOINT", with_fields)
}

fn point(tracepoint: &Tracepoint, what: &str, with_fields: bool) -> Element {
    let event = Element::new(
        "event",
        [
            Element::text("name", &tracepoint.name),
            Element::text("type", what),
            Element::text("enabled", true),
            Element::text("loglevel", log_level::name(tracepoint.log_level)),
            Element::text("loglevel_type", "ALL"),
            Element::new("exclusions", []),
        ],
    );
    if !with_fields {
        return event;
    }
    let fields = tracepoint.fields.iter().map(|field| {
        let kind = match field.r#type() {
            Type::Other => "OTHER",
            Type::Integer => "INTEGER",
            Type::Enum => "ENUM",
            Type::Float => "FLOAT",
            Type::String => "STRING",
        };
        Element::new(
            "event_field",
            [
                Element::text("name", &field.name),
                Element::text("type", kind),
                Element::text("nowrite", u8::from(field.nowrite)),
            ],
        )
    });
    event.with(Element::new("event_fields", fields))
}
