//! Filter expressions in the kernel's language, for the fields of one event.

use filter::kernel::{Content, KernelField, KernelFilterError, Number, translate};
use filter::{Expression, FieldPath, Root, Step};
use kernel::format::{EventFormat, FormatField, PageHeader, Shape};
use kernel::machine::Machine;
use kernel::{names, schema, text};

/// What makes the kernel compare the text of the caller whose address a field has.
const TEXT_OF_CALLER: &str = ".ustring";

/// The filter of an event that several rules mean, of which one is enough: `Some(None)` if one of them
/// asks for nothing, `None` if the event has no chance.
pub(super) fn combine(
    subsystem: &str,
    format: &EventFormat,
    expressions: &[Option<Expression>],
) -> Option<Option<String>> {
    if expressions.iter().any(Option::is_none) {
        return Some(None);
    }
    let texts: Vec<_> = expressions
        .iter()
        .flatten()
        .filter_map(|expression| of(subsystem, format, expression).ok())
        .collect();
    match &texts[..] {
        [] => None,
        [one] => Some(Some(one.clone())),
        several => Some(Some(format!("({})", several.join(") || (")))),
    }
}

/// The expression for an event of `subsystem`.
pub(crate) fn of(
    subsystem: &str,
    format: &EventFormat,
    expression: &Expression,
) -> Result<String, KernelFilterError> {
    translate(expression, &|path| lookup(subsystem, format, path))
}

fn lookup(subsystem: &str, format: &EventFormat, path: &FieldPath) -> Option<KernelField> {
    let [Step::Name(name)] = &path.steps[..] else {
        return None;
    };
    match path.root {
        Root::Payload => {
            let known = |field: &&FormatField| {
                field.name == *name
                    || names::field_name(subsystem, &format.name, &field.name) == name
            };
            let mut fields: Vec<_> = format.fields.iter().filter(known).collect();
            // Of a pointer to text and the text itself, the text.
            fields.sort_by_key(|field| !is_text(field));
            fields.first().map(|field| {
                // The kernel (5.18) can look at text that it does not record.
                let is_address = text::is_address_of_text(subsystem, format, field);
                KernelField {
                    name: match is_address {
                        true => field.name.clone() + TEXT_OF_CALLER,
                        false => field.name.clone(),
                    },
                    content: match is_address || is_text(field) {
                        true => Content::Text,
                        false => number(subsystem, field),
                    },
                }
            })
        }
        Root::Context => {
            let (name, content) = match name.as_str() {
                "tid" => ("common_pid", INT),
                "procname" => ("COMM", Content::Text),
                "cpu_id" => ("CPU", INT),
                _ => return None,
            };
            Some(KernelField {
                name: name.to_owned(),
                content,
            })
        }
        Root::AppContext => None,
    }
}

const INT: Content = Content::Number {
    stored: integer(4, true),
    meant: integer(4, true),
};

const fn integer(bytes: u32, signed: bool) -> Number {
    Number {
        bits: bytes * 8,
        signed,
    }
}

fn number(subsystem: &str, field: &FormatField) -> Content {
    // The kernel takes the address of text for the text.
    let is_address = matches!(field.ty.as_str(), "char *" | "const char *");
    let machine = Machine::native(&PageHeader::LONG_64);
    match schema::number(subsystem, field, &machine) {
        Some((bytes, signed)) if !is_address => Content::Number {
            stored: integer(field.size, field.signed),
            meant: integer(bytes, signed),
        },
        _ => Content::Opaque,
    }
}

fn is_text(field: &FormatField) -> bool {
    let characters = matches!(field.ty.as_str(), "char" | "const char" | "unsigned char");
    characters && field.shape != Shape::Value
}
