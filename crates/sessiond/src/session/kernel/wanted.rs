//! The events that a channel shall record now.

use std::collections::BTreeMap;

use filter::Expression;
use kernel::tracefs::{EventName, ProbePlace, Tracefs, TracefsError};

use crate::session::kernel::catalog;
use crate::session::kernel::plan::PlannedKernelChannel;

/// What the rules that mean an event ask of it; `None` in the list: nothing.
type Expressions = Vec<Option<Expression>>;

/// What the kernel calls the places of a probe, and what LTTng does.
const FIELD_NAMES: [(&str, &str); 3] = [
    ("__probe_ip", "ip"),
    ("__probe_func", "ip"),
    ("__probe_ret_ip", "parent_ip"),
];

/// An event that was made for a probe rule.
#[derive(Debug)]
pub(super) struct ProbeEvent {
    /// The kernel's name for it.
    pub(super) event: EventName,
    /// Where it happens.
    pub(super) place: ProbePlace,
}

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
        probes: &BTreeMap<u64, Vec<ProbeEvent>>,
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
            for probe in probes.get(&planned.id).into_iter().flatten() {
                wanted.add(&probe.event, rule.filter.clone());
                let name = rule.name.clone() + suffix(&probe.place);
                wanted.probe_names.insert(probe.event.clone(), name);
            }
        }
        wanted
    }

    fn add(&mut self, event: &EventName, filter: Option<Expression>) {
        self.events.entry(event.clone()).or_default().push(filter);
    }

    /// The format of an event as it is in the trace: a probe has the name that the user gave it, and
    /// calls its instruction pointers as LTTng does.
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
        Ok(FIELD_NAMES.iter().fold(text, |text, (kernels, lttngs)| {
            // In the list of fields, and where the kernel tells how it shows them.
            text.replace(&format!(" {kernels};"), &format!(" {lttngs};"))
                .replace(&format!("REC->{kernels}"), &format!("REC->{lttngs}"))
        }))
    }
}

/// What the name of a rule has appended in the trace.
fn suffix(place: &ProbePlace) -> &'static str {
    match place {
        ProbePlace::Program(_) | ProbePlace::Kernel(_) => "",
        ProbePlace::FunctionEntry(_) => "_entry",
        ProbePlace::FunctionExit(_) => "_exit",
    }
}
