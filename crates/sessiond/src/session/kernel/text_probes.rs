//! Event probes of a channel: they stand in for events of system calls, and read the text that these have the
//! address of.
//!
//! A probe works in one instance only, so each channel has its own. The event that it stands in for is not enabled
//! there: a call is in the trace once.

use std::sync::{Arc, Mutex};

use kernel::format::EventFormat;
use kernel::machine::Machine;
use kernel::tracefs::{EventName, EventProbe, Owner, Tracefs};
use tracing::warn;

use crate::lock::lock;

/// What such probes are named by.
#[derive(Clone, Debug)]
pub(super) struct TextProbeNames {
    /// Whose they are.
    pub(super) owner: Owner,
    /// Begins their names; no other channel has it.
    pub(super) prefix: String,
    /// Those of channels that are gone.
    pub(super) left: LeftProbes,
}

/// Probes that somebody else has enabled, and that could not be removed with their channel for that.
pub(super) type LeftProbes = Arc<Mutex<Vec<EventName>>>;

/// See the module.
#[derive(Debug)]
pub(super) struct TextProbes {
    /// If the kernel has event probes.
    names: Option<TextProbeNames>,
    made: Vec<EventName>,
}

impl TextProbes {
    /// None yet.
    pub(super) fn new(names: Option<TextProbeNames>) -> Self {
        Self {
            names,
            made: Vec::new(),
        }
    }

    /// Makes the probe for an event, and tells its name and the text of its format. `None`: the event has no text,
    /// or it cannot be read, and has to do as it is.
    pub(super) fn stand_in(
        &mut self,
        tracefs: &Tracefs,
        event: &EventName,
        format: &str,
        machine: &Machine,
    ) -> Option<(EventName, String)> {
        let names = self.names.as_ref()?;
        let format = EventFormat::parse(format).ok()?;
        let probe = EventProbe::reading_text(format, &event.subsystem, machine)?;
        let name = format!("{}{}", names.prefix, event.name);
        let made = tracefs.add_event_probe(&names.owner, &name, &probe);
        let made = made.and_then(|made| {
            self.made.push(made.clone());
            Ok((probe.describe(&tracefs.format(&made)?), made))
        });
        match made {
            Ok((text, made)) => Some((made, text)),
            Err(error) => {
                warn!("{} is recorded without its text: {error}", event.name);
                None
            }
        }
    }

    /// Removes them, and those that other channels left. The instance must be gone.
    pub(super) fn remove(&mut self, tracefs: &Tracefs, pause: &dyn Fn()) {
        let Some(names) = &self.names else {
            return;
        };
        let mut left = lock(&names.left);
        left.retain(|event| tracefs.remove_event_probe(event).is_err());
        for event in self.made.drain(..) {
            pause();
            if let Err(error) = tracefs.remove_event_probe(&event) {
                warn!(
                    "{error}; it is removed with another session, or when the daemon starts again"
                );
                left.push(event);
            }
        }
    }
}
