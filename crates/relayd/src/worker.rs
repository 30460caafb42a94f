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
use crate::pulse::{ILL_AFTER, Pulse};
use crate::relay::Relay;

/// Events taken from the kernel at once.
const EVENTS: usize = 512;
/// The scratch buffer for reads, one per worker. Measured with packets of 1 MiB and 128 KiB, loopback to
/// tmpfs, 2 cores, CPU seconds of this daemon per GB: 32 KiB 0.9 and 1.05, 64 KiB 0.9 and 1.1, 256 KiB
/// 0.84 and 0.9, 512 KiB 0.75 and 0.85, 1 MiB 0.74 and 0.84. Splicing through a pipe: 0.7 and 0.85,
/// within the noise, so the plain copy stays.
const READ_BUFFER: usize = 512 * 1024;
/// The token of the eventfd; connections count from 1.
const WAKE: u64 = 0;

/// What a connection wants after its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Wait(Interest),
    /// Be served by another worker, where what it shares data with is served.
    MoveTo(WorkerId),
    Close,
}

/// One of the workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WorkerId(usize);

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

/// How others reach a worker.
#[derive(Debug)]
struct Mailbox {
    wake: OwnedFd,
    newcomers: Mutex<Vec<Connection>>,
    pulse: Pulse,
    stop: AtomicBool,
}

/// What all workers share.
#[derive(Debug)]
struct Shared {
    relay: Arc<Relay>,
    mailboxes: Vec<Mailbox>,
    connections: AtomicUsize,
}

/// All workers, seen from the accepting thread.
#[derive(Debug)]
pub(crate) struct Workers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    /// The next one for each kind: both come in turn, and what a session costs lies with the worker of
    /// its control connection.
    next: [usize; 2],
}

impl Workers {
    /// Starts the threads.
    pub(crate) fn start(count: usize, relay: &Arc<Relay>) -> std::io::Result<Self> {
        let mailboxes = (0..count)
            .map(|_| Mailbox::new())
            .collect::<Result<_, _>>()?;
        let shared = Arc::new(Shared {
            relay: Arc::clone(relay),
            mailboxes,
            connections: AtomicUsize::new(0),
        });
        let mut threads = Vec::with_capacity(count);
        for id in 0..count {
            let worker = Worker::new(WorkerId(id), Arc::clone(&shared))?;
            let thread = std::thread::Builder::new().name(format!("worker-{id}"));
            threads.push(thread.spawn(move || worker.run())?);
        }
        Ok(Self {
            shared,
            threads,
            next: [0; 2],
        })
    }

    /// Connections at present.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// For who wants to know how they are.
    pub(crate) fn watch(&self) -> Watch {
        Watch(Arc::clone(&self.shared))
    }

    /// Gives a connection to one of them, in turn.
    pub(crate) fn assign(&mut self, kind: Kind, socket: TcpStream, address: SocketAddr) {
        self.shared.connections.fetch_add(1, Ordering::Relaxed);
        let next = &mut self.next[kind as usize];
        let worker = WorkerId(*next);
        *next = (*next + 1) % self.shared.mailboxes.len();
        let relay = &self.shared.relay;
        self.shared.mailbox(worker).deliver(match kind {
            Kind::Control => {
                let connection = ControlConnection::new(socket, address, worker, relay);
                Connection::Control(Box::new(connection))
            }
            Kind::Data => Connection::Data(Box::new(DataConnection::new(socket, address, worker))),
        });
    }

    /// Stops all workers; their connections are over then.
    pub(crate) fn stop(self) {
        for mailbox in &self.shared.mailboxes {
            mailbox.stop.store(true, Ordering::SeqCst);
            mailbox.wake();
        }
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a worker thread panicked");
            }
        }
    }
}

/// How the workers are, seen from elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct Watch(Arc<Shared>);

impl Watch {
    /// Connections at present.
    pub(crate) fn connections(&self) -> usize {
        self.0.connections.load(Ordering::Relaxed)
    }

    /// All come round.
    pub(crate) fn are_well(&self) -> bool {
        let mut mailboxes = self.0.mailboxes.iter();
        mailboxes.all(|mailbox| mailbox.pulse.busy_for() < ILL_AFTER)
    }
}

impl Shared {
    fn mailbox(&self, worker: WorkerId) -> &Mailbox {
        // Ids are made from positions in it.
        &self.mailboxes[worker.0]
    }
}

impl Mailbox {
    fn new() -> std::io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self {
            wake,
            newcomers: Mutex::default(),
            pulse: Pulse::default(),
            stop: AtomicBool::new(false),
        })
    }

    fn deliver(&self, connection: Connection) {
        self.newcomers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(connection);
        self.wake();
    }

    fn take(&self) -> Vec<Connection> {
        std::mem::take(
            &mut *self
                .newcomers
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    fn wake(&self) {
        // Full means that it is awake already.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }
}

/// One thread's state.
struct Worker {
    shared: Arc<Shared>,
    id: WorkerId,
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
    fn new(id: WorkerId, shared: Arc<Shared>) -> std::io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let wake = &shared.mailbox(id).wake;
        epoll::add(&epoll, wake, EventData::new_u64(WAKE), EventFlags::IN)?;
        Ok(Self {
            shared,
            id,
            epoll,
            connections: HashMap::new(),
            next_token: WAKE + 1,
            buffer: vec![0; READ_BUFFER],
        })
    }

    fn mailbox(&self) -> &Mailbox {
        self.shared.mailbox(self.id)
    }

    fn run(mut self) {
        let mut events = Vec::with_capacity(EVENTS);
        while !self.mailbox().stop.load(Ordering::SeqCst) {
            events.clear();
            self.mailbox().pulse.ends();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => {
                    tracing::error!("cannot wait for events: {error}");
                    break;
                }
            }
            self.mailbox().pulse.begins();
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
        let _ = rustix::io::read(&self.mailbox().wake, &mut count);
        let newcomers = self.mailbox().take();
        for connection in newcomers {
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
                    self.end(connection);
                }
            }
        }
    }

    fn serve(&mut self, token: u64) {
        // Gone earlier in the same batch of events.
        let Some(slot) = self.connections.get_mut(&token) else {
            return;
        };
        match slot.connection.serve(&self.shared.relay, &mut self.buffer) {
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
            Outcome::MoveTo(worker) => {
                if let Some(connection) = self.remove(token) {
                    self.shared.mailbox(worker).deliver(connection);
                }
            }
            Outcome::Close => self.close(token),
        }
    }

    fn close(&mut self, token: u64) {
        if let Some(connection) = self.remove(token) {
            self.end(connection);
        }
    }

    fn end(&self, connection: Connection) {
        connection.end(&self.shared.relay);
        self.shared.connections.fetch_sub(1, Ordering::Relaxed);
    }

    fn remove(&mut self, token: u64) -> Option<Connection> {
        let slot = self.connections.remove(&token)?;
        // Fails only for a socket that is not there, which is what is wanted.
        let _ = epoll::delete(&self.epoll, slot.connection.socket().as_fd());
        Some(slot.connection)
    }

    /// Takes in what has arrived, once, and ends all connections. Data first, so that the indexes that
    /// follow find their packets.
    fn finish(&mut self) {
        self.welcome();
        let is_data = |slot: &Slot| matches!(slot.connection, Connection::Data(_));
        let mut tokens: Vec<_> = self
            .connections
            .iter()
            .map(|(token, slot)| (*token, is_data(slot)))
            .collect();
        tokens.sort_by_key(|(_, data)| !data);
        for (token, _) in tokens {
            self.serve(token);
        }
        let tokens: Vec<_> = self.connections.keys().copied().collect();
        for token in tokens {
            self.close(token);
        }
    }
}
