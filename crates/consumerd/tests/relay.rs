//! Network output, into a stock relay daemon.

mod common;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use common::{Consumer, LARGE_EVENT, SMALL, SMALL_EVENT, Shape, Traced, assert_complete};
use consumer_api::{Notice, Request};
use relay::Minor;
use system_tests::{Relay, Toolchain, Trace, check_indexes, cpu_seconds, here, isolated};

/// The one session directory below the relay's output.
fn session_directory(relay: &Relay) -> Result<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(relay.output().join("target"))? {
        found.push(entry?.path());
    }
    ensure!(found.len() == 1, "{found:?}");
    found.pop().context("no session")
}

fn assert_arrived(relay: &Relay, traced: &[&Traced]) -> Result<()> {
    assert_complete(&session_directory(relay)?, traced)
}

#[test]
fn everything_arrives_at_a_stock_relay() {
    isolated(here!(), |world| {
        let relay = world.relay(Toolchain::Stock)?;
        let mut consumer = Consumer::into_relay(&relay);
        let mut traced = Traced::new(1, "ust/uid/0/64-bit", SMALL);
        let mut other = Traced::new(2, "ust/uid/1000/64-bit", SMALL);
        for traced in [&mut traced, &mut other] {
            traced.append_metadata(SMALL_EVENT);
            traced.add_to(&mut consumer);
            traced.append_metadata(LARGE_EVENT);
            for _ in 0..2000 {
                for stream in &mut traced.streams {
                    stream.small_blocking();
                    stream.large_blocking();
                }
            }
        }
        // Nothing polls the files: a drain is answered when the relay has everything.
        consumer.drain();
        assert_arrived(&relay, &[&traced, &other])?;
        let indexes = check_indexes(&session_directory(&relay)?)?;
        let counters = [traced.delivered(), other.delivered()];
        let packets: u64 = counters.iter().map(|counters| counters.packets).sum();
        assert_eq!(packets, indexes.packets);
        for counters in counters {
            assert_eq!((counters.discarded_events, counters.lost_packets), (0, 0));
        }

        // Start again, stop again, destroy.
        traced.streams[0].small().unwrap();
        consumer.drain();
        consumer.end_chunk();
        assert_arrived(&relay, &[&traced, &other])?;
        assert!(consumer.close());
        relay.daemon().assert_no_complaints()
    });
}

#[test]
fn traces_of_applications_come_and_go() {
    isolated(here!(), |world| {
        let relay = world.relay(Toolchain::Stock)?;
        let mut consumer = Consumer::into_relay(&relay);
        let mut all = Vec::new();
        for key in 1..=5 {
            let mut traced = Traced::new(key, &format!("ust/pid/app-{key}-20261125-220000"), SMALL);
            traced.ends_with_writers = true;
            traced.append_metadata(SMALL_EVENT);
            traced.append_metadata(LARGE_EVENT);
            traced.add_to(&mut consumer);
            for stream in &mut traced.streams {
                for _ in 0..20 * key {
                    stream.large_blocking();
                }
                stream.writer = None;
            }
            let Notice::TraceEnded { trace } = consumer.notice() else {
                panic!("the trace did not end");
            };
            assert_eq!(trace, traced.key);
            all.push(traced);
        }
        consumer.drain();
        consumer.end_chunk();
        assert_arrived(&relay, &all.iter().collect::<Vec<_>>())?;
        relay.daemon().assert_no_complaints()
    });
}

/// A chunk that is closed without a drain: streams without any packet, and one with.
#[test]
fn a_chunk_without_packets_is_closed_too() {
    isolated(here!(), |world| {
        let relay = world.relay(Toolchain::Stock)?;
        let mut consumer = Consumer::into_relay(&relay);
        let mut traced = Traced::new(1, "ust/uid/0/64-bit", SMALL);
        traced.append_metadata(LARGE_EVENT);
        traced.add_to(&mut consumer);
        for _ in 0..62 {
            traced.streams[0].large_blocking();
        }
        consumer.end_chunk();
        let log = consumer.log();
        ensure!(!log.contains("still has trace chunk"), "{log}");
        let trace = Trace::read(&session_directory(&relay)?)?;
        trace.assert_clean()?;
        assert_eq!(trace.events.len(), 31);
        relay.daemon().assert_no_complaints()
    });
}

#[test]
fn old_relays_are_spoken_to_in_their_version() {
    isolated(here!(), |world| {
        for minor in [4, 8, 11, 12] {
            let output = world.path(&format!("out-{minor}"));
            fs::create_dir(&output)?;
            let relay = world.relay_into(Toolchain::Stock, &output)?;
            let mut consumer = Consumer::start();
            consumer.set_up_relay(relay.ports(), Minor(minor));
            // Before 2.11 the path is complete.
            let path = if minor < 11 { "target/test-1" } else { "ust" };
            let mut traced = Traced::new(1, path, SMALL);
            traced.append_metadata(LARGE_EVENT);
            traced.add_to(&mut consumer);
            for _ in 0..500 {
                traced.streams[1].large_blocking();
            }
            consumer.drain();
            consumer.end_chunk();
            assert_arrived(&relay, &[&traced]).with_context(|| format!("minor {minor}"))?;
        }
        Ok(())
    });
}

#[test]
fn limited_files_do_not_upset_a_stock_relay() {
    isolated(here!(), |world| {
        let relay = world.relay(Toolchain::Stock)?;
        let mut consumer = Consumer::into_relay(&relay);
        let mut traced = Traced::new(1, "ust", SMALL);
        for stream in &mut traced.streams {
            stream.setup.tracefile_size = 40_000;
        }
        traced.append_metadata(LARGE_EVENT);
        traced.add_to(&mut consumer);
        for _ in 0..500 {
            traced.streams[0].large_blocking();
        }
        consumer.drain();
        consumer.end_chunk();
        assert!(relay.daemon().is_alive());
        assert_arrived(&relay, &[&traced])
    });
}

#[test]
fn a_relay_that_dies_is_told_and_the_buffers_stay() {
    isolated(here!(), |world| {
        let relay = world.relay(Toolchain::Stock)?;
        let mut consumer = Consumer::into_relay(&relay);
        let mut traced = Traced::new(1, "ust", SMALL);
        traced.append_metadata(LARGE_EVENT);
        traced.add_to(&mut consumer);
        for _ in 0..200 {
            traced.streams[0].large_blocking();
        }
        consumer.drain();
        let arrived = traced.streams[0].value as i64;
        relay.daemon().kill()?;
        // Told without any packet under way.
        let Notice::OutputFailed(failure) = consumer.notice() else {
            panic!("the failure was not told");
        };
        assert!(
            failure.reason.contains("relay daemon"),
            "{}",
            failure.reason
        );
        for _ in 0..100 {
            traced.streams[0].large()?;
        }
        assert!(consumer.try_ask(Request::Drain, &[]).is_err());
        assert!(!consumer.close());
        // What was not sent goes elsewhere.
        let out = world.path("elsewhere");
        fs::create_dir(&out)?;
        let mut second = Consumer::start();
        second.set_up_directory(&out);
        for stream in &mut traced.streams {
            stream.setup.resume = Some(Default::default());
        }
        traced.add_to(&mut second);
        second.drain();
        let rest = Trace::read(&out)?;
        let values: Vec<_> = rest
            .events
            .iter()
            .map(|e| e.number("value").unwrap())
            .collect();
        assert_eq!(values, (arrived..arrived + 100).collect::<Vec<_>>());
        Ok(())
    });
}

/// The control socket is answered while the relay takes nothing; then everything goes on.
#[test]
fn a_stopped_relay_delays_packets_and_nothing_else() {
    isolated(here!(), |world| {
        let relay = world.relay(Toolchain::Stock)?;
        let mut consumer = Consumer::into_relay(&relay);
        let shape = Shape {
            subbuf_size: 1 << 20,
            subbuf_count: 8,
            ..SMALL
        };
        let mut traced = Traced::new(1, "ust", shape);
        traced.append_metadata(LARGE_EVENT);
        traced.add_to(&mut consumer);
        system_tests::signal(relay.daemon().pid(), system_tests::Signal::STOP)?;
        // More than the sockets hold: until whoever asks is told that nothing moves, and that nobody says anything.
        let mut before = consumer.progress();
        let mut since = Instant::now();
        while since.elapsed() < Duration::from_secs(3) {
            for stream in &mut traced.streams {
                while stream.large().is_ok() {}
            }
            let now = consumer.progress();
            if now != before {
                (before, since) = (now, Instant::now());
            }
            thread::sleep(Duration::from_millis(50));
        }
        let drain = consumer.send(Request::Drain, &[]);
        // It answers while that waits.
        let before = consumer.progress();
        system_tests::signal(relay.daemon().pid(), system_tests::Signal::CONT)?;
        consumer.wait(drain).unwrap();
        let after = consumer.progress();
        assert!(
            after.0 > before.0 && after.1 > before.1,
            "{before:?} {after:?}"
        );
        let trace = Trace::read(&session_directory(&relay)?)?;
        assert_eq!(trace.warnings, Vec::<String>::new());
        let written: u64 = traced.streams.iter().map(|stream| stream.value).sum();
        assert_eq!(trace.events.len() as u64, written);
        Ok(())
    });
}

#[test]
#[ignore = "a measurement; run in release, with a file for the numbers in LTTNG_RS_MEASUREMENTS"]
fn throughput_over_loopback() {
    isolated(here!(), |world| {
        let relay = world.relay(Toolchain::Stock)?;
        let mut consumer = Consumer::into_relay(&relay);
        measure(&mut consumer, "stock relay")?;
        let out = world.path("local");
        fs::create_dir(&out)?;
        let mut local = Consumer::start();
        local.set_up_directory(&out);
        measure(&mut local, "directory on tmpfs")
    });
}

fn measure(consumer: &mut Consumer, what: &str) -> Result<()> {
    let shape = Shape {
        subbuf_size: 512 << 10,
        subbuf_count: 16,
        ..SMALL
    };
    let mut traced = Traced::new(1, "ust", shape);
    traced.append_metadata(LARGE_EVENT);
    traced.add_to(consumer);
    let before = cpu_seconds(consumer.pid());
    let start = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..2_000_000 {
                traced.streams[0].large_blocking();
            }
        });
    });
    consumer.drain();
    let seconds = start.elapsed().as_secs_f64();
    let cpu = cpu_seconds(consumer.pid()) - before;
    let bytes = traced.delivered().bytes as f64;
    let gigabytes = bytes / 1e9;
    let line = format!(
        "{what}: {gigabytes:.2} GB, {:.0} MB/s, consumer {:.3} CPU-s/GB\n",
        bytes / 1e6 / seconds,
        cpu / gigabytes
    );
    // The output of a test that passes is not shown.
    let path = std::env::var("LTTNG_RS_MEASUREMENTS").context("where to?")?;
    let mut file = fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)?;
    file.write_all(line.as_bytes())?;
    Ok(())
}
