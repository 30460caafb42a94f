//! `lttng help`.

use std::path::PathBuf;

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
    /// Write the manual pages of all commands into this directory
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    man_pages: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome, Exit> {
    let mut all = app::full_command();
    if let Some(directory) = &args.man_pages {
        let cannot = |error| {
            let directory = directory.display();
            context
                .ui
                .fail(format_args!("Cannot write to {directory}: {error}"))
        };
        clap_mangen::generate_to(all, directory).map_err(cannot)?;
        return Ok(Outcome::plain(status::OK));
    }
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
