//! Index files: do they describe the stream files beside them?

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::trees_with_metadata;

const MAGIC: u32 = 0xC1F1_DCC1;
const HEADER: usize = 16;

/// What the indexes of a trace say of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Indexes {
    /// Packets of all streams.
    pub packets: u64,
    /// Their contents without padding.
    pub content_bytes: u64,
    /// Events that the last packet of each stream counts as discarded, added up.
    pub discarded: u64,
}

/// Fails unless every stream file below `dir` has an index that covers it without gap or overlap.
pub fn check_indexes(dir: &Path) -> Result<Indexes> {
    let mut all = Indexes::default();
    for tree in trees_with_metadata(dir)? {
        for entry in fs::read_dir(&tree)? {
            let entry = entry?;
            if entry.file_type()?.is_file() && entry.file_name() != "metadata" {
                let name = entry.file_name().to_string_lossy().into_owned();
                let index = tree.join("index").join(format!("{name}.idx"));
                if entry.metadata()?.len() == 0 && !index.exists() {
                    // A relay daemon makes the index with the first packet.
                    continue;
                }
                let bytes =
                    fs::read(&index).with_context(|| format!("read {}", index.display()))?;
                let one = check_index(&bytes, entry.metadata()?.len()).with_context(|| {
                    format!("{} of {}", index.display(), entry.path().display())
                })?;
                all.packets += one.packets;
                all.content_bytes += one.content_bytes;
                all.discarded += one.discarded;
            }
        }
    }
    Ok(all)
}

fn check_index(bytes: &[u8], stream_length: u64) -> Result<Indexes> {
    let word = |at: usize| {
        bytes
            .get(at..at + 4)
            .map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    };
    ensure!(word(0) == Some(MAGIC), "wrong magic");
    let record = word(12).context("short header")? as usize;
    ensure!(record >= 56, "records of {record} bytes");
    let records = bytes.get(HEADER..).context("short header")?;
    ensure!(
        records.len().is_multiple_of(record),
        "{} bytes are no whole records of {record}",
        records.len()
    );
    let (mut end, mut time) = (0, 0);
    let mut all = Indexes::default();
    for record in records.chunks(record) {
        let field = |n: usize| {
            let bytes = record.get(8 * n..8 * n + 8).and_then(|b| b.try_into().ok());
            bytes.map(u64::from_be_bytes).context("short record")
        };
        let (offset, packet, content) = (field(0)?, field(1)?, field(2)?);
        ensure!(
            offset == end,
            "a packet at {offset}, the one before ends at {end}"
        );
        ensure!(
            content <= packet,
            "content of {content} bits in a packet of {packet}"
        );
        ensure!(packet.is_multiple_of(8), "a packet of {packet} bits");
        ensure!(
            field(3)? >= time && field(4)? >= field(3)?,
            "time goes backward"
        );
        time = field(4)?;
        end += packet / 8;
        all.packets += 1;
        all.content_bytes += content / 8;
        all.discarded = field(5)?;
    }
    ensure!(
        end == stream_length,
        "the packets end at {end}, the file at {stream_length}"
    );
    Ok(all)
}
