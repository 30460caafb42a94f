//! The events that Trace Compass analyses have the names and fields that it reads.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::tracefs::Formats;
use ctf::types::{Encoding, Field, FieldType};
use kernel::{names, statedump};

const TABLE: &str = include_str!("trace_compass.txt");
const PAGE: &str = include_str!("../../../docs/kernel-events.md");

/// Events of the table that no kernel since 4.19 has had, or only with modules, and those of other machines.
fn may_be_missing(event: &str) -> bool {
    event.starts_with("x86_irq_vectors_") || event.starts_with("kvm_")
}

struct Row {
    event: &'static str,
    /// Name, kind, and whether analyses do without.
    fields: Vec<(&'static str, &'static str, bool)>,
}

fn table() -> Vec<Row> {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    let mut rows = Vec::new();
    for line in lines.filter(|line| !line.trim().is_empty()) {
        let mut words = line.split_whitespace();
        let event = words.next().unwrap();
        let fields = words.map(|word| {
            let (name, kind) = word.split_once(':').unwrap();
            let optional = kind.ends_with('?');
            (name, kind.trim_end_matches('?'), optional)
        });
        rows.push(Row {
            event,
            fields: fields.collect(),
        });
    }
    rows
}

fn kind(ty: &FieldType) -> &'static str {
    let is_text = |element: &FieldType| matches!(element, FieldType::Integer(integer) if integer.encoding != Encoding::None);
    match ty {
        FieldType::Integer(_) => "integer",
        FieldType::String { .. } => "text",
        FieldType::Array { element, .. } if is_text(element) => "text",
        _ => "something else",
    }
}

/// Fields by event, of the running kernel and of the state dump.
fn offered() -> BTreeMap<String, Vec<Field>> {
    let schemas = Formats::running().schemas();
    let kernel = schemas
        .iter()
        .map(|schema| (schema.name().to_owned(), schema.fields().to_vec()));
    let dump = statedump::classes(0).into_iter();
    kernel
        .chain(dump.map(|class| (class.name, class.fields)))
        .collect()
}

#[test]
fn what_the_analyses_read_is_there() {
    let offered = offered();
    let mut wrong = Vec::new();
    let mut checked = BTreeSet::new();
    for row in table() {
        let Some(fields) = offered.get(row.event) else {
            if !may_be_missing(row.event) {
                wrong.push(format!("no event {}", row.event));
            }
            continue;
        };
        checked.insert(row.event);
        for (name, expected, optional) in row.fields {
            match fields.iter().find(|field| field.name == name) {
                Some(field) if kind(&field.ty) == expected => {}
                Some(field) => wrong.push(format!(
                    "{} has {name} as {}, not {expected}",
                    row.event,
                    kind(&field.ty)
                )),
                None if optional => {}
                None => wrong.push(format!("{} has no {name}", row.event)),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(checked.len() > 40, "{checked:?}");
}

/// A name that is not the kernel's own is one that the page has.
#[test]
fn the_page_has_the_names_of_the_table() {
    let formats = Formats::running();
    let by_name: BTreeMap<String, (&str, &str)> = formats
        .texts
        .keys()
        .map(|(subsystem, event)| {
            let name = names::event_name(subsystem, event).into_owned();
            (name, (subsystem.as_str(), event.as_str()))
        })
        .collect();
    for row in table() {
        let Some((subsystem, kernel)) = by_name.get(row.event) else {
            continue;
        };
        if row.event == *kernel {
            continue;
        }
        let is_row = |line: &&str| {
            let mut cells = line.split('|').map(|cell| cell.trim().trim_matches('`'));
            let (of, from, to) = (cells.nth(1), cells.next(), cells.next());
            let matches = |pattern: Option<&str>, name: &str| {
                pattern.is_some_and(|pattern| match pattern.strip_suffix('*') {
                    Some(start) => name.starts_with(start),
                    None => pattern == name,
                })
            };
            of == Some(subsystem) && matches(from, kernel) && matches(to, row.event)
        };
        assert!(
            PAGE.lines().any(|line| is_row(&line)),
            "{subsystem}:{kernel} is {} here, but not on the page",
            row.event
        );
    }
}
