//! The text files of tracefs that describe records and pages.
//!
//! ```text
//! name: sched_switch
//! ID: 372
//! format:
//!         field:unsigned short common_type;       offset:0;       size:2; signed:0;
//!         …
//!
//!         field:char prev_comm[16];       offset:8;       size:16;        signed:0;
//!         …
//!
//! print fmt: "prev_comm=%s …", REC->prev_comm, …
//! ```
//!
//! The first group holds the fields that all records have. What a C type is worth follows from its size
//! and sign, which stand beside it; its name only tells text, pointers and masks.

mod declaration;
mod event;
mod page_header;

pub use event::{EventFormat, FormatField, Shape};
pub use page_header::PageHeader;

/// Most bytes of a `format` text: the largest of Linux 6.18 has 24 KiB.
pub const MAX_TEXT: usize = 1 << 20;
/// Most fields of an event.
pub const MAX_FIELDS: usize = 512;

/// Why a text is not the description of an event or a page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// More than [`MAX_TEXT`] bytes.
    #[error("the text has {0} bytes, more than {MAX_TEXT}")]
    TooLong(usize),
    /// More than [`MAX_FIELDS`] fields.
    #[error("more than {MAX_FIELDS} fields")]
    TooManyFields,
    /// A line that has to be there is not.
    #[error("no `{0}` line")]
    Missing(&'static str),
    /// A line that makes no sense.
    #[error("line {line} has no {what}: `{text}`")]
    Malformed {
        /// Number of the line, from 1.
        line: usize,
        /// What was looked for.
        what: &'static str,
        /// The line, or its start.
        text: String,
    },
    /// A page header that does not fit a page.
    #[error("the page header has its `{0}` in an impossible place")]
    PageHeader(&'static str),
}

/// One `field:DECLARATION; offset:N; size:N; signed:N;` line.
struct FieldLine<'t> {
    declaration: &'t str,
    offset: u32,
    size: u32,
    signed: bool,
}

/// The parts of a field line; `None` for any other line.
fn field_line(line: usize, text: &str) -> Option<Result<FieldLine<'_>, FormatError>> {
    let trimmed = text.trim();
    let rest = trimmed
        .strip_prefix("field:")
        .or_else(|| trimmed.strip_prefix("field special:"))?;
    Some(field_parts(rest).map_err(|what| FormatError::Malformed {
        line,
        what,
        text: trimmed.chars().take(120).collect(),
    }))
}

fn field_parts(text: &str) -> Result<FieldLine<'_>, &'static str> {
    let (declaration, attributes) = text.split_once(';').ok_or("`;` after the declaration")?;
    let mut line = FieldLine {
        declaration: declaration.trim(),
        offset: 0,
        size: 0,
        // Kernels before 2.6.33 do not tell.
        signed: false,
    };
    let (mut has_offset, mut has_size) = (false, false);
    for attribute in attributes.split(';') {
        let Some((name, value)) = attribute.split_once(':') else {
            continue;
        };
        let number = || value.trim().parse::<u32>().map_err(|_| "number");
        match name.trim() {
            "offset" => (line.offset, has_offset) = (number()?, true),
            "size" => (line.size, has_size) = (number()?, true),
            "signed" => line.signed = number()? != 0,
            _ => {}
        }
    }
    match (has_offset, has_size) {
        (true, true) => Ok(line),
        (false, _) => Err("offset"),
        (_, false) => Err("size"),
    }
}
