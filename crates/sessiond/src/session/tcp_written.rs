//! How much was written to a TCP connection, whoever did it.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Where `tcpi_bytes_acked` is in what `TCP_INFO` gives. Since Linux 4.1.
const BYTES_ACKED: usize = 120;
/// Attempts to see both numbers at one moment. Acknowledgements come no faster than this for long.
const MAX_LOOKS: usize = 100;

/// Bytes written since some moment before the connection was established: the difference of two looks is what was
/// written between them.
pub(super) fn written(socket: BorrowedFd<'_>) -> io::Result<u64> {
    for _ in 0..MAX_LOOKS {
        let acked = acknowledged(socket)?;
        let queued = queued(socket)?;
        if acknowledged(socket)? == acked {
            return Ok(acked + queued);
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// Bytes that the other end has acknowledged.
fn acknowledged(socket: BorrowedFd<'_>) -> io::Result<u64> {
    let mut info = [0_u8; 256];
    let mut len = info.len() as libc::socklen_t;
    // SAFETY: the buffer lives through the call, and `len` says how long it is.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    let known = info.get(..len as usize).unwrap_or(&info);
    let bytes = known.get(BYTES_ACKED..).and_then(<[u8]>::first_chunk);
    bytes
        .map(|bytes| u64::from_ne_bytes(*bytes))
        .ok_or_else(|| io::ErrorKind::Unsupported.into())
}

/// Bytes that were written and not acknowledged.
fn queued(socket: BorrowedFd<'_>) -> io::Result<u64> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the request writes one int, which lives through the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(u64::try_from(bytes).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    #[test]
    fn what_is_written_is_counted_whether_it_was_read_or_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        let before = written(near.as_fd()).unwrap();
        near.write_all(&[1; 1000]).unwrap();
        assert_eq!(written(near.as_fd()).unwrap() - before, 1000);
        far.read_exact(&mut [0; 1000]).unwrap();
        near.write_all(&[1; 234]).unwrap();
        assert_eq!(written(near.as_fd()).unwrap() - before, 1234);
    }

    #[test]
    fn other_sockets_are_refused() {
        let (near, _far) = std::os::unix::net::UnixStream::pair().unwrap();
        assert!(written(near.as_fd()).is_err());
    }
}
