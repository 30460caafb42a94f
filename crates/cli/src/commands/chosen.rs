//! The sessions that a command for one or all of them means.

use control::v1::{ListSessionsRequest, Session};
use control::{Client, ErrorCode};

use crate::daemon::{Context, Failure};
use crate::ui::status;

/// The session of this name, or all that there are. If it is not there, or the session daemon cannot tell, that is
/// said, and the error is the exit code.
pub(super) async fn sessions(
    context: &Context,
    name: Option<&str>,
) -> Result<(Client, Vec<Session>), u8> {
    let ui = &context.ui;
    let (client, mut sessions) = match list(context).await {
        Ok(listed) => listed,
        Err(failure) => {
            failure.say(ui, failure.text());
            return Err(status::ERROR);
        }
    };
    match name {
        Some(name) => {
            sessions.retain(|session| session.name == name);
            if sessions.is_empty() {
                ui.error(format_args!("Session name {name} not found"));
                return Err(u8::try_from(ErrorCode::SESSION_NOT_FOUND.0).unwrap_or(status::ERROR));
            }
        }
        None if sessions.is_empty() => ui.say("No session found, nothing to do."),
        None => {}
    }
    Ok((client, sessions))
}

pub(super) async fn list(context: &Context) -> Result<(Client, Vec<Session>), Failure> {
    let mut client = context.connect().await?;
    let answer = client.list_sessions(ListSessionsRequest {}).await?;
    Ok((client, answer.into_inner().sessions))
}
