//! Random schemas.

use ctf::types::{
    Encoding, EnumEntry, EnumType, EnumValue, FieldByteOrder, FloatType, IntegerType,
};
use ctf::{Field, FieldType};

use super::{Layout, Rng};

/// Which types may occur.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kinds {
    /// All that the model has.
    All,
    /// Without alignments of compound types, which babeltrace2 prints as fields, and without empty
    /// texts, for which babeltrace2 2.0.4 prints an earlier text.
    Printable,
}

pub(super) struct Generator<'r> {
    pub(super) rng: &'r mut Rng,
    pub(super) layout: Layout,
    pub(super) kinds: Kinds,
    pub(super) names: usize,
}

impl Generator<'_> {
    fn name(&mut self) -> String {
        self.names += 1;
        format!("f{}", self.names)
    }

    /// Up to `most` fields, and those that their lengths and tags need.
    pub(super) fn fields(&mut self, most: u64, depth: usize) -> Vec<Field> {
        let mut fields = Vec::new();
        for _ in 0..=self.rng.below(most) {
            self.field(&mut fields, depth);
        }
        fields
    }

    fn field(&mut self, fields: &mut Vec<Field>, depth: usize) {
        let name = self.name();
        let kinds = if depth == 0 { 4 } else { 8 };
        let ty = match self.rng.below(kinds) {
            0 => FieldType::Integer(self.integer()),
            1 => self.float(),
            2 => FieldType::String {
                encoding: self.rng.pick(&[Encoding::Utf8, Encoding::Ascii]),
            },
            3 => FieldType::Enum(self.enumeration(3)),
            4 => FieldType::Array {
                element: Box::new(self.element(depth - 1)),
                length: self.length(),
                align_bits: self.compound_align(),
            },
            5 => {
                let length_name = format!("_{name}_length");
                let length = IntegerType {
                    signed: false,
                    ..self.whole_integer()
                };
                fields.push(Field::new(length_name.clone(), FieldType::Integer(length)));
                FieldType::Sequence {
                    element: Box::new(self.element(depth - 1)),
                    length_name,
                    align_bits: self.compound_align(),
                }
            }
            6 => self.structure(depth - 1),
            _ => {
                let tag_name = format!("{name}_tag");
                let tag = self.enumeration(3);
                // As tracers do: the labels have the underscore that the writer adds to choices.
                let choices = (0..3)
                    .map(|n| Field::new(format!("label{n}"), self.choice(depth - 1)))
                    .collect();
                fields.push(Field::new(tag_name.clone(), FieldType::Enum(tag)));
                FieldType::Variant {
                    tag_name,
                    choices,
                    align_bits: self.compound_align(),
                }
            }
        };
        fields.push(Field::new(name, ty));
    }

    fn length(&mut self) -> u32 {
        let least = u64::from(self.kinds == Kinds::Printable);
        (least + self.rng.below(4 - least)) as u32
    }

    fn compound_align(&mut self) -> u32 {
        if self.kinds == Kinds::All {
            self.rng.pick(&[0, 0, 8, 32, 128])
        } else {
            0
        }
    }

    fn structure(&mut self, depth: usize) -> FieldType {
        let align_bits = self.rng.pick(&[0, 0, 8, 64]);
        FieldType::Struct {
            fields: self.fields(3, depth),
            align_bits,
        }
    }

    fn element(&mut self, depth: usize) -> FieldType {
        match self.rng.below(4) {
            0 => FieldType::Integer(IntegerType {
                encoding: Encoding::Utf8,
                ..IntegerType::new(8, true)
            }),
            1 => FieldType::Integer(self.integer()),
            2 => FieldType::String {
                encoding: Encoding::Utf8,
            },
            _ if depth == 0 => self.float(),
            _ => self.structure(depth),
        }
    }

    fn choice(&mut self, depth: usize) -> FieldType {
        match self.rng.below(4) {
            0 => FieldType::Struct {
                fields: Vec::new(),
                align_bits: 0,
            },
            1 => FieldType::Integer(self.integer()),
            2 => FieldType::String {
                encoding: Encoding::Utf8,
            },
            _ => self.structure(depth),
        }
    }

    fn integer(&mut self) -> IntegerType {
        if self.rng.below(5) == 0 {
            // A bit field. Neighbours in a byte must have the same byte order.
            let size = 1 + self.rng.below(64) as u32;
            return IntegerType {
                align_bits: 1,
                signed: self.rng.below(2) == 0,
                ..IntegerType::new(size, false)
            };
        }
        self.whole_integer()
    }

    fn whole_integer(&mut self) -> IntegerType {
        let size = self.rng.pick(&[8, 16, 32, 64]);
        let signed = self.rng.below(2) == 0;
        IntegerType {
            align_bits: if self.layout.natural { size } else { 8 },
            byte_order: self.rng.pick(&[
                FieldByteOrder::Native,
                FieldByteOrder::Native,
                FieldByteOrder::Reversed,
            ]),
            base: self.rng.pick(&[10, 16]),
            ..IntegerType::new(size, signed)
        }
    }

    fn float(&mut self) -> FieldType {
        let (exp_dig, mant_dig) = self.rng.pick(&[(8, 24), (11, 53)]);
        let align_bits = if self.layout.natural {
            exp_dig + mant_dig
        } else {
            8
        };
        let byte_order = self
            .rng
            .pick(&[FieldByteOrder::Native, FieldByteOrder::Reversed]);
        FieldType::Float(FloatType {
            exp_dig,
            mant_dig,
            byte_order,
            align_bits,
        })
    }

    /// An enumeration with labels that are identifiers, so that it can be a tag.
    fn enumeration(&mut self, labels: i64) -> EnumType {
        let container = IntegerType {
            byte_order: FieldByteOrder::Native,
            base: 10,
            ..self.whole_integer()
        };
        // As the reader sees them: text does not tell the signedness of a positive number.
        let value = |n: i64| u64::try_from(n).map_or(EnumValue::Signed(n), EnumValue::Unsigned);
        let mut entries = Vec::new();
        let mut next = if container.signed { -3 } else { 0 };
        for n in 0..labels {
            let label = format!("_label{n}");
            let end = next + self.rng.below(3) as i64;
            // Without a value an entry goes on from the one before, or from 0.
            let auto = n > 0 && self.rng.below(2) == 0;
            if auto {
                entries.push(EnumEntry::auto(label));
                next += 1;
            } else {
                entries.push(EnumEntry::range(label, value(next), value(end)));
                next = end + 1;
            }
        }
        EnumType {
            container,
            name: String::new(),
            entries,
        }
    }
}
