//! `lttng add-context`.

use control::v1::AddContextRequest;
use control::{Client, ContextField};

use crate::contexts;
use crate::current_session;
use crate::daemon::{Context, Failure};
use crate::mi::{Document, Element};
use crate::ui::{Exit, Outcome, status};

use super::domain::{Domain, Domains};
use super::no_more;

/// Add context fields to be recorded
///
/// Adds fields to be recorded with every event of a channel.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the session; without it the current session
    #[arg(short, long)]
    session: Option<String>,
    /// Name of the channel; without it all channels
    #[arg(short, long)]
    channel: Option<String>,
    #[command(flatten)]
    domain: Domains,
    /// Context field, for instance vpid, procname, perf:thread:cycles, $app.PROVIDER:TYPE
    #[arg(short = 't', long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// List the names of the context fields
    #[arg(long)]
    list: bool,
    #[arg(hide = true)]
    extra: Vec<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Outcome, Exit> {
    let ui = &context.ui;
    if args.list {
        return Ok(list(context));
    }
    let mut fields = Vec::new();
    for name in &args.types {
        match ContextField::parse(name) {
            Some(field) => fields.push((name, field)),
            None => {
                ui.error(format_args!("Unknown context type {name}"));
                return Err(Exit(status::FATAL));
            }
        }
    }
    let domain = args.domain.chosen(context)?;
    if fields.is_empty() {
        return Err(ui.fail("Missing mandatory -t TYPE"));
    }
    no_more(context, &args.extra)?;
    let session = current_session::or_current(ui, args.session)?;
    let mut client = context.connect().await;
    let mut code = status::OK;
    let mut shown = Vec::new();
    let channel = args.channel.as_deref();
    for (name, field) in fields {
        let result = match &mut client {
            Ok(client) => add(client, &session, domain, channel, name).await,
            Err(failure) => Err(failure.clone()),
        };
        match (&result, channel) {
            (Ok(()), Some(channel)) => ui.say(format_args!(
                "{} context {name} added to channel {channel}",
                domain.name()
            )),
            (Ok(()), None) => ui.say(format_args!(
                "{} context {name} added to all channels",
                domain.name()
            )),
            (Err(failure), _) => {
                failure.say(ui, format_args!("{name}: {}", failure.text()));
                code = status::WARNING;
            }
        }
        shown.push(element(name, &field).with(Element::text("success", result.is_ok())));
    }
    let contexts = Element::new("contexts", shown);
    let document = Document::new("add-context", [contexts], code == status::OK);
    Ok(Outcome::new(code, document))
}

fn element(symbol: &str, field: &ContextField) -> Element {
    Element::new(
        "context",
        [contexts::element(field), Element::text("symbol", symbol)],
    )
}

fn list(context: &Context) -> Outcome {
    let mut shown = Vec::new();
    for name in ContextField::all() {
        context.ui.say(&name);
        shown.extend(ContextField::parse(&name).map(|field| element(&name, &field)));
    }
    let contexts = Element::new("contexts", shown);
    Outcome::new(status::OK, Document::new("add-context", [contexts], true))
}

async fn add(
    client: &mut Client,
    session: &str,
    domain: Domain,
    channel: Option<&str>,
    name: &str,
) -> Result<(), Failure> {
    let request = AddContextRequest {
        session: session.into(),
        domain: domain.proto(),
        channel: channel.unwrap_or_default().into(),
        context: name.into(),
    };
    client.add_context(request).await?;
    Ok(())
}
