//! Local output, read by babeltrace2 and compared with what was written.

mod common;

use std::fs;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use common::{Consumer, LARGE_EVENT, SMALL, SMALL_EVENT, Shape, Traced, assert_complete, values};
use consumer_api::{Notice, Request};
use ring_buffer::{BufferMode, Wakeup};
use system_tests::{Trace, check_indexes, eventually, here, isolated};

/// `large` events in a sub-buffer of `SMALL`.
const LARGE_IN_SMALL: u64 = 31;

#[test]
fn a_drain_brings_every_event_into_the_files() {
    isolated(here!(), |world| {
        let out = world.path("trace");
        fs::create_dir(&out)?;
        let mut consumer = Consumer::start();
        consumer.count_events = true;
        consumer.set_up_directory(&out);
        let mut traced = Traced::new(1, "ust/uid/0/64-bit", SMALL);
        traced.append_metadata(SMALL_EVENT);
        traced.add_to(&mut consumer);
        traced.append_metadata(LARGE_EVENT);
        for n in 0..400 {
            for stream in &mut traced.streams {
                stream.small_blocking();
                if n % 2 == 0 {
                    stream.large_blocking();
                }
            }
        }
        consumer.drain();
        assert_complete(&out, &[&traced])?;
        let counters = traced.delivered();
        let indexes = check_indexes(&out)?;
        let written: u64 = traced.streams.iter().map(|stream| stream.value).sum();
        assert_eq!(counters.events, written);
        assert_eq!(counters.packets, indexes.packets);
        assert_eq!((counters.discarded_events, counters.lost_packets), (0, 0));
        let directory = out.join("ust/uid/0/64-bit");
        let mut bytes = 0;
        for cpu in 0..2 {
            bytes += fs::metadata(directory.join(format!("chan_{cpu}")))?.len();
            assert!(directory.join(format!("index/chan_{cpu}.idx")).is_file());
        }
        assert_eq!(counters.bytes, bytes);
        // A second drain adds one packet a stream, to mark the time; more events follow.
        for stream in &mut traced.streams {
            stream.small().unwrap();
        }
        consumer.drain();
        consumer.end_chunk();
        assert_complete(&out, &[&traced])?;
        assert!(consumer.close());
        Ok(())
    });
}

/// The wakeup pipe alone brings packets out; no timer, no request.
#[test]
fn a_full_sub_buffer_is_written_at_once() {
    isolated(here!(), |world| {
        let out = world.path("trace");
        let mut consumer = Consumer::into_directory(&out);
        let mut traced = Traced::new(1, "ust", SMALL);
        traced.append_metadata(LARGE_EVENT);
        traced.add_to(&mut consumer);
        for round in 1..=5 {
            let target = 33 * round;
            while traced.streams[0].value < target {
                traced.streams[0].large_blocking();
            }
            eventually("a packet is written", || {
                let len = fs::metadata(out.join("ust/chan_0"))?.len();
                Ok((len >= 16384 * round).then_some(()))
            })?;
        }
        Ok(())
    });
}

#[test]
fn timers_close_packets_and_look_for_them() {
    isolated(here!(), |world| {
        let out = world.path("trace");
        let mut consumer = Consumer::into_directory(&out);
        let mut switched = Traced::new(1, "switched", SMALL);
        let polled_shape = Shape {
            wakeup: Wakeup::ByTimer,
            ..SMALL
        };
        let mut polled = Traced::new(2, "polled", polled_shape);
        for stream in &mut switched.streams {
            stream.setup.switch_timer_us = 20_000;
        }
        for stream in &mut polled.streams {
            stream.setup.read_timer_us = 20_000;
            // A by-timer client never wakes; ours would.
            let (geometry, identity) = common_attach(stream);
            let writer = ring_buffer::Writer::attach(stream.memory.fd(), geometry, identity, None);
            stream.writer = Some(writer?);
        }
        for traced in [&mut switched, &mut polled] {
            traced.append_metadata(SMALL_EVENT);
            traced.append_metadata(LARGE_EVENT);
            traced.add_to(&mut consumer);
        }
        switched.streams[0].small().unwrap();
        for _ in 0..33 {
            polled.streams[1].large().unwrap();
        }
        for file in ["switched/chan_0", "polled/chan_1"] {
            eventually("the timer brings a packet", || {
                Ok((fs::metadata(out.join(file))?.len() > 0).then_some(()))
            })?;
        }
        Ok(())
    });
}

fn common_attach(
    stream: &common::TracedStream,
) -> (ring_buffer::Geometry, ring_buffer::StreamIdentity) {
    let setup = &stream.setup;
    let geometry =
        ring_buffer::Geometry::new(setup.subbuf_size, setup.subbuf_count, BufferMode::Discard)
            .unwrap();
    let identity = ring_buffer::StreamIdentity {
        uuid: common::UUID,
        channel_id: setup.channel_id,
        cpu: setup.cpu,
    };
    (geometry, identity)
}

#[test]
fn an_application_that_exits_ends_its_trace() {
    isolated(here!(), |world| {
        let out = world.path("trace");
        let mut consumer = Consumer::into_directory(&out);
        let mut traced = Traced::new(4, "ust/pid/app-1-x", SMALL);
        traced.ends_with_writers = true;
        traced.append_metadata(SMALL_EVENT);
        traced.append_metadata(LARGE_EVENT);
        traced.add_to(&mut consumer);
        for stream in &mut traced.streams {
            for _ in 0..50 {
                stream.large_blocking();
            }
            // Killed in the middle of an event; what comes after it in the buffer is lost.
            let writer = stream.writer.take().unwrap();
            drop(writer.reserve(30, ring_buffer::monotonic_now)?);
        }
        let Notice::TraceEnded { trace } = consumer.notice() else {
            panic!("the trace did not end");
        };
        assert_eq!(trace, traced.key);
        let counters = traced.delivered();
        assert!(counters.packets >= 4);
        assert_complete(&out, &[&traced])?;
        // A trace that is gone already is no error.
        consumer.ask(Request::EndTrace { trace }, &[]);
        assert_eq!(traced.delivered(), counters);
        assert!(consumer.close());
        Ok(())
    });
}

/// In a buffer of many applications nobody can tell that one was killed; the packets behind wait, until
/// nothing more can come.
#[test]
fn a_gap_that_a_killed_writer_left_costs_one_packet() {
    isolated(here!(), |world| {
        let out = world.path("trace");
        let mut consumer = Consumer::into_directory(&out);
        let mut traced = Traced::new(1, "ust", SMALL);
        traced.append_metadata(LARGE_EVENT);
        traced.add_to(&mut consumer);
        let stream = &mut traced.streams[0];
        for _ in 0..20 {
            stream.large().unwrap();
        }
        let writer = stream.writer.as_ref().unwrap();
        drop(writer.reserve(300, ring_buffer::monotonic_now)?);
        for _ in 20..80 {
            stream.large().unwrap();
        }
        consumer.drain();
        assert_eq!(fs::metadata(out.join("ust/chan_0"))?.len(), 0);
        consumer.end_chunk();
        let trace = Trace::read(&out)?;
        trace.assert_clean()?;
        let found: Vec<i64> = values(&trace).into_keys().collect();
        let first_behind = found[20];
        assert_eq!(found[..20], (0..20).collect::<Vec<_>>());
        assert!(first_behind > 20 && first_behind < 32);
        assert_eq!(found[20..], (first_behind..80).collect::<Vec<_>>());
        check_indexes(&out)?;
        Ok(())
    });
}

#[test]
fn limited_files_are_cut_between_packets_and_reused() {
    isolated(here!(), |world| {
        let out = world.path("trace");
        let mut consumer = Consumer::into_directory(&out);
        let mut traced = Traced::new(1, "kept", SMALL);
        let mut wrapped = Traced::new(2, "wrapped", SMALL);
        traced.streams[0].setup.tracefile_size = 40_000;
        wrapped.streams[0].setup.tracefile_size = 40_000;
        wrapped.streams[0].setup.tracefile_count = 3;
        for traced in [&mut traced, &mut wrapped] {
            traced.append_metadata(LARGE_EVENT);
            traced.add_to(&mut consumer);
            for _ in 0..1000 {
                traced.streams[0].large_blocking();
            }
        }
        consumer.drain();
        let files = |name: &str| -> Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in fs::read_dir(out.join(name))? {
                names.push(entry?.file_name().into_string().unwrap());
            }
            names.retain(|name| name.starts_with("chan_0"));
            names.sort();
            Ok(names)
        };
        assert_eq!(files("wrapped")?, ["chan_0_0", "chan_0_1", "chan_0_2"]);
        assert!(files("kept")?.len() > 10);
        for file in files("kept")? {
            assert!(fs::metadata(out.join("kept").join(file))?.len() <= 40_000);
        }
        // The files that were not reused hold everything.
        assert_complete(&out.join("kept"), &[&traced])?;
        let rest = Trace::read(&out.join("wrapped"))?;
        assert_eq!(rest.warnings, Vec::<String>::new());
        assert_eq!(values(&rest).keys().last(), Some(&999));
        Ok(())
    });
}

#[test]
fn discarded_events_and_lost_packets_are_counted() {
    isolated(here!(), |world| {
        let out = world.path("trace");
        fs::create_dir(&out)?;
        let mut discard = Traced::new(1, "discard", SMALL);
        let overwrite_shape = Shape {
            mode: BufferMode::Overwrite,
            ..SMALL
        };
        let mut overwrite = Traced::new(2, "overwrite", overwrite_shape);
        let mut dropped = 0;
        for traced in [&mut discard, &mut overwrite] {
            traced.append_metadata(LARGE_EVENT);
            for _ in 0..1000 {
                dropped += u64::from(traced.streams[0].large().is_err());
            }
        }
        assert!(dropped > 0);
        let mut consumer = Consumer::into_directory(&out);
        discard.add_to(&mut consumer);
        overwrite.add_to(&mut consumer);
        consumer.drain();
        assert_eq!(discard.delivered().discarded_events, dropped);
        let closed = 1000 / 31;
        assert_eq!(overwrite.delivered().lost_packets, closed - 3);
        let trace = Trace::read(&out.join("discard"))?;
        assert_eq!(trace.discarded, dropped);
        assert_eq!(trace.warnings, Vec::<String>::new());
        Ok(())
    });
}

#[test]
fn a_full_disk_is_told_and_leaves_whole_packets_and_the_buffers() {
    isolated(here!(), |world| {
        let out = world.small_disk("small", 256)?;
        let mut consumer = Consumer::into_directory(&out);
        let mut traced = Traced::new(1, "ust", SMALL);
        traced.append_metadata(LARGE_EVENT);
        traced.add_to(&mut consumer);
        // One packet more than there is room for without the metadata, and the next one begun.
        while traced.streams[0].value <= 17 * LARGE_IN_SMALL {
            traced.streams[0].large_blocking();
        }
        let Notice::OutputFailed(failure) = consumer.notice() else {
            panic!("the failure was not told");
        };
        assert!(
            failure.reason.contains("ust/chan_0") && failure.reason.contains("No space left"),
            "{}",
            failure.reason
        );
        let reason = consumer.try_ask(Request::Drain, &[]).unwrap_err();
        assert_eq!(reason, failure.reason);
        while traced.streams[0].large().is_ok() {}
        let trace = Trace::read(&out)?;
        assert_eq!(trace.warnings, Vec::<String>::new());
        check_indexes(&out)?;
        // Another consumer can have what was not written.
        let written = trace.events.len() as i64;
        assert!(!consumer.close());
        let elsewhere = world.path("elsewhere");
        fs::create_dir(&elsewhere)?;
        let mut second = Consumer::start();
        second.set_up_directory(&elsewhere);
        for stream in &mut traced.streams {
            stream.setup.resume = Some(Default::default());
        }
        traced.add_to(&mut second);
        second.drain();
        let rest = Trace::read(&elsewhere)?;
        assert_eq!(values(&rest).keys().next(), Some(&written));
        assert_eq!(
            values(&rest).keys().last(),
            Some(&(traced.streams[0].value as i64 - 1))
        );
        Ok(())
    });
}

#[test]
fn a_killed_consumer_is_replaced_without_gap_or_double() {
    isolated(here!(), |world| {
        let out = world.path("trace");
        fs::create_dir(&out)?;
        let mut traced = Traced::new(1, "ust", SMALL);
        traced.append_metadata(SMALL_EVENT);
        for round in 0..6 {
            let mut consumer = Consumer::into_directory(&out);
            traced.add_to(&mut consumer);
            if round == 0 {
                traced.append_metadata(LARGE_EVENT);
            }
            for n in 0..200 + 7 * round {
                for stream in &mut traced.streams {
                    stream.large_blocking();
                }
                if n == 100 {
                    consumer.drain();
                }
            }
            if round == 5 {
                consumer.drain();
                assert!(consumer.close());
            } else {
                consumer.kill();
            }
            for stream in &mut traced.streams {
                stream.setup.resume = Some(Default::default());
            }
        }
        assert_complete(&out, &[&traced])
    });
}

/// Killed at any moment, while the application goes on writing as fast as it can.
#[test]
fn kills_at_any_moment_double_nothing() {
    isolated(here!(), |world| {
        for mode in [BufferMode::Discard, BufferMode::Overwrite] {
            let out = world.path(&format!("{mode:?}"));
            fs::create_dir(&out)?;
            let shape = Shape {
                mode,
                cpus: 1,
                ..SMALL
            };
            let mut traced = Traced::new(1, "ust", shape);
            traced.append_metadata(LARGE_EVENT);
            let mut written = traced.streams[0].detach_writer();
            let done = AtomicBool::new(false);
            thread::scope(|scope| -> Result<()> {
                let (written, done) = (&mut written, &done);
                let application = scope.spawn(move || {
                    let mut recorded = Vec::new();
                    while !done.load(Ordering::Relaxed) {
                        let value = written.value as i64;
                        match written.large() {
                            Ok(()) => recorded.push(value),
                            // Gives way, or two busy processes leave the third no time.
                            Err(_) => thread::yield_now(),
                        }
                        if recorded.len() % 8 == 0 {
                            thread::sleep(Duration::from_micros(50));
                        }
                    }
                    recorded
                });
                let mut round = 0;
                // Until they have done something, however little time each of them gets.
                while round < 20 || traced.delivered().packets <= 20 {
                    let mut consumer = Consumer::into_directory(&out);
                    traced.add_to(&mut consumer);
                    traced.streams[0].setup.resume = Some(Default::default());
                    // Not to wait for anything, but to be killed at different moments.
                    thread::sleep(Duration::from_micros(3000 + 1117 * (round % 20)));
                    consumer.kill();
                    round += 1;
                }
                done.store(true, Ordering::Relaxed);
                let recorded = application.join().unwrap();
                let mut consumer = Consumer::into_directory(&out);
                traced.add_to(&mut consumer);
                consumer.drain();

                let trace = Trace::read(&out)?;
                assert_eq!(trace.warnings, Vec::<String>::new());
                let found: Vec<_> = trace
                    .events
                    .iter()
                    .map(|event| event.number("value").unwrap())
                    .collect();
                ensure!(found.len() > 500, "the consumers had nothing to do");
                match mode {
                    BufferMode::Discard => ensure!(found == recorded, "not what was written"),
                    BufferMode::Overwrite => {
                        ensure!(found.is_sorted_by(|a, b| a < b), "double or out of order");
                        ensure!(found.last() == recorded.last(), "the end is missing");
                    }
                }
                check_indexes(&out)?;
                Ok(())
            })?;
        }
        Ok(())
    });
}

#[test]
fn the_end_of_the_session_daemon_delivers_what_is_complete() {
    isolated(here!(), |world| {
        let out = world.path("trace");
        let mut consumer = Consumer::into_directory(&out);
        let mut traced = Traced::new(1, "ust", SMALL);
        traced.append_metadata(LARGE_EVENT);
        traced.add_to(&mut consumer);
        for _ in 0..64 {
            traced.streams[1].large().unwrap();
        }
        assert!(consumer.close());
        let trace = Trace::read(&out)?;
        trace.assert_clean()?;
        assert_eq!(trace.events.len(), 62);
        Ok(())
    });
}

#[test]
fn requests_that_make_no_sense_change_nothing() {
    isolated(here!(), |world| {
        let out = world.path("trace");
        fs::create_dir(&out)?;
        let mut consumer = Consumer::start();
        assert!(consumer.try_ask(Request::Drain, &[]).is_err());
        consumer.set_up_directory(&out);
        let mut traced = Traced::new(1, "ust", SMALL);
        traced.append_metadata(SMALL_EVENT);
        let setup = traced.streams[0].setup.clone();
        let no_trace = consumer.try_ask(Request::AddStream(setup), &[]);
        assert!(no_trace.unwrap_err().contains("descriptors"));
        let publish = Request::PublishTrace {
            trace: traced.key,
            unwritten: false,
        };
        assert!(consumer.try_ask(publish, &[]).is_err());
        for path in ["../escape", "/tmp/x", "a//b", ""] {
            let mut bad = Traced::new(9, path, SMALL);
            bad.append_metadata(SMALL_EVENT);
            let setup = consumer_api::TraceSetup {
                trace: bad.key,
                path: path.into(),
                uuid: common::UUID,
                ends_with_writers: false,
            };
            let memfd = rustix::fs::memfd_create("m", rustix::fs::MemfdFlags::CLOEXEC)?;
            let (_, tally) = ring_buffer::Tally::create(3)?;
            let fds = [memfd.as_fd(), tally.as_fd()];
            let error = consumer
                .try_ask(Request::AddTrace(setup), &fds)
                .unwrap_err();
            assert!(error.contains("not usable"), "{error}");
        }
        traced.add_to(&mut consumer);
        traced.streams[0].small().unwrap();
        consumer.drain();
        assert_complete(&out, &[&traced])
    });
}

/// Nothing happens: the process is not scheduled even once.
#[test]
fn an_idle_consumer_sleeps() {
    isolated(here!(), |world| {
        let out = world.path("trace");
        let mut consumer = Consumer::into_directory(&out);
        let mut traced = Traced::new(1, "ust", SMALL);
        traced.append_metadata(LARGE_EVENT);
        traced.add_to(&mut consumer);
        for _ in 0..64 {
            traced.streams[0].large().unwrap();
        }
        eventually("the packets are written", || {
            Ok((fs::metadata(out.join("ust/chan_0"))?.len() == 32768).then_some(()))
        })?;
        let switches = || -> Result<u64> {
            let mut sum = 0;
            for task in fs::read_dir(format!("/proc/{}/task", consumer.pid()))? {
                let status = fs::read_to_string(task?.path().join("status"))?;
                let counts = status.lines().filter(|line| line.contains("ctxt_switches"));
                for line in counts {
                    sum += line.rsplit('\t').next().unwrap().parse::<u64>()?;
                }
            }
            Ok(sum)
        };
        let mut before = switches()?;
        // It may still be on its way to sleep when the file has its length.
        eventually("it sleeps", || {
            thread::sleep(Duration::from_millis(300));
            let now = switches()?;
            let still = now == before;
            before = now;
            Ok(still.then_some(()))
        })?;
        Ok(())
    });
}
