//! What the metadata of a trace says, as far as it has been read.

use std::collections::BTreeMap;

use crate::metadata::{
    Alignments, Clock, EnvValue, EventClass, HeaderType, StreamClass, TraceClass,
};
use crate::types::{ByteOrder, EnumMapping, Field, FieldType};
use crate::units::Uuid;

/// The members of a structure and its own alignment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StructType {
    /// Members, in order.
    pub fields: Vec<Field>,
    /// Alignment in bits, or 0 when only the members decide.
    pub align_bits: u32,
}

impl StructType {
    /// The structure that `ty` is; `None` for other types.
    pub(super) fn from_field_type(ty: FieldType) -> Option<Self> {
        match ty {
            FieldType::Struct { fields, align_bits } => Some(Self { fields, align_bits }),
            _ => None,
        }
    }

    /// As a field type.
    pub fn to_field_type(&self) -> FieldType {
        FieldType::Struct {
            fields: self.fields.clone(),
            align_bits: self.align_bits,
        }
    }
}

/// A stream class as read from metadata. Names in headers are as written, those in the event
/// context without their leading underscore.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamSchema {
    /// Stream class id.
    pub id: u64,
    /// What starts each event.
    pub event_header: StructType,
    /// What follows the packet header.
    pub packet_context: StructType,
    /// Context fields of each event.
    pub event_context: StructType,
}

/// An event class as read from metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSchema {
    /// Name, ids, level and payload.
    pub class: EventClass,
    /// Alignment of the payload in bits, or 0.
    pub payload_align_bits: u32,
    /// Context fields of this event only; LTTng 2.13 has none.
    pub own_context: StructType,
}

/// The `trace` block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceSchema {
    /// Identity, if the trace has one.
    pub uuid: Option<Uuid>,
    /// Byte order of everything that does not name another.
    pub byte_order: ByteOrder,
    /// What starts each packet; names as written.
    pub packet_header: StructType,
}

/// All blocks of a metadata text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    /// The `trace` block.
    pub trace: Option<TraceSchema>,
    /// The `env` block.
    pub env: Vec<(String, EnvValue)>,
    /// Clocks, in order of declaration.
    pub clocks: Vec<Clock>,
    /// Stream classes by id.
    pub streams: BTreeMap<u64, StreamSchema>,
    /// Event classes by stream class id and event id.
    pub events: BTreeMap<(u64, u64), EventSchema>,
    /// Alignments of the basic C types, where declared.
    pub(super) alignments: Option<Alignments>,
    /// Size of `unsigned long`, where declared.
    pub(super) long_size_bits: Option<u32>,
}

impl Schema {
    /// The trace in the form in which a tracer describes it; `None` while the trace block, its uuid
    /// or the clock are missing.
    pub fn trace_class(&self) -> Option<TraceClass> {
        let trace = self.trace.as_ref()?;
        Some(TraceClass {
            uuid: trace.uuid?,
            byte_order: trace.byte_order,
            alignments: self.alignments.unwrap_or(Alignments::PACKED),
            long_size_bits: self.long_size_bits.unwrap_or(64),
            env: self.env.clone(),
            clock: self.clocks.first()?.clone(),
        })
    }
}

impl StreamSchema {
    /// The stream class in the form in which a tracer describes it; `None` if its events start
    /// with neither of the two headers of LTTng.
    pub fn stream_class(&self) -> Option<StreamClass> {
        let header = lttng_header(&self.event_header)?;
        Some(StreamClass {
            id: self.id,
            header,
            context: self.event_context.fields.clone(),
        })
    }
}

/// Which of LTTng's event headers `header` is, whatever its alignments.
pub(crate) fn lttng_header(header: &StructType) -> Option<HeaderType> {
    let [id, v] = header.fields.as_slice() else {
        return None;
    };
    let (
        FieldType::Enum(tag),
        FieldType::Variant {
            tag_name,
            choices,
            align_bits: 0,
        },
    ) = (&id.ty, &v.ty)
    else {
        return None;
    };
    let (kind, last, stamp_bits) = match tag.container.size_bits {
        5 => (HeaderType::Compact, 30, 27),
        16 => (HeaderType::Large, 65534, 32),
        _ => return None,
    };
    let ranges: Vec<_> = tag
        .entries
        .iter()
        .map(|entry| match entry.mapping {
            EnumMapping::Range { start, end } => {
                Some((entry.label.as_str(), start.to_i128(), end.to_i128()))
            }
            EnumMapping::Auto => None,
        })
        .collect();
    let expected = [
        Some(("compact", 0, last)),
        Some(("extended", last + 1, last + 1)),
    ];
    let shape = id.name == "id" && tag_name == "id" && !tag.container.signed && ranges == expected;
    let [compact, extended] = choices.as_slice() else {
        return None;
    };
    let members = members(compact)? == [("timestamp", stamp_bits)]
        && members(extended)? == [("id", 32), ("timestamp", 64)]
        && (compact.name.as_str(), extended.name.as_str()) == ("compact", "extended");
    (shape && members).then_some(kind)
}

/// Names and sizes of a structure of unsigned integers.
fn members(field: &Field) -> Option<Vec<(&str, u32)>> {
    let FieldType::Struct { fields, .. } = &field.ty else {
        return None;
    };
    fields
        .iter()
        .map(|field| match &field.ty {
            FieldType::Integer(ty) if !ty.signed => Some((field.name.as_str(), ty.size_bits)),
            _ => None,
        })
        .collect()
}
