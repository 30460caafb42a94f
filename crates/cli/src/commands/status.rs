//! `lttng status`.

use crate::current_session;
use crate::daemon::Context;
use crate::ui::{Exit, Outcome, status};

use super::list;

/// Show the status of the current recording session
///
/// Shows the current session, as `lttng list NAME` does.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(hide = true)]
    extra: Vec<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Outcome, Exit> {
    let ui = &context.ui;
    if !args.extra.is_empty() {
        ui.error("This command does not accept positional arguments.\n");
        ui.error("Unrecognized argument used with 'status' command");
        return Err(Exit(status::UNDEFINED));
    }
    let name = current_session::current(ui)?;
    Ok(list::session(context, &name, &list::Details::default()).await)
}
