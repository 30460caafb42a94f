//! From the fields of a record to fields of a trace and the steps between them.

use ctf::types::{
    ByteOrder, Encoding, EnumEntry, EnumType, EnumValue, Field, FieldType, IntegerType,
};

use super::{SchemaError, ctype};
use crate::format::{EventFormat, FormatField, Shape};
use crate::machine::Machine;
use crate::names;
use crate::print::{Hint, Hints};
use crate::program::{Base, Builder, Program, Step};
use crate::text;

/// Largest record that the kernel writes into an event.
const MAX_RECORD: u32 = 1 << 16;

/// Works out all fields of an event.
pub(super) fn compile(
    format: &EventFormat,
    subsystem: &str,
    machine: &Machine,
) -> Result<(Vec<Field>, Program), SchemaError> {
    let mut compiler = Compiler {
        format,
        subsystem,
        machine,
        hints: Hints::default(),
        fields: Vec::new(),
        program: Builder::default(),
    };
    // The kernel prints every argument of a system call in hexadecimal.
    if subsystem != names::SYSCALLS {
        compiler.hints = Hints::parse(&format.print_fmt);
    }
    for field in &format.fields {
        compiler.field(field)?;
    }
    Ok((compiler.fields, compiler.program.finish()))
}

/// Bytes and sign of the number that a value is in the trace.
pub(super) fn number(subsystem: &str, field: &FormatField, machine: &Machine) -> (u32, bool) {
    let of_type = || ctype::integer(&field.ty, machine.long_size());
    let argument = (subsystem == names::SYSCALLS).then(of_type).flatten();
    let fits = argument.filter(|(size, _)| *size <= field.size);
    fits.unwrap_or((field.size, field.signed))
}

struct Compiler<'f> {
    format: &'f EventFormat,
    subsystem: &'f str,
    machine: &'f Machine,
    hints: Hints,
    fields: Vec<Field>,
    program: Builder,
}

impl Compiler<'_> {
    fn field(&mut self, field: &FormatField) -> Result<(), SchemaError> {
        if self.is_left_out(field) {
            return Ok(());
        }
        let end = field.offset.checked_add(field.size);
        if end.is_none_or(|end| end > MAX_RECORD) {
            return Err(SchemaError::Place {
                event: self.format.name.clone(),
                field: field.name.clone(),
            });
        }
        let name = self.unused_name(field);
        match field.shape {
            Shape::Value => match self.text_behind(field) {
                Some((text, base)) => self.text_or_address(name, field, text, base),
                None => self.value(name, field),
            },
            Shape::Array(count) => self.array(name, field, count),
            Shape::DataLoc => self.located(name, field, Base::Record),
            Shape::RelLoc => self.located(name, field, Base::Word),
            Shape::Rest => self.rest(name, field),
        }
        Ok(())
    }

    /// What says nothing more than the event's name does, and the text behind an address, which is at the
    /// place of the address.
    fn is_left_out(&self, field: &FormatField) -> bool {
        if field.size == 0 && field.shape != Shape::Rest {
            return true;
        }
        if self.subsystem != names::SYSCALLS {
            return false;
        }
        let is_number = field.name == "__syscall_nr"
            // What it was called before Linux 4.5. Arguments can have that name too.
            || field.name == "nr" && self.format.fields.first() == Some(field);
        let address = || {
            let argument = text::argument_of(&field.name)?;
            self.field_named(argument)
        };
        is_number || address().is_some_and(|address| self.text_behind(address).is_some())
    }

    fn field_named(&self, name: &str) -> Option<&FormatField> {
        self.format.fields.iter().find(|field| field.name == name)
    }

    /// The location of the text whose address is in this field.
    fn text_behind(&self, address: &FormatField) -> Option<(u32, Base)> {
        if self.subsystem != names::SYSCALLS || !ctype::is_pointer(&address.ty) {
            return None;
        }
        let name = text::text_field(&address.name);
        let text = self.field_named(&name)?;
        let base = match text.shape {
            Shape::DataLoc => Base::Record,
            Shape::RelLoc => Base::Word,
            _ => return None,
        };
        ctype::is_char(&text.ty).then_some((text.offset, base))
    }

    /// Text that the kernel could not read is the address of it.
    fn text_or_address(&mut self, name: String, address: &FormatField, at: u32, base: Base) {
        let (from, size, _) = self.place(address);
        self.fields.push(Field::new(name, text_type()));
        self.program.needs(from, size);
        let step = Step::TextOrAddress {
            at,
            base,
            from,
            size,
        };
        self.program.push(step, at, 4);
    }

    /// The name in the trace. Readers refuse an event with two fields of one name.
    fn unused_name(&self, field: &FormatField) -> String {
        let wanted = names::field_name(self.subsystem, &self.format.name, &field.name);
        let mut name = wanted.to_owned();
        let mut count = 2;
        while self.fields.iter().any(|field| field.name == name) {
            name = format!("{wanted}_{count}");
            count += 1;
        }
        name
    }

    fn value(&mut self, name: String, field: &FormatField) {
        let (from, size, signed) = self.place(field);
        if !matches!(size, 1 | 2 | 4 | 8) {
            // A structure.
            return self.array(name, field, 0);
        }
        let mut integer = IntegerType::new(size * 8, signed);
        let mut symbols = None;
        if ctype::is_pointer(&field.ty) || ctype::is_aggregate(&field.ty) {
            integer.base = 16;
            integer.signed = false;
        } else {
            match self.hints.get(&field.name) {
                Some(Hint::Hex) => integer.base = 16,
                Some(Hint::Octal) => integer.base = 8,
                Some(Hint::Symbols(known)) if !names::has_plain_numbers(self.subsystem) => {
                    symbols = Some(entries(known, &integer));
                }
                _ => {}
            }
        }
        let ty = match symbols {
            Some(entries) if !entries.is_empty() => FieldType::Enum(EnumType {
                container: integer,
                name: String::new(),
                entries,
            }),
            _ => FieldType::Integer(integer),
        };
        self.fields.push(Field::new(name, ty));
        self.program.copy(from, size);
    }

    /// Offset, bytes and sign of a value. An argument of a system call lies in a larger word, whatever it is.
    fn place(&self, field: &FormatField) -> (u32, u32, bool) {
        let (size, signed) = number(self.subsystem, field, self.machine);
        let skipped = match self.machine.byte_order {
            ByteOrder::Little => 0,
            ByteOrder::Big => field.size - size,
        };
        (field.offset + skipped, size, signed)
    }

    fn array(&mut self, name: String, field: &FormatField, count: u32) {
        if self.subsystem == "block" && field.name == "rwbs" && ctype::is_char(&field.ty) {
            let mut flags = IntegerType::new(32, false);
            flags.base = 16;
            self.fields
                .push(Field::new(name, FieldType::Integer(flags)));
            let (from, len) = (field.offset, field.size);
            return self.program.push(Step::Rwbs { from, len }, from, len);
        }
        let mut element_size = match count {
            0 => self.element_size(&field.ty),
            count => field.size / count,
        };
        if count != 0 && !field.size.is_multiple_of(count)
            || !matches!(element_size, 1 | 2 | 4 | 8)
            || !field.size.is_multiple_of(element_size)
        {
            element_size = 1;
        }
        let element = self.element(field, element_size);
        let ty = FieldType::Array {
            element: Box::new(FieldType::Integer(element)),
            length: field.size / element_size,
            align_bits: 0,
        };
        self.fields.push(Field::new(name, ty));
        self.program.copy(field.offset, field.size);
    }

    fn located(&mut self, name: String, field: &FormatField, base: Base) {
        let at = field.offset;
        if ctype::is_char(&field.ty) {
            self.fields.push(Field::new(name, text_type()));
            return self.program.push(Step::Text { at, base }, at, 4);
        }
        let element = self.element_size(&field.ty);
        self.sequence(name, field, element, 16);
        let step = Step::Elements { at, base, element };
        self.program.push(step, at, 4);
    }

    fn rest(&mut self, name: String, field: &FormatField) {
        let from = field.offset;
        if ctype::is_char(&field.ty) {
            self.fields.push(Field::new(name, text_type()));
            return self.program.push(Step::RestText { from }, from, 0);
        }
        let element = self.element_size(&field.ty);
        self.sequence(name, field, element, 32);
        let step = Step::RestElements { from, element };
        self.program.push(step, from, 0);
    }

    fn sequence(&mut self, name: String, field: &FormatField, element_size: u32, length_bits: u32) {
        let length_name = format!("_{name}_length");
        let element = self.element(field, element_size);
        self.fields.push(Field::new(
            length_name.clone(),
            FieldType::Integer(IntegerType::new(length_bits, false)),
        ));
        let ty = FieldType::Sequence {
            element: Box::new(FieldType::Integer(element)),
            length_name,
            align_bits: 0,
        };
        self.fields.push(Field::new(name, ty));
    }

    fn element_size(&self, ty: &str) -> u32 {
        let long = self.machine.long_size();
        if ctype::is_mask(ty) || ctype::is_pointer(ty) {
            return long;
        }
        ctype::integer(ty, long).map_or(1, |(size, _)| size)
    }

    /// The type of an element of `size` bytes.
    fn element(&self, field: &FormatField, size: u32) -> IntegerType {
        let known = ctype::integer(&field.ty, self.machine.long_size());
        let (signed, is_what_it_says) = match known {
            Some((known_size, signed)) if known_size == size => (signed, true),
            _ => (false, false),
        };
        let mut element = IntegerType::new(size * 8, signed);
        let opaque = !is_what_it_says
            || ctype::is_mask(&field.ty)
            || ctype::is_pointer(&field.ty)
            || ctype::is_aggregate(&field.ty);
        if ctype::is_char(&field.ty) && size == 1 {
            element.encoding = Encoding::Utf8;
            // As everywhere: the sign of a `char` is the machine's business, and this is text.
            element.signed = false;
        } else if opaque {
            element.base = 16;
        }
        element
    }
}

fn text_type() -> FieldType {
    FieldType::String {
        encoding: Encoding::Utf8,
    }
}

/// The labels whose values fit `integer`.
fn entries(symbols: &[(i128, String)], integer: &IntegerType) -> Vec<EnumEntry> {
    let bits = integer.size_bits;
    symbols
        .iter()
        .filter_map(|(value, label)| {
            let value = if integer.signed {
                let value = i64::try_from(*value).ok()?;
                let limit = 1i128 << (bits - 1);
                let fits = (-limit..limit).contains(&i128::from(value));
                EnumValue::Signed(fits.then_some(value)?)
            } else {
                let value = u64::try_from(*value).ok()?;
                let fits = u128::from(value) < 1 << bits;
                EnumValue::Unsigned(fits.then_some(value)?)
            };
            Some(EnumEntry::value(label.clone(), value))
        })
        .collect()
}
