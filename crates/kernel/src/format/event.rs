//! The `format` file of an event.

use super::{FormatError, MAX_FIELDS, MAX_TEXT, declaration, field_line};

/// What the kernel says about the records of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFormat {
    /// The kernel's name, without the subsystem.
    pub name: String,
    /// What `common_type` is in its records.
    pub id: u32,
    /// Fields that all events have: `common_type`, `common_pid` …
    pub common: Vec<FormatField>,
    /// Fields of this event.
    pub fields: Vec<FormatField>,
    /// How the kernel would print a record: the C arguments of its `printk`.
    pub print_fmt: String,
}

/// One field of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatField {
    /// The kernel's name.
    pub name: String,
    /// C type, of one element if the field is an array; single spaces, stars apart.
    pub ty: String,
    /// Whether it is a value, an array, or tells where an array is.
    pub shape: Shape,
    /// Bytes from the start of the record.
    pub offset: u32,
    /// Bytes of all elements.
    pub size: u32,
    /// Two's complement.
    pub signed: bool,
}

/// The form of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One value of `size` bytes.
    Value,
    /// That many elements in `size` bytes; 0 if the number has to follow from the type.
    Array(u32),
    /// Elements up to the end of the record.
    Rest,
    /// A word: in its low half the offset of the elements from the start of the record, in its high half
    /// their size in bytes.
    DataLoc,
    /// The same, with the offset counted from the end of the word.
    RelLoc,
}

impl EventFormat {
    /// Reads the text of a `format` file.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        if text.len() > MAX_TEXT {
            return Err(FormatError::TooLong(text.len()));
        }
        let (mut name, mut id) = (None, None);
        let mut format = Self {
            name: String::new(),
            id: 0,
            common: Vec::new(),
            fields: Vec::new(),
            print_fmt: String::new(),
        };
        let mut has_fields = false;
        let mut lines = text.lines().enumerate();
        for (at, line) in &mut lines {
            let malformed = |what| FormatError::Malformed {
                line: at + 1,
                what,
                text: line.trim().chars().take(120).collect(),
            };
            if let Some(field) = field_line(at + 1, line) {
                let field = field?;
                let declared = declaration::parse(field.declaration).map_err(malformed)?;
                let field = FormatField {
                    name: declared.name,
                    ty: declared.ty,
                    shape: declared.shape,
                    offset: field.offset,
                    size: field.size,
                    signed: field.signed,
                };
                format.add(field)?;
            } else if let Some(rest) = line.strip_prefix("name:") {
                name = Some(rest.trim());
            } else if let Some(rest) = line.strip_prefix("ID:") {
                id = Some(rest.trim().parse().map_err(|_| malformed("number"))?);
            } else if line.trim_end() == "format:" {
                has_fields = true;
            } else if let Some(rest) = line.strip_prefix("print fmt:") {
                format.print_fmt = rest.trim().to_owned();
            }
        }
        format.name = name
            .filter(|name| !name.is_empty())
            .ok_or(FormatError::Missing("name"))?
            .to_owned();
        format.id = id.ok_or(FormatError::Missing("ID"))?;
        if !has_fields {
            return Err(FormatError::Missing("format"));
        }
        Ok(format)
    }

    fn add(&mut self, field: FormatField) -> Result<(), FormatError> {
        if self.common.len() + self.fields.len() == MAX_FIELDS {
            return Err(FormatError::TooManyFields);
        }
        // By the name and not by the empty line: an event can be without fields of its own.
        if field.name.starts_with("common_") && self.fields.is_empty() {
            self.common.push(field);
        } else {
            self.fields.push(field);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "name: block_rq_issue\nID: 1120\nformat:\n\
        \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
        \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n\
        \tfield:dev_t dev;\toffset:8;\tsize:4;\tsigned:0;\n\
        \tfield:char rwbs[8];\toffset:40;\tsize:8;\tsigned:1;\n\
        \tfield:__data_loc char[] cmd;\toffset:64;\tsize:4;\tsigned:1;\n\n\
        print fmt: \"%d,%d %s\", ((unsigned int) ((REC->dev) >> 20)), REC->rwbs\n";

    #[test]
    fn a_format_is_read() {
        let format = EventFormat::parse(TEXT).unwrap();
        assert_eq!((format.name.as_str(), format.id), ("block_rq_issue", 1120));
        let names = |fields: &[FormatField]| -> Vec<String> {
            fields.iter().map(|field| field.name.clone()).collect()
        };
        assert_eq!(names(&format.common), ["common_type", "common_pid"]);
        assert_eq!(names(&format.fields), ["dev", "rwbs", "cmd"]);
        let rwbs = &format.fields[1];
        assert_eq!(
            (rwbs.shape, rwbs.offset, rwbs.size, rwbs.signed),
            (Shape::Array(8), 40, 8, true)
        );
        assert!(format.print_fmt.starts_with("\"%d,%d %s\", "));
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        let wrong = TEXT.replace("offset:40", "offset:forty");
        let error = EventFormat::parse(&wrong).unwrap_err().to_string();
        assert!(
            error.starts_with("line 8 has no number: `field:char"),
            "{error}"
        );
        let wrong = TEXT.replace("ID: 1120", "ID: x");
        assert!(matches!(
            EventFormat::parse(&wrong),
            Err(FormatError::Malformed { line: 2, .. })
        ));
        for (line, what) in [("name:", "name"), ("ID:", "ID"), ("format:", "format")] {
            let without = TEXT.replacen(line, "x", 1);
            assert_eq!(
                EventFormat::parse(&without),
                Err(FormatError::Missing(what))
            );
        }
        assert_eq!(
            EventFormat::parse(&"x".repeat(MAX_TEXT + 1)),
            Err(FormatError::TooLong(MAX_TEXT + 1))
        );
    }
}
