//! Where file systems are mounted.

use std::fs;
use std::path::PathBuf;

/// The places where the whole of a file system of this type is mounted.
pub(crate) fn mounts_of(file_system: &str) -> impl Iterator<Item = PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let places: Vec<_> = table
        .lines()
        .filter_map(|line| mount(line, file_system))
        .collect();
    places.into_iter()
}

/// The mount point in a line of `/proc/self/mountinfo`, if the whole of such a file system is mounted there.
fn mount(line: &str, wanted: &str) -> Option<PathBuf> {
    let (mount, file_system) = line.split_once(" - ")?;
    let mut fields = mount.split(' ').skip(3);
    let (root, place) = (fields.next()?, fields.next()?);
    let is_wanted = file_system.split(' ').next()? == wanted;
    // A mount point with a space in it is written with an escape: not one of those that anybody uses.
    (is_wanted && root == "/" && !place.contains('\\')).then(|| place.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_of_the_whole_file_system_is_found() {
        let line = "36 24 0:12 / /sys/kernel/tracing rw,relatime shared:9 - tracefs nodev rw";
        assert_eq!(
            mount(line, "tracefs"),
            Some(PathBuf::from("/sys/kernel/tracing"))
        );
        for other in [
            "36 24 0:12 /instances /mnt rw,relatime - tracefs nodev rw",
            "36 24 0:12 / /sys/kernel/debug rw,relatime - debugfs nodev rw",
            "",
        ] {
            assert_eq!(mount(other, "tracefs"), None);
        }
    }
}
