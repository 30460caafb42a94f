//! Process attribute trackers: which processes a domain of a session records.

use std::ffi::{c_char, c_int, c_uint};

use control::ErrorCode;
use control::v1::process_attribute_value::Kind;
use control::v1::{
    Domain, GetTrackerRequest, ProcessAttribute, ProcessAttributeValue, SetTrackingPolicyRequest,
    TrackRequest, Tracker, TrackingPolicy, UntrackRequest,
};

use crate::abi::domain_type;
use crate::boundary::{guard, out, positive, reference, reference_mut, text};
use crate::daemon::connect;
use crate::failure::Failure;
use crate::lifecycle::session_name;
use crate::tracker_values::Values;

/// Values of `enum lttng_process_attr_tracker_handle_status`.
mod status {
    use std::ffi::c_int;

    pub(super) const OK: c_int = 0;
    pub(super) const EXISTS: c_int = 1;
    pub(super) const MISSING: c_int = 2;
    pub(super) const INVALID: c_int = -1;
    pub(super) const COMMUNICATION_ERROR: c_int = -2;
    pub(super) const ERROR: c_int = -3;
    pub(super) const SESSION_DOES_NOT_EXIST: c_int = -4;
    pub(super) const INVALID_TRACKING_POLICY: c_int = -5;
    pub(super) const USER_NOT_FOUND: c_int = -6;
    pub(super) const GROUP_NOT_FOUND: c_int = -7;
}

/// Where a tracker is.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) session: String,
    pub(crate) domain: Domain,
    pub(crate) attribute: ProcessAttribute,
}

/// `struct lttng_process_attr_tracker_handle`, opaque to C.
#[derive(Debug)]
pub struct TrackerHandle {
    place: Place,
    /// The inclusion set that was asked for last.
    values: Option<Box<Values>>,
}

impl Place {
    pub(crate) fn get(&self) -> Result<Tracker, Failure> {
        let answer = connect()?.get_tracker(GetTrackerRequest {
            session: self.session.clone(),
            domain: self.domain.into(),
            attribute: self.attribute.into(),
        })?;
        Ok(answer.tracker.unwrap_or_default())
    }

    pub(crate) fn set_policy(&self, policy: TrackingPolicy) -> Result<(), Failure> {
        connect()?.set_tracking_policy(SetTrackingPolicyRequest {
            session: self.session.clone(),
            domain: self.domain.into(),
            attribute: self.attribute.into(),
            policy: policy.into(),
        })?;
        Ok(())
    }

    pub(crate) fn add(&self, value: Kind) -> Result<(), Failure> {
        connect()?.track(TrackRequest {
            session: self.session.clone(),
            domain: self.domain.into(),
            attribute: self.attribute.into(),
            value: Some(ProcessAttributeValue { kind: Some(value) }),
        })?;
        Ok(())
    }

    pub(crate) fn remove(&self, value: Kind) -> Result<(), Failure> {
        connect()?.untrack(UntrackRequest {
            session: self.session.clone(),
            domain: self.domain.into(),
            attribute: self.attribute.into(),
            value: Some(ProcessAttributeValue { kind: Some(value) }),
        })?;
        Ok(())
    }
}

/// The attribute of a value of `enum lttng_process_attr`.
fn attribute(value: c_int) -> Option<ProcessAttribute> {
    // The control API counts from 1.
    let number = value.checked_add(1)?;
    let attribute = ProcessAttribute::try_from(number).ok()?;
    (attribute != ProcessAttribute::Unspecified).then_some(attribute)
}

fn is_virtual(attribute: ProcessAttribute) -> bool {
    matches!(
        attribute,
        ProcessAttribute::VirtualProcessId
            | ProcessAttribute::VirtualUserId
            | ProcessAttribute::VirtualGroupId
    )
}

/// Opens a tracker of a session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_session_get_tracker_handle(
    session_name: *const c_char,
    domain: c_int,
    process_attr: c_int,
    out_tracker_handle: *mut *mut TrackerHandle,
) -> c_uint {
    positive(|| {
        // SAFETY: the crate's rule.
        let (session, handle) =
            unsafe { (self::session_name(session_name)?, out(out_tracker_handle)?) };
        let domain = match domain {
            domain_type::KERNEL => Domain::Kernel,
            domain_type::UST => Domain::Ust,
            _ => return Err(Failure(ErrorCode::UNSUPPORTED_DOMAIN)),
        };
        let attribute = attribute(process_attr).ok_or(Failure::INVALID)?;
        if domain == Domain::Ust && !is_virtual(attribute) {
            return Err(Failure::UNKNOWN);
        }
        let place = Place {
            session,
            domain,
            attribute,
        };
        place.get().map_err(|failure| match failure.0 {
            ErrorCode::SESSION_NOT_FOUND => Failure(ErrorCode::SESSION_DOES_NOT_EXIST),
            _ => failure,
        })?;
        let values = None;
        handle.set(Box::into_raw(Box::new(TrackerHandle { place, values })));
        Ok(())
    })
}

/// Frees a handle with the inclusion set that it gave.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_process_attr_tracker_handle_destroy(
    tracker_handle: *mut TrackerHandle,
) {
    guard((), || {
        if !tracker_handle.is_null() {
            // SAFETY: made by `lttng_session_get_tracker_handle`, and given back once.
            drop(unsafe { Box::from_raw(tracker_handle) });
        }
    });
}

fn status_of(result: Result<(), Failure>) -> c_int {
    let Err(Failure(code)) = result else {
        return status::OK;
    };
    match code {
        ErrorCode::PROCESS_ATTRIBUTE_EXISTS => status::EXISTS,
        ErrorCode::PROCESS_ATTRIBUTE_MISSING => status::MISSING,
        ErrorCode::NO_SESSION_DAEMON => status::COMMUNICATION_ERROR,
        ErrorCode::SESSION_NOT_FOUND | ErrorCode::SESSION_DOES_NOT_EXIST => {
            status::SESSION_DOES_NOT_EXIST
        }
        ErrorCode::TRACKER_INVALID_POLICY => status::INVALID_TRACKING_POLICY,
        ErrorCode::USER_NOT_FOUND => status::USER_NOT_FOUND,
        ErrorCode::GROUP_NOT_FOUND => status::GROUP_NOT_FOUND,
        _ => status::ERROR,
    }
}

/// Runs a call on a handle that is there.
unsafe fn with(
    handle: *const TrackerHandle,
    act: impl FnOnce(&Place) -> Result<(), Failure>,
) -> c_int {
    guard(status::ERROR, || {
        // SAFETY: the crate's rule; a handle was made by this library.
        match unsafe { reference(handle) } {
            Ok(handle) => status_of(act(&handle.place)),
            Err(_) => status::INVALID,
        }
    })
}

/// Which processes are recorded: all, none, or those of the inclusion set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_process_attr_tracker_handle_get_tracking_policy(
    tracker_handle: *const TrackerHandle,
    policy: *mut c_int,
) -> c_int {
    // SAFETY: the crate's rule.
    let Ok(place) = (unsafe { out(policy) }) else {
        return status::INVALID;
    };
    // SAFETY: the crate's rule.
    unsafe {
        with(tracker_handle, |tracker| {
            place.set(tracker.get()?.policy().into());
            Ok(())
        })
    }
}

/// Sets which processes are recorded. An inclusion set begins empty.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_process_attr_tracker_handle_set_tracking_policy(
    tracker_handle: *const TrackerHandle,
    policy: c_int,
) -> c_int {
    let Ok(policy) = TrackingPolicy::try_from(policy) else {
        return status::INVALID;
    };
    // SAFETY: the crate's rule.
    unsafe { with(tracker_handle, |tracker| tracker.set_policy(policy)) }
}

/// The values of the inclusion set; they belong to the handle until they are asked for again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_process_attr_tracker_handle_get_inclusion_set(
    tracker_handle: *mut TrackerHandle,
    values: *mut *const Values,
) -> c_int {
    guard(status::ERROR, || {
        // SAFETY: the crate's rule; a handle was made by this library.
        let (Ok(handle), Ok(place)) = (unsafe { (reference_mut(tracker_handle), out(values)) })
        else {
            return status::INVALID;
        };
        let tracker = match handle.place.get() {
            Ok(tracker) => tracker,
            Err(failure) => return status_of(Err(failure)),
        };
        if tracker.policy() != TrackingPolicy::IncludeSet {
            return status::INVALID_TRACKING_POLICY;
        }
        let values = Values::of(handle.place.attribute, &tracker.values);
        let values = handle.values.insert(Box::new(values));
        place.set(&raw const **values);
        status::OK
    })
}

/// What the calls below take.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Process,
    User,
    Group,
}

/// Whether an attribute has such values.
fn takes(attribute: ProcessAttribute) -> Option<Takes> {
    Some(match attribute {
        ProcessAttribute::ProcessId | ProcessAttribute::VirtualProcessId => Takes::Process,
        ProcessAttribute::UserId | ProcessAttribute::VirtualUserId => Takes::User,
        ProcessAttribute::GroupId | ProcessAttribute::VirtualGroupId => Takes::Group,
        ProcessAttribute::Unspecified => return None,
    })
}

unsafe fn change(
    handle: *const TrackerHandle,
    of: Takes,
    value: Result<Kind, Failure>,
    act: impl FnOnce(&Place, Kind) -> Result<(), Failure>,
) -> c_int {
    let Ok(value) = value else {
        return status::INVALID;
    };
    // SAFETY: the crate's rule.
    unsafe {
        with(handle, |place| {
            if takes(place.attribute) != Some(of) {
                return Err(Failure::UNKNOWN);
            }
            act(place, value)
        })
    }
}

/// A process id from C.
fn pid(pid: libc::pid_t) -> Result<Kind, Failure> {
    u32::try_from(pid)
        .map(Kind::Id)
        .map_err(|_| Failure::INVALID)
}

/// A user or group name from C.
unsafe fn name(pointer: *const c_char) -> Result<Kind, Failure> {
    // SAFETY: the crate's rule.
    let name = unsafe { text(pointer) }?;
    if name.is_empty() {
        return Err(Failure::INVALID);
    }
    Ok(Kind::Name(name))
}

macro_rules! changes {
    ($($(#[$meta:meta])* $function:ident($argument:ident: $type:ty) = $takes:ident, $value:expr, $act:ident;)*) => {
        $(
            $(#[$meta])*
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $function(
                tracker: *const TrackerHandle,
                $argument: $type,
            ) -> c_int {
                // SAFETY: the crate's rule.
                unsafe { change(tracker, Takes::$takes, $value, Place::$act) }
            }
        )*
    };
}

changes! {
    /// Records processes of this id too.
    lttng_process_attr_process_id_tracker_handle_add_pid(value: libc::pid_t) = Process, pid(value), add;
    /// Does not record processes of this id any more.
    lttng_process_attr_process_id_tracker_handle_remove_pid(value: libc::pid_t) = Process, pid(value), remove;
    /// Records processes of this virtual id too.
    lttng_process_attr_virtual_process_id_tracker_handle_add_pid(value: libc::pid_t) = Process, pid(value), add;
    /// Does not record processes of this virtual id any more.
    lttng_process_attr_virtual_process_id_tracker_handle_remove_pid(value: libc::pid_t) = Process, pid(value), remove;
    /// Records processes of this user too.
    lttng_process_attr_user_id_tracker_handle_add_uid(value: libc::uid_t) = User, Ok(Kind::Id(value)), add;
    /// Does not record processes of this user any more.
    lttng_process_attr_user_id_tracker_handle_remove_uid(value: libc::uid_t) = User, Ok(Kind::Id(value)), remove;
    /// Records processes of this user too.
    lttng_process_attr_user_id_tracker_handle_add_user_name(value: *const c_char) = User, name(value), add;
    /// Does not record processes of this user any more.
    lttng_process_attr_user_id_tracker_handle_remove_user_name(value: *const c_char) = User, name(value), remove;
    /// Records processes of this virtual user too.
    lttng_process_attr_virtual_user_id_tracker_handle_add_uid(value: libc::uid_t) = User, Ok(Kind::Id(value)), add;
    /// Does not record processes of this virtual user any more.
    lttng_process_attr_virtual_user_id_tracker_handle_remove_uid(value: libc::uid_t) = User, Ok(Kind::Id(value)), remove;
    /// Records processes of this virtual user too.
    lttng_process_attr_virtual_user_id_tracker_handle_add_user_name(value: *const c_char) = User, name(value), add;
    /// Does not record processes of this virtual user any more.
    lttng_process_attr_virtual_user_id_tracker_handle_remove_user_name(value: *const c_char) = User, name(value), remove;
    /// Records processes of this group too.
    lttng_process_attr_group_id_tracker_handle_add_gid(value: libc::gid_t) = Group, Ok(Kind::Id(value)), add;
    /// Does not record processes of this group any more.
    lttng_process_attr_group_id_tracker_handle_remove_gid(value: libc::gid_t) = Group, Ok(Kind::Id(value)), remove;
    /// Records processes of this group too.
    lttng_process_attr_group_id_tracker_handle_add_group_name(value: *const c_char) = Group, name(value), add;
    /// Does not record processes of this group any more.
    lttng_process_attr_group_id_tracker_handle_remove_group_name(value: *const c_char) = Group, name(value), remove;
    /// Records processes of this virtual group too.
    lttng_process_attr_virtual_group_id_tracker_handle_add_gid(value: libc::gid_t) = Group, Ok(Kind::Id(value)), add;
    /// Does not record processes of this virtual group any more.
    lttng_process_attr_virtual_group_id_tracker_handle_remove_gid(value: libc::gid_t) = Group, Ok(Kind::Id(value)), remove;
    /// Records processes of this virtual group too.
    lttng_process_attr_virtual_group_id_tracker_handle_add_group_name(value: *const c_char) = Group, name(value), add;
    /// Does not record processes of this virtual group any more.
    lttng_process_attr_virtual_group_id_tracker_handle_remove_group_name(value: *const c_char) = Group, name(value), remove;
}
