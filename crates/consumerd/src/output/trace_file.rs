//! The files of one stream: packets, and the index of the packets; the next ones when they are full.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use anyhow::Context;
use ctf::Bits;
use ctf::index::{IndexRecord, IndexVersion, PacketPosition, encode_header};
use ring_buffer::{PacketHeader, Padding};
use rustix::fs::{AtFlags, Mode, OFlags, ftruncate, openat, unlinkat};

use crate::output::Stored;
use crate::output::resumed::{self, Resumed};
use crate::packet::Packet;

/// When a file ends and how many there are; zeros for one file without an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileLimits {
    /// Bytes of one data file.
    pub(crate) size: u64,
    /// Data files kept.
    pub(crate) count: u64,
    /// Each has an index.
    pub(crate) indexes: bool,
}

impl FileLimits {
    fn after(self, number: u64) -> u64 {
        match number + 1 {
            next if self.count == 0 => next,
            next => next % self.count,
        }
    }
}

/// Directories and names of the files of one stream.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) data: Arc<OwnedFd>,
    pub(crate) index: Arc<OwnedFd>,
    /// Of the data directory below the session's, for messages.
    pub(crate) path: String,
    /// `CHANNEL_CPU`.
    pub(crate) name: String,
}

/// One file with a known length, appended to.
#[derive(Debug)]
pub(crate) struct Appended {
    pub(crate) fd: OwnedFd,
    pub(crate) len: u64,
    pub(crate) name: String,
}

/// The open files of one stream.
#[derive(Debug)]
pub(crate) struct TraceFile {
    place: Place,
    limits: FileLimits,
    number: u64,
    data: Appended,
    index: Option<Appended>,
    /// Bytes of one index record; kept to save an allocation for each packet.
    record: Vec<u8>,
}

impl Place {
    /// The same directories, for the files of a stream.
    pub(crate) fn of_stream(&self, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..self.clone()
        }
    }

    fn data_name(&self, limits: FileLimits, number: u64) -> String {
        match limits.size {
            0 => self.name.clone(),
            _ => format!("{}_{number}", self.name),
        }
    }

    fn index_name(&self, limits: FileLimits, number: u64) -> String {
        format!("{}.idx", self.data_name(limits, number))
    }
}

impl TraceFile {
    /// New, empty files. What has their names is gone, but whoever reads it keeps it.
    pub(crate) fn create(place: Place, limits: FileLimits) -> anyhow::Result<Self> {
        let (data, index) = create(&place, limits, 0)?;
        Ok(Self {
            place,
            limits,
            number: 0,
            data,
            index,
            record: Vec::new(),
        })
    }

    /// The files that a dead predecessor left, cut to whole packets that are in the index, and what the
    /// last one is. New files if there are none.
    pub(crate) fn resume(
        place: Place,
        limits: FileLimits,
    ) -> anyhow::Result<(Self, Option<Stored>)> {
        let mut number = 0;
        let mut latest: Option<(u64, Resumed)> = None;
        while let Some(found) = resumed::reopen(
            &place,
            &place.data_name(limits, number),
            &place.index_name(limits, number),
        )? {
            let newer = |(_, known): &(u64, Resumed)| found.last_number() >= known.last_number();
            if latest.as_ref().is_none_or(newer) {
                latest = Some((number, found));
            }
            number += 1;
            if limits.size == 0 {
                break;
            }
        }
        let Some((number, found)) = latest else {
            return Ok((Self::create(place, limits)?, None));
        };
        let stored = found.last;
        let file = Self {
            place,
            limits,
            number,
            data: found.data,
            index: Some(found.index),
            record: Vec::new(),
        };
        Ok((file, stored))
    }

    /// Appends a packet and its index record, or nothing.
    pub(crate) fn append(&mut self, packet: &dyn Packet) -> anyhow::Result<()> {
        let len = packet.padded_len();
        if self.limits.size != 0 && self.data.len != 0 && self.data.len + len > self.limits.size {
            self.next_files()?;
        }
        self.record.clear();
        index_record(packet.header(), self.data.len).encode(IndexVersion::V1_1, &mut self.record);

        let data = packet.write_all(self.data.fd.as_fd(), &[], Padding::Write, &|_| {});
        self.data.appended(len, data, &self.place)?;
        let Some(file) = &mut self.index else {
            return Ok(());
        };
        let index = write_all(file.fd.as_fd(), &self.record);
        let result = file.appended(self.record.len() as u64, index, &self.place);
        if result.is_err() {
            self.data.cut_back(len);
        }
        result
    }

    fn next_files(&mut self) -> anyhow::Result<()> {
        let next = self.limits.after(self.number);
        (self.data, self.index) = create(&self.place, self.limits, next)?;
        self.number = next;
        Ok(())
    }
}

impl Appended {
    /// An empty file of this name.
    pub(crate) fn create(directory: &OwnedFd, name: String, path: &str) -> anyhow::Result<Self> {
        let what = || format!("cannot create {path}/{name}");
        match unlinkat(directory, &name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(errno) => return Err(io::Error::from(errno)).with_context(what),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::APPEND;
        let mode = Mode::from_raw_mode(0o660);
        let fd = openat(directory, &name, flags | OFlags::CLOEXEC, mode)
            .map_err(io::Error::from)
            .with_context(what)?;
        Ok(Self { fd, len: 0, name })
    }

    /// Appends bytes, or nothing.
    pub(crate) fn append(&mut self, bytes: &[u8], place: &Place) -> anyhow::Result<()> {
        let result = write_all(self.fd.as_fd(), bytes);
        self.appended(bytes.len() as u64, result, place)
    }

    /// Removes all there is.
    pub(crate) fn empty(&mut self) {
        self.cut_back(self.len);
    }

    /// Notes that `len` bytes were appended; if not, removes what was.
    fn appended(&mut self, len: u64, result: io::Result<()>, place: &Place) -> anyhow::Result<()> {
        if result.is_ok() {
            self.len += len;
        } else {
            self.cut_back(0);
        }
        result.with_context(|| format!("cannot write {}/{}", place.path, self.name))
    }

    /// Removes the last `len` bytes, and all that was written without being noted.
    fn cut_back(&mut self, len: u64) {
        self.len -= len;
        if let Err(errno) = ftruncate(&self.fd, self.len) {
            tracing::error!(
                "cannot remove the rest of a packet from {}: {errno}",
                self.name
            );
        }
    }
}

fn create(
    place: &Place,
    limits: FileLimits,
    number: u64,
) -> anyhow::Result<(Appended, Option<Appended>)> {
    let data = Appended::create(&place.data, place.data_name(limits, number), &place.path)?;
    if !limits.indexes {
        return Ok((data, None));
    }
    let mut index = Appended::create(
        &place.index,
        place.index_name(limits, number),
        &format!("{}/index", place.path),
    )?;
    index.append(&encode_header(IndexVersion::V1_1), place)?;
    Ok((data, Some(index)))
}

fn index_record(header: &PacketHeader, offset_bytes: u64) -> IndexRecord {
    IndexRecord {
        offset_bytes,
        packet_size: Bits(header.packet_size.get()),
        content_size: Bits(header.content_size.get()),
        timestamp_begin: header.timestamp_begin.get(),
        timestamp_end: header.timestamp_end.get(),
        events_discarded: header.events_discarded.get(),
        stream_id: header.stream_id.get().into(),
        position: Some(PacketPosition {
            stream_instance_id: header.stream_instance_id.get(),
            packet_seq_num: header.packet_seq_num.get(),
        }),
    }
}

fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(fd, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(done) => bytes = &bytes[done..],
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}
