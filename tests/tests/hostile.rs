//! Applications that stand still, lie, or talk nonsense: they harm nobody but themselves.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use system_tests::Toolchain::Ours;
use system_tests::{Signal, Target, Trace, Who, World, here, isolated};

/// No command may take longer beside a hostile application: less than the 5 s of an application's timeout, and as
/// much as a busy machine may need.
const PROMPT: Duration = Duration::from_secs(4);

const REGISTRATION: &str = "/run/lttng/lttng-ust-sock-8";

/// Runs every command of a session's life; each must be prompt, and the good application be traced.
fn life_goes_on(w: &World, target: &Target, name: &str) -> Result<()> {
    let out = w.path(&format!("traces/{name}"));
    let prompt = |line: String| -> Result<()> {
        let begin = Instant::now();
        target.lttng(&line)?.ok()?;
        ensure!(
            begin.elapsed() < PROMPT,
            "`lttng {line}` took {:?}",
            begin.elapsed()
        );
        Ok(())
    };
    prompt(format!("create {name} --output={}", out.display()))?;
    prompt("enable-event -u emitter:*".into())?;
    let mut early = w.app("--events 10").start()?;
    prompt("start".into())?;
    let begin = Instant::now();
    let mut late = w.app("--events 10 --first-thread 9").start()?;
    ensure!(
        begin.elapsed() < PROMPT,
        "an application took {:?} to start",
        begin.elapsed()
    );
    let lines = [early.round()?.lines, late.round()?.lines].concat();
    early.finish()?;
    late.finish()?;
    prompt("list -u".into())?;
    prompt("stop".into())?;
    prompt("destroy".into())?;
    let mut trace = Trace::read(&out)?;
    trace
        .events
        .retain(|event| event.number("thread").is_none_or(|thread| thread < 100));
    trace.assert_lines(&lines)
}

#[test]
fn a_stopped_application_delays_nobody() {
    isolated(here!(), |w| {
        let target = w.target(Ours)?;
        let stopped = w.app("--first-thread 100").start()?;
        stopped.signal(Signal::STOP)?;
        life_goes_on(w, &target, "first")?;
        life_goes_on(w, &target, "second")
    });
}

/// Stopped in the middle of a session, and woken again: it is traced as if nothing had been.
#[test]
fn a_stopped_application_goes_on_when_it_wakes() {
    isolated(here!(), |w| {
        let target = w.target(Ours)?;
        let mut app = w.app("--events 10").start()?;
        target.script(&format!(
            "create s --output={}\n enable-event -u emitter:small\n start",
            w.path("traces/s").display()
        ))?;
        let mut lines = app.round()?.lines;
        app.signal(Signal::STOP)?;
        life_goes_on(w, &target, "beside")?;
        app.signal(Signal::CONT)?;
        lines.extend(app.round()?.lines);
        app.finish()?;
        target.lttng("destroy s")?.ok()?;
        let mut trace = Trace::read(&w.path("traces/s"))?;
        trace.assert_clean()?;
        // Session s also recorded the applications of `life_goes_on`.
        let first = trace.events.first().map_or(0, |event| event.time_ns);
        ensure!(first > 0, "no events");
        let all = trace.sorted_lines();
        ensure!(
            lines.iter().all(|line| all.binary_search(line).is_ok()),
            "events are missing"
        );
        trace.events.retain(|event| {
            event.number("thread") == Some(0) && event.number("n").is_some_and(|n| n >= 10)
        });
        ensure!(
            trace.events.len() == 10,
            "{} events after waking",
            trace.events.len()
        );
        Ok(())
    });
}

/// Connections to the registration socket that say nothing, say half, or say nonsense.
#[test]
fn nonsense_on_the_registration_socket() {
    isolated(here!(), |w| {
        let target = w.target(Ours)?;
        let mut open = Vec::new();
        for bytes in nonsense() {
            let mut stream = UnixStream::connect(REGISTRATION)?;
            let _ = stream.write_all(&bytes);
            open.push(stream);
        }
        life_goes_on(w, &target, "beside")?;
        drop(open);
        life_goes_on(w, &target, "after")?;
        ensure!(target.daemon().is_alive(), "the session daemon died");
        Ok(())
    });
}

/// An application that registers well, and then answers every command with rubbish, or never, or hangs up
/// in the middle of its answer.
#[test]
fn an_application_that_answers_nonsense() {
    isolated(here!(), |w| {
        let target = w.target(Ours)?;
        let mut liars = Vec::new();
        for behaviour in 0..4 {
            liars.push(liar(behaviour)?);
        }
        life_goes_on(w, &target, "beside")?;
        ensure!(target.daemon().is_alive(), "the session daemon died");
        drop(liars);
        life_goes_on(w, &target, "after")
    });
}

/// Another user cannot register under somebody else's name, nor read root's control socket.
#[test]
fn a_user_sees_nothing_of_root() {
    isolated(here!(), |w| {
        let target = w.target(Ours)?;
        target
            .lttng(&format!(
                "create s --output={}",
                w.path("traces/s").display()
            ))?
            .ok()?;
        let user = Who::user(4711, w.path("home/user"))?;
        let listed = system_tests::run(user.command(&Ours.program("lttng")?)?.arg("list"))?;
        listed
            .code(1)?
            .says("Error: No session daemon is available")?;
        Ok(())
    });
}

fn nonsense() -> Vec<Vec<u8>> {
    let mut wrong_major = registration(0);
    wrong_major[4] = 77;
    let mut wrong_kind = registration(9);
    wrong_kind[0] = 0;
    let mut rubbish = registration(1);
    rubbish.extend([0xA5; 4096]);
    vec![
        Vec::new(),
        vec![0],
        vec![0xFF; 135],
        vec![0; 136],
        vec![0xA5; 136],
        registration(0)[..100].to_vec(),
        wrong_major,
        wrong_kind,
        registration(7),
        rubbish,
        vec![0x5A; 1 << 20],
    ]
}

/// The message an application of ABI 9 registers one of its two sockets with.
fn registration(socket: u32) -> Vec<u8> {
    let words: [u32; 14] = [
        0xC57C_57C5,
        9,
        0,
        std::process::id(),
        1,
        0,
        0,
        64,
        8,
        8,
        8,
        8,
        8,
        socket,
    ];
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    bytes.extend(b"liar\0\0\0\0\0\0\0\0\0\0\0\0");
    bytes.resize(136, 0);
    bytes
}

/// A pair of registered sockets, and a thread that misbehaves on them until they are closed.
fn liar(behaviour: u8) -> Result<[UnixStream; 2]> {
    let mut command = UnixStream::connect(REGISTRATION)?;
    command.write_all(&registration(0))?;
    let mut notify = UnixStream::connect(REGISTRATION)?;
    notify.write_all(&registration(1))?;
    let kept = [command.try_clone()?, notify.try_clone()?];
    std::thread::spawn(move || {
        let mut message = [0; 612];
        while command.read_exact(&mut message).is_ok() {
            let written = match behaviour {
                // Rubbish of the right size.
                0 => command.write_all(&[0xA5; 324]),
                // Half an answer, then nothing.
                1 => command.write_all(&[0; 100]),
                // Success for everything, with handles that it made up; and requests that make no sense.
                2 => notify
                    .write_all(&[0xC3; 512])
                    .and_then(|()| command.write_all(&[0; 324])),
                // Hangs up.
                _ => command.shutdown(std::net::Shutdown::Both),
            };
            if written.is_err() {
                break;
            }
        }
    });
    Ok(kept)
}
