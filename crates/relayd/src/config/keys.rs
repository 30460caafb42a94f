//! The names of options outside the command line: in files the long option, in the environment the same
//! in capitals behind `LTTNG_RELAYD_`.

use clap::{ArgAction, CommandFactory, Parser};

use super::is_true;
use crate::args::Args;

const PREFIX: &str = "LTTNG_RELAYD_";
/// Variables that are no options.
const INTERNAL: [&str; 1] = [crate::background::VARIABLE];
/// Options that mean something on the command line only; in files they are skipped, as stock does.
const COMMAND_LINE_ONLY: [&str; 4] = ["help", "config", "status", "version"];
/// An option whose variable stock has named differently.
const RENAMED: [(&str, &str); 1] = [("LTTNG_RELAYD_HEALTH", "health-socket")];
/// How much alike names are of which one may be meant for the other.
const ALIKE: f64 = 0.8;

/// A name that is no option.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such option; {}", self.hint())]
pub(super) struct UnknownError {
    nearest: Option<String>,
}

impl UnknownError {
    fn hint(&self) -> String {
        match &self.nearest {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => "see --help".to_owned(),
        }
    }
}

/// Is this variable one of ours?
pub(super) fn is_of_relayd(variable: &str) -> bool {
    variable.starts_with(PREFIX) && !INTERNAL.contains(&variable)
}

/// The option a variable stands for.
pub(super) fn of_variable(variable: &str) -> Result<String, UnknownError> {
    let names = option_names();
    if let Some((_, key)) = RENAMED.iter().find(|(name, _)| *name == variable) {
        return Ok((*key).to_owned());
    }
    let found = names.iter().find(|name| variable_of(name) == variable);
    found.cloned().ok_or_else(|| UnknownError {
        nearest: nearest(variable, names.iter().map(|name| variable_of(name))),
    })
}

/// A key and its value as words of a command line; none when there is nothing to say.
pub(super) fn option(key: &str, value: &str) -> anyhow::Result<Vec<String>> {
    if COMMAND_LINE_ONLY.contains(&key) {
        return Ok(Vec::new());
    }
    let command = Args::command();
    let Some(arg) = command
        .get_arguments()
        .find(|arg| arg.get_long() == Some(key))
    else {
        let nearest = nearest(key, option_names().into_iter());
        return Err(UnknownError { nearest }.into());
    };
    if matches!(arg.get_action(), ArgAction::Count) {
        let times = match value.parse::<usize>() {
            Ok(times) => times.min(3),
            Err(_) => usize::from(is_true(value).unwrap_or(false)),
        };
        return Ok(vec![format!("--{key}"); times]);
    }
    Ok(vec![format!("--{key}={value}")])
}

/// Options to arguments; errors are one line.
pub(super) fn parse(options: Vec<String>) -> anyhow::Result<Args> {
    let words = std::iter::once("lttng-relayd".to_owned()).chain(options);
    Args::try_parse_from(words).map_err(|error| {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default();
        anyhow::anyhow!("{}", line.trim_start_matches("error: "))
    })
}

fn option_names() -> Vec<String> {
    let command = Args::command();
    command
        .get_arguments()
        .filter_map(|arg| arg.get_long())
        .filter(|name| !COMMAND_LINE_ONLY.contains(name))
        .map(str::to_owned)
        .collect()
}

fn variable_of(option: &str) -> String {
    format!("{PREFIX}{}", option.to_ascii_uppercase().replace('-', "_"))
}

fn nearest(wrong: &str, names: impl Iterator<Item = String>) -> Option<String> {
    names
        .map(|name| (strsim::jaro_winkler(wrong, &name), name))
        .filter(|(likeness, _)| *likeness > ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}
