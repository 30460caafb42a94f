//! Clearing: what was recorded is gone, what comes after it is there, and the trees are those of stock LTTng.

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use system_tests::Toolchain::{self, Ours, Stock};
use system_tests::{
    Story, Target, Trace, World, check_indexes, eventually, here, isolated, same_story,
};

fn first_events(output: &Path) -> Result<Vec<i64>> {
    let trace = Trace::read(output)?;
    trace.assert_clean()?;
    check_indexes(output)?;
    let numbers = trace.events.iter().filter_map(|event| event.number("n"));
    Ok(numbers.collect())
}

/// Clears at every point of a session's life.
fn story(w: &World, target: &Target, url: &str, output: &Path) -> Result<Vec<String>> {
    target.script(&format!(
        "create s {url}
         enable-channel -u --subbuf-size=4096 --num-subbuf=8 c
         enable-event -u -c c emitter:small"
    ))?;
    let mut story = Story::new(target, output);
    let mut app = w.app("--events 100 --quiet").start_on_one_cpu()?;
    target.script("clear\n start")?;
    app.round()?;
    target.script("clear")?;
    app.round()?;
    story.run("stop")?;
    let found = first_events(output)?;
    ensure!(found == (100..200).collect::<Vec<_>>(), "{found:?}");
    story.run("clear")?;
    story.run("clear")?;
    story.run("rotate")?;
    target.script("start")?;
    app.round()?;
    story.run("stop")?;
    let found = first_events(output)?;
    ensure!(found == (200..300).collect::<Vec<_>>(), "{found:?}");
    target.script("start\n rotate")?;
    app.round()?;
    // Archives stay.
    target.script("clear")?;
    app.round()?;
    story.run("stop")?;
    story.run("clear")?;
    target.script("start")?;
    app.round()?;
    story.run("destroy")?;
    let found = first_events(output)?;
    let stayed: Vec<_> = (200..300).chain(500..600).collect();
    ensure!(found == stayed, "{found:?}");
    app.finish()?;
    Ok(story.end())
}

#[test]
fn local_trees_are_those_of_stock() {
    isolated(here!(), |w| {
        let mut stories = Vec::new();
        for toolchain in [Ours, Stock] {
            let target = w.target(toolchain)?;
            let output = w.path(toolchain.name());
            stories.push(story(
                w,
                &target,
                &format!("-o {}", output.display()),
                &output,
            )?);
            target.daemon().terminate()?;
        }
        same_story(&stories[0], &stories[1])
    });
}

fn on_relays(w: &mut World, relays: Toolchain) -> Result<()> {
    let mut stories = Vec::new();
    for toolchain in [Ours, Stock] {
        let relay = w.relay(relays)?;
        let target = w.target(toolchain)?;
        let url = format!("--set-url={}", relay.url());
        stories.push(story(w, &target, &url, relay.output())?);
        target.daemon().terminate()?;
    }
    // Sometimes a first packet after a clear does not get to a relay of stock's.
    let names = |lines: &Vec<String>| -> Vec<String> {
        let name = |line: &String| match line.starts_with('$') {
            true => Some(line.clone()),
            false => line.split(' ').next().map(str::to_owned),
        };
        lines.iter().filter_map(name).collect()
    };
    let [ours, stock] = [names(&stories[0]), names(&stories[1])];
    same_story(&ours, &stock)
}

#[test]
fn trees_on_a_stock_relay_are_those_of_stock() {
    isolated(here!(), |w| on_relays(w, Stock));
}

#[test]
fn trees_on_our_relay_are_those_of_stock() {
    isolated(here!(), |w| on_relays(w, Ours));
}

/// A relay daemon that lets nobody clear is asked before anything is changed.
#[test]
fn a_relay_may_disallow_it() {
    isolated(here!(), |w| {
        for (number, relays) in [Ours, Stock].into_iter().enumerate() {
            let output = w.path(&format!("collector-{}", relays.name()));
            std::fs::create_dir_all(&output)?;
            let port = 9000 + 10 * number as u16;
            let mut relay = Command::new(relays.program("lttng-relayd")?)
                .arg("--disallow-clear")
                .arg(format!("--control-port=tcp://127.0.0.1:{port}"))
                .arg(format!("--data-port=tcp://127.0.0.1:{}", port + 1))
                .arg(format!("--live-port=tcp://127.0.0.1:{}", port + 2))
                .arg("--output")
                .arg(&output)
                .spawn()
                .context("start a relay daemon")?;
            eventually("the relay daemon listens", || {
                let connected =
                    [port, port + 1].map(|port| TcpStream::connect(("127.0.0.1", port)));
                Ok(connected.iter().all(|one| one.is_ok()).then_some(()))
            })?;
            let target = w.target(Ours)?;
            let url = format!("net://127.0.0.1:{port}:{}", port + 1);
            target.script(&format!(
                "create s --set-url={url}
                 enable-event -u emitter:small
                 start"
            ))?;
            let mut app = w.app("--events 100 --quiet").start_on_one_cpu()?;
            app.round()?;
            let refused = target.lttng("clear")?;
            ensure!(refused.code != 0, "{refused}");
            app.round()?;
            app.finish()?;
            target.script("stop\n destroy")?;
            let trace = Trace::read(&output)?;
            trace.assert_clean()?;
            ensure!(trace.events.len() == 200, "{}", trace.events.len());
            target.daemon().terminate()?;
            relay.kill()?;
            relay.wait()?;
        }
        Ok(())
    });
}
