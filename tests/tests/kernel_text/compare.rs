//! Our events against the kernel's text, one by one.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use ctf::decode::{Decoder, Event, Value};
use ctf::types::FieldType;
use kernel::format::{EventFormat, FormatField, Shape};
use kernel::names;

use crate::instance::Catalogue;

/// What has been compared so far.
pub(crate) struct Comparison<'c> {
    by_id: BTreeMap<u64, &'c (String, EventFormat)>,
    /// Events of each kind.
    kinds: BTreeMap<String, u64>,
    /// Fields that were compared, by their C type.
    types: BTreeSet<String>,
    /// Fields that the kernel does not print.
    unprinted: BTreeSet<String>,
}

/// A line of the kernel's text.
struct Line<'t> {
    tid: i64,
    time: u64,
    name: &'t str,
    /// ` FIELD=VALUE FIELD=VALUE`
    fields: &'t str,
}

impl<'c> Comparison<'c> {
    pub(crate) fn new(catalogue: &'c Catalogue) -> Self {
        let by_id = catalogue
            .formats
            .iter()
            .map(|entry| (u64::from(entry.1.id), entry));
        Self {
            by_id: by_id.collect(),
            kinds: BTreeMap::new(),
            types: BTreeSet::new(),
            unprinted: BTreeSet::new(),
        }
    }

    /// Compares a buffer; how many events it had.
    pub(crate) fn cpu(
        &mut self,
        cpu: u32,
        text: &str,
        decoder: &Decoder,
        packets: &[Vec<u8>],
    ) -> Result<u64> {
        let records = records(cpu, text);
        let mut records = records.iter();
        let mut events = 0;
        for packet in packets {
            let mut cursor = decoder.events(packet)?;
            while let Some(event) = cursor.next_event()? {
                let Some(record) = records.next() else {
                    bail!("the kernel prints {events} events, we have more");
                };
                let line = parse(cpu, record).with_context(|| format!("no event: {record}"))?;
                self.event(&line, &event)
                    .with_context(|| format!("event {events}: {record}"))?;
                events += 1;
            }
        }
        if let Some(record) = records.next() {
            bail!("we have {events} events, the kernel goes on: {record}");
        }
        Ok(events)
    }

    fn event(&mut self, line: &Line<'_>, event: &Event<'_>) -> Result<()> {
        let class = event.class().context("no class")?;
        ensure!(line.time == event.timestamp, "at {}", event.timestamp);
        if let Some(id) = line.name.strip_prefix("UNKNOWN TYPE ") {
            // Of the few events without a tracepoint the kernel prints no fields.
            ensure!(id.parse() == Ok(class.id), "id {}", class.id);
            return Ok(());
        }
        let (subsystem, format) = self.by_id.get(&class.id).context("unknown id")?;
        ensure!(
            line.name == format.name,
            "the kernel says {}, we say {}",
            line.name,
            format.name
        );
        ensure!(names::event_name(subsystem, &format.name) == class.name);
        let fields = event.fields()?;
        let tid = member(&fields.context, "tid");
        ensure!(
            matches!(tid, Some(Value::Signed { value, .. }) if *value == line.tid),
            "thread {tid:?}"
        );
        let mut rest = line.fields;
        for (at, field) in format.fields.iter().enumerate() {
            let printed = next_field(&mut rest, field, format.fields.get(at + 1))?;
            if subsystem == names::SYSCALLS && field.name == "__syscall_nr" {
                continue;
            }
            let name = names::field_name(subsystem, &format.name, &field.name);
            let value = member(&fields.payload, name).with_context(|| format!("no {name}"))?;
            let declared = class.fields.iter().find(|declared| declared.name == name);
            let bits = declared.map_or(0, |declared| bits(&declared.ty));
            match compare(subsystem, field, bits, printed, value) {
                Some(true) => drop(self.types.insert(field.ty.clone())),
                Some(false) => bail!("{name} is {value:?}, not {printed:?}"),
                None => {
                    self.unprinted
                        .insert(format!("{} {}: {}", format.name, field.name, field.ty));
                }
            }
        }
        *self.kinds.entry(class.name.clone()).or_default() += 1;
        Ok(())
    }

    /// Says what was compared; how many kinds of events.
    pub(crate) fn report(&self) -> usize {
        let events: u64 = self.kinds.values().sum();
        println!(
            "{events} events of {} kinds: {:?}",
            self.kinds.len(),
            self.kinds
        );
        println!("types compared: {:?}", self.types);
        println!("not printed by the kernel: {:?}", self.unprinted);
        self.kinds.len()
    }
}

fn member<'v, 'a>(value: &'v Value<'a>, name: &str) -> Option<&'v Value<'a>> {
    let Value::Struct(members) = value else {
        return None;
    };
    members
        .iter()
        .find(|(member, _)| *member == name)
        .map(|(_, value)| value)
}

/// The lines of events, each with the lines that belong to it: text can have line ends.
fn records(cpu: u32, text: &str) -> Vec<String> {
    let mut records: Vec<String> = Vec::new();
    for line in text.lines() {
        if parse(cpu, line).is_some() {
            records.push(line.to_owned());
        } else if line.starts_with('#') && records.is_empty() {
            // The head of the table.
        } else if let Some(record) = records.last_mut() {
            record.push('\n');
            record.push_str(line);
        }
    }
    records
}

/// `   COMM-PID   [CPU] FLAGS TIME: NAME: FIELDS`
fn parse(cpu: u32, line: &str) -> Option<Line<'_>> {
    let (task, rest) = line.split_once(&format!(" [{cpu:03}] "))?;
    let tid = task.trim_end().rsplit('-').next()?.parse().ok()?;
    let (_flags, rest) = rest.trim_start().split_once(' ')?;
    let (time, rest) = rest.trim_start().split_once(": ")?;
    let time = time.parse().ok()?;
    let (name, fields) = rest.split_once(':').unwrap_or((rest, ""));
    Some(Line {
        tid,
        time,
        name,
        fields,
    })
}

/// Takes `field` off the front of the printed fields.
fn next_field<'t>(
    rest: &mut &'t str,
    field: &FormatField,
    next: Option<&FormatField>,
) -> Result<&'t str> {
    let start = format!(" {}=", field.name);
    let text = rest
        .strip_prefix(start.as_str())
        .with_context(|| format!("no {} in {rest:?}", field.name))?;
    let end = next.and_then(|next| text.find(&format!(" {}=", next.name)));
    let (value, after) = text.split_at(end.unwrap_or(text.len()));
    *rest = after;
    Ok(value)
}

/// Whether `value` is what was printed; `None` if the kernel did not print it.
fn compare(
    subsystem: &str,
    field: &FormatField,
    bits: u32,
    printed: &str,
    value: &Value<'_>,
) -> Option<bool> {
    if printed == "<INVALID-SIZE>" || printed == "<INVALID-TYPE>" {
        return None;
    }
    // For an address of text the kernel prints the text there, or an address of its own.
    if matches!(field.ty.as_str(), "char *" | "const char *") && field.shape == Shape::Value {
        return None;
    }
    let number = || {
        let (_, digits) = printed.strip_suffix(')')?.rsplit_once('(')?;
        digits.parse::<i128>().ok()
    };
    // The kernel prints all integers of one size in one way, and for the argument of a system call the whole
    // word in which it lies: only these bits are the value.
    let same_bits = |value: i128| {
        let mask = (1i128 << bits) - 1;
        Some(number()? & mask == value & mask)
    };
    Some(match value {
        Value::Text(text) => text_is(printed, text),
        Value::Unsigned { value, .. } if subsystem == "block" && field.name == "rwbs" => {
            *value == u64::from(kernel::names::rwbs_flags(printed.as_bytes()))
        }
        Value::Unsigned { value, .. } => same_bits(i128::from(*value))?,
        Value::Signed { value, .. } => same_bits(i128::from(*value))?,
        Value::Enum { value, .. } => same_bits(*value)?,
        Value::Array(elements) if matches!(field.shape, Shape::DataLoc | Shape::RelLoc) => {
            let printed: Vec<u8> = printed
                .split(',')
                .filter(|byte| !byte.is_empty())
                .map(|byte| u8::from_str_radix(byte, 16).ok())
                .collect::<Option<_>>()?;
            let size = printed.len() / elements.len().max(1);
            same_bytes(&printed, elements, size)
        }
        Value::Array(elements) => {
            // Printed as if it were one number.
            let printed = number()?.to_ne_bytes();
            let size = field.size as usize / elements.len().max(1);
            let bytes = if cfg!(target_endian = "big") {
                &printed[printed.len() - field.size as usize..]
            } else {
                &printed[..field.size as usize]
            };
            same_bytes(bytes, elements, size)
        }
        _ => false,
    })
}

/// Text up to its end; the kernel prints what it has, and escapes nothing.
fn text_is(printed: &str, text: &[u8]) -> bool {
    printed == String::from_utf8_lossy(text)
}

/// Bits of an integer in the trace.
fn bits(ty: &FieldType) -> u32 {
    match ty {
        FieldType::Integer(integer) => integer.size_bits,
        FieldType::Enum(ty) => ty.container.size_bits,
        _ => 0,
    }
}

/// Whether elements of `size` bytes each are these bytes.
fn same_bytes(bytes: &[u8], elements: &[Value<'_>], size: usize) -> bool {
    bytes.len() == elements.len() * size
        && bytes
            .chunks(size.max(1))
            .zip(elements)
            .all(|(bytes, element)| {
                let number = match element {
                    Value::Unsigned { value, .. } => *value,
                    Value::Signed { value, .. } => *value as u64,
                    _ => return false,
                };
                let all = if cfg!(target_endian = "big") {
                    number.to_be_bytes()[8 - size..].to_vec()
                } else {
                    number.to_le_bytes()[..size].to_vec()
                };
                all == bytes
            })
}
