//! The kernel's events about tasks.

use ctf::types::ByteOrder;

use super::{Change, Name, What, name};
use crate::format::{EventFormat, FormatError, FormatField, PageHeader, Shape};
use crate::machine::{Machine, Number};
use crate::page::{Page, PageError, Record};
use crate::schema::COMMON_LEN;
use crate::selection::{self, SelectionError};
use crate::tracefs::EventName;

/// Subsystem and name of the events that the history is made of.
const EVENTS: [(&str, &str); 4] = [
    ("task", "task_newtask"),
    ("task", "task_rename"),
    ("sched", "sched_process_exec"),
    ("sched", "sched_process_exit"),
];

/// Why the history of tasks cannot be had from the formats of these events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaskEventsError {
    /// The text is not what a session daemon writes.
    #[error(transparent)]
    Text(#[from] SelectionError),
    /// The text of an event or of the page header cannot be read.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The text does not have it.
    #[error("the formats have no `{0}`")]
    Missing(&'static str),
    /// The kernel has no such field.
    #[error("the kernel's event `{event}` has no field `{field}`")]
    NoField {
        /// The event.
        event: &'static str,
        /// The field.
        field: &'static str,
    },
}

/// How to read them.
#[derive(Clone, Debug)]
pub struct TaskEvents {
    machine: Machine,
    newtask: NewTask,
    rename: Rename,
    exec: Exec,
    exit: Exit,
}

#[derive(Clone, Debug)]
struct NewTask {
    id: u16,
    tid: Place,
    name: Place,
    flags: Place,
}

#[derive(Clone, Debug)]
struct Rename {
    id: u16,
    /// Without it, of the thread that ran.
    tid: Option<Place>,
    old: Place,
    new: Place,
}

#[derive(Clone, Debug)]
struct Exec {
    id: u16,
    tid: Place,
    old: Place,
}

#[derive(Clone, Debug)]
struct Exit {
    id: u16,
    name: Place,
    last: Option<Place>,
}

/// Where a field is.
#[derive(Clone, Copy, Debug)]
struct Place {
    offset: usize,
    size: usize,
    located: bool,
}

impl TaskEvents {
    /// The events that have to be enabled.
    pub fn names() -> impl Iterator<Item = EventName> {
        EVENTS
            .iter()
            .map(|(subsystem, name)| EventName::new(*subsystem, *name))
    }

    /// From the text of a [`selection`] that has these events.
    pub fn parse(text: &str) -> Result<Self, TaskEventsError> {
        let mut machine = None;
        let mut formats = Vec::new();
        for entry in selection::entries(text.as_bytes()) {
            let (heading, body) = entry?;
            if heading == "page" {
                machine = Some(Machine::native(&PageHeader::parse(&body)?));
            } else {
                formats.push(EventFormat::parse(&body)?);
            }
        }
        let event = |name: &'static str| {
            let format = formats.iter().find(|format| format.name == name);
            let format = format.ok_or(TaskEventsError::Missing(name))?;
            Ok::<_, TaskEventsError>(Event { name, format })
        };
        let (newtask, rename) = (event("task_newtask")?, event("task_rename")?);
        let (exec, exit) = (event("sched_process_exec")?, event("sched_process_exit")?);
        Ok(Self {
            machine: machine.ok_or(TaskEventsError::Missing("page"))?,
            newtask: NewTask {
                id: newtask.format.id as u16,
                tid: newtask.field("pid")?,
                name: newtask.field("comm")?,
                flags: newtask.field("clone_flags")?,
            },
            rename: Rename {
                id: rename.format.id as u16,
                tid: rename.field("pid").ok(),
                old: rename.field("oldcomm")?,
                new: rename.field("newcomm")?,
            },
            exec: Exec {
                id: exec.format.id as u16,
                tid: exec.field("pid")?,
                old: exec.field("old_pid")?,
            },
            exit: Exit {
                id: exit.format.id as u16,
                name: exit.field("comm")?,
                last: exit.field("group_dead").ok(),
            },
        })
    }

    /// Appends what a page tells. `true`: there were more changes, which are lost.
    pub fn read(&self, page: &[u8], changes: &mut Vec<Change>) -> Result<bool, PageError> {
        let page = Page::parse(page, &self.machine)?;
        let order = self.machine.byte_order;
        changes.extend(
            page.records()
                .filter_map(|record| self.change(record, order)),
        );
        Ok(page.missed().is_some())
    }

    /// Bytes of a page that hold something; all of it if it is no page.
    pub fn used(&self, page: &[u8]) -> usize {
        let header = self.machine.page.data_offset as usize;
        // Behind the records there may be the number of those that were lost.
        Page::parse(page, &self.machine).map_or(page.len(), |parsed| {
            (header + parsed.len() + 8).min(page.len())
        })
    }

    fn change(&self, record: Record<'_>, order: ByteOrder) -> Option<Change> {
        let data = record.data;
        let common = data.first_chunk::<COMMON_LEN>()?;
        let id = u16::from_bytes(common[..2].first_chunk()?, order);
        let ran = u32::from_bytes(common[4..].first_chunk()?, order);
        let number = |place: &Place| place.number(data, order);
        let text = |place: &Place| place.name(data, order);
        let (tid, what) = if id == self.newtask.id {
            let what = What::Forked {
                by: ran,
                flags: number(&self.newtask.flags)?,
                name: text(&self.newtask.name)?,
            };
            (number(&self.newtask.tid)? as u32, what)
        } else if id == self.rename.id {
            let what = What::Renamed {
                old: text(&self.rename.old)?,
                new: text(&self.rename.new)?,
            };
            let tid = self
                .rename
                .tid
                .as_ref()
                .map_or(Some(u64::from(ran)), number);
            (tid? as u32, what)
        } else if id == self.exit.id {
            let last = self.exit.last.as_ref().and_then(number);
            let what = What::Ended {
                name: text(&self.exit.name)?,
                last: last.map(|last| last != 0),
            };
            (ran, what)
        } else if id == self.exec.id {
            let (tid, old) = (number(&self.exec.tid)?, number(&self.exec.old)?);
            // Only a thread that was not the first one of its process changes its number.
            (tid != old).then_some((old as u32, What::Replaced))?
        } else {
            return None;
        };
        Some(Change {
            time: record.timestamp,
            tid,
            what,
        })
    }
}

struct Event<'f> {
    name: &'static str,
    format: &'f EventFormat,
}

impl Event<'_> {
    fn field(&self, field: &'static str) -> Result<Place, TaskEventsError> {
        let found = self.format.fields.iter().find(|known| known.name == field);
        found.map(Place::of).ok_or(TaskEventsError::NoField {
            event: self.name,
            field,
        })
    }
}

impl Place {
    fn of(field: &FormatField) -> Self {
        Self {
            offset: field.offset as usize,
            size: field.size as usize,
            located: field.shape == Shape::DataLoc,
        }
    }

    fn number(&self, data: &[u8], order: ByteOrder) -> Option<u64> {
        let bytes = data.get(self.offset..)?;
        Some(match self.size {
            1 => (*bytes.first()?).into(),
            2 => u16::from_bytes(bytes.first_chunk()?, order).into(),
            4 => u32::from_bytes(bytes.first_chunk()?, order).into(),
            _ => u64::from_bytes(bytes.first_chunk()?, order),
        })
    }

    fn name(&self, data: &[u8], order: ByteOrder) -> Option<Name> {
        let (start, len) = if self.located {
            let word = u32::from_bytes(data.get(self.offset..)?.first_chunk()?, order);
            ((word & 0xffff) as usize, (word >> 16) as usize)
        } else {
            (self.offset, self.size)
        };
        Some(name(data.get(start..)?.get(..len)?))
    }
}
