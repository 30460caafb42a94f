//! Names that peers send and that become files and directories: checked here, and only the checked
//! types are joined to a path.

use std::fmt;

/// A name or path that must not reach the file system.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing there.
    #[error("the {field} is empty")]
    Empty {
        /// Which name.
        field: &'static str,
    },
    /// More than a file system takes.
    #[error("the {field} has more than {max} bytes")]
    TooLong {
        /// Which name.
        field: &'static str,
        /// The most it may have.
        max: usize,
    },
    /// A character that is not allowed.
    #[error("the {field} {name:?} holds {what}")]
    Forbidden {
        /// Which name.
        field: &'static str,
        /// The name.
        name: String,
        /// What it must not hold.
        what: &'static str,
    },
}

/// The longest name of one file or directory.
const MAX_COMPONENT_LEN: usize = 255;
/// The longest checked path.
const MAX_PATH_LEN: usize = 3072;
/// Directories a relay daemon makes itself beside the streams' directories.
const RESERVED_DIRECTORY: &str = "archives";

/// The name of one directory or file: not empty, no `/`, no leading dot, no control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Component(String);

impl Component {
    /// Checks a name.
    ///
    /// # Errors
    /// When it is not fit to be one file or directory.
    pub fn new(field: &'static str, name: &str) -> Result<Self, NameError> {
        let forbidden = |what| NameError::Forbidden {
            field,
            name: name.to_owned(),
            what,
        };
        if name.is_empty() {
            return Err(NameError::Empty { field });
        }
        if name.len() > MAX_COMPONENT_LEN {
            return Err(NameError::TooLong {
                field,
                max: MAX_COMPONENT_LEN,
            });
        }
        if name.starts_with('.') {
            return Err(forbidden("a leading dot"));
        }
        if name.contains('/') {
            return Err(forbidden("a slash"));
        }
        if name.chars().any(char::is_control) {
            return Err(forbidden("a control character"));
        }
        Ok(Self(name.to_owned()))
    }

    /// The name of a trace chunk's directory, which must hold no dot at all.
    ///
    /// # Errors
    /// As [`Component::new`].
    pub fn chunk_name(name: &str) -> Result<Self, NameError> {
        let component = Self::new("chunk name", name)?;
        if name.contains('.') {
            let name = name.to_owned();
            return Err(NameError::Forbidden {
                field: "chunk name",
                name,
                what: "a dot",
            });
        }
        Ok(component)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A path below some directory: no `..`, not absolute, no control characters, no reserved name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelativePath(String);

impl RelativePath {
    /// Checks a path. Leading, trailing and double slashes, which stock peers send, are dropped.
    ///
    /// # Errors
    /// When it is empty, leaves its directory or holds what no path should.
    pub fn new(field: &'static str, path: &str) -> Result<Self, NameError> {
        let mut components = Vec::new();
        for name in path
            .split('/')
            .filter(|name| !name.is_empty() && *name != ".")
        {
            components.push(Component::new(field, name)?.0);
        }
        if components
            .first()
            .is_some_and(|first| first == RESERVED_DIRECTORY)
        {
            let name = path.to_owned();
            return Err(NameError::Forbidden {
                field,
                name,
                what: "a reserved directory name",
            });
        }
        let path = components.join("/");
        if path.is_empty() {
            return Err(NameError::Empty { field });
        }
        if path.len() > MAX_PATH_LEN {
            return Err(NameError::TooLong {
                field,
                max: MAX_PATH_LEN,
            });
        }
        Ok(Self(path))
    }

    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its first directory.
    #[must_use]
    pub fn first_component(&self) -> &str {
        self.0.split('/').next().unwrap_or(&self.0)
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for RelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_never_leave_their_directory() {
        for bad in [
            "",
            "/",
            "..",
            "a/../b",
            "../a",
            "a/..",
            "a/.hidden",
            "a\nb",
            "a\0b",
            ".tmp_old_chunk",
        ] {
            assert!(RelativePath::new("stream path", bad).is_err(), "{bad:?}");
        }
        assert!(RelativePath::new("stream path", "archives/x").is_err());
        assert!(RelativePath::new("stream path", &"a/".repeat(3000)).is_err());
    }

    #[test]
    fn slashes_that_stock_peers_send_are_dropped() {
        let path = RelativePath::new(
            "stream path",
            "/host/demo-20261122-214708//ust/uid/0/64-bit",
        );
        assert_eq!(
            path.unwrap().as_str(),
            "host/demo-20261122-214708/ust/uid/0/64-bit"
        );
    }

    #[test]
    fn names_are_one_component() {
        for bad in ["", ".", "..", ".hidden", "a/b", "tab\t", &"x".repeat(256)] {
            assert!(Component::new("session name", bad).is_err(), "{bad:?}");
        }
        assert!(Component::new("session name", "démo 1.0").is_ok());
        assert!(Component::chunk_name("snapshot-1.0").is_err());
    }
}
