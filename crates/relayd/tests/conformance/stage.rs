//! Two relay daemons play the same scene; what they say and write is compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use anyhow::{Context, Result, ensure};
use relay::{MAJOR, Minor, Request};
use system_tests::Toolchain::{Ours, Stock};
use system_tests::{DEADLINE, Signal, Toolchain, World, eventually, signal};

use crate::peer::{Peer, hex, session};

const PORTS: [u16; 3] = [7100, 7101, 7102];
const INDEX_HEADER_LEN: usize = 16;
/// Of sessions: what follows `20` in their years, months and days.
const TOLD_TIMES: [&str; 2] = ["231114", "261122"];

/// What is played, and what came of it.
pub(crate) struct Stage {
    pub(crate) lines: Vec<String>,
    /// What is played at the moment.
    scene: String,
}

/// For names of files.
static COMPARED: AtomicUsize = AtomicUsize::new(0);

/// Plays `scenes` with both, each with `options`, and compares.
pub(crate) fn compare(
    w: &World,
    options: &[&str],
    scenes: impl Fn(&mut Stage) -> Result<()>,
) -> Result<()> {
    let play = |toolchain: Toolchain| -> Result<(Vec<String>, BTreeMap<PathBuf, String>)> {
        let name = format!("{}-{}", toolchain.name(), COMPARED.fetch_add(1, Relaxed));
        let output = w.path(&format!("{name}.out"));
        let log = w.path(&format!("{name}.log"));
        let mut daemon = start(toolchain, &output, &log, options)?;
        let mut stage = Stage {
            lines: Vec::new(),
            scene: String::new(),
        };
        let played = scenes(&mut stage);
        signal(daemon.id(), Signal::TERM)?;
        let status = daemon.wait()?;
        let said = fs::read_to_string(&log).unwrap_or_default();
        played.with_context(|| format!("{toolchain:?}, {}\n{said}", stage.scene))?;
        ensure!(status.success(), "{toolchain:?}: {status}\n{said}");
        Ok((stage.lines, tree(&output)?))
    };
    let (stock_lines, stock_tree) = play(Stock)?;
    let (our_lines, our_tree) = play(Ours)?;
    ensure!(!stock_lines.is_empty(), "nothing was played");
    let mut different = Vec::new();
    let mut scene = "";
    for (stock, ours) in stock_lines.iter().zip(&our_lines) {
        if stock.starts_with("==") {
            scene = stock;
        }
        if stock != ours {
            different.push(format!("{scene}\n  stock {stock}\n  ours  {ours}"));
        }
    }
    for path in stock_tree
        .keys()
        .chain(our_tree.keys())
        .collect::<BTreeSet<_>>()
    {
        let (stock, ours) = (stock_tree.get(path), our_tree.get(path));
        if stock != ours {
            different.push(format!(
                "{}:\n  stock {stock:?}\n  ours  {ours:?}",
                path.display()
            ));
        }
    }
    let is_same = different.is_empty() && stock_lines.len() == our_lines.len();
    ensure!(is_same, "\n{}", different.join("\n"));
    Ok(())
}

fn start(toolchain: Toolchain, output: &Path, log: &Path, options: &[&str]) -> Result<Child> {
    let log = fs::File::create(log)?;
    let url = |port: u16| format!("tcp://127.0.0.1:{port}");
    let daemon = Command::new(toolchain.program("lttng-relayd")?)
        .args([
            "-C",
            &url(PORTS[0]),
            "-D",
            &url(PORTS[1]),
            "-L",
            &url(PORTS[2]),
        ])
        .arg("--output")
        .arg(output)
        .args(options)
        .env("TZ", "UTC")
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    eventually("it listens", || {
        Ok(PORTS[..2]
            .iter()
            .all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok())
            .then_some(()))
    })?;
    Ok(daemon)
}

/// Every file and its content; every empty directory.
fn tree(root: &Path) -> Result<BTreeMap<PathBuf, String>> {
    let mut found = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(directory) = left.pop() {
        let Ok(entries) = fs::read_dir(&directory) else {
            continue;
        };
        let mut is_empty = true;
        for entry in entries {
            is_empty = false;
            let path = entry?.path();
            if path.is_dir() {
                left.push(path);
            } else {
                let content = fs::read(&path)?;
                // Stock makes the index file before there is an index.
                let is_index = path.extension().is_some_and(|end| end == "idx");
                if !is_index || content.len() > INDEX_HEADER_LEN {
                    found.insert(without_now(path.strip_prefix(root)?), hex(&content));
                }
            }
        }
        // Deeper ones are made earlier or later, before there is something in them.
        if is_empty && directory.strip_prefix(root)?.components().count() == 2 {
            found.insert(
                directory.strip_prefix(root)?.to_owned(),
                "directory".to_owned(),
            );
        }
    }
    Ok(found)
}

/// A path without the time at which it was made, where that is no time that a peer has told.
fn without_now(path: &Path) -> PathBuf {
    path.components()
        .map(|component| {
            let name = component.as_os_str().to_string_lossy();
            match name.split_once("host-20") {
                Some(("", time)) if !TOLD_TIMES.contains(&&time[..time.len().min(6)]) => {
                    "host-NOW".to_owned()
                }
                _ => name.into_owned(),
            }
        })
        .collect()
}

impl Stage {
    /// A peer that has said nothing yet.
    pub(crate) fn silent(&mut self, scene: &str) -> Result<Peer<'_>> {
        self.scene = scene.to_owned();
        self.lines.push(format!("== {scene}"));
        let connect = |port| -> Result<TcpStream> {
            let socket = TcpStream::connect(("127.0.0.1", port))?;
            socket.set_read_timeout(Some(DEADLINE))?;
            socket.set_nodelay(true)?;
            Ok(socket)
        };
        Ok(Peer {
            control: connect(PORTS[0])?,
            data: connect(PORTS[1])?,
            minor: Minor(0),
            closed: false,
            stage: self,
        })
    }

    /// A peer that has told its version.
    pub(crate) fn peer(&mut self, scene: &str, minor: u32) -> Result<Peer<'_>> {
        let mut peer = self.silent(scene)?;
        peer.minor = Minor(minor);
        let version = Request::Version {
            major: MAJOR,
            minor: Minor(minor),
        };
        peer.ask("version", &version)?;
        Ok(peer)
    }

    /// A peer in a session of its own, in trace chunk 0 if there are any.
    pub(crate) fn session(&mut self, scene: &str, minor: u32) -> Result<Peer<'_>> {
        // Ours gives a session that has the name of another a directory of its own.
        let number = self.lines.len();
        let name = scene.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let name = format!("{name}_{number}");
        let mut peer = self.peer(scene, minor)?;
        peer.create(&session(&name))?;
        if minor >= 11 {
            peer.create_chunk(0, None)?;
        }
        Ok(peer)
    }
}
