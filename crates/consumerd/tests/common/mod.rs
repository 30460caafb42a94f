//! The session daemon's and the application's part, for a consumer daemon under test.

#![allow(dead_code, reason = "each test file uses a part")]

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use consumer_api::{
    Answer, ChunkSetup, Counters, Envelope, Notice, OutputSetup, Received, RelaySetup, Request,
    RequestId, SessionSetup, StreamKey, StreamSetup, TraceKey, TraceSetup, TransportError,
};
use relay::client::Client;
use relay::{CreateSession, MAJOR, Minor, Reply, ReturnCode, SessionKey, TraceFormat};
use ring_buffer::{
    BufferMode, ChannelLayout, Geometry, Lost, StreamMemory, Tally, Wakeup, Writer, monotonic_now,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, pipe_with};

/// No answer after that long is a failure.
const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) const UUID: [u8; 16] =
    *b"\xad\xc6\xa3\x66\x07\xf4\x48\x8b\xad\x2d\xfd\xce\x36\xdb\x82\xf6";

/// A consumer daemon, seen from its session daemon.
pub(crate) struct Consumer {
    socket: Option<OwnedFd>,
    child: Child,
    next: u64,
    pub(crate) count_events: bool,
    pub(crate) snapshot: bool,
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
        let child = Command::new(env!("CARGO_BIN_EXE_lttng-consumerd"))
            .env("LTTNG_CONSUMERD_LOG", "info")
            .stdin(Stdio::from(far))
            .spawn()
            .unwrap();
        Self {
            socket: Some(near),
            child,
            next: 0,
            count_events: false,
            snapshot: false,
            notices: Vec::new(),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
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

    pub(crate) fn counters(&mut self) -> Counters {
        match self.ask(Request::QueryCounters, &[]) {
            Answer::Counters { total, .. } => total,
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
    }
}

/// A trace with its metadata, and streams in which this process writes.
pub(crate) struct Traced {
    pub(crate) key: TraceKey,
    pub(crate) path: String,
    metadata: File,
    /// Survives consumer daemons, as the streams do.
    tally: OwnedFd,
    pub(crate) ends_with_writers: bool,
    pub(crate) streams: Vec<TracedStream>,
}

/// The application's end of a stream.
pub(crate) struct App {
    writer: Writer,
    pub(crate) value: u64,
}

pub(crate) struct TracedStream {
    pub(crate) setup: StreamSetup,
    pub(crate) memory: StreamMemory,
    pub(crate) pipe: OwnedFd,
    /// `None`: the application has exited.
    pub(crate) writer: Option<Writer>,
    pub(crate) value: u64,
}

#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) subbuf_size: u64,
    pub(crate) subbuf_count: u64,
    pub(crate) mode: BufferMode,
    pub(crate) wakeup: Wakeup,
    pub(crate) cpus: u32,
}

pub(crate) const SMALL: Shape = Shape {
    subbuf_size: 16384,
    subbuf_count: 4,
    mode: BufferMode::Discard,
    wakeup: Wakeup::ByWriter,
    cpus: 2,
};

impl Traced {
    pub(crate) fn new(key: u64, path: &str, shape: Shape) -> Self {
        let flags = rustix::fs::MemfdFlags::CLOEXEC;
        let metadata = rustix::fs::memfd_create("metadata", flags).unwrap();
        let mut traced = Self {
            key: TraceKey(key),
            path: path.into(),
            metadata: File::from(metadata),
            tally: Tally::create(1 + shape.cpus as usize).unwrap().1,
            ends_with_writers: false,
            streams: Vec::new(),
        };
        traced.append_metadata(PREAMBLE);
        traced.streams = (0..shape.cpus).map(|cpu| stream(key, cpu, shape)).collect();
        traced
    }

    pub(crate) fn append_metadata(&mut self, text: &str) {
        self.metadata.write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn add_to(&mut self, consumer: &mut Consumer) {
        let setup = TraceSetup {
            trace: self.key,
            path: self.path.clone(),
            uuid: UUID,
            ends_with_writers: self.ends_with_writers,
        };
        let fds = [self.metadata.as_fd(), self.tally.as_fd()];
        consumer.ask(Request::AddTrace(setup), &fds);
        for stream in &self.streams {
            let fds = [stream.memory.fd(), stream.pipe.as_fd()];
            consumer.ask(Request::AddStream(stream.setup.clone()), &fds);
        }
        consumer.ask(Request::PublishTrace { trace: self.key }, &[]);
    }
}

fn stream(trace: u64, cpu: u32, shape: Shape) -> TracedStream {
    let geometry = Geometry::new(shape.subbuf_size, shape.subbuf_count, shape.mode).unwrap();
    let layout = ChannelLayout {
        geometry,
        wakeup: shape.wakeup,
        nr_cpus: shape.cpus,
        switch_timer_us: 0,
        read_timer_us: 0,
        blocking_timeout_ms: 0,
        channel_id: 0,
        uuid: UUID,
    };
    let memory = StreamMemory::create(&layout, cpu, monotonic_now()).unwrap();
    let (pipe, wakeup) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap();
    let writer = Writer::attach(memory.fd(), geometry, layout.identity(cpu), Some(wakeup)).unwrap();
    let setup = StreamSetup {
        stream: StreamKey(trace * 100 + u64::from(cpu)),
        trace: TraceKey(trace),
        channel_name: "chan".into(),
        cpu,
        channel_id: 0,
        subbuf_size: shape.subbuf_size,
        subbuf_count: shape.subbuf_count,
        mode: match shape.mode {
            BufferMode::Discard => consumer_api::BufferMode::Discard,
            BufferMode::Overwrite => consumer_api::BufferMode::Overwrite,
        },
        wakeup: match shape.wakeup {
            Wakeup::ByWriter => consumer_api::Wakeup::ByWriter,
            Wakeup::ByTimer => consumer_api::Wakeup::ByTimer,
        },
        switch_timer_us: 0,
        read_timer_us: 0,
        live_timer_us: 0,
        tracefile_size: 0,
        tracefile_count: 0,
        resume: None,
        kernel: None,
        written: false,
    };
    TracedStream {
        setup,
        memory,
        pipe,
        writer: Some(writer),
        value: 0,
    }
}

const FILL: usize = 500;

impl TracedStream {
    /// An `app:small` event with the next value.
    pub(crate) fn small(&mut self) -> Result<(), Lost> {
        self.record(0, 0, true)
    }

    /// An `app:large` event; if there is no space it counts as discarded.
    pub(crate) fn large(&mut self) -> Result<(), Lost> {
        self.record(1, FILL, true)
    }

    fn record(&mut self, id: u32, fill: usize, counted: bool) -> Result<(), Lost> {
        let writer = self.writer.as_ref().unwrap();
        record(writer, &mut self.value, id, fill, counted)
    }

    /// The application's end, for another thread.
    pub(crate) fn detach_writer(&mut self) -> App {
        App {
            writer: self.writer.take().unwrap(),
            value: self.value,
        }
    }

    /// As a blocking application: waits for space.
    pub(crate) fn large_blocking(&mut self) {
        self.record_blocking(1, FILL);
    }

    /// As a blocking application: waits for space.
    pub(crate) fn small_blocking(&mut self) {
        self.record_blocking(0, 0);
    }

    fn record_blocking(&mut self, id: u32, fill: usize) {
        let start = Instant::now();
        while self.record(id, fill, false).is_err() {
            assert!(start.elapsed() < DEADLINE, "the consumer takes nothing");
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}

impl App {
    /// An `app:large` event with the next value; if there is no space it counts as discarded.
    pub(crate) fn large(&mut self) -> Result<(), Lost> {
        record(&self.writer, &mut self.value, 1, FILL, true)
    }
}

fn record(
    writer: &Writer,
    value: &mut u64,
    id: u32,
    fill: usize,
    counted: bool,
) -> Result<(), Lost> {
    let mut event = vec![31];
    event.extend_from_slice(&id.to_ne_bytes());
    let len = event.len() + 8 + 8 + fill;
    let space = if counted {
        writer.reserve(len as u64, monotonic_now)?
    } else {
        writer.try_reserve(len as u64, monotonic_now)?
    };
    event.extend_from_slice(&space.timestamp().to_ne_bytes());
    event.extend_from_slice(&value.to_ne_bytes());
    event.resize(len, b'U');
    if fill > 0 {
        event[len - 1] = 0;
    }
    space.commit(&event);
    *value += 1;
    Ok(())
}

/// Metadata without an event.
const PREAMBLE: &str = r#"/* CTF 1.8 */
typealias integer { size = 8; align = 8; signed = false; } := uint8_t;
typealias integer { size = 32; align = 8; signed = false; } := uint32_t;
typealias integer { size = 64; align = 8; signed = false; } := uint64_t;
typealias integer { size = 5; align = 1; signed = false; } := uint5_t;
trace {
	major = 1;
	minor = 8;
	uuid = "adc6a366-07f4-488b-ad2d-fdce36db82f6";
	byte_order = le;
	packet.header := struct {
		uint32_t magic;
		uint8_t  uuid[16];
		uint32_t stream_id;
		uint64_t stream_instance_id;
	};
};
env {
	domain = "ust";
	tracer_name = "lttng-ust";
	tracer_major = 2;
	tracer_minor = 13;
	hostname = "target";
};
clock {
	name = "monotonic";
	freq = 1000000000;
	offset = 0;
};
typealias integer { size = 27; align = 1; signed = false; map = clock.monotonic.value; } := uint27_clock_monotonic_t;
typealias integer { size = 64; align = 8; signed = false; map = clock.monotonic.value; } := uint64_clock_monotonic_t;
stream {
	id = 0;
	event.header := struct {
		enum : uint5_t { compact = 0 ... 30, extended = 31 } id;
		variant <id> {
			struct { uint27_clock_monotonic_t timestamp; } compact;
			struct { uint32_t id; uint64_clock_monotonic_t timestamp; } extended;
		} v;
	} align(8);
	packet.context := struct {
		uint64_clock_monotonic_t timestamp_begin;
		uint64_clock_monotonic_t timestamp_end;
		uint64_t content_size;
		uint64_t packet_size;
		uint64_t packet_seq_num;
		uint64_t events_discarded;
		uint32_t cpu_id;
	};
};
"#;

pub(crate) const SMALL_EVENT: &str = "event { name = \"app:small\"; id = 0; stream_id = 0; fields := struct { uint64_t _value; }; };\n";

pub(crate) const LARGE_EVENT: &str = "event { name = \"app:large\"; id = 1; stream_id = 0; \
     fields := struct { uint64_t _value; string _fill; }; };\n";
