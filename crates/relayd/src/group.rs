//! The directories of one recording session, shared by its control connections and streams.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use relay::ChunkId;
use relay::server::{ChunkError, ChunkMember, ChunkSet};

use crate::journal::Entry;
use crate::output::{Output, OutputError};

/// See the module. The lock is held while directories are renamed and while files are opened below
/// them, so that a path is what it says.
#[derive(Debug)]
pub(crate) struct Group {
    output: Arc<Output>,
    directory: String,
    chunks: Mutex<ChunkSet>,
    /// Until nobody writes there any more.
    _entry: Option<Entry>,
}

/// Why a chunk command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GroupError {
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl Group {
    /// `entry`: in the journal of sessions that are being received.
    pub(crate) fn new(
        output: Arc<Output>,
        chunks: ChunkSet,
        directory: &str,
        entry: Option<Entry>,
    ) -> Self {
        Self {
            output,
            directory: directory.to_owned(),
            chunks: Mutex::new(chunks),
            _entry: entry,
        }
    }

    /// The session's directory, below the output directory; empty for peers before minor 11.
    pub(crate) fn directory(&self) -> &str {
        &self.directory
    }

    /// Changes the chunks and does to the directories what follows from it.
    pub(crate) fn update<T>(
        &self,
        change: impl FnOnce(&mut ChunkSet) -> Result<T, ChunkError>,
    ) -> Result<T, GroupError> {
        let mut chunks = self.lock();
        let result = change(&mut chunks);
        let done = run_effects(&self.output, &mut chunks);
        let value = result?;
        done?;
        Ok(value)
    }

    /// Somebody uses a chunk no more.
    pub(crate) fn leave(&self, chunk: ChunkId) -> Result<(), OutputError> {
        let mut chunks = self.lock();
        chunks.leave(chunk);
        run_effects(&self.output, &mut chunks)
    }

    /// A connection is gone.
    pub(crate) fn member_left(&self, member: &mut ChunkMember) -> Result<(), OutputError> {
        let mut chunks = self.lock();
        chunks.member_left(member);
        run_effects(&self.output, &mut chunks)
    }

    pub(crate) fn exists(&self, chunk: ChunkId) -> bool {
        self.lock().exists(chunk)
    }

    /// Calls `work` with a directory of a chunk (which may not exist yet), below the output directory.
    /// The chunk stays where it is meanwhile.
    pub(crate) fn with_directory<T>(
        &self,
        chunk: ChunkId,
        path: &str,
        work: impl FnOnce(&Output, String) -> Result<T, OutputError>,
    ) -> Result<T, OutputError> {
        let chunks = self.lock();
        let directory = match chunks.directory_of(chunk) {
            Some(directory) if directory.is_empty() => path.to_owned(),
            Some(directory) => format!("{directory}/{path}"),
            None => {
                return Err(OutputError {
                    action: "find the trace chunk of",
                    path: PathBuf::from(path),
                    source: std::io::ErrorKind::NotFound.into(),
                });
            }
        };
        work(&self.output, directory)
    }

    fn lock(&self) -> MutexGuard<'_, ChunkSet> {
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs all effects, also after one failed: a chunk that cannot be archived must not keep another
/// one from it.
fn run_effects(output: &Output, chunks: &mut ChunkSet) -> Result<(), OutputError> {
    let mut result = Ok(());
    while let Some(effect) = chunks.next_effect() {
        let done = output.run(&effect);
        if result.is_ok() {
            result = done;
        }
    }
    result
}
