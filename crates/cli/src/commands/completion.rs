//! `lttng completion`.

use std::io;

use clap_complete::Shell;

use crate::app;
use crate::ui::{Exit, Outcome, status};

/// Print a completion script for a shell
///
/// Prints a completion script. For bash: lttng completion bash > ~/.local/share/bash-completion/completions/lttng
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> Result<Outcome, Exit> {
    // Into memory first: the generator panics when a pipe is closed.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut app::full_command(), "lttng", &mut script);
    let _ = io::Write::write_all(&mut io::stdout().lock(), &script);
    Ok(Outcome::plain(status::OK))
}
