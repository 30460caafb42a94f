//! Sockets that systemd has opened for us (`.socket` units).

use std::net::TcpListener;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use anyhow::{Context, bail};
use rustix::net::sockopt::{socket_acceptconn, socket_type};
use rustix::net::{AddressFamily, SocketType, getsockname};

/// What sockets are for, in the order that counts when they have no names.
const ROLES: [&str; 3] = ["control", "data", "live"];

/// The sockets handed over.
#[derive(Debug, Default)]
pub(crate) struct Inherited(Vec<(&'static str, TcpListener)>);

impl Inherited {
    /// Takes them; `FileDescriptorName=` says what each is for, or else their order does. To be called once.
    pub(crate) fn take() -> anyhow::Result<Self> {
        let handed_over = sd_notify::listen_fds_with_names()
            .context("cannot take over the sockets of the service manager")?;
        let mut inherited = Self::default();
        for (position, (fd, name)) in handed_over.enumerate() {
            let named = ROLES.iter().find(|role| **role == name);
            let Some(role) = named.or_else(|| ROLES.get(position)) else {
                bail!("the service manager hands over a socket `{name}`; known are {ROLES:?}");
            };
            if inherited.0.iter().any(|(other, _)| other == role) {
                bail!("the service manager hands over two sockets for {role}");
            }
            let listener = listener(fd).with_context(|| format!("socket `{name}` for {role}"))?;
            inherited.0.push((role, listener));
        }
        Ok(inherited)
    }

    /// The one for this, if it was handed over.
    pub(crate) fn remove(&mut self, role: &str) -> Option<TcpListener> {
        let position = self.0.iter().position(|(found, _)| *found == role)?;
        Some(self.0.swap_remove(position).1)
    }
}

fn listener(fd: RawFd) -> anyhow::Result<TcpListener> {
    #[expect(unsafe_code, reason = "descriptors are handed over as numbers")]
    // SAFETY: the service manager gives this descriptor to this process (the number of which the library
    // has compared), and `Inherited::take` is called once, so nobody else owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let family = getsockname(&fd)
        .context("it is no socket")?
        .address_family();
    let is_tcp = matches!(family, AddressFamily::INET | AddressFamily::INET6)
        && socket_type(&fd)? == SocketType::STREAM;
    if !is_tcp || !socket_acceptconn(&fd)? {
        bail!("it is no listening TCP socket; use ListenStream=ADDRESS:PORT and Accept=no");
    }
    let listener = TcpListener::from(fd);
    listener.set_nonblocking(true)?;
    Ok(listener)
}
