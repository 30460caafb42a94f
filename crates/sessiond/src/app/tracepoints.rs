//! Lists the tracepoints of an application.

use ust::command::id;
use ust::{Batch, FIELD_ITERATOR_BYTES, FieldIterator, Handle};

use crate::app::channel::{ChannelError, CommandChannel};

/// Entries asked for at once.
const GETS: usize = 32;
/// Most entries taken from one application.
const MAX_ENTRIES: usize = 1 << 16;

/// A tracepoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListedEvent {
    /// `provider:event`.
    pub name: String,
    /// 0 EMERG … 14 DEBUG.
    pub log_level: i32,
    /// Empty unless asked for.
    pub fields: Vec<ListedField>,
}

/// A field of a tracepoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListedField {
    /// Its name.
    pub name: String,
    /// 0 other, 1 integer, 2 enum, 3 float, 4 string.
    pub kind: i32,
    /// Usable in filters only.
    pub nowrite: bool,
}

/// Asks for all tracepoints, in the application's order.
pub(super) async fn list(
    channel: &mut CommandChannel,
    with_fields: bool,
) -> Result<Vec<ListedEvent>, ChannelError> {
    let (open, get) = if with_fields {
        (id::TRACEPOINT_FIELD_LIST, id::TRACEPOINT_FIELD_LIST_GET)
    } else {
        (id::TRACEPOINT_LIST, id::TRACEPOINT_LIST_GET)
    };
    let mut batch = Batch::new();
    batch.plain(Handle::ROOT, open);
    let Ok(list) = channel.execute(&batch).await?[0].reply.handle() else {
        return Ok(Vec::new());
    };
    let mut events = Vec::new();
    let mut entries = 0;
    let mut more = true;
    while more && entries < MAX_ENTRIES {
        let mut batch = Batch::new();
        for _ in 0..GETS {
            batch.plain(list, get);
        }
        for answer in channel.execute(&batch).await? {
            entries += 1;
            if with_fields {
                match <&[u8; FIELD_ITERATOR_BYTES]>::try_from(answer.tail.as_slice()) {
                    Ok(tail) => add_field(&mut events, FieldIterator::parse(tail)?),
                    Err(_) => more = false,
                }
            } else {
                match answer.reply.tracepoint()? {
                    Some(found) => events.push(ListedEvent {
                        name: found.name,
                        log_level: found.log_level,
                        fields: Vec::new(),
                    }),
                    None => more = false,
                }
            }
        }
    }
    let mut batch = Batch::new();
    batch.plain(list, id::RELEASE);
    channel.execute(&batch).await?;
    Ok(events)
}

/// The fields of one event come one after the other.
fn add_field(events: &mut Vec<ListedEvent>, field: FieldIterator) {
    let known = events
        .last()
        .is_some_and(|event| event.name == field.event_name);
    if !known {
        let log_level = field.log_level;
        events.push(ListedEvent {
            name: field.event_name,
            log_level,
            fields: Vec::new(),
        });
    }
    let named = !field.field_name.is_empty();
    if let Some(event) = events.last_mut().filter(|_| named) {
        let FieldIterator {
            field_name: name,
            kind,
            nowrite,
            ..
        } = field;
        event.fields.push(ListedField {
            name,
            kind,
            nowrite,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(event: &str, name: &str) -> FieldIterator {
        FieldIterator {
            event_name: event.into(),
            field_name: name.into(),
            kind: 1,
            log_level: 13,
            nowrite: false,
        }
    }

    #[test]
    fn fields_gather_under_their_event() {
        let mut events = Vec::new();
        for entry in [field("a:b", "x"), field("a:b", "y"), field("a:c", "")] {
            add_field(&mut events, entry);
        }
        assert_eq!(events.len(), 2);
        assert_eq!((events[0].fields.len(), events[1].fields.len()), (2, 0));
    }
}
