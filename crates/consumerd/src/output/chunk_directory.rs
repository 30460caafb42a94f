//! The directory of a trace chunk: where it is while it is current, and where it goes.
//!
//! ```text
//! S/ust                         the first chunk of session directory S
//! S/BEGIN-1/ust                 the current chunk, once S was rotated
//! S/archives/BEGIN-END-0/ust    an archived one
//! S/.tmp_old_chunk/ust          on its way from the first place to the archives, or to its removal
//! ```
//!
//! Moves begin when the chunk is complete, so whoever finds them half done may finish them.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use anyhow::Context;
use consumer_api::{ChunkEnding, ChunkSetup, RotationSetup};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, renameat, statat, unlinkat};

use crate::output::names;

const MOVING: &str = ".tmp_old_chunk";
/// Directories that a session has for its domains.
const DOMAINS: [&str; 2] = ["kernel", "ust"];
/// Depth of a chunk's directories: nothing of ours is deeper.
const MAX_DEPTH: u32 = 16;

/// A chunk that is current.
#[derive(Debug)]
pub(crate) struct ChunkDirectory {
    /// Below the session's directory; empty for that itself.
    path: String,
    pub(crate) fd: OwnedFd,
    /// What it has directly below: the session's directory may hold other things.
    top: BTreeSet<String>,
}

impl ChunkDirectory {
    /// Opens the place of a chunk, and makes what is missing.
    pub(crate) fn open(root: &OwnedFd, setup: &ChunkSetup) -> anyhow::Result<Self> {
        let fd = if setup.path.is_empty() {
            root.try_clone().context("cannot copy a descriptor")?
        } else {
            names::make_directories(root.as_fd(), &setup.path)?
        };
        let top = if setup.resumed {
            domains_in(&fd)
        } else {
            BTreeSet::new()
        };
        Ok(Self {
            path: setup.path.clone(),
            fd,
            top,
        })
    }

    /// The chunk that a predecessor completed in this rotation, and then was killed; `None` if it was not
    /// completed.
    pub(crate) fn completed(
        root: &OwnedFd,
        setup: &ChunkSetup,
        rotation: &RotationSetup,
    ) -> anyhow::Result<Option<Self>> {
        let archived = match &rotation.ending {
            ChunkEnding::Archive { path } => exists(root, path),
            _ => false,
        };
        if !archived && !exists(root, MOVING) {
            return Ok(None);
        }
        Ok(Some(Self {
            path: setup.path.clone(),
            fd: root.try_clone().context("cannot copy a descriptor")?,
            top: domains_in(root),
        }))
    }

    /// Notes that a trace of this path is in the chunk.
    pub(crate) fn has_trace(&mut self, path: &str) {
        let first = path.split('/').next().unwrap_or(path);
        self.top.insert(first.to_owned());
    }

    /// Takes the chunk away from its place. One that is to be removed is removed by [`remove_moved`].
    pub(crate) fn leave(self, root: &OwnedFd, ending: &ChunkEnding) -> anyhow::Result<()> {
        match ending {
            ChunkEnding::Keep => Ok(()),
            ChunkEnding::Archive { path } => self
                .archive(root, path)
                .with_context(|| format!("cannot move a trace chunk to {path}")),
            ChunkEnding::Delete => self
                .gather(root)
                .context("cannot move a trace chunk that is to be removed"),
        }
    }

    fn archive(self, root: &OwnedFd, path: &str) -> anyhow::Result<()> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let parent = match parent {
            "" => root.try_clone()?,
            parent => names::make_directories(root.as_fd(), parent)?,
        };
        if exists(&parent, name) && !exists(root, MOVING) {
            return Ok(());
        }
        if self.path.is_empty() {
            self.gather(root)?;
            rename(root, MOVING, &parent, name)?;
        } else {
            rename(root, &self.path, &parent, name)?;
        }
        Ok(())
    }

    /// Moves everything of the chunk below one directory that readers do not look at.
    fn gather(self, root: &OwnedFd) -> io::Result<()> {
        if !self.path.is_empty() {
            return match rename(root, &self.path, root, MOVING) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                result => result,
            };
        }
        let moving = names::make_directory(root, MOVING)?;
        for name in self.top {
            match rename(root, &name, &moving, &name) {
                // Moved already by a predecessor, which may have begun the next chunk.
                Err(error) if is_moved(&error) => {}
                result => result?,
            }
        }
        Ok(())
    }
}

/// Removes what [`ChunkDirectory::leave`] has put aside.
pub(crate) fn remove_moved(root: &OwnedFd) -> anyhow::Result<()> {
    remove_tree(root, MOVING, 0).context("cannot remove a trace chunk")
}

fn remove_tree(parent: &OwnedFd, name: &str, depth: u32) -> io::Result<()> {
    if depth > MAX_DEPTH {
        return Err(io::Error::other("directories are too deep"));
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = match openat(parent, name, flags, Mode::empty()) {
        Ok(directory) => directory,
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(errno.into()),
    };
    let mut entries = Vec::new();
    for entry in Dir::read_from(&directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !matches!(name.as_str(), "." | "..") {
            entries.push((name, entry.file_type()));
        }
    }
    for (name, kind) in entries {
        if kind == FileType::Directory {
            remove_tree(&directory, &name, depth + 1)?;
        } else {
            unlinkat(&directory, &name, AtFlags::empty())?;
        }
    }
    Ok(unlinkat(parent, name, AtFlags::REMOVEDIR)?)
}

fn is_moved(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty
    )
}

fn domains_in(directory: &OwnedFd) -> BTreeSet<String> {
    let there = DOMAINS.into_iter().filter(|name| exists(directory, name));
    there.map(str::to_owned).collect()
}

fn rename(from: &OwnedFd, name: &str, to: &OwnedFd, new: &str) -> io::Result<()> {
    Ok(renameat(from, name, to, new)?)
}

fn exists(parent: &OwnedFd, path: &str) -> bool {
    statat(parent, path, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}
