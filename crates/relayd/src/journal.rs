//! Which sessions are being received: a file in the run directory, for the next daemon to find when this one is
//! killed, so that it can [mend](crate::mend) what was left.
//!
//! ```text
//! /var/lib/lttng-relayd          the output directory
//! +host/session-20261126-101112  begins
//! -host/session-20261126-101112  is over
//! !                              what follows is older: the file was being shortened
//! ```
//!
//! The daemon holds a lock on it as long as it lives, and removes it when it ends.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use relay::server::names::RelativePath;
use rustix::fs::{FlockOperation, flock};

use crate::rundir::{self, Temporary};

const PREFIX: &str = "sessions-";
/// Written over with what counts after so many lines, and more when many sessions are open.
const MANY_LINES: usize = 1024;
const MAX_LEN: u64 = 64 << 20;

/// See the module. One that is nowhere does nothing.
#[derive(Debug, Default)]
pub(crate) struct Journal(Option<Mutex<Open>>);

#[derive(Debug)]
struct Open {
    file: File,
    output: PathBuf,
    /// How many use each directory.
    sessions: HashMap<String, u32>,
    lines: usize,
}

/// Of a daemon that was killed.
#[derive(Debug)]
pub(crate) struct LeftOver {
    path: PathBuf,
    pub(crate) sessions: Vec<RelativePath>,
    /// Locked, so that one daemon only mends.
    _file: File,
}

impl LeftOver {
    /// All is mended.
    pub(crate) fn forget(self) {
        let _ = fs::remove_file(self.path);
    }
}

impl Journal {
    /// Begins one in this directory. Also gives the file, to be removed at the end.
    pub(crate) fn begin(directory: &Path, output: &Path) -> anyhow::Result<(Self, Temporary)> {
        rundir::create(directory)?;
        let (file, temporary) = create(directory)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        let mut open = Open {
            file,
            output: output.to_owned(),
            sessions: HashMap::new(),
            lines: 0,
        };
        open.rewrite()?;
        Ok((Self(Some(Mutex::new(open))), temporary))
    }

    /// A session begins to write into this directory. It is over when what is returned is dropped.
    pub(crate) fn enter(self: &Arc<Self>, directory: &str) -> Entry {
        self.note(|open| open.begins(directory));
        Entry {
            journal: Arc::clone(self),
            directory: directory.to_owned(),
        }
    }

    fn note(&self, what: impl FnOnce(&mut Open) -> io::Result<()>) {
        let Some(open) = &self.0 else { return };
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = what(&mut open) {
            tracing::warn!("cannot note in the run directory which sessions there are: {error}");
        }
    }
}

impl Open {
    fn begins(&mut self, directory: &str) -> io::Result<()> {
        *self.sessions.entry(directory.to_owned()).or_default() += 1;
        self.append('+', directory)
    }

    fn is_over(&mut self, directory: &str) -> io::Result<()> {
        if let Some(count) = self.sessions.get_mut(directory) {
            *count -= 1;
            if *count == 0 {
                self.sessions.remove(directory);
            }
        }
        self.append('-', directory)
    }

    fn append(&mut self, sign: char, directory: &str) -> io::Result<()> {
        if self.lines > MANY_LINES + 4 * self.sessions.len() {
            return self.rewrite();
        }
        self.lines += 1;
        self.file
            .write_all(format!("{sign}{directory}\n").as_bytes())
    }

    fn rewrite(&mut self) -> io::Result<()> {
        let mut text = format!("{}\n", self.output.display());
        for (directory, count) in &self.sessions {
            text.extend((0..*count).map(|_| format!("+{directory}\n")));
        }
        self.lines = self.sessions.len();
        let len = text.len() as u64;
        text.push_str("!\n");
        // In place: a confined daemon makes no files here.
        self.file.write_all_at(text.as_bytes(), 0)?;
        self.file.set_len(len)?;
        self.file.seek(SeekFrom::Start(len))?;
        Ok(())
    }
}

fn create(directory: &Path) -> io::Result<(File, Temporary)> {
    let id = std::process::id();
    // There may be one of an earlier daemon with the same process id.
    for number in 0..=u8::MAX {
        let path = directory.join(format!("{PREFIX}{id}-{number}"));
        match File::options().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((file, Temporary::at(&path))),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// A session that is being received.
#[derive(Debug)]
pub(crate) struct Entry {
    journal: Arc<Journal>,
    directory: String,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.journal.note(|open| open.is_over(&self.directory));
    }
}

/// Those in this directory whose daemons are gone, and that were about this output directory.
pub(crate) fn left_over(directory: &Path, output: &Path) -> Vec<LeftOver> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
    names
        .filter_map(|entry| read(entry.path(), output))
        .collect()
}

fn read(path: PathBuf, output: &Path) -> Option<LeftOver> {
    let file = File::open(&path).ok()?;
    // A daemon that lives has it.
    flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
    let mut text = Vec::new();
    (&file).take(MAX_LEN).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    let sessions = open_in(&text, output)?;
    Some(LeftOver {
        path,
        sessions,
        _file: file,
    })
}

/// The sessions that are not over; `None` if this is about another output directory.
fn open_in(text: &str, output: &Path) -> Option<Vec<RelativePath>> {
    let mut lines = text.lines();
    if lines.next()? != output.to_string_lossy() {
        return None;
    }
    let mut open: HashMap<&str, u32> = HashMap::new();
    for line in lines {
        if let Some(directory) = line.strip_prefix('+') {
            *open.entry(directory).or_default() += 1;
        } else if let Some(directory) = line.strip_prefix('-') {
            if let Some(count) = open.get_mut(directory) {
                *count = count.saturating_sub(1);
            }
        } else {
            break;
        }
    }
    let left = open.into_iter().filter(|(_, count)| *count > 0);
    let mut left: Vec<_> = left
        .filter_map(|(directory, _)| RelativePath::new("session directory", directory).ok())
        .collect();
    left.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    Some(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(text: &str) -> Option<Vec<String>> {
        let found = open_in(text, Path::new("/out"))?;
        Some(found.iter().map(|path| path.as_str().to_owned()).collect())
    }

    #[test]
    fn it_stays_short_and_tells_what_is_open() {
        let directory = std::env::temp_dir().join(format!("journal-{}", std::process::id()));
        let output = Path::new("/out");
        let (journal, file) = Journal::begin(&directory, output).unwrap();
        let journal = Arc::new(journal);
        let open = journal.enter("h/open");
        for number in 0..10 * MANY_LINES {
            drop(journal.enter(&format!("h/{number}")));
        }
        let text = fs::read_to_string(file.path()).unwrap();
        let found = open_in(&text, output).unwrap();
        assert!(text.lines().count() < 2 * MANY_LINES);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].as_str(), "h/open");
        // Its daemon, which is this process, lives.
        assert!(left_over(&directory, output).is_empty());
        drop(open);
        drop((journal, file));
        fs::remove_dir(&directory).unwrap();
    }

    #[test]
    fn sessions_that_are_not_over() {
        assert_eq!(open("/out\n+h/a\n+h/b\n-h/a\n").unwrap(), ["h/b"]);
        assert_eq!(open("/out\n+h/a\n+h/a\n-h/a\n").unwrap(), ["h/a"]);
        assert_eq!(open("/out\n+h/a\n!\nff\n+h/b\n").unwrap(), ["h/a"]);
        assert_eq!(open("/out\n+../a\n+h/b").unwrap(), ["h/b"]);
        assert_eq!(open("/elsewhere\n+h/a\n"), None);
        assert_eq!(open(""), None);
    }
}
