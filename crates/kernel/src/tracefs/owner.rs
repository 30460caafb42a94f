//! Whose instances are whose.

use super::TracefsError;

/// Names of instances begin with this, those of probe groups with it and an underscore.
const PREFIX: &str = "lttng-rs";
const GROUP_PREFIX: &str = "lttng_rs_";
/// Longest identity in bytes.
const MAX_IDENTITY: usize = 32;

/// The identity of one session daemon over its restarts: a part of all names that it gives in tracefs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    identity: String,
}

impl Owner {
    /// From an identity of letters and digits that nobody else on the machine has.
    pub fn new(identity: &str) -> Result<Self, TracefsError> {
        let usable = !identity.is_empty()
            && identity.len() <= MAX_IDENTITY
            && identity.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !usable {
            return Err(TracefsError::BadName(identity.to_owned()));
        }
        Ok(Self {
            identity: identity.to_owned(),
        })
    }

    /// Full name of an instance. What does not belong into a file name becomes an underscore.
    pub(super) fn instance(&self, name: &str) -> String {
        let safe = |c: char| {
            if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') {
                c
            } else {
                '_'
            }
        };
        let name: String = name.chars().map(safe).collect();
        format!("{PREFIX}-{}-{name}", self.identity)
    }

    pub(super) fn owns_instance(&self, full_name: &str) -> bool {
        full_name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.strip_prefix('-'))
            .and_then(|rest| rest.strip_prefix(&self.identity))
            .is_some_and(|rest| rest.starts_with('-'))
    }

    /// The subsystem of our probes: group names have no dashes.
    pub fn probe_group(&self) -> String {
        format!("{GROUP_PREFIX}{}", self.identity)
    }
}

/// Whether a subsystem is one of the probes of an owner, whoever that is.
pub fn is_probe_group(subsystem: &str) -> bool {
    subsystem.starts_with(GROUP_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_knows_its_own_instances_only() {
        let owner = Owner::new("a1").unwrap();
        assert_eq!(owner.instance("0/x"), "lttng-rs-a1-0_x");
        assert!(owner.owns_instance("lttng-rs-a1-0"));
        for foreign in [
            "lttng-rs-a12-0",
            "lttng-rs-a1",
            "trace-cmd",
            "lttng-rs-b1-0",
        ] {
            assert!(!owner.owns_instance(foreign), "{foreign}");
        }
        assert_eq!(owner.probe_group(), "lttng_rs_a1");
    }

    #[test]
    fn an_identity_stays_one_component() {
        for bad in ["", "a-b", "../x", "a b"] {
            assert!(Owner::new(bad).is_err());
        }
    }
}
