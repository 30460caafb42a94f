//! `lttng set-session`.

use control::v1::GetSessionRequest;

use crate::current_session;
use crate::daemon::{Context, Failure};
use crate::mi::{Document, Element};
use crate::render::xml;
use crate::ui::{Exit, Outcome, status};

/// Set the current recording session
///
/// Makes a session the current one: the commands that name no session mean it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the session
    name: Option<String>,
    #[arg(hide = true)]
    extra: Vec<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Outcome, Exit> {
    let ui = &context.ui;
    // More arguments are ignored, as upstream does.
    let Some(name) = args.name else {
        return Err(ui.fail("Missing session name"));
    };
    if let Err(failure) = find(context, &name).await {
        if failure.code == control::ErrorCode::SESSION_NOT_FOUND {
            ui.error(format_args!("Session '{name}' not found"));
        } else {
            failure.say(ui, failure.text());
        }
        return Ok(Outcome::new(status::ERROR, document(None)));
    }
    if let Err(error) = current_session::set(&name) {
        ui.error(format_args!("Cannot remember the current session: {error}"));
        return Ok(Outcome::new(status::ERROR, document(None)));
    }
    ui.say(format_args!("Session set to {name}"));
    let sessions = Element::new("sessions", [xml::session_name(&name, None)]);
    Ok(Outcome::new(status::OK, document(Some(sessions))))
}

fn document(sessions: Option<Element>) -> Document {
    let success = sessions.is_some();
    Document::new("set-session", sessions, success)
}

async fn find(context: &Context, name: &str) -> Result<(), Failure> {
    let mut client = context.connect().await?;
    let request = GetSessionRequest { name: name.into() };
    client.get_session(request).await?;
    Ok(())
}
