//! `lttng stop`.

use control::ErrorCode;
use control::v1::{StopSessionRequest, StopSessionResponse};

use crate::current_session;
use crate::daemon::{Context, Failure};
use crate::mi::{Document, Element};
use crate::render::{losses, xml};
use crate::ui::{Exit, Outcome, status};

use super::{no_more, waiting};

/// Stop a recording session
///
/// Stops tracing and waits until the data is where it belongs.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the session; without one the current session
    name: Option<String>,
    /// Do not wait until the data is where it belongs
    #[arg(short, long)]
    no_wait: bool,
    #[arg(hide = true)]
    extra: Vec<String>,
}

/// Upstream's line while it waits.
const WAITING: &str = "Waiting for data availability";

pub(crate) async fn run(args: Args, context: &Context) -> Result<Outcome, Exit> {
    let ui = &context.ui;
    no_more(context, &args.extra)?;
    let name = current_session::or_current(ui, args.name)?;
    let failure = match stop(context, &name, args.no_wait).await {
        Ok(answer) => {
            if !args.no_wait {
                losses::say(ui, answer.counters.as_ref());
            }
            ui.say(format_args!("Tracing stopped for session {name}"));
            losses::warn_of_undelivered(ui, &name, answer.output_state.as_ref());
            if answer.stuck {
                losses::warn_of_stuck(ui, &name);
            }
            let session = xml::session_name(&name, Some(false));
            return Ok(Outcome::new(status::OK, document(Some(session))));
        }
        Err(failure) => failure,
    };
    if failure.code == ErrorCode::ALREADY_STOPPED {
        ui.warn(format_args!("Tracing already stopped for session {name}"));
    } else {
        failure.say(ui, failure.text());
    }
    Ok(Outcome::new(failure.status(), document(None)))
}

fn document(session: Option<Element>) -> Document {
    let success = session.is_some();
    Document::new("stop", [Element::new("sessions", session)], success)
}

async fn stop(
    context: &Context,
    name: &str,
    no_wait: bool,
) -> Result<StopSessionResponse, Failure> {
    let ui = &context.ui;
    let mut client = context.connect().await?;
    let request = StopSessionRequest {
        name: name.into(),
        no_wait,
    };
    let (answer, dots) = waiting::with_dots(ui, WAITING, client.stop_session(request)).await;
    if dots {
        ui.say("");
    } else if answer.is_ok() && !no_wait {
        ui.say(WAITING);
    }
    Ok(answer?.into_inner())
}
