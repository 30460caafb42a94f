//! Where an archived trace chunk is.

use std::ffi::{CString, c_char, c_int};
use std::ptr;

use control::v1;
use control::v1::archive_location::Kind;

use crate::boundary::{Out, guard, out, reference};
use crate::failure::Failure;

/// Values of `enum lttng_trace_archive_location_type`.
const UNKNOWN: c_int = 0;
const LOCAL: c_int = 1;
const RELAY: c_int = 2;

/// Values of `enum lttng_trace_archive_location_status`.
const STATUS_OK: c_int = 0;
const STATUS_INVALID: c_int = -1;
const STATUS_ERROR: c_int = -2;

/// `LTTNG_TRACE_ARCHIVE_LOCATION_RELAY_PROTOCOL_TYPE_TCP`.
const TCP: c_int = 0;

/// `struct lttng_trace_archive_location`. Opaque in the header; the stock `lttng` command reads it all the same,
/// with a copy of these functions of its own, and so the members are where upstream has them.
#[repr(C)]
#[derive(Debug)]
pub struct Location {
    references: u64,
    kind: c_int,
    /// Absolute path, or host.
    first: *const c_char,
    protocol: c_int,
    control_port: u16,
    data_port: u16,
    relative_path: *const c_char,
}

const _: () = assert!(size_of::<Location>() == 40);

/// A location with the strings that it points to.
#[derive(Debug)]
pub(crate) struct OwnedLocation {
    location: Location,
    _texts: [CString; 2],
}

// SAFETY: the pointers are to heap memory that the value owns and never changes.
unsafe impl Send for OwnedLocation {}

impl OwnedLocation {
    /// `None` if the answer does not tell where.
    pub(crate) fn of(location: &v1::ArchiveLocation) -> Option<Self> {
        let text = |text: &str| CString::new(text).ok();
        let (kind, first, relative, ports) = match location.kind.as_ref()? {
            Kind::LocalPath(path) => (LOCAL, text(path)?, CString::default(), (0, 0)),
            Kind::Relay(relay) => (
                RELAY,
                text(&relay.host)?,
                text(&relay.relative_path)?,
                (
                    u16::try_from(relay.control_port).ok()?,
                    u16::try_from(relay.data_port).ok()?,
                ),
            ),
        };
        Some(Self {
            location: Location {
                references: 1,
                kind,
                first: first.as_ptr(),
                protocol: TCP,
                control_port: ports.0,
                data_port: ports.1,
                relative_path: if kind == RELAY {
                    relative.as_ptr()
                } else {
                    ptr::null()
                },
            },
            _texts: [first, relative],
        })
    }

    /// For C; valid as long as the value lives where it is.
    pub(crate) fn as_ptr(&self) -> *const Location {
        &raw const self.location
    }
}

/// Puts what `read` finds in a location of this type.
///
/// # Safety
/// The crate's rule.
unsafe fn get<T>(
    location: *const Location,
    kind: c_int,
    place: *mut T,
    read: impl FnOnce(&Location) -> T,
) -> c_int {
    guard(STATUS_ERROR, || {
        // SAFETY: the crate's rule; a location was made by this library.
        let both: Result<(&Location, Out<T>), Failure> =
            unsafe { reference(location).and_then(|location| Ok((location, out(place)?))) };
        match both {
            Ok((location, place)) if location.kind == kind => {
                place.set(read(location));
                STATUS_OK
            }
            _ => STATUS_INVALID,
        }
    })
}

/// On this machine or at a relay daemon.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_trace_archive_location_get_type(location: *const Location) -> c_int {
    // SAFETY: the crate's rule.
    let location = unsafe { reference(location) };
    location.map_or(UNKNOWN, |location| location.kind)
}

/// The directory on this machine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_trace_archive_location_local_get_absolute_path(
    location: *const Location,
    absolute_path: *mut *const c_char,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe { get(location, LOCAL, absolute_path, |location| location.first) }
}

/// The host of the relay daemon.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_trace_archive_location_relay_get_host(
    location: *const Location,
    relay_host: *mut *const c_char,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe { get(location, RELAY, relay_host, |location| location.first) }
}

/// The directory below the output directory of the relay daemon.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_trace_archive_location_relay_get_relative_path(
    location: *const Location,
    relative_path: *mut *const c_char,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe {
        get(location, RELAY, relative_path, |location| {
            location.relative_path
        })
    }
}

/// The control port of the relay daemon.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_trace_archive_location_relay_get_control_port(
    location: *const Location,
    control_port: *mut u16,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe {
        get(location, RELAY, control_port, |location| {
            location.control_port
        })
    }
}

/// The data port of the relay daemon.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_trace_archive_location_relay_get_data_port(
    location: *const Location,
    data_port: *mut u16,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe { get(location, RELAY, data_port, |location| location.data_port) }
}

/// The protocol of the relay daemon.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lttng_trace_archive_location_relay_get_protocol_type(
    location: *const Location,
    protocol: *mut c_int,
) -> c_int {
    // SAFETY: the crate's rule.
    unsafe { get(location, RELAY, protocol, |location| location.protocol) }
}
