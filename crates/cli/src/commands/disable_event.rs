//! `lttng disable-event`.

use control::v1::{DisableEventRequest, EventKind};
use control::{Client, ErrorCode};

use crate::current_session;
use crate::daemon::{Context, Failure};
use crate::mi::{Document, Element};
use crate::ui::{Exit, Outcome, status};

use super::domain::{Domain, Domains};
use super::{names, no_more};

/// Disable recording event rules
///
/// Disables recording event rules by the names they were made with.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Names of rules, separated by commas; a rule with a star is named with its star
    #[arg(value_name = "EVENT[,EVENT...]")]
    events: Option<String>,
    /// Name of the session; without it the current session
    #[arg(short, long)]
    session: Option<String>,
    /// All rules of the channel
    #[arg(short, long)]
    all_events: bool,
    /// Name of the channel (default channel0)
    #[arg(short, long)]
    channel: Option<String>,
    #[command(flatten)]
    domain: Domains,
    /// With -k: rules of system calls
    #[arg(long)]
    syscall: bool,
    #[arg(long, hide = true)]
    probe: bool,
    /// With -k: rules of tracepoints
    #[arg(long)]
    tracepoint: bool,
    #[arg(long, hide = true)]
    function: bool,
    #[arg(long, hide = true)]
    all: bool,
    #[arg(hide = true)]
    extra: Vec<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Outcome, Exit> {
    let ui = &context.ui;
    let domain = args.domain.chosen(context)?;
    let kernel_types = [
        args.syscall,
        args.probe,
        args.tracepoint,
        args.function,
        args.all,
    ];
    if domain == Domain::Ust && kernel_types.contains(&true) {
        return Err(ui.fail(format_args!(
            "Disabling userspace tracepoints, probes, functions or syscalls by type is not supported; \
             name the events"
        )));
    }
    if args.events.is_none() && !args.all_events {
        return Err(ui.fail("Missing event name(s).\n"));
    }
    no_more(context, &args.extra)?;
    let kind = match kernel_types {
        [true, ..] => EventKind::Syscall,
        [_, true, ..] => EventKind::Probe,
        [_, _, true, ..] => EventKind::Tracepoint,
        [_, _, _, true, _] => EventKind::Function,
        _ => EventKind::Unspecified,
    };
    let session = current_session::or_current(ui, args.session)?;
    let batch = Batch {
        kind,
        session,
        domain,
        channel: args.channel,
    };
    let mut client = context.connect().await;
    let wanted: Vec<Option<&str>> = match (&args.events, args.all_events) {
        (Some(events), false) => names(events).map(Some).collect(),
        _ => vec![None],
    };
    let (mut last, mut failed) = (status::OK, false);
    let mut shown = Vec::new();
    for name in wanted {
        let result = match &mut client {
            Ok(client) => batch.disable(client, name).await,
            Err(failure) => Err(failure.clone()),
        };
        match &result {
            Ok(()) => ui.say(batch.success(name)),
            Err(failure) => failure.say(ui, batch.failure(name, failure)),
        }
        last = result
            .as_ref()
            .map_or_else(Failure::status, |()| status::OK);
        failed |= result.is_err();
        shown.push(Element::new(
            "event",
            [
                Element::text("name", name.unwrap_or("*")),
                Element::text("enabled", result.is_err()),
                Element::text("success", result.is_ok()),
            ],
        ));
    }
    // The code of the last one; a failure before it is a warning.
    let code = if last == status::OK && failed {
        status::WARNING
    } else {
        last
    };
    let channel = Element::new(
        "channel",
        [
            Element::text("name", batch.channel_name()),
            Element::new("events", shown),
        ],
    );
    Ok(Outcome::new(
        code,
        Document::new("disable-event", [channel], !failed),
    ))
}

struct Batch {
    kind: EventKind,
    session: String,
    domain: Domain,
    channel: Option<String>,
}

impl Batch {
    fn channel_name(&self) -> &str {
        self.channel.as_deref().unwrap_or("channel0")
    }

    async fn disable(&self, client: &mut Client, name: Option<&str>) -> Result<(), Failure> {
        let request = DisableEventRequest {
            session: self.session.clone(),
            domain: self.domain.proto(),
            channel: self.channel.clone().unwrap_or_default(),
            name: name.unwrap_or_default().into(),
            kind: self.kind.into(),
        };
        client.disable_event(request).await?;
        Ok(())
    }

    fn success(&self, name: Option<&str>) -> String {
        let (domain, channel, session) = (self.domain.name(), self.channel_name(), &self.session);
        match name {
            Some(name) => format!(
                "{domain} {name} of type any disabled in channel {channel} for session {session}"
            ),
            None => format!("All {domain} events of type any are disabled in channel {channel}"),
        }
    }

    fn failure(&self, name: Option<&str>, failure: &Failure) -> String {
        let channel = match failure.code {
            ErrorCode::NEED_CHANNEL_NAME => "<default>",
            _ => self.channel_name(),
        };
        let (text, session) = (failure.text(), &self.session);
        let name = name.unwrap_or("Events");
        format!("{name} of type any : {text} (channel {channel}, session {session})")
    }
}
