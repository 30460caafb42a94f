//! The context fields that a channel can have beside the thread id, which every event has.

use ctf::types::{Encoding, Field, FieldType, IntegerType};

/// Bytes of the name of a thread.
pub const NAME_LEN: usize = 16;

/// A context field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContextField {
    /// The process of the thread.
    Pid,
    /// The parent of the process.
    Ppid,
    /// Name of the thread.
    Procname,
    /// Interrupts were on.
    Interruptible,
    /// Somebody else should run.
    NeedReschedule,
}

impl ContextField {
    /// In the order of a record.
    const ALL: [Self; 5] = [
        Self::Pid,
        Self::Ppid,
        Self::Procname,
        Self::Interruptible,
        Self::NeedReschedule,
    ];

    /// LTTng's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pid => "pid",
            Self::Ppid => "ppid",
            Self::Procname => "procname",
            Self::Interruptible => "interruptible",
            Self::NeedReschedule => "need_reschedule",
        }
    }

    /// What LTTng calls so.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }

    /// Whether the kernel's record does not tell, but the history of its tasks.
    pub fn is_of_a_task(self) -> bool {
        matches!(self, Self::Pid | Self::Ppid | Self::Procname)
    }

    /// As in LTTng's kernel tracer.
    fn field_type(self) -> FieldType {
        let integer = |bits, signed| FieldType::Integer(IntegerType::new(bits, signed));
        match self {
            Self::Pid | Self::Ppid => integer(32, true),
            Self::Interruptible => integer(8, true),
            Self::NeedReschedule => integer(8, false),
            Self::Procname => name_type(),
        }
    }
}

/// Text in [`NAME_LEN`] bytes.
pub(crate) fn name_type() -> FieldType {
    let mut character = IntegerType::new(8, false);
    character.encoding = Encoding::Utf8;
    FieldType::Array {
        element: Box::new(FieldType::Integer(character)),
        length: NAME_LEN as u32,
        align_bits: 0,
    }
}

/// The context fields of a channel, without the thread id. In records they have one order, whatever the order
/// of the commands was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contexts {
    fields: Vec<ContextField>,
}

impl Contexts {
    /// Those of these names. Others are left out: `tid`, for instance, which is always there.
    pub fn of<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let mut fields: Vec<_> = names.into_iter().filter_map(ContextField::parse).collect();
        fields.sort_unstable();
        fields.dedup();
        Self { fields }
    }

    /// In the order of a record.
    pub fn fields(&self) -> &[ContextField] {
        &self.fields
    }

    /// Nothing but the thread id.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Whether the history of tasks is needed.
    pub fn need_tasks(&self) -> bool {
        self.fields.iter().any(|field| field.is_of_a_task())
    }

    /// All context fields of a stream class.
    pub(crate) fn class(&self) -> Vec<Field> {
        let tid = Field::new("tid", FieldType::Integer(IntegerType::new(32, true)));
        let more = self.fields.iter();
        let more = more.map(|field| Field::new(field.name(), field.field_type()));
        std::iter::once(tid).chain(more).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_and_ordered() {
        for field in ContextField::ALL {
            assert_eq!(ContextField::parse(field.name()), Some(field));
        }
        let contexts = Contexts::of(["procname", "tid", "pid", "procname"]);
        assert_eq!(
            contexts.fields(),
            [ContextField::Pid, ContextField::Procname]
        );
        assert!(contexts.need_tasks());
        assert!(!Contexts::of(["interruptible"]).need_tasks());
        assert!(Contexts::of(["tid"]).is_empty());
    }
}
