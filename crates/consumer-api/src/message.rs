//! What the two daemons say to each other.

use serde::{Deserialize, Serialize};

/// Pairs an answer with its request. Unique within one connection, chosen by the session daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RequestId(pub u64);

/// Names one trace: the streams that share a metadata text and a directory. Chosen by the session
/// daemon, never reused within one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TraceKey(pub u64);

/// Names one stream (one ring buffer). Chosen by the session daemon, never reused within a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StreamKey(pub u64);

/// A request with its id, as it travels.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Envelope {
    /// Comes back in the answer.
    pub id: RequestId,
    /// What is asked.
    pub request: Request,
}

/// What the session daemon asks. The comment of each says which descriptors come with it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Request {
    /// Always the first. Descriptors: [`OutputSetup::Directory`]: the session's directory;
    /// [`OutputSetup::Relay`]: the control socket, then the data socket.
    Setup(SessionSetup),
    /// Begins a trace chunk: all that follows belongs to it. Must come before the first stream.
    /// Descriptors: none. On a relay: `CREATE_TRACE_CHUNK`. After a rotation to nothing the streams that
    /// there are go on in the new chunk. Answered with [`Answer::Opened`].
    OpenChunk(ChunkSetup),
    /// Ends the current chunk at a packet boundary of each stream and goes on in the next one. Answered with
    /// [`Answer::Rotated`] when the old chunk is where it belongs.
    Rotate(RotationSetup),
    /// Copies the packets that are in the buffers into the chunk, and all metadata; the buffers stay as they
    /// are. Streams are then forgotten by [`Request::CloseChunk`].
    Snapshot {
        /// Most packets of one stream, the newest; 0 = all that there are.
        packets_per_stream: u64,
        /// Tracing goes on: each stream gets a packet that ends now.
        active: bool,
    },
    /// Says [`Notice::SizeReached`] once when so many bytes were delivered into the current chunk; 0 = never.
    WatchSize {
        /// Packets with their padding, over all streams, and metadata.
        bytes: u64,
    },
    /// Begins a trace. Descriptors: the metadata text, a memfd to which the session daemon appends;
    /// read it with positioned reads, its size tells how much there is. Text that was there when a
    /// packet left the ring buffer goes out before that packet. Then the tally, shared memory in which what
    /// is delivered is counted: slot 0 for the metadata, then one for each stream in the order in which they
    /// are added. It says where a reader before stopped, and what it had counted.
    AddTrace(TraceSetup),
    /// Adds a ring buffer to a trace and starts to drain it. Descriptors: its shared memory, then
    /// the read end of its wakeup pipe; of a buffer of the kernel ([`StreamSetup::kernel`]): its
    /// `trace_pipe_raw`, which does not block, its `stats`, and a memfd with the channel's events
    /// (`kernel::selection`), to which the session daemon appends; of [`StreamSetup::written`]: a memfd with
    /// the packets, and the read end of a pipe that tells when there are more.
    AddStream(StreamSetup),
    /// Some streams of a trace of the kernel have context fields that are not in its events but follow from the
    /// history of its tasks. Comes before these streams. Descriptors: the journal of the history
    /// (`ring_buffer::Journal`), which has what was read so far, and a `/proc` with the kernel's own numbers.
    AddTasks {
        /// The trace.
        trace: TraceKey,
        /// The events that make the history, as text of a `kernel::selection`.
        formats: String,
    },
    /// Where the events that make the history come from, on one CPU. Descriptors: its `trace_pipe_raw`, which
    /// does not block.
    AddTaskBuffer {
        /// The trace.
        trace: TraceKey,
        /// The CPU.
        cpu: u32,
        /// As [`KernelStream::page_size`].
        page_size: u64,
    },
    /// All streams of the trace that exist now have been added. On a relay: the metadata stream is
    /// added, then `STREAMS_SENT`.
    PublishTrace {
        /// The trace.
        trace: TraceKey,
        /// No application has the buffers, or gets them before the answer: their first packets are to begin when
        /// the trace is published.
        #[serde(default)]
        unwritten: bool,
    },
    /// The metadata text of the trace was written anew: what was delivered of it is given up and all of it
    /// is delivered again. A trace that is already gone is no error. Descriptors: the new text, as with
    /// `AddTrace`. On a relay: `RESET_METADATA`.
    ReplaceMetadata {
        /// The trace.
        trace: TraceKey,
        /// Counts the replacements, from 1.
        version: u64,
    },
    /// Closes the current packet of every stream (a full flush, an empty packet when nothing was
    /// written), then delivers all packets and all metadata that there are. Answered when they are
    /// where they belong: written to the files, or acknowledged by the relay (no data pending there).
    Drain,
    /// The writers of this trace are gone (an application with buffers of its own has exited): flush,
    /// deliver, salvage what an unfinished writer left, close the files or relay streams of the trace
    /// and forget it. The consumer does the same by itself when all wakeup pipes of a trace
    /// with `ends_with_writers` report a hang-up; a trace that is already gone is no error.
    EndTrace {
        /// The trace.
        trace: TraceKey,
    },
    /// Ends the current chunk: flushes nothing; delivers the packets that are complete, closes
    /// the files, on a relay `ROTATE_STREAMS` to nothing, `CLOSE_TRACE_CHUNK`, `CLOSE_STREAM` of
    /// every stream. Answered with [`Answer::Closed`] when the relay has let go of the chunk. All traces and
    /// streams are forgotten; the tallies tell where each stopped.
    CloseChunk {
        /// Seconds since the Unix epoch.
        closed_unix_s: u64,
        /// Tracing goes on elsewhere: a packet that its writer has not finished stays in the buffer for
        /// the next consumer daemon. Otherwise it is salvaged as far as it goes.
        #[serde(default)]
        writers_alive: bool,
        /// What becomes of the chunk.
        #[serde(default)]
        ending: ChunkEnding,
    },
    /// Asks for [`Answer::Progress`]. Answered at once, also while another request waits for the output.
    QueryProgress,
}

/// The session and its output.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SessionSetup {
    /// For messages only.
    pub session_name: String,
    /// Where the packets go.
    pub output: OutputSetup,
    /// Decode each packet far enough to count its events (costs time on the data path; off by default).
    #[serde(default)]
    pub count_events: bool,
    /// Only for one [`Request::Snapshot`]: nothing is drained, and there are no indexes.
    #[serde(default)]
    pub snapshot: bool,
}

/// Where the packets go.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "to", rename_all = "kebab-case")]
pub enum OutputSetup {
    /// Nowhere: what is read is gone. No descriptors.
    Nowhere,
    /// Files below the directory that came as a descriptor.
    Directory,
    /// A relay daemon, through the two sockets that came as descriptors.
    Relay(RelaySetup),
}

/// What the session daemon agreed with the relay daemon before it passed the sockets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RelaySetup {
    /// The smaller of the two protocol minors (major is 2).
    pub minor: u32,
    /// From the reply to `CREATE_SESSION`.
    pub relay_session_id: u64,
}

/// One trace chunk.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ChunkSetup {
    /// 0 for the first of a session.
    pub chunk_id: u64,
    /// Seconds since the Unix epoch.
    pub created_unix_s: u64,
    /// Where it is while it is current: relative to the session's directory, empty = that directory itself. A
    /// relay decides by itself.
    #[serde(default)]
    pub path: String,
    /// On a relay: the name of its directory, for a snapshot.
    #[serde(default)]
    pub name: Option<String>,
    /// See [`Request::WatchSize`].
    #[serde(default)]
    pub watch_bytes: u64,
    /// A predecessor wrote into it.
    #[serde(default)]
    pub resumed: bool,
    /// A predecessor was asked for this rotation of the chunk and killed meanwhile. If it had got so far that
    /// the old chunk is complete, the rotation is finished now, and the next chunk is the current one.
    #[serde(default)]
    pub interrupted: Option<Box<RotationSetup>>,
}

/// The end of the current chunk, and the next one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RotationSetup {
    /// Seconds since the Unix epoch.
    pub closed_unix_s: u64,
    /// What becomes of the old chunk.
    pub ending: ChunkEnding,
    /// `None`: tracing is stopped; nothing is delivered until [`Request::OpenChunk`].
    pub next: Option<ChunkSetup>,
}

/// What becomes of a chunk that is closed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "as", rename_all = "kebab-case")]
pub enum ChunkEnding {
    /// It stays where it is.
    #[default]
    Keep,
    /// It moves to the archives.
    Archive {
        /// Where to, relative to the session's directory. A relay decides by itself.
        path: String,
    },
    /// It is removed.
    Delete,
}

/// One trace.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TraceSetup {
    /// Its name from now on.
    pub trace: TraceKey,
    /// The directory of its files below the chunk, relative, `/` between components, for instance
    /// `ust/uid/1000/64-bit`. The consumer daemon creates what is missing.
    pub path: String,
    /// Goes into the metadata packets; the packets of the streams carry it already.
    pub uuid: [u8; 16],
    /// The trace ends when nobody holds the write end of any of its wakeup pipes any more.
    pub ends_with_writers: bool,
}

/// One ring buffer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StreamSetup {
    /// Its name from now on.
    pub stream: StreamKey,
    /// The trace it belongs to, added before.
    pub trace: TraceKey,
    /// Name of the channel; the file is called `CHANNEL_CPU`.
    pub channel_name: String,
    /// CPU number of the buffer.
    pub cpu: u32,
    /// CTF stream id: the channel's number in its trace.
    pub channel_id: u32,
    /// Bytes, a power of two.
    pub subbuf_size: u64,
    /// A power of two.
    pub subbuf_count: u64,
    /// What the writers do when the buffer is full.
    pub mode: BufferMode,
    /// Who wakes the reader.
    pub wakeup: Wakeup,
    /// The consumer closes the current packet this often, 0 = never. Microseconds.
    pub switch_timer_us: u64,
    /// With [`Wakeup::ByTimer`]: the consumer looks for packets this often. Microseconds.
    pub read_timer_us: u64,
    /// The consumer closes the current packet this often, or tells the relay that there is nothing new;
    /// 0 = the session is not live. Microseconds.
    #[serde(default)]
    pub live_timer_us: u64,
    /// Bytes of one file, after which the next one begins; 0 = no limit.
    pub tracefile_size: u64,
    /// Files kept, the oldest is overwritten; 0 = no limit.
    pub tracefile_count: u64,
    /// The buffer had a reader before, which is gone: go on at its position. Tells what is known of it.
    #[serde(default)]
    pub resume: Option<Predecessor>,
    /// The buffer is one of the kernel's.
    #[serde(default)]
    pub kernel: Option<KernelStream>,
    /// The session daemon writes the packets itself, into a memfd, one after the other.
    #[serde(default)]
    pub written: bool,
}

/// The name under which a channel is counted: both domains may have a channel of the
/// same name, which has no `/`.
pub fn channel_label(channel_name: &str, kernel: bool) -> String {
    if kernel {
        format!("kernel/{channel_name}")
    } else {
        channel_name.to_owned()
    }
}

/// What else is to be known of a buffer of the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelStream {
    /// Bytes of what the kernel calls a sub-buffer: as many as one read brings.
    pub page_size: u64,
    /// Names of the context fields beside the thread id (`kernel::context`).
    #[serde(default)]
    pub contexts: Vec<String>,
}

impl KernelStream {
    /// Pages that make a packet of a channel with such sub-buffers. One less than what wakes the reader: the
    /// last one may be the one that is being written.
    pub fn packet_pages(&self, subbuf_size: u64) -> u64 {
        (subbuf_size / self.page_size.max(1))
            .saturating_sub(1)
            .max(1)
    }
}

/// What is known of the reader that a buffer had before. Zero and `None` if it could not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Predecessor {
    /// `packet_seq_num` of the last packet that it delivered.
    pub last_packet: Option<u64>,
    /// Discarded events that it has counted: the value in its last packet.
    pub discarded_events: u64,
}

/// What the writers do when the buffer is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BufferMode {
    /// They drop the newest events.
    Discard,
    /// They overwrite the oldest packets.
    Overwrite,
}

/// Who wakes the reader of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wakeup {
    /// The writers, through the pipe.
    ByWriter,
    /// A read timer of the consumer daemon; the pipe only reports hang-up.
    ByTimer,
}

/// What the consumer daemon says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "kebab-case")]
pub enum Notice {
    /// The request was carried out.
    Done {
        /// Which one.
        id: RequestId,
        /// What it asked for, if anything.
        #[serde(default)]
        answer: Answer,
    },
    /// The request could not be carried out; nothing changed, or the output failed.
    Failed {
        /// Which one.
        id: RequestId,
        /// Says what is wrong, with which value.
        reason: String,
    },
    /// All of a trace was delivered and closed after its writers had gone.
    TraceEnded {
        /// The trace.
        trace: TraceKey,
    },
    /// The relay daemon knows a stream by this number. With it the session daemon can ask, after this
    /// consumer daemon was killed, which packets have arrived.
    RelayStream {
        /// The stream.
        stream: StreamKey,
        /// Handle from the reply to `ADD_STREAM`.
        handle: u64,
    },
    /// So much was delivered into the current chunk as [`Request::WatchSize`] says.
    SizeReached {
        /// Number of the chunk.
        chunk_id: u64,
    },
    /// The output takes nothing any more. Sent once; the buffers are left as they are, later
    /// requests that need the output fail.
    OutputFailed(OutputFailure),
}

/// What a request brought.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Answer {
    /// Nothing more to say.
    #[default]
    Nothing,
    /// The chunk is open.
    Opened {
        /// The interrupted rotation was complete: its next chunk is open.
        rotated: bool,
    },
    /// The old chunk is closed, and where it belongs.
    Rotated {
        /// Where that is, if a relay daemon decides it.
        path: Option<String>,
    },
    /// How far the output is. Numbers that stay the same tell that it takes nothing now.
    Progress {
        /// Grows whenever it takes something.
        taken: u64,
        /// Grows whenever a relay daemon says something.
        answered: u64,
    },
    /// The chunk is closed.
    Closed {
        /// Where it is, if a relay daemon decides it.
        path: Option<String>,
    },
}

/// Totals of what went through consumer daemons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Events, only counted when [`SessionSetup::count_events`] is set.
    pub events: u64,
    /// Packets delivered.
    pub packets: u64,
    /// Bytes delivered, padding and metadata included.
    pub bytes: u64,
    /// Events that the writers dropped because the buffer was full, or the event too large.
    pub discarded_events: u64,
    /// Packets overwritten before they were read.
    pub lost_packets: u64,
}

/// Why the output takes nothing any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputFailure {
    /// For the user: what failed, on which file or connection, and the system's reason.
    pub reason: String,
}
