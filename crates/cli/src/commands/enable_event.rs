//! `lttng enable-event`.

use std::env;
use std::path::Path;

use control::v1::{EnableEventRequest, EventKind, EventRule, LogLevelType};
use control::{Client, ErrorCode, KernelLocation, KernelLocationError, ProbeLocation};
use filter::exclusion::{self, ExclusionError};

use crate::daemon::{Context, Failure};
use crate::mi::{Document, Element};
use crate::render::xml;
use crate::ui::{Exit, Outcome, Ui, status};
use crate::{current_session, log_level};

use super::domain::{Domain, Domains};
use super::{names, no_more};

/// The channel that rules go to when none is named.
const DEFAULT_CHANNEL: &str = "channel0";

/// Create or enable recording event rules
///
/// Creates recording event rules, or enables disabled ones. A `*` in a name matches anything; `\*` is a star.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Names of events, separated by commas
    #[arg(value_name = "EVENT[,EVENT...]")]
    events: Option<String>,
    /// Name of the session; without it the current session
    #[arg(short, long)]
    session: Option<String>,
    /// All events
    #[arg(short, long)]
    all: bool,
    /// Name of the channel (default channel0, which is created if there is no channel)
    #[arg(short, long)]
    channel: Option<String>,
    #[command(flatten)]
    domain: Domains,
    /// Tracepoints (default)
    #[arg(long)]
    tracepoint: bool,
    /// With -k: a place in the kernel, as ADDRESS or SYMBOL[+OFFSET]; EVENT is the name of its events
    #[arg(long, value_name = "LOCATION", allow_hyphen_values = true)]
    probe: Option<String>,
    /// With -k: a place in a program, as [elf:]PATH:SYMBOL or sdt:PATH:PROVIDER:NAME; EVENT is the name of its
    /// events
    #[arg(long, value_name = "LOCATION")]
    userspace_probe: Option<String>,
    /// With -k: entry and return of a function of the kernel, as SYMBOL; the names of its events are
    /// EVENT_entry and EVENT_exit
    #[arg(long, value_name = "LOCATION", allow_hyphen_values = true)]
    function: Option<String>,
    /// With -k: system calls, entry and exit
    #[arg(long)]
    syscall: bool,
    /// Only events of this log level and of more severe ones
    #[arg(long, value_name = "LEVEL", overrides_with = "loglevel_only")]
    loglevel: Option<String>,
    /// Only events of exactly this log level; of the two options the last one counts
    #[arg(long, value_name = "LEVEL", overrides_with = "loglevel")]
    loglevel_only: Option<String>,
    /// Only events for which this expression is true, for instance: size > 3 && name == "foo*"
    #[arg(short, long, value_name = "EXPRESSION", allow_hyphen_values = true)]
    filter: Option<String>,
    /// Events that a name with a star shall not match, separated by commas
    #[arg(short = 'x', long, value_name = "EVENT[,EVENT...]")]
    exclude: Option<String>,
    #[arg(hide = true)]
    extra: Vec<String>,
}

pub(crate) async fn run(mut args: Args, context: &Context) -> Result<Outcome, Exit> {
    let ui = &context.ui;
    check_type(ui, &args)?;
    let domain = args.domain.chosen(context)?;
    if domain == Domain::Ust && !only_tracepoints(&args) {
        ui.error("Event type not available for user-space tracing");
        return Err(Exit(status::UNSUPPORTED));
    }
    if domain == Domain::Kernel && args.exclude.is_some() {
        return Err(ui.fail("Event name exclusions are not yet implemented for kernel events"));
    }
    // With `--all` the name is ignored, as upstream does.
    let events = match (args.events.take(), args.all) {
        (_, true) => "*".to_owned(),
        (Some(events), false) => events,
        (None, false) => return Err(ui.fail("Missing event name(s).")),
    };
    no_more(context, &args.extra)?;
    let session = current_session::or_current(ui, args.session.take())?;
    let (level_type, level) = log_level_of(ui, &args)?;
    let exclusions = args.exclude.as_deref().map(exclusion::split);
    let batch = Batch {
        context,
        session,
        domain,
        template: EventRule {
            log_level_type: level_type.into(),
            log_level: level,
            exclusions: exclusions.unwrap_or_default(),
            filter: args.filter.clone().unwrap_or_default(),
            enabled: true,
            kind: kind(&args).into(),
            location: location(ui, &args)?,
            ..EventRule::default()
        },
        args,
    };
    Ok(batch.enable_all(&events).await)
}

fn only_tracepoints(args: &Args) -> bool {
    !args.syscall
        && args.probe.is_none()
        && args.function.is_none()
        && args.userspace_probe.is_none()
}

/// Without an option: tracepoints, and in the kernel domain for `*` system calls too.
fn kind(args: &Args) -> EventKind {
    match args {
        Args { syscall: true, .. } => EventKind::Syscall,
        Args { probe: Some(_), .. } => EventKind::Probe,
        Args {
            userspace_probe: Some(_),
            ..
        } => EventKind::UserspaceProbe,
        Args {
            function: Some(_), ..
        } => EventKind::Function,
        Args {
            tracepoint: true, ..
        } => EventKind::Tracepoint,
        _ => EventKind::Unspecified,
    }
}

/// The place of a probe; a program is looked for as a shell does, for the daemon has another path.
fn location(ui: &Ui, args: &Args) -> Result<String, Exit> {
    let Some(text) = &args.userspace_probe else {
        return kernel_location(ui, args);
    };
    let place = ProbeLocation::parse(text).map_err(|error| {
        ui.error(error);
        ui.fail("Unable to parse userspace probe options")
    })?;
    let named = Path::new(place.path());
    let found = if place.path().contains('/') {
        named.canonicalize().ok()
    } else {
        let directories = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&directories)
            .find_map(|directory| directory.join(named).canonicalize().ok())
    };
    // What is not there is for the daemon to say, with its code.
    Ok(match found {
        Some(path) => place.in_file(&path.to_string_lossy()).to_string(),
        None => place.to_string(),
    })
}

/// The place of a probe in the kernel; empty if there is none.
fn kernel_location(ui: &Ui, args: &Args) -> Result<String, Exit> {
    let (text, what) = match (&args.probe, &args.function) {
        (Some(text), _) => (text, "probe options"),
        (None, Some(text)) => (text, "function probe options"),
        (None, None) => return Ok(String::new()),
    };
    match KernelLocation::parse(text) {
        Ok(place) => Ok(place.to_string()),
        Err(error) => {
            if error != KernelLocationError::Empty {
                ui.error(error);
            }
            Err(ui.fail(format_args!("Unable to parse {what}")))
        }
    }
}

fn check_type(ui: &Ui, args: &Args) -> Result<(), Exit> {
    let types = [
        args.tracepoint,
        args.syscall,
        args.probe.is_some(),
        args.function.is_some(),
        args.userspace_probe.is_some(),
    ];
    if types.into_iter().filter(|given| *given).count() > 1 {
        return Err(ui.fail("Multiple event type not supported."));
    }
    Ok(())
}

fn log_level_of(ui: &Ui, args: &Args) -> Result<(LogLevelType, i32), Exit> {
    let (kind, name) = match (&args.loglevel, &args.loglevel_only) {
        (None, None) => return Ok((LogLevelType::All, -1)),
        (Some(name), None) => (LogLevelType::Range, name),
        (_, Some(name)) => (LogLevelType::Single, name),
    };
    match log_level::parse(name) {
        Some(level) => Ok((kind, level)),
        None => {
            ui.error(format_args!("Unknown loglevel {name}"));
            Err(Exit(
                u8::try_from(ErrorCode::INVALID.0).unwrap_or(status::ERROR),
            ))
        }
    }
}

/// The rules of one command, alike but for their names.
struct Batch<'a> {
    context: &'a Context,
    session: String,
    domain: Domain,
    template: EventRule,
    args: Args,
}

impl Batch<'_> {
    async fn enable_all(&self, events: &str) -> Outcome {
        let ui = &self.context.ui;
        let mut client = self.context.connect().await;
        let mut code = status::OK;
        let mut shown = Vec::new();
        for name in names(events) {
            if let Err(error) = self.check_exclusions(name) {
                ui.error(format_args!("Event {name}: {error}"));
                let events = Element::new("events", shown);
                let document = Document::new("enable-event", [events], false);
                return Outcome::new(status::ERROR, document);
            }
            let mut rule = EventRule {
                name: name.into(),
                ..self.template.clone()
            };
            let result = match (self.check_filter(), &mut client) {
                (Err(failure), _) => Err(failure),
                (Ok(()), Ok(client)) => self.enable(client, &rule).await,
                (Ok(()), Err(failure)) => Err(failure.clone()),
            };
            match &result {
                Ok(channel) => ui.say(self.success(name, channel)),
                Err(failure) => {
                    failure.say(ui, self.failure(name, failure));
                    code = if self.args.all {
                        status::ERROR
                    } else {
                        failure.status()
                    };
                    rule.enabled = false;
                }
            }
            let success = Element::text("success", result.is_ok());
            shown.push(xml::event(&rule, false).with(success));
        }
        let events = Element::new("events", shown);
        Outcome::new(
            code,
            Document::new("enable-event", [events], code == status::OK),
        )
    }

    fn check_exclusions(&self, name: &str) -> Result<(), ExclusionError> {
        for useless in exclusion::validate(name, &self.template.exclusions)? {
            self.context.ui.warn(format_args!(
                "Event {name}: {useless} does not exclude any events from {name}"
            ));
        }
        Ok(())
    }

    /// Reads the expression here, so that the message can point into it.
    fn check_filter(&self) -> Result<(), Failure> {
        let Some(text) = &self.args.filter else {
            return Ok(());
        };
        if text.is_empty() {
            return Err(Failure::local(ErrorCode::INVALID, "the filter is empty"));
        }
        let expression = filter::Expression::parse(text).map_err(|error| error.to_string());
        expression
            .and_then(|expression| expression.to_bytecode().map_err(|error| error.to_string()))
            .map(drop)
            .map_err(|error| Failure::local(ErrorCode::FILTER_INVALID, &error))
    }

    async fn enable(&self, client: &mut Client, rule: &EventRule) -> Result<String, Failure> {
        let request = EnableEventRequest {
            session: self.session.clone(),
            domain: self.domain.proto(),
            channel: self.args.channel.clone().unwrap_or_default(),
            rule: Some(rule.clone()),
        };
        let answer = client.enable_event(request).await?.into_inner();
        Ok(if answer.channel.is_empty() {
            self.channel_name().into()
        } else {
            answer.channel
        })
    }

    fn channel_name(&self) -> &str {
        self.args.channel.as_deref().unwrap_or(DEFAULT_CHANNEL)
    }

    /// ` excluding "a", "b"`, or nothing.
    fn excluding(&self) -> String {
        let names = self.template.exclusions.iter();
        let quoted: Vec<_> = names.map(|name| format!("\"{name}\"")).collect();
        if quoted.is_empty() {
            return String::new();
        }
        format!(" excluding {}", quoted.join(", "))
    }

    fn success(&self, name: &str, channel: &str) -> String {
        let domain = self.domain.name();
        let excluding = self.excluding();
        match (&self.args.filter, self.args.all) {
            (Some(filter), true) => format!("Filter '{filter}' successfully set"),
            (Some(filter), false) => {
                format!("Event {name}{excluding}: Filter '{filter}' successfully set")
            }
            (None, true) if self.args.syscall => {
                format!("All kernel system calls are enabled in channel {channel}")
            }
            (None, true) => {
                let what = if self.args.tracepoint {
                    "tracepoints"
                } else {
                    "events"
                };
                let levels = [&self.args.loglevel_only, &self.args.loglevel];
                let level = levels.into_iter().flatten().next();
                let level = level.map(|level| format!(" for loglevel {level}"));
                let level = level.unwrap_or_default();
                format!("All {domain} {what}{excluding} are enabled in channel {channel}{level}")
            }
            (None, false) => {
                format!("{domain} event {name}{excluding} created in channel {channel}")
            }
        }
    }

    fn failure(&self, name: &str, failure: &Failure) -> String {
        let channel = match failure.code {
            ErrorCode::NEED_CHANNEL_NAME => "<default>",
            _ => self.channel_name(),
        };
        let subject = if self.args.all {
            "Events".into()
        } else {
            format!("Event {name}")
        };
        let filter = self.args.filter.as_ref();
        let filter = filter
            .map(|filter| format!(", filter '{filter}'"))
            .unwrap_or_default();
        format!(
            "{subject}{}: {} (channel {channel}, session {}{filter})",
            self.excluding(),
            failure.text(),
            self.session
        )
    }
}
