//! What the commands that change a session's network attributes have in common: their options, the request,
//! and what they say.

use control::ErrorCode;
use control::url::{self, UrlError};
use control::v1::output::Kind;
use control::v1::{GetSessionRequest, Output, RelayLoss, RelayOutput, Session, SetNetworkRequest};

use crate::current_session;
use crate::daemon::{Context, Failure};
use crate::mi::{Document, Element};
use crate::render::{output_state, xml};
use crate::ui::{Exit, Outcome, Ui, status};

use super::waiting;

/// The end of the long help of each of them.
pub(super) const WHICH_FORM: &str = "\
Which form to use:
  lttng enable-streaming HOST     recommended, for a session that exists: stream
                                  its trace to HOST from now on, also while it
                                  is traced
  lttng disable-streaming         recommended: collect on this machine from now
                                  on; the host is remembered
  lttng create --network HOST     the host is known when the session is created
  lttng set on | off              switch between this machine and the host that
                                  is remembered, without naming it again
  lttng session --set | --unset   the same as enable-streaming and
                                  disable-streaming, in one command for scripts
  lttng create --set-url URL      also names the directory on the collector

HOST is a name or an IPv4 address, or an IPv6 address in brackets. Both ports
are given or none: HOST:DATA_PORT:CTRL_PORT; without them 5343 and 5342.
--streaming is another name of --network.";

/// `--on-relay-loss`.
#[derive(Debug, Default, clap::Args)]
pub(super) struct OnRelayLoss {
    /// When the relay daemon goes away: connect again and again (reconnect, the default), or go on on this
    /// machine (local)
    #[arg(long, value_name = "reconnect|local")]
    on_relay_loss: Option<String>,
}

impl OnRelayLoss {
    /// Unspecified without the option.
    pub(super) fn value(&self, ui: &Ui) -> Result<RelayLoss, Exit> {
        match self.on_relay_loss.as_deref() {
            None => Ok(RelayLoss::Unspecified),
            Some("reconnect") => Ok(RelayLoss::Reconnect),
            Some("local") => Ok(RelayLoss::Local),
            Some(other) => Err(ui.fail(format_args!(
                "Unknown value for --on-relay-loss: {other}: use reconnect or local"
            ))),
        }
    }
}

/// Reads `HOST[:DATA_PORT:CTRL_PORT]`; the host is resolved.
pub(super) fn relay(ui: &Ui, text: &str) -> Result<RelayOutput, Exit> {
    match url::network(text, &url::system_resolver) {
        Ok(Output {
            kind: Some(Kind::Relay(relay)),
        }) => Ok(relay),
        Ok(_) => Err(missing_host(ui)),
        Err(UrlError::NoHost) if text.is_empty() => Err(missing_host(ui)),
        Err(error) => {
            let (what, hint) = explain(&error, text);
            ui.error(format_args!("Invalid network destination {text}: {what}"));
            if let Some(hint) = hint {
                ui.detail(hint);
            }
            Err(Exit(status::ERROR))
        }
    }
}

/// Says that a host is needed.
pub(super) fn missing_host(ui: &Ui) -> Exit {
    ui.error("Missing host: give HOST or HOST:DATA_PORT:CTRL_PORT");
    Exit(status::ERROR)
}

/// What is wrong with a destination, and what would be right.
fn explain(error: &UrlError, text: &str) -> (String, Option<&'static str>) {
    const SHAPE: &str =
        "use HOST or HOST:DATA_PORT:CTRL_PORT, with an IPv6 address in brackets: [ADDRESS]";
    match error {
        UrlError::NoHost if text.starts_with(':') => ("there is no host in it".into(), Some(SHAPE)),
        UrlError::NoHost => ("there is no host in it".into(), None),
        UrlError::Port(port) => (format!("the port {port} is not between 1 and 65535"), None),
        UrlError::Refused(why) => ((*why).into(), None),
        UrlError::Unresolvable(host, _) => (format!("the host {host} is not known"), None),
        UrlError::NetworkPorts(_) => (
            "it is neither a host nor a host with two ports".into(),
            Some(SHAPE),
        ),
        other => (other.reason().unwrap_or_default(), Some(SHAPE)),
    }
}

/// The relay daemon of a change.
#[derive(Debug)]
pub(super) enum Relay {
    /// The one that the session knows.
    Known,
    /// None: the session forgets the one that it knows.
    Forget,
    /// This one.
    Named(RelayOutput),
}

impl Relay {
    /// Of an option: none keeps what is known, an empty text forgets it.
    pub(super) fn of(ui: &Ui, text: Option<&str>) -> Result<Self, Exit> {
        match text {
            None => Ok(Self::Known),
            Some("") => Ok(Self::Forget),
            Some(text) => relay(ui, text).map(Self::Named),
        }
    }
}

/// What a command changes.
#[derive(Debug)]
pub(super) struct Change {
    /// The command's name.
    pub(super) command: &'static str,
    pub(super) streaming: bool,
    pub(super) relay: Relay,
    pub(super) relay_loss: RelayLoss,
}

impl Change {
    fn request(self, session: &str) -> SetNetworkRequest {
        let request = SetNetworkRequest {
            session: session.into(),
            enabled: Some(self.streaming),
            relay_loss: self.relay_loss.into(),
            ..SetNetworkRequest::default()
        };
        match self.relay {
            Relay::Known => request,
            Relay::Forget => SetNetworkRequest {
                address: Some(String::new()),
                ..request
            },
            Relay::Named(relay) => SetNetworkRequest {
                address: Some(relay.address),
                control_port: Some(relay.control_port),
                data_port: Some(relay.data_port),
                ..request
            },
        }
    }
}

/// Makes the change, to the named session or the current one, and says what came of it.
pub(super) async fn apply(
    context: &Context,
    session: Option<String>,
    change: Change,
) -> Result<Outcome, Exit> {
    let ui = &context.ui;
    let name = current_session::or_current(ui, session)?;
    let (command, streaming) = (change.command, change.streaming);
    match make(context, &name, change).await {
        Ok(session) => {
            say(ui, &session, streaming);
            let session = xml::session(&session);
            Ok(Outcome::new(status::OK, document(command, Some(session))))
        }
        Err(refused) => {
            refused.say(ui, &name);
            Ok(Outcome::new(status::ERROR, document(command, None)))
        }
    }
}

/// Why a change was not made.
enum Refused {
    /// Streaming was switched on, and no host is known.
    NoHost,
    ByDaemon(Failure),
}

impl<E: Into<Failure>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::ByDaemon(error.into())
    }
}

impl Refused {
    fn say(&self, ui: &Ui, name: &str) {
        match self {
            Self::NoHost => {
                ui.error(format_args!("Session '{name}' knows no host to stream to"));
                ui.detail("name one with --network HOST[:DATA_PORT:CTRL_PORT]");
            }
            Self::ByDaemon(failure) if failure.code == ErrorCode::SESSION_NOT_FOUND => {
                ui.error(format_args!("Session '{name}' not found"));
            }
            Self::ByDaemon(failure) => failure.say(ui, failure.text()),
        }
    }
}

async fn make(context: &Context, name: &str, change: Change) -> Result<Session, Refused> {
    let mut client = context.connect().await?;
    if change.streaming && matches!(change.relay, Relay::Known) {
        let request = GetSessionRequest { name: name.into() };
        let known = client.get_session(request).await?.into_inner().session;
        let network = known.and_then(|session| session.network);
        if network.is_none_or(|network| network.address.is_empty()) {
            return Err(Refused::NoHost);
        }
    }
    let work = client.set_network(change.request(name));
    let answer = if context.ui.is_watched() {
        let text = format!("Changing the output of session {name}");
        let (answer, dots) = waiting::with_dots(&context.ui, &text, work).await;
        if dots {
            context.ui.say("");
        }
        answer
    } else {
        work.await
    };
    Ok(answer?.into_inner().session.unwrap_or_default())
}

fn say(ui: &Ui, session: &Session, streaming: bool) {
    let done = if streaming { "enabled" } else { "disabled" };
    ui.say(format_args!(
        "Streaming {done} for session {}",
        session.name
    ));
    let place = output_state::local_path(session).map(str::to_owned);
    if let Some(place) = place.or_else(|| url::describe(session.output.as_ref())) {
        ui.say(format_args!("Traces will be output to {place}"));
    }
}

fn document(command: &'static str, session: Option<Element>) -> Document {
    let success = session.is_some();
    Document::new(command, [Element::new("sessions", session)], success)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_names_only_what_changes() {
        let change = |streaming, relay| {
            let change = Change {
                command: "set",
                streaming,
                relay,
                relay_loss: RelayLoss::Unspecified,
            };
            change.request("s")
        };
        let on = change(true, Relay::Known);
        assert_eq!(
            (on.enabled, on.address, on.control_port),
            (Some(true), None, None)
        );
        let forget = change(false, Relay::Forget);
        assert_eq!(
            (forget.enabled, forget.address.as_deref()),
            (Some(false), Some(""))
        );
        let relay = RelayOutput {
            address: "fd00::1".into(),
            control_port: 2,
            data_port: 1,
            ..RelayOutput::default()
        };
        let named = change(true, Relay::Named(relay));
        assert_eq!(named.address.as_deref(), Some("fd00::1"));
        assert_eq!((named.control_port, named.data_port), (Some(2), Some(1)));
    }
}
