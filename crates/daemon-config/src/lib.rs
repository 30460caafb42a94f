//! What the daemons have in common as programs: [`background`], signals, and configuration. Each has a section of `lttng.conf`, whose keys are its long options.
//!
//! ```text
//! /etc/lttng/lttng.conf, HOME/.lttng/lttng.conf, --config  ->  Section  ->  words for the parser of options
//! ```

#![forbid(unsafe_code)]

pub mod background;
mod hangup;
mod ini;
mod section;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use clap::error::ErrorKind;

pub use hangup::ignores_hangup;
pub use section::{EntryError, Section, UnknownError, nearest};

const SYSTEM_FILE: &str = "/etc/lttng/lttng.conf";
/// The version of LTTng whose options these are: scripts choose theirs by it.
const COMPATIBLE: &str = "2.13.9";
/// Below the home directory.
const USER_FILE: &str = ".lttng/lttng.conf";

/// What a configuration file says, as options of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileOptions {
    /// The file.
    pub path: PathBuf,
    /// `--key=value`, in the order of the file.
    pub words: Vec<String>,
}

/// A configuration file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("configuration file {}: {reason}", path.display())]
pub struct FileError {
    path: PathBuf,
    reason: Reason,
}

#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    #[error(transparent)]
    Entry(#[from] EntryError),
}

/// Reads the files that there are, weakest first: the system's, the user's, and `named`, which must exist.
pub fn read(
    section: &Section,
    home: Option<&Path>,
    named: Option<&Path>,
) -> Result<Vec<FileOptions>, FileError> {
    let user = home.map(|home| home.join(USER_FILE));
    let files = [
        (Some(Path::new(SYSTEM_FILE)), false),
        (user.as_deref(), false),
        (named, true),
    ];
    let mut found = Vec::new();
    for (path, must_exist) in files {
        let Some(path) = path else { continue };
        let because = |reason| FileError {
            path: path.to_owned(),
            reason,
        };
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => continue,
            Err(error) => return Err(because(error.into())),
        };
        found.push(FileOptions {
            path: path.to_owned(),
            words: section
                .words(&text)
                .map_err(|error| because(error.into()))?,
        });
    }
    Ok(found)
}

/// How LTTng spells booleans: yes, true, on, a number that is not 0, and their opposites.
pub fn is_true(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" => Some(true),
        "no" | "false" | "off" => Some(false),
        other => other.parse::<i64>().ok().map(|number| number != 0),
    }
}

/// For options that are switches: [`is_true`] with an error for people.
pub fn boolean(value: &str) -> Result<bool, String> {
    is_true(value).ok_or_else(|| "say yes or no".to_owned())
}

/// What `--version` of a daemon prints: upstream's version first, as its daemons do.
pub fn version(own: &str) -> String {
    format!("{COMPATIBLE} - lttng-rs {own}")
}

/// Does what the option `--man-page` asks for, which no help tells: the page in section 8 of the manual.
pub fn man_page(command: clap::Command) -> Option<ExitCode> {
    if std::env::args_os().nth(1)? != "--man-page" {
        return None;
    }
    let page = clap_mangen::Man::new(command)
        .section("8")
        .manual("LTTng Manual");
    // Into memory first: nobody may be reading.
    let mut text = Vec::new();
    let written = page
        .render(&mut text)
        .and_then(|()| io::stdout().write_all(&text));
    Some(match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

/// Prints help, or what is wrong with the command line. The status of mistakes is stock's 1, not clap's 2.
pub fn refuse(error: &clap::Error) -> ExitCode {
    // Nobody may be reading.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// The first line of what clap has to say, without its prefix.
pub fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_as_lttng_spells_them() {
        assert_eq!(is_true("on"), Some(true));
        assert_eq!(is_true("2"), Some(true));
        assert_eq!(is_true("0"), Some(false));
        assert_eq!(is_true("maybe"), None);
    }
}
