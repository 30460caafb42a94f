//! `lttng rotate`.

use control::v1::rotation::State;
use control::v1::{GetRotationRequest, RotateSessionRequest, Rotation};

use crate::current_session;
use crate::daemon::{Context, Failure};
use crate::mi::{Document, Element};
use crate::render::archive;
use crate::ui::{Exit, Outcome, Ui, status};

use super::waiting;

/// Archive the current trace chunk of a recording session
///
/// Ends the current trace chunk and begins the next one: the archive can be read at once, while the session goes
/// on recording.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the session; without one the current session
    name: Option<String>,
    /// Do not wait until the archive can be read
    #[arg(short, long)]
    no_wait: bool,
    #[arg(hide = true)]
    extra: Vec<String>,
}

/// Upstream's line while it waits.
const WAITING: &str = "Waiting for rotation to complete";

pub(crate) async fn run(args: Args, context: &Context) -> Result<Outcome, Exit> {
    let ui = &context.ui;
    // More arguments are ignored, as upstream does.
    let name = current_session::or_current(ui, args.name)?;
    let rotation = match rotate(context, &name, args.no_wait).await {
        Ok(rotation) => rotation,
        Err(failure) => {
            failure.say(ui, failure.text());
            return Ok(Outcome::new(status::ERROR, document(None)));
        }
    };
    let code = say(ui, &name, &rotation);
    let rotation = (code == status::OK).then(|| element(&name, &rotation));
    Ok(Outcome::new(code, document(rotation)))
}

fn document(rotation: Option<Element>) -> Document {
    let success = rotation.is_some();
    Document::new("rotate", rotation, success)
}

async fn rotate(context: &Context, session: &str, no_wait: bool) -> Result<Rotation, Failure> {
    let ui = &context.ui;
    let mut client = context.connect().await?;
    let request = RotateSessionRequest {
        session: session.into(),
    };
    let id = client
        .rotate_session(request)
        .await?
        .into_inner()
        .rotation_id;
    if no_wait {
        return Ok(Rotation {
            id,
            state: State::Ongoing.into(),
            ..Rotation::default()
        });
    }
    let request = GetRotationRequest {
        session: session.into(),
        rotation_id: id,
        wait: true,
    };
    let (answer, dots) = waiting::with_dots(ui, WAITING, client.get_rotation(request)).await;
    ui.say(if dots { "" } else { WAITING });
    Ok(answer?.into_inner().rotation.unwrap_or_default())
}

/// Says what became of it, and gives the status.
fn say(ui: &Ui, session: &str, rotation: &Rotation) -> u8 {
    match rotation.state() {
        State::Ongoing => {
            ui.say(format_args!("Rotation ongoing for session {session}"));
            return status::OK;
        }
        State::Completed => {
            ui.say(archive::readable(session, rotation.location.as_ref()));
            return status::OK;
        }
        State::Expired => {
            ui.error(format_args!(
                "The rotation of session {session} has expired"
            ));
            ui.detail("a later rotation was made meanwhile: this archive is beside the later one");
        }
        State::Error => {
            ui.error(format_args!("Failed to rotate session {session}"));
            ui.detail(&rotation.reason);
        }
        State::Unspecified => ui.error("Unexpected rotation state encountered."),
    }
    status::ERROR
}

fn element(session: &str, rotation: &Rotation) -> Element {
    let state = match rotation.state() {
        State::Ongoing => "ONGOING",
        State::Completed => "COMPLETED",
        State::Expired => "EXPIRED",
        State::Error | State::Unspecified => "ERROR",
    };
    let element = Element::new(
        "rotation",
        [
            Element::text("session_name", session),
            Element::text("state", state),
        ],
    );
    if rotation.state() == State::Completed {
        element.with(archive::element(rotation.location.as_ref()))
    } else {
        element
    }
}
