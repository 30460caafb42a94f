//! `lttng disable-channel`.

use control::Client;
use control::v1::DisableChannelRequest;

use crate::current_session;
use crate::daemon::{Context, Failure};
use crate::mi::{Document, Element};
use crate::ui::{Exit, Outcome, status};

use super::domain::{Domain, Tracers};
use super::{names, no_more};

/// Disable channels
///
/// Disables channels: they keep their rules and record nothing until they are enabled again.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Names of the channels, separated by commas
    #[arg(value_name = "CHANNEL[,CHANNEL...]")]
    channels: Option<String>,
    /// Name of the session; without it the current session
    #[arg(short, long)]
    session: Option<String>,
    #[command(flatten)]
    domain: Tracers,
    #[arg(hide = true)]
    extra: Vec<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Outcome, Exit> {
    let ui = &context.ui;
    let domain = args.domain.chosen(context)?;
    let Some(channels) = args.channels else {
        return Err(ui.fail("Missing channel name(s)."));
    };
    no_more(context, &args.extra)?;
    let session = current_session::or_current(ui, args.session)?;
    let mut client = context.connect().await;
    let mut code = status::OK;
    let mut shown = Vec::new();
    for name in names(&channels) {
        let result = match &mut client {
            Ok(client) => disable(client, &session, domain, name).await,
            Err(failure) => Err(failure.clone()),
        };
        match &result {
            Ok(()) => ui.say(format_args!(
                "{} channel {name} disabled for session {session}",
                domain.name()
            )),
            Err(failure) => {
                let text = failure.text();
                failure.say(
                    ui,
                    format_args!("Channel {name}: {text} (session {session})"),
                );
                code = status::WARNING;
            }
        }
        shown.push(Element::new(
            "channel",
            [
                Element::text("name", name),
                Element::text("enabled", result.is_err()),
                Element::text("success", result.is_ok()),
            ],
        ));
    }
    let channels = Element::new("channels", shown);
    let document = Document::new("disable-channel", [channels], code == status::OK);
    Ok(Outcome::new(code, document))
}

async fn disable(
    client: &mut Client,
    session: &str,
    domain: Domain,
    name: &str,
) -> Result<(), Failure> {
    let request = DisableChannelRequest {
        session: session.into(),
        domain: domain.proto(),
        channel: name.into(),
    };
    client.disable_channel(request).await?;
    Ok(())
}
