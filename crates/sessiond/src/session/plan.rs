//! What a session wants of every application: channels, context fields, event rules, active or not.
//!
//! A plan is a value. A command makes a new one from the last; each application compares what it has with the
//! newest plan and does what is missing. Nothing here does I/O.

use std::sync::Arc;

use control::ErrorCode;
use ust::command::{Context, LogLevels};

use crate::session::kernel::plan::KernelPlan;
use crate::session::trackers::Trackers;

/// Name of the channel that is created when none is named.
pub(crate) const DEFAULT_CHANNEL: &str = "channel0";
/// Longest channel and event name in bytes.
pub(crate) const MAX_NAME: usize = 255;
/// Most channels of a session.
pub(crate) const MAX_CHANNELS: usize = 256;
/// Most event rules of a channel.
pub(crate) const MAX_RULES: usize = 16 * 1024;
/// Most context fields of a channel.
pub(crate) const MAX_CONTEXTS: usize = 256;

/// A command cannot be carried out; nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refusal {
    /// Upstream's code.
    pub code: ErrorCode,
    /// Says what is wrong, with which value, and what to do.
    pub message: String,
}

impl Refusal {
    /// A refusal with this code and text.
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

/// Whose events share a ring buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BufferType {
    /// All applications of a user.
    PerUid,
    /// Each application has its own.
    PerPid,
}

/// Settings of a channel, complete and checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attributes {
    /// Overwrite the oldest packets instead of dropping the newest events.
    pub overwrite: bool,
    /// Bytes.
    pub subbuf_size: u64,
    /// Sub-buffers of a buffer.
    pub subbuf_count: u64,
    /// Microseconds, 0 = off.
    pub switch_timer_us: u64,
    /// Microseconds, 0 = the writers wake the reader.
    pub read_timer_us: u64,
    /// Microseconds, 0 = not a live session.
    pub live_timer_us: u64,
    /// Microseconds, 0 = off. Kept and reported.
    pub monitor_timer_us: u64,
    /// Microseconds, -1 = for ever.
    pub blocking_timeout_us: i64,
    /// Bytes, 0 = unlimited.
    pub tracefile_size: u64,
    /// Files, 0 = unlimited.
    pub tracefile_count: u64,
}

/// One event rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Name or star-glob.
    pub name: String,
    /// Which log levels match.
    pub levels: LogLevels,
    /// What fields must be like.
    pub filter: Option<Filter>,
    /// Names or globs that do not match.
    pub exclusions: Vec<String>,
}

/// A filter expression, compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    /// As the user wrote it.
    pub text: String,
    /// Code, then relocations.
    pub bytecode: Vec<u8>,
    /// Where the relocations begin.
    pub reloc_offset: u32,
}

/// A rule in a channel.
#[derive(Clone, Debug)]
pub(crate) struct PlannedRule {
    /// Unique in the session.
    pub id: u64,
    /// Whether it records.
    pub enabled: bool,
    /// The rule.
    pub rule: Arc<Rule>,
}

/// A channel of the session.
#[derive(Clone, Debug)]
pub(crate) struct PlannedChannel {
    /// Its number: in creation order, from 0.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// Whether it records.
    pub enabled: bool,
    /// Its settings.
    pub attributes: Attributes,
    /// With the user's spelling, in the order of the commands.
    pub contexts: Vec<(String, Context)>,
    /// In the order of the commands.
    pub rules: Vec<PlannedRule>,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// Trace.
    pub active: bool,
    /// Was active at least once: no new channels or contexts.
    pub started_once: bool,
    /// Forget everything of the session.
    pub destroyed: bool,
    /// Decided by the first channel.
    pub buffer_type: Option<BufferType>,
    /// In the order of creation.
    pub channels: Vec<Arc<PlannedChannel>>,
    /// The kernel domain.
    pub kernel: Arc<KernelPlan>,
    /// Which applications are recorded.
    pub trackers: Trackers,
    /// How many times the applications were asked to record their state again.
    pub statedumps: u64,
    next_rule: u64,
}

type Change = Result<Plan, Refusal>;

impl Plan {
    /// The channel of that name.
    pub(crate) fn channel(&self, name: &str) -> Option<&Arc<PlannedChannel>> {
        self.channels.iter().find(|channel| channel.name == name)
    }

    /// Neither domain has one.
    pub(crate) fn has_no_channel(&self) -> bool {
        self.channels.is_empty() && self.kernel.channels.is_empty()
    }

    /// With another kernel domain.
    pub(crate) fn with_kernel(&self, kernel: KernelPlan) -> Self {
        Self {
            kernel: Arc::new(kernel),
            ..self.clone()
        }
    }

    /// Starts tracing.
    pub(crate) fn start(&self) -> Change {
        if self.active {
            return Err(Refusal::new(
                ErrorCode::ALREADY_STARTED,
                "tracing is already started",
            ));
        }
        if self.has_no_channel() {
            return Err(Refusal::new(
                ErrorCode::NO_CHANNEL,
                "the session has no channel; enable an event or a channel first",
            ));
        }
        Ok(Self {
            active: true,
            started_once: true,
            ..self.clone()
        })
    }

    /// Stops tracing.
    pub(crate) fn stop(&self) -> Change {
        if !self.active {
            return Err(Refusal::new(
                ErrorCode::ALREADY_STOPPED,
                "tracing is already stopped",
            ));
        }
        Ok(Self {
            active: false,
            ..self.clone()
        })
    }

    /// Lets the applications record their state again.
    pub(crate) fn regenerate_statedump(&self) -> Change {
        self.require_active()?;
        Ok(Self {
            statedumps: self.statedumps + 1,
            ..self.clone()
        })
    }

    /// Whether the metadata can be written again.
    pub(crate) fn check_regenerate_metadata(&self, live: bool) -> Result<(), Refusal> {
        self.require_active()?;
        if live {
            return Err(Refusal::new(
                ErrorCode::LIVE_SESSION,
                "metadata are not regenerated in live sessions",
            ));
        }
        if self.buffer_type == Some(BufferType::PerPid) {
            return Err(Refusal::new(
                ErrorCode::PER_PID_SESSION,
                "metadata are not regenerated in sessions with buffers per process",
            ));
        }
        Ok(())
    }

    fn require_active(&self) -> Result<(), Refusal> {
        if self.active {
            return Ok(());
        }
        Err(Refusal::new(
            ErrorCode::SESSION_NOT_STARTED,
            "the session is not active; start it first",
        ))
    }

    /// Ends the session.
    pub(crate) fn destroy(&self) -> Self {
        Self {
            active: false,
            destroyed: true,
            ..self.clone()
        }
    }

    /// Creates a channel, or enables a disabled one.
    pub(crate) fn enable_channel(
        &self,
        name: &str,
        buffer_type: BufferType,
        attributes: Attributes,
    ) -> Change {
        check_channel_name(name)?;
        if let Some(channel) = self.channel(name) {
            if channel.enabled {
                let message = format!("the channel `{name}` exists already");
                return Err(Refusal::new(ErrorCode::UST_CHANNEL_EXISTS, message));
            }
            return self.with_channel(name, |channel| channel.enabled = true);
        }
        if self.started_once {
            return Err(Refusal::new(
                ErrorCode::ALREADY_STARTED,
                format!(
                    "the session was started once: the channel `{name}` cannot be added any more"
                ),
            ));
        }
        if self
            .buffer_type
            .is_some_and(|existing| existing != buffer_type)
        {
            return Err(Refusal::new(
                ErrorCode::BUFFER_TYPE_MISMATCH,
                format!("the session's other channels have another buffering scheme than `{name}`"),
            ));
        }
        if self.channels.len() == MAX_CHANNELS {
            let message = format!("a session has at most {MAX_CHANNELS} channels");
            return Err(Refusal::new(ErrorCode::UST_CHANNEL_FAILED, message));
        }
        let channel = PlannedChannel {
            id: self.channels.len() as u32,
            name: name.to_owned(),
            enabled: true,
            attributes,
            contexts: Vec::new(),
            rules: Vec::new(),
        };
        let mut plan = self.clone();
        plan.buffer_type = Some(buffer_type);
        plan.channels.push(Arc::new(channel));
        Ok(plan)
    }

    /// Stops recording in a channel; as with upstream, one that is disabled already is no error.
    pub(crate) fn disable_channel(&self, name: &str) -> Change {
        self.with_channel(name, |channel| channel.enabled = false)
    }

    /// Which channel a rule command means: the named one, or the default.
    pub(crate) fn channel_for_rule<'a>(&self, named: &'a str) -> Result<&'a str, Refusal> {
        if !named.is_empty() {
            return Ok(named);
        }
        if self
            .channels
            .iter()
            .any(|channel| channel.name != DEFAULT_CHANNEL)
        {
            return Err(Refusal::new(
                ErrorCode::NEED_CHANNEL_NAME,
                "the session has channels of its own names: say which one with --channel",
            ));
        }
        Ok(DEFAULT_CHANNEL)
    }

    /// Creates a rule in an existing channel, or enables a disabled one.
    pub(crate) fn enable_rule(&self, channel: &str, rule: Rule) -> Change {
        let found = self.require(channel)?;
        if let Some(same) = found.rules.iter().find(|planned| *planned.rule == rule) {
            if same.enabled {
                let message = format!("the event rule `{}` is enabled already", rule.name);
                return Err(Refusal::new(ErrorCode::UST_EVENT_ENABLED, message));
            }
            let id = same.id;
            return self.with_channel(channel, |channel| {
                set_enabled(channel, |r| r.id == id, true)
            });
        }
        if found.rules.len() == MAX_RULES {
            let message = format!("a channel has at most {MAX_RULES} event rules");
            return Err(Refusal::new(ErrorCode::UST_ENABLE_FAILED, message));
        }
        let planned = PlannedRule {
            id: self.next_rule,
            enabled: true,
            rule: Arc::new(rule),
        };
        let mut plan = self.with_channel(channel, |channel| channel.rules.push(planned))?;
        plan.next_rule += 1;
        Ok(plan)
    }

    /// Stops the rules of that very name, or all of the channel if the name is empty.
    pub(crate) fn disable_rules(&self, channel: &str, name: &str) -> Change {
        let found = self.require(channel)?;
        if !name.is_empty() && !found.rules.iter().any(|planned| planned.rule.name == name) {
            let message = format!("the channel `{channel}` has no event rule `{name}`");
            return Err(Refusal::new(ErrorCode::UST_EVENT_NOT_FOUND, message));
        }
        let matches = |planned: &PlannedRule| name.is_empty() || planned.rule.name == name;
        self.with_channel(channel, |channel| set_enabled(channel, matches, false))
    }

    /// Adds a context field to a channel.
    pub(crate) fn add_context(&self, channel: &str, spelling: &str, context: Context) -> Change {
        let found = self.require(channel)?;
        if self.started_once {
            return Err(Refusal::new(
                ErrorCode::ALREADY_STARTED,
                format!(
                    "the session was started once: the context `{spelling}` cannot be added any more"
                ),
            ));
        }
        if found
            .contexts
            .iter()
            .any(|(_, existing)| *existing == context)
        {
            let message = format!("the channel `{channel}` has the context `{spelling}` already");
            return Err(Refusal::new(ErrorCode::UST_CONTEXT_EXISTS, message));
        }
        if found.contexts.len() == MAX_CONTEXTS {
            let message = format!("a channel has at most {MAX_CONTEXTS} context fields");
            return Err(Refusal::new(ErrorCode::UST_CONTEXT_INVALID, message));
        }
        self.with_channel(channel, |channel| {
            channel
                .contexts
                .push((spelling.to_owned(), context.clone()));
        })
    }

    fn require(&self, name: &str) -> Result<&Arc<PlannedChannel>, Refusal> {
        self.channel(name).ok_or_else(|| {
            let message = format!("the session has no channel `{name}`");
            Refusal::new(ErrorCode::UST_CHANNEL_NOT_FOUND, message)
        })
    }

    fn with_channel(&self, name: &str, change: impl FnOnce(&mut PlannedChannel)) -> Change {
        self.require(name)?;
        let mut plan = self.clone();
        if let Some(channel) = plan
            .channels
            .iter_mut()
            .find(|channel| channel.name == name)
        {
            change(Arc::make_mut(channel));
        }
        Ok(plan)
    }
}

fn set_enabled(
    channel: &mut PlannedChannel,
    matches: impl Fn(&PlannedRule) -> bool,
    enabled: bool,
) {
    for rule in channel.rules.iter_mut().filter(|rule| matches(rule)) {
        rule.enabled = enabled;
    }
}

/// What both domains ask of the name of a channel.
pub(super) fn check_channel_name(name: &str) -> Result<(), Refusal> {
    let bad = name.is_empty()
        || name.len() > MAX_NAME
        || name.starts_with('.')
        || name == "metadata"
        || name.contains(['/', '\0'])
        || name.chars().any(char::is_control);
    if bad {
        let message = format!(
            "`{name}` is no channel name: 1 to {MAX_NAME} bytes, no `/`, no leading `.`, not `metadata`"
        );
        return Err(Refusal::new(ErrorCode::INVALID_CHANNEL_NAME, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ATTRIBUTES: Attributes = Attributes {
        overwrite: false,
        subbuf_size: 4096,
        subbuf_count: 4,
        switch_timer_us: 0,
        read_timer_us: 0,
        live_timer_us: 0,
        monitor_timer_us: 0,
        blocking_timeout_us: 0,
        tracefile_size: 0,
        tracefile_count: 0,
    };

    fn rule(name: &str) -> Rule {
        Rule {
            name: name.into(),
            levels: LogLevels::Any,
            filter: None,
            exclusions: Vec::new(),
        }
    }

    fn with_channel(name: &str) -> Plan {
        Plan::default()
            .enable_channel(name, BufferType::PerUid, ATTRIBUTES)
            .unwrap()
    }

    fn code<T: std::fmt::Debug>(result: Result<T, Refusal>) -> ErrorCode {
        result.unwrap_err().code
    }

    #[test]
    fn a_session_without_channel_does_not_start() {
        assert_eq!(code(Plan::default().start()), ErrorCode::NO_CHANNEL);
    }

    #[test]
    fn started_and_stopped_only_once_each() {
        let active = with_channel("c").start().unwrap();
        assert_eq!(code(active.start()), ErrorCode::ALREADY_STARTED);
        let stopped = active.stop().unwrap();
        assert_eq!(code(stopped.stop()), ErrorCode::ALREADY_STOPPED);
        assert!(stopped.start().unwrap().active);
    }

    #[test]
    fn a_rule_is_the_same_only_with_all_its_parts() {
        let plan = with_channel("c").enable_rule("c", rule("a")).unwrap();
        assert_eq!(
            code(plan.enable_rule("c", rule("a"))),
            ErrorCode::UST_EVENT_ENABLED
        );
        let other = Rule {
            levels: LogLevels::Exactly(3),
            ..rule("a")
        };
        let plan = plan.enable_rule("c", other).unwrap();
        assert_eq!(plan.channel("c").unwrap().rules.len(), 2);
        let off = plan.disable_rules("c", "a").unwrap();
        assert!(
            off.channel("c")
                .unwrap()
                .rules
                .iter()
                .all(|rule| !rule.enabled)
        );
        let on = off.enable_rule("c", rule("a")).unwrap();
        assert!(on.channel("c").unwrap().rules[0].enabled);
        assert!(!on.channel("c").unwrap().rules[1].enabled);
    }

    #[test]
    fn channels_are_complete_before_the_first_start() {
        let plan = with_channel("c").start().unwrap().stop().unwrap();
        assert!(
            plan.enable_channel("d", BufferType::PerUid, ATTRIBUTES)
                .is_err()
        );
        assert!(plan.add_context("c", "vtid", Context::Plain(0)).is_err());
        assert!(plan.enable_rule("c", rule("late")).is_ok());
    }

    #[test]
    fn only_an_active_session_regenerates() {
        let plan = with_channel("c");
        assert_eq!(
            code(plan.regenerate_statedump()),
            ErrorCode::SESSION_NOT_STARTED
        );
        assert_eq!(
            code(plan.check_regenerate_metadata(true)),
            ErrorCode::SESSION_NOT_STARTED
        );
        let active = plan.start().unwrap();
        assert_eq!(active.regenerate_statedump().unwrap().statedumps, 1);
        assert_eq!(active.check_regenerate_metadata(false), Ok(()));
        assert_eq!(
            code(active.check_regenerate_metadata(true)),
            ErrorCode::LIVE_SESSION
        );
        let per_pid = Plan::default()
            .enable_channel("c", BufferType::PerPid, ATTRIBUTES)
            .and_then(|plan| plan.start())
            .unwrap();
        assert_eq!(
            code(per_pid.check_regenerate_metadata(false)),
            ErrorCode::PER_PID_SESSION
        );
    }

    #[test]
    fn one_buffering_scheme_in_a_session() {
        let refused = with_channel("c").enable_channel("d", BufferType::PerPid, ATTRIBUTES);
        assert_eq!(code(refused), ErrorCode::BUFFER_TYPE_MISMATCH);
    }

    #[test]
    fn the_default_channel_is_only_meant_while_it_is_alone() {
        assert_eq!(Plan::default().channel_for_rule(""), Ok(DEFAULT_CHANNEL));
        assert_eq!(
            with_channel(DEFAULT_CHANNEL).channel_for_rule(""),
            Ok(DEFAULT_CHANNEL)
        );
        assert_eq!(
            code(with_channel("c").channel_for_rule("")),
            ErrorCode::NEED_CHANNEL_NAME
        );
    }

    #[test]
    fn names_that_would_leave_the_directory_are_refused() {
        for name in ["", ".x", "a/b", "metadata", "a\nb"] {
            let refused = Plan::default().enable_channel(name, BufferType::PerUid, ATTRIBUTES);
            assert_eq!(code(refused), ErrorCode::INVALID_CHANNEL_NAME, "{name:?}");
        }
    }
}
