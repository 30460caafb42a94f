//! The classes of the events.

use ctf::metadata::EventClass;
use ctf::types::{ByteOrder, Encoding, Field, FieldByteOrder, FieldType, IntegerType};

use crate::context::name_type;

/// An event; its number is its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Start,
    End,
    ProcessState,
    ProcessPidNs,
    FileDescriptor,
    Interrupt,
    BlockDevice,
    CpuTopology,
    NetworkInterface,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Start,
        Self::End,
        Self::ProcessState,
        Self::ProcessPidNs,
        Self::FileDescriptor,
        Self::Interrupt,
        Self::BlockDevice,
        Self::CpuTopology,
        Self::NetworkInterface,
    ];

    pub(super) fn id(self) -> u16 {
        self as u16
    }

    fn name(self) -> &'static str {
        match self {
            Self::Start => "lttng_statedump_start",
            Self::End => "lttng_statedump_end",
            Self::ProcessState => "lttng_statedump_process_state",
            Self::ProcessPidNs => "lttng_statedump_process_pid_ns",
            Self::FileDescriptor => "lttng_statedump_file_descriptor",
            Self::Interrupt => "lttng_statedump_interrupt",
            Self::BlockDevice => "lttng_statedump_block_device",
            Self::CpuTopology => "lttng_statedump_cpu_topology",
            Self::NetworkInterface => "lttng_statedump_network_interface",
        }
    }

    fn fields(self) -> Vec<Field> {
        let fields: &[(&str, Type)] = match self {
            Self::Start | Self::End => &[],
            Self::ProcessState => &[
                ("tid", Type::S32),
                ("pid", Type::S32),
                ("ppid", Type::S32),
                ("name", Type::Name),
                ("type", Type::S32),
                ("mode", Type::S32),
                ("submode", Type::S32),
                ("status", Type::S32),
                ("cpu", Type::U32),
                ("file_table_address", Type::X64),
            ],
            Self::ProcessPidNs => &[
                ("tid", Type::S32),
                ("vtid", Type::S32),
                ("vpid", Type::S32),
                ("vppid", Type::S32),
                ("ns_level", Type::S32),
                ("ns_inum", Type::U32),
            ],
            Self::FileDescriptor => &[
                ("file_table_address", Type::X64),
                ("fd", Type::S32),
                ("flags", Type::O32),
                ("fmode", Type::X32),
                ("filename", Type::Text),
            ],
            Self::Interrupt => &[
                ("irq", Type::U32),
                ("name", Type::Text),
                ("action", Type::Text),
                ("tid", Type::S32),
            ],
            Self::BlockDevice => &[("dev", Type::U32), ("diskname", Type::Text)],
            Self::NetworkInterface => &[("name", Type::Text), ("address_ipv4", Type::Network32)],
            Self::CpuTopology => &[
                ("architecture", Type::Text),
                ("cpu_id", Type::U16),
                ("vendor", Type::Text),
                ("family", Type::U8),
                ("model", Type::U8),
                ("model_name", Type::Text),
                ("physical_id", Type::U16),
                ("core_id", Type::U16),
                ("cores", Type::U16),
            ],
        };
        fields
            .iter()
            .map(|(name, ty)| Field::new(*name, ty.field_type()))
            .collect()
    }
}

#[derive(Clone, Copy)]
enum Type {
    U8,
    U16,
    U32,
    S32,
    X32,
    O32,
    X64,
    /// In the network's byte order.
    Network32,
    /// Of a thread.
    Name,
    /// Text with a zero byte after it.
    Text,
}

impl Type {
    fn field_type(self) -> FieldType {
        let integer = |bits, signed, base| {
            let mut ty = IntegerType::new(bits, signed);
            ty.base = base;
            ty
        };
        FieldType::Integer(match self {
            Self::U8 => integer(8, false, 10),
            Self::U16 => integer(16, false, 10),
            Self::U32 => integer(32, false, 10),
            Self::S32 => integer(32, true, 10),
            Self::X32 => integer(32, false, 16),
            Self::O32 => integer(32, false, 8),
            Self::X64 => integer(64, false, 16),
            Self::Network32 => {
                let mut address = integer(32, false, 16);
                address.byte_order = FieldByteOrder::Explicit(ByteOrder::Big);
                address
            }
            Self::Name => return name_type(),
            Self::Text => {
                return FieldType::String {
                    encoding: Encoding::Utf8,
                };
            }
        })
    }
}

/// The event classes of a state dump in the stream class `stream_id`, which has no other events.
pub fn classes(stream_id: u64) -> Vec<EventClass> {
    let class = |kind: Kind| EventClass {
        name: kind.name().to_owned(),
        id: kind.id().into(),
        stream_id,
        loglevel: None,
        model_emf_uri: None,
        fields: kind.fields(),
    };
    Kind::ALL.into_iter().map(class).collect()
}
