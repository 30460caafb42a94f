//! `lttng disable-rotation`.

use control::Client;
use control::v1::{
    GetSessionRequest, RemoveRotationScheduleRequest, RotationSchedule, RotationScheduleKind,
};

use crate::current_session;
use crate::daemon::{Context, Failure};
use crate::ui::{Exit, Outcome, Ui};

use super::rotation_schedule::{self, Change, kind, word};

/// Do not rotate a recording session by itself any more
///
/// Takes back what enable-rotation has set.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the session; without it the current session
    #[arg(short, long)]
    session: Option<String>,
    /// Do not rotate by time any more
    #[arg(long)]
    timer: bool,
    /// Do not rotate by size any more
    #[arg(long)]
    size: bool,
    #[arg(hide = true)]
    extra: Vec<String>,
}

const COMMAND: &str = "disable-rotation";

pub(crate) async fn run(args: Args, context: &Context) -> Result<Outcome, Exit> {
    let ui = &context.ui;
    // More arguments are ignored, as upstream does.
    let session = current_session::or_current(ui, args.session)?;
    let kinds = [
        (args.timer, RotationScheduleKind::Periodic),
        (args.size, RotationScheduleKind::Size),
    ];
    let kinds = kinds.into_iter().filter(|(wanted, _)| *wanted);
    let kinds: Vec<_> = kinds.map(|(_, kind)| kind).collect();
    if kinds.is_empty() {
        ui.error("No session rotation schedule type provided.");
        return Ok(rotation_schedule::nothing(COMMAND));
    }
    let listed = list(context, &session).await;
    let mut changes = Vec::new();
    for wanted in kinds {
        let (schedule, done) = match &listed {
            Ok((client, schedules)) => {
                let there = schedules.iter().find(|schedule| kind(schedule) == wanted);
                let done = remove(ui, client.clone(), &session, wanted, there).await;
                (there.copied(), done)
            }
            Err(failure) => {
                failure.say(
                    ui,
                    format_args!("Failed to list rotation schedules of session {session}"),
                );
                (None, false)
            }
        };
        changes.push(Change {
            kind: wanted,
            schedule,
            done,
        });
    }
    Ok(rotation_schedule::outcome(COMMAND, &session, &changes))
}

/// The schedules before, and a connection.
async fn list(context: &Context, name: &str) -> Result<(Client, Vec<RotationSchedule>), Failure> {
    let mut client = context.connect().await?;
    let request = GetSessionRequest { name: name.into() };
    let session = client.get_session(request).await?.into_inner().session;
    Ok((client, session.unwrap_or_default().rotation_schedules))
}

/// Removes one and says so; whether it is done.
async fn remove(
    ui: &Ui,
    mut client: Client,
    session: &str,
    kind: RotationScheduleKind,
    there: Option<&RotationSchedule>,
) -> bool {
    let word = word(kind);
    if there.is_none() {
        ui.error(format_args!(
            "No {word} rotation schedule active on session {session}"
        ));
        return false;
    }
    let request = RemoveRotationScheduleRequest {
        session: session.into(),
        kind: kind.into(),
    };
    match client.remove_rotation_schedule(request).await {
        Ok(_) => {
            ui.say(format_args!(
                "Disabled {word} rotation on session {session}"
            ));
            true
        }
        Err(refused) => {
            Failure::from(refused).say(
                ui,
                format_args!("Failed to disable {word} rotation schedule on session {session}"),
            );
            false
        }
    }
}
