//! `lttng clear`.

use control::Client;
use control::v1::ClearSessionRequest;

use crate::current_session;
use crate::daemon::{Context, Failure};
use crate::mi::{Document, Element};
use crate::render::xml;
use crate::ui::{Exit, Outcome, status};

use super::{chosen, waiting};

/// Clear recording sessions
///
/// Removes what was recorded since the last rotation: in the buffers, in the local trace and at the relay daemon.
/// Archives of earlier rotations and snapshots stay.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the session; without one the current session
    name: Option<String>,
    /// Clear all sessions that you may see
    #[arg(short, long)]
    all: bool,
    #[arg(hide = true)]
    extra: Vec<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Outcome, Exit> {
    let ui = &context.ui;
    let (name, extra) = match (args.all, args.name) {
        (true, extra) => (None, extra),
        (false, name) => (Some(name), args.extra.into_iter().next()),
    };
    if let Some(word) = extra {
        ui.error(format_args!("Unknown argument: {word}"));
        return Ok(Outcome::new(status::ERROR, document(Vec::new(), false)));
    }
    let name = match name.map(|name| current_session::or_current(ui, name)) {
        None => None,
        Some(Ok(name)) => Some(name),
        Some(Err(Exit(status))) => {
            return Ok(Outcome::new(status, document(Vec::new(), false)));
        }
    };
    let (mut client, sessions) = match chosen::sessions(context, name.as_deref()).await {
        Ok(chosen) => chosen,
        Err(status) => return Ok(Outcome::new(status, document(Vec::new(), false))),
    };
    let mut cleared = Vec::new();
    let mut code = status::OK;
    for session in &sessions {
        match clear(context, &mut client, &session.name).await {
            Ok(()) => cleared.push(xml::session(session)),
            Err(failure) => {
                failure.say(
                    ui,
                    format_args!(
                        "{} while clearing session \"{}\"",
                        failure.text(),
                        session.name
                    ),
                );
                code = status::ERROR;
            }
        }
    }
    Ok(Outcome::new(code, document(cleared, code == status::OK)))
}

fn document(sessions: Vec<Element>, success: bool) -> Document {
    Document::new("clear", [Element::new("sessions", sessions)], success)
}

async fn clear(context: &Context, client: &mut Client, session: &str) -> Result<(), Failure> {
    let ui = &context.ui;
    let text = format!("Waiting for clear of session \"{session}\"");
    let request = ClearSessionRequest {
        session: session.into(),
    };
    let (answer, dots) = waiting::with_dots(ui, &text, client.clear_session(request)).await;
    if dots {
        ui.say("");
    }
    answer?;
    ui.say(format_args!("Session \"{session}\" cleared"));
    Ok(())
}
