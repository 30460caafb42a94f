//! Process attribute trackers.

use control::v1::process_attribute_value::Kind;
use control::v1::{Domain, ProcessAttribute, ProcessAttributeValue, Tracker, TrackingPolicy};

use crate::mi::Element;

/// What an attribute is called.
pub(crate) struct Names {
    /// At the beginning of a line.
    pub(crate) heading: &'static str,
    /// Within a sentence.
    pub(crate) inline: &'static str,
    /// Element of one value in the machine interface.
    pub(crate) short: &'static str,
    /// Element of the tracker in the machine interface.
    tracker: &'static str,
}

pub(crate) fn names(attribute: ProcessAttribute) -> Names {
    use ProcessAttribute as Attribute;

    let (heading, inline, short, tracker) = match attribute {
        Attribute::ProcessId => (
            "Process ID",
            "process ID",
            "pid",
            "pid_process_attr_tracker",
        ),
        Attribute::VirtualProcessId | Attribute::Unspecified => (
            "Virtual process ID",
            "virtual process ID",
            "vpid",
            "vpid_process_attr_tracker",
        ),
        Attribute::UserId => ("User ID", "user ID", "uid", "uid_process_attr_tracker"),
        Attribute::VirtualUserId => (
            "Virtual user ID",
            "virtual user ID",
            "vuid",
            "vuid_process_attr_tracker",
        ),
        Attribute::GroupId => ("Group ID", "group ID", "gid", "gid_process_attr_tracker"),
        Attribute::VirtualGroupId => (
            "Virtual group ID",
            "virtual group ID",
            "vgid",
            "vgid_process_attr_tracker",
        ),
    };
    Names {
        heading,
        inline,
        short,
        tracker,
    }
}

pub(crate) fn is_process_id(attribute: ProcessAttribute) -> bool {
    matches!(
        attribute,
        ProcessAttribute::ProcessId | ProcessAttribute::VirtualProcessId
    )
}

/// The attributes that a domain can track, in the order of `list`.
fn attributes(domain: Domain) -> &'static [ProcessAttribute] {
    use ProcessAttribute as Attribute;

    match domain {
        Domain::Kernel => &[
            Attribute::ProcessId,
            Attribute::VirtualProcessId,
            Attribute::UserId,
            Attribute::VirtualUserId,
            Attribute::GroupId,
            Attribute::VirtualGroupId,
        ],
        Domain::Ust | Domain::Unspecified => &[
            Attribute::VirtualProcessId,
            Attribute::VirtualUserId,
            Attribute::VirtualGroupId,
        ],
    }
}

/// The block of `list NAME`, with the empty line after it.
pub(crate) fn text(domain: Domain, trackers: &[Tracker]) -> String {
    let mut out = String::from("Tracked process attributes\n");
    for attribute in attributes(domain) {
        let heading = format!("{}s:", names(*attribute).heading);
        let tracker = trackers
            .iter()
            .find(|tracker| tracker.domain() == domain && tracker.attribute() == *attribute);
        out.push_str(&format!("  {heading:<22}{}\n", tracked(tracker)));
    }
    out
}

fn tracked(tracker: Option<&Tracker>) -> String {
    let Some(tracker) = tracker else {
        return "all".into();
    };
    match tracker.policy() {
        TrackingPolicy::IncludeAll => "all".into(),
        TrackingPolicy::IncludeSet if !tracker.values.is_empty() => {
            let values: Vec<_> = tracker.values.iter().map(value_text).collect();
            values.join(", ")
        }
        TrackingPolicy::ExcludeAll | TrackingPolicy::IncludeSet => "none".into(),
    }
}

/// A number, or a name in backquotes.
pub(crate) fn value_text(value: &ProcessAttributeValue) -> String {
    match &value.kind {
        Some(Kind::Id(id)) => id.to_string(),
        Some(Kind::Name(name)) => format!("`{name}`"),
        None => String::new(),
    }
}

/// The trackers of a domain that do not include all, for the machine interface.
pub(crate) fn elements(domain: Domain, trackers: &[Tracker]) -> Element {
    let narrowed = attributes(domain).iter().filter_map(|attribute| {
        let tracker = trackers
            .iter()
            .find(|tracker| tracker.domain() == domain && tracker.attribute() == *attribute)?;
        let values = match tracker.policy() {
            TrackingPolicy::IncludeAll => return None,
            TrackingPolicy::ExcludeAll => &[][..],
            TrackingPolicy::IncludeSet => &tracker.values,
        };
        let short = names(*attribute).short;
        let values = values.iter().map(|value| value_element(short, value));
        Some(element(*attribute, values.collect()))
    });
    Element::new("process_attr_trackers", narrowed)
}

/// One tracker with its values.
pub(crate) fn element(attribute: ProcessAttribute, values: Vec<Element>) -> Element {
    let values = Element::new("process_attr_values", values);
    Element::new(names(attribute).tracker, [values])
}

/// One value; `short` is the name of its attribute.
pub(crate) fn value_element(short: &'static str, value: &ProcessAttributeValue) -> Element {
    let kind = match &value.kind {
        Some(Kind::Id(id)) => Some(Element::text("id", id)),
        Some(Kind::Name(name)) => Some(Element::text("name", name)),
        None => None,
    };
    Element::new(short, [Element::new("type", kind)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracker(policy: TrackingPolicy, values: Vec<ProcessAttributeValue>) -> Tracker {
        Tracker {
            domain: Domain::Ust.into(),
            attribute: ProcessAttribute::VirtualUserId.into(),
            policy: policy.into(),
            values,
        }
    }

    #[test]
    fn every_policy_is_shown() {
        let id = ProcessAttributeValue {
            kind: Some(Kind::Id(5)),
        };
        let name = ProcessAttributeValue {
            kind: Some(Kind::Name("root".into())),
        };
        for (tracker, shown) in [
            (tracker(TrackingPolicy::IncludeAll, vec![]), "all"),
            (tracker(TrackingPolicy::ExcludeAll, vec![]), "none"),
            (tracker(TrackingPolicy::IncludeSet, vec![]), "none"),
            (
                tracker(TrackingPolicy::IncludeSet, vec![name, id]),
                "`root`, 5",
            ),
        ] {
            let expected = format!(
                "Tracked process attributes\n  Virtual process IDs:  all\n  Virtual user IDs:     \
                 {shown}\n  Virtual group IDs:    all\n"
            );
            assert_eq!(text(Domain::Ust, &[tracker]), expected);
        }
    }
}
