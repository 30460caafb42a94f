//! The way of big packets from a socket to a file: through a pipe, so that their pages are copied once, into
//! the file, and not through this process's memory. benches/README.md has the figures.

use std::fs::File;
use std::io;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

use crate::pool::{FilePool, Holder};

/// What the pipe holds at most, if the system allows it: the more, the fewer system calls.
const SIZE: usize = 1 << 20;

/// A pipe of one thread; empty between uses. Its ends count among the descriptors.
#[derive(Debug)]
pub(crate) struct Pipe {
    ends: Option<(OwnedFd, OwnedFd)>,
    pool: Arc<FilePool>,
}

impl Pipe {
    /// `None` when there are no descriptors for one: then there are other ways.
    pub(crate) fn new(pool: &Arc<FilePool>) -> Option<Self> {
        if !pool.admit(Holder::Pipe) {
            return None;
        }
        let pipe = Self {
            ends: open().ok(),
            pool: Arc::clone(pool),
        };
        pipe.ends.is_some().then_some(pipe)
    }

    /// It can be used.
    pub(crate) fn is_open(&self) -> bool {
        self.ends.is_some()
    }

    /// Takes up to `len` bytes from a socket that does not block, for [`Pipe::store`]; 0: the peer has
    /// closed it.
    pub(crate) fn receive(&self, socket: &TcpStream, len: usize) -> io::Result<usize> {
        let (_, writer) = self.ends()?;
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        Ok(splice(socket, None, writer, None, len.min(SIZE), flags)?)
    }

    /// Puts the `len` bytes that were received at `offset` of a file. After an error they are lost.
    pub(crate) fn store(&mut self, file: &File, offset: u64, len: usize) -> io::Result<()> {
        let stored = self.try_store(file, offset, len);
        if stored.is_err() {
            // With what is still in it.
            self.ends = None;
            self.ends = open().ok();
        }
        stored
    }

    fn try_store(&self, file: &File, mut offset: u64, mut len: usize) -> io::Result<()> {
        let (reader, _) = self.ends()?;
        while len > 0 {
            match splice(
                reader,
                None,
                file,
                Some(&mut offset),
                len,
                SpliceFlags::MOVE,
            ) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(stored) => len -= stored,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn ends(&self) -> io::Result<&(OwnedFd, OwnedFd)> {
        self.ends
            .as_ref()
            .ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.ends = None;
        self.pool.left(Holder::Pipe);
    }
}

fn open() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    // Without it, it holds less, and that is all.
    let _ = fcntl_setpipe_size(&writer, SIZE);
    Ok((reader, writer))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;
    use std::os::unix::fs::FileExt;

    use super::*;
    use crate::budget::Descriptors;

    #[test]
    fn bytes_arrive_where_they_belong() {
        let pool = FilePool::new(Descriptors::new(100));
        let mut pipe = Pipe::new(&pool).unwrap();
        assert_eq!(pool.most_files(), 98);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut sender = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, _) = listener.accept().unwrap();
        let path = std::env::temp_dir().join(format!("relayd-pipe-{}", std::process::id()));
        let options = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .clone();
        let file = options.open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let content = || {
            let mut bytes = [0; 100];
            let len = file.read_at(&mut bytes, 0).unwrap();
            bytes[..len].to_vec()
        };
        // The pipe does not wait for what is on its way.
        let wait = |socket: &TcpStream| assert!(socket.peek(&mut [0]).unwrap() > 0);
        sender.write_all(b"hello world").unwrap();
        let mut received = 0;
        while received < 11 {
            wait(&socket);
            let len = pipe.receive(&socket, 11 - received).unwrap();
            pipe.store(&file, 5 + received as u64, len).unwrap();
            received += len;
        }
        assert_eq!(content(), b"\0\0\0\0\0hello world");

        // After an error the pipe is empty again.
        sender.write_all(b"lost").unwrap();
        wait(&socket);
        let len = pipe.receive(&socket, 4).unwrap();
        let read_only = File::open("/dev/null").unwrap();
        assert!(pipe.store(&read_only, 0, len).is_err());
        sender.write_all(b"kept").unwrap();
        wait(&socket);
        let len = pipe.receive(&socket, 4).unwrap();
        pipe.store(&file, 0, len).unwrap();
        assert_eq!(content(), b"kept\0hello world");
        drop(pipe);
        assert_eq!(pool.most_files(), 100);
    }

    #[test]
    fn without_descriptors_there_is_none() {
        let pool = FilePool::new(Descriptors::new(9));
        assert!(Pipe::new(&pool).is_none());
        assert_eq!(pool.most_files(), 9);
    }
}
