//! Which arguments of system calls are text in the caller's memory.
//!
//! The kernel's events of system calls have the addresses of such arguments, and their C types do not tell text
//! from other bytes. Source: the definitions of the system calls of Linux 6.18, and what LTTng's modules make of
//! them.

use crate::format::{EventFormat, FormatField, Shape};
use crate::names;

/// Bytes that a call takes by an address of type `const char *`.
const BYTES: &[(&str, &str)] = &[
    ("write", "buf"),
    ("pwrite64", "buf"),
    ("mq_timedsend", "u_msg_ptr"),
];

/// Text that a call takes by an address of type `char *`; all others of that type are written to.
const TEXT: &[(&str, &str)] = &[
    ("mount", "dev_name"),
    ("mount", "dir_name"),
    ("mount", "type"),
    ("umount", "name"),
    ("oldumount", "name"),
    ("utime", "filename"),
    ("utime32", "filename"),
    ("utimes", "filename"),
    ("utimes_time32", "filename"),
    ("sethostname", "name"),
    ("setdomainname", "name"),
];

/// The kernel's name of the field that has the text behind the address `field`, where it has one (Linux 6.19).
pub fn text_field(field: &str) -> String {
    format!("__{field}_val")
}

/// The name of the argument whose text is in the field of this name.
pub fn argument_of(field: &str) -> Option<&str> {
    let name = field.strip_prefix("__")?.strip_suffix("_val")?;
    (!name.is_empty()).then_some(name)
}

/// Whether a field of an event of `subsystem` is the address of text, which is in no field of its own.
pub fn is_address_of_text(subsystem: &str, format: &EventFormat, field: &FormatField) -> bool {
    let call = format.name.strip_prefix("sys_enter_");
    let Some(call) = call.filter(|_| subsystem == names::SYSCALLS) else {
        return false;
    };
    let argument = (call, field.name.as_str());
    let is_text = match field.ty.as_str() {
        "const char *" => !BYTES.contains(&argument),
        "char *" => TEXT.contains(&argument),
        _ => false,
    };
    let text = text_field(&field.name);
    is_text && field.shape == Shape::Value && !format.fields.iter().any(|field| field.name == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(call: &str, fields: &[(&str, &str)]) -> EventFormat {
        let fields = fields.iter().map(|(ty, name)| FormatField {
            name: (*name).to_owned(),
            ty: (*ty).to_owned(),
            shape: Shape::Value,
            offset: 16,
            size: 8,
            signed: false,
        });
        EventFormat {
            name: format!("sys_enter_{call}"),
            id: 1,
            common: Vec::new(),
            fields: fields.collect(),
            print_fmt: String::new(),
        }
    }

    fn texts(format: &EventFormat) -> Vec<&str> {
        let text = |field: &&FormatField| is_address_of_text(names::SYSCALLS, format, field);
        let texts = format.fields.iter().filter(text);
        texts.map(|field| field.name.as_str()).collect()
    }

    #[test]
    fn text_is_told_from_other_bytes() {
        let of = |call, fields: &[(&str, &str)]| {
            let format = format(call, fields);
            texts(&format).join(" ")
        };
        assert_eq!(
            of("openat", &[("int", "dfd"), ("const char *", "filename")]),
            "filename"
        );
        assert_eq!(of("write", &[("const char *", "buf")]), "");
        assert_eq!(of("read", &[("char *", "buf")]), "");
        assert_eq!(
            of("mount", &[("char *", "dev_name"), ("void *", "data")]),
            "dev_name"
        );
        assert_eq!(of("execve", &[("const char *const *", "argv")]), "");
        let read_by_the_kernel = [("const char *", "path"), ("char", "__path_val")];
        assert_eq!(of("readlink", &read_by_the_kernel), "");
    }

    #[test]
    fn other_events_have_none() {
        let format = format("openat", &[("const char *", "filename")]);
        assert!(!is_address_of_text("sched", &format, &format.fields[0]));
    }
}
