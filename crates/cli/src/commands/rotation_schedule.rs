//! What `enable-rotation` and `disable-rotation` have in common.

use control::v1::rotation_schedule::Kind;
use control::v1::{RotationSchedule, RotationScheduleKind};

use crate::mi::{Document, Element};
use crate::render::xml;
use crate::ui::{Outcome, status};

/// Upstream's word for a kind of schedule.
pub(super) fn word(kind: RotationScheduleKind) -> &'static str {
    match kind {
        RotationScheduleKind::Size => "size-based",
        RotationScheduleKind::Periodic | RotationScheduleKind::Unspecified => "periodic",
    }
}

/// The kind of a schedule; unspecified only if a newer daemon has more kinds.
pub(super) fn kind(schedule: &RotationSchedule) -> RotationScheduleKind {
    match schedule.kind {
        Some(Kind::PeriodUs(_)) => RotationScheduleKind::Periodic,
        Some(Kind::SizeBytes(_)) => RotationScheduleKind::Size,
        None => RotationScheduleKind::Unspecified,
    }
}

/// What became of one schedule.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) kind: RotationScheduleKind,
    /// `None`: there is none to show the value of.
    pub(super) schedule: Option<RotationSchedule>,
    pub(super) done: bool,
}

impl Change {
    fn element(&self) -> Element {
        let shown = self.schedule.as_ref().and_then(xml::schedule);
        let name = match self.kind {
            RotationScheduleKind::Size => "size_threshold",
            RotationScheduleKind::Periodic | RotationScheduleKind::Unspecified => "periodic",
        };
        let shown = shown.unwrap_or_else(|| Element::new(name, []));
        Element::new(
            "rotation_schedule_result",
            [
                Element::new("rotation_schedule", [shown]),
                Element::text("success", self.done),
            ],
        )
    }
}

/// The end of a command that changed schedules.
pub(super) fn outcome(command: &'static str, session: &str, changes: &[Change]) -> Outcome {
    let done = changes.iter().all(|change| change.done);
    let name = Element::text("session_name", session);
    let results = Element::new(
        "rotation_schedule_results",
        [name]
            .into_iter()
            .chain(changes.iter().map(Change::element)),
    );
    let code = if done { status::OK } else { status::ERROR };
    Outcome::new(code, Document::new(command, [results], done))
}

/// The end of a command that could not begin.
pub(super) fn nothing(command: &'static str) -> Outcome {
    Outcome::new(status::ERROR, Document::new(command, [], false))
}
