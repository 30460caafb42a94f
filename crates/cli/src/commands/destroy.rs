//! `lttng destroy`.

use control::Client;
use control::v1::rotation::State;
use control::v1::{DestroySessionRequest, Rotation, Session};

use crate::current_session;
use crate::daemon::{Context, Failure};
use crate::mi::{Document, Element};
use crate::render::{archive, losses, xml};
use crate::ui::{Exit, Outcome, Ui, status};

use super::{chosen, no_more, waiting};

/// Destroy recording sessions
///
/// Stops a session if it is active, waits until its data is where it belongs, and forgets it. A relay daemon that
/// is away, or takes nothing for 10 seconds, is tried once more; then the rest is collected on this machine, if the
/// session was created with `--on-relay-loss=local`. Otherwise what is left is counted and given up, and the exit
/// status is 6.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the session; without one the current session
    name: Option<String>,
    /// Destroy all sessions that you may see
    #[arg(short, long)]
    all: bool,
    /// Do not wait until the data is where it belongs
    #[arg(short, long)]
    no_wait: bool,
    #[arg(hide = true)]
    extra: Vec<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Outcome, Exit> {
    let ui = &context.ui;
    no_more(context, &args.extra)?;
    let name = if args.all {
        None
    } else {
        Some(current_session::or_current(ui, args.name)?)
    };
    let (mut client, sessions) = match chosen::sessions(context, name.as_deref()).await {
        Ok(chosen) => chosen,
        Err(status) => return Ok(Outcome::new(status, document(Vec::new(), false))),
    };
    let mut destroyed = Vec::new();
    let mut code = status::OK;
    for session in &sessions {
        match destroy(context, &mut client, session, args.no_wait).await {
            Ok(status) => {
                destroyed.push(xml::session(session));
                if code == status::OK {
                    code = status;
                }
            }
            Err(failure) => {
                failure.say(
                    ui,
                    format_args!(
                        "{} during the destruction of session \"{}\"",
                        failure.text(),
                        session.name
                    ),
                );
                code = status::ERROR;
            }
        }
    }
    let success = code != status::ERROR;
    Ok(Outcome::new(code, document(destroyed, success)))
}

fn document(sessions: Vec<Element>, success: bool) -> Document {
    Document::new("destroy", [Element::new("sessions", sessions)], success)
}

/// Gives the exit status.
async fn destroy(
    context: &Context,
    client: &mut Client,
    session: &Session,
    no_wait: bool,
) -> Result<u8, Failure> {
    let ui = &context.ui;
    let name = &session.name;
    let request = DestroySessionRequest {
        name: name.clone(),
        no_wait,
    };
    let text = format!("Destroying session {name}");
    let (answer, dots) = waiting::with_dots(ui, &text, client.destroy_session(request)).await;
    if dots {
        ui.say("");
    }
    let answer = answer?.into_inner();
    if let Some(rotation) = &answer.rotation {
        say_archive(ui, name, rotation);
    }
    ui.say(format_args!("Session {name} destroyed"));
    // `stop` has told the losses of a session that was stopped before.
    if session.active && !no_wait {
        losses::say(ui, answer.counters.as_ref());
    }
    current_session::forget(name);
    Ok(match &answer.given_up {
        Some(given_up) => {
            losses::warn_of_given_up(ui, name, given_up);
            status::INCOMPLETE
        }
        None => status::OK,
    })
}

/// Tells where the last trace chunk of a session that was rotated is.
fn say_archive(ui: &Ui, session: &str, rotation: &Rotation) {
    match rotation.state() {
        State::Completed => ui.say(archive::readable(session, rotation.location.as_ref())),
        State::Error => {
            ui.warn(format_args!(
                "the last trace chunk of session {session} could not be archived"
            ));
            ui.detail(&rotation.reason);
        }
        State::Ongoing | State::Expired | State::Unspecified => {}
    }
}
