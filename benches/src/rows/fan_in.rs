//! Many targets at one relay daemon.

use std::time::Duration;

use anyhow::{Result, ensure};
use system_tests::{Relay, World, cpu_seconds, eventually, peak_rss_kib, process_state};

use crate::Settings;
use crate::load::{Load, Plan, Ports, STREAMS, Sent, Sizes, sizes_below};
use crate::table::{Side, Table, Unit};

/// Index files of stock 2.13 peers.
const INDEX_HEADER: u64 = 16;
const INDEX_RECORD: u64 = 72;
/// What one measurement sends, if that makes at least a packet for each target; packets are capped, so that
/// small ones do not take for ever.
const BYTES: u64 = 2 << 30;
const MOST_PACKETS: u64 = 250_000;
/// A relay daemon that is not done then is measured by what it has done.
const LIMIT: Duration = Duration::from_secs(20);
const QUICK_LIMIT: Duration = Duration::from_secs(4);

pub(crate) fn measure(side: Side, settings: &Settings, table: &mut Table) -> Result<()> {
    for &packet_size in &settings.packet_sizes {
        for &targets in &settings.targets {
            measure_one(side, settings, table, targets, packet_size)?;
        }
    }
    Ok(())
}

fn measure_one(
    side: Side,
    settings: &Settings,
    table: &mut Table,
    targets: usize,
    packet_size: u32,
) -> Result<()> {
    let mut world = World::new()?;
    let relay = world.relay(side.toolchain())?;
    let pid = relay.daemon().pid();
    let [control, data, _] = relay.ports();
    let name = format!("fan-in, {} x {targets}", size_name(packet_size));
    let mut add = |what: &str, unit, value| {
        table.add(side, &format!("{name}: {what}"), unit, value);
    };

    let mut load = Load::connect(Ports { control, data }, targets)?;
    let connected = cpu_seconds(pid);
    add(
        "setting up a target",
        Unit::CpuMilliseconds,
        connected * 1e3 / targets as f64,
    );
    let packets = settings.amount((BYTES / u64::from(packet_size)).min(MOST_PACKETS));
    let plan = Plan {
        packet_size,
        packets_per_target: packets.div_ceil(targets as u64),
        window: settings.in_flight,
        limit: if settings.quick { QUICK_LIMIT } else { LIMIT },
    };
    let sent = load.send(plan)?;
    let cpu = cpu_seconds(pid) - connected;
    if sent.complete {
        check_files(&relay, targets, &sent)?;
    } else {
        eprintln!("{name}: not done after {:?}", plan.limit);
    }
    if sent.packets > 0 {
        let gigabytes = sent.bytes as f64 / 1e9;
        add(
            "throughput",
            Unit::MegabytesPerSecond,
            gigabytes * 1e3 / sent.took.as_secs_f64(),
        );
        add("relay daemon", Unit::CpuSecondsPerGb, cpu / gigabytes);
        add(
            "a packet and its index",
            Unit::CpuMicroseconds,
            cpu * 1e6 / sent.packets as f64,
        );
    }
    add(
        "peak memory",
        Unit::Mebibytes,
        peak_rss_kib(pid) as f64 / 1024.0,
    );
    if sent.complete {
        let milliseconds = |took: Duration| took.as_secs_f64() * 1e3;
        add(
            "rotation of one target",
            Unit::Milliseconds,
            milliseconds(load.rotate(0)?),
        );
        add(
            "end of one target",
            Unit::Milliseconds,
            milliseconds(load.destroy(0)?),
        );
    }
    drop(load);
    if sent.complete {
        relay.daemon().terminate()?;
    } else {
        // It may still be busy with what it was sent.
        relay.daemon().kill()?;
    }
    // Its listening sockets go with its last thread.
    eventually("the relay daemon is gone", || {
        Ok(process_state(pid).is_none().then_some(()))
    })?;
    std::fs::remove_dir_all(relay.output())?;
    Ok(())
}

/// Every byte has to be on the disk.
fn check_files(relay: &Relay, targets: usize, sent: &Sent) -> Result<()> {
    let streams = (targets * STREAMS) as u64;
    let found = sizes_below(relay.output())?;
    let with_packets = streams.min(sent.packets);
    let expected = Sizes {
        data: sent.bytes,
        index: with_packets * INDEX_HEADER + sent.packets * INDEX_RECORD,
    };
    ensure!(
        found == expected,
        "on disk {found:?}, expected {expected:?}"
    );
    Ok(())
}

fn size_name(bytes: u32) -> String {
    match bytes {
        0..0x10_0000 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}
