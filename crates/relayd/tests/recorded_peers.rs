//! What a newer peer said, which no stock program here is: byte by byte, with the replies that its own relay daemon
//! gave.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use system_tests::Toolchain::Ours;
use system_tests::{Relay, check_indexes, eventually, here, isolated};

const RECORDING: &str = include_str!("recordings/lttng-2.15.txt");
const METADATA: &[u8] = include_bytes!("recordings/lttng-2.15-metadata.json");

/// The command of a control message, and those whose reply is a matter of time.
const COMMAND: std::ops::Range<usize> = 16..20;
const DATA_PENDING: u32 = 8;
const TRACE_CHUNK_EXISTS: u32 = 21;

fn bytes(hex: &str) -> Result<Vec<u8>> {
    let digits = hex.as_bytes().chunks(2);
    let byte = |pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?);
    digits.map(byte).collect()
}

/// `SEND_METADATA`, from "STREAM PADDING FROM BYTES".
fn metadata(line: &str) -> Result<Vec<u8>> {
    let numbers: Vec<usize> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
    let &[stream, padding, from, len] = &numbers[..] else {
        anyhow::bail!("{line}");
    };
    let mut message = vec![0; 8];
    message.extend((12 + len as u64).to_be_bytes());
    message.extend([6u32, 0].map(u32::to_be_bytes).concat());
    message.extend((stream as u64).to_be_bytes());
    message.extend((padding as u32).to_be_bytes());
    message.extend(&METADATA[from..from + len]);
    Ok(message)
}

struct Peer {
    control: TcpStream,
    data: Option<TcpStream>,
    /// The last request that has a reply.
    asked: Vec<u8>,
}

impl Peer {
    fn play(&mut self, relay: &Relay, line: &str) -> Result<()> {
        let (side, rest) = line.split_once(' ').context("no message")?;
        match (side, rest.strip_prefix("metadata ")) {
            ("C>", Some(part)) => self.control.write_all(&metadata(part)?)?,
            ("C>", None) => {
                self.asked = bytes(rest)?;
                self.control.write_all(&self.asked)?;
            }
            ("C<", _) => self.expect(&bytes(rest)?)?,
            ("D>", _) => {
                let data = match &mut self.data {
                    Some(data) => data,
                    None => {
                        let [_, port, _] = relay.ports();
                        let data = TcpStream::connect(("127.0.0.1", port))?;
                        self.data.insert(data)
                    }
                };
                data.write_all(&bytes(rest)?)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The reply is this one, now or, where it depends on how far the relay daemon is, soon.
    fn expect(&mut self, reply: &[u8]) -> Result<()> {
        let command = u32::from_be_bytes(self.asked[COMMAND].try_into()?);
        let may_change = matches!(command, DATA_PENDING | TRACE_CHUNK_EXISTS);
        eventually("the reply is the recorded one", || {
            let mut got = vec![0; reply.len()];
            self.control.read_exact(&mut got)?;
            if got == reply {
                return Ok(Some(()));
            }
            ensure!(may_change, "command {command}: {got:x?}, not {reply:x?}");
            self.control.write_all(&self.asked)?;
            Ok(None)
        })
    }
}

fn files(root: &Path, directory: &Path, found: &mut BTreeMap<String, u64>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            files(root, &path, found)?;
        } else {
            let name = path.strip_prefix(root)?.display().to_string();
            found.insert(name, fs::metadata(&path)?.len());
        }
    }
    Ok(())
}

#[test]
fn a_session_of_lttng_2_15_with_ctf_2() {
    isolated(here!(), |w| {
        let relay = w.relay(Ours)?;
        let [control, ..] = relay.ports();
        let mut peer = Peer {
            control: TcpStream::connect(("127.0.0.1", control))?,
            data: None,
            asked: Vec::new(),
        };
        let (notes, messages): (Vec<_>, Vec<_>) = RECORDING
            .lines()
            .filter(|line| !line.starts_with('#'))
            .partition(|line| line.starts_with("F "));
        for (number, line) in messages.iter().enumerate() {
            peer.play(&relay, line)
                .with_context(|| format!("message {number}: {line}"))?;
        }
        drop(peer);
        let mut expected = BTreeMap::new();
        for note in notes {
            let [_, name, len] = note.split(' ').collect::<Vec<_>>()[..] else {
                anyhow::bail!("{note}");
            };
            expected.insert(name.to_owned(), len.parse()?);
        }
        let mut found = BTreeMap::new();
        files(relay.output(), relay.output(), &mut found)?;
        ensure!(found == expected, "{found:#?}");
        for name in found.keys().filter(|name| name.ends_with("/metadata")) {
            ensure!(fs::read(relay.output().join(name))? == METADATA, "{name}");
        }
        check_indexes(relay.output())?;
        relay.daemon().assert_no_complaints()
    });
}
