//! Event objects: making, listing and reading them.

use std::ffi::{c_char, c_int};
use std::ptr;

use control::ErrorCode;
use control::v1::{Domain, EventKind, EventRule, GetSessionRequest};

use crate::abi::{Event, EventExtension, Handle, SYMBOL_NAME_LEN, event_type};
use crate::boundary::{
    Tail, array, count, fixed, guard, negative, out, reference, reference_mut, text, zeroed,
};
use crate::daemon::connect;
use crate::event_place;
use crate::failure::Failure;
use crate::handle::Target;
use crate::userspace_probe::{UserspaceLocation, lttng_userspace_probe_location_destroy};

/// An event with nothing set, for callers to fill in.
#[unsafe(no_mangle)]
pub extern "C" fn lttng_event_create() -> *mut Event {
    guard(ptr::null_mut(), || {
        let (event, extended) = (zeroed::<Event>(), zeroed::<EventExtension>());
        // SAFETY: new objects that nobody else has; zeros are values of them; `free` takes NULL.
        unsafe {
            if event.is_null() || extended.is_null() {
                libc::free(event.cast());
                libc::free(extended.cast());
                return ptr::null_mut();
            }
            (*event).extended = extended;
        }
        event
    })
}

/// Frees an event made by [`lttng_event_create`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_event_destroy(event: *mut Event) {
    // SAFETY: NULL, or made by `lttng_event_create` and given back once; the place in the extension is its own.
    unsafe {
        if let Some(inside) = event.as_ref() {
            if let Some(extended) = inside.extended.as_ref() {
                lttng_userspace_probe_location_destroy(extended.probe_location);
            }
            libc::free(inside.extended.cast());
            libc::free(event.cast());
        }
    }
}

/// The event rules of a channel.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_list_events(
    handle: *const Handle,
    channel_name: *const c_char,
    events: *mut *mut Event,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let (target, channel, place) =
            unsafe { (Target::read(handle)?, text(channel_name)?, out(events)?) };
        let session = connect()?.get_session(GetSessionRequest::of(&target.session))?;
        let channel = session
            .channels
            .iter()
            .find(|there| there.name == channel && there.domain == i32::from(target.domain))
            .ok_or(Failure(match target.domain {
                Domain::Kernel => ErrorCode::KERNEL_CHANNEL_NOT_FOUND,
                _ => ErrorCode::UST_CHANNEL_NOT_FOUND,
            }))?;
        place.set(array(&channel.events, room, listed)?);
        count(channel.events.len())
    })
}

fn room(rule: &EventRule) -> usize {
    Tail::room::<EventExtension>()
        + Tail::room_for(rule.filter.len() + 1)
        + Tail::room_for(rule.exclusions.len() * SYMBOL_NAME_LEN)
        + event_place::in_program(rule).map_or(0, |place| UserspaceLocation::room(&place))
}

fn listed(rule: &EventRule, tail: &mut Tail) -> Event {
    let filter = if rule.filter.is_empty() {
        ptr::null_mut()
    } else {
        tail.put_bytes(format!("{}\0", rule.filter).as_bytes())
    };
    let names: Vec<u8> = rule
        .exclusions
        .iter()
        .flat_map(|name| fixed::<SYMBOL_NAME_LEN>(name).map(|byte| byte as u8))
        .collect();
    let exclusions = tail_names(&names, tail);
    let probe_location = event_place::in_program(rule).map_or(ptr::null_mut(), |place| {
        UserspaceLocation::listed(&place, tail)
    });
    let extended = tail.put(EventExtension {
        filter,
        exclusion_count: u32::try_from(rule.exclusions.len()).unwrap_or(0),
        exclusions,
        probe_location,
    });
    Event {
        kind: match rule.kind() {
            EventKind::Unspecified | EventKind::Tracepoint => event_type::TRACEPOINT,
            EventKind::Syscall => event_type::SYSCALL,
            EventKind::Probe => event_type::PROBE,
            EventKind::UserspaceProbe => event_type::USERSPACE_PROBE,
            EventKind::Function => event_type::FUNCTION,
        },
        loglevel_type: rule.log_level_type,
        loglevel: rule.log_level,
        enabled: rule.enabled.into(),
        filter: (!rule.filter.is_empty()).into(),
        exclusion: (!rule.exclusions.is_empty()).into(),
        extended,
        attr: event_place::written(rule),
        ..plain(&rule.name)
    }
}

fn tail_names(names: &[u8], tail: &mut Tail) -> *mut c_char {
    if names.is_empty() {
        return ptr::null_mut();
    }
    tail.put_bytes(names)
}

/// A user space tracepoint of this name, nothing else set.
pub(crate) fn plain(name: &str) -> Event {
    Event {
        kind: event_type::TRACEPOINT,
        name: fixed(name),
        loglevel_type: 0,
        loglevel: 0,
        enabled: 0,
        pid: 0,
        filter: 0,
        exclusion: 0,
        padding2: [0; 2],
        flags: 0,
        padding: [0; 4],
        extended: ptr::null_mut(),
        attr: [0; 36],
    }
}

/// What an event of this library has beside the struct; `None`: nothing.
unsafe fn extension<'a>(event: *const Event) -> Result<Option<&'a EventExtension>, Failure> {
    // SAFETY: the crate's rule; the extension is NULL or made by this library.
    unsafe { Ok(reference(event)?.extended.as_ref()) }
}

/// The filter expression, NULL if there is none; it belongs to the event.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_event_get_filter_expression(
    event: *const Event,
    filter_string: *mut *const c_char,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let (extended, place) = unsafe { (extension(event)?, out(filter_string)?) };
        place.set(extended.map_or(ptr::null(), |extended| extended.filter.cast_const()));
        Ok(0)
    })
}

/// How many exclusions there are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_event_get_exclusion_name_count(event: *const Event) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let extended = unsafe { extension(event) }?;
        count(extended.map_or(0, |extended| extended.exclusion_count as usize))
    })
}

/// One exclusion; it belongs to the event.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_event_get_exclusion_name(
    event: *const Event,
    index: usize,
    exclusion_name: *mut *const c_char,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let (extended, place) = unsafe { (extension(event)?, out(exclusion_name)?) };
        let extended = extended.ok_or(Failure::INVALID)?;
        if index >= extended.exclusion_count as usize {
            return Err(Failure::INVALID);
        }
        // SAFETY: there are `exclusion_count` names of this length each.
        place.set(unsafe { extended.exclusions.add(index * SYMBOL_NAME_LEN) });
        Ok(0)
    })
}

/// Where the program's probe is, NULL if it is none; it belongs to the event.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_event_get_userspace_probe_location(
    event: *const Event,
) -> *const UserspaceLocation {
    guard(ptr::null(), || {
        // SAFETY: the crate's rule.
        match unsafe { extension(event) } {
            Ok(Some(extended)) => extended.probe_location.cast_const(),
            _ => ptr::null(),
        }
    })
}

/// Says where the program's probe is. The place belongs to the event from now on, which must come from
/// [`lttng_event_create`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_event_set_userspace_probe_location(
    event: *mut Event,
    probe_location: *mut UserspaceLocation,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule; the extension is NULL or made by this library.
        let extended = unsafe { reference_mut(event)?.extended.as_mut() };
        let extended = extended.ok_or(Failure::INVALID)?;
        if probe_location.is_null() {
            return Err(Failure::INVALID);
        }
        // SAFETY: NULL, or a place that was given to this event before.
        unsafe { lttng_userspace_probe_location_destroy(extended.probe_location) };
        extended.probe_location = probe_location;
        Ok(0)
    })
}
