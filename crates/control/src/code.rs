//! Error codes of LTTng, which scripts see as exit codes.

/// A value of upstream's `enum lttng_error_code`, open: any number may come from a newer daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ErrorCode(pub u32);

macro_rules! codes {
    ($($(#[$meta:meta])* $name:ident = $value:literal,)*) => {
        impl ErrorCode {
            $($(#[$meta])* pub const $name: Self = Self($value);)*
        }
    };
}

codes! {
    /// Anything without a code of its own.
    UNKNOWN = 11,
    /// The command is unknown.
    UNKNOWN_COMMAND = 12,
    /// The session is active, which the operation does not allow.
    SESSION_STARTED = 13,
    /// The tracing domain is unknown.
    UNKNOWN_DOMAIN = 14,
    /// The operation is not supported.
    NOT_SUPPORTED = 15,
    /// There is no session.
    NO_SESSION = 16,
    /// A directory could not be created.
    CREATE_DIR_FAILED = 17,
    /// The session could not be created.
    SESSION_FAILED = 18,
    /// No session daemon answers.
    NO_SESSION_DAEMON = 19,
    /// No session of that name.
    SESSION_NOT_FOUND = 23,
    /// The session has buffers of another type.
    BUFFER_TYPE_MISMATCH = 24,
    /// The system refused something the daemon cannot do without.
    FATAL = 25,
    /// Not enough memory.
    NO_MEMORY = 26,
    /// A session of that name exists.
    SESSION_EXISTS = 28,
    /// The session has a snapshot output already.
    SNAPSHOT_OUTPUT_EXISTS = 31,
    /// The caller may not do that.
    PERMISSION_DENIED = 32,
    /// The kernel tracer is not available.
    KERNEL_UNAVAILABLE = 33,
    /// The kernel rule is enabled already.
    KERNEL_EVENT_EXISTS = 35,
    /// The kernel channel exists already.
    KERNEL_CHANNEL_EXISTS = 37,
    /// The kernel channel could not be created, or its attributes are refused.
    KERNEL_CHANNEL_FAILED = 38,
    /// No kernel channel of that name.
    KERNEL_CHANNEL_NOT_FOUND = 39,
    /// The context could not be added to a kernel channel.
    KERNEL_CONTEXT_FAILED = 42,
    /// The kernel rule could not be enabled.
    KERNEL_ENABLE_FAILED = 43,
    /// The kernel rule could not be disabled.
    KERNEL_DISABLE_FAILED = 44,
    /// Tracing the kernel could not be started.
    KERNEL_START_FAILED = 46,
    /// The kernel's events could not be listed.
    KERNEL_LIST_FAILED = 53,
    /// The operation needs a session that was started before.
    START_SESSION_ONCE = 50,
    /// The snapshot could not be recorded.
    SNAPSHOT_FAILED = 51,
    /// The user space rule is enabled already.
    UST_EVENT_ENABLED = 55,
    /// The channel exists already.
    UST_CHANNEL_EXISTS = 57,
    /// The channel could not be created, or its attributes are refused.
    UST_CHANNEL_FAILED = 58,
    /// No channel of that name.
    UST_CHANNEL_NOT_FOUND = 59,
    /// The channel is disabled already.
    UST_CHANNEL_DISABLE_FAILED = 60,
    /// The rule could not be enabled.
    UST_ENABLE_FAILED = 63,
    /// The rule could not be disabled.
    UST_DISABLE_FAILED = 64,
    /// Tracing could not be started.
    UST_START_FAILED = 66,
    /// Tracing could not be stopped.
    UST_STOP_FAILED = 67,
    /// The consumer daemon could not be started.
    UST_CONSUMER_FAILED = 68,
    /// The buffers hold nothing to record.
    SNAPSHOT_NO_DATA = 71,
    /// The session has no channel.
    NO_CHANNEL = 72,
    /// The session name has characters that are refused.
    SESSION_INVALID_CHAR = 73,
    /// The tracepoints could not be listed.
    UST_LIST_FAILED = 74,
    /// The rule exists already.
    UST_EVENT_EXISTS = 75,
    /// No rule of that name.
    UST_EVENT_NOT_FOUND = 76,
    /// The context is already there.
    UST_CONTEXT_EXISTS = 77,
    /// The context is unknown or refused.
    UST_CONTEXT_INVALID = 78,
    /// Only a root session daemon has the kernel domain.
    NEED_ROOT_SESSION_DAEMON = 79,
    /// The session is active already.
    ALREADY_STARTED = 80,
    /// The session is inactive already.
    ALREADY_STOPPED = 81,
    /// The kernel has no events of that kind.
    KERNEL_EVENT_KIND_UNSUPPORTED = 82,
    /// Channels other than the default exist: one must be named.
    NEED_CHANNEL_NAME = 83,
    /// A file of that name exists.
    SAVE_FILE_EXISTS = 85,
    /// The session file could not be written.
    SAVE_FAILED = 86,
    /// The session file does not say what a session file says.
    LOAD_INVALID_CONFIG = 87,
    /// The session file could not be read.
    LOAD_FAILED = 88,
    /// No session file of that name.
    LOAD_SESSION_NOT_FOUND = 89,
    /// A snapshot of that size cannot hold one packet of each stream.
    MAX_SIZE_INVALID = 90,
    /// A value of the request is wrong.
    INVALID = 97,
    /// The consumer daemon could not be set up.
    ENABLE_CONSUMER_FAILED = 103,
    /// The relay daemon cannot be reached or refuses the session.
    RELAYD_CONNECT_FAILED = 104,
    /// The relay daemon speaks another protocol.
    RELAYD_VERSION_FAILED = 105,
    /// The filter expression is invalid.
    FILTER_INVALID = 106,
    /// The session has no consumer daemon.
    NO_CONSUMER = 109,
    /// An exclusion is refused.
    EXCLUSION_INVALID = 110,
    /// The event name is refused.
    INVALID_EVENT_NAME = 112,
    /// The channel name is refused.
    INVALID_CHANNEL_NAME = 113,
    /// The value is in the inclusion set already.
    PROCESS_ATTRIBUTE_EXISTS = 114,
    /// The value is not in the inclusion set.
    PROCESS_ATTRIBUTE_MISSING = 115,
    /// The channel exists in another domain.
    INVALID_CHANNEL_DOMAIN = 116,
    /// The session is not active, which the operation needs.
    SESSION_NOT_STARTED = 118,
    /// Live sessions do not have the operation.
    LIVE_SESSION = 119,
    /// Sessions with buffers per process do not have the operation.
    PER_PID_SESSION = 120,
    /// The kernel, or this tracer of it, does not have the context.
    KERNEL_CONTEXT_UNAVAILABLE = 121,
    /// The state of applications could not be recorded again.
    REGENERATE_STATEDUMP_FAILED = 122,
    /// Only snapshot sessions have the operation.
    NOT_SNAPSHOT_SESSION = 124,
    /// A rotation of the session is ongoing.
    ROTATION_PENDING = 129,
    /// Sessions of this kind have no rotation.
    ROTATION_NOT_AVAILABLE = 130,
    /// The session has a schedule of that kind already.
    ROTATION_SCHEDULE_SET = 131,
    /// The session has no schedule of that kind.
    ROTATION_SCHEDULE_NOT_SET = 132,
    /// The session was rotated since it is inactive.
    ROTATION_MULTIPLE_AFTER_STOP = 133,
    /// The session has no output.
    NO_SESSION_OUTPUT = 135,
    /// The relay daemon has no rotation.
    ROTATION_NOT_AVAILABLE_RELAY = 136,
    /// The place of a user space probe is wrong.
    PROBE_LOCATION_INVALID = 138,
    /// The SDT probe has a semaphore, which cannot be handled.
    SDT_PROBE_SEMAPHORE = 140,
    /// The consumer daemon could not rotate.
    ROTATION_FAILED = 141,
    /// The session is such that there are no snapshots of it.
    SNAPSHOT_UNSUPPORTED = 147,
    /// The recording session does not exist; said by the calls of trackers.
    SESSION_DOES_NOT_EXIST = 148,
    /// The relay daemon does not allow to clear.
    CLEAR_RELAY_DISALLOWED = 156,
    /// The relay daemon cannot clear.
    CLEAR_NOT_AVAILABLE_RELAY = 157,
    /// The consumer daemon could not clear.
    CLEAR_FAILED = 158,
    /// The session was cleared since it is inactive.
    ROTATION_AFTER_STOP_CLEAR = 159,
    /// No user of that name.
    USER_NOT_FOUND = 160,
    /// No group of that name.
    GROUP_NOT_FOUND = 161,
    /// The domain is not supported.
    UNSUPPORTED_DOMAIN = 162,
    /// The tracker has another policy than the operation needs.
    TRACKER_INVALID_POLICY = 163,
}
