//! The events that a channel shall record now.

use std::collections::BTreeMap;

use filter::Expression;
use kernel::tracefs::{EventName, Tracefs, TracefsError};

use crate::session::kernel::catalog;
use crate::session::kernel::plan::PlannedKernelChannel;

/// What the rules that mean an event ask of it; `None` in the list: nothing.
type Expressions = Vec<Option<Expression>>;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// By name.
    pub(super) events: BTreeMap<EventName, Expressions>,
    /// Names in the trace of events that are probes.
    probe_names: BTreeMap<EventName, String>,
}

impl Wanted {
    /// What the rules of a channel mean among `all` events of the kernel. `probes`: the events of its
    /// probe rules, by the rule's number.
    pub(super) fn of(
        channel: &PlannedKernelChannel,
        all: &[EventName],
        probes: &BTreeMap<u64, Vec<EventName>>,
    ) -> Self {
        let mut wanted = Self::default();
        if !channel.enabled {
            return wanted;
        }
        for planned in channel.rules.iter().filter(|planned| planned.enabled) {
            let rule = &planned.rule;
            for event in all.iter().filter(|event| catalog::means(rule, event)) {
                wanted.add(event, rule.filter.clone());
            }
            for event in probes.get(&planned.id).into_iter().flatten() {
                wanted.add(event, rule.filter.clone());
                wanted.probe_names.insert(event.clone(), rule.name.clone());
            }
        }
        wanted
    }

    fn add(&mut self, event: &EventName, filter: Option<Expression>) {
        self.events.entry(event.clone()).or_default().push(filter);
    }

    /// The format of an event as it is in the trace: a probe has the name that the user gave it, and
    /// calls its instruction pointer as LTTng does.
    pub(super) fn format_text(
        &self,
        tracefs: &Tracefs,
        event: &EventName,
    ) -> Result<String, TracefsError> {
        let text = tracefs.format(event)?;
        let Some(name) = self.probe_names.get(event) else {
            return Ok(text);
        };
        let text = text.replacen(
            &format!("name: {}\n", event.name),
            &format!("name: {name}\n"),
            1,
        );
        Ok(text.replace(" __probe_ip;", " ip;"))
    }
}
