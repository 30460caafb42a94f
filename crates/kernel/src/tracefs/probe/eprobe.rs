//! Other events, with what they point to: probes that read the text whose address an event has.
//!
//! ```text
//! sys_enter_chdir           e:GROUP/NAME syscalls/sys_enter_chdir
//!     const char *filename      filename=$filename:x64 __filename_val=+0($filename):ustring
//! ```
//!
//! Such a probe is an event of its own, with the same fields and the text behind them, as Linux 6.19 has it without
//! any probe.

use std::fmt::Write as _;

use super::super::EventName;
use crate::format::{EventFormat, FormatField, Shape};
use crate::machine::Machine;
use crate::names;
use crate::schema::ctype;
use crate::text;

/// A probe that stands in for an event of a system call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventProbe {
    format: EventFormat,
    long_size: u32,
}

impl EventProbe {
    /// For the event of `subsystem` that `format` describes, if it has addresses of text.
    pub fn reading_text(format: EventFormat, subsystem: &str, machine: &Machine) -> Option<Self> {
        let long_size = machine.long_size();
        let is_text = |field: &FormatField| text::is_address_of_text(subsystem, &format, field);
        let has_text = format.fields.iter().any(is_text);
        // A probe reads no more than a word of the machine.
        let fits = format.fields.iter().all(|field| field.size <= long_size);
        (has_text && fits).then_some(Self { format, long_size })
    }

    /// The line that makes `event` of it.
    pub(super) fn line(&self, event: &EventName) -> String {
        let format = &self.format;
        let mut line = format!(
            "e:{}/{} {}/{}",
            event.subsystem,
            event.name,
            names::SYSCALLS,
            format.name
        );
        for field in self.arguments() {
            let name = &field.name;
            let _ = write!(line, " {name}=${name}:{}", self.kind(field));
        }
        for FormatField { name, .. } in self.texts() {
            let _ = write!(line, " {}=+0(${name}):ustring", text::text_field(name));
        }
        line.push('\n');
        line
    }

    /// What the `format` file of the probe says, with the names that the event and its types have.
    pub fn describe(&self, probe: &str) -> String {
        let mut text = String::new();
        for line in probe.lines() {
            if line.starts_with("name:") {
                let _ = writeln!(text, "name: {}", self.format.name);
                continue;
            }
            let declared = line
                .trim_start()
                .strip_prefix("field:")
                .and_then(|rest| rest.split_once(';'));
            let argument = declared.and_then(|(declaration, rest)| {
                let (_, name) = declaration.rsplit_once(' ')?;
                let field = self.arguments().find(|field| field.name == name)?;
                Some((field, rest))
            });
            match argument {
                Some((field, rest)) => {
                    let _ = writeln!(text, "\tfield:{} {};{rest}", field.ty, field.name);
                }
                None => {
                    let _ = writeln!(text, "{line}");
                }
            }
        }
        text
    }

    /// The fields that the probe will have, wherever they will be.
    pub fn expected(&self) -> EventFormat {
        let mut format = self.format.clone();
        let texts = self.texts().map(|field| FormatField {
            name: text::text_field(&field.name),
            ty: "char".to_owned(),
            shape: Shape::DataLoc,
            offset: field.offset,
            size: 4,
            signed: true,
        });
        format.fields.extend(texts);
        format
    }

    /// All fields but the number of the call.
    fn arguments(&self) -> impl Iterator<Item = &FormatField> {
        let call = |field: &&FormatField| field.name != "__syscall_nr";
        self.format.fields.iter().filter(call)
    }

    fn texts(&self) -> impl Iterator<Item = &FormatField> {
        let is_text =
            |field: &&FormatField| text::is_address_of_text(names::SYSCALLS, &self.format, field);
        self.format.fields.iter().filter(is_text)
    }

    /// The kernel's word for the type of an argument. None is small: the kernel fills records up to four bytes, and
    /// whether there is something behind the arguments tells an empty text from one that could not be read.
    fn kind(&self, field: &FormatField) -> String {
        let known = ctype::integer(&field.ty, self.long_size);
        let (size, signed) = known
            .filter(|(size, _)| *size <= field.size)
            .unwrap_or((field.size, field.signed));
        let sign = if signed { 's' } else { 'u' };
        format!("{sign}{}", size.max(4) * 8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::PageHeader;
    use crate::schema::EventSchema;

    const COMMON: &str = "\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
        \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n";
    const FIELDS: &str = "\tfield:int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;\n\
        \tfield:umode_t mode;\toffset:16;\tsize:8;\tsigned:0;\n\
        \tfield:const char * filename;\toffset:24;\tsize:8;\tsigned:0;\n\
        \tfield:struct statx * buffer;\toffset:32;\tsize:8;\tsigned:0;\n";

    fn machine() -> Machine {
        Machine::native(&PageHeader::LONG_64)
    }

    fn probe() -> EventProbe {
        let text = format!("name: sys_enter_statx\nID: 700\nformat:\n{COMMON}{FIELDS}\n");
        let format = EventFormat::parse(&text).unwrap();
        EventProbe::reading_text(format, names::SYSCALLS, &machine()).unwrap()
    }

    fn fields(format: &EventFormat) -> Vec<ctf::types::Field> {
        let schema = EventSchema::new(format, names::SYSCALLS, &machine()).unwrap();
        assert_eq!(schema.name(), "syscall_entry_statx");
        schema.fields().to_vec()
    }

    #[test]
    fn all_arguments_and_the_text_are_asked_for() {
        assert_eq!(
            probe().line(&EventName::new("g", "n")),
            "e:g/n syscalls/sys_enter_statx mode=$mode:u32 filename=$filename:u64 buffer=$buffer:u64 \
            __filename_val=+0($filename):ustring\n"
        );
    }

    #[test]
    fn the_event_has_the_name_and_the_types_of_the_other() {
        let own = "name: n\nID: 1400\nformat:\n".to_owned()
            + COMMON
            + "\tfield:u32 mode;\toffset:8;\tsize:4;\tsigned:0;\n\
            \tfield:u64 filename;\toffset:12;\tsize:8;\tsigned:0;\n\
            \tfield:u64 buffer;\toffset:20;\tsize:8;\tsigned:0;\n\
            \tfield:__data_loc char[] __filename_val;\toffset:28;\tsize:4;\tsigned:1;\n\n\
            print fmt: \" mode=%u\", REC->mode\n";
        let described = EventFormat::parse(&probe().describe(&own)).unwrap();
        assert_eq!(described.id, 1400);
        let fields_of_it = fields(&described);
        let names: Vec<_> = fields_of_it.iter().map(|field| &field.name).collect();
        assert_eq!(names, ["mode", "filename", "buffer"]);
        assert_eq!(fields_of_it, fields(&probe().expected()));
    }

    #[test]
    fn what_has_no_text_needs_no_probe() {
        let text = format!("name: sys_enter_close\nID: 700\nformat:\n{COMMON}\n");
        let format = EventFormat::parse(&text).unwrap();
        assert_eq!(
            EventProbe::reading_text(format, names::SYSCALLS, &machine()),
            None
        );
    }
}
