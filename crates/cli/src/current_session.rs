//! The file that remembers the current session: `.lttngrc` in LTTng's home directory.

use std::path::PathBuf;
use std::{fs, io};

use crate::ui::{Exit, Ui, status};

fn path() -> PathBuf {
    places::home_directory()
        .unwrap_or_default()
        .join(".lttngrc")
}

/// Makes a session the current one.
pub(crate) fn set(name: &str) -> io::Result<()> {
    fs::write(path(), format!("session={name}\n"))
}

/// Forgets the current session if it is this one.
pub(crate) fn forget(name: &str) {
    let path = path();
    let current = fs::read_to_string(&path).ok();
    if current.as_deref().and_then(parse) == Some(name) {
        // Nothing depends on it: a name left behind gives "not found" at the next command.
        let _ = fs::remove_file(path);
    }
}

/// The given name, else the current session's.
pub(crate) fn or_current(ui: &Ui, name: Option<String>) -> Result<String, Exit> {
    let Some(name) = name else {
        return current(ui);
    };
    Ok(name)
}

/// The name of the current session; says what is missing.
pub(crate) fn current(ui: &Ui) -> Result<String, Exit> {
    let path = path();
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            ui.error(format_args!(
                "Can't find valid lttng config {}",
                path.display()
            ));
            if error.kind() != io::ErrorKind::NotFound {
                ui.detail(error);
            }
            ui.say("Did you create a session? (lttng create <my_session>)");
            return Err(Exit(status::ERROR));
        }
    };
    match parse(&text) {
        Some(name) => Ok(name.into()),
        None => Err(ui.fail("Missing session=NAME in config file.")),
    }
}

/// The first value of the key `session`; unknown keys are skipped.
fn parse(text: &str) -> Option<&str> {
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix("session="))?
        .trim_end();
    (!value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_session_wins() {
        assert_eq!(parse("session=a\n"), Some("a"));
        assert_eq!(parse("other=x\nsession=a b\nsession=c\n"), Some("a b"));
        for text in ["", "\n", "session\n", "session=\n", "x=y\n"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
