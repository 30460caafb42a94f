//! What a session wants of the kernel. As the rest of the plan, a value without I/O.

use std::collections::BTreeSet;
use std::sync::Arc;

use control::ErrorCode;
use filter::Expression;
use kernel::tracefs::ProbePlace;

use crate::session::plan::{
    Attributes, DEFAULT_CHANNEL, MAX_CHANNELS, MAX_RULES, Refusal, check_channel_name,
};

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

/// A rule in a channel.
#[derive(Clone, Debug)]
pub(crate) struct PlannedKernelRule {
    /// Unique among the kernel rules of the session.
    pub id: u64,
    /// Whether it records.
    pub enabled: bool,
    /// The rule.
    pub rule: Arc<KernelRule>,
}

/// A channel of the kernel domain.
#[derive(Clone, Debug)]
pub(crate) struct PlannedKernelChannel {
    /// Its number: in creation order, from 0.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// Whether it records.
    pub enabled: bool,
    /// Its settings.
    pub attributes: Attributes,
    /// Context fields that the user asked for.
    pub contexts: Vec<String>,
    /// In the order of the commands.
    pub rules: Vec<PlannedKernelRule>,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct KernelPlan {
    /// In the order of creation.
    pub channels: Vec<Arc<PlannedKernelChannel>>,
    /// Processes that are recorded; `None`: all.
    pub tracked: Option<BTreeSet<u32>>,
    next_rule: u64,
}

type Change = Result<KernelPlan, Refusal>;

impl KernelPlan {
    /// The channel of that name.
    pub(crate) fn channel(&self, name: &str) -> Option<&Arc<PlannedKernelChannel>> {
        self.channels.iter().find(|channel| channel.name == name)
    }

    /// Creates a channel, or enables a disabled one.
    pub(crate) fn enable_channel(
        &self,
        name: &str,
        attributes: Attributes,
        started_once: bool,
    ) -> Change {
        check_channel_name(name)?;
        if let Some(channel) = self.channel(name) {
            if channel.enabled {
                let message = format!("the kernel channel `{name}` exists already");
                return Err(Refusal::new(ErrorCode::KERNEL_CHANNEL_EXISTS, message));
            }
            return self.with_channel(name, |channel| channel.enabled = true);
        }
        if started_once {
            let message = format!(
                "the session was started once: the channel `{name}` cannot be added any more"
            );
            return Err(Refusal::new(ErrorCode::ALREADY_STARTED, message));
        }
        if self.channels.len() == MAX_CHANNELS {
            let message = format!("a session has at most {MAX_CHANNELS} kernel channels");
            return Err(Refusal::new(ErrorCode::KERNEL_CHANNEL_FAILED, message));
        }
        let mut plan = self.clone();
        plan.channels.push(Arc::new(PlannedKernelChannel {
            id: self.channels.len() as u32,
            name: name.to_owned(),
            enabled: true,
            attributes,
            contexts: Vec::new(),
            rules: Vec::new(),
        }));
        Ok(plan)
    }

    /// Stops recording in a channel.
    pub(crate) fn disable_channel(&self, name: &str) -> Change {
        self.with_channel(name, |channel| channel.enabled = false)
    }

    /// Which channel a rule command means: the named one, or the default.
    pub(crate) fn channel_for_rule<'a>(&self, named: &'a str) -> Result<&'a str, Refusal> {
        if !named.is_empty() {
            return Ok(named);
        }
        let other = |channel: &Arc<PlannedKernelChannel>| channel.name != DEFAULT_CHANNEL;
        if self.channels.iter().any(other) {
            return Err(Refusal::new(
                ErrorCode::NEED_CHANNEL_NAME,
                "the session has kernel channels of its own names: say which one with --channel",
            ));
        }
        Ok(DEFAULT_CHANNEL)
    }

    /// Creates a rule in an existing channel, or enables a disabled one.
    pub(crate) fn enable_rule(&self, channel: &str, rule: KernelRule) -> Change {
        let found = self.require(channel)?;
        if let Some(same) = found.rules.iter().find(|planned| *planned.rule == rule) {
            if same.enabled {
                let message = format!("the kernel event rule `{}` is enabled already", rule.name);
                return Err(Refusal::new(ErrorCode::KERNEL_EVENT_EXISTS, message));
            }
            let id = same.id;
            return self.with_channel(channel, |channel| {
                for planned in channel.rules.iter_mut().filter(|planned| planned.id == id) {
                    planned.enabled = true;
                }
            });
        }
        if found.rules.len() == MAX_RULES {
            let message = format!("a channel has at most {MAX_RULES} event rules");
            return Err(Refusal::new(ErrorCode::KERNEL_ENABLE_FAILED, message));
        }
        let planned = PlannedKernelRule {
            id: self.next_rule,
            enabled: true,
            rule: Arc::new(rule),
        };
        let mut plan = self.with_channel(channel, |channel| channel.rules.push(planned))?;
        plan.next_rule += 1;
        Ok(plan)
    }

    /// Stops the rules of that very name, or all of the channel if the name is empty, of those that
    /// `kind` lets through.
    pub(crate) fn disable_rules(
        &self,
        channel: &str,
        name: &str,
        kind: impl Fn(&KernelRuleKind) -> bool,
    ) -> Change {
        let found = self.require(channel)?;
        let matches = |planned: &PlannedKernelRule| {
            (name.is_empty() || planned.rule.name == name) && kind(&planned.rule.kind)
        };
        if !name.is_empty() && !found.rules.iter().any(matches) {
            let message = format!("the kernel channel `{channel}` has no event rule `{name}`");
            return Err(Refusal::new(ErrorCode::KERNEL_DISABLE_FAILED, message));
        }
        self.with_channel(channel, |channel| {
            for planned in channel.rules.iter_mut().filter(|planned| matches(planned)) {
                planned.enabled = false;
            }
        })
    }

    /// Adds a context field to a channel, which was not started yet.
    pub(crate) fn add_context(&self, channel: &str, context: &str) -> Change {
        let found = self.require(channel)?;
        if found.contexts.iter().any(|existing| existing == context) {
            let message = format!("the channel `{channel}` has the context `{context}` already");
            return Err(Refusal::new(ErrorCode::KERNEL_CONTEXT_FAILED, message));
        }
        self.with_channel(channel, |channel| channel.contexts.push(context.to_owned()))
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

    fn require(&self, name: &str) -> Result<&Arc<PlannedKernelChannel>, Refusal> {
        self.channel(name).ok_or_else(|| {
            let message = format!("the session has no kernel channel `{name}`");
            Refusal::new(ErrorCode::KERNEL_CHANNEL_NOT_FOUND, message)
        })
    }

    fn with_channel(&self, name: &str, change: impl FnOnce(&mut PlannedKernelChannel)) -> Change {
        self.require(name)?;
        let mut plan = self.clone();
        let channel = plan
            .channels
            .iter_mut()
            .find(|channel| channel.name == name);
        if let Some(channel) = channel {
            change(Arc::make_mut(channel));
        }
        Ok(plan)
    }
}
