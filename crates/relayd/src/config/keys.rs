//! The names of options outside the command line: in files the long option, in the environment the same
//! in capitals behind `LTTNG_RELAYD_`.

use clap::{CommandFactory, Parser};
use daemon_config::{Section, UnknownError, first_line, nearest};

use crate::args::Args;

const PREFIX: &str = "LTTNG_RELAYD_";
/// What stock reads on Solaris only.
const WITHOUT_EFFECT: [&str; 1] = ["LTTNG_RELAYD_TCP_KEEP_ALIVE_ABORT_THRESHOLD"];
/// Options that mean something on the command line only; in files they are skipped, as stock does.
const COMMAND_LINE_ONLY: [&str; 4] = ["help", "config", "status", "version"];
/// An option whose variable stock has named differently.
const RENAMED: [(&str, &str); 1] = [("LTTNG_RELAYD_HEALTH", "health-socket")];

/// Our section of configuration files.
pub(super) fn section() -> Section {
    Section::new("relayd", Args::command(), &COMMAND_LINE_ONLY)
}

/// Does this variable mean something to us?
pub(super) fn is_of_relayd(variable: &str) -> bool {
    variable.starts_with(PREFIX) && !WITHOUT_EFFECT.contains(&variable)
}

/// The option a variable stands for.
pub(super) fn of_variable(section: &Section, variable: &str) -> Result<String, UnknownError> {
    if let Some((_, key)) = RENAMED.iter().find(|(name, _)| *name == variable) {
        return Ok((*key).to_owned());
    }
    let found = section.keys().find(|name| variable_of(name) == variable);
    found.map(str::to_owned).ok_or_else(|| UnknownError {
        nearest: nearest(variable, section.keys().map(variable_of)),
    })
}

/// Options to arguments; errors are one line.
pub(super) fn parse(options: Vec<String>) -> anyhow::Result<Args> {
    let words = std::iter::once("lttng-relayd".to_owned()).chain(options);
    Args::try_parse_from(words).map_err(|error| anyhow::anyhow!("{}", first_line(&error)))
}

fn variable_of(option: &str) -> String {
    format!("{PREFIX}{}", option.to_ascii_uppercase().replace('-', "_"))
}
