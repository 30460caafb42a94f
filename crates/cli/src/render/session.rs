//! Sessions as text: the short list and the details of one.

use std::fmt::Write;

use control::url;
use control::v1::rotation_schedule::Kind;
use control::v1::{
    BufferType, Channel, ChannelAttributes, EventKind, EventRule, GetSessionResponse, LogLevelType,
    RotationSchedule, Session,
};

use crate::commands::Domain;
use crate::log_level;
use crate::render::{output_state, probe, trackers};
use crate::ui::Ui;

/// `lttng list` without a name.
pub(crate) fn say_list(ui: &Ui, sessions: &[Session]) {
    if sessions.is_empty() {
        ui.say("Currently no available recording session");
        return;
    }
    ui.say("Available recording sessions:");
    for (index, session) in sessions.iter().enumerate() {
        let state = activity(session);
        ui.say(format_args!("  {}) {} [{state}]", index + 1, session.name));
        say_output(ui, session);
        if session.live_timer_us > 0 {
            let us = session.live_timer_us;
            ui.say(format_args!("    Live timer interval: {us} us"));
        }
        ui.say("");
    }
    ui.say("\nUse lttng list <session_name> for more details");
}

fn activity(session: &Session) -> &'static str {
    match (session.active, session.snapshot) {
        (true, false) => "active",
        (false, false) => "inactive",
        (true, true) => "active snapshot",
        (false, true) => "inactive snapshot",
    }
}

/// The output, and its state where there is something to tell.
fn say_output(ui: &Ui, session: &Session) -> bool {
    let output = url::describe(session.output.as_ref());
    if let Some(output) = &output {
        ui.say(format_args!("    Trace output: {output}"));
    }
    let state = output_state::lines(session);
    for line in &state {
        ui.say(format_args!("    {line}"));
    }
    output.is_some() || !state.is_empty()
}

/// What of a session is shown.
pub(crate) struct Filter<'a> {
    /// Only this channel.
    pub(crate) channel: Option<&'a str>,
    /// Only the names of the domains.
    pub(crate) domains_only: bool,
    /// Only this domain, without its heading.
    pub(crate) only: Option<Domain>,
}

/// `lttng list NAME`. `Err` when the wanted channel is not there, after the heading, as upstream does.
pub(crate) fn say_details(
    ui: &Ui,
    answer: &GetSessionResponse,
    filter: &Filter<'_>,
) -> Result<(), ()> {
    let Some(session) = &answer.session else {
        return Ok(());
    };
    ui.say(format_args!(
        "Recording session {}: [{}]",
        session.name,
        activity(session)
    ));
    if say_output(ui, session) {
        ui.say("");
    }
    say_schedules(ui, &session.rotation_schedules);
    let domains = domains(answer);
    if filter.domains_only {
        ui.say("Domains:\n-------------");
        if domains.is_empty() {
            ui.say("  None");
        }
        for domain in domains {
            ui.say(match domain {
                Domain::Kernel => "  - Kernel",
                Domain::Ust => "  - UST global",
            });
        }
        return Ok(());
    }
    let mut shown = false;
    let mut looked = false;
    for domain in domains {
        if filter.only.is_none_or(|only| only == domain) {
            looked = true;
            shown |= say_domain(ui, answer, domain, filter);
        }
    }
    // A session without anything to show is not one without the wanted channel.
    if shown
        || (!looked && filter.channel.is_none())
        || (looked && answer.channels.is_empty() && filter.channel.is_none())
    {
        Ok(())
    } else {
        Err(())
    }
}

/// Those that have something to show.
pub(crate) fn domains(answer: &GetSessionResponse) -> Vec<Domain> {
    let has = |domain: &Domain| {
        let number = domain.proto();
        answer
            .channels
            .iter()
            .any(|channel| channel.domain == number)
            || answer
                .trackers
                .iter()
                .any(|tracker| tracker.domain == number)
    };
    [Domain::Kernel, Domain::Ust]
        .into_iter()
        .filter(has)
        .collect()
}

/// Whether a channel was shown, or none was looked for.
fn say_domain(ui: &Ui, answer: &GetSessionResponse, domain: Domain, filter: &Filter<'_>) -> bool {
    let snapshot = answer
        .session
        .as_ref()
        .is_some_and(|session| session.snapshot);
    if filter.only.is_none() {
        let scheme = match answer.buffer_type() {
            BufferType::PerPid => "per-process",
            BufferType::PerUid | BufferType::Unspecified => "per-user",
        };
        match domain {
            Domain::Kernel => ui.say("=== Domain: Linux kernel ===\n"),
            Domain::Ust => ui.say(format_args!(
                "=== Domain: User space ===\n\nBuffering scheme: {scheme}\n"
            )),
        }
    }
    let tracked = match domain {
        Domain::Kernel => control::v1::Domain::Kernel,
        Domain::Ust => control::v1::Domain::Ust,
    };
    ui.say(trackers::text(tracked, &answer.trackers));
    let channels = answer.channels.iter();
    let mut channels = channels
        .filter(|channel| channel.domain == domain.proto())
        .peekable();
    if channels.peek().is_none() && filter.channel.is_none() {
        return true;
    }
    ui.say("Channels:\n-------------");
    let mut shown = false;
    for channel in channels {
        if filter.channel.is_none_or(|name| name == channel.name) {
            ui.say(channel_text(channel, snapshot));
            shown = true;
        }
    }
    shown
}

/// When the session rotates by itself.
fn say_schedules(ui: &Ui, schedules: &[RotationSchedule]) {
    if schedules.is_empty() {
        return;
    }
    ui.say("Automatic rotation schedules:");
    for schedule in schedules {
        match schedule.kind {
            Some(Kind::PeriodUs(us)) => ui.say(format_args!("    timer period: {us} us")),
            Some(Kind::SizeBytes(bytes)) => {
                ui.say(format_args!("    size threshold: {bytes} bytes"));
            }
            None => {}
        }
    }
    ui.say("");
}

fn enabled(yes: bool) -> &'static str {
    if yes { "enabled" } else { "disabled" }
}

/// All of a channel, with the empty line after it.
fn channel_text(channel: &Channel, snapshot: bool) -> String {
    let mut out = format!("- {}: [{}]\n\n", channel.name, enabled(channel.enabled));
    let default = ChannelAttributes::default();
    attributes(&mut out, channel.attributes.as_ref().unwrap_or(&default));
    let counters = channel.counters.unwrap_or_default();
    out.push_str("\n    Statistics:\n");
    let overwrite = channel.attributes.as_ref().is_some_and(|a| a.overwrite());
    // Upstream has one line, by the mode; the other one is there only when it has something to tell.
    if snapshot {
        out.push_str("      None\n");
    } else if !overwrite || counters.discarded_events > 0 {
        let _ = writeln!(out, "      Discarded events: {}", counters.discarded_events);
    }
    if !snapshot && (overwrite || counters.lost_packets > 0) {
        let _ = writeln!(out, "      Lost packets:     {}", counters.lost_packets);
    }
    out.push_str("\n    Recording event rules:\n");
    if channel.events.is_empty() {
        out.push_str("      None\n");
    }
    for rule in &channel.events {
        let _ = writeln!(out, "      {}", rule_text(rule));
        for line in probe::lines(rule) {
            let _ = writeln!(out, "        {line}");
        }
    }
    out
}

fn attributes(out: &mut String, attributes: &ChannelAttributes) {
    out.push_str("    Attributes:\n");
    let timer = |us: u64| match us {
        0 => "inactive".to_owned(),
        us => format!("{us} us"),
    };
    let mut line = |name: &str, value: String| {
        let _ = writeln!(out, "{name:<24}{value}");
    };
    let mode = if attributes.overwrite() {
        "overwrite"
    } else {
        "discard"
    };
    line("      Event-loss mode:", mode.into());
    line(
        "      Sub-buffer size:",
        format!("{} bytes", attributes.subbuf_size),
    );
    line(
        "      Sub-buffer count:",
        attributes.subbuf_count.to_string(),
    );
    line("      Switch timer:", timer(attributes.switch_timer_us));
    line("      Read timer:", timer(attributes.read_timer_us));
    line(
        "      Monitor timer:",
        timer(attributes.monitor_timer_us.unwrap_or(0)),
    );
    if !attributes.overwrite() {
        let blocking = match attributes.blocking_timeout_us {
            -1 => "infinite".into(),
            us => format!("{us} us"),
        };
        line("      Blocking timeout:", blocking);
    }
    let count = attributes.tracefile_count.max(1);
    line("      Trace file count:", format!("{count} per stream"));
    let size = match attributes.tracefile_size {
        0 => "unlimited".into(),
        bytes => format!("{bytes} bytes"),
    };
    line("      Trace file size:", size);
    line("      Output mode:", "mmap".into());
}

fn kind_text(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Unspecified | EventKind::Tracepoint => "tracepoint",
        EventKind::Syscall => "syscall",
        EventKind::Probe => "probe",
        EventKind::UserspaceProbe => "userspace-probe",
        EventKind::Function => "function",
    }
}

fn rule_text(rule: &EventRule) -> String {
    let mut out = rule.name.clone();
    let relation = match rule.log_level_type() {
        LogLevelType::All => None,
        LogLevelType::Range => Some("<="),
        LogLevelType::Single => Some("=="),
    };
    if let Some(relation) = relation {
        let (name, number) = (log_level::name(rule.log_level), rule.log_level);
        let _ = write!(out, " (loglevel {relation} {name} ({number}))");
    }
    let kind = kind_text(rule.kind());
    let _ = write!(out, " (type: {kind}) [{}]", enabled(rule.enabled));
    if !rule.exclusions.is_empty() {
        let _ = write!(out, " [exclusions: {}]", rule.exclusions.join(","));
    }
    if !rule.filter.is_empty() {
        let _ = write!(out, " [filter: '{}']", rule.filter);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_show_what_narrows_them() {
        let rule = EventRule {
            name: "a*".into(),
            log_level_type: LogLevelType::Range.into(),
            log_level: 4,
            filter: "x > 2".into(),
            exclusions: vec!["ab".into(), "ac*".into()],
            enabled: true,
            ..EventRule::default()
        };
        assert_eq!(
            rule_text(&rule),
            "a* (loglevel <= TRACE_WARNING (4)) (type: tracepoint) [enabled] [exclusions: ab,ac*] \
             [filter: 'x > 2']"
        );
        let all = EventRule {
            name: "*".into(),
            log_level: -1,
            ..EventRule::default()
        };
        assert_eq!(rule_text(&all), "* (type: tracepoint) [disabled]");
    }

    #[test]
    fn a_channel_in_full() {
        let channel = Channel {
            name: "c9".into(),
            enabled: true,
            attributes: Some(ChannelAttributes {
                subbuf_size: 524_288,
                subbuf_count: 4,
                switch_timer_us: 1_000_000,
                monitor_timer_us: Some(0),
                blocking_timeout_us: -1,
                tracefile_size: 1_048_576,
                tracefile_count: 4,
                ..ChannelAttributes::default()
            }),
            ..Channel::default()
        };
        // As the stock command shows it (command line facts, section 6).
        let expected = "\
- c9: [enabled]

    Attributes:
      Event-loss mode:  discard
      Sub-buffer size:  524288 bytes
      Sub-buffer count: 4
      Switch timer:     1000000 us
      Read timer:       inactive
      Monitor timer:    inactive
      Blocking timeout: infinite
      Trace file count: 4 per stream
      Trace file size:  1048576 bytes
      Output mode:      mmap

    Statistics:
      Discarded events: 0

    Recording event rules:
      None
";
        assert_eq!(channel_text(&channel, false), expected);
    }
}
