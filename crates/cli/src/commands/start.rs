//! `lttng start`.

use control::ErrorCode;
use control::v1::StartSessionRequest;

use crate::current_session;
use crate::daemon::{Context, Failure};
use crate::mi::{Document, Element};
use crate::render::xml;
use crate::ui::{Exit, Outcome, status};

use super::no_more;

/// Start a recording session
///
/// Starts tracing. A session can be stopped and started again.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the session; without one the current session
    name: Option<String>,
    #[arg(hide = true)]
    extra: Vec<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Outcome, Exit> {
    let ui = &context.ui;
    no_more(context, &args.extra)?;
    let name = current_session::or_current(ui, args.name)?;
    let Err(failure) = start(context, &name).await else {
        ui.say(format_args!("Tracing started for session {name}"));
        let session = xml::session_name(&name, Some(true));
        return Ok(Outcome::new(status::OK, document(Some(session))));
    };
    if failure.code == ErrorCode::ALREADY_STARTED {
        ui.warn(format_args!("Tracing already started for session {name}"));
    } else {
        failure.say(ui, failure.text());
    }
    Ok(Outcome::new(failure.status(), document(None)))
}

fn document(session: Option<Element>) -> Document {
    let success = session.is_some();
    Document::new("start", [Element::new("sessions", session)], success)
}

async fn start(context: &Context, name: &str) -> Result<(), Failure> {
    let mut client = context.connect().await?;
    client
        .start_session(StartSessionRequest { name: name.into() })
        .await?;
    Ok(())
}
