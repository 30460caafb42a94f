//! The older calls for process ids, which upstream keeps.

use std::ffi::c_int;

use control::ErrorCode;
use control::v1::process_attribute_value::Kind;
use control::v1::{Domain, ProcessAttribute, TrackingPolicy};

use crate::abi::Handle;
use crate::boundary::{array, negative, out};
use crate::failure::Failure;
use crate::handle::Target;
use crate::tracker::Place;

/// The value that stands for all processes.
const ALL: c_int = -1;

/// The tracker of process ids of the handle's domain: virtual ones in user space.
unsafe fn place(handle: *const Handle) -> Result<Place, Failure> {
    // SAFETY: the crate's rule.
    let target = unsafe { Target::read(handle) }?;
    let attribute = match target.domain {
        Domain::Kernel => ProcessAttribute::ProcessId,
        Domain::Ust | Domain::Unspecified => ProcessAttribute::VirtualProcessId,
    };
    Ok(Place {
        session: target.session,
        domain: target.domain,
        attribute,
    })
}

/// These calls have a code of their own for a session that is not there.
fn of_tracker(failure: Failure) -> Failure {
    match failure.0 {
        ErrorCode::SESSION_NOT_FOUND => Failure(ErrorCode::SESSION_DOES_NOT_EXIST),
        _ => failure,
    }
}

fn process(pid: c_int) -> Result<Kind, Failure> {
    u32::try_from(pid)
        .map(Kind::Id)
        .map_err(|_| Failure::INVALID)
}

/// Records this process too, or all with -1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_track_pid(handle: *const Handle, pid: c_int) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let place = unsafe { place(handle) }?;
        let track = || {
            if pid == ALL {
                return place.set_policy(TrackingPolicy::IncludeAll);
            }
            let process = process(pid)?;
            if place.get()?.policy() != TrackingPolicy::IncludeSet {
                place.set_policy(TrackingPolicy::IncludeSet)?;
            }
            place.add(process)
        };
        track().map_err(of_tracker)?;
        Ok(0)
    })
}

/// Does not record this process any more, or none with -1. One that is not tracked is no error, as upstream.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_untrack_pid(handle: *const Handle, pid: c_int) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let place = unsafe { place(handle) }?;
        let result = if pid == ALL {
            place.set_policy(TrackingPolicy::ExcludeAll)
        } else {
            place.remove(process(pid)?)
        };
        match result.map_err(of_tracker) {
            Ok(()) | Err(Failure(ErrorCode::PROCESS_ATTRIBUTE_MISSING)) => Ok(0),
            Err(failure) => Err(failure),
        }
    })
}

/// Whether process ids are tracked, and which. The array is to be freed; array and count are left as they are when
/// all processes are recorded.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_list_tracker_pids(
    handle: *const Handle,
    enabled: *mut c_int,
    pids: *mut *mut i32,
    nr_pids: *mut usize,
) -> c_int {
    negative(|| {
        // SAFETY: the crate's rule.
        let (place, enabled, pids, count) =
            unsafe { (place(handle)?, out(enabled)?, out(pids)?, out(nr_pids)?) };
        let tracker = place.get().map_err(of_tracker)?;
        if tracker.policy() == TrackingPolicy::IncludeAll {
            enabled.set(0);
            return Ok(0);
        }
        let there: Vec<i32> = tracker
            .values
            .iter()
            .filter_map(|value| match value.kind {
                Some(Kind::Id(id)) => i32::try_from(id).ok(),
                _ => None,
            })
            .collect();
        enabled.set(1);
        pids.set(array(&there, |_| 0, |&pid, _| pid)?);
        count.set(there.len());
        Ok(0)
    })
}
