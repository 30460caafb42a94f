//! What a daemon that was killed leaves of the sessions that it was receiving: a packet that is there in part at the
//! end of a file, one whose index is missing, a trace whose metadata had not come. Readers refuse all of a
//! directory for one such file, so the next daemon puts it right: complete packets stay, the rest goes.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ctf::index::{HEADER_LEN, IndexError, IndexFile, IndexRecord, IndexVersion, PacketPosition};
use ctf::metadata_packet::{MetadataPacketError, text_of};
use ctf::packet::{HEADER_LEN_64, LongSize, MAGIC, PacketHeader, PacketHeaderError};
use rustix::fs::OFlags;

use crate::journal::LeftOver;
use crate::output::Output;

const METADATA: &str = "metadata";
/// What the directory of a trace begins with, in each trace chunk.
const DOMAINS: [&str; 2] = ["ust", "kernel"];
const LONG_OF_32_BITS: &str = "32-bit";

/// Mends these sessions, and tells of it.
pub(crate) fn mend(output: &Output, left: LeftOver) {
    for directory in &left.sessions {
        let mut done = Done::default();
        let result = mend_session(&output.path(directory.as_str()), &mut done);
        let Done { files, bytes } = done;
        match result {
            // Nothing of it is there any more.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::error!(
                "cannot mend {directory}, which a relay daemon that was killed was writing: {error}"
            ),
            Ok(()) if files == 0 => tracing::info!(
                "a relay daemon that was killed was writing {directory}: all of it is whole"
            ),
            Ok(()) => tracing::warn!(
                "a relay daemon that was killed was writing {directory}: mended {files} files, cut off {bytes} \
                 bytes of incomplete packets"
            ),
        }
    }
    left.forget();
}

#[derive(Debug, Default)]
struct Done {
    files: u64,
    bytes: u64,
}

impl Done {
    fn cut(&mut self, file: &File, from: u64, to: u64) -> io::Result<()> {
        if from > to {
            file.set_len(to)?;
            self.files += 1;
            self.bytes += from - to;
        }
        Ok(())
    }
}

fn mend_session(directory: &Path, done: &mut Done) -> io::Result<()> {
    let mut traces = Vec::new();
    find_traces(directory, &mut traces)?;
    for trace in &traces {
        mend_metadata(&trace.join(METADATA), done)?;
        for entry in fs::read_dir(trace)? {
            let entry = entry?;
            if entry.file_type()?.is_file() && entry.file_name() != METADATA {
                mend_stream(trace, &entry.file_name().to_string_lossy(), done)?;
            }
        }
    }
    fill_in_metadata(directory, &traces, done)
}

/// The directories with metadata, here and below; symbolic links are not followed.
fn find_traces(directory: &Path, traces: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            find_traces(&entry.path(), traces)?;
        } else if kind.is_file() && entry.file_name() == METADATA {
            traces.push(directory.to_owned());
        }
    }
    Ok(())
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
}

/// Metadata that come in packets end with a whole one.
fn mend_metadata(path: &Path, done: &mut Done) -> io::Result<()> {
    let text = fs::read(path)?;
    if let Err(MetadataPacketError::Truncated { at, .. }) = text_of(&text) {
        done.cut(&open(path)?, text.len() as u64, at as u64)?;
    }
    Ok(())
}

/// A trace chunk repeats the metadata of the one before. Where nothing had come, those of another one stand in; where
/// there are none, nobody can read the trace, and readers leave alone what has no metadata.
fn fill_in_metadata(session: &Path, traces: &[PathBuf], done: &mut Done) -> io::Result<()> {
    let mut longest: HashMap<PathBuf, (u64, PathBuf)> = HashMap::new();
    let mut empty = Vec::new();
    for trace in traces {
        let path = trace.join(METADATA);
        let len = fs::symlink_metadata(&path)?.len();
        let Some(name) = trace.strip_prefix(session).ok().and_then(name_in_chunk) else {
            continue;
        };
        if len == 0 {
            empty.push((name, path));
        } else if longest.get(&name).is_none_or(|(most, _)| len > *most) {
            longest.insert(name, (len, path));
        }
    }
    for (name, path) in empty {
        match longest.get(&name) {
            Some((_, other)) => open(&path)?.write_all_at(&fs::read(other)?, 0)?,
            None => fs::remove_file(&path)?,
        }
        done.files += 1;
    }
    Ok(())
}

/// What a trace of a session is called in every chunk, such as `ust/uid/0/64-bit`.
fn name_in_chunk(trace: &Path) -> Option<PathBuf> {
    let mut components = trace.components();
    loop {
        let rest = components.as_path();
        let first = components.next()?;
        if DOMAINS.iter().any(|domain| first.as_os_str() == *domain) {
            return Some(rest.to_owned());
        }
    }
}

/// The file of a stream, and its index, end with a whole packet.
fn mend_stream(trace: &Path, name: &str, done: &mut Done) -> io::Result<()> {
    let file = open(&trace.join(name))?;
    let len = file.metadata()?.len();
    let index = match open(&trace.join("index").join(format!("{name}.idx"))) {
        Ok(file) => Some(Index::read(file)?).flatten(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let long = match trace.ends_with(LONG_OF_32_BITS) {
        true => LongSize::Bits32,
        false => LongSize::Bits64,
    };
    let from = index.as_ref().map_or(0, |index| index.packets_end);
    let (records, end) = packets_from(&file, from, len, long)?;
    if let Some(index) = index {
        index.complete(&records, done)?;
    }
    done.cut(&file, len, end)
}

/// The whole packets from here on, and where they end.
fn packets_from(
    file: &File,
    mut at: u64,
    len: u64,
    long: LongSize,
) -> io::Result<(Vec<IndexRecord>, u64)> {
    let mut records = Vec::new();
    while at < len {
        let mut header = [0; HEADER_LEN_64];
        let there = usize::try_from(len - at).map_or(header.len(), |left| left.min(header.len()));
        file.read_exact_at(&mut header[..there], at)?;
        let header = &header[..there];
        if at == 0 && !begins_as_packet(header) {
            // Somebody else's file, or of a machine with another byte order: not ours to cut.
            return Ok((records, len));
        }
        let header = match PacketHeader::parse(header, long) {
            Ok(header) => header,
            Err(PacketHeaderError::BadMagic(magic)) if magic == MAGIC.swap_bytes() => {
                return Ok((records, len));
            }
            Err(_) => break,
        };
        let end = header
            .packet_size
            .to_bytes()
            .and_then(|size| at.checked_add(size));
        let Some(end) = end.filter(|end| *end > at && *end <= len) else {
            break;
        };
        records.push(IndexRecord {
            offset_bytes: at,
            packet_size: header.packet_size,
            content_size: header.content_size,
            timestamp_begin: header.timestamp_begin,
            timestamp_end: header.timestamp_end,
            events_discarded: header.events_discarded,
            stream_id: header.stream_id.into(),
            position: Some(PacketPosition {
                stream_instance_id: header.stream_instance_id,
                packet_seq_num: header.packet_seq_num,
            }),
        });
        at = end;
    }
    Ok((records, at))
}

/// As far as it is there.
fn begins_as_packet(bytes: &[u8]) -> bool {
    let magic = MAGIC.to_ne_bytes();
    let there = bytes.len().min(magic.len());
    bytes[..there] == magic[..there]
}

struct Index {
    file: File,
    len: u64,
    version: IndexVersion,
    /// Where whole records end.
    records_end: u64,
    /// Where the last packet that it knows ends.
    packets_end: u64,
}

impl Index {
    /// `None`: it is none.
    fn read(file: File) -> io::Result<Option<Self>> {
        let len = file.metadata()?.len();
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut bytes, 0)?;
        let parsed = match IndexFile::parse(&bytes) {
            Ok(parsed) => parsed,
            Err(IndexError::TooShort(_)) => {
                file.write_all_at(&ctf::index::encode_header(IndexVersion::V1_1), 0)?;
                let header = HEADER_LEN as u64;
                return Ok(Some(Self {
                    file,
                    len: header,
                    version: IndexVersion::V1_1,
                    records_end: header,
                    packets_end: 0,
                }));
            }
            Err(_) => return Ok(None),
        };
        let version = match parsed.minor() {
            0 => IndexVersion::V1_0,
            _ => IndexVersion::V1_1,
        };
        let packets_end = parsed.records().last().and_then(|record| {
            let size = record.packet_size.to_bytes()?;
            record.offset_bytes.checked_add(size)
        });
        let records_end = len - parsed.trailing_len() as u64;
        let is_ours = parsed.record_stride() == version.record_len();
        Ok(is_ours.then_some(Self {
            file,
            len,
            version,
            records_end,
            packets_end: packets_end.unwrap_or(0),
        }))
    }

    fn complete(&self, records: &[IndexRecord], done: &mut Done) -> io::Result<()> {
        if self.len > self.records_end {
            self.file.set_len(self.records_end)?;
            done.files += 1;
        }
        let mut bytes = Vec::new();
        for record in records {
            record.encode(self.version, &mut bytes);
        }
        done.files += u64::from(!records.is_empty());
        self.file.write_all_at(&bytes, self.records_end)
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::MemfdFlags;

    use super::*;

    #[test]
    fn what_is_no_stream_of_ours_is_not_cut() {
        let whole = |bytes: &[u8]| {
            let memfd = rustix::fs::memfd_create("stream", MemfdFlags::CLOEXEC).unwrap();
            let file = File::from(memfd);
            file.write_all_at(bytes, 0).unwrap();
            let len = bytes.len() as u64;
            packets_from(&file, 0, len, LongSize::Bits64).unwrap() == (Vec::new(), len)
        };
        assert!(whole(b"notes"));
        assert!(whole(&[0; 1000]));
        assert!(whole(
            &[&MAGIC.swap_bytes().to_ne_bytes()[..], &[1; 1000]].concat()
        ));
        // Half a packet.
        assert!(!whole(&MAGIC.to_ne_bytes()[..3]));
        assert!(!whole(&[&MAGIC.to_ne_bytes()[..], &[1; 1000]].concat()));
    }

    #[test]
    fn a_trace_has_one_name_in_all_chunks() {
        let name = |path| name_in_chunk(Path::new(path)).map(|name| name.display().to_string());
        let same = Some("ust/uid/0/64-bit".to_owned());
        assert_eq!(name("ust/uid/0/64-bit"), same);
        assert_eq!(name("archives/a-b-0/ust/uid/0/64-bit"), same);
        assert_eq!(name("snapshot-1/kernel"), Some("kernel".to_owned()));
        assert_eq!(name("elsewhere/a"), None);
    }
}
