//! Errors across the API: a gRPC status with a [`ControlError`](crate::v1::ControlError) inside.

use prost::Message;
use tonic::{Code, Status};

use crate::ErrorCode;
use crate::v1::ControlError;

/// The status of a failed call, for the service side.
pub fn status(code: ErrorCode, message: impl Into<String>) -> Status {
    let message = message.into();
    let details = ControlError {
        code: code.0,
        message: message.clone(),
    }
    .encode_to_vec();
    Status::with_details(grpc_code(code), message, details.into())
}

/// The LTTng code inside a status, for the client side; [`ErrorCode::UNKNOWN`] if there is none.
pub fn status_code(status: &Status) -> ErrorCode {
    match ControlError::decode(status.details()) {
        Ok(error) if error.code != 0 => ErrorCode(error.code),
        _ => ErrorCode::UNKNOWN,
    }
}

/// The nearest gRPC code, for clients in other languages.
fn grpc_code(code: ErrorCode) -> Code {
    match code {
        ErrorCode::SESSION_NOT_FOUND
        | ErrorCode::UST_CHANNEL_NOT_FOUND
        | ErrorCode::UST_EVENT_NOT_FOUND
        | ErrorCode::SESSION_DOES_NOT_EXIST
        | ErrorCode::ROTATION_SCHEDULE_NOT_SET
        | ErrorCode::PROCESS_ATTRIBUTE_MISSING
        | ErrorCode::USER_NOT_FOUND
        | ErrorCode::GROUP_NOT_FOUND
        | ErrorCode::NO_SESSION => Code::NotFound,
        ErrorCode::SESSION_EXISTS
        | ErrorCode::UST_CHANNEL_EXISTS
        | ErrorCode::UST_EVENT_EXISTS
        | ErrorCode::UST_EVENT_ENABLED
        | ErrorCode::UST_CONTEXT_EXISTS
        | ErrorCode::ROTATION_SCHEDULE_SET
        | ErrorCode::SNAPSHOT_OUTPUT_EXISTS
        | ErrorCode::PROCESS_ATTRIBUTE_EXISTS => Code::AlreadyExists,
        ErrorCode::PERMISSION_DENIED | ErrorCode::CLEAR_RELAY_DISALLOWED => Code::PermissionDenied,
        ErrorCode::ALREADY_STARTED
        | ErrorCode::ALREADY_STOPPED
        | ErrorCode::SESSION_STARTED
        | ErrorCode::NO_CHANNEL
        | ErrorCode::BUFFER_TYPE_MISMATCH
        | ErrorCode::NEED_CHANNEL_NAME
        | ErrorCode::START_SESSION_ONCE
        | ErrorCode::SESSION_NOT_STARTED
        | ErrorCode::LIVE_SESSION
        | ErrorCode::PER_PID_SESSION
        | ErrorCode::NOT_SNAPSHOT_SESSION
        | ErrorCode::SNAPSHOT_NO_DATA
        | ErrorCode::ROTATION_PENDING
        | ErrorCode::ROTATION_NOT_AVAILABLE
        | ErrorCode::ROTATION_MULTIPLE_AFTER_STOP
        | ErrorCode::ROTATION_AFTER_STOP_CLEAR
        | ErrorCode::NO_SESSION_OUTPUT
        | ErrorCode::TRACKER_INVALID_POLICY => Code::FailedPrecondition,
        ErrorCode::NOT_SUPPORTED
        | ErrorCode::UNSUPPORTED_DOMAIN
        | ErrorCode::KERNEL_UNAVAILABLE
        | ErrorCode::ROTATION_NOT_AVAILABLE_RELAY
        | ErrorCode::CLEAR_NOT_AVAILABLE_RELAY
        | ErrorCode::SNAPSHOT_UNSUPPORTED
        | ErrorCode::UNKNOWN_COMMAND => Code::Unimplemented,
        ErrorCode::RELAYD_CONNECT_FAILED | ErrorCode::RELAYD_VERSION_FAILED => Code::Unavailable,
        ErrorCode::FATAL
        | ErrorCode::UNKNOWN
        | ErrorCode::SNAPSHOT_FAILED
        | ErrorCode::ROTATION_FAILED
        | ErrorCode::CLEAR_FAILED => Code::Internal,
        ErrorCode::NO_MEMORY => Code::ResourceExhausted,
        _ => Code::InvalidArgument,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_survives_the_status() {
        let sent = status(ErrorCode::SESSION_EXISTS, "session `a` exists");
        assert_eq!(status_code(&sent), ErrorCode::SESSION_EXISTS);
        assert_eq!(sent.code(), Code::AlreadyExists);
    }

    #[test]
    fn a_foreign_status_has_the_unknown_code() {
        assert_eq!(status_code(&Status::internal("boom")), ErrorCode::UNKNOWN);
    }
}
