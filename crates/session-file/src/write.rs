//! Sessions as text.

use control::v1::output::Kind;
use control::v1::process_attribute_value::Kind as ValueKind;
use control::v1::rotation_schedule::Kind as ScheduleKind;
use control::v1::{
    BufferType, Channel, Domain, EventKind, EventRule, LogLevelType, NetworkAttributes, Output,
    RelayLoss, Session, Tracker, TrackingPolicy,
};
use control::{ContextField, KernelLocation, ProbeLocation, url};

use crate::SavedSession;
use crate::words::{self, word};
use crate::xml::Writer;

/// The target of our processing instructions.
pub(crate) const TARGET: &str = "lttng-rs";

/// The monitor timer that upstream gives a channel, microseconds.
const DEFAULT_MONITOR_TIMER_US: u64 = 1_000_000;

/// A session file with these sessions.
pub fn write(sessions: &[SavedSession]) -> String {
    let mut out = Writer::new();
    out.element("sessions", |out| {
        for saved in sessions {
            let default = Session::default();
            let session = saved.details.session.as_ref().unwrap_or(&default);
            out.element("session", |out| write_session(out, session, saved));
        }
    });
    out.finish()
}

fn write_session(out: &mut Writer, session: &Session, saved: &SavedSession) {
    out.text("name", &session.name);
    let in_use = |domain: Domain| {
        let channels = &saved.details.channels;
        channels.iter().any(|channel| channel.domain() == domain)
    };
    let domains = [Domain::Kernel, Domain::Ust].map(|domain| (domain, in_use(domain)));
    if domains.iter().any(|(_, used)| *used) {
        out.element("domains", |out| {
            for (domain, _) in domains.into_iter().filter(|(_, used)| *used) {
                write_domain(out, domain, session, saved);
            }
        });
    }
    out.text("started", session.active);
    let has_attributes =
        session.snapshot || session.live_timer_us > 0 || !session.rotation_schedules.is_empty();
    if has_attributes {
        out.element("attributes", |out| write_attributes(out, session));
    }
    if session.snapshot {
        if !saved.snapshot_outputs.is_empty() {
            out.element("output", |out| write_snapshot_outputs(out, saved));
        }
    } else {
        out.element("output", |out| {
            write_consumer_output(out, session.output.as_ref());
        });
    }
    if session.relay_loss() == RelayLoss::Local {
        out.instruction(TARGET, "on-relay-loss local");
    }
    if let Some(network) = &session.network {
        write_network(out, session, network);
    }
}

/// Attributes that the output does not say: of a session that collects locally for now.
fn write_network(out: &mut Writer, session: &Session, network: &NetworkAttributes) {
    let streams = matches!(
        session
            .output
            .as_ref()
            .and_then(|output| output.kind.as_ref()),
        Some(Kind::Relay(_))
    );
    // No host has such a name; it would end the instruction.
    if streams || network.address.is_empty() || network.address.contains("?>") {
        return;
    }
    let NetworkAttributes {
        enabled,
        address,
        control_port,
        data_port,
    } = network;
    out.instruction(
        TARGET,
        &format!("network {enabled} {control_port} {data_port} {address}"),
    );
}

fn write_domain(out: &mut Writer, domain: Domain, session: &Session, saved: &SavedSession) {
    let buffers = match (domain, saved.details.buffer_type()) {
        (Domain::Kernel, _) => "GLOBAL",
        (_, BufferType::PerPid) => "PER_PID",
        _ => "PER_UID",
    };
    out.element("domain", |out| {
        out.text("type", word(&words::DOMAINS, domain));
        out.text("buffer_type", buffers);
        out.element("channels", |out| {
            let channels = saved.details.channels.iter();
            for channel in channels.filter(|channel| channel.domain() == domain) {
                out.element("channel", |out| write_channel(out, channel, session));
            }
        });
        out.element("process_attr_trackers", |out| {
            let trackers = saved.details.trackers.iter();
            for tracker in trackers.filter(|tracker| tracker.domain() == domain) {
                write_tracker(out, tracker);
            }
        });
    });
    if domain == Domain::Ust {
        // Stock does not load user space without them.
        for agent in words::AGENT_DOMAINS {
            out.element("domain", |out| {
                out.text("type", agent);
                out.text("buffer_type", buffers);
                out.element("channels", |_| {});
            });
        }
    }
}

fn write_channel(out: &mut Writer, channel: &Channel, session: &Session) {
    let attributes = channel.attributes.unwrap_or_default();
    let (mode, output) = (
        match attributes.overwrite() {
            true => "OVERWRITE",
            false => "DISCARD",
        },
        match channel.domain() {
            Domain::Kernel => "SPLICE",
            _ => "MMAP",
        },
    );
    let monitor = attributes.monitor_timer_us;
    out.text("name", &channel.name);
    out.text("enabled", channel.enabled);
    out.text("overwrite_mode", mode);
    out.text("subbuffer_size", attributes.subbuf_size);
    out.text("subbuffer_count", attributes.subbuf_count);
    out.text("switch_timer_interval", attributes.switch_timer_us);
    out.text("read_timer_interval", attributes.read_timer_us);
    out.text("output_type", output);
    out.text("blocking_timeout", attributes.blocking_timeout_us);
    out.text(
        "monitor_timer_interval",
        monitor.unwrap_or(DEFAULT_MONITOR_TIMER_US),
    );
    out.text("tracefile_size", attributes.tracefile_size);
    out.text("tracefile_count", attributes.tracefile_count);
    out.text("live_timer_interval", session.live_timer_us);
    out.element("events", |out| {
        for rule in &channel.events {
            out.element("event", |out| write_rule(out, rule, channel.domain()));
        }
    });
    out.element("contexts", |out| {
        for context in &channel.contexts {
            out.element("context", |out| write_context(out, context));
        }
    });
}

fn write_rule(out: &mut Writer, rule: &EventRule, domain: Domain) {
    out.text("name", &rule.name);
    out.text("enabled", rule.enabled);
    let kind = match (domain, rule.kind()) {
        // User space has nothing else; in the kernel it means system calls too.
        (Domain::Ust, EventKind::Unspecified) => EventKind::Tracepoint,
        (_, kind) => kind,
    };
    out.text("type", word(&words::EVENT_KINDS, kind));
    out.text(
        "loglevel_type",
        word(&words::LEVEL_TYPES, rule.log_level_type()),
    );
    if rule.log_level_type() != LogLevelType::All {
        out.text("loglevel", rule.log_level);
    }
    if !rule.filter.is_empty() {
        out.text("filter", &rule.filter);
    }
    if !rule.exclusions.is_empty() {
        out.element("exclusions", |out| {
            for exclusion in &rule.exclusions {
                out.text("exclusion", exclusion);
            }
        });
    }
    if !rule.location.is_empty() {
        out.element("attributes", |out| write_location(out, rule));
    }
}

fn write_location(out: &mut Writer, rule: &EventRule) {
    let location = rule.location.as_str();
    match (rule.kind(), ProbeLocation::parse(location)) {
        (EventKind::UserspaceProbe, Ok(ProbeLocation::Symbol { path, symbol })) => {
            out.element("userspace_probe_function_attributes", |out| {
                out.text("lookup_method", "ELF");
                out.text("binary_path", path);
                out.text("function_name", symbol);
            });
        }
        (
            EventKind::UserspaceProbe,
            Ok(ProbeLocation::Sdt {
                path,
                provider,
                name,
            }),
        ) => {
            out.element("userspace_probe_tracepoint_attributes", |out| {
                out.text("lookup_method", "SDT");
                out.text("binary_path", path);
                out.text("probe_name", name);
                out.text("provider_name", provider);
            });
        }
        // Of functions too: upstream's other element for them is one of another kind of rule.
        _ => out.element("probe_attributes", |out| {
            match KernelLocation::parse(location) {
                Ok(KernelLocation::Address(address)) => out.text("address", address),
                Ok(KernelLocation::Symbol { name, offset }) => {
                    out.text("symbol_name", name);
                    out.text("offset", offset);
                }
                // What is no place was in no rule.
                Err(_) => out.text("symbol_name", location),
            };
        }),
    }
}

fn write_context(out: &mut Writer, spelling: &str) {
    match ContextField::parse(spelling) {
        Some(ContextField::Perf(counter)) => out.element("perf", |out| {
            out.text("type", counter.kind);
            out.text("config", counter.config);
            out.text("name", counter.field);
        }),
        Some(ContextField::Application { provider, name }) => out.element("app", |out| {
            out.text("provider_name", provider);
            out.text("ctx_name", name);
        }),
        Some(ContextField::Plain(_)) | None => out.text("type", words::context_word(spelling)),
    }
}

fn write_tracker(out: &mut Writer, tracker: &Tracker) {
    if tracker.policy() == TrackingPolicy::IncludeAll {
        return;
    }
    let attribute = word(&words::ATTRIBUTES, tracker.attribute());
    out.element(&format!("{attribute}{}", words::TRACKER_SUFFIX), |out| {
        out.element("process_attr_values", |out| {
            for value in &tracker.values {
                out.element(attribute, |out| match &value.kind {
                    Some(ValueKind::Id(id)) => out.text("id", id),
                    Some(ValueKind::Name(name)) => out.text("name", name),
                    None => {}
                });
            }
        });
    });
}

fn write_attributes(out: &mut Writer, session: &Session) {
    if session.snapshot {
        out.text("snapshot_mode", true);
    }
    if session.live_timer_us > 0 {
        out.text("live_timer_interval", session.live_timer_us);
    }
    if session.rotation_schedules.is_empty() {
        return;
    }
    out.element("rotation_schedules", |out| {
        for schedule in &session.rotation_schedules {
            match schedule.kind {
                Some(ScheduleKind::PeriodUs(us)) => {
                    out.element("periodic", |out| out.text("time_us", us));
                }
                Some(ScheduleKind::SizeBytes(bytes)) => {
                    out.element("size_threshold", |out| out.text("bytes", bytes));
                }
                None => {}
            }
        }
    });
}

fn write_snapshot_outputs(out: &mut Writer, saved: &SavedSession) {
    out.element("snapshot_outputs", |out| {
        for output in &saved.snapshot_outputs {
            out.element("output", |out| {
                out.text("name", &output.name);
                out.text("max_size", output.max_size);
                write_consumer_output(out, output.output.as_ref());
            });
        }
    });
}

fn write_consumer_output(out: &mut Writer, output: Option<&Output>) {
    let (first, second) = url::describe_pair(output);
    out.element("consumer_output", |out| {
        out.text("enabled", true);
        out.element("destination", |out| {
            if second.is_empty() {
                // Empty for a session without output.
                out.text("path", first);
            } else {
                out.element("net_output", |out| {
                    out.text("control_uri", first);
                    out.text("data_uri", second);
                });
            }
        });
    });
}
