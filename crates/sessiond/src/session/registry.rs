//! The schema of one trace as applications announce it: events get their ids, and metadata text grows.
//!
//! Applications that share a trace (per-UID buffers) get the same id for the same event. "The same" is: name,
//! log level, model and all fields with their types. No I/O: new text is returned to the caller.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hash};

use ctf::metadata::{EventClass, HeaderType, StreamClass};
use ctf::tsdl;
use ctf::types::{ByteOrder, EnumEntry, Field};

/// Most kinds of events in one channel.
const MAX_EVENTS: u32 = 1 << 20;
/// Most enumerations of one trace.
const MAX_ENUMS: usize = 1 << 16;
/// Longest metadata text of one trace in bytes: an application could announce new events for ever.
const MAX_TEXT_BYTES: u64 = 256 << 20;

/// What an application announced is refused; it does not trace the event.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum RegistryError {
    /// One of the limits above.
    #[error("the trace has too many {0} already")]
    Full(&'static str),
    /// Another application of the same trace announced other context fields for the channel.
    #[error("the context fields of the channel differ from those of other applications")]
    ContextMismatch,
    /// No reader could tell them apart, and the whole trace would be unreadable.
    #[error("two fields are called `{0}`")]
    DuplicateField(String),
    /// Not one of the trace's channels.
    #[error("unknown channel {0}")]
    UnknownChannel(u32),
}

/// What an application announces about an event.
#[derive(Debug, Hash)]
pub(crate) struct AnnouncedEvent {
    /// `provider:event`.
    pub name: String,
    /// 0 EMERG … 14 DEBUG.
    pub log_level: i32,
    /// Payload.
    pub fields: Vec<Field>,
    /// Empty if none.
    pub model_emf_uri: String,
}

/// 128 bits of keyed hash stand for an event: the fields themselves would cost far more memory than they are
/// worth, once for each application with buffers of its own.
type Identity = (u64, u64);

/// See the module.
#[derive(Debug)]
pub(crate) struct TraceRegistry {
    keys: (RandomState, RandomState),
    channels: Vec<ChannelRegistry>,
    enum_ids: HashMap<Identity, u64>,
    enums: Vec<Vec<EnumEntry>>,
    text_bytes: u64,
}

#[derive(Debug, Default)]
struct ChannelRegistry {
    events: HashMap<Identity, u32>,
    context: Option<Vec<Field>>,
    /// Text of events that were announced before the channel: applications do that, readers must know the stream
    /// first, and nothing is recorded before the channel is announced.
    waiting: String,
}

/// An id, and the metadata text that must be stored before the id is told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Registered<T> {
    /// The id.
    pub id: T,
    /// New text; empty if it was known, or must wait for the text of its channel.
    pub text: String,
}

impl TraceRegistry {
    /// For a trace with that many channels, numbered from 0.
    pub(crate) fn new(channels: usize) -> Self {
        Self {
            keys: (RandomState::new(), RandomState::new()),
            channels: std::iter::repeat_with(ChannelRegistry::default)
                .take(channels)
                .collect(),
            enum_ids: HashMap::new(),
            enums: Vec::new(),
            text_bytes: 0,
        }
    }

    /// The id of an enumeration; equal ones get equal ids.
    pub(crate) fn add_enum(
        &mut self,
        name: &str,
        entries: Vec<EnumEntry>,
    ) -> Result<u64, RegistryError> {
        let identity = self.identity(&(name, &entries));
        if let Some(&id) = self.enum_ids.get(&identity) {
            return Ok(id);
        }
        if self.enums.len() == MAX_ENUMS {
            return Err(RegistryError::Full("enumerations"));
        }
        let id = self.enums.len() as u64;
        self.enums.push(entries);
        self.enum_ids.insert(identity, id);
        Ok(id)
    }

    /// The entries of an enumeration.
    pub(crate) fn enum_entries(&self, id: u64) -> Option<Vec<EnumEntry>> {
        self.enums.get(usize::try_from(id).ok()?).cloned()
    }

    /// The id of an event in a channel.
    pub(crate) fn add_event(
        &mut self,
        channel: u32,
        event: AnnouncedEvent,
    ) -> Result<Registered<u32>, RegistryError> {
        check_names(&event.fields)?;
        let identity = self.identity(&event);
        let registry = self.channel(channel)?;
        if let Some(&id) = registry.events.get(&identity) {
            return Ok(Registered {
                id,
                text: String::new(),
            });
        }
        let id = registry.events.len() as u32;
        if id == MAX_EVENTS {
            return Err(RegistryError::Full("kinds of events"));
        }
        let text = tsdl::event(
            &EventClass {
                name: event.name,
                id: id.into(),
                stream_id: channel.into(),
                loglevel: Some(event.log_level.into()),
                model_emf_uri: Some(event.model_emf_uri).filter(|uri| !uri.is_empty()),
                fields: event.fields,
            },
            ByteOrder::NATIVE,
        );
        self.grow(&text)?;
        let registry = self.channel(channel)?;
        registry.events.insert(identity, id);
        if registry.context.is_some() {
            return Ok(Registered { id, text });
        }
        registry.waiting.push_str(&text);
        Ok(Registered {
            id,
            text: String::new(),
        })
    }

    /// Fixes the context fields of a channel; the first application decides.
    pub(crate) fn set_context(
        &mut self,
        channel: u32,
        context: Vec<Field>,
    ) -> Result<Registered<u32>, RegistryError> {
        match &self.channel(channel)?.context {
            Some(known) if *known == context => {
                return Ok(Registered {
                    id: channel,
                    text: String::new(),
                });
            }
            Some(_) => return Err(RegistryError::ContextMismatch),
            None => {}
        }
        let text = tsdl::stream(
            &StreamClass {
                id: channel.into(),
                header: HeaderType::Large,
                context: context.clone(),
            },
            ByteOrder::NATIVE,
        );
        self.grow(&text)?;
        let registry = self.channel(channel)?;
        registry.context = Some(context);
        let text = text + &std::mem::take(&mut registry.waiting);
        Ok(Registered { id: channel, text })
    }

    fn channel(&mut self, id: u32) -> Result<&mut ChannelRegistry, RegistryError> {
        self.channels
            .get_mut(id as usize)
            .ok_or(RegistryError::UnknownChannel(id))
    }

    fn grow(&mut self, text: &str) -> Result<(), RegistryError> {
        let grown = self.text_bytes + text.len() as u64;
        if grown > MAX_TEXT_BYTES {
            return Err(RegistryError::Full("bytes of metadata"));
        }
        self.text_bytes = grown;
        Ok(())
    }

    fn identity(&self, value: &impl Hash) -> Identity {
        (self.keys.0.hash_one(value), self.keys.1.hash_one(value))
    }
}

fn check_names(fields: &[Field]) -> Result<(), RegistryError> {
    let mut seen = HashSet::with_capacity(fields.len());
    match fields
        .iter()
        .find(|field| !seen.insert(field.name.as_str()))
    {
        Some(field) => Err(RegistryError::DuplicateField(field.name.clone())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use ctf::types::{FieldType, IntegerType};

    use super::*;

    fn event(name: &str, bits: u32) -> AnnouncedEvent {
        let field = Field::new("x", FieldType::Integer(IntegerType::new(bits, true)));
        AnnouncedEvent {
            name: name.into(),
            log_level: 13,
            fields: vec![field],
            model_emf_uri: String::new(),
        }
    }

    #[test]
    fn the_same_event_of_two_applications_has_one_id_and_one_text() {
        let mut trace = TraceRegistry::new(1);
        trace.set_context(0, Vec::new()).unwrap();
        let first = trace.add_event(0, event("a:b", 32)).unwrap();
        let again = trace.add_event(0, event("a:b", 32)).unwrap();
        assert_eq!((first.id, again.id), (0, 0));
        assert!(first.text.contains("a:b") && again.text.is_empty());
        assert_eq!(trace.add_event(0, event("a:b", 64)).unwrap().id, 1);
    }

    #[test]
    fn events_come_behind_the_stream_of_their_channel() {
        let mut trace = TraceRegistry::new(2);
        for (id, name) in [(0, "a:b"), (1, "c:d")] {
            let early = trace.add_event(0, event(name, 32)).unwrap();
            assert_eq!((early.id, early.text.as_str()), (id, ""));
        }
        let text = trace.set_context(0, Vec::new()).unwrap().text;
        let places = ["stream {", "a:b", "c:d"].map(|word| text.find(word).unwrap());
        assert!(places.is_sorted(), "{text}");
        assert!(!text[places[0] + 1..].contains("stream {"), "{text}");
        let late = trace.add_event(0, event("e:f", 32)).unwrap();
        assert!(late.text.contains("e:f") && !late.text.contains("a:b"));
    }

    #[test]
    fn an_event_that_would_spoil_the_trace_is_refused() {
        let mut twice = event("a:b", 32);
        twice.fields.push(twice.fields[0].clone());
        let refused = TraceRegistry::new(1).add_event(0, twice);
        assert_eq!(refused, Err(RegistryError::DuplicateField("x".into())));
    }

    #[test]
    fn channels_count_for_themselves() {
        let mut trace = TraceRegistry::new(2);
        assert_eq!(trace.add_event(0, event("a:b", 32)).unwrap().id, 0);
        assert_eq!(trace.add_event(1, event("c:d", 32)).unwrap().id, 0);
        assert_eq!(
            trace.add_event(2, event("c:d", 32)),
            Err(RegistryError::UnknownChannel(2))
        );
    }

    #[test]
    fn the_first_application_fixes_the_context() {
        let mut trace = TraceRegistry::new(1);
        let fields = event("", 32).fields;
        assert!(
            !trace
                .set_context(0, fields.clone())
                .unwrap()
                .text
                .is_empty()
        );
        assert!(trace.set_context(0, fields).unwrap().text.is_empty());
        assert_eq!(
            trace.set_context(0, Vec::new()),
            Err(RegistryError::ContextMismatch)
        );
    }

    #[test]
    fn equal_enumerations_have_equal_ids() {
        let mut trace = TraceRegistry::new(1);
        let entries = vec![EnumEntry::auto("A")];
        assert_eq!(trace.add_enum("e", entries.clone()), Ok(0));
        assert_eq!(trace.add_enum("f", entries.clone()), Ok(1));
        assert_eq!(trace.add_enum("e", entries.clone()), Ok(0));
        assert_eq!(trace.enum_entries(1), Some(entries));
        assert_eq!(trace.enum_entries(2), None);
    }
}
