//! What a relay daemon has on its disk.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use relay::METADATA_NAME;

/// Sums of the sizes of files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) data: u64,
    pub(crate) index: u64,
}

/// The sizes of all files below `dir`, without metadata.
pub(crate) fn sizes_below(dir: &Path) -> Result<Sizes> {
    let mut sizes = Sizes::default();
    let mut left = vec![dir.to_owned()];
    while let Some(dir) = left.pop() {
        let entries = fs::read_dir(&dir).with_context(|| format!("read {}", dir.display()))?;
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|extension| extension == "idx") {
                sizes.index += entry.metadata()?.len();
            } else if entry.file_name() != METADATA_NAME {
                sizes.data += entry.metadata()?.len();
            }
        }
    }
    Ok(sizes)
}
