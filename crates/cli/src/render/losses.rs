//! The lines about discarded events and lost packets.

use control::v1::output_state::Kind;
use control::v1::{Counters, GivenUp, OutputState};

use crate::ui::Ui;

/// Says what was lost, if anything. A normal message, though it begins like a warning, as upstream has it.
pub(crate) fn say(ui: &Ui, counters: Option<&Counters>) {
    if let Some(line) = counters.and_then(line) {
        ui.say(line);
    }
}

/// Warns when a session was stopped while its output takes nothing.
pub(crate) fn warn_of_undelivered(ui: &Ui, session: &str, state: Option<&OutputState>) {
    let Some(state) = state else { return };
    match state.kind() {
        Kind::Reconnecting => {
            ui.warn(format_args!(
                "session {session} may have data in its buffers that its relay daemon has not got"
            ));
            ui.detail(&state.reason);
            ui.detail("`lttng disable-streaming` collects it on this machine");
        }
        Kind::Failed => warn_of_incomplete(ui, session, state),
        Kind::Unspecified | Kind::Ready | Kind::Connected => {}
    }
}

/// Warns of what was in the buffers when a session ended, and could not be delivered.
pub(crate) fn warn_of_given_up(ui: &Ui, session: &str, given_up: &GivenUp) {
    match given_up.packets {
        0 => ui.warn(format_args!(
            "the trace of session {session} may not be complete: the output has taken all, but not confirmed it"
        )),
        packets => ui.warn(format_args!(
            "{} events in {packets} packets of session {session} were given up: the trace is not complete",
            given_up.events
        )),
    }
    ui.detail(&given_up.reason);
}

/// Warns when a session was stopped while its output works and takes nothing.
pub(crate) fn warn_of_stuck(ui: &Ui, session: &str) {
    ui.warn(format_args!(
        "the output of session {session} takes nothing now; what it has not got stays in the buffers"
    ));
}

/// Warns when the output of a session takes nothing any more.
fn warn_of_incomplete(ui: &Ui, session: &str, state: &OutputState) {
    ui.warn(format_args!(
        "the trace of session {session} may not be complete"
    ));
    ui.detail(&state.reason);
}

fn line(counters: &Counters) -> Option<String> {
    let (events, packets) = (counters.discarded_events, counters.lost_packets);
    let what = match (events > 0, packets > 0) {
        (false, false) => return None,
        (true, false) => format!("{events} events were discarded"),
        (false, true) => format!("{packets} packets were lost"),
        (true, true) => format!("{events} events were discarded and {packets} packets were lost"),
    };
    Some(format!(
        "Warning: {what}, please refer to the documentation on channel configuration."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_lost_says_nothing() {
        let lost = |discarded_events, lost_packets| {
            line(&Counters {
                discarded_events,
                lost_packets,
                ..Counters::default()
            })
        };
        assert_eq!(lost(0, 0), None);
        assert!(
            lost(3, 0)
                .unwrap()
                .starts_with("Warning: 3 events were discarded, please")
        );
        assert!(
            lost(3, 4)
                .unwrap()
                .contains("discarded and 4 packets were lost,")
        );
    }
}
