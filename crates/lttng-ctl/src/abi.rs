//! The structs of the headers, field by field, with upstream's sizes and offsets (x86-64).
//!
//! Enumerations are plain integers here: a C program may put any number there.

use std::ffi::{c_char, c_int};

use crate::userspace_probe::UserspaceLocation;

/// `LTTNG_NAME_MAX`.
pub const NAME_MAX: usize = 255;
/// `LTTNG_SYMBOL_NAME_LEN`.
pub const SYMBOL_NAME_LEN: usize = 256;
/// `LTTNG_PATH_MAX`.
pub const PATH_MAX: usize = 4096;

/// Values of `enum lttng_domain_type`.
pub mod domain_type {
    use super::c_int;

    /// No domain: the whole session.
    pub const NONE: c_int = 0;
    /// The kernel.
    pub const KERNEL: c_int = 1;
    /// User space.
    pub const UST: c_int = 2;
}

/// Values of `enum lttng_buffer_type`.
pub mod buffer_type {
    use super::c_int;

    /// One set of buffers for each process.
    pub const PER_PID: c_int = 0;
    /// One set for each user.
    pub const PER_UID: c_int = 1;
    /// One set in all (kernel).
    pub const GLOBAL: c_int = 2;
}

/// Values of `enum lttng_event_type`.
pub mod event_type {
    use super::c_int;

    /// A tracepoint: the only type of user space.
    pub const TRACEPOINT: c_int = 0;
    /// A place in the kernel.
    pub const PROBE: c_int = 1;
    /// Entry and return of a function of the kernel.
    pub const FUNCTION: c_int = 2;
    /// The entry alone.
    pub const FUNCTION_ENTRY: c_int = 3;
    /// Entry and exit of a system call.
    pub const SYSCALL: c_int = 5;
    /// A place in a program.
    pub const USERSPACE_PROBE: c_int = 6;
    /// Any type.
    pub const ALL: c_int = -1;
}

/// `struct lttng_domain`.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct Domain {
    pub kind: c_int,
    pub buf_type: c_int,
    pub padding: [c_char; 12],
    /// A union of a process id, a name and padding; not used.
    pub attr: [u32; 72],
}

/// `struct lttng_handle`.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct Handle {
    pub session_name: [c_char; NAME_MAX],
    pub domain: Domain,
    pub padding: [c_char; 16],
}

/// `struct lttng_session`.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct Session {
    pub name: [c_char; NAME_MAX],
    pub path: [c_char; PATH_MAX],
    pub enabled: u32,
    pub snapshot_mode: u32,
    pub live_timer_interval: u32,
    pub alignment_padding: [c_char; 4],
    pub extended: *mut SessionExtension,
}

/// Behind `struct lttng_session`'s pointer.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct SessionExtension {
    /// Seconds since the Unix epoch.
    pub created: u64,
    pub is_set: u64,
}

/// `struct lttng_channel_attr`.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct ChannelAttributes {
    /// -1: the session's default.
    pub overwrite: c_int,
    pub subbuf_size: u64,
    pub num_subbuf: u64,
    /// Microseconds.
    pub switch_timer_interval: u32,
    /// Microseconds.
    pub read_timer_interval: u32,
    pub output: c_int,
    pub tracefile_size: u64,
    pub tracefile_count: u64,
    pub live_timer_interval: u32,
    pub align_to_64: u32,
    pub extended: *mut ChannelExtension,
    pub padding: [c_char; 268],
}

/// Behind `struct lttng_channel_attr`'s pointer.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct ChannelExtension {
    pub discarded_events: u64,
    pub lost_packets: u64,
    /// Microseconds.
    pub monitor_timer_interval: u64,
    /// Microseconds; -1 for ever.
    pub blocking_timeout: i64,
}

/// `struct lttng_channel`.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct Channel {
    pub name: [c_char; SYMBOL_NAME_LEN],
    pub enabled: u32,
    pub attr: ChannelAttributes,
    pub padding: [c_char; 16],
}

/// `struct lttng_event`.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct Event {
    pub kind: c_int,
    pub name: [c_char; SYMBOL_NAME_LEN],
    pub loglevel_type: c_int,
    pub loglevel: c_int,
    pub enabled: i32,
    pub pid: i32,
    pub filter: u8,
    pub exclusion: u8,
    pub padding2: [c_char; 2],
    pub flags: c_int,
    pub padding: [c_char; 4],
    pub extended: *mut EventExtension,
    /// A union for the places of the kernel's probes.
    pub attr: [u64; 36],
}

/// Behind `struct lttng_event`'s pointer.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct EventExtension {
    /// NULL without filter.
    pub filter: *mut c_char,
    pub exclusion_count: u32,
    /// Names of [`SYMBOL_NAME_LEN`] bytes each.
    pub exclusions: *mut c_char,
    /// NULL if it is no place in a program.
    pub probe_location: *mut UserspaceLocation,
}

/// `struct lttng_event_field`.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct EventField {
    pub field_name: [c_char; SYMBOL_NAME_LEN],
    pub kind: c_int,
    pub padding: [c_char; 288],
    pub event: Event,
    pub nowrite: c_int,
}

/// `struct lttng_event_perf_counter_ctx`.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct PerfCounter {
    pub kind: u32,
    pub config: u64,
    pub name: [c_char; SYMBOL_NAME_LEN],
    pub padding: [c_char; 16],
}

/// The application's context in `struct lttng_event_context`.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct AppContext {
    pub provider_name: *mut c_char,
    pub ctx_name: *mut c_char,
}

/// The union in `struct lttng_event_context`.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub union ContextDetail {
    pub perf_counter: PerfCounter,
    pub app: AppContext,
    pub padding: [c_char; 288],
}

/// `struct lttng_event_context`.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct EventContext {
    pub ctx: c_int,
    pub padding: [c_char; 16],
    pub u: ContextDetail,
}

const _: () = {
    use std::mem::offset_of;

    assert!(size_of::<Domain>() == 308);
    assert!(size_of::<Handle>() == 580 && offset_of!(Handle, domain) == 256);
    assert!(size_of::<Session>() == 4376 && offset_of!(Session, enabled) == 4352);
    assert!(offset_of!(Session, extended) == 4368);
    assert!(size_of::<ChannelAttributes>() == 344 && offset_of!(ChannelAttributes, padding) == 72);
    assert!(offset_of!(ChannelAttributes, tracefile_size) == 40);
    assert!(size_of::<Channel>() == 624 && offset_of!(Channel, attr) == 264);
    assert!(size_of::<Event>() == 584 && offset_of!(Event, extended) == 288);
    assert!(offset_of!(Event, flags) == 280 && offset_of!(Event, attr) == 296);
    assert!(size_of::<EventField>() == 1144 && offset_of!(EventField, event) == 552);
    assert!(offset_of!(EventField, nowrite) == 1136);
    assert!(size_of::<PerfCounter>() == 288 && offset_of!(PerfCounter, name) == 16);
    assert!(size_of::<EventContext>() == 312 && offset_of!(EventContext, u) == 24);
};
