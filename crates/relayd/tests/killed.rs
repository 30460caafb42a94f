//! A daemon that is killed in the middle of everything, and the one that is started after it.

mod own_relay;
#[expect(dead_code, reason = "other tests use the rest")]
mod raw_peer;

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use ctf::index::IndexFile;
use ctf::packet::{MAGIC, RawCommon, RawHeader64};
use own_relay::OwnRelay;
use raw_peer::{DATA_SIZE, PACKET_SIZE, PADDING_SIZE, RawPeer};
use relay::{DataPacket, METADATA_NAME, Minor, Request, StreamHandle};
use system_tests::{Signal, World, eventually, here, isolated, signal};
use zerocopy::IntoBytes;

const TREE: &str = "ust/uid/0/64-bit";
const OTHER_TREE: &str = "ust/uid/1/64-bit";
const METADATA: &[u8] = b"/* CTF 1.8 */";

fn start(w: &World) -> Result<OwnRelay> {
    let rundir = w.path("rundir");
    let rundir = rundir.to_str().context("no UTF-8")?;
    OwnRelay::start(w, "a", &[], &[("LTTNG_RUNDIR", rundir)])
}

/// The files in the run directory in which daemons note their sessions.
fn journals(w: &World) -> Result<usize> {
    let names = fs::read_dir(w.path("rundir/relayd"))?.flatten();
    let is_journal = |name: &str| name.starts_with("sessions-");
    Ok(names
        .filter(|entry| is_journal(&entry.file_name().to_string_lossy()))
        .count())
}

/// A packet as an application writes it, with what has to be sent before it.
fn packet(stream: StreamHandle, number: u64) -> Vec<u8> {
    let header = RawHeader64 {
        common: RawCommon {
            magic: MAGIC.into(),
            uuid: [7; 16],
            stream_id: 0.into(),
            stream_instance_id: 1.into(),
            timestamp_begin: (number * 10).into(),
            timestamp_end: (number * 10 + 9).into(),
            content_size: (u64::from(DATA_SIZE) * 8).into(),
            packet_size: (PACKET_SIZE * 8).into(),
            packet_seq_num: number.into(),
        },
        events_discarded: 5.into(),
        cpu_id: 1.into(),
    };
    let mut bytes = RawPeer::header(stream, number).to_vec();
    let begin = bytes.len();
    bytes.extend_from_slice(header.as_bytes());
    bytes.resize(begin + DATA_SIZE as usize, 1);
    bytes
}

fn len(path: &Path) -> Result<u64> {
    Ok(fs::metadata(path)?.len())
}

fn metadata(peer: &mut RawPeer, tree: &str, text: &[u8]) -> Result<()> {
    let stream = peer.add_stream(tree, METADATA_NAME)?;
    if !text.is_empty() {
        peer.client.request(&Request::SendMetadata {
            stream,
            padding_size: 0,
            bytes: text,
        })?;
        peer.control.write_all(&peer.client.take_output())?;
    }
    Ok(())
}

/// Whole packets stay, also the one that has no index; half a packet goes, and so do metadata that had not come.
#[test]
fn what_a_killed_daemon_was_writing_is_mended() {
    isolated(here!(), |w| {
        let relay = start(w)?;
        ensure!(journals(w)? == 1);
        let ports = ["control", "data"].map(|name| relay.port(name));
        let [control, data] = ports;
        let mut peer = RawPeer::connect_to(control?, data?, Minor::NEWEST)?;
        peer.create_session("s", "")?;
        peer.create_chunk(0)?;
        metadata(&mut peer, TREE, METADATA)?;
        metadata(&mut peer, OTHER_TREE, b"")?;
        let stream = peer.add_stream(TREE, "c_0")?;
        peer.data.write_all(&packet(stream, 0))?;
        peer.index(stream, 0)?;
        peer.wait_received(stream, 0)?;
        peer.data.write_all(&packet(stream, 1))?;
        // So much of it that it does not wait in memory.
        let half = DataPacket {
            stream,
            net_seq_num: 2,
            data_size: 4 << 20,
            padding_size: PADDING_SIZE,
        };
        peer.data.write_all(&half.encode())?;
        peer.data.write_all(&vec![9; 2 << 20])?;
        let session = relay.output.join("raw/s");
        let file = session.join(TREE).join("c_0");
        let index = session.join(TREE).join("index/c_0.idx");
        eventually("half a packet", || {
            Ok((len(&file)? > 2 * PACKET_SIZE && len(&index).is_ok()).then_some(()))
        })?;
        signal(relay.pid(), Signal::KILL)?;
        drop(relay);

        let mut relay = start(w)?;
        let mended = || {
            Ok(relay
                .log()
                .contains("killed was writing raw/s")
                .then_some(()))
        };
        eventually("it tells", mended)?;
        ensure!(len(&file)? == 2 * PACKET_SIZE, "{}", len(&file)?);
        ensure!(fs::read(session.join(TREE).join(METADATA_NAME))? == METADATA);
        ensure!(!session.join(OTHER_TREE).join(METADATA_NAME).exists());
        let index = fs::read(index)?;
        let records: Vec<_> = IndexFile::parse(&index)?.records().collect();
        ensure!(records.len() == 2, "{records:?}");
        ensure!(records[1].offset_bytes == PACKET_SIZE && records[1].timestamp_end == 19);
        ensure!(records[1].events_discarded == 5);
        relay.stop()?;
        ensure!(journals(w)? == 0, "the journal stays");
        Ok(())
    });
}
