//! The trace chunks of one recording session, and the directories they are in.
//!
//! All control connections of a recording session (one per consumer daemon) share a [`ChunkSet`]; each
//! has its own [`ChunkMember`]: which chunk it is in and which one it has yet to close. A chunk lives
//! while a connection or a stream holds it; when the last one leaves, its close command is carried out.
//!
//! ```text
//! S                       the first chunk's files, and where everything else is
//! S/.tmp_old_chunk        the chunk that is being left
//! S/.tmp_new_chunk        the chunk that is being entered
//! S/<start>-<id>          the current chunk after a rotation
//! S/archives/<start>-<end>-<id>
//! ```

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::names::{Component, RelativePath};
use crate::{ChunkId, CloseCommand, ReturnCode};

/// What to do to directories; all paths are below the relay's output directory. What is not there
/// needs no renaming or removing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChunkEffect {
    /// Create a directory and those above it.
    MakeDirectory(String),
    /// Rename a directory; the new name does not exist.
    Rename {
        /// From here.
        from: String,
        /// To here.
        to: String,
    },
    /// Remove a directory and all below it.
    RemoveTree(String),
    /// Remove these directories if they are empty, in this order.
    RemoveEmpty(Vec<String>),
}

/// A chunk command that cannot be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// No such chunk.
    #[error("no trace chunk {0} in this session")]
    Unknown(ChunkId),
    /// A rotation is under way.
    #[error("the previous rotation of this session is not done")]
    NotClosed,
    /// Another chunk is to be closed.
    #[error("trace chunk {0} is not the one to be closed")]
    NotPending(ChunkId),
    /// No such close command.
    #[error("no such close command: {0}")]
    UnknownCommand(CloseCommand),
    /// The relay daemon was told to refuse it.
    #[error("this relay daemon does not allow trace chunks to be deleted")]
    ClearDisallowed,
    /// More chunks than anyone needs.
    #[error("more than {MAX_CHUNKS} trace chunks of a session in use")]
    TooMany,
    /// More directories than anyone needs.
    #[error("more than {MAX_STREAM_DIRECTORIES} directories of streams in a trace chunk")]
    TooManyDirectories,
}

impl ChunkError {
    /// How to say it to the peer.
    #[must_use]
    pub fn code(self) -> ReturnCode {
        match self {
            Self::Unknown(_) | Self::TooMany | Self::TooManyDirectories => ReturnCode::NO_MEMORY,
            Self::NotClosed | Self::NotPending(_) | Self::ClearDisallowed => {
                ReturnCode::INVALID_PROTOCOL
            }
            Self::UnknownCommand(_) => ReturnCode::INVALID,
        }
    }
}

/// How many trace chunks of one session may be in use at once.
pub const MAX_CHUNKS: usize = 1024;
/// How many directories the streams of one trace chunk may have; each traced process has one, with
/// per-PID buffers.
pub const MAX_STREAM_DIRECTORIES: usize = 1 << 20;

const OLD_DIRECTORY: &str = ".tmp_old_chunk";
const NEW_DIRECTORY: &str = ".tmp_new_chunk";
const ARCHIVES_DIRECTORY: &str = "archives";

/// See the module.
#[derive(Debug)]
pub struct ChunkSet {
    /// `S`; empty for peers before minor 11, whose stream paths hold everything.
    directory: String,
    chunks: BTreeMap<ChunkId, Chunk>,
    effects: VecDeque<ChunkEffect>,
}

/// What one control connection knows about the chunks.
#[derive(Debug, Default)]
pub struct ChunkMember {
    current: Option<ChunkId>,
    /// Left by a rotation, not yet closed.
    to_close: Option<ChunkId>,
    has_rotated: bool,
}

#[derive(Debug)]
struct Chunk {
    place: Place,
    /// Creation time as it is shown in names.
    start: String,
    /// `start-id`.
    dated_name: String,
    /// Directories of streams in it.
    stream_directories: BTreeSet<RelativePath>,
    holders: usize,
    /// Carried out when the last holder leaves.
    on_last_leave: Option<Ending>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// In `S` itself, beside other things.
    Session,
    Old,
    New,
    Dated,
    Named(Component),
}

#[derive(Debug)]
enum Ending {
    Archive { name: String },
    Delete,
}

impl ChunkMember {
    /// The chunk new streams go into.
    #[must_use]
    pub fn current(&self) -> Option<ChunkId> {
        self.current
    }

    /// From the creation of a chunk that replaces another until the other is closed.
    #[must_use]
    pub fn is_rotating(&self) -> bool {
        self.to_close.is_some()
    }
}

impl ChunkSet {
    /// No chunks yet. `directory` is the session's, below the output directory.
    #[must_use]
    pub fn new(directory: &RelativePath) -> Self {
        Self {
            directory: directory.as_str().to_owned(),
            chunks: BTreeMap::new(),
            effects: VecDeque::new(),
        }
    }

    /// The session of a peer before minor 11: one chunk without a name for its whole life.
    #[must_use]
    pub fn for_old_peer() -> (Self, ChunkMember) {
        let id = ChunkId(0);
        let mut set = Self {
            directory: String::new(),
            chunks: BTreeMap::new(),
            effects: VecDeque::new(),
        };
        set.chunks.insert(id, Chunk::new(id, Place::Session, ""));
        (
            set,
            ChunkMember {
                current: Some(id),
                ..ChunkMember::default()
            },
        )
    }

    /// What to do next.
    pub fn next_effect(&mut self) -> Option<ChunkEffect> {
        self.effects.pop_front()
    }

    /// Nobody holds a chunk.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Is it still in use?
    #[must_use]
    pub fn exists(&self, id: ChunkId) -> bool {
        self.chunks.contains_key(&id)
    }

    /// The directory of a chunk now, below the output directory; empty: the output directory itself.
    #[must_use]
    pub fn directory_of(&self, id: ChunkId) -> Option<String> {
        self.chunks
            .get(&id)
            .map(|chunk| self.path(&chunk.place, chunk))
    }

    /// `CREATE_SESSION` with a current chunk: the connection joins it.
    ///
    /// # Errors
    /// When there is no such chunk.
    pub fn join(&mut self, member: &mut ChunkMember, id: ChunkId) -> Result<(), ChunkError> {
        self.hold(id)?;
        member.current = Some(id);
        Ok(())
    }

    /// `CREATE_TRACE_CHUNK`. `start` is the creation time as `YYYYmmddTHHMMSS±HHMM`, local.
    ///
    /// # Errors
    /// When the conversation is not at that point.
    pub fn create(
        &mut self,
        member: &mut ChunkMember,
        id: ChunkId,
        start: &str,
        name: Option<Component>,
    ) -> Result<(), ChunkError> {
        if member.to_close.is_some() || member.current == Some(id) {
            return Err(ChunkError::NotClosed);
        }
        if self.chunks.len() >= MAX_CHUNKS {
            return Err(ChunkError::TooMany);
        }
        if self.chunks.contains_key(&id) {
            // Another consumer daemon of the session was faster.
            self.hold(id)?;
        } else {
            let rotating = member.current.is_some();
            let place = match name {
                Some(name) => Place::Named(name),
                None if rotating => Place::New,
                None if member.has_rotated => Place::Dated,
                None => Place::Session,
            };
            if rotating && self.chunks.values().any(|chunk| chunk.is_moving()) {
                return Err(ChunkError::NotClosed);
            }
            self.chunks.insert(id, Chunk::new(id, place, start));
        }
        if let Some(current) = member.current {
            self.relocate(current, Place::Old);
        }
        member.to_close = member.current.replace(id);
        Ok(())
    }

    /// `CLOSE_TRACE_CHUNK`. `end` is the time of closing as `YYYYmmddTHHMMSS±HHMM`, local. Returns
    /// where the chunk will be found.
    ///
    /// # Errors
    /// When there is no such chunk, or it is not the one to close.
    pub fn close(
        &mut self,
        member: &mut ChunkMember,
        id: ChunkId,
        end: &str,
        command: Option<CloseCommand>,
        clear_allowed: bool,
    ) -> Result<String, ChunkError> {
        let command = command.unwrap_or(CloseCommand::NO_OPERATION);
        let chunk = self.chunks.get(&id).ok_or(ChunkError::Unknown(id))?;
        if member.to_close.or(member.current) != Some(id) {
            return Err(ChunkError::NotPending(id));
        }
        let archive_name = format!("{}-{end}-{id}", chunk.start);
        let ending = match command {
            CloseCommand::MOVE_TO_COMPLETED => Some(Ending::Archive {
                name: archive_name.clone(),
            }),
            CloseCommand::DELETE if !clear_allowed => return Err(ChunkError::ClearDisallowed),
            CloseCommand::DELETE => Some(Ending::Delete),
            CloseCommand::NO_OPERATION => None,
            unknown => return Err(ChunkError::UnknownCommand(unknown)),
        };
        let found_at = match &chunk.place {
            Place::Named(name) => self.in_session(name.as_str()),
            _ if !member.has_rotated => self.directory.clone(),
            _ => self.in_session(&format!("{ARCHIVES_DIRECTORY}/{archive_name}")),
        };
        let settled = if member.has_rotated {
            Place::Dated
        } else {
            Place::Session
        };
        match &ending {
            None => self.relocate_from(id, &Place::Old, settled),
            Some(ending) => {
                let archived = matches!(ending, Ending::Archive { .. });
                let next = member.to_close.and(member.current);
                if let Some(next) = next {
                    let place = if archived { Place::Dated } else { settled };
                    self.relocate_from(next, &Place::New, place);
                }
                member.has_rotated |= archived;
            }
        }
        if let Some(chunk) = self.chunks.get_mut(&id) {
            chunk.on_last_leave = ending;
        }
        if member.to_close.take().is_none() {
            member.current = None;
        }
        self.leave(id);
        Ok(found_at)
    }

    /// The connection is gone.
    pub fn member_left(&mut self, member: &mut ChunkMember) {
        for id in [member.to_close.take(), member.current.take()]
            .into_iter()
            .flatten()
        {
            self.leave(id);
        }
    }

    /// A stream begins to use a chunk, in this directory of it.
    ///
    /// # Errors
    /// When there is no such chunk.
    pub fn stream_joins(&mut self, id: ChunkId, path: &RelativePath) -> Result<(), ChunkError> {
        let chunk = self.chunks.get_mut(&id).ok_or(ChunkError::Unknown(id))?;
        if !chunk.stream_directories.contains(path) {
            if chunk.stream_directories.len() >= MAX_STREAM_DIRECTORIES {
                return Err(ChunkError::TooManyDirectories);
            }
            chunk.stream_directories.insert(path.clone());
        }
        chunk.holders += 1;
        Ok(())
    }

    /// Somebody uses a chunk no more; the last one triggers what `close` was told.
    pub fn leave(&mut self, id: ChunkId) {
        let Some(chunk) = self.chunks.get_mut(&id) else {
            return;
        };
        chunk.holders = chunk.holders.saturating_sub(1);
        if chunk.holders > 0 {
            return;
        }
        let Some(chunk) = self.chunks.remove(&id) else {
            return;
        };
        match &chunk.on_last_leave {
            None => {}
            Some(Ending::Archive { name }) => {
                let archives = self.in_session(ARCHIVES_DIRECTORY);
                self.effects
                    .push_back(ChunkEffect::MakeDirectory(archives.clone()));
                self.transfer(&chunk, &chunk.place, &format!("{archives}/{name}"));
            }
            Some(Ending::Delete) => self.delete(&chunk),
        }
    }

    fn hold(&mut self, id: ChunkId) -> Result<(), ChunkError> {
        let chunk = self.chunks.get_mut(&id).ok_or(ChunkError::Unknown(id))?;
        chunk.holders += 1;
        Ok(())
    }

    fn in_session(&self, name: &str) -> String {
        if self.directory.is_empty() {
            name.to_owned()
        } else {
            format!("{}/{name}", self.directory)
        }
    }

    fn path(&self, place: &Place, chunk: &Chunk) -> String {
        match place {
            Place::Session => self.directory.clone(),
            Place::Old => self.in_session(OLD_DIRECTORY),
            Place::New => self.in_session(NEW_DIRECTORY),
            Place::Dated => self.in_session(&chunk.dated_name),
            Place::Named(name) => self.in_session(name.as_str()),
        }
    }

    fn relocate_from(&mut self, id: ChunkId, from: &Place, to: Place) {
        if self
            .chunks
            .get(&id)
            .is_some_and(|chunk| chunk.place == *from)
        {
            self.relocate(id, to);
        }
    }

    /// Moves a chunk's directories, unless they are there already or have a name of their own.
    fn relocate(&mut self, id: ChunkId, to: Place) {
        let Some(mut chunk) = self.chunks.remove(&id) else {
            return;
        };
        if chunk.place != to && !matches!(chunk.place, Place::Named(_)) {
            let to_path = self.path(&to, &chunk);
            self.transfer(&chunk, &chunk.place, &to_path);
            chunk.place = to;
        }
        self.chunks.insert(id, chunk);
    }

    fn transfer(&mut self, chunk: &Chunk, from: &Place, to_path: &str) {
        let from_path = self.path(from, chunk);
        let session_on_a_side = *from == Place::Session || to_path == self.directory;
        if !session_on_a_side {
            self.effects.push_back(ChunkEffect::Rename {
                from: from_path,
                to: to_path.to_owned(),
            });
            return;
        }
        // `S` holds other things too, so the chunk's own directories move one by one.
        self.effects
            .push_back(ChunkEffect::MakeDirectory(to_path.to_owned()));
        for name in chunk.top_directories() {
            self.effects.push_back(ChunkEffect::Rename {
                from: format!("{from_path}/{name}"),
                to: format!("{to_path}/{name}"),
            });
        }
        if *from != Place::Session {
            self.effects
                .push_back(ChunkEffect::RemoveEmpty(vec![from_path]));
        }
    }

    fn delete(&mut self, chunk: &Chunk) {
        let base = self.path(&chunk.place, chunk);
        let mut above = BTreeSet::new();
        for path in &chunk.stream_directories {
            self.effects
                .push_back(ChunkEffect::RemoveTree(format!("{base}/{path}")));
            let mut path = path.as_str();
            while let Some((parent, _)) = path.rsplit_once('/') {
                above.insert(format!("{base}/{parent}"));
                path = parent;
            }
        }
        // Deepest first: a path sorts before what is below it.
        let mut empty: Vec<_> = above.into_iter().rev().collect();
        if chunk.place != Place::Session {
            empty.push(base);
        }
        self.effects.push_back(ChunkEffect::RemoveEmpty(empty));
    }
}

impl Chunk {
    fn new(id: ChunkId, place: Place, start: &str) -> Self {
        Self {
            place,
            start: start.to_owned(),
            dated_name: format!("{start}-{id}"),
            stream_directories: BTreeSet::new(),
            holders: 1,
            on_last_leave: None,
        }
    }

    fn is_moving(&self) -> bool {
        matches!(self.place, Place::Old | Place::New)
    }

    fn top_directories(&self) -> BTreeSet<&str> {
        self.stream_directories
            .iter()
            .map(RelativePath::first_component)
            .collect()
    }
}
