//! Messages as checked values.

use std::fs;

use control::{ErrorCode, v1};
use filter::Expression;
use ring_buffer::{BufferMode, Geometry};
use ust::command::{Context, LogLevels};

use crate::service::contexts;
use crate::session::channels::MAX_NAME;
use crate::session::plan::{Attributes, BufferType, Filter, Plan, Refusal, Rule};
use crate::session::{NetworkAttributes, OutputSetting, RelayAddress, RelayLoss, Session};

/// Sub-buffer sizes when none is given, bytes.
const PER_UID_SUBBUF_SIZE: u64 = 512 << 10;
const PER_PID_SUBBUF_SIZE: u64 = 16 << 10;
const KERNEL_SUBBUF_SIZE: u64 = 1 << 20;
/// Sub-buffers when no number is given.
const SUBBUF_COUNT: u64 = 4;
/// Period of the monitor timer when none is given, microseconds.
const MONITOR_TIMER_US: u64 = 1_000_000;
/// Longest base path on a collector, bytes.
const MAX_BASE_PATH: usize = 4095;
/// Least severe log level.
const LEAST_SEVERE: i32 = 14;
/// Prefixes that belong to the agents of other languages.
const RESERVED_PREFIXES: [&str; 3] = ["lttng_jul", "lttng_log4j", "lttng_python"];

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(ErrorCode::INVALID, message)
}

/// `None`: the default.
pub(super) fn output(output: v1::Output) -> Result<Option<OutputSetting>, Refusal> {
    use v1::output::Kind;

    match output.kind {
        None => Ok(None),
        Some(Kind::None(none)) => Ok(Some(none.into())),
        Some(Kind::LocalPath(path)) => {
            if !path.starts_with('/') || path.contains('\0') {
                return Err(invalid(format!(
                    "the output directory `{path}` is no absolute path"
                )));
            }
            Ok(Some(OutputSetting::Local(path.into())))
        }
        Some(Kind::Relay(relay)) => Ok(Some(relay_output(relay)?)),
    }
}

fn relay_output(relay: v1::RelayOutput) -> Result<OutputSetting, Refusal> {
    check_host(&relay.address)?;
    let control_port = port(relay.control_port, "control")?;
    let data_port = port(relay.data_port, "data")?;
    check_ports(control_port, data_port)?;
    let leaves = relay.base_path.split('/').any(|part| part == "..");
    if leaves || relay.base_path.len() > MAX_BASE_PATH || relay.base_path.contains('\0') {
        return Err(invalid(format!(
            "the base path `{}` leaves its directory",
            relay.base_path
        )));
    }
    let address = RelayAddress {
        host: relay.address,
        control_port,
        data_port,
        ipv6: relay.ipv6,
    };
    Ok(OutputSetting::Relay {
        address,
        base_path: relay.base_path,
    })
}

fn check_host(host: &str) -> Result<(), Refusal> {
    let bad = |c: char| c.is_control() || c.is_whitespace() || c == '/';
    if host.is_empty() || host.len() > MAX_NAME || host.contains(bad) {
        return Err(invalid(format!(
            "`{}` is no host name or address",
            host.escape_debug()
        )));
    }
    Ok(())
}

fn port(number: u32, what: &str) -> Result<u16, Refusal> {
    match u16::try_from(number) {
        Ok(port) if port != 0 => Ok(port),
        _ => Err(invalid(format!(
            "the {what} port {number} is not between 1 and 65535"
        ))),
    }
}

fn check_ports(control: u16, data: u16) -> Result<(), Refusal> {
    if control == data {
        return Err(invalid(format!("control and data port are both {control}")));
    }
    Ok(())
}

/// The attributes after a change of some of them.
pub(super) fn network(
    was: &NetworkAttributes,
    change: &v1::SetNetworkRequest,
) -> Result<NetworkAttributes, Refusal> {
    let mut network = was.clone();
    if let Some(enabled) = change.enabled {
        network.enabled = enabled;
    }
    if let Some(address) = &change.address {
        if !address.is_empty() {
            check_host(address)?;
        }
        network.address = address.clone();
    }
    if let Some(number) = change.control_port {
        network.control_port = port(number, "control")?;
    }
    if let Some(number) = change.data_port {
        network.data_port = port(number, "data")?;
    }
    check_ports(network.control_port, network.data_port)?;
    Ok(network)
}

/// `None`: as it is.
pub(super) fn relay_loss(number: i32) -> Result<Option<RelayLoss>, Refusal> {
    match v1::RelayLoss::try_from(number) {
        Ok(v1::RelayLoss::Unspecified) => Ok(None),
        Ok(v1::RelayLoss::Reconnect) => Ok(Some(RelayLoss::Reconnect)),
        Ok(v1::RelayLoss::Local) => Ok(Some(RelayLoss::Local)),
        Err(_) => Err(invalid(format!(
            "unknown value {number} for the loss of the relay"
        ))),
    }
}

/// The type that is asked for, else that of the session's channels, else per user.
pub(super) fn buffer_type(number: i32, plan: &Plan) -> BufferType {
    match v1::BufferType::try_from(number) {
        Ok(v1::BufferType::PerUid) => BufferType::PerUid,
        Ok(v1::BufferType::PerPid) => BufferType::PerPid,
        _ => plan.buffer_type.unwrap_or(BufferType::PerUid),
    }
}

/// What a session is like, as far as its channels follow from it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    live_timer_us: u32,
    snapshot: bool,
}

impl Kind {
    /// Of this session.
    pub(super) fn of(session: &Session) -> Self {
        Self {
            live_timer_us: session.live_timer_us,
            snapshot: session.snapshot,
        }
    }
}

/// Completes and checks the settings of a channel.
pub(super) fn attributes(
    given: &v1::ChannelAttributes,
    buffer_type: BufferType,
    kind: Kind,
) -> Result<Attributes, Refusal> {
    let default_size = match buffer_type {
        BufferType::PerUid => PER_UID_SUBBUF_SIZE,
        BufferType::PerPid => PER_PID_SUBBUF_SIZE,
    };
    let or = |value: u64, default: u64| if value == 0 { default } else { value };
    let attributes = Attributes {
        overwrite: given.overwrite.unwrap_or(kind.snapshot),
        subbuf_size: or(given.subbuf_size, default_size),
        subbuf_count: or(given.subbuf_count, SUBBUF_COUNT),
        // The live timer does the same.
        switch_timer_us: match kind.live_timer_us {
            0 => given.switch_timer_us,
            _ => 0,
        },
        live_timer_us: kind.live_timer_us.into(),
        read_timer_us: given.read_timer_us,
        monitor_timer_us: given.monitor_timer_us.unwrap_or(MONITOR_TIMER_US),
        blocking_timeout_us: given.blocking_timeout_us.max(-1),
        tracefile_size: given.tracefile_size,
        tracefile_count: given.tracefile_count,
    };
    check(&attributes)?;
    Ok(attributes)
}

/// Completes and checks the settings of a channel of the kernel.
pub(super) fn kernel_attributes(
    given: &v1::ChannelAttributes,
    kind: Kind,
) -> Result<Attributes, Refusal> {
    if given.blocking_timeout_us != 0 {
        return Err(invalid("the kernel never blocks: give no blocking timeout"));
    }
    let mut given = *given;
    if given.subbuf_size == 0 {
        given.subbuf_size = KERNEL_SUBBUF_SIZE;
    }
    attributes(&given, BufferType::PerUid, kind)
}

/// The settings of a channel of the kernel when none are given.
pub(super) fn default_kernel_attributes(kind: Kind) -> Result<Attributes, Refusal> {
    kernel_attributes(&v1::ChannelAttributes::default(), kind)
}

/// A name or glob of events of the kernel.
pub(super) fn check_kernel_event_name(name: &str) -> Result<(), Refusal> {
    check_event_name(name)
}

fn check(attributes: &Attributes) -> Result<(), Refusal> {
    let mode = if attributes.overwrite {
        BufferMode::Overwrite
    } else {
        BufferMode::Discard
    };
    check_memory(attributes)?;
    Geometry::new(attributes.subbuf_size, attributes.subbuf_count, mode)
        .map_err(|error| invalid(error.to_string()))?;
    for (timer, value) in [
        ("switch", attributes.switch_timer_us),
        ("read", attributes.read_timer_us),
    ] {
        if u32::try_from(value).is_err() {
            return Err(invalid(format!(
                "the {timer} timer of {value} us does not fit 32 bits"
            )));
        }
    }
    if attributes.overwrite && attributes.blocking_timeout_us != 0 {
        return Err(invalid(
            "a channel that overwrites never blocks: give no blocking timeout",
        ));
    }
    if attributes.tracefile_size == 0 && attributes.tracefile_count != 0 {
        return Err(invalid("a trace file count needs a trace file size"));
    }
    if attributes.tracefile_size != 0 && attributes.tracefile_size < attributes.subbuf_size {
        return Err(invalid(format!(
            "trace files of {} bytes do not hold a sub-buffer of {} bytes",
            attributes.tracefile_size, attributes.subbuf_size
        )));
    }
    Ok(())
}

/// Buffers that do not fit the memory of the machine are refused before anything is made.
fn check_memory(attributes: &Attributes) -> Result<(), Refusal> {
    let stream_bytes = attributes
        .subbuf_size
        .saturating_mul(attributes.subbuf_count);
    let cpus = u64::from(ring_buffer::possible_cpus().unwrap_or(1));
    let wanted = stream_bytes.saturating_mul(cpus);
    match available_memory() {
        Some(available) if wanted > available => Err(Refusal::new(
            ErrorCode::NO_MEMORY,
            format!("the channel needs {wanted} bytes on {cpus} CPUs, {available} are available"),
        )),
        _ => Ok(()),
    }
}

/// Bytes.
fn available_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim()
        .strip_suffix("kB")?
        .trim()
        .parse::<u64>()
        .ok()?
        .checked_mul(1024)
}

/// Checks a rule and compiles its filter.
pub(super) fn rule(given: v1::EventRule) -> Result<Rule, Refusal> {
    check_event_name(&given.name)?;
    let levels = levels(&given)?;
    filter::exclusion::validate(&given.name, &given.exclusions)
        .map_err(|error| Refusal::new(ErrorCode::EXCLUSION_INVALID, error.to_string()))?;
    let filter = if given.filter.is_empty() {
        None
    } else {
        Some(compile(given.filter)?)
    };
    Ok(Rule {
        name: given.name,
        levels,
        filter,
        exclusions: given.exclusions,
    })
}

fn check_event_name(name: &str) -> Result<(), Refusal> {
    let reserved = RESERVED_PREFIXES
        .iter()
        .any(|prefix| name.starts_with(prefix));
    let bad = name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control);
    if reserved || bad {
        let message = format!(
            "`{}` is no event name: 1 to {MAX_NAME} bytes, no control characters, none of the prefixes {}",
            name.escape_debug(),
            RESERVED_PREFIXES.join(", ")
        );
        return Err(Refusal::new(ErrorCode::INVALID_EVENT_NAME, message));
    }
    Ok(())
}

fn levels(given: &v1::EventRule) -> Result<LogLevels, Refusal> {
    let level = given.log_level;
    let checked = || {
        if (0..=LEAST_SEVERE).contains(&level) {
            Ok(level)
        } else {
            Err(invalid(format!(
                "the log level {level} is not between 0 and {LEAST_SEVERE}"
            )))
        }
    };
    match v1::LogLevelType::try_from(given.log_level_type) {
        Ok(v1::LogLevelType::All) => Ok(LogLevels::Any),
        Ok(v1::LogLevelType::Range) => checked().map(LogLevels::AtLeast),
        Ok(v1::LogLevelType::Single) => checked().map(LogLevels::Exactly),
        Err(_) => Err(invalid(format!(
            "unknown log level type {}",
            given.log_level_type
        ))),
    }
}

fn compile(text: String) -> Result<Filter, Refusal> {
    let refused = |error: String| Refusal::new(ErrorCode::FILTER_INVALID, error);
    let expression = Expression::parse(&text).map_err(|error| refused(error.to_string()))?;
    let bytecode = expression
        .to_bytecode()
        .map_err(|error| refused(error.to_string()))?;
    Ok(Filter {
        text,
        bytecode: bytecode.code_and_relocs,
        reloc_offset: bytecode.reloc_offset,
    })
}

/// A context as on the command line.
pub(super) fn context(spelling: &str) -> Result<Context, Refusal> {
    contexts::parse(spelling).ok_or_else(|| {
        let message = format!("`{spelling}` is no context field of user space");
        Refusal::new(ErrorCode::UST_CONTEXT_INVALID, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Kind = Kind {
        live_timer_us: 0,
        snapshot: false,
    };

    #[test]
    fn sizes_have_defaults_by_buffer_type() {
        let none = v1::ChannelAttributes::default();
        assert_eq!(
            attributes(&none, BufferType::PerUid, PLAIN)
                .unwrap()
                .subbuf_size,
            524_288
        );
        assert_eq!(
            attributes(&none, BufferType::PerPid, PLAIN)
                .unwrap()
                .subbuf_size,
            16384
        );
    }

    #[test]
    fn bad_sizes_are_refused_with_their_value() {
        let odd = v1::ChannelAttributes {
            subbuf_size: 5000,
            ..Default::default()
        };
        let refusal = attributes(&odd, BufferType::PerUid, PLAIN).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::INVALID);
        assert!(refusal.message.contains("5000"), "{refusal}");
        let huge = v1::ChannelAttributes {
            subbuf_size: 1 << 29,
            subbuf_count: 2,
            ..Default::default()
        };
        assert!(attributes(&huge, BufferType::PerUid, PLAIN).is_ok());
    }

    #[test]
    fn blocking_and_overwriting_exclude_each_other() {
        let both = v1::ChannelAttributes {
            overwrite: Some(true),
            blocking_timeout_us: -1,
            ..Default::default()
        };
        assert!(attributes(&both, BufferType::PerUid, PLAIN).is_err());
    }

    #[test]
    fn a_rule_compiles_its_filter() {
        let given = v1::EventRule {
            name: "a:*".into(),
            filter: "x > 3".into(),
            ..Default::default()
        };
        let compiled = rule(given).unwrap().filter.unwrap();
        assert!((compiled.reloc_offset as usize) < compiled.bytecode.len());
        let bad = v1::EventRule {
            name: "a".into(),
            filter: "x >".into(),
            ..Default::default()
        };
        assert_eq!(rule(bad).unwrap_err().code, ErrorCode::FILTER_INVALID);
    }

    #[test]
    fn event_names_are_checked() {
        for name in ["", "lttng_jul_event", "a\nb"] {
            let given = v1::EventRule {
                name: name.into(),
                ..Default::default()
            };
            assert_eq!(
                rule(given).unwrap_err().code,
                ErrorCode::INVALID_EVENT_NAME,
                "{name:?}"
            );
        }
    }
}
