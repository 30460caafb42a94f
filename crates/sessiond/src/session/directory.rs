//! Creates the directory of a local trace, as the user to whom the session belongs.

use std::fs::DirBuilder;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{Mode, OFlags, open};

use crate::session::Owner;

/// First argument of this program when it is only to create a directory.
pub(crate) const CREATE_DIRECTORY: &str = "--create-directory";

/// Like upstream: for the user and the group.
const MODE: u32 = 0o770;

/// Creates what is missing of the path and opens the directory, which must be writable.
pub(super) async fn create_and_open(path: &Path, owner: Owner) -> io::Result<OwnedFd> {
    let path = path.to_owned();
    let work = move || match owner.if_other() {
        None => create(&path).and_then(|()| open_directory(&path)),
        Some(owner) => create_as(&path, owner).and_then(|()| open_directory(&path)),
    };
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Creates what is missing of the path and checks that files can be created in it.
pub(crate) fn create(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(MODE).create(path)?;
    Ok(rustix::fs::access(path, rustix::fs::Access::WRITE_OK)?)
}

fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    Ok(open(
        path,
        OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}

/// A process of the owner does the work: its rights apply at every step of the path.
fn create_as(path: &Path, owner: Owner) -> io::Result<()> {
    let output = Command::new("/proc/self/exe")
        .arg(CREATE_DIRECTORY)
        .arg(path)
        .uid(owner.uid)
        .gid(owner.gid)
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(
        String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    ))
}
