//! Discard mode, with more events than anybody can take away: every event is delivered or counted.

use anyhow::{Result, ensure};
use system_tests::Toolchain::{Ours, Stock};
use system_tests::{Toolchain, Trace, World, check_indexes, here, isolated};

fn overload(w: &mut World, toolchain: Toolchain, network: bool, buffers: &str) -> Result<()> {
    let relay = w.relay(toolchain)?;
    let target = w.target(toolchain)?;
    let out = if network {
        relay.output().to_path_buf()
    } else {
        w.path("traces/s")
    };
    let url = if network {
        relay.url()
    } else {
        format!("file://{}", out.display())
    };
    target.script(&format!(
        "create s --set-url={url}
         enable-channel -u c --discard --subbuf-size=16k --num-subbuf=4 {buffers}
         enable-event -u -c c emitter:blob
         start"
    ))?;
    let round = w
        .app("--kind blob --payload 512 --threads 2 --seconds 0.5 --quiet")
        .run_once()?;
    let mut stop = target.lttng("stop")?.ok()?;
    if toolchain == Stock {
        // Of buffers that are full still when they are flushed stock does not get the last number.
        target.lttng("start")?.ok()?;
        stop = target.lttng("stop")?.ok()?;
    }
    target.lttng("destroy")?.ok()?;

    let trace = Trace::read(&out)?;
    let read = trace.events.len() as u64;
    trace.assert_readable()?;
    let discarded = check_indexes(&out)?.discarded;
    ensure!(
        discarded > 0,
        "no overload: {read} events read, none discarded"
    );
    ensure!(
        read + discarded == round.loops,
        "{read} events read and {discarded} discarded of {} produced",
        round.loops
    );
    trace.assert_discarded(discarded)?;
    // Stock adds the differences between packets without heed to those that step back, so its own
    // number can be wrong by 2^63 and more.
    if toolchain == Ours {
        stop.shows(&format!("Warning: {discarded} events were discarded"))?;
    }
    Ok(())
}

#[test]
fn stock_local() {
    isolated(here!(), |w| overload(w, Stock, false, "--buffers-uid"));
}

#[test]
fn ours_local() {
    isolated(here!(), |w| overload(w, Ours, false, "--buffers-uid"));
}

#[test]
fn ours_network() {
    isolated(here!(), |w| overload(w, Ours, true, "--buffers-uid"));
}

#[test]
fn ours_network_per_pid() {
    isolated(here!(), |w| overload(w, Ours, true, "--buffers-pid"));
}
