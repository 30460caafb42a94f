//! Reading and writing the small text files of tracefs, with errors that name them.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use super::TracefsError;

/// All of a file. Asks for much at once: `events/header_page` gives what fits the first question, and
/// nothing more.
pub(super) fn read(path: &Path) -> Result<String, TracefsError> {
    let mut bytes = Vec::new();
    let mut some = vec![0; 64 * 1024];
    let mut file = open(path)?;
    loop {
        match file.read(&mut some) {
            Ok(0) => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Ok(got) => bytes.extend_from_slice(&some[..got]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(failed("read", path, error)),
        }
    }
}

/// Writes a value in one go, which is how these files take it.
pub(super) fn write(path: &Path, value: &str) -> Result<(), TracefsError> {
    write_with(OpenOptions::new().write(true).truncate(true), path, value)
}

/// As [`write`], without emptying the list that the file stands for.
pub(super) fn append(path: &Path, value: &str) -> Result<(), TracefsError> {
    write_with(OpenOptions::new().append(true), path, value)
}

fn write_with(options: &OpenOptions, path: &Path, value: &str) -> Result<(), TracefsError> {
    let written = options
        .open(path)
        .and_then(|mut file| file.write_all(value.as_bytes()));
    written.map_err(|source| failed(&format!("write `{}` to", value.trim()), path, source))
}

/// A number that a file holds.
pub(super) fn number(path: &Path) -> Result<u64, TracefsError> {
    let text = read(path)?;
    let first = text.split_whitespace().next().unwrap_or_default();
    first.parse().map_err(|_| TracefsError::Unexpected {
        path: path.to_owned(),
        text: text.trim().to_owned(),
    })
}

/// Opens a file for reading.
pub(super) fn open(path: &Path) -> Result<File, TracefsError> {
    File::open(path).map_err(|source| failed("open", path, source))
}

/// The names in a directory.
pub(super) fn list(path: &Path) -> Result<Vec<String>, TracefsError> {
    let entries = fs::read_dir(path).map_err(|source| failed("list", path, source))?;
    Ok(entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect())
}

pub(super) fn failed(what: &str, path: &Path, source: std::io::Error) -> TracefsError {
    TracefsError::File {
        what: what.to_owned(),
        path: path.to_owned(),
        source,
    }
}
