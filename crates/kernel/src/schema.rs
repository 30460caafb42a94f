//! The event class of a kernel event, and the program that makes its payload.

pub(crate) mod ctype;
mod fields;

use ctf::metadata::{EventClass, HeaderType, StreamClass};
use ctf::types::Field;

use crate::context::Contexts;
use crate::format::{EventFormat, FormatField, Shape};
use crate::machine::Machine;
use crate::names;
use crate::program::Program;

/// Bytes of a record before the fields of its event: `common_type`, `common_flags`,
/// `common_preempt_count` and `common_pid`.
pub(crate) const COMMON_LEN: usize = 8;

/// Why there can be no event class for a format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// The fields that all records have are not where Linux has had them since 2.6.31.
    #[error("event `{event}` has no `{field}` at offset {offset}")]
    Common {
        /// The event.
        event: String,
        /// The field.
        field: &'static str,
        /// Where it should be.
        offset: u32,
    },
    /// `common_type` has 16 bits, and the largest value means something else in an event header.
    #[error("event `{event}` has the id {id}, which is larger than 65534")]
    Id {
        /// The event.
        event: String,
        /// Its id.
        id: u32,
    },
    /// A record has at most 64 KiB.
    #[error("field `{field}` of event `{event}` ends after 64 KiB")]
    Place {
        /// The event.
        event: String,
        /// The field.
        field: String,
    },
}

/// An event as it is in a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSchema {
    name: String,
    id: u16,
    fields: Vec<Field>,
    pub(crate) program: Program,
}

impl EventSchema {
    /// For the event of `subsystem` that `format` describes. The same arguments give the same result.
    pub fn new(
        format: &EventFormat,
        subsystem: &str,
        machine: &Machine,
    ) -> Result<Self, SchemaError> {
        check_common(format)?;
        let id = u16::try_from(format.id)
            .ok()
            .filter(|id| *id < u16::MAX)
            .ok_or_else(|| SchemaError::Id {
                event: format.name.clone(),
                id: format.id,
            })?;
        let (fields, program) = fields::compile(format, subsystem, machine)?;
        Ok(Self {
            name: names::event_name(subsystem, &format.name).into_owned(),
            id,
            fields,
            program,
        })
    }

    /// Name in the trace.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Id in the trace and in the kernel.
    pub fn id(&self) -> u16 {
        self.id
    }

    /// Fields of the payload.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The event class, for the stream class of one channel.
    pub fn class(&self, stream_id: u64) -> EventClass {
        EventClass {
            name: self.name.clone(),
            id: self.id.into(),
            stream_id,
            loglevel: None,
            model_emf_uri: None,
            fields: self.fields.clone(),
        }
    }
}

/// Bytes and sign of the number that a field of an event of `subsystem` is in a trace; `None` if it is no number.
pub fn number(subsystem: &str, field: &FormatField, machine: &Machine) -> Option<(u32, bool)> {
    let number = fields::number(subsystem, field, machine);
    (field.shape == Shape::Value && matches!(number.0, 1 | 2 | 4 | 8)).then_some(number)
}

/// The stream class of a channel: event headers with 16-bit ids and 32-bit time stamps, and the thread id
/// with every event.
pub fn stream_class(id: u64) -> StreamClass {
    stream_class_with(id, &Contexts::default())
}

/// The stream class of a channel that has these context fields beside the thread id.
pub fn stream_class_with(id: u64, contexts: &Contexts) -> StreamClass {
    StreamClass {
        id,
        header: HeaderType::Large,
        context: contexts.class(),
    }
}

fn check_common(format: &EventFormat) -> Result<(), SchemaError> {
    for (name, offset, size) in [("common_type", 0, 2), ("common_pid", 4, 4)] {
        let found = format.common.iter().any(|field| {
            field.name == name
                && (field.offset, field.size, field.shape) == (offset, size, Shape::Value)
        });
        if !found {
            return Err(SchemaError::Common {
                event: format.name.clone(),
                field: name,
                offset,
            });
        }
    }
    Ok(())
}
