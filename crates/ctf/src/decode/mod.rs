//! The decoder: events back out of packets.
//!
//! A [`Decoder`] is made from metadata text, which may grow while packets come in. It counts the
//! events of a packet without looking at their values ([`Decoder::count_events`]), or hands them out
//! one by one with their values on demand ([`Decoder::events`]).
//!
//! Packets are not trusted: anything may be in them, and the answer is an error, never a panic and
//! never a loop without end. The work is bounded by the size of the packet.

mod bits;
mod error;
mod events;
mod header;
mod known;
mod layout;
mod plan;
mod run;
mod trace_file;
mod value;

use std::collections::BTreeMap;

pub use error::{DecodeError, DecodeErrorKind, MetadataError};
pub use events::{Event, EventFields, PacketCursor};
pub use header::PacketInfo;
pub use trace_file::{TraceFileError, TraceFileSummary};
pub use value::Value;

use crate::tsdl::{EventKey, EventSchema, Reader, Schema, StreamSchema};
use crate::types::{ByteOrder, FieldType};
use header::EventHeader;
use plan::{Compiler, Plan};

/// What a packet holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketSummary {
    /// Number of events.
    pub events: u64,
    /// What the packet says about itself.
    pub info: PacketInfo,
}

/// Decodes the packets of one trace.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let metadata = ctf::metadata_packet::text_of(&std::fs::read("metadata")?)?.into_owned();
/// let decoder = ctf::decode::Decoder::new(&metadata)?;
/// println!("{} events", decoder.count_trace_file(&std::fs::read("channel0_0")?)?.events);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Decoder {
    reader: Reader,
    packet_header: Option<Plan>,
    streams: BTreeMap<u64, StreamPlan>,
    /// Events whose stream class has not been declared yet.
    orphans: Vec<EventKey>,
}

#[derive(Debug)]
struct StreamPlan {
    packet_context: Plan,
    event_header: EventHeader,
    /// The declared types, for values.
    event_context: FieldType,
    /// By id. Ids are given in sequence, so that the id is mostly the index.
    events: Vec<EventPlan>,
}

#[derive(Debug)]
struct EventPlan {
    id: u64,
    /// Contexts and payload.
    plan: Plan,
    own_context: FieldType,
    payload: FieldType,
}

impl Decoder {
    /// For a complete metadata text.
    pub fn new(metadata: &str) -> Result<Self, MetadataError> {
        let mut decoder = Self::default();
        decoder.add_metadata(metadata)?;
        Ok(decoder)
    }

    /// Takes metadata text that follows what came before. It may end anywhere; what is not complete
    /// waits for its rest.
    pub fn add_metadata(&mut self, text: &str) -> Result<(), MetadataError> {
        let read = self.reader.append(text);
        let compiled = self.compile();
        read?;
        compiled
    }

    /// The metadata read so far.
    pub fn schema(&self) -> &Schema {
        self.reader.schema()
    }

    fn byte_order(&self) -> ByteOrder {
        self.schema()
            .trace
            .as_ref()
            .map_or(ByteOrder::NATIVE, |trace| trace.byte_order)
    }

    fn compile(&mut self) -> Result<(), MetadataError> {
        let mut events = std::mem::take(&mut self.orphans);
        events.extend(self.reader.take_added());
        let schema = self.reader.schema();
        let Some(trace) = &schema.trace else {
            self.orphans = events;
            return Ok(());
        };
        if self.packet_header.is_none() {
            self.packet_header = Some(header::packet_header(trace)?);
        }
        let mut result = Ok(());
        for (id, stream) in &schema.streams {
            if !self.streams.contains_key(id) {
                match StreamPlan::new(stream, trace.byte_order) {
                    Ok(plan) => drop(self.streams.insert(*id, plan)),
                    Err(error) => result = Err(error),
                }
            }
        }
        for key in events {
            let (Some(stream), Some(event)) =
                (self.streams.get_mut(&key.0), schema.events.get(&key))
            else {
                self.orphans.push(key);
                continue;
            };
            if let Err(error) = stream.add(event, trace.byte_order) {
                result = Err(error);
            }
        }
        result
    }
}

impl StreamPlan {
    fn new(stream: &StreamSchema, order: ByteOrder) -> Result<Self, MetadataError> {
        Ok(Self {
            packet_context: header::packet_context(stream, order)?,
            event_header: EventHeader::new(stream, order)?,
            event_context: stream.event_context.to_field_type(),
            events: Vec::new(),
        })
    }

    fn add(&mut self, event: &EventSchema, order: ByteOrder) -> Result<(), MetadataError> {
        let own_context = event.own_context.to_field_type();
        let payload = FieldType::Struct {
            fields: event.class.fields.clone(),
            align_bits: event.payload_align_bits,
        };
        let place = || format!("event `{}`", event.class.name);
        let mut compiler = Compiler::new(order, &place);
        if self.event_header.ends_at_byte() {
            compiler = compiler.at_byte();
        }
        let plan = compiler.compile(&[&self.event_context, &own_context, &payload])?;
        let event = EventPlan {
            id: event.class.id,
            plan,
            own_context,
            payload,
        };
        match self
            .events
            .binary_search_by_key(&event.id, |event| event.id)
        {
            Ok(at) => self.events[at] = event,
            Err(at) => self.events.insert(at, event),
        }
        Ok(())
    }

    #[inline]
    fn event(&self, id: u64) -> Option<&EventPlan> {
        let direct = usize::try_from(id).ok().and_then(|at| self.events.get(at));
        match direct {
            Some(event) if event.id == id => direct,
            _ => {
                let at = self
                    .events
                    .binary_search_by_key(&id, |event| event.id)
                    .ok()?;
                self.events.get(at)
            }
        }
    }
}
