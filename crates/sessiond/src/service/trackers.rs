//! Process attribute trackers as messages.

use control::v1::process_attribute_value::Kind;
use control::{ErrorCode, v1};
use places::user_id;

use crate::session::plan::{Plan, Refusal};
use crate::session::trackers::{Attribute, Policy, Value};

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::INVALID, message)
}

/// The attributes of user space, in the order of their numbers.
const ATTRIBUTES: [(Attribute, v1::ProcessAttribute); 3] = [
    (Attribute::Vpid, v1::ProcessAttribute::VirtualProcessId),
    (Attribute::Vuid, v1::ProcessAttribute::VirtualUserId),
    (Attribute::Vgid, v1::ProcessAttribute::VirtualGroupId),
];

pub(super) fn attribute(number: i32) -> Result<Attribute, Refusal> {
    let known = ATTRIBUTES
        .iter()
        .find(|(_, attribute)| *attribute as i32 == number);
    known.map(|(attribute, _)| *attribute).ok_or_else(|| {
        invalid(format!(
            "the user space domain tracks virtual process, user and group ids, not attribute {number}"
        ))
    })
}

pub(super) fn policy(number: i32) -> Result<Policy, Refusal> {
    match v1::TrackingPolicy::try_from(number) {
        Ok(v1::TrackingPolicy::IncludeAll) => Ok(Policy::IncludeAll),
        Ok(v1::TrackingPolicy::ExcludeAll) => Ok(Policy::ExcludeAll),
        Ok(v1::TrackingPolicy::IncludeSet) => Ok(Policy::IncludeSet(Vec::new())),
        Err(_) => Err(invalid(format!("unknown tracking policy {number}"))),
    }
}

/// Looks up names.
pub(super) fn value(
    attribute: Attribute,
    given: Option<v1::ProcessAttributeValue>,
) -> Result<Value, Refusal> {
    let name = match given.and_then(|value| value.kind) {
        Some(Kind::Id(id)) => return Ok(Value { id, name: None }),
        Some(Kind::Name(name)) => name,
        None => return Err(invalid("a value to track is a number or a name")),
    };
    let (id, code, what) = match attribute {
        Attribute::Vpid => return Err(invalid("processes have no names, only numbers")),
        Attribute::Vuid => (user_id(&name), ErrorCode::USER_NOT_FOUND, "user"),
        Attribute::Vgid => (places::group_id(&name), ErrorCode::GROUP_NOT_FOUND, "group"),
    };
    match id {
        Some(id) => Ok(Value {
            id,
            name: Some(name),
        }),
        None => {
            let message = format!("there is no {what} `{}`", name.escape_debug());
            Err(Refusal::new(code, message))
        }
    }
}

/// The trackers of a session's domain; none if it has not the domain.
pub(super) fn all(plan: &Plan) -> Vec<v1::Tracker> {
    if plan.channels.is_empty() && !plan.trackers.used() {
        return Vec::new();
    }
    let trackers = ATTRIBUTES
        .iter()
        .map(|(attribute, _)| one(plan, *attribute));
    trackers.collect()
}

pub(super) fn one(plan: &Plan, attribute: Attribute) -> v1::Tracker {
    let (policy, values) = match plan.trackers.policy(attribute) {
        Policy::IncludeAll => (v1::TrackingPolicy::IncludeAll, &[][..]),
        Policy::ExcludeAll => (v1::TrackingPolicy::ExcludeAll, &[][..]),
        Policy::IncludeSet(values) => (v1::TrackingPolicy::IncludeSet, &values[..]),
    };
    let message = |value: &Value| v1::ProcessAttributeValue {
        kind: Some(match &value.name {
            Some(name) => Kind::Name(name.clone()),
            None => Kind::Id(value.id),
        }),
    };
    let number = match attribute {
        Attribute::Vpid => v1::ProcessAttribute::VirtualProcessId,
        Attribute::Vuid => v1::ProcessAttribute::VirtualUserId,
        Attribute::Vgid => v1::ProcessAttribute::VirtualGroupId,
    };
    v1::Tracker {
        domain: v1::Domain::Ust.into(),
        attribute: number.into(),
        policy: policy.into(),
        values: values.iter().map(message).collect(),
    }
}
