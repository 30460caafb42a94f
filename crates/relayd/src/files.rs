//! The files of one stream: carries out what its core decides.

use std::fs::File;
use std::io::ErrorKind::{NotFound, UnexpectedEof};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use relay::server::index_file::{HEADER_LEN, IndexVersion, encode_header, record};
use relay::server::names::{Component, RelativePath};
use relay::server::{FileKey, Stream, StreamEffect, Tracefiles};
use relay::{ChunkId, METADATA_NAME, PacketIndex};
use rustix::fs::copy_file_range;
use rustix::io::Errno;

use crate::group::Group;
use crate::live::{Directory, Trace};
use crate::output::{Output, Result, failed};
use crate::pool::{FilePool, OpenFile, Place};

/// A data file, open or not: [`StreamFiles::open`].
#[derive(Clone, Debug)]
pub(crate) struct DataFile {
    key: FileKey,
    place: Arc<Place>,
}

impl DataFile {
    /// The file, if it is open.
    pub(crate) fn get(&self) -> Option<OpenFile> {
        self.place.get()
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct StreamFiles {
    group: Arc<Group>,
    pool: Arc<FilePool>,
    /// Directory below the trace chunk.
    directory: RelativePath,
    name: Component,
    tracefiles: Tracefiles,
    index_version: IndexVersion,
    data: Option<DataFile>,
    index: Option<CurrentIndex>,
}

/// The current index file: where its next record goes, and what is not written yet.
#[derive(Debug)]
struct CurrentIndex {
    key: FileKey,
    place: Arc<Place>,
    size: u64,
    unwritten: Vec<u8>,
}

/// What the caller has to know after effects were run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ran {
    /// The stream is closed: forget it.
    pub(crate) closed: bool,
}

impl StreamFiles {
    pub(crate) fn new(
        group: Arc<Group>,
        pool: Arc<FilePool>,
        directory: RelativePath,
        name: Component,
        tracefiles: Tracefiles,
        index_version: IndexVersion,
    ) -> Self {
        Self {
            group,
            pool,
            directory,
            name,
            tracefiles,
            index_version,
            data: None,
            index: None,
        }
    }

    /// Carries out everything the stream wants done.
    pub(crate) fn run(&mut self, stream: &mut Stream) -> Result<Ran> {
        let mut ran = Ran::default();
        let mut result = Ok(());
        while let Some(effect) = stream.next_effect() {
            match effect {
                // Also after an error: the chunk must not wait for this stream for ever.
                StreamEffect::LeaveChunk(chunk) => {
                    let left = self.group.leave(chunk);
                    result = result.and(left);
                }
                StreamEffect::Closed => ran.closed = true,
                effect if result.is_ok() => result = self.run_one(effect),
                _ => {}
            }
        }
        result?;
        self.write_index()?;
        Ok(ran)
    }

    /// The current data file.
    pub(crate) fn data_file(&self) -> Result<&DataFile> {
        self.data
            .as_ref()
            .ok_or_else(|| failed("write to", self.directory.as_str().as_ref())(NotFound.into()))
    }

    /// Opens a data file of this stream, if it is not open.
    pub(crate) fn open(&self, file: &DataFile) -> Result<OpenFile> {
        file.place.get_or(|| self.open_data_file(file.key))
    }

    /// The current data file, open.
    pub(crate) fn open_current(&self) -> Result<OpenFile> {
        self.open(self.data_file()?)
    }

    /// Records in the current index file.
    pub(crate) fn index_records(&self) -> u64 {
        self.index.as_ref().map_or(0, |index| {
            let records = index.size.saturating_sub(HEADER_LEN as u64);
            records / self.index_version.record_len() as u64
        })
    }

    pub(crate) fn index_version(&self) -> IndexVersion {
        self.index_version
    }

    pub(crate) fn is_metadata(&self) -> bool {
        self.name.as_str() == METADATA_NAME
    }

    pub(crate) fn pool(&self) -> &Arc<FilePool> {
        &self.pool
    }

    /// The directory of the stream in a chunk.
    pub(crate) fn open_directory(&self, trace: &Trace, chunk: ChunkId) -> Result<Directory> {
        trace.directory(&self.group, &self.pool, chunk, self.directory.as_str())
    }

    /// What to call the current data file in messages.
    pub(crate) fn data_path(&self) -> PathBuf {
        match &self.data {
            Some(current) => self.path_of(current.key),
            None => PathBuf::from(self.directory.as_str()),
        }
    }

    fn run_one(&mut self, effect: StreamEffect) -> Result<()> {
        match effect {
            StreamEffect::OpenData(key) => self.create_data_file(key)?,
            StreamEffect::CloseData => self.data = None,
            StreamEffect::CutData(key, size) => self.cut_data_file(key, size)?,
            StreamEffect::RemoveData(key) => {
                self.in_chunk(key, |output, path| output.remove_file(&path))?;
            }
            StreamEffect::CopyData {
                from,
                from_offset,
                len,
                to_offset,
            } => {
                let source = self.pool.open(|| self.open_data_file(from))?;
                let target = self.open_current()?;
                copy(&source, from_offset, &target, to_offset, len)
                    .map_err(failed("copy packets to", &self.data_path()))?;
            }
            StreamEffect::OpenIndex(key) => self.create_index_file(key)?,
            StreamEffect::CloseIndex => {
                self.write_index()?;
                self.index = None;
            }
            StreamEffect::WriteIndex { offset, index } => self.add_record(offset, &index),
            // Handled by the caller.
            StreamEffect::LeaveChunk(_) | StreamEffect::Closed => {}
        }
        Ok(())
    }

    fn create_data_file(&mut self, key: FileKey) -> Result<()> {
        self.data = None;
        let name = self.data_name(key);
        let directory = self.directory.as_str();
        let place = self.pool.place();
        place.get_or(|| {
            self.group
                .with_directory(key.chunk, directory, |output, path| {
                    create_below(output, &path, &name)
                })
        })?;
        self.data = Some(DataFile { key, place });
        Ok(())
    }

    fn cut_data_file(&mut self, key: FileKey, size: u64) -> Result<()> {
        let file = match &self.data {
            Some(current) if current.key == key => self.open(current)?,
            _ => self.pool.open(|| self.open_data_file(key))?,
        };
        file.set_len(size)
            .map_err(failed("cut", &self.path_of(key)))
    }

    fn create_index_file(&mut self, key: FileKey) -> Result<()> {
        self.write_index()?;
        self.index = None;
        let name = self.index_name(key);
        let place = self.pool.place();
        place.get_or(|| {
            self.group
                .with_directory(key.chunk, &self.index_directory(), |output, path| {
                    create_below(output, &path, &name)
                })
        })?;
        self.index = Some(CurrentIndex {
            key,
            place,
            size: 0,
            unwritten: encode_header(self.index_version).to_vec(),
        });
        Ok(())
    }

    fn add_record(&mut self, offset: u64, index: &PacketIndex) {
        if let Some(current) = &mut self.index {
            record(offset, index).encode(self.index_version, &mut current.unwritten);
        }
    }

    /// Writes what belongs into the current index file, in one piece.
    fn write_index(&mut self) -> Result<()> {
        let Some(index) = &self.index else {
            return Ok(());
        };
        if index.unwritten.is_empty() {
            return Ok(());
        }
        let file = match index.place.get() {
            Some(file) => file,
            None => index.place.get_or(|| self.open_index_file(index.key))?,
        };
        let Some(index) = &mut self.index else {
            return Ok(());
        };
        if let Err(error) = file.write_all_at(&index.unwritten, index.size) {
            // Half a record would make the whole index unreadable.
            let _ = file.set_len(index.size);
            index.unwritten.clear();
            return Err(failed("write to index", self.directory.as_str().as_ref())(
                error,
            ));
        }
        index.size += index.unwritten.len() as u64;
        index.unwritten.clear();
        Ok(())
    }

    /// Opens an index file of the stream that exists.
    fn open_index_file(&self, key: FileKey) -> Result<File> {
        let name = self.index_name(key);
        self.group
            .with_directory(key.chunk, &self.index_directory(), |output, path| {
                output.open_file(&output.path(&path).join(&name))
            })
    }

    fn in_chunk<T>(
        &self,
        key: FileKey,
        work: impl FnOnce(&Output, PathBuf) -> Result<T>,
    ) -> Result<T> {
        let name = self.data_name(key);
        self.group
            .with_directory(key.chunk, self.directory.as_str(), |output, path| {
                work(output, output.path(&path).join(&name))
            })
    }

    fn path_of(&self, key: FileKey) -> PathBuf {
        self.in_chunk(key, |_, path| Ok(path))
            .unwrap_or_else(|error| error.path)
    }

    /// Opens a data file of the stream that exists.
    fn open_data_file(&self, key: FileKey) -> Result<File> {
        self.in_chunk(key, |output, path| output.open_file(&path))
    }

    fn index_directory(&self) -> String {
        format!("{}/index", self.directory)
    }

    pub(crate) fn data_name(&self, key: FileKey) -> String {
        match self.tracefiles.number(key) {
            Some(number) => format!("{}_{number}", self.name),
            None => self.name.as_str().to_owned(),
        }
    }

    pub(crate) fn index_name(&self, key: FileKey) -> String {
        format!("{}.idx", self.data_name(key))
    }
}

/// Creates a file, and its directory when that is not there.
fn create_below(output: &Output, directory: &str, name: &str) -> Result<File> {
    let path = output.path(directory).join(name);
    match output.create_file(&path) {
        Err(error) if error.source.kind() == NotFound => {
            output.make_directory(directory)?;
            output.create_file(&path)
        }
        other => other,
    }
}

/// Copies between two files in the kernel, or by hand where the file system cannot.
fn copy(from: &File, mut from_at: u64, to: &File, mut to_at: u64, len: u64) -> std::io::Result<()> {
    let end = from_at + len;
    while from_at < end {
        let left = usize::try_from(end - from_at).unwrap_or(usize::MAX);
        match copy_file_range(from, Some(&mut from_at), to, Some(&mut to_at), left) {
            Ok(0) => return Err(UnexpectedEof.into()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL) => {
                let mut buffer = vec![0; left.min(64 * 1024)];
                from.read_exact_at(&mut buffer, from_at)?;
                to.write_all_at(&buffer, to_at)?;
                from_at += buffer.len() as u64;
                to_at += buffer.len() as u64;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
