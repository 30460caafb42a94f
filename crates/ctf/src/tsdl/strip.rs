//! Undoes what the TSDL writer does to names and alignments, so that a schema that was written and
//! read again is the schema that instrumentation announced.

use super::schema::StructType;
use crate::types::{Field, FieldType};

/// `ty` with field, length and tag names as instrumentation gave them.
pub(super) fn stripped(ty: StructType) -> StructType {
    StructType {
        fields: strip_fields(ty.fields),
        align_bits: ty.align_bits,
    }
}

fn strip_fields(fields: Vec<Field>) -> Vec<Field> {
    let mut out: Vec<Field> = Vec::with_capacity(fields.len());
    for field in fields {
        let name = strip_name(field.name);
        let mut ty = strip_type(field.ty);
        if let Some(align) = compound_align(&mut ty)
            && let Some(bits) = out.last().and_then(|before| padding_before(before, &name))
        {
            *align = bits;
            out.pop();
        }
        out.push(Field { name, ty });
    }
    out
}

/// The alignment of a type that TSDL can only align by a structure before it.
fn compound_align(ty: &mut FieldType) -> Option<&mut u32> {
    match ty {
        FieldType::Array { align_bits, .. }
        | FieldType::Sequence { align_bits, .. }
        | FieldType::Variant { align_bits, .. } => Some(align_bits),
        _ => None,
    }
}

/// The alignment that `field` gives to the field `name` after it, if it is there for that alone.
fn padding_before(field: &Field, name: &str) -> Option<u32> {
    match &field.ty {
        FieldType::Struct { fields, align_bits }
            if fields.is_empty()
                && *align_bits != 0
                && field.name.strip_suffix("_padding") == Some(name) =>
        {
            Some(*align_bits)
        }
        _ => None,
    }
}

fn strip_type(ty: FieldType) -> FieldType {
    match ty {
        FieldType::Array {
            element,
            length,
            align_bits,
        } => FieldType::Array {
            element: Box::new(strip_type(*element)),
            length,
            align_bits,
        },
        FieldType::Sequence {
            element,
            length_name,
            align_bits,
        } => FieldType::Sequence {
            element: Box::new(strip_type(*element)),
            length_name: strip_name(length_name),
            align_bits,
        },
        FieldType::Struct { fields, align_bits } => FieldType::Struct {
            fields: strip_fields(fields),
            align_bits,
        },
        FieldType::Variant {
            tag_name,
            choices,
            align_bits,
        } => FieldType::Variant {
            tag_name: strip_name(tag_name),
            choices: strip_fields(choices),
            align_bits,
        },
        other => other,
    }
}

/// One leading underscore less, in each part of a dotted name.
fn strip_name(name: String) -> String {
    if !name.contains('.') {
        return name.strip_prefix('_').map(str::to_owned).unwrap_or(name);
    }
    let parts: Vec<_> = name
        .split('.')
        .map(|part| part.strip_prefix('_').unwrap_or(part))
        .collect();
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::IntegerType;

    #[test]
    fn a_padding_structure_becomes_the_alignment_of_its_field() {
        let array = |align_bits| FieldType::Array {
            element: Box::new(FieldType::Integer(IntegerType::new(8, false))),
            length: 2,
            align_bits,
        };
        let padding = |name: &str| {
            Field::new(
                name,
                FieldType::Struct {
                    fields: Vec::new(),
                    align_bits: 32,
                },
            )
        };
        let read = StructType {
            fields: vec![
                padding("_a_padding"),
                Field::new("_a", array(0)),
                padding("_other_padding"),
                Field::new("_b", array(0)),
            ],
            align_bits: 0,
        };
        assert_eq!(
            stripped(read).fields,
            [
                Field::new("a", array(32)),
                padding("other_padding"),
                Field::new("b", array(0))
            ]
        );
    }
}
