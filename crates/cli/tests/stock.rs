//! The same script against the stock command with the stock session daemon, and against ours: the same
//! texts, on the same streams, with the same statuses.

mod peers;

use peers::{Run, Side, play};

/// A line of ours that tells more about the error above it; the stock command has none.
fn is_detail(line: &str) -> bool {
    line.starts_with("       ")
}

/// What the stock filter parser prints besides the error; ours says it in a detail.
fn is_parser_noise(line: &str) -> bool {
    ["error syntax error", "Parse error", "Generate IR error"].contains(&line)
        || line.starts_with("[error] ")
        || line.starts_with("Unsupported escape character")
}

/// How long a command waits, and with it the dots it draws, is no matter of wording.
fn without_dots(line: &str) -> Option<&str> {
    if line.starts_with("Destroying session ") {
        // Upstream goes on in the same line.
        return line.find("Trace chunk archive").map(|at| &line[at..]);
    }
    if line.starts_with("Waiting for clear ") {
        return None;
    }
    Some(if line.starts_with("Waiting for ") {
        line.trim_end_matches('.')
    } else {
        line
    })
}

fn comparable(mut run: Run) -> Run {
    let lines = run.stderr.lines();
    let lines = lines.filter(|line| !is_detail(line) && !is_parser_noise(line));
    run.stderr = lines.collect::<Vec<_>>().join("\n");
    let lines = run.stdout.lines().filter_map(without_dots);
    // Upstream ends its dots with an empty line.
    let destroying = run.line.starts_with("lttng destroy");
    let lines = lines.filter(|line| !(destroying && line.is_empty()));
    run.stdout = lines.collect::<Vec<_>>().join("\n");
    run
}

/// The stock client may die of SIGPIPE when the daemon answers before it has read all of a request.
fn died_of_sigpipe(stock: &Run) -> bool {
    stock.status == "141" && stock.stdout.is_empty() && stock.stderr.is_empty()
}

fn compare(name: &str, script: &str, with_daemon: bool) {
    let [stock, ours] = [Side::Stock, Side::Ours].map(|side| {
        let runs = play(side, name, script, with_daemon);
        runs.into_iter().map(comparable).collect::<Vec<_>>()
    });
    assert!(stock.len() > 5, "{name} has only {} lines", stock.len());
    let pairs = stock.iter().zip(&ours);
    let different: Vec<_> = pairs
        .filter(|(stock, ours)| stock != ours && !died_of_sigpipe(stock))
        .collect();
    assert!(
        different.is_empty(),
        "{name}: (stock, ours)\n{different:#?}"
    );
}

#[test]
fn sessions() {
    compare("sessions", include_str!("scripts/sessions"), true);
}

#[test]
fn outputs() {
    compare("outputs", include_str!("scripts/outputs"), true);
}

#[test]
fn saving() {
    compare("saving", include_str!("scripts/saving"), true);
}

#[test]
fn channels() {
    compare("channels", include_str!("scripts/channels"), true);
}

#[test]
fn events() {
    compare("events", include_str!("scripts/events"), true);
}

#[test]
fn rotations() {
    compare("rotations", include_str!("scripts/rotations"), true);
}

#[test]
fn snapshots() {
    compare("snapshots", include_str!("scripts/snapshots"), true);
}

#[test]
fn clearing() {
    compare("clearing", include_str!("scripts/clearing"), true);
}

#[test]
fn live_sessions() {
    compare("live", include_str!("scripts/live"), true);
}

#[test]
fn trackers() {
    compare("trackers", include_str!("scripts/trackers"), true);
}

#[test]
fn viewers() {
    compare("viewers", include_str!("scripts/viewers"), true);
}

#[test]
fn applications() {
    compare("applications", include_str!("scripts/applications"), true);
}

#[test]
fn regeneration() {
    compare("regenerate", include_str!("scripts/regenerate"), true);
}

#[test]
fn machine_interface() {
    compare("xml", include_str!("scripts/xml"), true);
}

#[test]
fn without_a_daemon() {
    compare("no-daemon", include_str!("scripts/no-daemon"), false);
}

#[test]
fn a_daemon_is_started() {
    compare("spawn", include_str!("scripts/spawn"), false);
}
