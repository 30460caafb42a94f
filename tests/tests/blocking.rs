//! Blocking mode: ten million events, none missing.

use std::time::Duration;

use anyhow::{Result, ensure};
use system_tests::Toolchain::Ours;
use system_tests::{World, check_indexes, count_events, here, isolated_for};

const EVENTS: u64 = 10_000_000;
const LIMIT: Duration = Duration::from_secs(400);

fn ten_million(w: &mut World, network: bool) -> Result<()> {
    let relay = w.relay(Ours)?;
    let target = w.target(Ours)?;
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
         enable-channel -u c --blocking-timeout=inf --subbuf-size=2M --num-subbuf=8
         enable-event -u -c c emitter:small
         start"
    ))?;
    let half = EVENTS / 2;
    let mut app = w
        .app(&format!("--threads 2 --events {half} --quiet"))
        .blocking()
        .start()?;
    app.begin_round()?;
    let round = app.end_round(LIMIT)?;
    app.finish()?;
    ensure!(round.loops == EVENTS, "{} events emitted", round.loops);
    target.script("stop\n destroy")?;
    let count = count_events(&out)?;
    ensure!(count == EVENTS, "{count} events in the trace");
    check_indexes(&out)?;
    Ok(())
}

#[test]
fn local() {
    isolated_for(LIMIT, here!(), |w| ten_million(w, false));
}

#[test]
fn network() {
    isolated_for(LIMIT, here!(), |w| ten_million(w, true));
}
