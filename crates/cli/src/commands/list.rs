//! `lttng list`.

use control::ErrorCode;
use control::v1::{
    EventKind, GetSessionRequest, GetSessionResponse, ListSessionsRequest, ListTracepointsRequest,
    Session, Tracepoint,
};

use crate::daemon::{Context, Failure};
use crate::mi::{Document, Element};
use crate::render::session::Filter;
use crate::render::{session as text, tracepoints, xml};
use crate::ui::{Exit, Outcome, status};

use super::domain::{Domain, Domains};
use super::no_more;

/// List recording sessions and instrumentation points
///
/// Lists the sessions; with NAME, one session in detail; without NAME, with -u the tracepoints of the running
/// applications, with -k those of the kernel.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of a session
    name: Option<String>,
    #[command(flatten)]
    domains: Domains,
    /// With NAME: only this channel
    #[arg(short, long, value_name = "CHANNEL")]
    channel: Option<String>,
    /// With NAME: only the domains
    #[arg(short, long)]
    domain: bool,
    /// With -u or -k: the fields of the tracepoints too
    #[arg(short, long)]
    fields: bool,
    /// With -k: the system calls
    #[arg(short = 'S', long)]
    syscall: bool,
    #[arg(hide = true)]
    extra: Vec<String>,
}

/// What of a session is wanted.
#[derive(Debug, Default)]
pub(super) struct Details {
    channel: Option<String>,
    domains_only: bool,
    kernel: bool,
    userspace: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Outcome, Exit> {
    let ui = &context.ui;
    no_more(context, &args.extra)?;
    if args.syscall && !args.domains.kernel {
        ui.warn("--syscall will only work with the Kernel domain (-k)");
        return Err(Exit(status::ERROR));
    }
    if let Some(name) = &args.name {
        let details = Details {
            channel: args.channel,
            domains_only: args.domain,
            kernel: args.domains.kernel,
            userspace: args.domains.userspace,
        };
        return Ok(session(context, name, &details).await);
    }
    args.domains.refuse_agents(context)?;
    let instrumentation = [
        (args.domains.kernel, Domain::Kernel, "kernel"),
        (args.domains.userspace, Domain::Ust, "UST"),
    ];
    if instrumentation.iter().any(|(wanted, ..)| *wanted) {
        let wanted = instrumentation.into_iter().filter(|(wanted, ..)| *wanted);
        let wanted: Vec<_> = wanted.map(|(_, domain, name)| (domain, name)).collect();
        return Ok(points(context, &wanted, &args).await);
    }
    Ok(sessions(context).await)
}

fn document(output: Option<Element>) -> Document {
    Document::without_success("list", output)
}

async fn sessions(context: &Context) -> Outcome {
    let ui = &context.ui;
    match fetch_sessions(context).await {
        Ok(sessions) => {
            text::say_list(ui, &sessions);
            let sessions = Element::new("sessions", sessions.iter().map(xml::session));
            Outcome::new(status::OK, document(Some(sessions)))
        }
        Err(failure) => {
            failure.say(ui, failure.text());
            Outcome::new(status::ERROR, document(None))
        }
    }
}

async fn fetch_sessions(context: &Context) -> Result<Vec<Session>, Failure> {
    let mut client = context.connect().await?;
    let answer = client.list_sessions(ListSessionsRequest {}).await?;
    Ok(answer.into_inner().sessions)
}

/// One session in detail.
pub(super) async fn session(context: &Context, name: &str, details: &Details) -> Outcome {
    let ui = &context.ui;
    let failed = || {
        let sessions = Element::new("sessions", []);
        Outcome::new(status::ERROR, document(Some(sessions)))
    };
    let answer = match fetch_session(context, name).await {
        Ok(answer) => answer,
        Err(failure) => {
            if failure.code == ErrorCode::SESSION_NOT_FOUND {
                ui.error(format_args!("Session '{name}' not found"));
            } else {
                failure.say(ui, failure.text());
            }
            return failed();
        }
    };
    let channel = details.channel.as_deref();
    let filter = Filter {
        channel,
        domains_only: details.domains_only,
        only: match (details.kernel, details.userspace) {
            (true, false) => Some(Domain::Kernel),
            (false, true) => Some(Domain::Ust),
            _ => None,
        },
    };
    let shown = text::say_details(ui, &answer, &filter);
    if let (Err(()), Some(channel)) = (shown, channel) {
        ui.error(format_args!("Channel {channel} not found"));
        return failed();
    }
    let session = xml::details(&answer, channel, !details.domains_only);
    let sessions = Element::new("sessions", [session]);
    Outcome::new(status::OK, document(Some(sessions)))
}

async fn fetch_session(context: &Context, name: &str) -> Result<GetSessionResponse, Failure> {
    let mut client = context.connect().await?;
    let request = GetSessionRequest { name: name.into() };
    Ok(client.get_session(request).await?.into_inner())
}

/// Instrumentation points of one domain after the other, until one fails.
async fn points(context: &Context, domains: &[(Domain, &str)], args: &Args) -> Outcome {
    let ui = &context.ui;
    let mut output = None;
    for (domain, name) in domains {
        let kind = match (*domain, args.syscall) {
            (Domain::Kernel, true) => EventKind::Syscall,
            _ => EventKind::Unspecified,
        };
        match fetch_points(context, *domain, kind, args.fields).await {
            Ok(points) if *domain == Domain::Kernel => {
                tracepoints::say_kernel(ui, &points, args.syscall);
                output = Some(xml::kernel_points(&points, args.syscall, args.fields));
            }
            Ok(points) => {
                tracepoints::say(ui, &points);
                output = Some(xml::tracepoints(&points, args.fields));
            }
            Err(failure) => {
                failure.say(
                    ui,
                    format_args!("Unable to list {name} events: {}", failure.text()),
                );
                return Outcome::new(status::ERROR, document(None));
            }
        }
    }
    Outcome::new(status::OK, document(output))
}

async fn fetch_points(
    context: &Context,
    domain: Domain,
    kind: EventKind,
    with_fields: bool,
) -> Result<Vec<Tracepoint>, Failure> {
    let mut client = context.connect().await?;
    let request = ListTracepointsRequest {
        domain: domain.proto(),
        with_fields,
        kind: kind.into(),
    };
    Ok(client
        .list_tracepoints(request)
        .await?
        .into_inner()
        .tracepoints)
}
