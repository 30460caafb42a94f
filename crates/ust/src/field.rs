//! Serialized fields and enumeration entries: records of fixed length, compound types followed by
//! their children.

use ctf::types::{
    Encoding, EnumEntry, EnumType, EnumValue, Field, FieldByteOrder, FieldType, FloatType,
    IntegerType,
};

use crate::text::until_nul;

/// Length of one serialized field (`lttng_ust_ctl_field`) in bytes.
pub const FIELD_BYTES: usize = 920;
/// Length of one serialized enumeration entry (`lttng_ust_ctl_enum_entry`) in bytes.
pub const ENUM_ENTRY_BYTES: usize = 336;

/// Deepest nesting of compound types accepted.
const MAX_DEPTH: usize = 16;
/// Where the type's own members begin.
const UNION: usize = 260;

mod atype {
    pub(super) const INTEGER: u32 = 0;
    pub(super) const STRING: u32 = 4;
    pub(super) const FLOAT: u32 = 5;
    /// What liblttng-ust 2.13 announces for variants although the nestable form follows.
    pub(super) const VARIANT_LEGACY: u32 = 6;
    pub(super) const ENUM: u32 = 8;
    pub(super) const ARRAY: u32 = 9;
    pub(super) const SEQUENCE: u32 = 10;
    pub(super) const STRUCT: u32 = 11;
    pub(super) const VARIANT: u32 = 12;
}

/// The application serialized something that is no field: the event is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FieldError {
    /// The array ends inside a compound type.
    #[error("a compound type has fewer members than it announces")]
    Incomplete,
    /// Beyond [`MAX_DEPTH`].
    #[error("compound types are nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// A text has no end or is no UTF-8.
    #[error("a name has no end or is no UTF-8")]
    Text,
    /// A kind of type that this ABI does not have.
    #[error("unknown type {0}")]
    UnknownType(u32),
    /// A size, alignment or base that no trace can have.
    #[error("{what} of {value}")]
    Value {
        /// Which property.
        what: &'static str,
        /// As announced.
        value: u32,
    },
    /// An enumeration that the application has not announced.
    #[error("unknown enumeration id {0}")]
    UnknownEnum(u64),
}

/// Decodes a field array. `enumeration` finds the entries of an announced enumeration.
pub fn decode_fields(
    bytes: &[u8],
    enumeration: &dyn Fn(u64) -> Option<Vec<EnumEntry>>,
) -> Result<Vec<Field>, FieldError> {
    let (records, rest) = bytes.as_chunks::<FIELD_BYTES>();
    if !rest.is_empty() {
        return Err(FieldError::Incomplete);
    }
    let mut decoder = Decoder {
        records: records.iter(),
        enumeration,
    };
    let mut fields = Vec::new();
    while let Some(field) = decoder.next_field(0)? {
        fields.push(field);
    }
    Ok(fields)
}

/// Decodes the entries of an enumeration.
pub fn decode_enum_entries(bytes: &[u8]) -> Result<Vec<EnumEntry>, FieldError> {
    let (records, rest) = bytes.as_chunks::<ENUM_ENTRY_BYTES>();
    if !rest.is_empty() {
        return Err(FieldError::Incomplete);
    }
    records.iter().map(decode_enum_entry).collect()
}

fn decode_enum_entry(record: &[u8; ENUM_ENTRY_BYTES]) -> Result<EnumEntry, FieldError> {
    const AUTO: u32 = 1;
    let label = until_nul(&record[48..304]).ok_or(FieldError::Text)?;
    if word(record, 304) & AUTO != 0 {
        return Ok(EnumEntry::auto(label));
    }
    let value = |at: usize| {
        let mut raw = [0; 8];
        raw.copy_from_slice(&record[at..at + 8]);
        let value = u64::from_ne_bytes(raw);
        if record[at + 8] != 0 {
            EnumValue::Signed(value as i64)
        } else {
            EnumValue::Unsigned(value)
        }
    };
    Ok(EnumEntry::range(label, value(0), value(24)))
}

struct Decoder<'a> {
    records: std::slice::Iter<'a, [u8; FIELD_BYTES]>,
    enumeration: &'a dyn Fn(u64) -> Option<Vec<EnumEntry>>,
}

impl Decoder<'_> {
    fn next_field(&mut self, depth: usize) -> Result<Option<Field>, FieldError> {
        let Some(record) = self.records.next() else {
            return Ok(None);
        };
        if depth > MAX_DEPTH {
            return Err(FieldError::TooDeep);
        }
        let name = until_nul(&record[..256]).ok_or(FieldError::Text)?;
        Ok(Some(Field::new(name, self.field_type(record, depth)?)))
    }

    fn field_type(&mut self, record: &[u8], depth: usize) -> Result<FieldType, FieldError> {
        let union = &record[UNION..];
        match word(record, 256) {
            atype::INTEGER => Ok(FieldType::Integer(integer(union)?)),
            atype::STRING => Ok(FieldType::String {
                encoding: encoding(word(union, 0))?,
            }),
            atype::FLOAT => float(union),
            atype::ENUM => self.enumeration(union, depth),
            atype::ARRAY => Ok(FieldType::Array {
                length: word(union, 0),
                align_bits: byte_alignment(word(union, 4))?,
                element: Box::new(self.child(depth)?.ty),
            }),
            atype::SEQUENCE => Ok(FieldType::Sequence {
                length_name: text(&union[..256])?,
                align_bits: byte_alignment(word(union, 256))?,
                element: Box::new(self.child(depth)?.ty),
            }),
            atype::STRUCT => Ok(FieldType::Struct {
                align_bits: byte_alignment(word(union, 4))?,
                fields: self.children(word(union, 0), depth)?,
            }),
            atype::VARIANT | atype::VARIANT_LEGACY => Ok(FieldType::Variant {
                tag_name: text(&union[4..260])?,
                align_bits: byte_alignment(word(union, 260))?,
                choices: self.children(word(union, 0), depth)?,
            }),
            other => Err(FieldError::UnknownType(other)),
        }
    }

    fn enumeration(&mut self, union: &[u8], depth: usize) -> Result<FieldType, FieldError> {
        let name = text(&union[..256])?;
        let mut raw = [0; 8];
        raw.copy_from_slice(&union[256..264]);
        let id = u64::from_ne_bytes(raw);
        let entries = (self.enumeration)(id).ok_or(FieldError::UnknownEnum(id))?;
        match self.child(depth)?.ty {
            FieldType::Integer(container) => Ok(FieldType::Enum(EnumType {
                container,
                name,
                entries,
            })),
            _ => Err(FieldError::Incomplete),
        }
    }

    fn child(&mut self, depth: usize) -> Result<Field, FieldError> {
        self.next_field(depth + 1)?.ok_or(FieldError::Incomplete)
    }

    fn children(&mut self, count: u32, depth: usize) -> Result<Vec<Field>, FieldError> {
        if count as usize > self.records.len() {
            return Err(FieldError::Incomplete);
        }
        (0..count).map(|_| self.child(depth)).collect()
    }
}

fn integer(union: &[u8]) -> Result<IntegerType, FieldError> {
    let size_bits = word(union, 0);
    if !(1..=64).contains(&size_bits) {
        return Err(FieldError::Value {
            what: "an integer size in bits",
            value: size_bits,
        });
    }
    let base = word(union, 12);
    if !matches!(base, 2 | 8 | 10 | 16) {
        return Err(FieldError::Value {
            what: "a base",
            value: base,
        });
    }
    Ok(IntegerType {
        size_bits,
        signed: word(union, 4) != 0,
        byte_order: byte_order(word(union, 8)),
        base,
        encoding: encoding(word(union, 16))?,
        align_bits: bit_alignment(u16::from_ne_bytes([union[20], union[21]]).into())?,
    })
}

fn float(union: &[u8]) -> Result<FieldType, FieldError> {
    let (exp_dig, mant_dig) = (word(union, 0), word(union, 4));
    // What readers know: single and double precision.
    if !matches!((exp_dig, mant_dig), (8, 24) | (11, 53)) {
        return Err(FieldError::Value {
            what: "a mantissa in bits",
            value: mant_dig,
        });
    }
    Ok(FieldType::Float(FloatType {
        exp_dig,
        mant_dig,
        byte_order: byte_order(word(union, 8)),
        align_bits: bit_alignment(u16::from_ne_bytes([union[12], union[13]]).into())?,
    }))
}

fn byte_order(reverse: u32) -> FieldByteOrder {
    if reverse == 0 {
        FieldByteOrder::Native
    } else {
        FieldByteOrder::Reversed
    }
}

fn encoding(number: u32) -> Result<Encoding, FieldError> {
    match number {
        0 => Ok(Encoding::None),
        1 => Ok(Encoding::Utf8),
        2 => Ok(Encoding::Ascii),
        value => Err(FieldError::Value {
            what: "an encoding",
            value,
        }),
    }
}

fn bit_alignment(bits: u32) -> Result<u32, FieldError> {
    if bits.is_power_of_two() && bits <= 4096 {
        Ok(bits)
    } else {
        Err(FieldError::Value {
            what: "an alignment in bits",
            value: bits,
        })
    }
}

/// 0 stands for "none of its own".
fn byte_alignment(bytes: u32) -> Result<u32, FieldError> {
    if bytes == 0 {
        Ok(0)
    } else {
        bit_alignment(bytes.saturating_mul(8))
    }
}

fn text(bytes: &[u8]) -> Result<String, FieldError> {
    until_nul(bytes).map(str::to_owned).ok_or(FieldError::Text)
}

/// Reads a word; all offsets here are inside a record.
fn word(bytes: &[u8], at: usize) -> u32 {
    let mut raw = [0; 4];
    raw.copy_from_slice(&bytes[at..at + 4]);
    u32::from_ne_bytes(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, atype: u32) -> Vec<u8> {
        let mut bytes = vec![0; FIELD_BYTES];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        bytes[256..260].copy_from_slice(&atype.to_ne_bytes());
        bytes
    }

    fn put(record: &mut [u8], at: usize, value: u32) {
        record[UNION + at..UNION + at + 4].copy_from_slice(&value.to_ne_bytes());
    }

    fn int(name: &str, bits: u32) -> Vec<u8> {
        let mut bytes = record(name, atype::INTEGER);
        put(&mut bytes, 0, bits);
        put(&mut bytes, 4, 1);
        put(&mut bytes, 12, 10);
        bytes[UNION + 20] = 8;
        bytes
    }

    fn decode(parts: &[Vec<u8>]) -> Result<Vec<Field>, FieldError> {
        decode_fields(&parts.concat(), &|id| {
            (id == 1).then(|| vec![EnumEntry::auto("A")])
        })
    }

    #[test]
    fn an_array_takes_the_record_that_follows() {
        let mut array = record("arr", atype::ARRAY);
        put(&mut array, 0, 4);
        let fields = decode(&[int("i", 32), array, int("", 8), int("j", 64)]).unwrap();
        assert_eq!(fields.len(), 3);
        let FieldType::Array {
            element,
            length: 4,
            align_bits: 0,
        } = &fields[1].ty
        else {
            panic!("{fields:?}")
        };
        assert_eq!(**element, FieldType::Integer(IntegerType::new(8, true)));
        assert_eq!(fields[2].name, "j");
    }

    #[test]
    fn an_enumeration_must_have_been_announced() {
        let mut field = record("e", atype::ENUM);
        field[UNION] = b'c';
        field[UNION + 256] = 1;
        assert!(decode(&[field.clone(), int("", 32)]).is_ok());
        field[UNION + 256] = 2;
        assert_eq!(
            decode(&[field, int("", 32)]),
            Err(FieldError::UnknownEnum(2))
        );
    }

    #[test]
    fn variants_come_under_two_numbers() {
        for number in [atype::VARIANT, atype::VARIANT_LEGACY] {
            let mut variant = record("$app.p:c", number);
            put(&mut variant, 0, 2);
            variant[UNION + 4] = b't';
            let fields = decode(&[variant, record("none", atype::STRUCT), int("int8", 8)]).unwrap();
            let FieldType::Variant { choices, .. } = &fields[0].ty else {
                panic!("{fields:?}")
            };
            assert_eq!(choices.len(), 2);
        }
    }

    #[test]
    fn what_is_missing_or_absurd_is_refused() {
        let mut array = record("arr", atype::ARRAY);
        put(&mut array, 0, 4);
        assert_eq!(
            decode(std::slice::from_ref(&array)),
            Err(FieldError::Incomplete)
        );
        assert!(decode(&[int("i", 65)]).is_err());
        assert!(decode(&[record("l", 3)]).is_err());
        let nested: Vec<_> = (0..40).map(|_| array.clone()).collect();
        assert_eq!(decode(&nested), Err(FieldError::TooDeep));
        let mut huge = record("s", atype::STRUCT);
        put(&mut huge, 0, u32::MAX);
        assert_eq!(decode(&[huge]), Err(FieldError::Incomplete));
    }

    #[test]
    fn enumeration_entries_keep_their_signedness() {
        let mut entry = vec![0; ENUM_ENTRY_BYTES];
        entry[..8].copy_from_slice(&(-1_i64).to_ne_bytes());
        entry[8] = 1;
        entry[24..32].copy_from_slice(&5_i64.to_ne_bytes());
        entry[32] = 1;
        entry[48] = b'R';
        let expected = EnumEntry::range("R", EnumValue::Signed(-1), EnumValue::Signed(5));
        assert_eq!(decode_enum_entries(&entry), Ok(vec![expected]));
    }
}
