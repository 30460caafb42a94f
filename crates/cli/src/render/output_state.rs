//! The state of a session's output, where there is more to tell than the stock command knows.

use control::url;
use control::v1::output::Kind;
use control::v1::output_state::Kind as State;
use control::v1::{NetworkAttributes, OutputState, RelayLoss, Session};

use crate::mi::Element;

/// The local directory in use, if it is known and not the one of the session's output: later stretches of a
/// trace have directories of their own.
pub(crate) fn local_path(session: &Session) -> Option<&str> {
    let Some(Kind::LocalPath(setting)) = session.output.as_ref()?.kind.as_ref() else {
        return None;
    };
    let path = session.output_state.as_ref()?.path.as_str();
    (!path.is_empty() && path != setting).then_some(path)
}

/// Lines below the output; none for a session whose local output is in order.
pub(crate) fn lines(session: &Session) -> Vec<String> {
    let default = OutputState::default();
    let state = session.output_state.as_ref().unwrap_or(&default);
    let mut lines = Vec::new();
    let text = match state.kind() {
        State::Unspecified => None,
        State::Ready => local_path(session).map(|path| format!("ready, {path}")),
        State::Connected if state.path.is_empty() => Some("connected".into()),
        State::Connected => Some(format!("connected, {}", state.path)),
        State::Reconnecting => Some(format!("reconnecting: {}", state.reason)),
        State::Failed => Some(format!("failed: {}", state.reason)),
    };
    lines.extend(text.map(|text| format!("Output state: {text}")));
    if state.consumers_replaced > 0 {
        lines.push(format!(
            "Consumer daemons replaced: {}",
            state.consumers_replaced
        ));
    }
    if let Some(fallback) = &session.fallback {
        lines.push(format!(
            "Relay daemon lost, collected on this machine since: {}",
            fallback.reason
        ));
    }
    if session.relay_loss() == RelayLoss::Local && streams(session) {
        lines.push("On relay loss: collect on this machine".into());
    }
    if let Some(network) = remembered(session) {
        let place = url::describe_relay(
            &network.address,
            network.control_port,
            network.data_port,
            "",
        );
        lines.push(format!("Streaming: disabled, {place}"));
    }
    lines
}

fn streams(session: &Session) -> bool {
    let network = session.network.as_ref();
    network.is_some_and(|network| network.enabled)
}

/// The attributes of a session that could stream and does not.
fn remembered(session: &Session) -> Option<&NetworkAttributes> {
    let network = session.network.as_ref()?;
    (!network.enabled && !network.address.is_empty()).then_some(network)
}

/// The same for the machine interface: `None` where the lines are none.
pub(crate) fn element(session: &Session) -> Option<Element> {
    if lines(session).is_empty() {
        return None;
    }
    let state = session.output_state.clone().unwrap_or_default();
    let name = match state.kind() {
        State::Unspecified => "UNUSED",
        State::Ready => "READY",
        State::Connected => "CONNECTED",
        State::Reconnecting => "RECONNECTING",
        State::Failed => "FAILED",
    };
    let element = Element::new(
        "output_state",
        [
            Element::text("state", name),
            Element::text("reason", &state.reason),
            Element::text("path", &state.path),
            Element::text("consumers_replaced", state.consumers_replaced),
        ],
    );
    let element = match session.relay_loss() {
        RelayLoss::Unspecified => element,
        RelayLoss::Reconnect => element.with(Element::text("on_relay_loss", "RECONNECT")),
        RelayLoss::Local => element.with(Element::text("on_relay_loss", "LOCAL")),
    };
    let element = match &session.fallback {
        Some(fallback) => element.with(Element::text("fallback_reason", &fallback.reason)),
        None => element,
    };
    let network = session.network.as_ref();
    Some(
        match network.filter(|network| !network.address.is_empty()) {
            Some(network) => element.with(attributes(network)),
            None => element,
        },
    )
}

fn attributes(network: &NetworkAttributes) -> Element {
    Element::new(
        "network",
        [
            Element::text("enabled", network.enabled),
            Element::text("address", &network.address),
            Element::text("control_port", network.control_port),
            Element::text("data_port", network.data_port),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use control::v1::Output;

    fn session(output: Output, kind: State, path: &str, reason: &str) -> Session {
        Session {
            output: Some(output),
            output_state: Some(OutputState {
                kind: kind.into(),
                reason: reason.into(),
                path: path.into(),
                consumers_replaced: 0,
            }),
            ..Session::default()
        }
    }

    #[test]
    fn a_plain_session_has_no_line_more_than_the_stock_one() {
        let plain = session(Output::local("/t"), State::Ready, "/t", "");
        assert!(lines(&plain).is_empty());
        assert_eq!(element(&plain), None);
        let unused = session(Output::relay("10.0.0.1"), State::Unspecified, "", "");
        assert!(lines(&unused).is_empty());
        let later = session(Output::local("/t"), State::Ready, "/t-2", "");
        assert_eq!(lines(&later), ["Output state: ready, /t-2"]);
    }

    #[test]
    fn a_network_session_says_how_it_is() {
        for (kind, line) in [
            (State::Connected, "Output state: connected, /h/s"),
            (State::Reconnecting, "Output state: reconnecting: why"),
            (State::Failed, "Output state: failed: why"),
        ] {
            let relayed = session(Output::relay("10.0.0.1"), kind, "/h/s", "why");
            assert_eq!(lines(&relayed), [line]);
            assert!(element(&relayed).is_some());
        }
    }

    #[test]
    fn what_is_remembered_is_shown() {
        let mut local = session(Output::local("/t"), State::Ready, "/t", "");
        local.network = Some(NetworkAttributes {
            enabled: false,
            address: "fd00::1".into(),
            control_port: 2,
            data_port: 1,
        });
        assert_eq!(
            lines(&local),
            ["Streaming: disabled, tcp6://[fd00::1]:2/ [data: 1]"]
        );
        local.output_state.as_mut().unwrap().consumers_replaced = 2;
        assert_eq!(lines(&local)[0], "Consumer daemons replaced: 2");
    }
}
