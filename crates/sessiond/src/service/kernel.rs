//! Requests of the kernel domain.

use std::fmt::Display;
use std::sync::Arc;

use control::{ErrorCode, v1};
use ctf::types::{Encoding, Field, FieldType};
use filter::kernel::KernelFilterError;
use filter::{Expression, glob};
use kernel::context::ContextField;
use kernel::format::{EventFormat, PageHeader};
use kernel::machine::Machine;
use kernel::schema::EventSchema;
use kernel::tracefs::{EventName, Tracefs};

use crate::daemon::Daemon;
use crate::service::requests::check_kernel_event_name;
use crate::session::channels::{DEFAULT_CHANNEL, too_late};
use crate::session::kernel::plan::{
    KernelPlan, KernelRule, KernelRuleKind, PlannedKernelChannel, PlannedKernelRule, ProbeKind,
};
use crate::session::kernel::{
    KernelDomain, is_tracepoint, kernel_filter, means, syscall, task_history_can_be_had, trace_name,
};
use crate::session::plan::{Attributes, Refusal};
use crate::session::{Session, SessionCounters, kernel_label};

use super::{answers, kernel_contexts, probes};

/// The context field that every event of the kernel has.
const GIVEN: &str = "tid";
/// Linux gives no larger process ids.
const MAX_PROCESS: u32 = 1 << 22;

fn refuse<T>(code: ErrorCode, message: impl Display) -> Result<T, Refusal> {
    Err(Refusal::new(code, message.to_string()))
}

/// The rules that a request means, all of them checked against the running kernel.
pub(super) fn rules(daemon: &Daemon, given: &v1::EventRule) -> Result<Vec<KernelRule>, Refusal> {
    let tracefs = daemon.kernel.tracefs()?;
    check_kernel_event_name(&given.name)?;
    if !given.exclusions.is_empty() {
        return refuse(
            ErrorCode::EXCLUSION_INVALID,
            "rules of the kernel domain have no exclusions",
        );
    }
    let filter = match given.filter.as_str() {
        "" => None,
        text => Some(
            Expression::parse(text)
                .map_err(|error| Refusal::new(ErrorCode::FILTER_INVALID, error.to_string()))?,
        ),
    };
    let rule = |kind| KernelRule {
        name: given.name.clone(),
        kind,
        filter: filter.clone(),
    };
    let probe = |kind| {
        let probe = probes::find(&daemon.kernel, &tracefs, kind, &given.location)?;
        Ok(KernelRuleKind::Probe(probe))
    };
    let rules = match given.kind() {
        v1::EventKind::Unspecified if given.name == "*" => {
            vec![
                rule(KernelRuleKind::Tracepoint),
                rule(KernelRuleKind::Syscall),
            ]
        }
        v1::EventKind::Unspecified | v1::EventKind::Tracepoint => {
            vec![rule(KernelRuleKind::Tracepoint)]
        }
        v1::EventKind::Syscall => vec![rule(KernelRuleKind::Syscall)],
        v1::EventKind::Probe => vec![rule(probe(ProbeKind::Kernel)?)],
        v1::EventKind::Function => vec![rule(probe(ProbeKind::Function)?)],
        v1::EventKind::UserspaceProbe => vec![rule(probe(ProbeKind::Userspace)?)],
    };
    let all = daemon.kernel.events()?;
    for rule in &rules {
        check(rule, &all)?;
    }
    if let Some(filter) = &filter {
        check_filter(&daemon.kernel, &tracefs, &all, &rules, filter)?;
    }
    Ok(rules)
}

/// The kernel must be able to do what the filter asks, for one of the events at least.
fn check_filter(
    domain: &KernelDomain,
    tracefs: &Tracefs,
    all: &[EventName],
    rules: &[KernelRule],
    filter: &Expression,
) -> Result<(), Refusal> {
    let refused = |error: &dyn Display| {
        let message = format!("the kernel cannot filter by `{}`: {error}", filter.text());
        Refusal::new(ErrorCode::FILTER_INVALID, message)
    };
    let mut missing = None;
    for rule in rules {
        if let KernelRuleKind::Probe(_) = rule.kind {
            return check_probe_filter(filter).map_err(|error| refused(&error));
        }
        for event in all.iter().filter(|event| means(rule, event)) {
            let text = tracefs.format(event).map_err(|error| refused(&error))?;
            let Ok(own) = EventFormat::parse(&text) else {
                continue;
            };
            let format = domain.recorded_format(tracefs, event, own.clone());
            match kernel_filter(&event.subsystem, &format, filter) {
                // A probe that stands in for the event has other fields, and is not there yet.
                Ok(_) if format != own => return Ok(()),
                Ok(text) => {
                    let tried = domain.try_filter(tracefs, event, &text)?;
                    return tried.map_err(|error| refused(&error));
                }
                Err(error @ KernelFilterError::NotThere(_)) => return Err(refused(&error)),
                Err(error) => missing = Some(error),
            }
        }
    }
    match missing {
        Some(error) => Err(refused(&with_contexts(&error))),
        // Nothing is meant now; what a module brings later is looked at then.
        None => Ok(()),
    }
}

/// The field `ip` is the same in all events of a probe: what remains is who is there.
fn check_probe_filter(filter: &Expression) -> Result<(), String> {
    let without_fields = EventFormat {
        name: String::new(),
        id: 0,
        common: Vec::new(),
        fields: Vec::new(),
        print_fmt: String::new(),
    };
    match kernel_filter("", &without_fields, filter) {
        Ok(_) => Ok(()),
        Err(error) => Err(with_contexts(&error)),
    }
}

/// The reason, and what could be had instead.
fn with_contexts(error: &KernelFilterError) -> String {
    match error {
        KernelFilterError::NoField(_) => format!(
            "{error}; of context fields there are `$ctx.tid`, `$ctx.procname` and `$ctx.cpu_id`"
        ),
        other => other.to_string(),
    }
}

/// A name without a star must be that of something.
fn check(rule: &KernelRule, all: &[EventName]) -> Result<(), Refusal> {
    let probe = matches!(rule.kind, KernelRuleKind::Probe(_));
    if probe || glob::is_pattern(&rule.name) || all.iter().any(|event| means(rule, event)) {
        return Ok(());
    }
    let (what, advice) = match rule.kind {
        KernelRuleKind::Syscall => (
            "system call",
            "`lttng list --kernel --syscall` shows what it has".to_owned(),
        ),
        _ => match all
            .iter()
            .find_map(|event| syscall_called(event, &rule.name))
        {
            Some(call) => (
                "tracepoint",
                format!("there is a system call: `--syscall {call}`"),
            ),
            None => (
                "tracepoint",
                "`lttng list --kernel` shows what it has".to_owned(),
            ),
        },
    };
    refuse(
        ErrorCode::KERNEL_ENABLE_FAILED,
        format!("this kernel has no {what} `{}`; {advice}", rule.name),
    )
}

/// The system call of an event, if that or one of the event's names is `name`.
fn syscall_called<'e>(event: &'e EventName, name: &str) -> Option<&'e str> {
    let (call, _) = syscall(event)?;
    let own = || format!("{}:{}", event.subsystem, event.name);
    (call == name || event.name == name || trace_name(event) == name || own() == name)
        .then_some(call)
}

/// The plan with these rules; the channel is created with `attributes` if there is none of that name.
pub(super) fn enable(
    plan: &KernelPlan,
    started_once: bool,
    channel: &str,
    attributes: Attributes,
    rules: Vec<KernelRule>,
) -> Result<KernelPlan, Refusal> {
    let mut channels = plan.channels.with(channel, attributes, started_once)?;
    let several = rules.len() > 1;
    let mut enabled = 0;
    for rule in rules {
        match channels.enable_rule(channel, rule) {
            Ok(changed) => {
                channels = changed;
                enabled += 1;
            }
            // Of all tracepoints and all system calls, the ones may be enabled already.
            Err(refusal) if several && refusal.code == ErrorCode::KERNEL_EVENT_EXISTS => {
                if enabled == 0 {
                    continue;
                }
            }
            Err(refusal) => return Err(refusal),
        }
    }
    Ok(plan.with(channels))
}

/// Which kinds of rules a request to disable means.
pub(super) fn kind_filter(kind: v1::EventKind) -> impl Fn(&KernelRuleKind) -> bool {
    move |rule| match kind {
        v1::EventKind::Unspecified => true,
        v1::EventKind::Tracepoint => *rule == KernelRuleKind::Tracepoint,
        v1::EventKind::Syscall => *rule == KernelRuleKind::Syscall,
        v1::EventKind::UserspaceProbe | v1::EventKind::Probe | v1::EventKind::Function => {
            matches!(rule, KernelRuleKind::Probe(probe) if probes::event_kind(probe.kind) == kind)
        }
    }
}

/// Adds a context field to one channel or all.
pub(super) fn add_context(
    plan: &KernelPlan,
    started_once: bool,
    channel: &str,
    attributes: Attributes,
    context: &str,
) -> Result<KernelPlan, Refusal> {
    if started_once {
        // The first thing that upstream looks at.
        return Err(too_late("context", context));
    }
    let field = ContextField::parse(context);
    if context != GIVEN && field.is_none() {
        return refuse(
            ErrorCode::KERNEL_CONTEXT_UNAVAILABLE,
            format!(
                "`{context}` cannot be had: {}",
                kernel_contexts::reason(context)
            ),
        );
    }
    if field.is_some_and(ContextField::is_of_a_task)
        && let Err(reason) = task_history_can_be_had()
    {
        let code = ErrorCode::KERNEL_CONTEXT_UNAVAILABLE;
        return refuse(code, format!("`{context}` cannot be had: {reason}"));
    }
    let (channels, context) = (&plan.channels, context.to_owned());
    let channels = if !channel.is_empty() {
        channels.add_context(channel, context, started_once)?
    } else if channels.is_empty() {
        let channels = channels.enable(DEFAULT_CHANNEL, attributes, started_once)?;
        channels.add_context_to_all(&context, started_once)?
    } else {
        channels.add_context_to_all(&context, started_once)?
    };
    Ok(plan.with(channels))
}

/// The kernel's channels of a session as messages.
pub(super) fn channels(session: &Session, counted: &SessionCounters) -> Vec<v1::Channel> {
    let plan = session.plan();
    let channels = plan.kernel.channels.iter();
    channels.map(|planned| channel(planned, counted)).collect()
}

fn channel(planned: &Arc<PlannedKernelChannel>, counted: &SessionCounters) -> v1::Channel {
    let counters = counted.channel(&kernel_label(&planned.name));
    v1::Channel {
        name: planned.name.clone(),
        domain: v1::Domain::Kernel.into(),
        enabled: planned.enabled,
        attributes: Some(answers::attributes(&planned.attributes)),
        events: planned.rules.iter().map(rule).collect(),
        contexts: planned.contexts.clone(),
        counters: Some(answers::counters(&counters)),
    }
}

fn rule(planned: &PlannedKernelRule) -> v1::EventRule {
    let rule = &planned.rule;
    let (kind, location) = match &rule.kind {
        KernelRuleKind::Tracepoint => (v1::EventKind::Tracepoint, String::new()),
        KernelRuleKind::Syscall => (v1::EventKind::Syscall, String::new()),
        KernelRuleKind::Probe(probe) => (probes::event_kind(probe.kind), probe.location.clone()),
    };
    let filter = rule.filter.as_ref().map(Expression::text);
    v1::EventRule {
        name: rule.name.clone(),
        log_level: -1,
        filter: filter.unwrap_or_default().to_owned(),
        enabled: planned.enabled,
        kind: kind.into(),
        location,
        ..v1::EventRule::default()
    }
}

/// The kernel's own ring buffers know processes by their ids only.
pub(super) fn check_attribute(attribute: v1::ProcessAttribute) -> Result<(), Refusal> {
    if attribute == v1::ProcessAttribute::ProcessId {
        return Ok(());
    }
    refuse(
        ErrorCode::NOT_SUPPORTED,
        "the kernel domain tracks process ids (--pid) only",
    )
}

/// The process that a value stands for.
pub(super) fn process(value: Option<v1::ProcessAttributeValue>) -> Result<u32, Refusal> {
    use v1::process_attribute_value::Kind;

    match value.and_then(|value| value.kind) {
        Some(Kind::Id(id)) if (1..MAX_PROCESS).contains(&id) => Ok(id),
        _ => refuse(ErrorCode::INVALID, "that is no process id"),
    }
}

/// The tracker of processes.
pub(super) fn tracker(plan: &KernelPlan) -> v1::Tracker {
    use v1::process_attribute_value::Kind;

    let value = |id: &u32| v1::ProcessAttributeValue {
        kind: Some(Kind::Id(*id)),
    };
    let policy = match &plan.tracked {
        None => v1::TrackingPolicy::IncludeAll,
        Some(_) => v1::TrackingPolicy::IncludeSet,
    };
    v1::Tracker {
        domain: v1::Domain::Kernel.into(),
        attribute: v1::ProcessAttribute::ProcessId.into(),
        policy: policy.into(),
        values: plan.tracked.iter().flatten().map(value).collect(),
    }
}

/// The kernel's trackers, if the session has the domain.
pub(super) fn trackers(plan: &KernelPlan) -> Option<v1::Tracker> {
    let has_domain = !plan.channels.is_empty() || plan.tracked.is_some();
    has_domain.then(|| tracker(plan))
}

/// What the kernel offers, by name.
pub(super) fn list(
    daemon: &Daemon,
    kind: v1::EventKind,
    with_fields: bool,
) -> Result<Vec<v1::Tracepoint>, Refusal> {
    let tracefs = daemon.kernel.tracefs()?;
    let events = daemon.kernel.events()?;
    let mut listed: Vec<v1::Tracepoint> = match kind {
        v1::EventKind::Unspecified | v1::EventKind::Tracepoint => events
            .iter()
            .filter(|event| is_tracepoint(event))
            .map(|event| point(daemon, &tracefs, event, trace_name(event), with_fields))
            .collect(),
        v1::EventKind::Syscall => events
            .iter()
            .filter_map(|event| Some((event, syscall(event).filter(|(_, entry)| *entry)?.0)))
            .map(|(event, call)| point(daemon, &tracefs, event, call.to_owned(), with_fields))
            .collect(),
        _ => {
            return refuse(
                ErrorCode::INVALID,
                "only tracepoints and system calls can be listed",
            );
        }
    };
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(listed)
}

fn point(
    daemon: &Daemon,
    tracefs: &Tracefs,
    event: &EventName,
    name: String,
    with_fields: bool,
) -> v1::Tracepoint {
    v1::Tracepoint {
        name,
        fields: if with_fields {
            fields(&daemon.kernel, tracefs, event)
        } else {
            Vec::new()
        },
        ..v1::Tracepoint::default()
    }
}

/// None if the format is not understood: then the event cannot be recorded either.
fn fields(domain: &KernelDomain, tracefs: &Tracefs, event: &EventName) -> Vec<v1::TracepointField> {
    let schema = || {
        let format = EventFormat::parse(&tracefs.format(event).ok()?).ok()?;
        let format = domain.recorded_format(tracefs, event, format);
        let machine = Machine::native(&PageHeader::LONG_64);
        EventSchema::new(&format, &event.subsystem, &machine).ok()
    };
    let Some(schema) = schema() else {
        return Vec::new();
    };
    schema.fields().iter().map(field).collect()
}

fn field(field: &Field) -> v1::TracepointField {
    use v1::tracepoint_field::Type;

    let kind = match &field.ty {
        FieldType::Integer(_) => Type::Integer,
        FieldType::Float(_) => Type::Float,
        FieldType::Enum(_) => Type::Enum,
        FieldType::String { .. } => Type::String,
        FieldType::Array { element, .. } | FieldType::Sequence { element, .. } => {
            match &**element {
                FieldType::Integer(character) if character.encoding != Encoding::None => {
                    Type::String
                }
                _ => Type::Other,
            }
        }
        FieldType::Struct { .. } | FieldType::Variant { .. } => Type::Other,
    };
    v1::TracepointField {
        name: field.name.clone(),
        r#type: kind.into(),
        nowrite: false,
    }
}
