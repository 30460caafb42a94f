//! The metadata text of one trace: a memfd that grows, and that consumer daemons read.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use consumer_api::{Request, TraceKey};
use rustix::fs::{MemfdFlags, memfd_create};

use crate::app::SharedFd;

/// A preamble, then what was appended.
#[derive(Debug)]
pub(super) struct MetadataText {
    file: File,
    reader: SharedFd,
    preamble_bytes: u64,
    version: u64,
}

impl MetadataText {
    /// A text of which there is only the beginning yet.
    pub(super) fn new(preamble: &str) -> io::Result<Self> {
        Self::create(preamble, &[], 0)
    }

    fn create(preamble: &str, rest: &[u8], version: u64) -> io::Result<Self> {
        let memfd = memfd_create("lttng-metadata", MemfdFlags::CLOEXEC)?;
        let reader = Arc::new(memfd.try_clone()?);
        let mut file = File::from(memfd);
        file.write_all(preamble.as_bytes())?;
        file.write_all(rest)?;
        Ok(Self {
            file,
            reader,
            preamble_bytes: preamble.len() as u64,
            version,
        })
    }

    /// Adds text.
    pub(super) fn append(&mut self, text: &str) -> io::Result<()> {
        self.file.write_all(text.as_bytes())
    }

    /// Becomes another text that differs in its beginning. Who has a descriptor keeps the old one.
    pub(super) fn replace_preamble(&mut self, preamble: &str) -> io::Result<()> {
        let len = self.file.metadata()?.len();
        let mut rest = vec![0; len.saturating_sub(self.preamble_bytes) as usize];
        self.file.read_exact_at(&mut rest, self.preamble_bytes)?;
        *self = Self::create(preamble, &rest, self.version + 1)?;
        Ok(())
    }

    /// For positioned reads.
    pub(super) fn reader(&self) -> SharedFd {
        self.reader.clone()
    }

    /// The request that makes a consumer daemon deliver all of it again, as the text of this trace.
    pub(super) fn replacement(&self, trace: TraceKey) -> (Request, Vec<SharedFd>) {
        let version = self.version;
        let request = Request::ReplaceMetadata { trace, version };
        (request, vec![self.reader()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(reader: &SharedFd) -> String {
        let file = File::from(reader.try_clone().unwrap());
        let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn what_was_appended_stays_behind_another_preamble() {
        let mut text = MetadataText::new("old;").unwrap();
        text.append("a;").unwrap();
        let old = text.reader();
        text.replace_preamble("much newer;").unwrap();
        text.append("b;").unwrap();
        assert_eq!(read(&text.reader()), "much newer;a;b;");
        assert_eq!(read(&old), "old;a;");
        text.replace_preamble("").unwrap();
        assert_eq!((read(&text.reader()), text.version), ("a;b;".into(), 2));
    }
}
