//! The lines about discarded events and lost packets.

use control::v1::Counters;

use crate::ui::Ui;

/// Says what was lost, if anything. A normal message, though it begins like a warning, as upstream has it.
pub(crate) fn say(ui: &Ui, counters: Option<&Counters>) {
    if let Some(line) = counters.and_then(line) {
        ui.say(line);
    }
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
