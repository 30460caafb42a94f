//! Every kind of field of `lttng/tracepoint.h`, from several threads: the text of babeltrace2 equals what
//! the application wrote, and what the stock daemons make of the same application.

use anyhow::{Result, ensure};
use system_tests::{Toolchain, Trace, World, here, isolated};

const APP: &str = "--kind fields --threads 4 --events 300";
/// Events of one turn of the emitter's loop.
const KINDS: usize = 8;

/// Records `APP` into a local trace with channel options `channel`.
fn record_local(
    w: &mut World,
    toolchain: Toolchain,
    channel: &str,
) -> Result<(Vec<String>, Trace)> {
    let target = w.target(toolchain)?;
    let out = w.path("traces/local");
    target.script(&format!(
        "create s --output={}
         enable-channel -u c {channel}
         enable-event -u -c c emitter:*
         start",
        out.display()
    ))?;
    let round = w.app(APP).run_once()?;
    target.script("stop\n destroy")?;
    target.daemon().terminate()?;
    Ok((round.lines, Trace::read(&out)?))
}

fn check(lines: &[String], trace: &Trace) -> Result<()> {
    ensure!(
        lines.len() == 4 * 300 * KINDS,
        "{} events emitted",
        lines.len()
    );
    trace.assert_lines(lines)?;
    trace.assert_in_order()?;
    trace.assert_clean()
}

/// Large enough that nothing is discarded.
const UID: &str = "--buffers-uid --subbuf-size=2M";
const PID: &str = "--buffers-pid --subbuf-size=2M";

#[test]
fn stock_per_uid_equals_what_was_written() {
    isolated(here!(), |w| {
        let (lines, trace) = record_local(w, Toolchain::Stock, UID)?;
        check(&lines, &trace)
    });
}

#[test]
fn ours_per_uid_equals_what_was_written() {
    isolated(here!(), |w| {
        let (lines, trace) = record_local(w, Toolchain::Ours, UID)?;
        check(&lines, &trace)
    });
}

#[test]
fn ours_per_pid_equals_what_was_written() {
    isolated(here!(), |w| {
        let (lines, trace) = record_local(w, Toolchain::Ours, PID)?;
        check(&lines, &trace)
    });
}

#[test]
fn small_sub_buffers_make_many_packets_and_lose_nothing() {
    isolated(here!(), |w| {
        let target = w.target(Toolchain::Ours)?;
        let out = w.path("traces/local");
        target.script(&format!(
            "create s --output={}
             enable-channel -u c --subbuf-size=4096 --num-subbuf=8 --blocking-timeout=inf
             enable-event -u -c c emitter:*
             start",
            out.display()
        ))?;
        // One thread: with so few bytes a writer that is preempted in the middle of an event makes others lose
        // theirs even in blocking mode, with stock as well.
        let round = w
            .app("--kind fields --threads 1 --events 1200")
            .blocking()
            .run_once()?;
        target.script("stop\n destroy")?;
        let trace = Trace::read(&out)?;
        check(&round.lines, &trace)
    });
}

/// The same application, traced by one and then by the other.
#[test]
fn ours_equals_stock() {
    isolated(here!(), |w| {
        let (_, stock) = record_local(w, Toolchain::Stock, UID)?;
        std::fs::remove_dir_all(w.path("traces/local"))?;
        let (_, ours) = record_local(w, Toolchain::Ours, UID)?;
        ours.assert_lines(&stock.sorted_lines())?;
        let scopes = |trace: &Trace| -> Vec<String> {
            let mut names: Vec<String> = trace
                .events
                .iter()
                .map(|event| {
                    format!(
                        "{} {}",
                        event.host,
                        event.context.replace(|c: char| c.is_ascii_digit(), "")
                    )
                })
                .collect();
            names.sort();
            names.dedup();
            names
        };
        ensure!(
            scopes(&ours) == scopes(&stock),
            "{:?} against {:?}",
            scopes(&ours),
            scopes(&stock)
        );
        Ok(())
    });
}
