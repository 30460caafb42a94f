//! Where session files are, and how they are written: whole, or not at all.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::{ReadError, SavedSession, read, write};

/// The end of the files' names.
const SUFFIX: &str = ".lttng";
/// Where the system's files are.
const SYSTEM: &str = "/etc/lttng/sessions";
/// No session file is as big.
const MAX_BYTES: u64 = 16 << 20;
const FILE_MODE: u32 = 0o660;
const DIRECTORY_MODE: u32 = 0o770;

/// Why a file was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system refused.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// It is no session file.
    #[error("{}, {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        error: ReadError,
    },
    /// It is there, and was not to be overwritten.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// The name of a session is no name of a file.
    #[error("a session `{0}` cannot be saved: its name has a slash")]
    Name(String),
}

impl FileError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Io { path, error }
    }

    /// Is the file or directory not there?
    fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { error, .. } if error.kind() == io::ErrorKind::NotFound)
    }
}

/// The directory of a user whose files are in `home`.
pub fn user_directory(home: &Path) -> PathBuf {
    home.join(".lttng/sessions")
}

/// The directories to look into without another word: the user's, then the system's.
fn default_directories(home: Option<&Path>) -> Vec<PathBuf> {
    let user = home.map(user_directory);
    user.into_iter().chain([PathBuf::from(SYSTEM)]).collect()
}

/// Writes a file for this session, `DIRECTORY/NAME.lttng`, and the directory if it is not there. Returns its path.
pub fn save(directory: &Path, saved: &SavedSession, overwrite: bool) -> Result<PathBuf, FileError> {
    let name = saved.name();
    if name.is_empty() || name.contains('/') {
        return Err(FileError::Name(name.into()));
    }
    make_directory(directory)?;
    let path = directory.join(format!("{name}{SUFFIX}"));
    let (temporary, mut file) = temporary(directory, name)?;
    let text = write(std::slice::from_ref(saved));
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.set_permissions(Permissions::from_mode(FILE_MODE)))
        .and_then(|()| file.sync_all());
    let moved = written.and_then(|()| {
        if overwrite {
            fs::rename(&temporary, &path)
        } else {
            renameat_with(CWD, &temporary, CWD, &path, RenameFlags::NOREPLACE).map_err(Into::into)
        }
    });
    moved.map_err(|error| {
        // Nothing stays; that the rest cannot be removed either changes nothing.
        let _ = fs::remove_file(&temporary);
        match error.kind() {
            io::ErrorKind::AlreadyExists => FileError::Exists(path.clone()),
            _ => FileError::io(&path)(error),
        }
    })?;
    Ok(path)
}

fn make_directory(directory: &Path) -> Result<(), FileError> {
    if directory.is_dir() {
        return Ok(());
    }
    if let Some(parent) = directory
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        make_directory(parent)?;
    }
    match DirBuilder::new().mode(DIRECTORY_MODE).create(directory) {
        // Somebody else made it meanwhile.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made
            .and_then(|()| fs::set_permissions(directory, Permissions::from_mode(DIRECTORY_MODE)))
            .map_err(FileError::io(directory)),
    }
}

/// A new file whose name is not that of a session file.
fn temporary(directory: &Path, name: &str) -> Result<(PathBuf, File), FileError> {
    let mut attempt = 0;
    loop {
        let path = directory.join(format!(".{name}.{}.{attempt}", std::process::id()));
        match File::options().write(true).create_new(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < 100 => {
                attempt += 1;
            }
            opened => {
                let file = opened.map_err(FileError::io(&path))?;
                return Ok((path, file));
            }
        }
    }
}

/// The sessions of a file.
fn load_file(path: &Path) -> Result<Vec<SavedSession>, FileError> {
    let mut text = String::new();
    let file = File::open(path).map_err(FileError::io(path))?;
    file.take(MAX_BYTES)
        .read_to_string(&mut text)
        .map_err(FileError::io(path))?;
    read(&text).map_err(|error| FileError::Read {
        path: path.into(),
        error,
    })
}

/// What the files at a place, or at the default places, have.
#[derive(Debug, Default)]
pub struct Found {
    /// In the order of the places and of the files' names.
    pub sessions: Vec<SavedSession>,
    /// Files of directories that could not be read. A file that was named is an error instead.
    pub broken: Vec<FileError>,
}

/// Reads all session files of a directory, or one file; without `place` those of the user whose directory is `home`,
/// and of the system.
pub fn find(place: Option<&Path>, home: Option<&Path>) -> Result<Found, FileError> {
    let mut found = Found::default();
    let directories = match place {
        Some(path) if !path.is_dir() => {
            found.sessions = load_file(path)?;
            return Ok(found);
        }
        Some(path) => vec![path.to_owned()],
        None => default_directories(home),
    };
    for directory in directories {
        let files = match load_directory(&directory) {
            Err(error) if error.is_not_found() && place.is_none() => continue,
            other => other?,
        };
        for file in files {
            match file {
                Ok(sessions) => found.sessions.extend(sessions),
                Err(error) => found.broken.push(error),
            }
        }
    }
    Ok(found)
}

/// The sessions of all session files of a directory, in the order of the files' names; each file may have its own
/// error.
fn load_directory(
    directory: &Path,
) -> Result<Vec<Result<Vec<SavedSession>, FileError>>, FileError> {
    let entries = fs::read_dir(directory).map_err(FileError::io(directory))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(FileError::io(directory))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // Hidden ones are half written.
        if name.ends_with(SUFFIX) && !name.starts_with('.') {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths.iter().map(|path| load_file(path)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(name: &str) -> SavedSession {
        let mut saved = SavedSession::default();
        saved.details.session = Some(control::v1::Session {
            name: name.into(),
            output: Some(control::v1::Output::none()),
            ..Default::default()
        });
        saved
    }

    #[test]
    fn files_are_written_whole_and_not_over_others() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("a/b");
        let path = save(&directory, &session("one"), false).unwrap();
        assert_eq!(path, directory.join("one.lttng"));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(&path), 0o660);
        assert_eq!(mode(&directory), 0o770);
        let refused = save(&directory, &session("one"), false).unwrap_err();
        assert!(matches!(refused, FileError::Exists(_)), "{refused}");
        save(&directory, &session("one"), true).unwrap();
        save(&directory, &session("b"), false).unwrap();
        let entries = fs::read_dir(&directory).unwrap().count();
        assert_eq!(entries, 2, "something was left");
        fs::write(directory.join("bad.lttng"), "nope").unwrap();
        fs::write(directory.join("other.txt"), "nope").unwrap();
        let all = load_directory(&directory).unwrap();
        let names: Vec<_> = all
            .iter()
            .flatten()
            .flatten()
            .map(SavedSession::name)
            .collect();
        assert_eq!(names, ["b", "one"]);
        let bad: Vec<_> = all.iter().filter_map(|file| file.as_ref().err()).collect();
        assert_eq!(bad.len(), 1);
        assert!(
            bad[0].to_string().contains("bad.lttng, line 1: "),
            "{}",
            bad[0]
        );
        for name in ["a/b", "../x", ""] {
            assert!(save(&directory, &session(name), true).is_err());
        }
    }
}
