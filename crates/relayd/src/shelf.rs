//! Where open files are that have no descriptor. The limit of descriptors counts those of the process, and not
//! what an io_uring has registered, which has as many places again. Taking a file out of there costs a tenth of
//! opening it by its path: benches/README.md has the figures.
//!
//! It is a help and no more: where the kernel has no io_uring, forbids it, or cannot give out descriptors
//! for registered files (before Linux 6.8), files are opened by their paths again.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use io_uring::{IoUring, Probe, opcode, types};

/// So many boards, each with a lock of its own.
const BOARDS: usize = 4;
/// Files on one board at most; it takes 8 bytes for each, and not more than the limit of descriptors.
const MOST_PLACES: usize = 1 << 15;
/// Operations at once.
const ENTRIES: u32 = 2;

/// See the module.
#[derive(Debug)]
pub(crate) struct Shelf {
    boards: [Arc<Board>; BOARDS],
    next: AtomicUsize,
}

/// A file on the shelf; it is there as long as this is.
#[derive(Debug)]
pub(crate) struct Shelved {
    board: Arc<Board>,
    at: u32,
}

#[derive(Debug)]
struct Board {
    places: usize,
    state: Mutex<State>,
}

enum State {
    /// Not needed so far.
    New,
    Ready {
        ring: Box<IoUring>,
        free: Vec<u32>,
        /// From here on no place was used yet.
        unused: u32,
    },
    /// It cannot be had, or something is wrong with it.
    Broken,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::New => "New",
            Self::Ready { .. } => "Ready",
            Self::Broken => "Broken",
        })
    }
}

impl Shelf {
    /// With room for four times as many files as there may be descriptors.
    pub(crate) fn new(descriptors: usize) -> Self {
        let board = || {
            Arc::new(Board {
                places: descriptors.min(MOST_PLACES),
                state: Mutex::new(State::New),
            })
        };
        Self {
            boards: std::array::from_fn(|_| board()),
            next: AtomicUsize::new(0),
        }
    }

    /// Puts a file there too; `None`: there is no room, or no shelf.
    pub(crate) fn put(&self, file: &File) -> Option<Shelved> {
        let board = &self.boards[self.next.fetch_add(1, Ordering::Relaxed) % BOARDS];
        let at = board.put(file)?;
        Some(Shelved {
            board: Arc::clone(board),
            at,
        })
    }
}

impl Shelved {
    /// The file, with a descriptor.
    pub(crate) fn take_out(&self) -> io::Result<File> {
        self.board.take_out(self.at)
    }
}

impl Drop for Shelved {
    fn drop(&mut self) {
        self.board.remove(self.at);
    }
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, file: &File) -> Option<u32> {
        let mut state = self.lock();
        if let State::New = *state {
            *state = match ring(self.places) {
                Ok(ring) => State::Ready {
                    ring: Box::new(ring),
                    free: Vec::new(),
                    unused: 0,
                },
                Err(error) => {
                    tracing::info!("files without a descriptor have to be opened again: {error}");
                    State::Broken
                }
            };
        }
        let State::Ready { ring, free, unused } = &mut *state else {
            return None;
        };
        let at = match free.pop() {
            Some(at) => at,
            None if (*unused as usize) < self.places => {
                *unused += 1;
                *unused - 1
            }
            None => return None,
        };
        let put = ring
            .submitter()
            .register_files_update(at, &[file.as_raw_fd()]);
        if !matches!(put, Ok(1)) {
            free.push(at);
            return None;
        }
        Some(at)
    }

    fn remove(&self, at: u32) {
        let mut state = self.lock();
        let State::Ready { ring, free, .. } = &mut *state else {
            return;
        };
        match ring.submitter().register_files_update(at, &[-1]) {
            Ok(_) => free.push(at),
            Err(error) => {
                tracing::warn!("cannot let go of a file: {error}");
                *state = State::Broken;
            }
        }
    }

    fn take_out(&self, at: u32) -> io::Result<File> {
        let mut state = self.lock();
        let State::Ready { ring, .. } = &mut *state else {
            return Err(io::ErrorKind::NotFound.into());
        };
        // No flags: the descriptor is closed when another program is executed.
        let taken = run(
            ring,
            &opcode::FixedFdInstall::new(types::Fixed(at), 0).build(),
        );
        match taken {
            Ok(fd) if fd >= 0 => Ok(owned(fd)),
            Ok(error) => Err(io::Error::from_raw_os_error(-error)),
            Err(error) => {
                // It may be done later, when nobody knows of it.
                *state = State::Broken;
                Err(error)
            }
        }
    }
}

fn ring(places: usize) -> io::Result<IoUring> {
    let ring = IoUring::new(ENTRIES)?;
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe)?;
    if !probe.is_supported(opcode::FixedFdInstall::CODE) {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let places = u32::try_from(places).unwrap_or(u32::MAX);
    ring.submitter().register_files_sparse(places)?;
    Ok(ring)
}

/// Has one operation done, and gives what came of it.
fn run(ring: &mut IoUring, operation: &io_uring::squeue::Entry) -> io::Result<i32> {
    #[expect(unsafe_code, reason = "the kernel could be told to use any memory")]
    // SAFETY: this operation uses none.
    let pushed = unsafe { ring.submission().push(operation) };
    pushed.map_err(io::Error::other)?;
    loop {
        if let Some(done) = ring.completion().next() {
            return Ok(done.result());
        }
        match ring.submit_and_wait(1) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn owned(fd: i32) -> File {
    #[expect(unsafe_code, reason = "descriptors are handed over as numbers")]
    // SAFETY: the kernel has just made it for us, and nobody else knows of it.
    unsafe {
        File::from_raw_fd(fd)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn files_come_out_as_they_were_put() {
        let directory = std::env::temp_dir().join(format!("shelf-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let shelf = Shelf::new(64);
        let path = |number: u64| directory.join(number.to_string());
        let put = |number| {
            let file = File::create_new(path(number)).unwrap();
            shelf.put(&file)
        };
        let mut shelved: Vec<_> = (0..256).map(|number| put(number).unwrap()).collect();
        assert!(put(256).is_none(), "there is room for 256");
        for (number, file) in (0..).zip(&shelved) {
            for at in 0..2 {
                let file = file.take_out().unwrap();
                file.write_all_at(&[number as u8], at).unwrap();
            }
        }
        for number in 0..256 {
            let written = std::fs::read(path(number)).unwrap();
            assert_eq!(written, [number as u8; 2]);
        }
        // Whoever goes makes room.
        shelved.clear();
        assert!(put(257).is_some());
        std::fs::remove_dir_all(directory).unwrap();
    }
}
