//! Packet headers, packet contexts and event headers.

use super::bits::read_bits;
use super::error::{DecodeError, DecodeErrorKind, MetadataError};
use super::plan::{Compiler, Plan};
use super::run::{Machine, UNSET};
use super::{Decoder, StreamPlan};
use crate::metadata::HeaderType;
use crate::packet::MAGIC;
use crate::tsdl::{StreamSchema, StructType, TraceSchema, lttng_header};
use crate::types::{ByteOrder, FieldByteOrder, FieldType};
use crate::units::{Bits, Uuid};

/// What a packet says about itself. Values that its trace does not record are `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketInfo {
    /// Stream class.
    pub stream_id: u64,
    /// Number of the stream in its class.
    pub stream_instance_id: Option<u64>,
    /// Clock at the begin.
    pub begin: Option<u64>,
    /// Clock at the end.
    pub end: Option<u64>,
    /// Events discarded in this stream since it exists, until the end of this packet.
    pub discarded: Option<u64>,
    /// Number of the packet in its stream.
    pub seq: Option<u64>,
    /// CPU of the stream.
    pub cpu_id: Option<u64>,
    /// Used part of the packet; at most `packet_size`.
    pub content_size: Bits,
    /// The whole packet, a whole number of bytes; at most as many as there are.
    pub packet_size: Bits,
}

const HEADER_NAMES: [&str; 3] = ["magic", "stream_id", "stream_instance_id"];
const CONTEXT_NAMES: [&str; 7] = [
    "timestamp_begin",
    "timestamp_end",
    "content_size",
    "packet_size",
    "packet_seq_num",
    "events_discarded",
    "cpu_id",
];
const EVENT_NAMES: [&str; 1] = ["id"];

pub(super) fn packet_header(trace: &TraceSchema) -> Result<Plan, MetadataError> {
    let place = || "trace packet header".to_owned();
    Compiler::new(trace.byte_order, &place)
        .for_header(&HEADER_NAMES)
        .at_byte()
        .compile(&[&trace.packet_header.to_field_type()])
}

pub(super) fn packet_context(
    stream: &StreamSchema,
    order: ByteOrder,
) -> Result<Plan, MetadataError> {
    let place = || format!("packet context of stream {}", stream.id);
    Compiler::new(order, &place)
        .for_header(&CONTEXT_NAMES)
        .compile(&[&stream.packet_context.to_field_type()])
}

/// How the events of a stream begin.
#[derive(Debug)]
pub(super) enum EventHeader {
    /// The compact header of LTTng, without padding.
    Compact(ByteOrder),
    /// The large header of LTTng, without padding.
    Large(ByteOrder),
    /// Any other.
    Other(Plan),
}

/// Id and time stamp of an event: the raw stamp and its size in bits.
pub(super) type Begin = (u64, Option<(u64, u32)>);

impl EventHeader {
    pub(super) fn new(stream: &StreamSchema, order: ByteOrder) -> Result<Self, MetadataError> {
        match lttng_header(&stream.event_header) {
            Some(HeaderType::Compact) if is_packed(&stream.event_header, 1) => {
                return Ok(Self::Compact(order));
            }
            Some(HeaderType::Large) if is_packed(&stream.event_header, 8) => {
                return Ok(Self::Large(order));
            }
            _ => {}
        }
        let place = || format!("event header of stream {}", stream.id);
        let compiler = Compiler::new(order, &place).for_header(&EVENT_NAMES);
        Ok(Self::Other(
            compiler.compile(&[&stream.event_header.to_field_type()])?,
        ))
    }

    /// Whether what follows the header starts at a whole byte.
    pub(super) fn ends_at_byte(&self) -> bool {
        !matches!(self, Self::Other(_))
    }

    /// Reads the header at the machine's position.
    #[inline]
    pub(super) fn read(&self, machine: &mut Machine<'_>) -> Result<Begin, DecodeError> {
        match self {
            Self::Compact(order) => {
                machine.align(8)?;
                let at = machine.at;
                // The extended form is longer, so these bits are there in any case.
                let short = fixed(machine, at, 32, *order)?;
                let (id, stamp) = match order {
                    ByteOrder::Little => (short & 31, short >> 5),
                    ByteOrder::Big => (short >> 27, short & ((1 << 27) - 1)),
                };
                if id == 31 {
                    return extended(machine, at + 8, *order);
                }
                machine.at = at + 32;
                Ok((id, Some((stamp, 27))))
            }
            Self::Large(order) => {
                machine.align(8)?;
                let at = machine.at;
                let id = fixed(machine, at, 16, *order)?;
                if id == 0xFFFF {
                    return extended(machine, at + 16, *order);
                }
                let stamp = fixed(machine, at + 16, 32, *order)?;
                machine.at = at + 48;
                Ok((id, Some((stamp, 32))))
            }
            Self::Other(plan) => {
                machine.reserve(plan.slots.max(EVENT_NAMES.len()));
                machine.slots[0] = UNSET;
                machine.stamp = None;
                machine.run(&plan.ops)?;
                // A trace with a single kind of event needs no id.
                let id = machine.captured(0).unwrap_or(0);
                Ok((u64::try_from(id).unwrap_or(u64::MAX), machine.stamp))
            }
        }
    }
}

#[inline]
fn fixed(machine: &Machine<'_>, at: u64, size: u32, order: ByteOrder) -> Result<u64, DecodeError> {
    read_bits(machine.bytes, at, size, order, machine.limit)
        .ok_or_else(|| machine.error(DecodeErrorKind::Overrun))
}

/// The 32-bit id and 64-bit time stamp of both extended headers.
fn extended(machine: &mut Machine<'_>, at: u64, order: ByteOrder) -> Result<Begin, DecodeError> {
    let id = fixed(machine, at, 32, order)?;
    let stamp = fixed(machine, at + 32, 64, order)?;
    machine.at = at + 96;
    Ok((id, Some((stamp, 64))))
}

/// Whether one of LTTng's headers has no padding: its short form is aligned to `short_align_bits`,
/// all else to bytes.
fn is_packed(header: &StructType, short_align_bits: u32) -> bool {
    fn all_packed(ty: &FieldType, id_align: u32, stamp_align: u32) -> bool {
        match ty {
            FieldType::Enum(ty) => {
                ty.container.byte_order == FieldByteOrder::Native
                    && ty.container.align_bits == id_align
            }
            FieldType::Integer(ty) => {
                let align = if ty.size_bits.is_multiple_of(8) {
                    8
                } else {
                    stamp_align
                };
                ty.byte_order == FieldByteOrder::Native && ty.align_bits == align
            }
            FieldType::Struct { fields, align_bits } => {
                // Only the outermost one may be aligned.
                *align_bits == 0
                    && fields
                        .iter()
                        .all(|field| all_packed(&field.ty, id_align, stamp_align))
            }
            FieldType::Variant { choices, .. } => choices
                .iter()
                .all(|field| all_packed(&field.ty, id_align, stamp_align)),
            _ => false,
        }
    }
    header.align_bits == 8
        && header
            .fields
            .iter()
            .all(|field| all_packed(&field.ty, short_align_bits, short_align_bits))
}

impl Decoder {
    /// Reads what comes before the events of a packet. The machine is then at the first event, and
    /// its limit is the end of the content.
    pub(super) fn open<'d, 'p>(
        &'d self,
        packet: &'p [u8],
    ) -> Result<(&'d StreamPlan, PacketInfo, Machine<'p>), DecodeError> {
        let mut machine = Machine::new(packet);
        let none = || DecodeError {
            at_bits: 0,
            kind: DecodeErrorKind::NoMetadata,
        };
        let plan = self.packet_header.as_ref().ok_or_else(none)?;
        machine.slots = vec![UNSET; plan.slots];
        machine.run(&plan.ops)?;
        let unsigned =
            |machine: &Machine<'_>, slot| machine.captured(slot).map(|value| value as u64);
        if let Some(magic) = unsigned(&machine, 0)
            && magic != u64::from(MAGIC)
        {
            return Err(machine.error(DecodeErrorKind::BadMagic(magic)));
        }
        self.check_uuid(&machine)?;
        let stream_id = match unsigned(&machine, 1) {
            Some(id) => id,
            // A trace with a single stream class needs no id.
            None => self.streams.keys().next().copied().unwrap_or(0),
        };
        let stream_instance_id = unsigned(&machine, 2);
        let Some(stream) = self.streams.get(&stream_id) else {
            return Err(machine.error(DecodeErrorKind::UnknownStream(stream_id)));
        };

        let plan = &stream.packet_context;
        machine.slots = vec![UNSET; plan.slots];
        machine.run(&plan.ops)?;
        let available = machine.limit;
        let packet_size = unsigned(&machine, 3).unwrap_or(available);
        let content = unsigned(&machine, 2).unwrap_or(packet_size);
        if packet_size > available
            || !packet_size.is_multiple_of(8)
            || content > packet_size
            || content < machine.at
        {
            return Err(machine.error(DecodeErrorKind::BadSize {
                content,
                packet: packet_size,
                available,
            }));
        }
        let info = PacketInfo {
            stream_id,
            stream_instance_id,
            begin: unsigned(&machine, 0),
            end: unsigned(&machine, 1),
            discarded: unsigned(&machine, 5),
            seq: unsigned(&machine, 4),
            cpu_id: unsigned(&machine, 6),
            content_size: Bits(content),
            packet_size: Bits(packet_size),
        };
        machine.limit = content;
        Ok((stream, info, machine))
    }

    fn check_uuid(&self, machine: &Machine<'_>) -> Result<(), DecodeError> {
        let expected = self.schema().trace.as_ref().and_then(|trace| trace.uuid);
        let found = machine
            .uuid_at
            .and_then(|at| machine.bytes.get(at..)?.first_chunk::<16>());
        match (expected, found) {
            (Some(expected), Some(found)) if expected.0 != *found => {
                Err(machine.error(DecodeErrorKind::WrongUuid(Uuid(*found))))
            }
            _ => Ok(()),
        }
    }
}
