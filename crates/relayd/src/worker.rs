//! A worker thread: an epoll set and the connections in it. Each wake-up serves every ready one.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

use crate::control::ControlConnection;
use crate::data::DataConnection;
use crate::relay::Relay;

/// Events taken from the kernel at once.
const EVENTS: usize = 512;
/// The scratch buffer for reads, one per worker. See `crates/relayd/README.md` for what was measured.
const READ_BUFFER: usize = 256 * 1024;
/// The token of the eventfd; connections count from 1.
const WAKE: u64 = 0;

/// What a connection wants after its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Wait(Interest),
    Close,
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    Read,
    Write,
    ReadWrite,
}

impl Interest {
    fn flags(self) -> EventFlags {
        match self {
            Self::Read => EventFlags::IN,
            Self::Write => EventFlags::OUT,
            Self::ReadWrite => EventFlags::IN | EventFlags::OUT,
        }
    }
}

/// Which port a connection came in on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Control,
    Data,
}

#[derive(Debug)]
struct Newcomer {
    kind: Kind,
    socket: TcpStream,
    address: SocketAddr,
}

#[derive(Debug)]
enum Connection {
    Control(Box<ControlConnection>),
    Data(Box<DataConnection>),
}

impl Connection {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Control(connection) => connection.socket(),
            Self::Data(connection) => connection.socket(),
        }
    }

    fn serve(&mut self, relay: &Relay, buffer: &mut [u8]) -> Outcome {
        match self {
            Self::Control(connection) => connection.serve(relay, buffer),
            Self::Data(connection) => connection.serve(relay, buffer),
        }
    }

    fn end(self, relay: &Relay) {
        match self {
            Self::Control(connection) => connection.end(relay),
            Self::Data(connection) => connection.end(relay),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Control(connection) => connection.name(),
            Self::Data(connection) => connection.name(),
        }
    }
}

/// What the accepting thread and a worker share.
#[derive(Debug)]
struct Mailbox {
    wake: OwnedFd,
    newcomers: Mutex<Vec<Newcomer>>,
    stop: AtomicBool,
}

/// All workers, seen from the accepting thread.
#[derive(Debug)]
pub(crate) struct Workers {
    workers: Vec<(Arc<Mailbox>, JoinHandle<()>)>,
    next: usize,
    connections: Arc<AtomicUsize>,
}

impl Workers {
    /// Starts the threads.
    pub(crate) fn start(count: usize, relay: &Arc<Relay>) -> std::io::Result<Self> {
        let connections = Arc::new(AtomicUsize::new(0));
        let mut workers = Vec::with_capacity(count);
        for nr in 0..count {
            let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
            let mailbox = Arc::new(Mailbox {
                wake,
                newcomers: Mutex::default(),
                stop: AtomicBool::new(false),
            });
            let worker = Worker::new(
                Arc::clone(relay),
                Arc::clone(&mailbox),
                Arc::clone(&connections),
            )?;
            let thread = std::thread::Builder::new()
                .name(format!("worker-{nr}"))
                .spawn(move || worker.run())?;
            workers.push((mailbox, thread));
        }
        Ok(Self {
            workers,
            next: 0,
            connections,
        })
    }

    /// Connections at present.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Gives a connection to one of them, in turn.
    pub(crate) fn assign(&mut self, kind: Kind, socket: TcpStream, address: SocketAddr) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        let (mailbox, _) = &self.workers[self.next];
        self.next = (self.next + 1) % self.workers.len();
        mailbox
            .newcomers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Newcomer {
                kind,
                socket,
                address,
            });
        mailbox.wake();
    }

    /// Stops all workers; their connections are over then.
    pub(crate) fn stop(self) {
        for (mailbox, _) in &self.workers {
            mailbox.stop.store(true, Ordering::SeqCst);
            mailbox.wake();
        }
        for (_, thread) in self.workers {
            if thread.join().is_err() {
                tracing::error!("a worker thread panicked");
            }
        }
    }
}

impl Mailbox {
    fn wake(&self) {
        // Full means that it is awake already.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }
}

/// One thread's state.
struct Worker {
    relay: Arc<Relay>,
    mailbox: Arc<Mailbox>,
    connection_count: Arc<AtomicUsize>,
    epoll: OwnedFd,
    connections: HashMap<u64, Slot>,
    next_token: u64,
    buffer: Vec<u8>,
}

struct Slot {
    connection: Connection,
    interest: Interest,
}

impl Worker {
    fn new(
        relay: Arc<Relay>,
        mailbox: Arc<Mailbox>,
        connection_count: Arc<AtomicUsize>,
    ) -> std::io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(
            &epoll,
            &mailbox.wake,
            EventData::new_u64(WAKE),
            EventFlags::IN,
        )?;
        Ok(Self {
            relay,
            mailbox,
            connection_count,
            epoll,
            connections: HashMap::new(),
            next_token: WAKE + 1,
            buffer: vec![0; READ_BUFFER],
        })
    }

    fn run(mut self) {
        let mut events = Vec::with_capacity(EVENTS);
        while !self.mailbox.stop.load(Ordering::SeqCst) {
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => {
                    tracing::error!("cannot wait for events: {error}");
                    break;
                }
            }
            for event in &events {
                match event.data.u64() {
                    WAKE => self.welcome(),
                    token => self.serve(token),
                }
            }
        }
        self.finish();
    }

    fn welcome(&mut self) {
        let mut count = [0; 8];
        let _ = rustix::io::read(&self.mailbox.wake, &mut count);
        let newcomers = std::mem::take(
            &mut *self
                .mailbox
                .newcomers
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        for Newcomer {
            kind,
            socket,
            address,
        } in newcomers
        {
            let connection = match kind {
                Kind::Control => Connection::Control(Box::new(ControlConnection::new(
                    socket,
                    address,
                    &self.relay,
                ))),
                Kind::Data => Connection::Data(Box::new(DataConnection::new(socket, address))),
            };
            let token = self.next_token;
            self.next_token += 1;
            let interest = Interest::Read;
            let data = EventData::new_u64(token);
            match epoll::add(
                &self.epoll,
                connection.socket().as_fd(),
                data,
                interest.flags(),
            ) {
                Ok(()) => drop(self.connections.insert(
                    token,
                    Slot {
                        connection,
                        interest,
                    },
                )),
                Err(error) => {
                    tracing::error!("connection of {}: {error}", connection.name());
                    self.connection_count.fetch_sub(1, Ordering::Relaxed);
                }
            }
        }
    }

    fn serve(&mut self, token: u64) {
        // Closed earlier in the same batch of events.
        let Some(slot) = self.connections.get_mut(&token) else {
            return;
        };
        match slot.connection.serve(&self.relay, &mut self.buffer) {
            Outcome::Wait(interest) if interest == slot.interest => {}
            Outcome::Wait(interest) => {
                let socket = slot.connection.socket().as_fd();
                let data = EventData::new_u64(token);
                match epoll::modify(&self.epoll, socket, data, interest.flags()) {
                    Ok(()) => slot.interest = interest,
                    Err(error) => {
                        tracing::error!("connection of {}: {error}", slot.connection.name());
                        self.close(token);
                    }
                }
            }
            Outcome::Close => self.close(token),
        }
    }

    fn close(&mut self, token: u64) {
        if let Some(slot) = self.connections.remove(&token) {
            // The socket leaves the epoll set when it is closed, unless the session keeps it open
            // a little longer.
            let _ = epoll::delete(&self.epoll, slot.connection.socket().as_fd());
            slot.connection.end(&self.relay);
            self.connection_count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Takes in what has arrived, once, and ends all connections. Data first, so that the indexes that
    /// follow find their packets.
    fn finish(&mut self) {
        let is_data = |slot: &Slot| matches!(slot.connection, Connection::Data(_));
        let mut tokens: Vec<_> = self
            .connections
            .iter()
            .map(|(token, slot)| (*token, is_data(slot)))
            .collect();
        tokens.sort_by_key(|(_, data)| !data);
        for (token, _) in &tokens {
            self.serve(*token);
        }
        for (token, _) in tokens {
            self.close(token);
        }
    }
}
