//! Values of fields.

use super::bits::Int;
use super::error::{DecodeError, DecodeErrorKind};
use super::layout::{alignment, enum_ranges, last_part, selects};
use super::run::Machine;
use crate::types::{ByteOrder, Encoding, EnumType, Field, FieldType, FloatType};

/// A decoded value. Names are those of the model: without the underscore of TSDL.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// An unsigned integer.
    Unsigned {
        /// The number.
        value: u64,
        /// Preferred base for display.
        base: u32,
    },
    /// A signed integer.
    Signed {
        /// The number.
        value: i64,
        /// Preferred base for display.
        base: u32,
        /// Its size, which the display in other bases than ten needs.
        size_bits: u32,
    },
    /// A `float`.
    F32(f32),
    /// A `double`.
    F64(f64),
    /// A string, or an array or sequence of characters up to its first zero. The bytes should be
    /// UTF-8, but a cut may fall inside a character.
    Text(&'a [u8]),
    /// An enumeration.
    Enum {
        /// The number.
        value: i128,
        /// All labels that stand for it, in order of declaration.
        labels: Vec<&'a str>,
    },
    /// An array or sequence.
    Array(Vec<Value<'a>>),
    /// A structure: its members in order.
    Struct(Vec<(&'a str, Value<'a>)>),
    /// A variant.
    Variant {
        /// Name of the chosen field.
        choice: &'a str,
        /// Its value.
        value: Box<Value<'a>>,
    },
}

/// An integer that later fields may refer to.
struct Visible<'a> {
    name: &'a str,
    value: Option<i128>,
    tag: Option<&'a EnumType>,
}

/// Decodes values one after the other.
pub(super) struct Values<'a> {
    machine: Machine<'a>,
    order: ByteOrder,
    visible: Vec<Visible<'a>>,
}

impl<'a> Values<'a> {
    pub(super) fn new(machine: Machine<'a>, order: ByteOrder) -> Self {
        Self {
            machine,
            order,
            visible: Vec::new(),
        }
    }

    /// A structure whose members stay visible for what follows.
    pub(super) fn row(&mut self, ty: &'a FieldType) -> Result<Value<'a>, DecodeError> {
        self.machine.align(alignment(ty))?;
        match ty {
            FieldType::Struct { fields, .. } => self.members(fields),
            other => self.value("", other),
        }
    }

    fn members(&mut self, fields: &'a [Field]) -> Result<Value<'a>, DecodeError> {
        let mut members = Vec::with_capacity(fields.len());
        for field in fields {
            members.push((field.name.as_str(), self.value(&field.name, &field.ty)?));
        }
        Ok(Value::Struct(members))
    }

    /// The value of a field, which becomes visible under `name`.
    fn value(&mut self, name: &'a str, ty: &'a FieldType) -> Result<Value<'a>, DecodeError> {
        self.machine.align(alignment(ty))?;
        let mut visible = Visible {
            name,
            value: None,
            tag: None,
        };
        let value = match ty {
            FieldType::Integer(ty) => {
                let number = self.machine.read(Int::new(ty, self.order))?;
                visible.value = Some(number);
                // The sign of the type decides which of the two it fits.
                if ty.signed {
                    Value::Signed {
                        value: number as i64,
                        base: ty.base,
                        size_bits: ty.size_bits,
                    }
                } else {
                    Value::Unsigned {
                        value: number as u64,
                        base: ty.base,
                    }
                }
            }
            FieldType::Enum(ty) => {
                let value = self.machine.read(Int::new(&ty.container, self.order))?;
                visible.value = Some(value);
                visible.tag = Some(ty);
                Value::Enum {
                    value,
                    labels: labels(ty, value).collect(),
                }
            }
            FieldType::Float(ty) => self.float(ty)?,
            FieldType::String { .. } => Value::Text(self.machine.text()?),
            FieldType::Array {
                element, length, ..
            } => self.elements(element, (*length).into())?,
            FieldType::Sequence {
                element,
                length_name,
                ..
            } => {
                let (length, _) = self.resolve(length_name)?;
                let length = self.machine.length(length)?;
                self.elements(element, length)?
            }
            FieldType::Struct { fields, .. } => {
                let outer = self.visible.len();
                let value = self.members(fields)?;
                self.visible.truncate(outer);
                value
            }
            FieldType::Variant {
                tag_name, choices, ..
            } => self.variant(tag_name, choices)?,
        };
        self.visible.push(visible);
        Ok(value)
    }

    /// Number and, for enumerations, type of the innermost earlier field called `name`. Compilation
    /// has made sure that there is one.
    fn resolve(&self, name: &str) -> Result<(i128, Option<&'a EnumType>), DecodeError> {
        let name = last_part(name);
        let field = self.visible.iter().rev().find(|field| field.name == name);
        match field.map(|field| (field.value, field.tag)) {
            Some((Some(value), tag)) => Ok((value, tag)),
            _ => Err(self.machine.error(DecodeErrorKind::BadLength(0))),
        }
    }

    fn float(&mut self, ty: &FloatType) -> Result<Value<'a>, DecodeError> {
        let size_bits = ty.exp_dig + ty.mant_dig;
        let order = ty.byte_order.resolve(self.order);
        let raw = self.machine.read(Int {
            size_bits,
            signed: false,
            order,
        })?;
        Ok(if size_bits == 32 {
            Value::F32(f32::from_bits(raw as u32))
        } else {
            Value::F64(f64::from_bits(raw as u64))
        })
    }

    fn elements(&mut self, element: &'a FieldType, length: u64) -> Result<Value<'a>, DecodeError> {
        if is_character(element) && self.machine.at.is_multiple_of(8) {
            return self.characters(length);
        }
        let mut values = Vec::new();
        for _ in 0..length {
            self.machine.take_element()?;
            let outer = self.visible.len();
            values.push(self.value("", element)?);
            self.visible.truncate(outer);
        }
        Ok(Value::Array(values))
    }

    /// An array of characters.
    fn characters(&mut self, length: u64) -> Result<Value<'a>, DecodeError> {
        let start = (self.machine.at / 8) as usize;
        let bits = length.checked_mul(8);
        self.machine.skip(bits.unwrap_or(u64::MAX))?;
        let bytes: &'a [u8] = self.machine.bytes;
        let text = &bytes[start..(self.machine.at / 8) as usize];
        Ok(Value::Text(
            text.split(|byte| *byte == 0).next().unwrap_or_default(),
        ))
    }

    fn variant(&mut self, tag_name: &str, choices: &'a [Field]) -> Result<Value<'a>, DecodeError> {
        let (tag, ty) = self.resolve(tag_name)?;
        let selected = ty.and_then(|ty| {
            labels(ty, tag)
                .find_map(|label| choices.iter().find(|field| selects(label, &field.name)))
        });
        let Some(field) = selected else {
            return Err(self.machine.error(DecodeErrorKind::NoChoice(tag)));
        };
        let outer = self.visible.len();
        let value = Box::new(self.value(&field.name, &field.ty)?);
        self.visible.truncate(outer);
        Ok(Value::Variant {
            choice: &field.name,
            value,
        })
    }
}

fn is_character(ty: &FieldType) -> bool {
    matches!(ty, FieldType::Integer(ty)
        if ty.size_bits == 8 && ty.align_bits <= 8 && ty.encoding != Encoding::None)
}

/// The labels that stand for `value`.
fn labels(ty: &EnumType, value: i128) -> impl Iterator<Item = &str> {
    enum_ranges(ty)
        .filter(move |(_, first, last)| (*first..=*last).contains(&value))
        .map(|(label, ..)| label)
}
