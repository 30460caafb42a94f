//! The channels of one domain, with their context fields and event rules. As the rest of the plan, a value: each
//! change makes a new one.

use std::fmt::Debug;
use std::sync::Arc;

use control::ErrorCode;

use crate::session::plan::{Attributes, Refusal};

/// Name of the channel that is created when none is named.
pub(crate) const DEFAULT_CHANNEL: &str = "channel0";
/// Longest channel and event name in bytes.
pub(crate) const MAX_NAME: usize = 255;
/// Longest name of a channel, bytes: files of its streams have the CPU and the number of the file behind it.
const MAX_CHANNEL_NAME: usize = MAX_NAME - "_4294967295_18446744073709551615.idx".len();
/// Most channels of a domain.
pub(crate) const MAX_CHANNELS: usize = 256;
/// Most event rules of a channel.
pub(crate) const MAX_RULES: usize = 16 * 1024;
/// Most context fields of a channel.
pub(crate) const MAX_CONTEXTS: usize = 256;

/// In what domains differ.
pub(crate) trait Domain: Clone + Debug {
    /// An event rule.
    type Rule: Clone + Debug + PartialEq;
    /// A context field; equal ones are the same field.
    type Context: Clone + Debug + PartialEq;

    /// What messages say before "channel": nothing, or a word and a space.
    const ADJECTIVE: &'static str;
    /// Upstream's codes.
    const CODES: Codes;

    /// Name or glob.
    fn rule_name(rule: &Self::Rule) -> &str;
    /// As the user wrote it.
    fn spelling(context: &Self::Context) -> &str;
}

/// Codes of refusals.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Codes {
    /// The channel exists, and is enabled.
    pub channel_exists: ErrorCode,
    /// There are too many channels.
    pub channel_failed: ErrorCode,
    /// There is no such channel.
    pub channel_not_found: ErrorCode,
    /// The rule exists, and is enabled.
    pub rule_enabled: ErrorCode,
    /// There are too many rules.
    pub rule_failed: ErrorCode,
    /// There is no such rule.
    pub rule_not_found: ErrorCode,
    /// The channel has the context field.
    pub context_exists: ErrorCode,
    /// There are too many context fields.
    pub context_failed: ErrorCode,
}

/// A rule in a channel.
#[derive(Clone, Debug)]
pub(crate) struct PlannedRule<R> {
    /// Unique in the domain of the session.
    pub id: u64,
    /// Whether it records.
    pub enabled: bool,
    /// The rule.
    pub rule: Arc<R>,
}

/// A channel.
#[derive(Clone, Debug)]
pub(crate) struct Channel<D: Domain> {
    /// Its number: in creation order, from 0.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// Whether it records.
    pub enabled: bool,
    /// Its settings.
    pub attributes: Attributes,
    /// In the order of the commands.
    pub contexts: Vec<D::Context>,
    /// In the order of the commands.
    pub rules: Vec<PlannedRule<D::Rule>>,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Channels<D: Domain> {
    in_order: Vec<Arc<Channel<D>>>,
    next_rule: u64,
}

impl<D: Domain> Default for Channels<D> {
    fn default() -> Self {
        Self {
            in_order: Vec::new(),
            next_rule: 0,
        }
    }
}

type Change<D> = Result<Channels<D>, Refusal>;

impl<D: Domain> Channels<D> {
    /// In the order of creation.
    pub(crate) fn as_slice(&self) -> &[Arc<Channel<D>>] {
        &self.in_order
    }

    /// In the order of creation.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Arc<Channel<D>>> {
        self.in_order.iter()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.in_order.len()
    }

    /// There is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.in_order.is_empty()
    }

    /// The channel of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Channel<D>>> {
        self.iter().find(|channel| channel.name == name)
    }

    /// Creates a channel, or enables a disabled one.
    pub(crate) fn enable(
        &self,
        name: &str,
        attributes: Attributes,
        started_once: bool,
    ) -> Change<D> {
        check_name(name)?;
        if let Some(channel) = self.get(name) {
            if channel.enabled {
                let message = format!("the {}channel `{name}` exists already", D::ADJECTIVE);
                return Err(Refusal::new(D::CODES.channel_exists, message));
            }
            return self.with_channel(name, |channel| channel.enabled = true);
        }
        if started_once {
            return Err(too_late("channel", name));
        }
        if self.len() == MAX_CHANNELS {
            let message = format!(
                "a session has at most {MAX_CHANNELS} {}channels",
                D::ADJECTIVE
            );
            return Err(Refusal::new(D::CODES.channel_failed, message));
        }
        let mut channels = self.clone();
        channels.in_order.push(Arc::new(Channel {
            id: self.len() as u32,
            name: name.to_owned(),
            enabled: true,
            attributes,
            contexts: Vec::new(),
            rules: Vec::new(),
        }));
        Ok(channels)
    }

    /// The channel of that name is there; if it was not, it is created.
    pub(crate) fn with(&self, name: &str, attributes: Attributes, started_once: bool) -> Change<D> {
        match self.get(name) {
            Some(_) => Ok(self.clone()),
            None => self.enable(name, attributes, started_once),
        }
    }

    /// Stops recording in a channel; as with upstream, one that is disabled already is no error.
    pub(crate) fn disable(&self, name: &str) -> Change<D> {
        self.with_channel(name, |channel| channel.enabled = false)
    }

    /// Which channel a rule command means: the named one, or the default.
    pub(crate) fn for_rule<'a>(&self, named: &'a str) -> Result<&'a str, Refusal> {
        if !named.is_empty() {
            return Ok(named);
        }
        if self.iter().any(|channel| channel.name != DEFAULT_CHANNEL) {
            let message = format!(
                "the session has {}channels of its own names: say which one with --channel",
                D::ADJECTIVE
            );
            return Err(Refusal::new(ErrorCode::NEED_CHANNEL_NAME, message));
        }
        Ok(DEFAULT_CHANNEL)
    }

    /// Creates a rule in an existing channel, or enables a disabled one.
    pub(crate) fn enable_rule(&self, channel: &str, rule: D::Rule) -> Change<D> {
        let found = self.require(channel)?;
        if let Some(same) = found.rules.iter().find(|planned| *planned.rule == rule) {
            if same.enabled {
                let message = format!(
                    "the {}event rule `{}` is enabled already",
                    D::ADJECTIVE,
                    D::rule_name(&rule)
                );
                return Err(Refusal::new(D::CODES.rule_enabled, message));
            }
            return self.with_rules(channel, true, |planned| planned.id == same.id);
        }
        if found.rules.len() == MAX_RULES {
            let message = format!("a channel has at most {MAX_RULES} event rules");
            return Err(Refusal::new(D::CODES.rule_failed, message));
        }
        let planned = PlannedRule {
            id: self.next_rule,
            enabled: true,
            rule: Arc::new(rule),
        };
        let mut channels = self.with_channel(channel, |channel| channel.rules.push(planned))?;
        channels.next_rule += 1;
        Ok(channels)
    }

    /// Stops the rules of that very name, or all of the channel if the name is empty, of those that `chosen` lets
    /// through.
    pub(crate) fn disable_rules(
        &self,
        channel: &str,
        name: &str,
        chosen: impl Fn(&D::Rule) -> bool,
    ) -> Change<D> {
        let matches = |planned: &PlannedRule<D::Rule>| {
            (name.is_empty() || D::rule_name(&planned.rule) == name) && chosen(&planned.rule)
        };
        if !name.is_empty() && !self.require(channel)?.rules.iter().any(matches) {
            let message = format!(
                "the {}channel `{channel}` has no event rule `{name}`",
                D::ADJECTIVE
            );
            return Err(Refusal::new(D::CODES.rule_not_found, message));
        }
        self.with_rules(channel, false, matches)
    }

    /// Adds a context field to a channel.
    pub(crate) fn add_context(
        &self,
        channel: &str,
        context: D::Context,
        started_once: bool,
    ) -> Change<D> {
        let found = self.require(channel)?;
        let spelling = D::spelling(&context);
        if started_once {
            return Err(too_late("context", spelling));
        }
        if found.contexts.contains(&context) {
            let message = format!("the channel `{channel}` has the context `{spelling}` already");
            return Err(Refusal::new(D::CODES.context_exists, message));
        }
        if found.contexts.len() == MAX_CONTEXTS {
            let message = format!("a channel has at most {MAX_CONTEXTS} context fields");
            return Err(Refusal::new(D::CODES.context_failed, message));
        }
        self.with_channel(channel, |channel| channel.contexts.push(context))
    }

    /// Adds a context field to all channels.
    pub(crate) fn add_context_to_all(&self, context: &D::Context, started_once: bool) -> Change<D> {
        self.iter().try_fold(self.clone(), |channels, channel| {
            channels.add_context(&channel.name, context.clone(), started_once)
        })
    }

    fn require(&self, name: &str) -> Result<&Arc<Channel<D>>, Refusal> {
        self.get(name).ok_or_else(|| {
            let message = format!("the session has no {}channel `{name}`", D::ADJECTIVE);
            Refusal::new(D::CODES.channel_not_found, message)
        })
    }

    fn with_channel(&self, name: &str, change: impl FnOnce(&mut Channel<D>)) -> Change<D> {
        self.require(name)?;
        let mut channels = self.clone();
        let mut named = channels.in_order.iter_mut();
        if let Some(channel) = named.find(|channel| channel.name == name) {
            change(Arc::make_mut(channel));
        }
        Ok(channels)
    }

    fn with_rules(
        &self,
        channel: &str,
        enabled: bool,
        matches: impl Fn(&PlannedRule<D::Rule>) -> bool,
    ) -> Change<D> {
        self.with_channel(channel, |channel| {
            for rule in channel.rules.iter_mut().filter(|rule| matches(rule)) {
                rule.enabled = enabled;
            }
        })
    }
}

/// Applications and the kernel take channels and contexts before the first start only.
pub(crate) fn too_late(what: &str, name: &str) -> Refusal {
    let message =
        format!("the session was started once: the {what} `{name}` cannot be added any more");
    Refusal::new(ErrorCode::ALREADY_STARTED, message)
}

fn check_name(name: &str) -> Result<(), Refusal> {
    let bad = name.is_empty()
        || name.len() > MAX_CHANNEL_NAME
        || name.starts_with('.')
        || name == "metadata"
        || name.contains(['/', '\0'])
        || name.chars().any(char::is_control);
    if bad {
        let message = format!(
            "`{name}` is no channel name: 1 to {MAX_CHANNEL_NAME} bytes, no `/`, no leading `.`, not `metadata`"
        );
        return Err(Refusal::new(ErrorCode::INVALID_CHANNEL_NAME, message));
    }
    Ok(())
}
