//! `lttng enable-rotation`.

use control::v1::rotation_schedule::Kind;
use control::v1::{AddRotationScheduleRequest, RotationSchedule};
use control::{Client, ErrorCode};

use crate::current_session;
use crate::daemon::{Context, Failure};
use crate::ui::{Exit, Outcome, Ui};
use crate::values;

use super::rotation_schedule::{self, Change, kind, word};

/// Rotate a recording session by itself
///
/// Archives the current trace chunk of a session again and again: by time, by size, or both.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the session; without it the current session
    #[arg(short, long)]
    session: Option<String>,
    /// Rotate so often (microseconds, or with a suffix us, ms, s, m, h)
    #[arg(long, value_name = "PERIOD", allow_hyphen_values = true)]
    timer: Option<String>,
    /// Rotate when the current trace chunk is that large (bytes, or with a suffix k, M, G)
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    size: Option<String>,
    #[arg(hide = true)]
    extra: Vec<String>,
}

const COMMAND: &str = "enable-rotation";

pub(crate) async fn run(args: Args, context: &Context) -> Result<Outcome, Exit> {
    let ui = &context.ui;
    // More arguments are ignored, as upstream does.
    let schedules = schedules(ui, &args)?;
    let session = current_session::or_current(ui, args.session)?;
    if schedules.is_empty() {
        ui.error("No session rotation schedule parameter provided.");
        return Ok(rotation_schedule::nothing(COMMAND));
    }
    let mut client = context.connect().await;
    let mut changes = Vec::new();
    for schedule in schedules {
        let result = match &mut client {
            Ok(client) => add(client, &session, schedule).await,
            Err(failure) => Err(failure.clone()),
        };
        changes.push(Change {
            kind: kind(&schedule),
            schedule: Some(schedule),
            done: result.is_ok(),
        });
        say(ui, &session, &schedule, result);
    }
    Ok(rotation_schedule::outcome(COMMAND, &session, &changes))
}

fn schedules(ui: &Ui, args: &Args) -> Result<Vec<RotationSchedule>, Exit> {
    let mut out = Vec::new();
    if let Some(text) = &args.timer {
        let read = values::duration_us(text);
        let us =
            read.ok_or_else(|| ui.fail(format_args!("Invalid value for --timer option: {text}")))?;
        out.push(Kind::PeriodUs(us));
    }
    if let Some(text) = &args.size {
        let read = values::size(text);
        let bytes =
            read.ok_or_else(|| ui.fail(format_args!("Invalid value for --size option: {text}")))?;
        out.push(Kind::SizeBytes(bytes));
    }
    let schedules = out
        .into_iter()
        .map(|kind| RotationSchedule { kind: Some(kind) });
    Ok(schedules.collect())
}

async fn add(
    client: &mut Client,
    session: &str,
    schedule: RotationSchedule,
) -> Result<(), Failure> {
    if matches!(schedule.kind, Some(Kind::PeriodUs(0) | Kind::SizeBytes(0))) {
        return Err(Failure::local(ErrorCode::INVALID, ""));
    }
    let request = AddRotationScheduleRequest {
        session: session.into(),
        schedule: Some(schedule),
    };
    client.add_rotation_schedule(request).await?;
    Ok(())
}

fn say(ui: &Ui, session: &str, schedule: &RotationSchedule, result: Result<(), Failure>) {
    let word = word(kind(schedule));
    let Err(failure) = result else {
        match schedule.kind {
            Some(Kind::PeriodUs(us)) => ui.say(format_args!(
                "Enabled {word} rotations every {us} us on session {session}"
            )),
            Some(Kind::SizeBytes(bytes)) => ui.say(format_args!(
                "Enabled {word} rotations every {bytes} bytes written on session {session}"
            )),
            None => {}
        }
        return;
    };
    match failure.code {
        ErrorCode::INVALID => failure.say(ui, format_args!("Invalid value for {word} option")),
        ErrorCode::ROTATION_SCHEDULE_SET => ui.error(format_args!(
            "A {word} rotation schedule is already set on session {session}"
        )),
        _ => failure.say(
            ui,
            format_args!("Failed to enable {word} rotation schedule on session {session}"),
        ),
    }
}
