//! Traces in whose streams the test writes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result as Checked, ensure};
use consumer_api::{Request, StreamKey, StreamSetup, TraceKey, TraceSetup};
use ring_buffer::{
    BufferMode, ChannelLayout, Delivered, Geometry, Lost, StreamMemory, Tally, Wakeup, Writer,
    monotonic_now,
};
use rustix::pipe::{PipeFlags, pipe_with};
use system_tests::{Trace, check_indexes};

use super::{Consumer, DEADLINE};

pub(crate) const UUID: [u8; 16] =
    *b"\xad\xc6\xa3\x66\x07\xf4\x48\x8b\xad\x2d\xfd\xce\x36\xdb\x82\xf6";

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

    /// The same with the metadata of both events.
    pub(crate) fn with_events(key: u64, path: &str, shape: Shape) -> Self {
        let mut traced = Self::new(key, path, shape);
        traced.append_metadata(SMALL_EVENT);
        traced.append_metadata(LARGE_EVENT);
        traced
    }

    /// What consumer daemons have counted of its streams.
    pub(crate) fn delivered(&self) -> Delivered {
        let tally = Tally::map(&self.tally).unwrap();
        let mut total = Delivered::default();
        for slot in 1..tally.slots() {
            let stream = tally.read(slot);
            total.packets += stream.packets;
            total.bytes += stream.bytes;
            total.events += stream.events;
            total.discarded_events += stream.discarded_events;
            total.lost_packets += stream.lost_packets;
        }
        total
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
        let publish = Request::PublishTrace {
            trace: self.key,
            unwritten: true,
        };
        consumer.ask(publish, &[]);
    }
}

/// How often each value occurs.
pub(crate) fn values(trace: &Trace) -> BTreeMap<i64, u32> {
    let mut values = BTreeMap::new();
    for event in &trace.events {
        *values.entry(event.number("value").unwrap()).or_default() += 1;
    }
    values
}

/// Fails unless each stream's values 0, 1, 2 … up to what it wrote are in the trace, once.
pub(crate) fn assert_complete(directory: &Path, traced: &[&Traced]) -> Checked<()> {
    let trace = Trace::read(directory)?;
    trace.assert_clean()?;
    let mut expected = BTreeMap::new();
    for stream in traced.iter().flat_map(|traced| &traced.streams) {
        for value in 0..stream.value {
            *expected.entry(value as i64).or_default() += 1;
        }
    }
    let found = values(&trace);
    ensure!(found == expected, "the values are not those written");
    check_indexes(directory)?;
    Ok(())
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
