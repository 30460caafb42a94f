//! Field types: what a value in a trace looks like, as instrumentation announces it.
//!
//! Names in this model are the instrumentation's own: no leading underscore, not yet sanitised.
//! The TSDL writer adds and the TSDL reader removes what the text needs.

/// Order of the bytes of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ByteOrder {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

impl ByteOrder {
    /// The order of the machine this code runs on.
    pub const NATIVE: Self = if cfg!(target_endian = "big") {
        Self::Big
    } else {
        Self::Little
    };

    /// The other order.
    pub fn reversed(self) -> Self {
        match self {
            Self::Little => Self::Big,
            Self::Big => Self::Little,
        }
    }
}

/// Byte order of one field, relative to the trace it is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FieldByteOrder {
    /// That of the trace; nothing is written in the metadata.
    #[default]
    Native,
    /// The opposite of the trace's (network-order fields on a little-endian machine).
    Reversed,
    /// Named in the metadata.
    Explicit(ByteOrder),
}

impl FieldByteOrder {
    /// The absolute order, in a trace whose own order is `trace`.
    pub fn resolve(self, trace: ByteOrder) -> ByteOrder {
        match self {
            Self::Native => trace,
            Self::Reversed => trace.reversed(),
            Self::Explicit(order) => order,
        }
    }
}

/// Whether the bytes of an integer or string are text, and in which encoding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Not text.
    #[default]
    None,
    /// UTF-8.
    Utf8,
    /// ASCII.
    Ascii,
}

/// An integer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IntegerType {
    /// Size in bits, 1 to 64.
    pub size_bits: u32,
    /// Two's complement if set.
    pub signed: bool,
    /// Byte order.
    pub byte_order: FieldByteOrder,
    /// Preferred base for display: 2, 8, 10 or 16.
    pub base: u32,
    /// Text encoding, when the integer is a character.
    pub encoding: Encoding,
    /// Alignment in bits, a power of two.
    pub align_bits: u32,
}

impl IntegerType {
    /// A decimal integer without encoding, byte-aligned, in the byte order of the trace.
    pub fn new(size_bits: u32, signed: bool) -> Self {
        Self {
            size_bits,
            signed,
            byte_order: FieldByteOrder::Native,
            base: 10,
            encoding: Encoding::None,
            align_bits: 8,
        }
    }
}

/// An IEEE 754 number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FloatType {
    /// Exponent digits: 8 for a `float`, 11 for a `double`.
    pub exp_dig: u32,
    /// Mantissa digits with the implicit one: 24 for a `float`, 53 for a `double`.
    pub mant_dig: u32,
    /// Byte order.
    pub byte_order: FieldByteOrder,
    /// Alignment in bits, a power of two.
    pub align_bits: u32,
}

/// One end of an enumeration mapping, with the signedness it was announced with. What has been read
/// from TSDL is signed only if it is negative: the text does not tell more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EnumValue {
    /// A signed value.
    Signed(i64),
    /// An unsigned value.
    Unsigned(u64),
}

impl EnumValue {
    /// The number, whatever its signedness.
    pub fn to_i128(self) -> i128 {
        match self {
            Self::Signed(value) => value.into(),
            Self::Unsigned(value) => value.into(),
        }
    }
}

/// Which values a label of an enumeration stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EnumMapping {
    /// The value after the end of the entry before, or 0 for the first entry.
    Auto,
    /// All values from `start` to `end`, both included.
    Range {
        /// First value.
        start: EnumValue,
        /// Last value.
        end: EnumValue,
    },
}

/// A label of an enumeration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EnumEntry {
    /// The label, unescaped.
    pub label: String,
    /// Its values.
    pub mapping: EnumMapping,
}

impl EnumEntry {
    /// A label for one value.
    pub fn value(label: impl Into<String>, value: EnumValue) -> Self {
        Self::range(label, value, value)
    }

    /// A label for a range of values, both ends included.
    pub fn range(label: impl Into<String>, start: EnumValue, end: EnumValue) -> Self {
        Self {
            label: label.into(),
            mapping: EnumMapping::Range { start, end },
        }
    }

    /// A label whose value follows from the entry before it.
    pub fn auto(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            mapping: EnumMapping::Auto,
        }
    }
}

/// An enumeration. Its byte order on the wire is that of the trace: the TSDL of LTTng does not
/// write the byte order of a container.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EnumType {
    /// The integer that holds the value.
    pub container: IntegerType,
    /// Name of the enumeration, as instrumentation gave it; not written to TSDL.
    pub name: String,
    /// Labels, in order of declaration.
    pub entries: Vec<EnumEntry>,
}

/// The type of a field.
///
/// Alignments of compound types (`align_bits`) are 0 when only their members decide.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FieldType {
    /// An integer.
    Integer(IntegerType),
    /// A floating point number.
    Float(FloatType),
    /// A string that ends with a zero byte.
    String {
        /// Encoding; `None` is taken for UTF-8.
        encoding: Encoding,
    },
    /// An enumeration.
    Enum(EnumType),
    /// A fixed number of elements.
    Array {
        /// Type of one element.
        element: Box<FieldType>,
        /// Number of elements.
        length: u32,
        /// Alignment in bits before the first element, or 0.
        align_bits: u32,
    },
    /// As many elements as an earlier integer field says.
    Sequence {
        /// Type of one element.
        element: Box<FieldType>,
        /// Name of the field that holds the number of elements.
        length_name: String,
        /// Alignment in bits before the first element, or 0.
        align_bits: u32,
    },
    /// Named members.
    Struct {
        /// Members in order.
        fields: Vec<Field>,
        /// Alignment in bits, or 0.
        align_bits: u32,
    },
    /// One of several fields, chosen by the label of an earlier enumeration.
    Variant {
        /// Name of the enumeration field that chooses.
        tag_name: String,
        /// The fields to choose from.
        choices: Vec<Field>,
        /// Alignment in bits before the chosen field, or 0.
        align_bits: u32,
    },
}

/// A named value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Field {
    /// Name without the underscore that TSDL puts in front.
    pub name: String,
    /// Type.
    pub ty: FieldType,
}

impl Field {
    /// A field `name` of type `ty`.
    pub fn new(name: impl Into<String>, ty: FieldType) -> Self {
        Self {
            name: name.into(),
            ty,
        }
    }
}
