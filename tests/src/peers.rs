//! Programs that the tests cannot do without. A missing one fails the test and says how to get it.

use std::env;
use std::path::PathBuf;

use anyhow::{Result, anyhow};

/// The Debian package that holds each program.
const PACKAGES: &[(&str, &str)] = &[
    ("babeltrace2", "babeltrace2"),
    ("busybox", "busybox-static"),
    ("gcc", "gcc"),
    ("hostname", "hostname"),
    ("ip", "iproute2"),
    ("lttng", "lttng-tools"),
    ("lttng-relayd", "lttng-tools"),
    ("lttng-sessiond", "lttng-tools"),
    ("make", "make"),
    ("mount", "mount"),
    ("nsenter", "util-linux"),
    ("pkg-config", "pkg-config"),
    ("python3", "python3"),
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("setpriv", "util-linux"),
    ("stdbuf", "coreutils"),
    ("sudo", "sudo"),
    ("taskset", "util-linux"),
    ("trace-cmd", "trace-cmd"),
    ("unshare", "util-linux"),
];

/// Where `program` is.
pub(crate) fn require(program: &str) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")])
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
        .ok_or_else(|| {
            let package = PACKAGES.iter().find(|(name, _)| *name == program).map_or(program, |(_, p)| p);
            anyhow!("`{program}` is not installed; get it with `apt-get install {package}`, or run ./check")
        })
}
