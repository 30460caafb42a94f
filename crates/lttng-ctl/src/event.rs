//! Event rules: enabling and disabling them.

use std::ffi::{c_char, c_int};
use std::slice;

use control::blocking::Client;
use control::v1::{
    BufferType, ChannelAttributes, DisableEventRequest, EnableChannelRequest, EnableEventRequest,
    EventKind, EventRule, GetSessionRequest, LogLevelType,
};
use control::{ErrorCode, v1};

use crate::abi::{Event, Handle, SYMBOL_NAME_LEN, event_type};
use crate::boundary::{fixed, negative, optional_text, reference, reference_mut, text_of};
use crate::daemon::connect;
use crate::data;
use crate::event_place;
use crate::failure::Failure;
use crate::handle::Target;

/// The channel of rules that name none.
const DEFAULT_CHANNEL: &str = "channel0";

/// Creates an event rule, or enables a disabled one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_enable_event(
    handle: *const Handle,
    event: *mut Event,
    channel_name: *const c_char,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe { enable(handle, event, channel_name, std::ptr::null(), || Ok(vec![])) }
}

/// The same with a filter expression.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_enable_event_with_filter(
    handle: *const Handle,
    event: *mut Event,
    channel_name: *const c_char,
    filter_expression: *const c_char,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe {
        enable(handle, event, channel_name, filter_expression, || {
            Ok(vec![])
        })
    }
}

/// The same with a filter expression and names that do not match.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_enable_event_with_exclusions(
    handle: *const Handle,
    event: *mut Event,
    channel_name: *const c_char,
    filter_expression: *const c_char,
    exclusion_count: c_int,
    exclusion_names: *const *const c_char,
) -> c_int {
    // SAFETY: the crate's rule; the array has `exclusion_count` strings.
    unsafe {
        enable(handle, event, channel_name, filter_expression, || {
            exclusions(exclusion_count, exclusion_names)
        })
    }
}

unsafe fn exclusions(count: c_int, names: *const *const c_char) -> Result<Vec<String>, Failure> {
    let count = usize::try_from(count).map_err(|_| Failure::INVALID)?;
    if count == 0 {
        return Ok(Vec::new());
    }
    if names.is_null() {
        return Err(Failure::INVALID);
    }
    // SAFETY: not NULL, so `count` pointers to strings by the caller's promise.
    let names = unsafe { slice::from_raw_parts(names, count) };
    names
        .iter()
        .map(|&name| {
            // SAFETY: as above; NULL is refused.
            let name = unsafe { crate::boundary::text(name) }?;
            if name.len() >= SYMBOL_NAME_LEN {
                return Err(Failure(ErrorCode::EXCLUSION_INVALID));
            }
            Ok(name)
        })
        .collect()
}

unsafe fn enable(
    handle: *const Handle,
    event: *mut Event,
    channel_name: *const c_char,
    filter_expression: *const c_char,
    exclusions: impl FnOnce() -> Result<Vec<String>, Failure>,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let (target, event, channel, filter) = unsafe {
            (
                Target::read(handle)?,
                reference_mut(event)?,
                optional_text(channel_name)?.unwrap_or_default(),
                optional_text(filter_expression)?,
            )
        };
        if event.name[0] == 0 {
            // Callers see that, and rely on it: upstream does the same.
            event.name = fixed("*");
        }
        let exclusions = exclusions()?;
        if (1..exclusions.len()).any(|at| exclusions[..at].contains(&exclusions[at])) {
            return Err(Failure::INVALID);
        }
        let rule = rule(&target, event, filter, exclusions)?;
        let mut daemon = connect()?;
        if target.buffers == BufferType::PerPid {
            make_per_pid_channel(&mut daemon, &target, &channel)?;
        }
        daemon.enable_event(EnableEventRequest {
            session: target.session,
            domain: target.domain.into(),
            channel,
            rule: Some(rule),
        })?;
        Ok(0)
    })
}

fn rule(
    target: &Target,
    event: &Event,
    filter: Option<String>,
    exclusions: Vec<String>,
) -> Result<EventRule, Failure> {
    let kind = match (target.domain, event.kind) {
        (v1::Domain::Kernel, kind) => event_place::kind(kind).ok_or(Failure::INVALID)?,
        (_, event_type::TRACEPOINT) => EventKind::Unspecified,
        _ => return Err(Failure::INVALID),
    };
    if let Some(filter) = &filter {
        check_filter(filter)?;
    }
    let log_level_type =
        LogLevelType::try_from(event.loglevel_type).map_err(|_| Failure::INVALID)?;
    Ok(EventRule {
        name: text_of(&event.name)?,
        log_level_type: log_level_type.into(),
        log_level: event.loglevel,
        filter: filter.unwrap_or_default(),
        exclusions,
        enabled: true,
        kind: kind.into(),
        location: match target.domain {
            v1::Domain::Kernel => event_place::read(event)?,
            _ => String::new(),
        },
    })
}

/// The daemon checks filters too; here the person at the terminal is told what is wrong.
fn check_filter(filter: &str) -> Result<(), Failure> {
    if filter.is_empty() {
        return Err(Failure::INVALID);
    }
    filter::Expression::parse(filter).map_err(|error| {
        data::say(&error.to_string());
        Failure(ErrorCode::FILTER_INVALID)
    })?;
    Ok(())
}

/// A channel that a rule or a context is about to create gets the buffer type of the handle; the daemon's own
/// default is one per user.
pub(crate) fn make_per_pid_channel(
    daemon: &mut Client,
    target: &Target,
    channel: &str,
) -> Result<(), Failure> {
    let session = daemon.get_session(GetSessionRequest::of(&target.session))?;
    let wanted = match channel {
        "" if session.channels.is_empty() => DEFAULT_CHANNEL,
        "" => return Ok(()),
        name if session.channels.iter().any(|there| there.name == name) => return Ok(()),
        name => name,
    };
    daemon.enable_channel(EnableChannelRequest {
        session: target.session.clone(),
        domain: target.domain.into(),
        channel: wanted.into(),
        attributes: Some(ChannelAttributes::default()),
        buffer_type: v1::BufferType::PerPid.into(),
    })?;
    Ok(())
}

/// Disables the event rules of a name in a channel; without name all of them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_disable_event(
    handle: *const Handle,
    name: *const c_char,
    channel_name: *const c_char,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let (target, name, channel) = unsafe {
            (
                Target::read(handle)?,
                optional_text(name)?,
                optional_text(channel_name)?,
            )
        };
        disable(
            target,
            name.unwrap_or_default(),
            channel.unwrap_or_default(),
            EventKind::Unspecified,
        )
    })
}

/// Disables event rules by the name in `event`. There is no disabling by filter: it must be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_disable_event_ext(
    handle: *const Handle,
    event: *const Event,
    channel_name: *const c_char,
    filter_expression: *const c_char,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let (target, event, channel) = unsafe {
            (
                Target::read(handle)?,
                reference(event)?,
                optional_text(channel_name)?,
            )
        };
        if !filter_expression.is_null() {
            return Err(Failure::NOT_SUPPORTED);
        }
        let kind = match target.domain {
            v1::Domain::Kernel => event_place::kind(event.kind).ok_or(Failure::INVALID)?,
            _ if [event_type::TRACEPOINT, event_type::ALL].contains(&event.kind) => {
                EventKind::Unspecified
            }
            _ => return Err(Failure::INVALID),
        };
        let (name, channel) = (text_of(&event.name)?, channel.unwrap_or_default());
        disable(target, name, channel, kind)
    })
}

fn disable(
    target: Target,
    name: String,
    channel: String,
    kind: EventKind,
) -> Result<c_int, Failure> {
    connect()?.disable_event(DisableEventRequest {
        session: target.session,
        domain: target.domain.into(),
        channel,
        name,
        kind: kind.into(),
    })?;
    Ok(0)
}
