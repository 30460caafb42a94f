//! `lttng record` and what has no counterpart in the stock command.

mod peers;

use peers::{Run, Side, play};

fn ours(name: &str, script: &str) -> Vec<Run> {
    play(Side::Ours, name, script, false)
}

/// A traced program that is on every machine with the peers of these tests. It begins when it is traced, however
/// busy the session daemon is.
const TRACED: &str =
    "env LTTNG_UST_REGISTER_TIMEOUT=-1 LD_PRELOAD=liblttng-ust-libc-wrapper.so.1 ls /";

fn no_session_is_left(run: &Run) {
    assert_eq!(run.line, "lttng list");
    assert_eq!(
        run.stdout, "Currently no available recording session",
        "{run:?}"
    );
}

#[test]
fn a_command_is_recorded() {
    let script = format!(
        "lttng record -o here -e 'lttng_ust_libc:m*' -- {TRACED}\n\
         babeltrace2 here | wc -l\n\
         babeltrace2 here | grep -vc lttng_ust_libc:m\n\
         lttng list\n\
         test ! -e .lttngrc"
    );
    let runs = ours("record", &script);
    assert_eq!(runs[0].status, "0", "{runs:?}");
    assert!(
        runs[0].stdout.contains("usr"),
        "its output is passed on: {runs:?}"
    );
    assert!(
        runs[0].stderr.contains("lttng record: trace in HOME/here"),
        "{runs:?}"
    );
    let events: u64 = runs[1].stdout.trim().parse().unwrap();
    assert!(events > 10, "{runs:?}");
    assert!(
        runs[0]
            .stderr
            .ends_with("; 0 events discarded, 0 packets lost"),
        "{runs:?}"
    );
    assert_eq!(runs[2].stdout, "0", "only the named events: {runs:?}");
    no_session_is_left(&runs[3]);
    assert_eq!(
        runs[4].status, "0",
        "the current session is untouched: {runs:?}"
    );
}

#[test]
fn the_summary_counts_the_events() {
    let script = format!("lttng record -o here -- {TRACED}\nbabeltrace2 here | wc -l");
    let runs = ours("record-count", &script);
    let events: u64 = runs[1].stdout.trim().parse().unwrap();
    assert!(events > 10, "{runs:?}");
    let summary = format!("lttng record: {events} events, ");
    assert!(runs[0].stderr.contains(&summary), "{runs:?}");
}

#[test]
fn a_command_is_recorded_on_a_collector() {
    let script = format!(
        "lttng-relayd --daemonize --output \"$HOME/collector\" >/dev/null\n\
         lttng record --network 127.0.0.1 -- {TRACED}\n\
         babeltrace2 collector | wc -l\n\
         lttng list"
    );
    let runs = ours("record-network", &script);
    assert_eq!(runs[0].status, "0", "{runs:?}");
    assert_eq!(runs[1].status, "0", "{runs:?}");
    assert!(
        runs[1]
            .stderr
            .contains(" of the relay daemon at 127.0.0.1:5342"),
        "{runs:?}"
    );
    let events: u64 = runs[2].stdout.trim().parse().unwrap();
    assert!(events > 10, "{runs:?}");
    let summary = format!("lttng record: {events} events, ");
    assert!(runs[1].stderr.contains(&summary), "{runs:?}");
    no_session_is_left(&runs[3]);
}

#[test]
fn each_process_can_have_its_own_buffers() {
    let script = format!("lttng record --pid-buffers -o here -- {TRACED}\nls here/ust\nlttng list");
    let runs = ours("record-pid", &script);
    assert_eq!(runs[0].status, "0", "{runs:?}");
    assert_eq!(runs[1].stdout, "pid", "{runs:?}");
    no_session_is_left(&runs[2]);
}

#[test]
fn the_status_of_the_command_is_passed_on() {
    let runs = ours(
        "record-status",
        "lttng record -- sh -c 'exit 3'\n\
         lttng record -- sh -c 'kill -KILL $$'\n\
         lttng -q record -- sh -c 'echo out; echo err >&2'\n\
         lttng list",
    );
    assert_eq!(runs[0].status, "3");
    assert_eq!(runs[1].status, "137");
    assert_eq!(
        (runs[2].stdout.as_str(), runs[2].stderr.as_str()),
        ("out", "err")
    );
    no_session_is_left(&runs[3]);
}

#[test]
fn what_cannot_be_recorded_leaves_no_session() {
    let runs = ours(
        "record-errors",
        "lttng record -- no-such-command\n\
         lttng record -- /etc/passwd\n\
         echo text >text; chmod +x text; lttng record -- ./text\n\
         lttng record\n\
         lttng record --network 127.0.0.1 -- true\n\
         lttng record --network 127.0.0.1:99 -- true\n\
         lttng record -o /proc/x -- true\n\
         lttng record -e '' -- true\n\
         lttng list",
    );
    let statuses: Vec<_> = runs.iter().map(|run| run.status.as_str()).collect();
    assert_eq!(
        statuses,
        ["127", "126", "126", "2", "1", "1", "1", "1", "0"],
        "{runs:?}"
    );
    for run in &runs[..8] {
        assert!(run.stderr.contains("Error: "), "{run:?}");
    }
    assert!(
        runs[4].stderr.contains("Unable to connect to lttng-relayd"),
        "{runs:?}"
    );
    assert!(runs[4].stderr.contains("127.0.0.1:5342"), "{runs:?}");
    no_session_is_left(&runs[8]);
}

#[test]
fn an_interrupt_reaches_the_command_and_the_session_still_ends() {
    let wait = "until pgrep -x sleep >/dev/null; do sleep 0.05; done";
    let script = ["INT", "TERM", "HUP"].map(|signal| {
        format!(
            "lttng record -o {signal} -- sleep 60 & timeout 100 sh -c '{wait}'; kill -{signal} $!; wait $!; echo $?"
        )
    });
    let runs = ours(
        "record-signals",
        &format!("{}\nlttng list", script.join("\n")),
    );
    let codes: Vec<_> = runs[..3].iter().map(|run| run.stdout.trim()).collect();
    assert_eq!(codes, ["130", "143", "129"], "{runs:?}");
    for run in &runs[..3] {
        assert!(
            run.stderr.contains("lttng record: trace in HOME/"),
            "{run:?}"
        );
    }
    no_session_is_left(&runs[3]);
}

#[test]
fn later_features_are_refused_by_name() {
    let runs = ours(
        "later",
        "lttng create a --shm-path=/tmp\n\
         lttng enable-event -j x\n\
         lttng list -p",
    );
    for run in &runs {
        assert_eq!(run.status, "5", "{run:?}");
        assert!(run.stderr.contains("later version"), "{run:?}");
    }
}

#[test]
fn the_network_option_is_an_output() {
    let runs = ours(
        "network",
        "lttng create n1 --network 127.0.0.1\n\
         lttng create n2 --network '[::1]:7001:7000'\n\
         lttng create n3 --network 127.0.0.1:7000\n\
         lttng create n4 --network 127.0.0.1 -o /tmp\n\
         lttng create n5 --network nohost.invalid",
    );
    assert!(
        runs[0]
            .stdout
            .ends_with("output to tcp4://127.0.0.1:5342/ [data: 5343]"),
        "{runs:?}"
    );
    assert!(
        runs[1]
            .stdout
            .ends_with("output to tcp6://[::1]:7000/ [data: 7001]"),
        "{runs:?}"
    );
    for run in &runs[2..] {
        assert_eq!(run.status, "1", "{run:?}");
        assert!(run.stderr.starts_with("Error: "), "{run:?}");
    }
}

#[test]
fn help_and_completion() {
    let script = [
        "create", "destroy", "start", "stop", "list", "status", "set-session", "enable-channel", "enable-event",
        "disable-channel", "disable-event", "add-context", "record", "completion", "version", "help",
    ]
    .map(|command| {
        format!("lttng {command} --help | grep -q 'Usage: lttng {command}' && lttng help {command} | grep -q Usage:")
    });
    let rest = "lttng --help | grep -q enable-channel\n\
                for shell in bash zsh fish; do lttng completion $shell | grep -q enable-channel || exit 1; done\n\
                lttng completion bash >c; bash -n c\n\
                lttng --list-commands | grep -qx record\n\
                lttng enable-channel --list-options | grep -qx -- --subbuf-size";
    for run in ours("help", &format!("{}\n{rest}", script.join("\n"))) {
        assert_eq!(run.status, "0", "{run:?}");
        assert_eq!(run.stderr, "", "{run:?}");
    }
}

/// Every option of the stock command is known, for the commands that are there.
#[test]
fn the_options_are_those_of_the_stock_command() {
    let commands = [
        "create",
        "destroy",
        "start",
        "stop",
        "list",
        "status",
        "set-session",
        "enable-channel",
        "enable-event",
        "disable-channel",
        "disable-event",
        "add-context",
        "version",
    ];
    let script = commands.map(|command| format!("lttng {command} --list-options"));
    let script = format!("{}\nlttng --list-options", script.join("\n"));
    let stock = play(Side::Stock, "options", &script, false);
    let ours = ours("options", &script);
    for (stock, ours) in stock.iter().zip(&ours) {
        assert!(stock.stdout.lines().count() >= 3, "{stock:?}");
        for option in stock.stdout.lines() {
            assert!(
                ours.stdout.lines().any(|ours| ours == option),
                "{option}: {ours:?}"
            );
        }
    }
}
