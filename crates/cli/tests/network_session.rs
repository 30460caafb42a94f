//! The commands of the network session: what each of them does to the trace, here and on the collector.

#[path = "peers/counter.rs"]
mod counter;
mod peers;

use counter::{build, joined, numbers, parse};
use peers::{Run, Side, play};

fn ours(name: &str, script: &str) -> Vec<Run> {
    play(Side::Ours, name, script, false)
}

/// Two relay daemons: on the default ports of IPv4, and on others of IPv6.
const RELAYS: &str = "\
lttng-relayd --daemonize --output \"$HOME/first\" >/dev/null
lttng-relayd --daemonize --output \"$HOME/second\" -C 'tcp6://[::1]:7000' -D 'tcp6://[::1]:7001' -L tcp://localhost:7002 >/dev/null
";

/// A channel that loses nothing, and tracing.
const START: &str = "\
lttng enable-channel -u c --blocking-timeout=inf
lttng enable-event -u -c c lttng_ust_tracef:event
lttng start
";

/// Emits numbers and comes back when they are recorded.
fn emit(from: u64, to: u64) -> String {
    let program = build();
    format!(
        "LTTNG_UST_ALLOW_BLOCKING=1 LTTNG_UST_REGISTER_TIMEOUT=-1 {} {from} {to}",
        program.display()
    )
}

/// Waits until `lttng status` has a line; says the status when it does not come.
fn until_status(line: &str) -> String {
    format!(
        "timeout 100 sh -c 'until lttng status | grep -q \"{line}\"; do sleep 0.02; done' || ! lttng status"
    )
}

fn assert_ok(runs: &[Run]) {
    for run in runs {
        assert_eq!(run.status, "0", "{run:?}\nof {runs:#?}");
        assert_eq!(run.stderr, "", "{run:?}\nof {runs:#?}");
    }
}

fn of<'a>(runs: &'a [Run], line: &str) -> &'a Run {
    runs.iter()
        .find(|run| run.line == line)
        .unwrap_or_else(|| panic!("no line {line} in {runs:#?}"))
}

fn range(from: u64, to: u64) -> Vec<u64> {
    (from..to).collect()
}

/// Every form that begins to stream, and the relay daemon that gets the trace.
#[test]
fn each_form_streams_to_its_relay_daemon() {
    let forms = [
        ("lttng create s --network 127.0.0.1", "first"),
        ("lttng create s --streaming=127.0.0.1", "first"),
        ("lttng create s --streaming '[::1]:7001:7000'", "second"),
        (
            "lttng create s && lttng enable-streaming 127.0.0.1",
            "first",
        ),
        (
            "lttng create s && lttng create other && lttng enable-streaming '[::1]:7001:7000' -s s && lttng set-session s",
            "second",
        ),
        (
            "lttng create s && lttng session --set --network localhost:5343:5342",
            "first",
        ),
        (
            "lttng create s && lttng create other && lttng session --streaming '[::1]:7001:7000' --session=s && \
             lttng set-session s",
            "second",
        ),
        (
            "lttng create s && lttng set on --network 127.0.0.1",
            "first",
        ),
        (
            "lttng create s && lttng set off --streaming '[::1]:7001:7000' && lttng set on -s s",
            "second",
        ),
        (
            "lttng create s --network 127.0.0.1 && lttng session --unset && lttng session --set --network '[::1]:7001:7000'",
            "second",
        ),
    ];
    for (index, (form, relay)) in forms.into_iter().enumerate() {
        let list = format!("cd {relay} && ls -d */*/ust/uid/*/64-bit");
        let script = format!(
            "{RELAYS}{form}\n{START}{}\nlttng status\nlttng stop\nlttng destroy s\n{list}\n{}\n\
             test -d {relay}/$(hostname)\n\
             find first second lttng-traces -name metadata 2>/dev/null | wc -l",
            emit(0, 100),
            numbers(relay),
        );
        let runs = ours(&format!("form-{index}"), &script);
        assert_ok(&runs);
        let status = &of(&runs, "lttng status").stdout;
        let address = match relay {
            "first" => "tcp4://127.0.0.1:5342/ [data: 5343]",
            _ => "tcp6://[::1]:7000/ [data: 7001]",
        };
        assert!(
            status.contains(&format!("\n    Trace output: {address}\n")),
            "{form}: {status}"
        );
        assert!(
            status.contains("\n    Output state: connected, "),
            "{form}: {status}"
        );
        let tree = &of(&runs, &list).stdout;
        assert!(
            tree.contains("/s-DATE/ust/uid/") && tree.lines().count() == 1,
            "{form}: {tree}"
        );
        let delivered = parse(&of(&runs, &numbers(relay)).stdout);
        assert_eq!(delivered, range(0, 100), "{form}");
        let traces = &runs.last().unwrap().stdout;
        assert_eq!(traces, "1", "{form}: there is no other trace");
    }
}

/// Every form that ends streaming, while the session is traced: what comes before it is on the collector, what
/// comes after it is here.
#[test]
fn each_form_collects_here_from_then_on() {
    let forms = [
        ("lttng disable-streaming", true),
        ("lttng disable-streaming -s s", true),
        ("lttng session --unset", true),
        ("lttng session --unset --network", true),
        ("lttng session --network ''", false),
        ("lttng session --set --streaming= -s s", false),
        ("lttng set off", true),
        ("lttng set off --network ''", false),
    ];
    for (index, (form, remembered)) in forms.into_iter().enumerate() {
        let again = match remembered {
            true => "lttng set on",
            false => "lttng set on --network 127.0.0.1",
        };
        let script = format!(
            "{RELAYS}lttng create s --network 127.0.0.1\n{START}{}\n{form}\n{}\nlttng status\n{again}\n{}\n\
             lttng stop\nlttng destroy\n{}\n{}\n{}\nls -d first/*/*/ust/uid/* | wc -l",
            emit(0, 100),
            emit(100, 150),
            emit(150, 300),
            numbers("first"),
            numbers("lttng-traces"),
            joined("first lttng-traces"),
        );
        let runs = ours(&format!("end-{index}"), &script);
        assert_ok(&runs);
        let said = &of(&runs, form).stdout;
        assert_eq!(
            said,
            "Streaming disabled for session s\nTraces will be output to HOME/lttng-traces/s-DATE",
            "{form}"
        );
        let status = &of(&runs, "lttng status").stdout;
        assert!(
            status.contains("    Trace output: HOME/lttng-traces/s-DATE\n"),
            "{form}: {status}"
        );
        let line = "\n    Streaming: disabled, tcp4://127.0.0.1:5342/ [data: 5343]\n";
        assert_eq!(status.contains(line), remembered, "{form}: {status}");
        let here = parse(&of(&runs, &numbers("lttng-traces")).stdout);
        assert_eq!(here, range(100, 150), "{form}");
        let there = parse(&of(&runs, &numbers("first")).stdout);
        assert_eq!(there, [range(0, 100), range(150, 300)].concat(), "{form}");
        let joined = &of(&runs, &joined("first lttng-traces")).stdout;
        assert_eq!(parse(joined), range(0, 300), "{form}");
        assert_eq!(runs.last().unwrap().stdout, "2", "{form}: two traces");
    }
}

/// The stock relay daemon on the ports of the second one.
const STOCK_SECOND: &str = "\
/usr/bin/lttng-relayd --daemonize --output \"$HOME/second\" -C 'tcp6://[::1]:7000' -D 'tcp6://[::1]:7001' \
-L 'tcp6://[::1]:7002' >/dev/null 2>&1
";

/// One program writes without pause while the output goes from place to place: here, to our relay daemon and
/// to a stock one.
#[test]
fn the_union_of_all_places_is_complete() {
    let changes = [
        "lttng enable-streaming 127.0.0.1",
        "lttng disable-streaming",
        "lttng session --network '[::1]:7001:7000'",
        "lttng session --network 127.0.0.1",
        "lttng set off",
        "lttng set on",
        "lttng enable-streaming '[::1]:7001:7000'",
        "lttng session --unset",
    ];
    // At each place something is recorded: the number of events grows before the next change.
    let switch = changes.map(|change| format!("{change} && sh more"));
    let places = changes.len() + 1;
    let script = format!(
        "lttng-relayd --daemonize --output \"$HOME/first\" >/dev/null\n{STOCK_SECOND}lttng create s\n{START}\
         LTTNG_UST_ALLOW_BLOCKING=1 {} 0 >count & echo $! >pid\n\
         timeout 100 sh -c 'until lttng list -u | grep -q counter; do sleep 0.02; done'\n\
         printf 'sleep 0.2' >more; sh more\n\
         {}\n\
         kill $(cat pid); timeout 100 sh -c 'until test -s count; do sleep 0.02; done'; cat count\n\
         lttng stop\nlttng status\nlttng destroy\n\
         {}\n{}\n\
         ls -d first/*/*/ust second/*/*/ust lttng-traces/*/ust | wc -l",
        build().display(),
        switch.join("\n"),
        numbers("first second lttng-traces"),
        joined("first second lttng-traces"),
    );
    let runs = ours("union", &script);
    assert_ok(&runs);
    let [.., counted, _stop, status, _destroy, all, joined, traces] = &runs[..] else {
        panic!("{runs:#?}");
    };
    let produced: u64 = counted.stdout.parse().unwrap();
    assert!(produced > 1000, "{produced}");
    for delivered in [all, joined] {
        let mut delivered = parse(&delivered.stdout);
        delivered.sort_unstable();
        assert_eq!(delivered.len() as u64, produced, "each number once");
        assert_eq!(delivered, range(0, produced));
    }
    assert_eq!(traces.stdout, places.to_string());
    assert!(
        status.stdout.contains("      Discarded events: 0\n"),
        "{status:?}"
    );
}

const BAD_VALUES: [&str; 48] = [
    "lttng enable-streaming",
    "lttng enable-streaming ''",
    "lttng enable-streaming :7001:7000",
    "lttng enable-streaming 127.0.0.1:0:7000",
    "lttng enable-streaming 127.0.0.1:7001:0",
    "lttng enable-streaming 127.0.0.1:70000:7000",
    "lttng enable-streaming 127.0.0.1:7001:70000",
    "lttng enable-streaming 127.0.0.1:7000:7000",
    "lttng enable-streaming 127.0.0.1:5342:5342",
    "lttng enable-streaming 127.0.0.1:7000",
    "lttng enable-streaming 127.0.0.1:7000:",
    "lttng enable-streaming 127.0.0.1::",
    "lttng enable-streaming 127.0.0.1:a:b",
    "lttng enable-streaming 127.0.0.1:+1:2",
    "lttng enable-streaming 127.0.0.1:1:2:3",
    "lttng enable-streaming 127.0.0.1/path",
    "lttng enable-streaming net://127.0.0.1",
    "lttng enable-streaming ::1",
    "lttng enable-streaming fd00::1",
    "lttng enable-streaming '[::1'",
    "lttng enable-streaming '[::1]x'",
    "lttng enable-streaming '[]'",
    "lttng enable-streaming '[127.0.0.1]'",
    "lttng enable-streaming nohost.invalid",
    "lttng enable-streaming 127.0.0.1 127.0.0.2",
    "lttng enable-streaming 127.0.0.1 -s nope",
    "lttng enable-streaming 127.0.0.1 -s ''",
    "lttng enable-streaming 127.0.0.1 --on-relay-loss=spool",
    "lttng disable-streaming -s nope",
    "lttng disable-streaming s",
    "lttng session",
    "lttng session --set",
    "lttng session --set --network",
    "lttng session --network",
    "lttng session --set --unset --network 127.0.0.1",
    "lttng session --network 127.0.0.1:0:7000",
    "lttng session --network ':1:2'",
    "lttng session --unset --network '[::1'",
    "lttng session --unset -s nope",
    "lttng session s --unset",
    "lttng set",
    "lttng set maybe",
    "lttng set s",
    "lttng set on off",
    "lttng set on --network ''",
    "lttng set on --streaming 127.0.0.1:7000:7000",
    "lttng set off --network 127.0.0.1:70000:1",
    "lttng set on -s nope",
];

fn refused(name: &str, prepare: &str, bad: &[&str]) {
    let look = "lttng --mi xml list";
    let script = format!(
        "{RELAYS}{prepare}\n{look}\n{}\n{look}\ncat .lttngrc",
        bad.join("\n")
    );
    let runs = ours(name, &script);
    let before = runs.iter().position(|run| run.line == look).unwrap();
    let bad_runs = &runs[before + 1..=before + bad.len()];
    for run in bad_runs {
        assert_eq!(run.status, "1", "{run:?}");
        assert_eq!(run.stdout, "", "{run:?}");
        assert!(run.stderr.starts_with("Error: "), "{run:?}");
    }
    let after = &runs[before + bad.len() + 1];
    assert_eq!(runs[before], *after, "nothing has changed");
    assert!(after.stdout.contains("<name>s</name>"), "{after:?}");
    assert_eq!(runs.last().unwrap().stdout, "session=s");
}

#[test]
fn bad_values_are_refused_and_change_nothing() {
    refused("bad-local", "lttng create s", &BAD_VALUES);
    // No host is known.
    refused("bad-unknown", "lttng create s", &["lttng set on"]);
    let traced = format!("lttng create s --network '[::1]:7001:7000'\n{START}");
    refused("bad-traced", &traced, &BAD_VALUES);
    // The host is good and nobody is there.
    let nobody = [
        "lttng enable-streaming 127.0.0.1:1:2",
        "lttng session --set --network 127.0.0.1:5343:2",
        "lttng session --network 127.0.0.1:1:5342",
        "lttng set on --network '[::1]:5343:5342'",
    ];
    refused("bad-nobody", &traced, &nobody);
    let local = format!("lttng create s\n{START}");
    refused("bad-nobody-local", &local, &nobody);
}

#[test]
fn bad_values_of_create_leave_no_session() {
    let script = "lttng create s --network ''\n\
                  lttng create s --network :7001:7000\n\
                  lttng create s --network 127.0.0.1:0:7000\n\
                  lttng create s --streaming 127.0.0.1:7001:70000\n\
                  lttng create s --streaming 127.0.0.1:7000:7000\n\
                  lttng create s --network '[::1'\n\
                  lttng create s --network ::1\n\
                  lttng create s --network nohost.invalid\n\
                  lttng create s --network 127.0.0.1 --on-relay-loss=never\n\
                  lttng create s --network 127.0.0.1 -U net://127.0.0.1\n\
                  lttng create other\n\
                  lttng list";
    let runs = ours("bad-create", script);
    for run in &runs[..10] {
        assert_eq!(run.status, "1", "{run:?}");
        assert!(run.stderr.starts_with("Error: "), "{run:?}");
    }
    assert!(
        runs[11].stdout.contains("1) other") && !runs[11].stdout.contains("2)"),
        "{runs:?}"
    );
}

/// `set` is a command of its own, and no command has abbreviations.
#[test]
fn set_is_not_set_session() {
    let runs = ours(
        "set",
        "lttng create one\n\
         lttng create two\n\
         lttng set one\n\
         cat .lttngrc\n\
         lttng set-session one\n\
         cat .lttngrc\n\
         lttng set-s two\n\
         lttng sessions",
    );
    assert_eq!(runs[2].status, "1", "{runs:?}");
    assert_eq!(
        runs[2].stderr,
        "Error: Unknown argument: one: use on or off"
    );
    assert_eq!(runs[3].stdout, "session=two");
    assert_eq!(runs[5].stdout, "session=one");
    for run in &runs[6..] {
        assert_eq!(run.status, "2", "{run:?}");
    }
}

/// The relay daemon goes away and comes back.
#[test]
fn a_relay_daemon_that_comes_back_is_used_again() {
    let relay = "lttng-relayd --daemonize --output \"$HOME/first\" >/dev/null";
    let kill = "kill -KILL $(pgrep -x lttng-relayd)";
    let show = "lttng --mi xml status";
    let script = format!(
        "{relay}\nlttng create s --network 127.0.0.1 --on-relay-loss=reconnect\n{START}{}\n\
         lttng stop\nlttng start\n{kill}\n{}\n{}\nlttng list s\n{show}\n{relay}\n{}\n{}\nlttng stop\nlttng destroy\n{}",
        emit(0, 100),
        emit(100, 200),
        until_status("    Output state: reconnecting: "),
        until_status("    Output state: connected, "),
        emit(200, 300),
        numbers("first"),
    );
    let runs = ours("reconnect", &script);
    assert_ok(&runs);
    let list = &of(&runs, "lttng list s").stdout;
    assert!(
        list.contains("\n    Output state: reconnecting: "),
        "{list}"
    );
    let xml = &of(&runs, show).stdout;
    assert!(
        xml.contains("<output_state><state>RECONNECTING</state><reason>"),
        "{xml}"
    );
    let delivered = parse(&runs.last().unwrap().stdout);
    // The first hundred had arrived when the session was stopped, the second waited in the buffers.
    assert_eq!(delivered, range(0, 300));
}

/// The relay daemon goes away for good, and the session goes on here.
#[test]
fn a_session_can_go_on_here_when_its_relay_daemon_goes_away() {
    let forms = [
        "lttng create s --network 127.0.0.1 --on-relay-loss=local",
        "lttng create s && lttng enable-streaming 127.0.0.1 --on-relay-loss=local",
        "lttng create s && lttng session --network 127.0.0.1 --on-relay-loss local",
        "lttng create s --on-relay-loss=local && lttng set on --network 127.0.0.1",
        "lttng create s && lttng set off --on-relay-loss=local && lttng enable-streaming 127.0.0.1",
    ];
    for (index, form) in forms.into_iter().enumerate() {
        let script = format!(
            "{RELAYS}{form}\n{START}{}\nkill -KILL $(pgrep -x lttng-relayd)\n{}\nlttng status\n{}\n\
             lttng stop\nlttng destroy\n{}",
            emit(0, 100),
            until_status("    Trace output: $HOME/lttng-traces/s-"),
            emit(100, 200),
            numbers("lttng-traces"),
        );
        let runs = ours(&format!("local-{index}"), &script);
        assert_ok(&runs);
        let status = &of(&runs, "lttng status").stdout;
        assert!(
            status.contains("\n    Streaming: disabled, tcp4://127.0.0.1:5342/ [data: 5343]\n"),
            "{form}: {status}"
        );
        let here = parse(&runs.last().unwrap().stdout);
        assert_eq!(here, range(0, 200), "{form}");
    }
}

/// A consumer daemon that is killed is replaced, and the user is told.
#[test]
fn a_replaced_consumer_daemon_is_shown() {
    for (name, network) in [("local", ""), ("relay", "--network 127.0.0.1")] {
        let kill = "kill -KILL $(pgrep -x lttng-consumerd)";
        let script = format!(
            "{RELAYS}lttng create s {network}\n{START}{}\n{kill}\n{}\n{}\nlttng --mi xml list\nlttng stop\n\
             lttng destroy\nmkdir -p first lttng-traces\n{}",
            emit(0, 100),
            until_status("    Consumer daemons replaced: 1$"),
            emit(100, 200),
            numbers("first lttng-traces")
                .replace("babeltrace2", "mkdir -p first lttng-traces; babeltrace2"),
        );
        let runs = ours(&format!("killed-{name}"), &script);
        assert_ok(&runs);
        let xml = &of(&runs, "lttng --mi xml list").stdout;
        assert!(
            xml.contains("<consumers_replaced>1</consumers_replaced>"),
            "{xml}"
        );
        let delivered = parse(&runs.last().unwrap().stdout);
        assert_eq!(delivered, range(0, 200), "{name}");
    }
}

#[test]
fn the_machine_interface_shows_the_output_in_force() {
    let runs = ours(
        "network-xml",
        &format!(
            "{RELAYS}lttng create s\n\
             lttng --mi xml list s\n\
             lttng --mi xml set off --network '[::1]:7001:7000'\n\
             lttng --mi xml enable-streaming 127.0.0.1\n\
             lttng --mi xml disable-streaming\n\
             lttng --mi xml session --unset\n\
             lttng --mi xml set on -s nope\n\
             {START}lttng --mi xml set on\n\
             lttng --mi xml list s"
        ),
    );
    let plain = &runs[3].stdout;
    assert!(!plain.contains("output_state"), "as the stock one: {plain}");
    for (run, command, parts) in [
        (
            &runs[4],
            "set",
            &[
                "<path>HOME/lttng-traces/s-DATE</path>",
                "<state>UNUSED</state>",
                "<network><enabled>false</enabled><address>::1</address><control_port>7000</control_port>\
                 <data_port>7001</data_port></network>",
            ][..],
        ),
        (
            &runs[5],
            "enable-streaming",
            &["<path>tcp4://127.0.0.1:5342/ [data: 5343]</path>"],
        ),
        (
            &runs[6],
            "disable-streaming",
            &["<enabled>false</enabled><address>127.0.0.1</address>"],
        ),
        (
            &runs[7],
            "session",
            &["<enabled>false</enabled><address>127.0.0.1</address>"],
        ),
        (
            &runs[12],
            "set",
            &[
                "<output_state><state>CONNECTED</state><reason></reason><path>",
                "<network><enabled>true</enabled><address>127.0.0.1</address>",
            ],
        ),
    ] {
        let head = format!("<name>{command}</name><output><sessions><session><name>s</name>");
        assert!(run.stdout.contains(&head), "{run:?}");
        assert!(
            run.stdout
                .ends_with("</session></sessions></output><success>true</success></command>"),
            "{run:?}"
        );
        for part in parts {
            assert!(run.stdout.contains(part), "{part}: {run:?}");
        }
    }
    assert_eq!(runs[8].status, "1");
    assert!(
        runs[8]
            .stdout
            .ends_with("<output><sessions/></output><success>false</success></command>"),
        "{:?}",
        runs[8]
    );
    let traced = &runs[13].stdout;
    assert!(traced.contains("<state>CONNECTED</state>"), "{traced}");
    assert!(
        traced.contains("<discarded_events>0</discarded_events><lost_packets>0</lost_packets>"),
        "{traced}"
    );
}

#[test]
fn help_tells_which_form_to_use() {
    let commands = [
        "enable-streaming",
        "disable-streaming",
        "session",
        "set",
        "create",
    ];
    let mut script: Vec<_> = commands
        .iter()
        .flat_map(|command| {
            [
                format!("lttng {command} --help | grep -q 'enable-streaming HOST .*recommended'"),
                format!("lttng help {command} | grep -q 'Which form to use'"),
                format!("lttng --list-commands | grep -qx {command}"),
                format!("for shell in bash zsh fish; do lttng completion $shell | grep -q {command} || exit 1; done"),
            ]
        })
        .collect();
    for command in ["create", "session", "set", "record"] {
        script.push(format!(
            "lttng {command} --list-options | grep -qx -- --network"
        ));
        script.push(format!(
            "lttng {command} --list-options | grep -qx -- --streaming"
        ));
        script.push(format!(
            "lttng {command} --list-options | grep -qx -- --on-relay-loss"
        ));
    }
    script.push("lttng completion bash | grep -q -- --on-relay-loss".into());
    for run in ours("network-help", &script.join("\n")) {
        assert_eq!(
            (run.status.as_str(), run.stderr.as_str()),
            ("0", ""),
            "{run:?}"
        );
    }
}

/// The user named a directory: the later stretches are beside it.
#[test]
fn a_directory_of_ones_own_is_remembered() {
    let script = format!(
        "{RELAYS}lttng create s -o mine\n{START}{}\nlttng enable-streaming 127.0.0.1\n{}\n\
         lttng disable-streaming\n{}\nlttng destroy\n{}\nls -d mine*",
        emit(0, 10),
        emit(10, 20),
        emit(20, 30),
        numbers("mine*"),
    );
    let runs = ours("directory", &script);
    assert_ok(&runs);
    assert_eq!(
        of(&runs, "lttng disable-streaming").stdout,
        "Streaming disabled for session s\nTraces will be output to HOME/mine-DATE"
    );
    let mut here = parse(&of(&runs, &numbers("mine*")).stdout);
    here.sort_unstable();
    assert_eq!(here, [range(0, 10), range(20, 30)].concat());
    assert_eq!(of(&runs, "ls -d mine*").stdout, "mine\nmine-DATE");
}

/// A session whose relay daemon is away can be stopped; what is in its buffers can still be had, and is not
/// thrown away in silence.
#[test]
fn what_waits_for_a_relay_daemon_is_told() {
    let lose = format!(
        "{}\nkill -KILL $(pgrep -x lttng-relayd)\n{}\n",
        emit(0, 100),
        until_status("    Output state: reconnecting: "),
    );
    let script = format!(
        "{RELAYS}lttng create s --network 127.0.0.1\n{START}{lose}lttng stop\nlttng disable-streaming\n\
         lttng destroy\n{}\n{RELAYS}lttng create s --network 127.0.0.1\n{START}{lose}lttng destroy s",
        numbers("lttng-traces"),
    );
    let runs = ours("waiting", &script);
    let stop = of(&runs, "lttng stop");
    assert_eq!(stop.status, "0", "{stop:?}");
    assert!(
        stop.stderr.starts_with(
            "Warning: session s may have data in its buffers that its relay daemon has not got\n"
        ),
        "{stop:?}"
    );
    let here = parse(&of(&runs, &numbers("lttng-traces")).stdout);
    assert_eq!(here, range(0, 100));
    assert_eq!(of(&runs, "lttng destroy").stderr, "");
    let destroy = of(&runs, "lttng destroy s");
    assert_eq!(destroy.status, "6", "{destroy:?}");
    assert!(
        destroy
            .stderr
            .contains(" of session s were given up: the trace is not complete\n")
            || destroy
                .stderr
                .starts_with("Warning: the trace of session s may not be complete"),
        "{destroy:?}"
    );
}

/// Scripts that read what the stock command lists find the same lines, and between them those of ours.
#[test]
fn a_network_session_is_listed_as_by_the_stock_command() {
    let script = "lttng-relayd --daemonize --output \"$HOME/relay\" >/dev/null\n\
                  lttng create s --set-url net://127.0.0.1\n\
                  lttng enable-event -u 'x:*'\n\
                  lttng start\n\
                  lttng list s\n\
                  lttng list\n\
                  lttng status";
    let [stock, ours] = [Side::Stock, Side::Ours].map(|side| play(side, "list", script, true));
    for (stock, ours) in stock.iter().zip(&ours).skip(4) {
        let (own, common): (Vec<_>, Vec<_>) = ours
            .stdout
            .lines()
            .partition(|line| line.starts_with("    Output state: connected, "));
        assert_eq!(own.len(), 1, "{ours:?}");
        assert_eq!(common, stock.stdout.lines().collect::<Vec<_>>());
    }
}
