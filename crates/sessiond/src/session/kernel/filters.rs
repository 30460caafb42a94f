//! Filter expressions in the kernel's language, for the fields of one event.

use filter::kernel::{KernelField, KernelFilterError, translate};
use filter::{Expression, FieldPath, Root, Step};
use kernel::format::{EventFormat, FormatField, Shape};
use kernel::{names, text};

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

/// Whether a filter of the kernel compares text that the event has only the address of. Not every kernel can.
pub(super) fn reads_text_of_caller(filter: &str) -> bool {
    filter.contains(TEXT_OF_CALLER)
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
                    is_text: is_address || is_text(field),
                }
            })
        }
        Root::Context => {
            let (name, is_text) = match name.as_str() {
                "tid" => ("common_pid", false),
                "procname" => ("COMM", true),
                "cpu_id" => ("CPU", false),
                _ => return None,
            };
            Some(KernelField {
                name: name.to_owned(),
                is_text,
            })
        }
        Root::AppContext => None,
    }
}

fn is_text(field: &FormatField) -> bool {
    let characters = matches!(field.ty.as_str(), "char" | "const char" | "unsigned char");
    characters && field.shape != Shape::Value
}
