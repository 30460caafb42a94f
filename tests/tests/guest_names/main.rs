//! The names of events and fields on the distribution's kernel, against those that LTTng's kernel modules gave them
//! there.
//!
//! `lttng-modules-2.13.txt` was taken from the metadata of a trace: lttng-modules 2.13.9, built for Linux 6.1.192 of
//! Debian, all events enabled. A line is an event and its fields, each with what it is.
#![cfg(target_arch = "x86_64")]

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use ctf::types::{Encoding, FieldType};
use kernel::format::{EventFormat, PageHeader};
use kernel::machine::Machine;
use kernel::schema::EventSchema;
use kernel::tracefs::{EventProbe, Tracefs};
use system_tests::{booted, here};

const THEIRS: &str = include_str!("lttng-modules-2.13.txt");

/// What LTTng's modules see and the kernel's own events do not tell, or tell otherwise. `docs/kernel-events.md`
/// says so too. Of system calls: structures are addresses, and an exit has only `ret`.
const OTHERWISE: &[&str] = &[
    "block_bio_backmerge tid",
    "block_bio_bounce tid",
    "block_bio_frontmerge tid",
    "block_bio_queue tid",
    "block_getrq tid",
    "block_plug tid",
    "block_rq_insert tid",
    "block_rq_issue tid",
    "block_rq_merge tid",
    "block_split tid",
    "block_unplug tid",
    "net_dev_queue network_header",
    "net_dev_queue network_header_type",
    "net_if_receive_skb network_header",
    "net_if_receive_skb network_header_type",
    "net_if_rx network_header",
    "net_if_rx network_header_type",
    "rcu_utilization s",
    "sched_process_fork child_ns_inum",
    "sched_process_fork child_pid",
    "sched_process_fork parent_ns_inum",
    "sched_process_fork parent_pid",
    "sched_process_fork vtids",
];

/// The fields of each event of ours, with what they are.
fn ours() -> Result<BTreeMap<String, BTreeMap<String, &'static str>>> {
    let tracefs = Tracefs::find()?;
    let machine = Machine::native(&PageHeader::LONG_64);
    let mut all = BTreeMap::new();
    for event in tracefs.events()? {
        let named = || format!("the format of {event:?}");
        let mut format = EventFormat::parse(&tracefs.format(&event)?).with_context(named)?;
        if let Some(probe) = EventProbe::reading_text(format.clone(), &event.subsystem, &machine) {
            format = probe.expected();
        }
        let schema = EventSchema::new(&format, &event.subsystem, &machine).with_context(named)?;
        let fields = schema.fields().iter().map(|field| {
            let kind = match &field.ty {
                FieldType::Integer(_) | FieldType::Enum(_) => "integer",
                FieldType::String { .. } => "string",
                FieldType::Array { element, .. } | FieldType::Sequence { element, .. } => {
                    match is_text(element) {
                        true => "string",
                        false => "array",
                    }
                }
                _ => "structure",
            };
            (field.name.clone(), kind)
        });
        all.insert(schema.name().to_owned(), fields.collect());
    }
    Ok(all)
}

fn is_text(element: &FieldType) -> bool {
    matches!(element, FieldType::Integer(integer) if integer.encoding != Encoding::None)
}

/// A field that the kernel tells in another way, for a reason that holds for all system calls.
fn is_otherwise_in_calls(event: &str, field: &str, theirs: &str, ours: Option<&str>) -> bool {
    let entry = event.starts_with("syscall_entry_");
    let exit = event.starts_with("syscall_exit_");
    match ours {
        // Modules have the text of older calls only. A structure is where its address says.
        Some(ours) => {
            entry
                && matches!(
                    (ours, theirs),
                    ("string", "integer") | ("integer", "structure")
                )
        }
        // What modules make of structures that arguments point to; two spellings of a pointer to them.
        None if entry => {
            theirs != "integer"
                || matches!(
                    field,
                    "overflow" | "fds_length" | "tvp" | "op_enum" | "family" | "dport"
                )
        }
        None => exit && field != "ret",
    }
}

#[test]
fn events_and_fields_have_the_names_that_modules_give_them() {
    booted(here!(), |_| {
        let ours = ours()?;
        let (mut compared, mut otherwise, mut wrong) = (0, BTreeSet::new(), Vec::new());
        for line in THEIRS.lines() {
            let mut words = line.split(' ');
            let event = words.next().unwrap_or_default();
            // Events of modules of the kernel that are not loaded here.
            let Some(fields) = ours.get(event) else {
                continue;
            };
            compared += 1;
            for word in words {
                let (field, theirs) = word.split_once(':').context("no kind")?;
                let found = fields.get(field).copied();
                if found == Some(theirs) || is_otherwise_in_calls(event, field, theirs, found) {
                    continue;
                }
                let name = format!("{event} {field}");
                if OTHERWISE.contains(&name.as_str()) {
                    otherwise.insert(name);
                } else {
                    wrong.push(format!("{name}: {theirs}, ours {found:?}"));
                }
            }
        }
        ensure!(compared > 700, "only {compared} events to compare");
        ensure!(wrong.is_empty(), "{wrong:#?}");
        let expected: BTreeSet<String> = OTHERWISE.iter().map(ToString::to_string).collect();
        ensure!(
            otherwise == expected,
            "these are as in LTTng now: {:?}",
            expected.difference(&otherwise)
        );
        Ok(())
    });
}
