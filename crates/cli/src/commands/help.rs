//! `lttng help`.

use crate::app;
use crate::daemon::Context;
use crate::ui::{Exit, Outcome, status};

/// Show the help of a command
///
/// Shows the help of a command, or of all.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the command
    command: Option<String>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome, Exit> {
    let mut all = app::full_command();
    all.build();
    let text = match &args.command {
        None => all.render_long_help(),
        Some(name) => match all.find_subcommand_mut(name) {
            Some(command) => command.render_long_help(),
            None => return Err(context.ui.fail(format_args!("Unknown command \"{name}\""))),
        },
    };
    context.ui.print(text.to_string().trim_end());
    Ok(Outcome::plain(status::OK))
}
