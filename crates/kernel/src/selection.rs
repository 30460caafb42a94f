//! The events of a channel as text, for the consumer daemon: what the session daemon has enabled so far.
//!
//! ```text
//! page 205\n
//! <events/header_page>\n
//! event sched 1204\n
//! <events/sched/sched_switch/format>\n
//! …
//! ```
//!
//! The text only grows. An event is in it before it is enabled, so whoever reads the text after a page knows
//! all events of the page.

use ctf::types::ByteOrder;

use crate::format::{EventFormat, FormatError, MAX_TEXT, PageHeader};
use crate::machine::Machine;
use crate::schema::{EventSchema, SchemaError};

/// Longest line before a text.
const MAX_HEADING: usize = 256;

/// Why the text makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// A line that is none of those above.
    #[error("`{0}` heads nothing that is known")]
    Heading(String),
    /// An event came before the page header.
    #[error("an event comes before the page header")]
    NoPageHeader,
    /// The text of an event or of the page header cannot be read.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// An event that cannot be recorded.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

/// The entry of the page header; comes first.
pub fn page_entry(header_page: &str) -> String {
    entry("page", header_page)
}

/// The entry of an event.
pub fn event_entry(subsystem: &str, format: &str) -> String {
    entry(&format!("event {subsystem}"), format)
}

fn entry(heading: &str, text: &str) -> String {
    format!("{heading} {}\n{text}\n", text.len())
}

/// The complete entries of a text: what heads them, and what they hold.
pub(crate) fn entries(
    text: &[u8],
) -> impl Iterator<Item = Result<(String, String), SelectionError>> {
    let mut rest = text;
    std::iter::from_fn(move || match first_entry(rest) {
        Ok(entry) => {
            let (heading, body, len) = entry?;
            rest = &rest[len..];
            Some(Ok((heading, body)))
        }
        Err(error) => {
            rest = &[];
            Some(Err(error))
        }
    })
}

/// The events that were selected so far.
#[derive(Debug, Default)]
pub struct Selection {
    /// An entry whose end has not come yet.
    rest: Vec<u8>,
    machine: Option<Machine>,
    events: Vec<EventSchema>,
}

impl Selection {
    /// Takes text that follows what came before, cut anywhere. Tells whether there is something new.
    pub fn add(&mut self, text: &[u8]) -> Result<bool, SelectionError> {
        self.rest.extend_from_slice(text);
        let mut done = 0;
        while let Some((heading, body, len)) = first_entry(&self.rest[done..])? {
            match heading.split_once(' ') {
                None if heading == "page" => {
                    self.machine = Some(Machine::native(&PageHeader::parse(&body)?));
                }
                Some(("event", subsystem)) => {
                    let machine = self.machine.as_ref().ok_or(SelectionError::NoPageHeader)?;
                    let format = EventFormat::parse(&body)?;
                    let schema = EventSchema::new(&format, subsystem, machine)?;
                    self.events.push(schema);
                }
                _ => return Err(SelectionError::Heading(heading)),
            }
            done += len;
        }
        self.rest.drain(..done);
        Ok(done > 0)
    }

    /// The machine, once the page header has come.
    pub fn machine(&self) -> Option<&Machine> {
        self.machine.as_ref()
    }

    /// All events, in the order of the text.
    pub fn events(&self) -> &[EventSchema] {
        &self.events
    }

    /// The byte order of the machine, for those who ask before the page header has come.
    pub fn byte_order(&self) -> ByteOrder {
        self.machine
            .map_or(ByteOrder::NATIVE, |machine| machine.byte_order)
    }
}

/// Heading without its length, body, and bytes of the first entry; `None` if it is not complete.
fn first_entry(bytes: &[u8]) -> Result<Option<(String, String, usize)>, SelectionError> {
    let Some(line) = bytes
        .iter()
        .take(MAX_HEADING)
        .position(|byte| *byte == b'\n')
    else {
        return match bytes.len() {
            0..MAX_HEADING => Ok(None),
            _ => Err(bad_heading(&bytes[..MAX_HEADING])),
        };
    };
    let heading = String::from_utf8_lossy(&bytes[..line]);
    let split = heading.rsplit_once(' ');
    let parsed = split.and_then(|(heading, len)| Some((heading, len.parse::<usize>().ok()?)));
    let Some((heading, len)) = parsed.filter(|(_, len)| *len <= MAX_TEXT) else {
        return Err(bad_heading(&bytes[..line]));
    };
    let body = line + 1;
    if bytes.len() <= body + len {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&bytes[body..body + len]).into_owned();
    Ok(Some((heading.to_owned(), text, body + len + 1)))
}

fn bad_heading(bytes: &[u8]) -> SelectionError {
    SelectionError::Heading(String::from_utf8_lossy(bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n\
        \tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;\n\
        \tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n\
        \tfield: char data;\toffset:16;\tsize:4080;\tsigned:0;\n";
    const EVENT: &str = "name: x\nID: 700\nformat:\n\
        \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
        \tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n\
        \tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n\
        \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n\
        \tfield:int a;\toffset:8;\tsize:4;\tsigned:1;\n\nprint fmt: \"%d\", REC->a\n";

    #[test]
    fn entries_come_whole_wherever_the_text_is_cut() {
        let text = page_entry(PAGE) + &event_entry("s", EVENT);
        for cut in 0..text.len() {
            let mut selection = Selection::default();
            selection.add(&text.as_bytes()[..cut]).unwrap();
            assert!(selection.add(&text.as_bytes()[cut..]).unwrap());
            assert_eq!(selection.events().len(), 1);
            assert_eq!(selection.events()[0].name(), "x");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let mut selection = Selection::default();
        assert!(matches!(
            selection.add(event_entry("s", EVENT).as_bytes()),
            Err(SelectionError::NoPageHeader)
        ));
        for bad in ["what 3\nabc\n", "page x\n", "\n", &"y".repeat(300)] {
            assert!(Selection::default().add(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
