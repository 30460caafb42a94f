//! Sessions from text.

use std::str::FromStr;

use control::v1::output::Kind;
use control::v1::process_attribute_value::Kind as ValueKind;
use control::v1::rotation_schedule::Kind as ScheduleKind;
use control::v1::{
    BufferType, Channel, ChannelAttributes, Domain, EventKind, EventRule, NetworkAttributes,
    Output, ProcessAttribute, ProcessAttributeValue, RelayLoss, RotationSchedule, Session,
    SnapshotOutput, Tracker, TrackingPolicy,
};
use control::{ProbeLocation, url};

use crate::words::{self, value};
use crate::write::TARGET;
use crate::xml::Node;
use crate::{ReadError, SavedSession};

/// The sessions of a session file. What is unknown or missing in it is an error: half a session would not record
/// what was meant.
pub fn read(text: &str) -> Result<Vec<SavedSession>, ReadError> {
    let root = Node::parse(text)?;
    if root.name != "sessions" {
        return Err(error(
            &root,
            format!("<sessions> is expected, not <{}>", root.name),
        ));
    }
    let sessions = root.children.iter().map(|child| match child.name.as_str() {
        "session" => read_session(child),
        _ => unexpected(child),
    });
    sessions.collect()
}

fn error(node: &Node, what: impl ToString) -> ReadError {
    ReadError::new(node.line, what)
}

fn unexpected<T>(node: &Node) -> Result<T, ReadError> {
    Err(error(node, format!("<{}> is not expected here", node.name)))
}

fn missing(node: &Node, name: &str) -> ReadError {
    error(node, format!("<{}> has no <{name}>", node.name))
}

/// The text as a number, or whatever else can be read from it.
fn parse<T: FromStr>(node: &Node) -> Result<T, ReadError> {
    let text = node.text.trim();
    let refuse = |_| error(node, format!("<{}> cannot be `{text}`", node.name));
    text.parse().map_err(refuse)
}

fn boolean(node: &Node) -> Result<bool, ReadError> {
    match node.text.trim() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        other => Err(error(
            node,
            format!("<{}> is `{other}`, not true or false", node.name),
        )),
    }
}

fn one_of<T: Copy>(node: &Node, tables: &[&[(T, &str)]]) -> Result<T, ReadError> {
    let text = node.text.trim();
    let found = tables.iter().find_map(|table| value(table, text));
    found.ok_or_else(|| {
        let known: Vec<_> = tables.iter().copied().flatten().map(|(_, w)| *w).collect();
        let known = known.join(", ");
        error(
            node,
            format!("<{}> is `{text}`, not one of {known}", node.name),
        )
    })
}

fn read_session(node: &Node) -> Result<SavedSession, ReadError> {
    let mut saved = SavedSession::default();
    // As stock does: what does not say otherwise is started.
    let mut session = Session {
        active: true,
        ..Session::default()
    };
    for child in &node.children {
        match child.name.as_str() {
            "name" => session.name.clone_from(&child.text),
            "domains" => {
                for domain in &child.children {
                    read_domain(domain, &mut saved)?;
                }
            }
            "started" => session.active = boolean(child)?,
            "attributes" => read_attributes(child, &mut session)?,
            "output" => read_output(child, &mut session, &mut saved)?,
            "shared_memory_path" => {
                return Err(error(
                    child,
                    "buffers in files of a directory (shared_memory_path) are not supported",
                ));
            }
            _ => return unexpected(child),
        }
    }
    if session.name.is_empty() {
        return Err(missing(node, "name"));
    }
    if session.output.is_none() {
        session.output = Some(Output::none());
    }
    for (target, text) in &node.instructions {
        if target == TARGET {
            read_instruction(node, text, &mut session)?;
        }
    }
    saved.details.session = Some(session);
    Ok(saved)
}

fn read_instruction(node: &Node, text: &str, session: &mut Session) -> Result<(), ReadError> {
    let words: Vec<_> = text.split_whitespace().collect();
    let bad = || error(node, format!("`<?{TARGET} {text}?>` is not understood"));
    match words[..] {
        ["on-relay-loss", "local"] => session.set_relay_loss(RelayLoss::Local),
        ["network", enabled, control, data, address] => {
            session.network = Some(NetworkAttributes {
                enabled: enabled.parse().map_err(|_| bad())?,
                address: address.to_owned(),
                control_port: control.parse().map_err(|_| bad())?,
                data_port: data.parse().map_err(|_| bad())?,
            });
        }
        _ => return Err(bad()),
    }
    Ok(())
}

fn read_domain(node: &Node, saved: &mut SavedSession) -> Result<(), ReadError> {
    if node.name != "domain" {
        return unexpected(node);
    }
    let find = |name: &str| node.children.iter().find(|child| child.name == name);
    let kind = find("type").ok_or_else(|| missing(node, "type"))?;
    if words::AGENT_DOMAINS.contains(&kind.text.trim()) {
        let empty = find("channels").is_none_or(|channels| channels.children.is_empty());
        return match empty {
            true => Ok(()),
            false => Err(error(
                kind,
                format!("the domain {} is not supported", kind.text.trim()),
            )),
        };
    }
    let domain = one_of(kind, &[&words::DOMAINS])?;
    for child in &node.children {
        match child.name.as_str() {
            "type" => {}
            "buffer_type" => {
                let buffers = [
                    (BufferType::PerUid, "PER_UID"),
                    (BufferType::PerPid, "PER_PID"),
                    (BufferType::Unspecified, "GLOBAL"),
                ];
                let buffers = one_of(child, &[&buffers])?;
                if domain == Domain::Ust {
                    saved.details.set_buffer_type(buffers);
                }
            }
            "channels" => {
                for channel in &child.children {
                    let channel = read_channel(channel, domain)?;
                    saved.details.channels.push(channel);
                }
            }
            "process_attr_trackers" => {
                for tracker in &child.children {
                    let tracker = read_tracker(tracker, domain)?;
                    saved.details.trackers.push(tracker);
                }
            }
            "trackers" => read_old_trackers(child, domain, saved)?,
            _ => return unexpected(child),
        }
    }
    Ok(())
}

fn read_channel(node: &Node, domain: Domain) -> Result<Channel, ReadError> {
    if node.name != "channel" {
        return unexpected(node);
    }
    let mut channel = Channel {
        domain: domain.into(),
        enabled: true,
        ..Channel::default()
    };
    let mut attributes = ChannelAttributes::default();
    for child in &node.children {
        match child.name.as_str() {
            "name" => channel.name.clone_from(&child.text),
            "enabled" => channel.enabled = boolean(child)?,
            "overwrite_mode" => {
                let modes = [(false, "DISCARD"), (true, "OVERWRITE")];
                attributes.overwrite = Some(one_of(child, &[&modes])?);
            }
            "subbuffer_size" => attributes.subbuf_size = parse(child)?,
            "subbuffer_count" => attributes.subbuf_count = parse(child)?,
            "switch_timer_interval" => attributes.switch_timer_us = parse(child)?,
            "read_timer_interval" => attributes.read_timer_us = parse(child)?,
            "monitor_timer_interval" => attributes.monitor_timer_us = Some(parse(child)?),
            "blocking_timeout" => attributes.blocking_timeout_us = parse(child)?,
            "tracefile_size" => attributes.tracefile_size = parse(child)?,
            "tracefile_count" => attributes.tracefile_count = parse(child)?,
            // Of the session; how packets get to the consumer daemon is not for users to say.
            "live_timer_interval" | "output_type" => {}
            "events" => {
                for event in &child.children {
                    channel.events.push(read_rule(event)?);
                }
            }
            "contexts" => {
                for context in &child.children {
                    channel.contexts.push(read_context(context)?);
                }
            }
            _ => return unexpected(child),
        }
    }
    if channel.name.is_empty() {
        return Err(missing(node, "name"));
    }
    // As the defaults of the schema.
    attributes.overwrite.get_or_insert(false);
    channel.attributes = Some(attributes);
    Ok(channel)
}

fn read_rule(node: &Node) -> Result<EventRule, ReadError> {
    if node.name != "event" {
        return unexpected(node);
    }
    // The schema says that rules are enabled by default; stock's loader disables them, against it.
    let mut rule = EventRule {
        enabled: true,
        kind: EventKind::Tracepoint.into(),
        log_level: -1,
        ..EventRule::default()
    };
    for child in &node.children {
        match child.name.as_str() {
            "name" => rule.name.clone_from(&child.text),
            "enabled" => rule.enabled = boolean(child)?,
            "type" => {
                let tables: [&[_]; 2] = [&words::EVENT_KINDS, &words::OTHER_EVENT_KINDS];
                rule.set_kind(one_of(child, &tables)?);
            }
            "loglevel_type" => rule.set_log_level_type(one_of(child, &[&words::LEVEL_TYPES])?),
            "loglevel" => rule.log_level = parse(child)?,
            "filter" => rule.filter.clone_from(&child.text),
            "exclusions" => {
                for exclusion in &child.children {
                    match exclusion.name.as_str() {
                        "exclusion" => rule.exclusions.push(exclusion.text.clone()),
                        _ => return unexpected(exclusion),
                    }
                }
            }
            "attributes" => {
                for attributes in &child.children {
                    rule.location = read_location(attributes)?;
                }
            }
            _ => return unexpected(child),
        }
    }
    if rule.name.is_empty() {
        rule.name = "*".into();
    }
    Ok(rule)
}

/// The place of a probe, as on the command line.
fn read_location(node: &Node) -> Result<String, ReadError> {
    let text = |name: &str| -> Result<String, ReadError> {
        let found = node.children.iter().find(|child| child.name == name);
        let found = found.ok_or_else(|| missing(node, name))?;
        Ok(found.text.clone())
    };
    match node.name.as_str() {
        "probe_attributes" => {
            let address = node.children.iter().find(|child| child.name == "address");
            if let Some(address) = address {
                return Ok(format!("{:#x}", parse::<u64>(address)?));
            }
            let offset = node.children.iter().find(|child| child.name == "offset");
            let offset = offset.map_or(Ok(0), parse::<u64>)?;
            let symbol = text("symbol_name")?;
            Ok(match offset {
                0 => symbol,
                offset => format!("{symbol}+{offset:#x}"),
            })
        }
        "function_attributes" => text("symbol_name"),
        "userspace_probe_function_attributes" => {
            let place = ProbeLocation::Symbol {
                path: text("binary_path")?,
                symbol: text("function_name")?,
            };
            Ok(place.to_string())
        }
        "userspace_probe_tracepoint_attributes" => {
            let place = ProbeLocation::Sdt {
                path: text("binary_path")?,
                provider: text("provider_name")?,
                name: text("probe_name")?,
            };
            Ok(place.to_string())
        }
        _ => unexpected(node),
    }
}

fn read_context(node: &Node) -> Result<String, ReadError> {
    if node.name != "context" {
        return unexpected(node);
    }
    let [only] = &node.children[..] else {
        return Err(error(node, "a <context> has one element"));
    };
    let text = |name: &str| -> Result<&Node, ReadError> {
        let found = only.children.iter().find(|child| child.name == name);
        found.ok_or_else(|| missing(only, name))
    };
    match only.name.as_str() {
        "type" => {
            let word = only.text.trim();
            let unknown = || error(only, format!("the context {word} is not known"));
            words::context_spelling(word).ok_or_else(unknown)
        }
        "perf" => {
            let (kind, config) = (text("type")?, text("config")?);
            let field = &text("name")?.text;
            let unknown = || error(only, format!("the counter {field} is not known"));
            words::counter_spelling(parse(kind)?, parse(config)?, field).ok_or_else(unknown)
        }
        "app" => {
            let (provider, name) = (&text("provider_name")?.text, &text("ctx_name")?.text);
            Ok(format!("$app.{provider}:{name}"))
        }
        _ => unexpected(only),
    }
}

fn read_tracker(node: &Node, domain: Domain) -> Result<Tracker, ReadError> {
    let attribute = node.name.strip_suffix(words::TRACKER_SUFFIX);
    let attribute = attribute.and_then(|word| value(&words::ATTRIBUTES, word));
    let Some(attribute) = attribute else {
        return unexpected(node);
    };
    let mut values = Vec::new();
    for list in &node.children {
        if list.name != "process_attr_values" {
            return unexpected(list);
        }
        for one in list.children.iter().flat_map(|entry| &entry.children) {
            let kind = match one.name.as_str() {
                "id" => ValueKind::Id(parse(one)?),
                "name" => ValueKind::Name(one.text.clone()),
                _ => return unexpected(one),
            };
            values.push(ProcessAttributeValue { kind: Some(kind) });
        }
    }
    Ok(tracker(domain, attribute, values))
}

fn tracker(
    domain: Domain,
    attribute: ProcessAttribute,
    values: Vec<ProcessAttributeValue>,
) -> Tracker {
    let policy = match values.is_empty() {
        true => TrackingPolicy::ExcludeAll,
        false => TrackingPolicy::IncludeSet,
    };
    Tracker {
        domain: domain.into(),
        attribute: attribute.into(),
        policy: policy.into(),
        values,
    }
}

/// As versions before 2.12 wrote them: `pid_tracker/targets/pid_target/pid`.
fn read_old_trackers(
    node: &Node,
    domain: Domain,
    saved: &mut SavedSession,
) -> Result<(), ReadError> {
    for old in &node.children {
        if old.name != "pid_tracker" {
            return unexpected(old);
        }
        let mut values = Vec::new();
        for target in old.children.iter().flat_map(|targets| &targets.children) {
            for pid in &target.children {
                let kind = Some(ValueKind::Id(parse(pid)?));
                values.push(ProcessAttributeValue { kind });
            }
        }
        let attribute = match domain {
            Domain::Kernel => ProcessAttribute::ProcessId,
            _ => ProcessAttribute::VirtualProcessId,
        };
        let tracker = tracker(domain, attribute, values);
        saved.details.trackers.push(tracker);
    }
    Ok(())
}

fn read_attributes(node: &Node, session: &mut Session) -> Result<(), ReadError> {
    for child in &node.children {
        match child.name.as_str() {
            "snapshot_mode" => session.snapshot = boolean(child)?,
            "live_timer_interval" => session.live_timer_us = parse(child)?,
            "rotation_schedules" => {
                for schedule in &child.children {
                    let [number] = &schedule.children[..] else {
                        return Err(error(schedule, "a rotation schedule has one number"));
                    };
                    let kind = match schedule.name.as_str() {
                        "periodic" => ScheduleKind::PeriodUs(parse(number)?),
                        "size_threshold" => ScheduleKind::SizeBytes(parse(number)?),
                        _ => return unexpected(schedule),
                    };
                    let kind = Some(kind);
                    session.rotation_schedules.push(RotationSchedule { kind });
                }
            }
            _ => return unexpected(child),
        }
    }
    Ok(())
}

fn read_output(
    node: &Node,
    session: &mut Session,
    saved: &mut SavedSession,
) -> Result<(), ReadError> {
    for child in &node.children {
        match child.name.as_str() {
            "consumer_output" => session.output = Some(read_consumer_output(child)?),
            "snapshot_outputs" => {
                for output in &child.children {
                    saved.snapshot_outputs.push(read_snapshot_output(output)?);
                }
            }
            _ => return unexpected(child),
        }
    }
    Ok(())
}

fn read_snapshot_output(node: &Node) -> Result<SnapshotOutput, ReadError> {
    if node.name != "output" {
        return unexpected(node);
    }
    let mut output = SnapshotOutput::default();
    for child in &node.children {
        match child.name.as_str() {
            "name" => output.name.clone_from(&child.text),
            "max_size" => output.max_size = parse(child)?,
            "consumer_output" => output.output = Some(read_consumer_output(child)?),
            _ => return unexpected(child),
        }
    }
    match output.output {
        Some(_) => Ok(output),
        None => Err(missing(node, "consumer_output")),
    }
}

fn read_consumer_output(node: &Node) -> Result<Output, ReadError> {
    let (mut enabled, mut output) = (true, Output::none());
    for child in &node.children {
        match child.name.as_str() {
            "enabled" => enabled = boolean(child)?,
            "destination" => {
                let [destination] = &child.children[..] else {
                    return Err(error(child, "a <destination> has one element"));
                };
                output = match destination.name.as_str() {
                    "path" if destination.text.is_empty() => Output::none(),
                    "path" => Kind::LocalPath(destination.text.clone()).into(),
                    "net_output" => read_net_output(destination)?,
                    _ => return unexpected(destination),
                };
            }
            _ => return unexpected(child),
        }
    }
    Ok(match enabled {
        true => output,
        false => Output::none(),
    })
}

fn read_net_output(node: &Node) -> Result<Output, ReadError> {
    let text = |name: &str| -> Result<&str, ReadError> {
        let found = node.children.iter().find(|child| child.name == name);
        let found = found.ok_or_else(|| missing(node, name))?;
        Ok(found.text.trim())
    };
    let (control, data) = (text("control_uri")?, text("data_uri")?);
    url::control_and_data(control, data, &url::system_resolver).map_err(|(why, bad)| {
        let why = why.reason().unwrap_or_default();
        error(
            node,
            format!("`{bad}` is no address of a relay daemon. {why}"),
        )
    })
}
