//! The texts of upstream's error codes, as this command says them.

use control::ErrorCode;

/// What `lttng_strerror` says in LTTng 2.13, and something for the codes that it has nothing for.
pub(crate) fn text(code: ErrorCode) -> &'static str {
    if code == ErrorCode::EXCLUSION_INVALID {
        return "Invalid exclusion";
    }
    let text = code.text().and_then(|text| text.to_str().ok());
    text.unwrap_or("Unknown error")
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
            | ErrorCode::KERNEL_CHANNEL_EXISTS
            | ErrorCode::KERNEL_EVENT_EXISTS
            | ErrorCode::KERNEL_CHANNEL_NOT_FOUND
            | ErrorCode::UST_CHANNEL_NOT_FOUND
            | ErrorCode::UST_EVENT_NOT_FOUND
            | ErrorCode::UST_CONTEXT_EXISTS
            | ErrorCode::NO_CHANNEL
            | ErrorCode::SESSION_INVALID_CHAR
            | ErrorCode::ALREADY_STARTED
            | ErrorCode::ALREADY_STOPPED
            | ErrorCode::NEED_CHANNEL_NAME
            | ErrorCode::START_SESSION_ONCE
            | ErrorCode::SNAPSHOT_OUTPUT_EXISTS
            | ErrorCode::SESSION_NOT_STARTED
            | ErrorCode::LIVE_SESSION
            | ErrorCode::PER_PID_SESSION
            | ErrorCode::NOT_SNAPSHOT_SESSION
            | ErrorCode::ROTATION_PENDING
            | ErrorCode::ROTATION_SCHEDULE_SET
            | ErrorCode::ROTATION_SCHEDULE_NOT_SET
            | ErrorCode::ROTATION_MULTIPLE_AFTER_STOP
            | ErrorCode::ROTATION_AFTER_STOP_CLEAR
            | ErrorCode::SESSION_DOES_NOT_EXIST
    )
}
