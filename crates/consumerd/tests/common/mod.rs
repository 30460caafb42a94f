//! The session daemon's and the application's part, for a consumer daemon under test.

#![allow(dead_code, unused_imports, reason = "each test file uses a part")]

mod traced;

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use consumer_api::{
    Answer, ChunkEnding, ChunkSetup, Envelope, Notice, OutputSetup, Received, RelaySetup, Request,
    RequestId, SessionSetup, TransportError,
};
use relay::client::Client;
use relay::{CreateSession, MAJOR, Minor, Reply, ReturnCode, SessionKey, TraceFormat};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

pub(crate) use traced::{
    LARGE_EVENT, SMALL, SMALL_EVENT, Shape, Traced, TracedStream, UUID, assert_complete, values,
};

/// No answer after that long is a failure.
const DEADLINE: Duration = Duration::from_secs(60);

/// A consumer daemon, seen from its session daemon.
pub(crate) struct Consumer {
    socket: Option<OwnedFd>,
    child: Child,
    next: u64,
    pub(crate) count_events: bool,
    pub(crate) snapshot: bool,
    /// Its standard error.
    log: File,
    /// What it said by itself, in order.
    pub(crate) notices: Vec<Notice>,
}

impl Consumer {
    pub(crate) fn start() -> Self {
        let (near, far) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .unwrap();
        let log = memfd_create("consumer log", MemfdFlags::CLOEXEC).unwrap();
        let log = File::from(log);
        let child = Command::new(env!("CARGO_BIN_EXE_lttng-consumerd"))
            .env("LTTNG_CONSUMERD_LOG", "info")
            .stdin(Stdio::from(far))
            .stderr(log.try_clone().unwrap())
            .spawn()
            .unwrap();
        Self {
            socket: Some(near),
            child,
            next: 0,
            count_events: false,
            snapshot: false,
            log,
            notices: Vec::new(),
        }
    }

    /// One that delivers into the directory `path`, which it makes.
    pub(crate) fn into_directory(path: &std::path::Path) -> Self {
        std::fs::create_dir_all(path).unwrap();
        let mut consumer = Self::start();
        consumer.set_up_directory(path);
        consumer
    }

    /// One that delivers to a relay daemon of the newest minor version of stock 2.13.
    pub(crate) fn into_relay(relay: &system_tests::Relay) -> Self {
        let mut consumer = Self::start();
        consumer.set_up_relay(relay.ports(), Minor(13));
        consumer
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it wrote to its log so far.
    pub(crate) fn log(&self) -> String {
        let mut bytes = vec![0; self.log.metadata().unwrap().len() as usize];
        self.log.read_exact_at(&mut bytes, 0).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_ref().unwrap().as_fd()
    }

    fn receive(&mut self) -> Option<Notice> {
        let mut fds = [PollFd::from_borrowed_fd(self.socket(), PollFlags::IN)];
        let timeout = Timespec {
            tv_sec: DEADLINE.as_secs() as i64,
            tv_nsec: 0,
        };
        assert!(poll(&mut fds, Some(&timeout)).unwrap() > 0, "no answer");
        match consumer_api::receive::<Notice>(self.socket()) {
            Ok(received) => received.map(|Received { message, .. }| message),
            Err(TransportError::Io(error)) => panic!("{error}"),
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) fn send(&mut self, request: Request, fds: &[BorrowedFd<'_>]) -> RequestId {
        let id = RequestId(self.next);
        self.next += 1;
        consumer_api::send(self.socket(), &Envelope { id, request }, fds).unwrap();
        id
    }

    pub(crate) fn wait(&mut self, wanted: RequestId) -> Result<Answer, String> {
        loop {
            match self.receive().expect("the consumer is gone") {
                Notice::Done { id, answer } if id == wanted => return Ok(answer),
                Notice::Failed { id, reason } if id == wanted => return Err(reason),
                other => self.notices.push(other),
            }
        }
    }

    pub(crate) fn try_ask(
        &mut self,
        request: Request,
        fds: &[BorrowedFd<'_>],
    ) -> Result<Answer, String> {
        let id = self.send(request, fds);
        self.wait(id)
    }

    pub(crate) fn ask(&mut self, request: Request, fds: &[BorrowedFd<'_>]) -> Answer {
        let what = format!("{request:?}");
        self.try_ask(request, fds)
            .unwrap_or_else(|reason| panic!("{what}: {reason}"))
    }

    pub(crate) fn drain(&mut self) {
        self.ask(Request::Drain, &[]);
    }

    /// Ends the chunk when nobody writes any more.
    pub(crate) fn end_chunk(&mut self) {
        let request = Request::CloseChunk {
            closed_unix_s: 1_700_000_100,
            writers_alive: false,
            ending: ChunkEnding::Keep,
        };
        self.ask(request, &[]);
    }

    /// Waits for something the consumer says by itself.
    pub(crate) fn notice(&mut self) -> Notice {
        loop {
            let notice = match self.notices.is_empty() {
                true => self.receive().expect("the consumer is gone"),
                false => self.notices.remove(0),
            };
            // Each stream on a relay has one; the tests here wait for others.
            if !matches!(notice, Notice::RelayStream { .. }) {
                return notice;
            }
        }
    }

    /// How much the output has taken, in bytes; and how often a relay daemon has answered.
    pub(crate) fn progress(&mut self) -> (u64, u64) {
        match self.ask(Request::QueryProgress, &[]) {
            Answer::Progress { taken, answered } => (taken, answered),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn set_up(&mut self, output: OutputSetup, fds: &[BorrowedFd<'_>]) {
        let setup = SessionSetup {
            session_name: "test".into(),
            output,
            count_events: self.count_events,
            snapshot: self.snapshot,
        };
        self.ask(Request::Setup(setup), fds);
        let chunk = ChunkSetup {
            chunk_id: 0,
            created_unix_s: 1_700_000_000,
            ..ChunkSetup::default()
        };
        self.ask(Request::OpenChunk(chunk), &[]);
    }

    /// Plays the part of the session daemon that talks to a relay daemon, and hands the connections over.
    pub(crate) fn set_up_relay(&mut self, ports: [u16; 3], minor: Minor) {
        let mut control = TcpStream::connect(("127.0.0.1", ports[0])).unwrap();
        let mut client = Client::new();
        client
            .request(&relay::Request::Version {
                major: MAJOR,
                minor,
            })
            .unwrap();
        let Reply::Version { minor: theirs, .. } = relay_reply(&mut control, &mut client) else {
            panic!("no version");
        };
        let minor = minor.negotiate(theirs);
        client.set_minor(minor);
        let create = CreateSession {
            session_name: "test",
            hostname: "target",
            live_timer_us: 0,
            snapshot: false,
            base_path: "",
            name_has_creation_time: false,
            key: SessionKey {
                sessiond_uuid: [9; 16],
                sessiond_session_id: 0,
            },
            creation_unix_s: 1_700_000_000,
            current_chunk: None,
            trace_format: TraceFormat::CTF_1_8,
        };
        client
            .request(&relay::Request::CreateSession(create))
            .unwrap();
        let Reply::Session {
            session,
            code: ReturnCode::OK,
            ..
        } = relay_reply(&mut control, &mut client)
        else {
            panic!("no session");
        };
        let data = TcpStream::connect(("127.0.0.1", ports[1])).unwrap();
        let setup = RelaySetup {
            minor: minor.0,
            relay_session_id: session.0,
        };
        self.set_up(OutputSetup::Relay(setup), &[control.as_fd(), data.as_fd()]);
    }

    pub(crate) fn set_up_directory(&mut self, path: &std::path::Path) {
        let directory = File::open(path).unwrap();
        self.set_up(OutputSetup::Directory, &[directory.as_fd()]);
    }

    /// Closes the socket and waits for the end; returns whether it was a success.
    pub(crate) fn close(mut self) -> bool {
        drop(self.socket.take());
        self.wait_for_exit()
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn wait_for_exit(&mut self) -> bool {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            assert!(start.elapsed() < DEADLINE, "the consumer does not end");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn relay_reply(control: &mut TcpStream, client: &mut Client) -> Reply {
    control.write_all(&client.take_output()).unwrap();
    loop {
        if let Some(reply) = client.next_reply().unwrap() {
            return reply;
        }
        let mut bytes = [0; 4096];
        let got = control.read(&mut bytes).unwrap();
        assert!(got > 0, "the relay daemon closed the connection");
        client.on_bytes(&bytes[..got]);
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Shown when the test fails.
        eprint!("{}", self.log());
    }
}
