//! The texts of upstream's error codes.

use control::ErrorCode;

/// What `lttng_strerror` says in LTTng 2.13.
pub(crate) fn text(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::UNKNOWN_COMMAND => "Undefined command",
        ErrorCode::SESSION_STARTED => "Session is running",
        ErrorCode::UNKNOWN_DOMAIN => "Unknown tracing domain",
        ErrorCode::NOT_SUPPORTED => "Operation not supported",
        ErrorCode::NO_SESSION => "No session found",
        ErrorCode::CREATE_DIR_FAILED => "Create directory failed",
        ErrorCode::SESSION_FAILED => "Create session failed",
        ErrorCode::NO_SESSION_DAEMON => "No session daemon is available",
        ErrorCode::SESSION_NOT_FOUND => "Session name not found",
        ErrorCode::BUFFER_TYPE_MISMATCH => "Buffer type mismatch for session",
        ErrorCode::FATAL => "Fatal error of the session daemon",
        ErrorCode::NO_MEMORY => "Not enough memory",
        ErrorCode::SESSION_EXISTS => "Session name already exists",
        ErrorCode::PERMISSION_DENIED => "Permission denied",
        ErrorCode::KERNEL_UNAVAILABLE => "Kernel tracer not available",
        ErrorCode::UST_EVENT_ENABLED => "UST event already enabled",
        ErrorCode::UST_CHANNEL_EXISTS => "UST channel already exist",
        ErrorCode::UST_CHANNEL_FAILED => "UST create channel failed",
        ErrorCode::UST_CHANNEL_NOT_FOUND => "UST channel not found",
        ErrorCode::UST_CHANNEL_DISABLE_FAILED => "Disable UST channel failed",
        ErrorCode::UST_ENABLE_FAILED => "Enable UST event failed",
        ErrorCode::UST_DISABLE_FAILED => "Disable UST event failed",
        ErrorCode::UST_START_FAILED => "Starting UST trace failed",
        ErrorCode::UST_STOP_FAILED => "Stopping UST trace failed",
        ErrorCode::UST_CONSUMER_FAILED => "64-bit UST consumer start failed",
        ErrorCode::NO_CHANNEL => "No channel found in the session",
        ErrorCode::SESSION_INVALID_CHAR => "Invalid character found in session name",
        ErrorCode::UST_LIST_FAILED => "Listing UST events failed",
        ErrorCode::UST_EVENT_EXISTS => "UST event already exist",
        ErrorCode::UST_EVENT_NOT_FOUND => "UST event not found",
        ErrorCode::UST_CONTEXT_EXISTS => "UST context already exist",
        ErrorCode::UST_CONTEXT_INVALID => "UST invalid context",
        ErrorCode::NEED_ROOT_SESSION_DAEMON => {
            "Tracing the kernel requires a root lttng-sessiond daemon, as well as \"tracing\" group \
             membership or root user ID for the lttng client"
        }
        ErrorCode::ALREADY_STARTED => "Tracing has already been started once",
        ErrorCode::ALREADY_STOPPED => "Tracing has already been stopped",
        ErrorCode::NEED_CHANNEL_NAME => {
            "Non-default channel exists within session: channel name needs to be specified with '-c name'"
        }
        ErrorCode::INVALID => "Invalid parameter",
        ErrorCode::ENABLE_CONSUMER_FAILED => "Enabling consumer failed",
        ErrorCode::RELAYD_CONNECT_FAILED => "Unable to connect to lttng-relayd",
        ErrorCode::RELAYD_VERSION_FAILED => "Relay daemon not compatible",
        ErrorCode::FILTER_INVALID => "Invalid filter bytecode",
        ErrorCode::NO_CONSUMER => "Consumer not found for recording session",
        ErrorCode::EXCLUSION_INVALID => "Invalid exclusion",
        ErrorCode::INVALID_EVENT_NAME => "Invalid event name",
        ErrorCode::INVALID_CHANNEL_NAME => "Invalid channel name",
        ErrorCode::INVALID_CHANNEL_DOMAIN => "Invalid channel domain",
        ErrorCode::UNSUPPORTED_DOMAIN => "Unsupported domain used",
        _ => "Unknown error",
    }
}

/// Whether the text of the code and the names around it say everything.
pub(crate) fn says_all(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::SESSION_NOT_FOUND
            | ErrorCode::SESSION_EXISTS
            | ErrorCode::BUFFER_TYPE_MISMATCH
            | ErrorCode::UST_EVENT_ENABLED
            | ErrorCode::UST_CHANNEL_EXISTS
            | ErrorCode::UST_CHANNEL_NOT_FOUND
            | ErrorCode::UST_EVENT_NOT_FOUND
            | ErrorCode::UST_CONTEXT_EXISTS
            | ErrorCode::NO_CHANNEL
            | ErrorCode::SESSION_INVALID_CHAR
            | ErrorCode::ALREADY_STARTED
            | ErrorCode::ALREADY_STOPPED
            | ErrorCode::NEED_CHANNEL_NAME
    )
}
