//! The output directory: every file and directory the relay daemon makes is below it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use relay::server::ChunkEffect;
use relay::server::names::RelativePath;
use rustix::fs::OFlags;

/// What went wrong, where.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub(crate) struct OutputError {
    pub(crate) action: &'static str,
    pub(crate) path: PathBuf,
    pub(crate) source: io::Error,
}

pub(crate) type Result<T> = std::result::Result<T, OutputError>;

/// Mode of directories and files before the umask, as stock's.
const DIRECTORY_MODE: u32 = 0o770;
const FILE_MODE: u32 = 0o660;
/// Sessions of one name in one second.
const MAX_SAME_NAME: u32 = 10_000;

/// The directory given by `--output`.
#[derive(Debug)]
pub(crate) struct Output {
    root: PathBuf,
}

impl Output {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Creates the output directory itself.
    pub(crate) fn make_root(&self) -> Result<()> {
        self.make_directory("")
    }

    /// The full path of something below the output directory.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// Creates a directory and those above it.
    pub(crate) fn make_directory(&self, relative: &str) -> Result<()> {
        let path = self.path(relative);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(&path)
            .map_err(failed("create directory", &path))
    }

    /// Creates a directory that was not there before, and those above it: this one, or with the first number
    /// behind its name that is free. Gives the name.
    pub(crate) fn make_fresh_directory(&self, wanted: &RelativePath) -> Result<RelativePath> {
        if let Some((above, _)) = wanted.as_str().rsplit_once('/') {
            self.make_directory(above)?;
        }
        self.make_numbered_directory(wanted, |name| {
            let path = self.path(name.as_str());
            match fs::DirBuilder::new().mode(DIRECTORY_MODE).create(&path) {
                Ok(()) => Ok(true),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
                Err(error) => Err(failed("create directory", &path)(error)),
            }
        })
    }

    /// The first directory that `take` takes: this one, or one with a number behind its name.
    pub(crate) fn make_numbered_directory(
        &self,
        wanted: &RelativePath,
        mut take: impl FnMut(&RelativePath) -> Result<bool>,
    ) -> Result<RelativePath> {
        let wanted_path = self.path(wanted.as_str());
        for number in 0..=MAX_SAME_NAME {
            let name = match number {
                0 => wanted.as_str().to_owned(),
                _ => format!("{wanted}-{number}"),
            };
            let Ok(name) = RelativePath::new("session directory", &name) else {
                break;
            };
            if take(&name)? {
                return Ok(name);
            }
        }
        let taken = io::ErrorKind::AlreadyExists.into();
        Err(failed("create directory", &wanted_path)(taken))
    }

    /// Is nothing in this directory?
    pub(crate) fn is_empty(&self, relative: &str) -> Result<bool> {
        let path = self.path(relative);
        let mut entries = fs::read_dir(&path).map_err(failed("read directory", &path))?;
        Ok(entries.next().is_none())
    }

    /// Creates a file that replaces one of the same name; who has the old one open keeps it.
    pub(crate) fn create_file(&self, path: &Path) -> Result<File> {
        let open = || {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .mode(FILE_MODE)
                .custom_flags(no_follow())
                .open(path)
        };
        let file = match open() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_file(path).and_then(|()| open())
            }
            other => other,
        };
        file.map_err(failed("create", path))
    }

    /// Opens a file that was created before.
    pub(crate) fn open_file(&self, path: &Path) -> Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(no_follow())
            .open(path)
            .map_err(failed("open", path))
    }

    /// Removes a file; none there is fine.
    pub(crate) fn remove_file(&self, path: &Path) -> Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("remove", path)(error))
            }
            _ => Ok(()),
        }
    }

    /// Removes a directory, unless something is in it.
    pub(crate) fn remove_empty_directory(&self, path: &str) {
        // Not empty means that something else is in it: then it stays.
        let _ = fs::remove_dir(self.path(path));
    }

    /// Carries out what a trace chunk wants.
    pub(crate) fn run(&self, effect: &ChunkEffect) -> Result<()> {
        match effect {
            ChunkEffect::MakeDirectory(path) => self.make_directory(path),
            ChunkEffect::Rename { from, to } => {
                let (from, to) = (self.path(from), self.path(to));
                ignore_missing(fs::rename(&from, &to)).map_err(failed("rename to", &to))
            }
            ChunkEffect::RemoveTree(path) => {
                let path = self.path(path);
                ignore_missing(fs::remove_dir_all(&path)).map_err(failed("remove", &path))
            }
            ChunkEffect::RemoveEmpty(paths) => {
                for path in paths {
                    self.remove_empty_directory(path);
                }
                Ok(())
            }
        }
    }
}

/// Adds what was tried, and where, to an error.
pub(crate) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OutputError {
    let path = path.to_owned();
    move |source| OutputError {
        action,
        path,
        source,
    }
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn no_follow() -> i32 {
    OFlags::NOFOLLOW.bits().cast_signed()
}
