//! Rotation schedules.

use std::ffi::{c_char, c_int, c_uint};
use std::ptr;

use control::ErrorCode;
use control::v1::rotation_schedule::Kind;
use control::v1::{
    AddRotationScheduleRequest, GetSessionRequest, RemoveRotationScheduleRequest, RotationSchedule,
    RotationScheduleKind,
};

use crate::boundary::{guard, negative, out, reference, reference_mut};
use crate::daemon::connect;
use crate::failure::{Failure, OK};
use crate::lifecycle::session_name;
use crate::rotation::status;

/// `struct lttng_rotation_schedule`, opaque to C.
#[derive(Debug)]
pub struct Schedule {
    kind: ScheduleKind,
    /// Microseconds or bytes; `None`: not set yet.
    value: Option<u64>,
}

/// Values of `enum lttng_rotation_schedule_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
enum ScheduleKind {
    Size = 0,
    Periodic = 1,
}
const KIND_UNKNOWN: c_int = -1;

/// `struct lttng_rotation_schedules`, opaque to C.
#[derive(Debug)]
pub struct Schedules {
    list: Vec<Schedule>,
}

impl Schedule {
    fn of(schedule: &RotationSchedule) -> Option<Self> {
        let (kind, value) = match schedule.kind? {
            Kind::PeriodUs(us) => (ScheduleKind::Periodic, us),
            Kind::SizeBytes(bytes) => (ScheduleKind::Size, bytes),
        };
        let value = Some(value);
        Some(Self { kind, value })
    }

    /// For a request; `None` without a value.
    fn message(&self) -> Option<RotationSchedule> {
        let value = self.value?;
        let kind = Some(match self.kind {
            ScheduleKind::Size => Kind::SizeBytes(value),
            ScheduleKind::Periodic => Kind::PeriodUs(value),
        });
        Some(RotationSchedule { kind })
    }
}

fn make(kind: ScheduleKind) -> *mut Schedule {
    Box::into_raw(Box::new(Schedule { kind, value: None }))
}

/// A schedule by the size of the trace chunk, without a value yet.
#[unsafe(no_mangle)]
pub extern "C" fn lttng_rotation_schedule_size_threshold_create() -> *mut Schedule {
    guard(ptr::null_mut(), || make(ScheduleKind::Size))
}

/// A schedule by time, without a value yet.
#[unsafe(no_mangle)]
pub extern "C" fn lttng_rotation_schedule_periodic_create() -> *mut Schedule {
    guard(ptr::null_mut(), || make(ScheduleKind::Periodic))
}

/// What kind of schedule; -1 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_rotation_schedule_get_type(schedule: *const Schedule) -> c_int {
    // SAFETY: the crate's rule; a schedule was made by this library.
    unsafe { reference(schedule) }.map_or(KIND_UNKNOWN, |schedule| schedule.kind as c_int)
}

unsafe fn get(schedule: *const Schedule, kind: ScheduleKind, place: *mut u64) -> c_int {
    // SAFETY: the crate's rule; a schedule was made by this library.
    match unsafe { (reference(schedule), out(place)) } {
        (Ok(schedule), Ok(place)) if schedule.kind == kind => match schedule.value {
            Some(value) => {
                place.set(value);
                status::OK
            }
            None => status::UNAVAILABLE,
        },
        _ => status::INVALID,
    }
}

unsafe fn set(schedule: *mut Schedule, kind: ScheduleKind, value: u64) -> c_int {
    // SAFETY: the crate's rule; a schedule was made by this library.
    match unsafe { reference_mut(schedule) } {
        Ok(schedule) if schedule.kind == kind && value != 0 && value != u64::MAX => {
            schedule.value = Some(value);
            status::OK
        }
        _ => status::INVALID,
    }
}

/// The size in bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_rotation_schedule_size_threshold_get_threshold(
    schedule: *const Schedule,
    size_threshold_bytes: *mut u64,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe { get(schedule, ScheduleKind::Size, size_threshold_bytes) }
}

/// Sets the size in bytes, not 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_rotation_schedule_size_threshold_set_threshold(
    schedule: *mut Schedule,
    size_threshold_bytes: u64,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe { set(schedule, ScheduleKind::Size, size_threshold_bytes) }
}

/// The period in microseconds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_rotation_schedule_periodic_get_period(
    schedule: *const Schedule,
    period_us: *mut u64,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe { get(schedule, ScheduleKind::Periodic, period_us) }
}

/// Sets the period in microseconds, not 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_rotation_schedule_periodic_set_period(
    schedule: *mut Schedule,
    period_us: u64,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe { set(schedule, ScheduleKind::Periodic, period_us) }
}

/// Frees a schedule that the caller created.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_rotation_schedule_destroy(schedule: *mut Schedule) {
    guard((), || {
        if !schedule.is_null() {
            // SAFETY: made by `make`, and given back once.
            drop(unsafe { Box::from_raw(schedule) });
        }
    });
}

/// Rotates a session from now on by itself.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_session_add_rotation_schedule(
    session_name: *const c_char,
    schedule: *const Schedule,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe {
        change(session_name, schedule, |session, schedule| {
            let schedule = Some(schedule);
            connect()?.add_rotation_schedule(AddRotationScheduleRequest { session, schedule })?;
            Ok(())
        })
    }
}

/// Takes back the schedule of this kind. Its value does not matter, but must be set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_session_remove_rotation_schedule(
    session_name: *const c_char,
    schedule: *const Schedule,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe {
        change(session_name, schedule, |session, schedule| {
            let kind = match schedule.kind {
                Some(Kind::PeriodUs(_)) | None => RotationScheduleKind::Periodic,
                Some(Kind::SizeBytes(_)) => RotationScheduleKind::Size,
            };
            let kind = kind.into();
            connect()?.remove_rotation_schedule(RemoveRotationScheduleRequest { session, kind })?;
            Ok(())
        })
    }
}

unsafe fn change(
    session_name: *const c_char,
    schedule: *const Schedule,
    ask: impl FnOnce(String, RotationSchedule) -> Result<(), Failure>,
) -> c_int {
    guard(status::ERROR, || {
        // SAFETY: the crate's rule; a schedule was made by this library.
        let (Ok(session), Ok(schedule)) =
            (unsafe { (self::session_name(session_name), reference(schedule)) })
        else {
            return status::INVALID;
        };
        let Some(schedule) = schedule.message() else {
            return status::INVALID;
        };
        match ask(session, schedule) {
            Ok(()) => status::OK,
            Err(Failure(ErrorCode::ROTATION_SCHEDULE_SET)) => status::SCHEDULE_ALREADY_SET,
            // As upstream answers, though it has a status for the second.
            Err(Failure(ErrorCode::INVALID | ErrorCode::ROTATION_SCHEDULE_NOT_SET)) => {
                status::INVALID
            }
            Err(_) => status::ERROR,
        }
    })
}

/// The schedules of a session. Returns `LTTNG_OK`, or a negative code.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_session_list_rotation_schedules(
    session_name: *const c_char,
    schedules: *mut *mut Schedules,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let (name, place) = unsafe { (self::session_name(session_name)?, out(schedules)?) };
        let answer = connect()?.get_session(GetSessionRequest::of(name))?;
        let there = answer.session.unwrap_or_default().rotation_schedules;
        let list = there.iter().filter_map(Schedule::of).collect();
        place.set(Box::into_raw(Box::new(Schedules { list })));
        Ok(OK as c_int)
    })
}

/// How many there are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_rotation_schedules_get_count(
    schedules: *const Schedules,
    count: *mut c_uint,
) -> c_int {
    // SAFETY: the crate's rule; a list was made by this library.
    match unsafe { (reference(schedules), out(count)) } {
        (Ok(schedules), Ok(place)) => {
            place.set(c_uint::try_from(schedules.list.len()).unwrap_or(c_uint::MAX));
            status::OK
        }
        _ => status::INVALID,
    }
}

/// One of them, NULL behind the last; it belongs to the list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_rotation_schedules_get_at_index(
    schedules: *const Schedules,
    index: c_uint,
) -> *const Schedule {
    // SAFETY: the crate's rule; a list was made by this library.
    let schedules = unsafe { reference(schedules) };
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    let found = schedules
        .ok()
        .and_then(|schedules| schedules.list.get(index));
    found.map_or(ptr::null(), ptr::from_ref)
}

/// Frees a list with its schedules.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_rotation_schedules_destroy(schedules: *mut Schedules) {
    guard((), || {
        if !schedules.is_null() {
            // SAFETY: made by `lttng_session_list_rotation_schedules`, and given back once.
            drop(unsafe { Box::from_raw(schedules) });
        }
    });
}
