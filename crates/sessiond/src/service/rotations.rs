//! Rotations, their schedules and snapshots as messages.

use control::{ErrorCode, v1};

use super::{answers, requests};
use crate::session::plan::Refusal;
use crate::session::{
    ArchiveLocation, Rotation, RotationState, Schedule, SnapshotOutput, SnapshotRequest,
    WhichOutput,
};

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::INVALID, message)
}

/// The rotation that somebody asks for, when this is the last one.
pub(super) fn asked_for(id: u64, last: Option<Rotation>) -> Result<v1::Rotation, Refusal> {
    match last {
        Some(last) if last.id == id => Ok(rotation(last)),
        Some(last) if last.id > id => Ok(v1::Rotation {
            id,
            state: v1::rotation::State::Expired.into(),
            location: None,
            reason: String::new(),
        }),
        _ => Err(invalid(format!("the session has no rotation {id}"))),
    }
}

pub(super) fn rotation(of: Rotation) -> v1::Rotation {
    use v1::rotation::State;

    let (state, location, reason) = match of.state {
        RotationState::Ongoing => (State::Ongoing, None, String::new()),
        RotationState::Completed(at) => (State::Completed, Some(location(at)), String::new()),
        RotationState::Failed(reason) => (State::Error, None, reason),
    };
    v1::Rotation {
        id: of.id,
        state: state.into(),
        location,
        reason,
    }
}

pub(super) fn location(of: ArchiveLocation) -> v1::ArchiveLocation {
    use v1::archive_location::Kind;

    let kind = match of {
        ArchiveLocation::Local(path) => Kind::LocalPath(path),
        ArchiveLocation::Relay { address, path } => Kind::Relay(v1::RelayLocation {
            host: address.host,
            control_port: address.control_port.into(),
            data_port: address.data_port.into(),
            relative_path: path,
        }),
    };
    v1::ArchiveLocation { kind: Some(kind) }
}

pub(super) fn schedules(of: &[Schedule]) -> Vec<v1::RotationSchedule> {
    use v1::rotation_schedule::Kind;

    let message = |schedule: &Schedule| v1::RotationSchedule {
        kind: Some(match *schedule {
            Schedule::Periodic(us) => Kind::PeriodUs(us),
            Schedule::Size(bytes) => Kind::SizeBytes(bytes),
        }),
    };
    of.iter().map(message).collect()
}

pub(super) fn schedule(given: Option<v1::RotationSchedule>) -> Result<Schedule, Refusal> {
    use v1::rotation_schedule::Kind;

    match given.and_then(|schedule| schedule.kind) {
        Some(Kind::PeriodUs(us)) => Ok(Schedule::Periodic(us)),
        Some(Kind::SizeBytes(bytes)) => Ok(Schedule::Size(bytes)),
        None => Err(invalid("a rotation schedule has a period or a size")),
    }
}

/// A schedule of that kind; its value means nothing.
pub(super) fn schedule_kind(number: i32) -> Result<Schedule, Refusal> {
    match v1::RotationScheduleKind::try_from(number) {
        Ok(v1::RotationScheduleKind::Periodic) => Ok(Schedule::Periodic(0)),
        Ok(v1::RotationScheduleKind::Size) => Ok(Schedule::Size(0)),
        _ => Err(invalid(format!(
            "unknown kind {number} of rotation schedules"
        ))),
    }
}

pub(super) fn snapshot_output(of: &SnapshotOutput) -> v1::SnapshotOutput {
    v1::SnapshotOutput {
        id: of.id,
        name: of.name.clone(),
        max_size: of.max_size,
        output: Some(answers::output(&of.setting)),
    }
}

pub(super) fn snapshot_request(
    given: Option<v1::SnapshotOutput>,
) -> Result<SnapshotRequest, Refusal> {
    let given = given.unwrap_or_default();
    let setting = given.output.map(requests::output).transpose()?;
    Ok(SnapshotRequest {
        name: given.name,
        max_size: given.max_size,
        setting: setting.flatten(),
    })
}

pub(super) fn which_output(
    given: Option<v1::remove_snapshot_output_request::Which>,
) -> Result<WhichOutput, Refusal> {
    use v1::remove_snapshot_output_request::Which;

    match given {
        Some(Which::Id(id)) => Ok(WhichOutput::Id(id)),
        Some(Which::Name(name)) => Ok(WhichOutput::Name(name)),
        None => Err(invalid("which snapshot output? Give its id or its name")),
    }
}
