//! Files that a predecessor wrote to until it died.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use anyhow::Context;
use ctf::index::{HEADER_LEN, IndexFile, IndexRecord};
use rustix::fs::{Mode, OFlags, ftruncate, openat};

use crate::output::Stored;
use crate::output::trace_file::{Appended, Place};

/// A pair of files, cut to what both agree on.
#[derive(Debug)]
pub(crate) struct Resumed {
    pub(crate) data: Appended,
    pub(crate) index: Appended,
    /// The last packet, if there is any.
    pub(crate) last: Option<Stored>,
}

impl Resumed {
    /// Number of the last packet, for comparison.
    pub(crate) fn last_number(&self) -> Option<u64> {
        self.last.map(|last| last.packet_seq_num)
    }
}

/// Opens the files, if both exist.
pub(crate) fn reopen(place: &Place, data: &str, index: &str) -> anyhow::Result<Option<Resumed>> {
    let Some(data_fd) = open(&place.data, data)? else {
        return Ok(None);
    };
    let Some(index_fd) = open(&place.index, index)? else {
        return Ok(None);
    };
    let bytes = read(&index_fd).with_context(|| format!("cannot read index/{index}"))?;
    let Ok(parsed) = IndexFile::parse(&bytes) else {
        // Not even its header was written.
        return Ok(None);
    };
    let data_len = rustix::fs::fstat(&data_fd)
        .map_err(io::Error::from)?
        .st_size as u64;
    let mut kept = 0;
    let mut last = None;
    let mut end = 0;
    for record in parsed.records() {
        let Some(after) = end_of(&record).filter(|&after| after <= data_len) else {
            break;
        };
        kept += 1;
        end = after;
        last = record.position.map(|position| Stored {
            packet_seq_num: position.packet_seq_num,
        });
    }
    let index_len = (HEADER_LEN + kept * parsed.record_stride()) as u64;
    for (fd, len) in [(&data_fd, end), (&index_fd, index_len)] {
        ftruncate(fd, len)
            .map_err(io::Error::from)
            .with_context(|| format!("cannot cut {}/{data} to whole packets", place.path))?;
    }
    Ok(Some(Resumed {
        data: Appended {
            fd: data_fd,
            len: end,
            name: data.to_owned(),
        },
        index: Appended {
            fd: index_fd,
            len: index_len,
            name: index.to_owned(),
        },
        last,
    }))
}

fn end_of(record: &IndexRecord) -> Option<u64> {
    record
        .offset_bytes
        .checked_add(record.packet_size.to_bytes()?)
}

/// Opens a file for reading and appending, if it exists. Follows no link.
pub(crate) fn open(directory: &OwnedFd, name: &str) -> anyhow::Result<Option<OwnedFd>> {
    let flags = OFlags::RDWR | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(directory, name, flags, Mode::empty()) {
        Ok(fd) => Ok(Some(fd)),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(errno) => Err(io::Error::from(errno)).with_context(|| format!("cannot open {name}")),
    }
}

/// The bytes of a file that was just opened.
pub(crate) fn read(fd: &OwnedFd) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::from(fd.try_clone()?).read_to_end(&mut bytes)?;
    Ok(bytes)
}
