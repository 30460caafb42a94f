//! Many streaming sessions started together: when are the first events of each at the collector?

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use system_tests::trees_with_metadata;

use crate::Settings;
use crate::place::{Place, Route};
use crate::table::{Side, Table, Unit};

const LIMIT: Duration = Duration::from_secs(60);

/// The timer brings events out every 0.1 s, so about that long is the least there can be.
///
/// A session counts once its directory at the collector holds metadata and a packet with events, that is,
/// once a reader there can read events. Stock sends metadata before the stop only in live sessions, ours in
/// every session: hence the different options.
pub(crate) fn measure(side: Side, settings: &Settings, table: &mut Table) -> Result<()> {
    let place = Place::new(side)?;
    let mut waiting: Vec<PathBuf> = Vec::new();
    for number in 0..settings.sessions {
        let (option, dir) = place.output(Route::Network, &format!("s{number}"));
        let (live, timer) = match side {
            Side::Stock => ("--live=100000", ""),
            Side::Ours => ("", "--switch-timer=100000"),
        };
        place.target.script(&format!(
            "create s{number} {option} {live}
             enable-channel -u c {timer} --subbuf-size=16k
             enable-event -u -c c emitter:small"
        ))?;
        waiting.push(dir);
    }
    for number in 0..settings.sessions {
        place.target.lttng(&format!("start s{number}"))?.ok()?;
    }
    let args = "--events 200 --rate 200 --quiet";
    let mut app = place
        .world
        .app(args)
        .env("LTTNG_UST_REGISTER_TIMEOUT", "-1")
        .start()?;
    app.begin_round()?;
    let begin = Instant::now();
    let mut last = Duration::ZERO;
    while !waiting.is_empty() {
        if begin.elapsed() > LIMIT {
            bail!(
                "{} sessions without an event after {LIMIT:?}",
                waiting.len()
            );
        }
        waiting.retain(|dir| !(has_metadata(dir) && has_events(dir)));
        last = begin.elapsed();
        std::thread::sleep(Duration::from_millis(2));
    }
    app.end_round(LIMIT)?;
    app.finish()?;
    let name = format!(
        "{} streaming sessions: first events of the last",
        settings.sessions
    );
    table.add(side, &name, Unit::Seconds, last.as_secs_f64());
    place.close()
}

fn has_metadata(dir: &Path) -> bool {
    trees_with_metadata(dir).is_ok_and(|trees| !trees.is_empty())
}

/// Whether a packet with events arrived: more than the 84 bytes of a packet's header and context.
fn has_events(dir: &Path) -> bool {
    let Ok(entries) = fs::read_dir(dir) else {
        return false;
    };
    entries.flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return has_events(&path);
        }
        let is_index = path.extension().is_some_and(|extension| extension == "idx");
        is_index && fs::read(&path).is_ok_and(|bytes| index_has_events(&bytes))
    })
}

/// A header of 16 bytes, then records of 72 bytes whose third word is the size of the content in bits.
fn index_has_events(bytes: &[u8]) -> bool {
    bytes
        .get(16..)
        .unwrap_or_default()
        .chunks_exact(72)
        .any(|record| {
            let content = record
                .get(16..24)
                .and_then(|word| word.try_into().ok())
                .map(u64::from_be_bytes);
            content.is_some_and(|bits| bits > 84 * 8)
        })
}
