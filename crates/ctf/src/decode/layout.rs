//! Properties of field types that both ways of walking over values need.

use crate::types::{EnumMapping, EnumType, Field, FieldType};

/// Alignment of a type in bits: its own or the largest of its members'.
pub(super) fn alignment(ty: &FieldType) -> u64 {
    let fields = |fields: &[Field]| {
        fields
            .iter()
            .map(|field| alignment(&field.ty))
            .max()
            .unwrap_or(1)
    };
    let (own, inner) = match ty {
        FieldType::Integer(ty) => (ty.align_bits, 1),
        FieldType::Float(ty) => (ty.align_bits, 1),
        FieldType::String { .. } => (8, 1),
        FieldType::Enum(ty) => (ty.container.align_bits, 1),
        FieldType::Array {
            element,
            align_bits,
            ..
        }
        | FieldType::Sequence {
            element,
            align_bits,
            ..
        } => (*align_bits, alignment(element)),
        FieldType::Struct {
            fields: members,
            align_bits,
        } => (*align_bits, fields(members)),
        // The chosen field aligns itself.
        FieldType::Variant { align_bits, .. } => (*align_bits, 1),
    };
    u64::from(own).max(inner)
}

/// First and last value of each entry of an enumeration, in order.
pub(super) fn enum_ranges(ty: &EnumType) -> impl Iterator<Item = (&str, i128, i128)> {
    let mut next = 0;
    ty.entries.iter().map(move |entry| {
        let (start, end) = match entry.mapping {
            EnumMapping::Auto => (next, next),
            EnumMapping::Range { start, end } => (start.to_i128(), end.to_i128()),
        };
        next = end + 1;
        (entry.label.as_str(), start, end)
    })
}

/// Whether the label of a tag selects the choice `name`. Names of choices have lost the underscore
/// that labels keep.
pub(super) fn selects(label: &str, name: &str) -> bool {
    label == name || label.strip_prefix('_') == Some(name)
}

/// The last part of a name such as `stream.event.context.x`.
pub(super) fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// Whether a value that starts at a whole byte ends at one.
pub(super) fn is_whole_bytes(ty: &FieldType) -> bool {
    let fields = |fields: &[Field]| fields.iter().all(|field| is_whole_bytes(&field.ty));
    match ty {
        FieldType::Integer(ty) => ty.size_bits.is_multiple_of(8),
        FieldType::Enum(ty) => ty.container.size_bits.is_multiple_of(8),
        FieldType::Float(_) | FieldType::String { .. } => true,
        FieldType::Array { element, .. } | FieldType::Sequence { element, .. } => {
            is_whole_bytes(element)
        }
        FieldType::Struct {
            fields: members, ..
        } => fields(members),
        FieldType::Variant { choices, .. } => fields(choices),
    }
}
