//! What a session wants of every application: channels, context fields, event rules, active or not.
//!
//! A plan is a value. A command makes a new one from the last; each application compares what it has with the
//! newest plan and does what is missing. Nothing here does I/O.

use std::sync::Arc;

use control::ErrorCode;
use ust::command::{Context, LogLevels};

use crate::session::channels::{self, Channels, Codes, Domain};
use crate::session::kernel::plan::KernelPlan;
use crate::session::trackers::Trackers;

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

/// A context field, with the user's spelling.
#[derive(Clone, Debug)]
pub(crate) struct PlannedContext {
    pub spelling: String,
    pub context: Context,
}

impl PartialEq for PlannedContext {
    /// Several spellings may mean one field.
    fn eq(&self, other: &Self) -> bool {
        self.context == other.context
    }
}

/// The domain of applications.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ust;

impl Domain for Ust {
    type Rule = Rule;
    type Context = PlannedContext;

    const ADJECTIVE: &'static str = "";
    const CODES: Codes = Codes {
        channel_exists: ErrorCode::UST_CHANNEL_EXISTS,
        channel_failed: ErrorCode::UST_CHANNEL_FAILED,
        channel_not_found: ErrorCode::UST_CHANNEL_NOT_FOUND,
        rule_enabled: ErrorCode::UST_EVENT_ENABLED,
        rule_failed: ErrorCode::UST_ENABLE_FAILED,
        rule_not_found: ErrorCode::UST_EVENT_NOT_FOUND,
        context_exists: ErrorCode::UST_CONTEXT_EXISTS,
        context_failed: ErrorCode::UST_CONTEXT_INVALID,
    };

    fn rule_name(rule: &Rule) -> &str {
        &rule.name
    }

    fn spelling(context: &PlannedContext) -> &str {
        &context.spelling
    }
}

/// A rule in a channel.
pub(crate) type PlannedRule = channels::PlannedRule<Rule>;
/// A channel of the session.
pub(crate) type PlannedChannel = channels::Channel<Ust>;

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
    /// Where events go.
    pub channels: Channels<Ust>,
    /// The kernel domain.
    pub kernel: Arc<KernelPlan>,
    /// Which applications are recorded.
    pub trackers: Trackers,
    /// How many times the applications were asked to record their state again.
    pub statedumps: u64,
}

type Change = Result<Plan, Refusal>;

impl Plan {
    /// Neither domain has one.
    pub(crate) fn has_no_channel(&self) -> bool {
        self.channels.is_empty() && self.kernel.channels.is_empty()
    }

    /// With other channels.
    pub(crate) fn with(&self, channels: Channels<Ust>) -> Self {
        Self {
            channels,
            ..self.clone()
        }
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
        let channels = self.channels.enable(name, attributes, self.started_once)?;
        let is_new = channels.len() > self.channels.len();
        let mut plan = self.with(channels);
        let kept = *plan.buffer_type.get_or_insert(buffer_type);
        if is_new && kept != buffer_type {
            return Err(Refusal::new(
                ErrorCode::BUFFER_TYPE_MISMATCH,
                format!("the session's other channels have another buffering scheme than `{name}`"),
            ));
        }
        Ok(plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::channels::DEFAULT_CHANNEL;

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
        let channels = with_channel("c").channels;
        let channels = channels.enable_rule("c", rule("a")).unwrap();
        assert_eq!(
            code(channels.enable_rule("c", rule("a"))),
            ErrorCode::UST_EVENT_ENABLED
        );
        let other = Rule {
            levels: LogLevels::Exactly(3),
            ..rule("a")
        };
        let channels = channels.enable_rule("c", other).unwrap();
        assert_eq!(channels.get("c").unwrap().rules.len(), 2);
        let off = channels.disable_rules("c", "a", |_| true).unwrap();
        assert!(off.get("c").unwrap().rules.iter().all(|rule| !rule.enabled));
        let on = off.enable_rule("c", rule("a")).unwrap();
        assert!(on.get("c").unwrap().rules[0].enabled);
        assert!(!on.get("c").unwrap().rules[1].enabled);
    }

    #[test]
    fn channels_are_complete_before_the_first_start() {
        let plan = with_channel("c").start().unwrap().stop().unwrap();
        assert!(
            plan.enable_channel("d", BufferType::PerUid, ATTRIBUTES)
                .is_err()
        );
        let context = PlannedContext {
            spelling: "vtid".into(),
            context: Context::Plain(0),
        };
        assert!(plan.channels.add_context("c", context, true).is_err());
        assert!(plan.channels.enable_rule("c", rule("late")).is_ok());
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
        assert_eq!(Plan::default().channels.for_rule(""), Ok(DEFAULT_CHANNEL));
        assert_eq!(
            with_channel(DEFAULT_CHANNEL).channels.for_rule(""),
            Ok(DEFAULT_CHANNEL)
        );
        assert_eq!(
            code(with_channel("c").channels.for_rule("")),
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
