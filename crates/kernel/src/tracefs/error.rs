//! What can be wrong with tracefs.

use std::io;
use std::path::PathBuf;

use rustix::io::Errno;

/// Why tracefs cannot be used, or does not do what it is told.
#[derive(Debug, thiserror::Error)]
pub enum TracefsError {
    /// It is mounted nowhere, and the mount failed.
    #[error(
        "tracefs is not mounted, and mounting it at /sys/kernel/tracing failed: {0}; the kernel needs \
         CONFIG_TRACING, and the daemon the right to mount"
    )]
    NotMounted(#[source] io::Error),
    /// This process may not create instances.
    #[error(
        "{} is not writable; run as root, or give tracefs to this user: `mount -o remount,uid=USER {}`",
        .0.display(), .0.parent().unwrap_or(.0).display()
    )]
    Denied(PathBuf),
    /// A kernel before 3.10.
    #[error("the tracefs at {} has no instances: the kernel is too old", .0.display())]
    NoInstances(PathBuf),
    /// A file refused what was asked of it.
    #[error("cannot {what} {}: {source}", path.display())]
    File {
        /// `read`, `write X to`, …
        what: String,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file says something that is not understood.
    #[error("{} says `{text}`, which is not understood", path.display())]
    Unexpected {
        /// The file.
        path: PathBuf,
        /// What it says.
        text: String,
    },
    /// A place that cannot be written down for the kernel.
    #[error(transparent)]
    Place(#[from] super::ProbeArgumentError),
    /// A name that would leave its directory.
    #[error("`{0}` is not usable as a name in tracefs")]
    BadName(String),
}

impl TracefsError {
    /// The system's reason, if a file refused something.
    pub fn kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::File { source, .. } | Self::NotMounted(source) => Some(source.kind()),
            _ => None,
        }
    }

    /// The system's number for it, if a file refused something.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::File { source, .. } | Self::NotMounted(source) => Errno::from_io_error(source),
            _ => None,
        }
    }

    /// There is not enough memory for what was asked.
    pub fn is_out_of_memory(&self) -> bool {
        self.kind() == Some(io::ErrorKind::OutOfMemory)
    }
}
