//! Process attribute trackers of user space: which applications a session records.
//!
//! They are part of a session's plan. An application that is not included is treated as if the session were
//! inactive. Attributes are as the application told them when it registered: as it sees itself.

use control::ErrorCode;
use ust::Registration;

use crate::session::plan::{Plan, Refusal};

/// Most values of one inclusion set.
const MAX_VALUES: usize = 16 * 1024;

/// What a tracker looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attribute {
    /// Virtual process id.
    Vpid,
    /// Virtual user id.
    Vuid,
    /// Virtual group id.
    Vgid,
}

/// Which values are recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Policy {
    /// All.
    #[default]
    IncludeAll,
    /// None.
    ExcludeAll,
    /// These, in the order in which they came.
    IncludeSet(Vec<Value>),
}

/// A value of a set. Two with the same number are the same.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    /// Process, user or group id.
    pub id: u32,
    /// How the user named it, if by name.
    pub name: Option<String>,
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Value {}

/// All trackers of a session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trackers {
    /// One was used: the session has the domain, even without channels.
    used: bool,
    vpid: Policy,
    vuid: Policy,
    vgid: Policy,
}

impl Trackers {
    /// Whether one was ever used.
    pub(crate) fn used(&self) -> bool {
        self.used
    }

    /// The policy of a tracker.
    pub(crate) fn policy(&self, attribute: Attribute) -> &Policy {
        match attribute {
            Attribute::Vpid => &self.vpid,
            Attribute::Vuid => &self.vuid,
            Attribute::Vgid => &self.vgid,
        }
    }

    fn policy_mut(&mut self, attribute: Attribute) -> &mut Policy {
        match attribute {
            Attribute::Vpid => &mut self.vpid,
            Attribute::Vuid => &mut self.vuid,
            Attribute::Vgid => &mut self.vgid,
        }
    }

    /// Whether an application is recorded: all trackers have to include it.
    fn include(&self, app: &Registration) -> bool {
        self.vpid.includes(app.claimed_pid)
            && self.vuid.includes(app.claimed_uid)
            && self.vgid.includes(app.claimed_gid)
    }
}

impl Policy {
    fn includes(&self, id: u32) -> bool {
        match self {
            Self::IncludeAll => true,
            Self::ExcludeAll => false,
            Self::IncludeSet(values) => values.iter().any(|value| value.id == id),
        }
    }

    fn set(&mut self) -> Result<&mut Vec<Value>, Refusal> {
        match self {
            Self::IncludeSet(values) => Ok(values),
            Self::IncludeAll | Self::ExcludeAll => Err(Refusal::new(
                ErrorCode::TRACKER_INVALID_POLICY,
                "the tracker has no inclusion set: set its policy first",
            )),
        }
    }
}

impl Plan {
    /// Whether an application traces now.
    pub(crate) fn wants(&self, app: &Registration) -> bool {
        self.active && self.trackers.include(app)
    }

    /// Sets a policy; a set that is there already stays.
    pub(crate) fn set_policy(&self, attribute: Attribute, policy: Policy) -> Self {
        let mut plan = self.clone();
        plan.trackers.used = true;
        let have = plan.trackers.policy_mut(attribute);
        let stays = matches!(
            (&*have, &policy),
            (Policy::IncludeSet(_), Policy::IncludeSet(_))
        );
        if !stays {
            *have = policy;
        }
        plan
    }

    /// Adds a value to an inclusion set.
    pub(crate) fn track(&self, attribute: Attribute, value: Value) -> Result<Self, Refusal> {
        self.with_trackers(|trackers| {
            let set = trackers.policy_mut(attribute).set()?;
            if set.contains(&value) {
                let message = format!("{} is tracked already", value.id);
                return Err(Refusal::new(ErrorCode::PROCESS_ATTRIBUTE_EXISTS, message));
            }
            if set.len() == MAX_VALUES {
                let message = format!("an inclusion set has at most {MAX_VALUES} values");
                return Err(Refusal::new(ErrorCode::INVALID, message));
            }
            set.push(value);
            Ok(())
        })
    }

    /// Removes a value from an inclusion set.
    pub(crate) fn untrack(&self, attribute: Attribute, value: &Value) -> Result<Self, Refusal> {
        self.with_trackers(|trackers| {
            let set = trackers.policy_mut(attribute).set()?;
            let Some(at) = set.iter().position(|known| known == value) else {
                let message = format!("{} is not tracked", value.id);
                return Err(Refusal::new(ErrorCode::PROCESS_ATTRIBUTE_MISSING, message));
            };
            set.remove(at);
            Ok(())
        })
    }

    fn with_trackers(
        &self,
        change: impl FnOnce(&mut Trackers) -> Result<(), Refusal>,
    ) -> Result<Self, Refusal> {
        let mut plan = self.clone();
        plan.trackers.used = true;
        change(&mut plan.trackers)?;
        Ok(plan)
    }
}

#[cfg(test)]
mod tests {
    use ust::SocketType;

    use super::*;

    fn app(pid: u32, uid: u32) -> Registration {
        Registration {
            socket_type: SocketType::Command,
            major: 9,
            minor: 0,
            claimed_pid: pid,
            claimed_ppid: 1,
            claimed_uid: uid,
            claimed_gid: 0,
            bits_per_long: 64,
            alignments: [8; 5],
            name: "app".into(),
        }
    }

    fn value(id: u32) -> Value {
        Value { id, name: None }
    }

    #[test]
    fn every_tracker_has_to_include_an_application() {
        let includes = |plan: &Plan, pid, uid| plan.trackers.include(&app(pid, uid));
        let plan = Plan::default();
        assert!(includes(&plan, 1, 1));
        let plan = plan.set_policy(Attribute::Vpid, Policy::IncludeSet(Vec::new()));
        assert!(!includes(&plan, 1, 1));
        let plan = plan.track(Attribute::Vpid, value(1)).unwrap();
        assert!(includes(&plan, 1, 1) && !includes(&plan, 2, 1));
        let plan = plan.set_policy(Attribute::Vuid, Policy::ExcludeAll);
        assert!(!includes(&plan, 1, 1));
        let plan = plan.set_policy(Attribute::Vuid, Policy::IncludeAll);
        assert!(includes(&plan, 1, 1));
        let plan = plan.untrack(Attribute::Vpid, &value(1)).unwrap();
        assert!(!includes(&plan, 1, 1));
        // An inactive session wants nobody.
        assert!(!Plan::default().wants(&app(1, 1)));
    }

    #[test]
    fn a_set_is_kept_and_has_no_value_twice() {
        let code = |result: Result<Plan, Refusal>| result.unwrap_err().code;
        let plan = Plan::default();
        assert!(!plan.trackers.used());
        let none = plan.track(Attribute::Vuid, value(0));
        assert_eq!(code(none), ErrorCode::TRACKER_INVALID_POLICY);
        let set = || Policy::IncludeSet(Vec::new());
        let plan = plan.set_policy(Attribute::Vuid, set());
        let root = Value {
            id: 0,
            name: Some("root".into()),
        };
        let plan = plan.track(Attribute::Vuid, root).unwrap();
        assert_eq!(
            code(plan.track(Attribute::Vuid, value(0))),
            ErrorCode::PROCESS_ATTRIBUTE_EXISTS
        );
        let plan = plan.set_policy(Attribute::Vuid, set());
        assert_eq!(
            *plan.trackers.policy(Attribute::Vuid),
            Policy::IncludeSet(vec![value(0)])
        );
        assert_eq!(
            code(plan.untrack(Attribute::Vuid, &value(1))),
            ErrorCode::PROCESS_ATTRIBUTE_MISSING
        );
        assert!(plan.trackers.used());
    }
}
