//! Names that become files: checked, although the session daemon checks them too.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use anyhow::{Context, ensure};
use rustix::fs::{Mode, OFlags, mkdirat, openat};

/// Longest path of a trace and name of a stream that every relay takes, without NUL.
const MAX_PATH_BYTES: usize = 254;
const MAX_NAME_BYTES: usize = 255 - "_4294967295_18446744073709551615.idx".len();

/// The directories of a relative path.
pub(crate) fn components(path: &str) -> anyhow::Result<Vec<&str>> {
    ensure!(
        !path.is_empty() && path.len() <= MAX_PATH_BYTES,
        "a path of {} bytes is not usable",
        path.len()
    );
    let parts: Vec<&str> = path.split('/').collect();
    for part in &parts {
        ensure!(is_name(part), "path `{path}` is not usable");
    }
    Ok(parts)
}

/// The name of a channel, which its files begin with.
pub(crate) fn channel(name: &str) -> anyhow::Result<&str> {
    ensure!(
        is_name(name) && name.len() <= MAX_NAME_BYTES,
        "channel name `{name}` is not usable as a file name"
    );
    Ok(name)
}

fn is_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\0'])
}

/// Opens a directory below another one, and makes what is missing.
pub(crate) fn make_directories(root: BorrowedFd<'_>, path: &str) -> anyhow::Result<OwnedFd> {
    let mut directory = root
        .try_clone_to_owned()
        .context("cannot copy a descriptor")?;
    for part in components(path)? {
        directory = make_directory(&directory, part)
            .with_context(|| format!("cannot create directory {path}"))?;
    }
    Ok(directory)
}

/// Opens a directory, and makes it if it is missing. Follows no link.
pub(crate) fn make_directory(parent: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    match mkdirat(parent, name, Mode::from_raw_mode(0o770)) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(errno) => return Err(errno.into()),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(parent, name, flags, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_their_root() {
        assert_eq!(
            components("ust/uid/0/64-bit").unwrap(),
            ["ust", "uid", "0", "64-bit"]
        );
        let long = "x".repeat(300);
        for bad in [
            "",
            "/",
            "/ust",
            "ust/",
            "ust//uid",
            "..",
            "ust/../..",
            ".",
            "a\0b",
            &long,
        ] {
            assert!(components(bad).is_err(), "{bad:?}");
        }
        assert!(channel("chan").is_ok());
        for bad in ["", "a/b", "..", &long] {
            assert!(channel(bad).is_err(), "{bad:?}");
        }
    }
}
