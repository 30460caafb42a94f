//! What a consumer or session daemon asks of a relay daemon, as values.

use std::borrow::Cow;

use crate::{
    ChunkId, CloseCommand, Command, Minor, RelaySessionId, ReplyKind, SessionKey, StreamHandle,
    TraceFormat,
};

/// One control message. Names and metadata are borrowed, from the caller when it is to be encoded,
/// from the received bytes when it was decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Always the first. The reply is the peer's own version, not the smaller of the two.
    Version {
        /// [`crate::MAJOR`].
        major: u32,
        /// What this end speaks at most.
        minor: Minor,
    },
    /// What does the relay allow? Since minor 12.
    GetConfiguration {
        /// Must be 0.
        query_flags: u64,
    },
    /// Creates the session of this connection, one at most.
    CreateSession(CreateSession<'a>),
    /// Adds a stream.
    AddStream(AddStream<'a>),
    /// Publishes the streams added since the last one. Since minor 4.
    StreamsSent,
    /// One metadata packet.
    SendMetadata {
        /// The metadata stream.
        stream: StreamHandle,
        /// Zero bytes the relay appends.
        padding_size: u32,
        /// At least one byte.
        bytes: &'a [u8],
    },
    /// The index of a packet, or a beacon. Since minor 4.
    SendIndex(PacketIndex),
    /// Nothing more will be sent for this stream.
    CloseStream {
        /// The stream.
        stream: StreamHandle,
        /// Sequence number of its last packet, [`crate::NO_PACKET`] if none, and for metadata.
        last_net_seq_num: u64,
    },
    /// Is a packet up to this one still missing?
    DataPending {
        /// The stream.
        stream: StreamHandle,
        /// Sequence number of the last packet sent, [`crate::NO_PACKET`] if none.
        last_net_seq_num: u64,
    },
    /// Marks a (metadata) stream as checked.
    Quiescent {
        /// The stream.
        stream: StreamHandle,
    },
    /// Marks every stream as not checked.
    BeginDataPending {
        /// The session of this connection.
        session: RelaySessionId,
    },
    /// Is any stream neither checked nor closed?
    EndDataPending {
        /// The session of this connection.
        session: RelaySessionId,
    },
    /// Forgets the metadata received so far. Since minor 8.
    ResetMetadata {
        /// The metadata stream.
        stream: StreamHandle,
        /// Counts the resets.
        version: u64,
    },
    /// Moves streams to another trace chunk. Since minor 11.
    RotateStreams {
        /// The chunk that follows, or none at the end.
        to: Option<ChunkId>,
        /// Where each stream changes.
        positions: Cow<'a, [StreamPosition]>,
    },
    /// Creates a trace chunk. Since minor 11; must come before the first stream.
    CreateTraceChunk {
        /// Its id.
        chunk: ChunkId,
        /// Seconds since the Unix epoch.
        created_unix_s: u64,
        /// The name of its directory; snapshots only.
        override_name: Option<&'a str>,
    },
    /// Closes a trace chunk. Since minor 11.
    CloseTraceChunk {
        /// Its id.
        chunk: ChunkId,
        /// Seconds since the Unix epoch.
        closed_unix_s: u64,
        /// What to do when the last stream has left it; stock peers send none for "nothing".
        command: Option<CloseCommand>,
    },
    /// Is a trace chunk still in use? Since minor 11.
    TraceChunkExists {
        /// Its id.
        chunk: ChunkId,
    },
    /// Historic.
    StartData,
}

/// `CREATE_SESSION`. What the negotiated minor does not carry is ignored when encoding and empty, zero
/// or false after decoding: everything before minor 4, all from `base_path` on before minor 11.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateSession<'a> {
    /// Name of the recording session.
    pub session_name: &'a str,
    /// Name of the target.
    pub hostname: &'a str,
    /// Period of the live timer in microseconds; 0: not live.
    pub live_timer_us: u32,
    /// Each trace chunk is a snapshot: no indexes will come.
    pub snapshot: bool,
    /// Directory the user asked for in the URL; empty if none.
    pub base_path: &'a str,
    /// The session has an automatic name, which already holds the time.
    pub name_has_creation_time: bool,
    /// Which recording session of which session daemon.
    pub key: SessionKey,
    /// Creation time of the session, seconds since the Unix epoch. Part of the directory's name.
    pub creation_unix_s: u64,
    /// The trace chunk the session is in already, when a second consumer daemon joins it.
    pub current_chunk: Option<ChunkId>,
    /// Since minor 15; [`TraceFormat::CTF_1_8`] before.
    pub trace_format: TraceFormat,
}

/// `ADD_STREAM`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddStream<'a> {
    /// Name of the data file: `CHANNEL_CPU`, or [`METADATA_NAME`].
    pub channel_name: &'a str,
    /// Directory below the trace chunk, for instance `ust/uid/1000/64-bit`.
    pub pathname: &'a str,
    /// Bytes after which a new data file begins; 0: never. Since minor 2.
    pub tracefile_size: u64,
    /// How many data files are kept; 0: all. Since minor 2.
    pub tracefile_count: u64,
    /// The current trace chunk; relays ignore it. Since minor 11.
    pub chunk: ChunkId,
}

/// The name of a metadata stream, and what makes it one.
pub const METADATA_NAME: &str = "metadata";

impl AddStream<'_> {
    /// This stream carries metadata, not packets.
    #[must_use]
    pub fn is_metadata(&self) -> bool {
        self.channel_name == METADATA_NAME
    }
}

/// `SEND_INDEX`: where one packet lies in time. Field meanings as in the packet's context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct PacketIndex {
    /// Handle of the stream.
    pub stream: u64,
    /// The number its data packet has.
    pub net_seq_num: u64,
    /// Size with padding, in bits; 0 makes this a beacon.
    pub packet_size_bits: u64,
    /// Size without padding, in bits.
    pub content_size_bits: u64,
    /// Trace clock at the packet's begin, in cycles.
    pub timestamp_begin: u64,
    /// Trace clock at its end, in cycles; of a beacon: nothing older is to come.
    pub timestamp_end: u64,
    /// Events discarded since the stream began.
    pub events_discarded: u64,
    /// CTF stream class id (the channel).
    pub stream_class_id: u64,
    /// CPU of the stream. Since minor 8.
    pub stream_instance_id: u64,
    /// Number of the packet as the tracer counts. Since minor 8.
    pub packet_seq_num: u64,
}

impl PacketIndex {
    /// Says "nothing new until `timestamp_end`", not where a packet is.
    #[must_use]
    pub fn is_beacon(&self) -> bool {
        self.packet_size_bits == 0
    }
}

/// Where one stream changes its trace chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamPosition {
    /// The stream.
    pub stream: StreamHandle,
    /// The first *packet* sequence number ([`PacketIndex::packet_seq_num`], not the network one) of
    /// the new chunk; 0 for metadata.
    pub rotate_at_seq_num: u64,
}

/// The header of a data packet; `data_size` bytes follow it on the data connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataPacket {
    /// The stream.
    pub stream: StreamHandle,
    /// Counts the packets of this stream.
    pub net_seq_num: u64,
    /// Bytes that follow.
    pub data_size: u32,
    /// Zero bytes the relay appends to them; they are not sent.
    pub padding_size: u32,
}

impl Request<'_> {
    /// The command id.
    #[must_use]
    pub fn command(&self) -> Command {
        match self {
            Self::Version { .. } => Command::VERSION,
            Self::GetConfiguration { .. } => Command::GET_CONFIGURATION,
            Self::CreateSession(_) => Command::CREATE_SESSION,
            Self::AddStream(_) => Command::ADD_STREAM,
            Self::StreamsSent => Command::STREAMS_SENT,
            Self::SendMetadata { .. } => Command::SEND_METADATA,
            Self::SendIndex(_) => Command::SEND_INDEX,
            Self::CloseStream { .. } => Command::CLOSE_STREAM,
            Self::DataPending { .. } => Command::DATA_PENDING,
            Self::Quiescent { .. } => Command::QUIESCENT_CONTROL,
            Self::BeginDataPending { .. } => Command::BEGIN_DATA_PENDING,
            Self::EndDataPending { .. } => Command::END_DATA_PENDING,
            Self::ResetMetadata { .. } => Command::RESET_METADATA,
            Self::RotateStreams { .. } => Command::ROTATE_STREAMS,
            Self::CreateTraceChunk { .. } => Command::CREATE_TRACE_CHUNK,
            Self::CloseTraceChunk { .. } => Command::CLOSE_TRACE_CHUNK,
            Self::TraceChunkExists { .. } => Command::TRACE_CHUNK_EXISTS,
            Self::StartData => Command::START_DATA,
        }
    }

    /// What reply will come, or `None` when there will be none (`SEND_METADATA` only).
    #[must_use]
    pub fn reply_kind(&self, minor: Minor) -> Option<ReplyKind> {
        ReplyKind::of(self.command(), minor)
    }
}
