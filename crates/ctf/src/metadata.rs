//! The schema of a trace: its clock and environment, its streams and its events.

use crate::types::{ByteOrder, Field};
use crate::units::Uuid;

/// A value of the environment block.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EnvValue {
    /// Text, unescaped.
    String(String),
    /// A number.
    Integer(i64),
}

impl From<&str> for EnvValue {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for EnvValue {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<i64> for EnvValue {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<u32> for EnvValue {
    fn from(number: u32) -> Self {
        Self::Integer(number.into())
    }
}

/// The clock of a trace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Clock {
    /// Name, for instance `monotonic`; an identifier.
    pub name: String,
    /// Identity of the clock: the boot id of the machine for its monotonic clock.
    pub uuid: Option<Uuid>,
    /// Description for people.
    pub description: String,
    /// Ticks per second.
    pub freq_hz: u64,
    /// What to add to a clock value to get ticks since the Epoch. Negative when the wall clock is
    /// behind the monotonic one.
    pub offset: i64,
}

/// Alignments and sizes of C types in the traced application, in bits, from its registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Alignments {
    /// Alignment of `uint8_t`.
    pub u8_bits: u32,
    /// Alignment of `uint16_t`.
    pub u16_bits: u32,
    /// Alignment of `uint32_t`.
    pub u32_bits: u32,
    /// Alignment of `uint64_t`.
    pub u64_bits: u32,
    /// Alignment of `unsigned long`.
    pub long_bits: u32,
}

impl Alignments {
    /// Everything on the next byte, as on x86 and every machine with cheap unaligned accesses.
    pub const PACKED: Self = Self {
        u8_bits: 8,
        u16_bits: 8,
        u32_bits: 8,
        u64_bits: 8,
        long_bits: 8,
    };
}

/// What holds for a whole trace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TraceClass {
    /// Identity of the trace, repeated in each packet.
    pub uuid: Uuid,
    /// Byte order of the traced machine.
    pub byte_order: ByteOrder,
    /// Alignments of the basic types.
    pub alignments: Alignments,
    /// Size of `unsigned long` in bits: 32 or 64.
    pub long_size_bits: u32,
    /// Environment, in the order in which it is written.
    pub env: Vec<(String, EnvValue)>,
    /// The clock of all time stamps.
    pub clock: Clock,
}

/// Which of the two event header layouts a stream uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HeaderType {
    /// 5-bit id and 27-bit time stamp; wire value 1 in a channel registration.
    Compact,
    /// 16-bit id and 32-bit time stamp; wire value 2. What the stock session daemon always chooses.
    Large,
}

/// What holds for all streams of one channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StreamClass {
    /// Channel id, repeated in each packet.
    pub id: u64,
    /// Event header layout.
    pub header: HeaderType,
    /// Context fields that precede the payload of every event.
    pub context: Vec<Field>,
}

/// One kind of event of one stream class.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EventClass {
    /// Full name, `provider:event`.
    pub name: String,
    /// Event id, repeated in each event header.
    pub id: u64,
    /// Stream class this event belongs to.
    pub stream_id: u64,
    /// Numeric log level of the event, if it has one.
    pub loglevel: Option<i64>,
    /// URI of the event's model, if it has one.
    pub model_emf_uri: Option<String>,
    /// Payload.
    pub fields: Vec<Field>,
}

/// What the environment block of a user-space trace tells, with the names and the order of
/// lttng-tools 2.13.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UstEnvironment {
    /// Major version of the tracer.
    pub tracer_major: u32,
    /// Minor version of the tracer.
    pub tracer_minor: u32,
    /// Whose buffers these are.
    pub owner: BufferOwner,
    /// Bits per `long` of the traced applications.
    pub bits_per_long: u32,
    /// Name of the recording session; `auto` for a generated name.
    pub trace_name: String,
    /// Creation time of the recording session, ISO 8601 basic format with zone.
    pub trace_creation_datetime: String,
    /// Host name.
    pub hostname: String,
}

/// Who shares a set of user-space buffers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BufferOwner {
    /// All applications of a user.
    Uid(u32),
    /// One process.
    Pid {
        /// Its process id.
        pid: u32,
        /// Patch level of its tracer.
        tracer_patchlevel: u32,
        /// Its name.
        procname: String,
        /// When it registered, ISO 8601 basic format with zone.
        registered: String,
    },
}

impl UstEnvironment {
    /// The entries for [`TraceClass::env`], in stock order.
    pub fn entries(&self) -> Vec<(String, EnvValue)> {
        let (scheme, id) = match &self.owner {
            BufferOwner::Uid(uid) => ("uid", *uid),
            BufferOwner::Pid { pid, .. } => ("pid", *pid),
        };
        let mut env: Vec<(&str, EnvValue)> = vec![
            ("domain", "ust".into()),
            ("tracer_name", "lttng-ust".into()),
            ("tracer_major", self.tracer_major.into()),
            ("tracer_minor", self.tracer_minor.into()),
            ("tracer_buffering_scheme", scheme.into()),
            ("tracer_buffering_id", id.into()),
            ("architecture_bit_width", self.bits_per_long.into()),
            ("trace_name", self.trace_name.as_str().into()),
            (
                "trace_creation_datetime",
                self.trace_creation_datetime.as_str().into(),
            ),
            ("hostname", self.hostname.as_str().into()),
        ];
        if let BufferOwner::Pid {
            pid,
            tracer_patchlevel,
            procname,
            registered,
        } = &self.owner
        {
            env.push(("tracer_patchlevel", (*tracer_patchlevel).into()));
            env.push(("vpid", (*pid).into()));
            env.push(("procname", procname.as_str().into()));
            env.push(("vpid_datetime", registered.as_str().into()));
        }
        env.into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }
}
