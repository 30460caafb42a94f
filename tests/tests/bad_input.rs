//! Bad input: a clear message, the right exit status, and no half-made state.

use anyhow::{Context, Result, ensure};
use system_tests::Toolchain::{Ours, Stock};
use system_tests::{Target, Toolchain, World, here, isolated};

/// A command line (`|` separates arguments where one holds a space), its exit status, and what it prints
/// on standard error (`1>` before it: on standard output).
type Case = (&'static str, i32, &'static str);

/// Run in this order in one session daemon that has the session `s` with the channel `c`, which is not
/// started.
const CASES: &[Case] = &[
    // Sessions.
    ("create s", 1, "Error: Session name already exists"),
    (
        "create auto",
        1,
        "Error: auto is a reserved keyword for default session(s)",
    ),
    (
        "create a/b",
        1,
        "Error: Invalid character found in session name",
    ),
    ("create x y", 1, "Error: Unknown argument: y"),
    ("start nosuch", 23, "Error: Session name not found"),
    ("stop nosuch", 23, "Error: Session name not found"),
    ("destroy nosuch", 23, "Error: Session name nosuch not found"),
    ("list nosuch", 1, "Error: Session 'nosuch' not found"),
    ("set-session nosuch", 1, "Error: Session 'nosuch' not found"),
    (
        "enable-channel -u c9 -s nosuch",
        1,
        "Error: Channel c9: Session name not found (session nosuch)",
    ),
    (
        "stop s",
        81,
        "Warning: Tracing already stopped for session s",
    ),
    // URLs.
    (
        "create n --set-url=foo://localhost",
        1,
        "Error: Unable to parse the URL foo://localhost",
    ),
    (
        "create n --set-url=net://",
        1,
        "Error: No address or hostname detected.",
    ),
    (
        "create n --set-url=net://no.such.host.invalid",
        1,
        "Error: URI parse bad hostname no.such.host.invalid for af 2",
    ),
    (
        "create n --set-url=net://127.0.0.1:99999",
        1,
        "Error: Invalid port number 99999",
    ),
    (
        "create n --set-url=net://127.0.0.1:0",
        1,
        "Error: Invalid port number 0",
    ),
    (
        "create n --set-url=net://127.0.0.1:1:2:3",
        1,
        "Error: Trailing characters not recognized: :3",
    ),
    (
        "create n --set-url=net6://[::1",
        1,
        "Error: Broken IPv6 address ::1",
    ),
    (
        "create n --set-url=file://relative",
        1,
        "Error: Missing destination full path.",
    ),
    (
        "create n --set-url=tcp://127.0.0.1",
        1,
        "Error: Unrecognized URL format.",
    ),
    (
        "create n --ctrl-url=tcp://127.0.0.1",
        1,
        "Error: Both control and data URLs must be specified.",
    ),
    (
        "create n --ctrl-url=tcp://127.0.0.1 --data-url=tcp://127.0.0.2",
        1,
        "Error: Control and data destination mismatch",
    ),
    (
        "create n --set-url=net://127.0.0.1 --output=/tmp",
        1,
        "Error: Only one of the --set-url, --ctrl-url/data-url, or --output options may be used at once.",
    ),
    // Channels.
    (
        "enable-channel c9",
        1,
        "Error: Please specify a domain (--kernel/--userspace).",
    ),
    ("enable-channel -u", 1, "Error: Missing channel name"),
    (
        "enable-channel -u c",
        4,
        "Warning: Channel c: UST channel already exist (session s)",
    ),
    (
        "enable-channel -u .c",
        1,
        "Error: Invalid channel name: \".c\".",
    ),
    (
        "enable-channel -u c9 --subbuf-size=0",
        1,
        "Error: Wrong value in --subbuf-size parameter: 0",
    ),
    (
        "enable-channel -u c9 --subbuf-size=12q",
        1,
        "Error: Wrong value in --subbuf-size parameter: 12q",
    ),
    (
        "enable-channel -u c9 --subbuf-size=1024",
        1,
        "Error: Channel c9: Invalid parameter (session s)",
    ),
    (
        "enable-channel -u c9 --subbuf-size=512G",
        1,
        "Error: Channel c9: Not enough memory (session s)",
    ),
    (
        "enable-channel -u c9 --num-subbuf=abc",
        1,
        "Error: Wrong value in --num-subbuf parameter: abc",
    ),
    (
        "enable-channel -u c9 --overwrite --num-subbuf=1",
        1,
        "Error: Channel c9: Invalid parameter (session s)",
    ),
    (
        "enable-channel -u c9 --switch-timer=x",
        1,
        "Error: Wrong value for --switch-timer parameter: x",
    ),
    (
        "enable-channel -u c9 --read-timer=5000000000",
        1,
        "Error: 32-bit overflow in --read-timer parameter",
    ),
    (
        "enable-channel -u c9 --tracefile-count=3",
        1,
        "Error: Missing option --tracefile-size. A file count without a size won't do anything.",
    ),
    (
        "enable-channel -u c9 --output=foo",
        1,
        "Error: Unknown output type foo. Possible values are: mmap, splice",
    ),
    (
        "enable-channel -u c9 --output=splice",
        1,
        "Error: Channel c9: Operation not supported (session s)",
    ),
    (
        "enable-channel -u c9 --buffers-global",
        1,
        "Error: Buffer type not supported for domain -u",
    ),
    (
        "enable-channel -u c9 --buffers-pid",
        1,
        "Error: Channel c9: Buffer type mismatch for session (session s)",
    ),
    (
        "enable-channel -k c9",
        1,
        "Error: Channel c9: Kernel tracer not available (session s)",
    ),
    // Event rules.
    ("enable-event -u", 1, "Error: Missing event name(s)."),
    (
        "enable-event emitter:*",
        1,
        "Error: Please specify a domain",
    ),
    (
        "enable-event -u emitter:small",
        83,
        "Non-default channel exists within session",
    ),
    (
        "enable-event -u -c c emitter:*|--filter|x >",
        106,
        "Error: Event emitter:*: Invalid filter bytecode",
    ),
    (
        "enable-event -u -c c emitter:*|--filter|",
        97,
        "Invalid parameter",
    ),
    (
        "enable-event -u -c c emitter:* --loglevel=BOGUS",
        97,
        "Error: Unknown loglevel BOGUS",
    ),
    (
        "enable-event -u -c c emitter:small --exclude=x",
        1,
        "Exclusions can only be used with a globbing pattern",
    ),
    (
        "enable-event -u -c c emitter:* --exclude=*",
        1,
        "excludes all events from emitter:*",
    ),
    (
        "enable-event -u -c c emitter:a --probe=x",
        5,
        "Error: Event type not available for user-space tracing",
    ),
    (
        "enable-event -u -c .x emitter:a",
        113,
        "Invalid channel name",
    ),
    ("enable-event -u -c c lttng_jul:x", 112, "lttng_jul:x"),
    // The command line itself.
    (
        "nosuch",
        2,
        "1>lttng: nosuch is not an lttng command. See 'lttng --help'.",
    ),
    (
        "list --nosuch",
        2,
        "Error: Unrecognized argument used with 'list' command",
    ),
];

fn lttng(target: &Target, line: &str) -> Result<system_tests::Output> {
    let (words, rest) = line
        .split_once('|')
        .map_or((line, None), |(words, rest)| (words, Some(rest)));
    let words = words
        .split_whitespace()
        .chain(rest.into_iter().flat_map(|rest| rest.split('|')));
    target.lttng_args(&words.collect::<Vec<_>>())
}

fn table(w: &mut World, toolchain: Toolchain) -> Result<()> {
    let target = w.target(toolchain)?;
    let out = w.path("traces/s");
    target.script(&format!(
        "create s --output={}
         enable-channel -u c
         enable-event -u -c c emitter:small",
        out.display()
    ))?;
    let state = |when: &str| -> Result<(String, String)> {
        let list = target
            .lttng("list")?
            .ok()
            .with_context(|| when.to_owned())?;
        let session = target
            .lttng("list s")?
            .ok()
            .with_context(|| when.to_owned())?;
        Ok((list.stdout, session.stdout))
    };
    let before = state("before")?;
    let mut wrong = Vec::new();
    for (line, code, message) in CASES {
        let output = lttng(&target, line)?;
        if toolchain == Stock && output.code == 141 {
            // Its daemon hung up on the client before that had written all, every time: the machine is busy. Ours is
            // held to the case all the same.
            continue;
        }
        let (stream, message) = match message.strip_prefix("1>") {
            Some(message) => (&output.stdout, message),
            None => (&output.stderr, *message),
        };
        if output.code != *code || !stream.contains(message) {
            wrong.push(format!("expected status {code} and {message:?}:\n{output}"));
        }
        let after = state(line)?;
        if after != before {
            wrong.push(format!(
                "`lttng {line}` left something behind:\n{}\n{}",
                after.0, after.1
            ));
        }
    }
    ensure!(
        wrong.is_empty(),
        "{} of {} cases:\n{}",
        wrong.len(),
        CASES.len(),
        wrong.join("\n")
    );
    // After all that, it still traces.
    target.lttng("start s")?.ok()?;
    let round = w.app("--events 5").run_once()?;
    target.lttng("destroy s")?.ok()?;
    system_tests::Trace::read(&out)?.assert_lines(&round.lines)
}

#[test]
fn stock_refuses() {
    isolated(here!(), |w| table(w, Stock));
}

#[test]
fn ours_refuses() {
    isolated(here!(), |w| table(w, Ours));
}

/// Values that stock corrects: a warning, and the corrected value is in force.
#[test]
fn sizes_are_rounded_with_a_warning() {
    isolated(here!(), |w| {
        for toolchain in [Stock, Ours] {
            let target = w.target(toolchain)?;
            target.lttng("create s --no-output")?.ok()?;
            target
                .lttng(
                    "enable-channel -u c --subbuf-size=5000 --num-subbuf=3 --tracefile-size=100",
                )?
                .ok()?
                .says("Warning: The subbuf size (5000) is rounded to the next power of 2 (8192)")?
                .says(
                    "Warning: The number of subbuffers (3) is rounded to the next power of 2 (4)",
                )?
                .says("Warning: Tracefile size rounded up from (100) to subbuffer size (8192)")?;
            target
                .lttng("list s")?
                .ok()?
                .shows("Sub-buffer size:  8192 bytes")?
                .shows("Sub-buffer count: 4")?;
            target.daemon().terminate()?;
        }
        Ok(())
    });
}

#[test]
fn commands_without_a_session_daemon() {
    isolated(here!(), |w| {
        for toolchain in [Stock, Ours] {
            // Only for the command that goes with it.
            let target = w.target(toolchain)?;
            target.daemon().terminate()?;
            for (line, code) in [
                ("list", 1),
                ("destroy s", 1),
                ("start s", 19),
                ("stop s", 19),
                ("-n create s", 1),
                ("set-session s", 1),
            ] {
                target
                    .lttng(line)?
                    .code(code)?
                    .says("Error: No session daemon is available")?;
            }
            target
                .lttng("start")?
                .code(1)?
                .says("Error: Can't find valid lttng config")?;
        }
        Ok(())
    });
}

#[test]
fn a_closed_port() {
    isolated(here!(), |w| {
        for toolchain in [Stock, Ours] {
            let target = w.target(toolchain)?;
            // As with stock, `create` may not look whether somebody listens.
            target
                .lttng("create s --set-url=net://127.0.0.1:9:10")?
                .ok()?;
            target
                .lttng("enable-channel -u c")?
                .code(1)?
                .says("Error: Channel c: Unable to connect to lttng-relayd (session s)")?;
            // Stock's daemon hangs up on this one, and its client dies of it.
            if toolchain == Ours {
                target
                    .lttng("enable-event -u emitter:small")?
                    .code(104)?
                    .says("Unable to connect to lttng-relayd")?;
            }
            target.lttng("destroy s")?.ok()?;
            target
                .lttng("list")?
                .ok()?
                .shows("Currently no available recording session")?;
            target.daemon().terminate()?;
        }
        Ok(())
    });
}
