//! What a session wants of the kernel. As the rest of the plan, a value without I/O.

use std::collections::BTreeSet;

use control::ErrorCode;
use filter::Expression;
use kernel::tracefs::ProbePlace;

use crate::session::channels::{self, Channels, Codes, Domain};
use crate::session::plan::Refusal;

/// What a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KernelRuleKind {
    /// Tracepoints.
    Tracepoint,
    /// Entry and exit of system calls.
    Syscall,
    /// A place in a program or in the kernel.
    Probe(Probe),
}

/// What a rule about a place means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Probe {
    /// How the user asked for it.
    pub kind: ProbeKind,
    /// As the user wrote it.
    pub location: String,
    /// Where that is: several for an SDT probe that was inlined, and for a function that is entered and left.
    pub places: Vec<ProbePlace>,
}

/// How a user asks for a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProbeKind {
    /// In a program.
    Userspace,
    /// In the kernel.
    Kernel,
    /// Entry and return of a function of the kernel.
    Function,
}

/// A rule of the kernel domain.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KernelRule {
    /// Name or star-glob; of a probe: the name of the event.
    pub name: String,
    /// What it is about.
    pub kind: KernelRuleKind,
    /// What fields must be like.
    pub filter: Option<Expression>,
}

/// The kernel's domain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kernel;

impl Domain for Kernel {
    type Rule = KernelRule;
    /// The user's spelling.
    type Context = String;

    const ADJECTIVE: &'static str = "kernel ";
    const CODES: Codes = Codes {
        channel_exists: ErrorCode::KERNEL_CHANNEL_EXISTS,
        channel_failed: ErrorCode::KERNEL_CHANNEL_FAILED,
        channel_not_found: ErrorCode::KERNEL_CHANNEL_NOT_FOUND,
        rule_enabled: ErrorCode::KERNEL_EVENT_EXISTS,
        rule_failed: ErrorCode::KERNEL_ENABLE_FAILED,
        rule_not_found: ErrorCode::KERNEL_DISABLE_FAILED,
        context_exists: ErrorCode::KERNEL_CONTEXT_FAILED,
        context_failed: ErrorCode::KERNEL_CONTEXT_FAILED,
    };

    fn rule_name(rule: &KernelRule) -> &str {
        &rule.name
    }

    fn spelling(context: &String) -> &str {
        context
    }
}

/// A rule in a channel.
pub(crate) type PlannedKernelRule = channels::PlannedRule<KernelRule>;
/// A channel of the kernel domain.
pub(crate) type PlannedKernelChannel = channels::Channel<Kernel>;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct KernelPlan {
    /// Where events go.
    pub channels: Channels<Kernel>,
    /// Processes that are recorded; `None`: all.
    pub tracked: Option<BTreeSet<u32>>,
}

type Change = Result<KernelPlan, Refusal>;

impl KernelPlan {
    /// With other channels.
    pub(crate) fn with(&self, channels: Channels<Kernel>) -> Self {
        Self {
            channels,
            tracked: self.tracked.clone(),
        }
    }

    /// Records all processes, or none but those that are added later.
    pub(crate) fn set_tracking(&self, all: bool) -> KernelPlan {
        let mut plan = self.clone();
        plan.tracked = (!all).then(BTreeSet::new);
        plan
    }

    /// Records this process too.
    pub(crate) fn track(&self, process: u32) -> Change {
        self.with_tracked(|tracked| match tracked.insert(process) {
            true => Ok(()),
            false => Err(Refusal::new(
                ErrorCode::PROCESS_ATTRIBUTE_EXISTS,
                format!("the process {process} is tracked already"),
            )),
        })
    }

    /// Records this process no more.
    pub(crate) fn untrack(&self, process: u32) -> Change {
        self.with_tracked(|tracked| match tracked.remove(&process) {
            true => Ok(()),
            false => Err(Refusal::new(
                ErrorCode::PROCESS_ATTRIBUTE_MISSING,
                format!("the process {process} is not tracked"),
            )),
        })
    }

    fn with_tracked(
        &self,
        change: impl FnOnce(&mut BTreeSet<u32>) -> Result<(), Refusal>,
    ) -> Change {
        let mut plan = self.clone();
        match &mut plan.tracked {
            Some(tracked) => change(tracked)?,
            None => {
                return Err(Refusal::new(
                    ErrorCode::TRACKER_INVALID_POLICY,
                    "all processes are recorded: there is no set of them to change",
                ));
            }
        }
        Ok(plan)
    }
}
