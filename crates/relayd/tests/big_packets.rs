//! Big packets take another way from the socket to the file than small ones; what arrives is the same.

#[expect(dead_code, reason = "other tests use the rest")]
mod raw_peer;

use std::fs;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use raw_peer::{RawPeer, at_once, wait_closed};
use relay::{DataPacket, Minor, PacketIndex, Pending, Reply, Request, ReturnCode, StreamHandle};
use system_tests::Toolchain::Ours;
use system_tests::{Relay, eventually, here, isolated};

const TREE: &str = "ust/uid/0/64-bit";

/// A packet as it is sent, and as it has to be in the file.
fn packet(
    stream: StreamHandle,
    net_seq_num: u64,
    data_size: u32,
    padding_size: u32,
) -> (Vec<u8>, Vec<u8>) {
    let header = DataPacket {
        stream,
        net_seq_num,
        data_size,
        padding_size,
    };
    let payload: Vec<u8> = (0..data_size)
        .map(|nr| ((u64::from(nr) * 7 + net_seq_num) % 251) as u8)
        .collect();
    let sent = [&header.encode()[..], &payload].concat();
    let mut stored = payload;
    stored.resize(stored.len() + padding_size as usize, 0);
    (sent, stored)
}

fn index(stream: StreamHandle, net_seq_num: u64, stored: &[u8]) -> Request<'static> {
    let bits = stored.len() as u64 * 8;
    Request::SendIndex(PacketIndex {
        stream: stream.0,
        net_seq_num,
        packet_size_bits: bits,
        content_size_bits: bits,
        packet_seq_num: net_seq_num,
        ..PacketIndex::default()
    })
}

fn check(path: &Path, expected: &[u8]) -> Result<()> {
    let found = fs::read(path)?;
    let same = found.iter().zip(expected).take_while(|(a, b)| a == b);
    ensure!(
        found == expected,
        "{} bytes instead of {}, the first {} are right",
        found.len(),
        expected.len(),
        same.count()
    );
    Ok(())
}

#[test]
fn packets_of_all_sizes_however_they_are_cut() {
    const SIZES: [(u32, u32); 10] = [
        (1 << 20, 0),
        (3000, 1096),
        (200_000, 4_800),
        (65_536, 0),
        (0, 8192),
        (65_535, 1),
        (3 << 20, 100_000),
        (70_000, 0),
        (1, 0),
        (131_072, 0),
    ];
    isolated(here!(), |w| {
        let relay = w.relay(Ours)?;
        let mut peer = RawPeer::session(&relay, "s")?;
        let streams = [peer.add_stream(TREE, "c_0")?, peer.add_stream(TREE, "c_1")?];
        let mut sent = Vec::new();
        let mut expected = [Vec::new(), Vec::new()];
        for (nr, (data_size, padding_size)) in SIZES.into_iter().cycle().take(40).enumerate() {
            let (which, net_seq_num) = (nr % 2, nr as u64 / 2);
            let (bytes, stored) = packet(streams[which], net_seq_num, data_size, padding_size);
            peer.client
                .request(&index(streams[which], net_seq_num, &stored))?;
            sent.extend(bytes);
            expected[which].extend(stored);
        }
        // Pieces of odd lengths: headers are cut, and the beginnings of payloads come with them.
        let mut rest = &sent[..];
        for len in [1, 31, 40_000, 65_537, 200_003, 7, 1_000_003]
            .iter()
            .cycle()
        {
            let (piece, after) = rest.split_at(rest.len().min(*len));
            peer.data.write_all(piece)?;
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        let indexes = peer.client.take_output();
        peer.control.write_all(&indexes)?;
        for _ in 0..40 {
            ensure!(peer.reply()?.code().is_some());
        }
        for (nr, stream) in streams.into_iter().enumerate() {
            peer.wait_received(stream, 19)?;
            let tree = relay.output().join("raw/s").join(TREE);
            check(&tree.join(format!("c_{nr}")), &expected[nr])?;
        }
        relay.daemon().assert_no_complaints()
    });
}

/// The least that is big: both its parts are there before the relay daemon reads.
const LEAST: u32 = 64 * 1024;

/// Two packets of a stream, the second of which is read where the session's control connection is served; and
/// what they are in the file.
fn begun(relay: &Relay) -> Result<(RawPeer, StreamHandle, Vec<u8>)> {
    let mut peer = RawPeer::session(relay, "s")?;
    let stream = peer.add_stream(TREE, "c_0")?;
    let mut all = Vec::new();
    for nr in 0..2 {
        let (sent, stored) = packet(stream, nr, LEAST, 0);
        peer.data.write_all(&sent)?;
        peer.ok(&index(stream, nr, &stored))?;
        peer.wait_received(stream, nr)?;
        all.extend(stored);
    }
    Ok((peer, stream, all))
}

/// Sends bytes that the relay daemon does not read now, and waits until they are where it will.
fn send_ahead(data: &mut TcpStream, bytes: &[u8]) -> Result<()> {
    data.write_all(bytes)?;
    let peer = format!(":{:04X}", data.local_addr()?.port());
    eventually("all bytes have arrived", || {
        let sockets = fs::read_to_string("/proc/net/tcp")?;
        let theirs = sockets
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .find(|fields| fields.get(2).is_some_and(|remote| remote.ends_with(&peer)));
        let theirs = theirs.context("no such connection")?;
        let (_, unread) = theirs[4].split_once(':').context("no queues")?;
        Ok((usize::from_str_radix(unread, 16)? == bytes.len()).then_some(()))
    })
}

#[test]
fn big_packets_that_are_there_are_not_pending() {
    isolated(here!(), |w| {
        let relay = w.relay(Ours)?;
        let (mut peer, stream, mut all) = begun(&relay)?;
        for nr in 2..20 {
            let (sent, stored) = packet(stream, nr, LEAST, 0);
            peer.client.request(&index(stream, nr, &stored))?;
            peer.client.request(&Request::DataPending {
                stream,
                last_net_seq_num: nr,
            })?;
            let both = peer.client.take_output();
            at_once(&relay, || {
                peer.control.write_all(&both)?;
                send_ahead(&mut peer.data, &sent)
            })?;
            ensure!(peer.reply()? == Reply::Code(ReturnCode::OK));
            ensure!(peer.reply()? == Reply::Pending(Pending::No), "packet {nr}");
            all.extend(stored);
        }
        check(&relay.output().join("raw/s").join(TREE).join("c_0"), &all)
    });
}

#[test]
fn a_big_packet_from_before_the_end_is_stored() {
    isolated(here!(), |w| {
        let relay = w.relay(Ours)?;
        let (mut peer, stream, mut all) = begun(&relay)?;
        let (sent, stored) = packet(stream, 2, LEAST, 0);
        at_once(&relay, || {
            peer.control.shutdown(Shutdown::Write)?;
            send_ahead(&mut peer.data, &sent)
        })?;
        wait_closed(&mut peer.control)?;
        all.extend(stored);
        check(&relay.output().join("raw/s").join(TREE).join("c_0"), &all)?;
        relay.daemon().assert_no_complaints()
    });
}

#[test]
fn half_a_big_packet_is_cut_off() {
    isolated(here!(), |w| {
        let relay = w.relay(Ours)?;
        let mut peer = RawPeer::session(&relay, "s")?;
        let stream = peer.add_stream(TREE, "c_0")?;
        let (sent, first) = packet(stream, 0, 500_000, 0);
        peer.data.write_all(&sent)?;
        peer.ok(&index(stream, 0, &first))?;
        let (sent, _) = packet(stream, 1, 500_000, 0);
        peer.data.write_all(&sent[..300_000])?;
        peer.data.shutdown(Shutdown::Write)?;
        wait_closed(&mut peer.data)?;
        let path = relay.output().join("raw/s").join(TREE).join("c_0");
        eventually("the half packet is gone", || {
            Ok((fs::metadata(&path)?.len() == 500_000).then_some(()))
        })?;
        peer.data = RawPeer::connect(&relay, Minor::NEWEST)?.data;
        let (sent, second) = packet(stream, 1, 500_000, 0);
        peer.data.write_all(&sent)?;
        peer.ok(&index(stream, 1, &second))?;
        peer.wait_received(stream, 1)?;
        check(&path, &[first, second].concat())
    });
}

#[test]
fn big_packets_on_a_full_disk_end_only_their_session() {
    isolated(here!(), |w| {
        let disk = w.small_disk("disk", 4096)?;
        let relay = w.relay_into(Ours, &disk)?;
        let mut other = RawPeer::session(&relay, "other")?;
        let small = other.add_stream(TREE, "c_0")?;
        let mut peer = RawPeer::session(&relay, "s")?;
        let stream = peer.add_stream(TREE, "c_0")?;
        for nr in 0..10 {
            let (sent, _) = packet(stream, nr, 1 << 20, 0);
            if peer.data.write_all(&sent).is_err() {
                break;
            }
        }
        wait_closed(&mut peer.control)?;
        ensure!(relay.daemon().log().contains("No space left on device"));
        // The other one goes on once there is room, by the same pipe.
        fs::remove_file(disk.join("raw/s").join(TREE).join("c_0"))?;
        let (sent, stored) = packet(small, 0, 1 << 20, 0);
        other.data.write_all(&sent)?;
        other.ok(&index(small, 0, &stored))?;
        other.wait_received(small, 0)?;
        check(&disk.join("raw/other").join(TREE).join("c_0"), &stored)
    });
}
