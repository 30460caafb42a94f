//! The keys of a section: the long options of a daemon.

use clap::ArgAction;

use crate::{ini, is_true};

/// Most times that an option like `--verbose` counts.
const MOST_TIMES: usize = 3;
/// How much alike names are of which one may be meant for the other.
const ALIKE: f64 = 0.8;

/// The section of a daemon, and the options that it may hold.
#[derive(Clone, Debug)]
pub struct Section {
    name: &'static str,
    command: clap::Command,
    command_line_only: &'static [&'static str],
}

/// A line of a section that is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// It is no entry at all.
    #[error("line {0} is neither a section, a comment nor key=value")]
    BadLine(usize),
    /// It is no option.
    #[error("line {line}, `{key}`: {error}")]
    Unknown {
        /// From 1.
        line: usize,
        /// What stands there.
        key: String,
        /// What may be meant.
        error: UnknownError,
    },
}

/// A name that is no option.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such option; {}", self.hint())]
pub struct UnknownError {
    /// The option that looks most like it.
    pub nearest: Option<String>,
}

impl UnknownError {
    fn hint(&self) -> String {
        match &self.nearest {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => "see --help".to_owned(),
        }
    }
}

impl Section {
    /// The section `name` for the options of `command`. Those that mean something on the command line only are
    /// skipped in files, as stock does.
    pub fn new(
        name: &'static str,
        command: clap::Command,
        command_line_only: &'static [&'static str],
    ) -> Self {
        Self {
            name,
            command,
            command_line_only,
        }
    }

    /// The long options that can be set.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let options = self
            .command
            .get_arguments()
            .filter_map(clap::Arg::get_long_and_visible_aliases);
        options
            .flatten()
            .filter(|name| !self.command_line_only.contains(name))
    }

    /// A key and its value as words of a command line; none when there is nothing to say.
    pub fn option(&self, key: &str, value: &str) -> Result<Vec<String>, UnknownError> {
        if self.command_line_only.contains(&key) {
            return Ok(Vec::new());
        }
        let mut options = self.command.get_arguments();
        let option = options.find(|option| {
            let names = option.get_long_and_visible_aliases();
            names.is_some_and(|names| names.contains(&key))
        });
        let Some(option) = option else {
            return Err(UnknownError {
                nearest: nearest(key, self.keys().map(str::to_owned)),
            });
        };
        if matches!(option.get_action(), ArgAction::Count) {
            let times = match value.parse::<usize>() {
                Ok(times) => times.min(MOST_TIMES),
                Err(_) => usize::from(is_true(value).unwrap_or(false)),
            };
            return Ok(vec![format!("--{key}"); times]);
        }
        Ok(vec![format!("--{key}={value}")])
    }

    /// All options in the text of a file.
    pub fn words(&self, text: &str) -> Result<Vec<String>, EntryError> {
        let mut words = Vec::new();
        let entries = ini::entries(text, self.name);
        for entry in entries.map_err(|ini::BadLine(line)| EntryError::BadLine(line))? {
            let option = self.option(entry.key, entry.value);
            words.extend(option.map_err(|error| EntryError::Unknown {
                line: entry.line,
                key: entry.key.to_owned(),
                error,
            })?);
        }
        Ok(words)
    }
}

/// The name that looks most like a wrong one, if any does.
pub fn nearest(wrong: &str, names: impl Iterator<Item = String>) -> Option<String> {
    names
        .map(|name| (strsim::jaro_winkler(wrong, &name), name))
        .filter(|(likeness, _)| *likeness > ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section() -> Section {
        let command = clap::Command::new("daemon")
            .arg(clap::Arg::new("output").long("output"))
            .arg(
                clap::Arg::new("path")
                    .long("daemon-path")
                    .visible_alias("daemon64-path"),
            )
            .arg(
                clap::Arg::new("verbose")
                    .long("verbose")
                    .action(ArgAction::Count),
            );
        Section::new("daemon", command, &["help"])
    }

    #[test]
    fn keys_are_long_options() {
        let text = "[daemon]\noutput=/a b\nverbose=9\nhelp=yes\ndaemon64-path = /x\n[other]\nz=1\n";
        let words = section().words(text).unwrap();
        let verbose = "--verbose";
        assert_eq!(
            words,
            [
                "--output=/a b",
                verbose,
                verbose,
                verbose,
                "--daemon64-path=/x"
            ]
        );
        assert_eq!(
            section().words("[daemon]\nverbose=yes\n").unwrap(),
            [verbose]
        );
        assert!(
            section()
                .words("[daemon]\nverbose=no\n")
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn an_unknown_key_is_told_with_its_line() {
        for (text, says) in [
            (
                "[daemon]\noutputs=/x\n",
                "line 2, `outputs`: no such option; did you mean `output`?",
            ),
            (
                "[daemon]\n\nxyzzy=1\n",
                "line 3, `xyzzy`: no such option; see --help",
            ),
            (
                "[daemon]\nwhat\n",
                "line 2 is neither a section, a comment nor key=value",
            ),
        ] {
            assert_eq!(section().words(text).unwrap_err().to_string(), says);
        }
    }
}
