//! `lttng-relayd --status`: what a running daemon does, for people.

use std::fmt::Write;
use std::fs;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};

use super::Oracle;
use crate::rundir;
use crate::settings::Settings;

/// Of the socket, before the process id.
pub(super) const NAME: &str = "status";
/// How long the daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks the daemons of this machine that this user may ask.
pub(crate) fn ask(settings: &Settings) -> anyhow::Result<String> {
    if let Some(path) = &settings.status_socket {
        return ask_one(path).with_context(|| format!("no answer on {}", path.display()));
    }
    let own = settings.run_directory.as_deref();
    let own = own.context("no run directory: set LTTNG_RUNDIR or LTTNG_HOME")?;
    // Members of the tracing group may ask the system's daemons too.
    let system = rundir::system();
    let mut directories = vec![own];
    if own != system && places::named_run_directory().is_none() {
        directories.push(&system);
    }
    let mut answers = Vec::new();
    let mut silent = Vec::new();
    for path in directories
        .iter()
        .flat_map(|directory| sockets_in(directory))
    {
        match ask_one(&path) {
            Ok(answer) => answers.push(answer),
            Err(error) => silent.push(format!("; {}: {error}", path.display())),
        }
    }
    if answers.is_empty() {
        let silent = silent.concat();
        let places: Vec<_> = directories
            .iter()
            .map(|path| path.to_string_lossy())
            .collect();
        bail!("no relay daemon answers in {}{silent}", places.join(" or "));
    }
    Ok(answers.join("\n"))
}

fn sockets_in(directory: &Path) -> Vec<PathBuf> {
    let prefix = format!("{NAME}-");
    let is_socket = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(&prefix))
    };
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(is_socket)
        .collect();
    paths.sort();
    paths
}

fn ask_one(path: &Path) -> std::io::Result<String> {
    let mut socket = UnixStream::connect(path)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The daemon's side.
pub(super) fn answer(oracle: &Oracle) -> String {
    let relay = &oracle.relay;
    let facts = &oracle.facts;
    let summary = relay.register.summary();
    let total = &summary.total;
    let mut page = Page::default();
    let up = summary.uptime_s;
    let _ = writeln!(
        page.0,
        "lttng-relayd {}, process {}, up {}:{:02}:{:02}",
        env!("CARGO_PKG_VERSION"),
        std::process::id(),
        up / 3600,
        up / 60 % 60,
        up % 60
    );
    page.line("output", &relay.output.root().display());
    page.line("confinement", &facts.confinement);
    for (name, address) in &facts.ports {
        page.line(name, address);
    }
    let (sessions, created) = (summary.sessions.len(), summary.sessions_created);
    page.line(
        "sessions",
        &format!("{sessions} now, {created} since the start"),
    );
    let (streams, created) = (relay.stream_count(), total.streams);
    page.line(
        "streams",
        &format!("{streams} now, {created} since the start"),
    );
    let (connections, most) = (oracle.workers.connections(), facts.max_connections);
    page.line("connections", &format!("{connections} now, {most} at most"));
    page.line("viewers", &oracle.viewers.connections());
    let (files, most) = (relay.pool.open_files(), relay.pool.most_files());
    page.line("open files", &format!("{files} now, {most} at most"));
    let (packets, bytes) = (total.packets, total.packet_bytes);
    page.line("packets", &format!("{packets}, {bytes} bytes"));
    page.line("metadata", &format!("{} bytes", total.metadata_bytes));
    page.line("events discarded", &total.events_discarded);
    let within = |share| match total.write_quantile_us(share) {
        Some(us) => format!("{us} us"),
        None => "-".to_owned(),
    };
    page.line(
        "writes",
        &format!(
            "{}, half within {}, 99 of 100 within {}",
            total.all_writes(),
            within(0.5),
            within(0.99)
        ),
    );
    let errors = relay.register.errors.by_kind();
    let errors = errors.map(|(kind, count)| format!("{} {count}", kind.replace('_', " ")));
    page.line("errors", &errors.join(", "));
    if sessions > 0 {
        let _ = writeln!(page.0, "\n  ID  SESSION (PEER, PROTOCOL)");
    }
    for session in &summary.sessions {
        let counts = session.counters.now();
        let _ = writeln!(
            page.0,
            "{:>4}  {} ({}, {}){}\n      {} streams, {} packets, {} bytes, {} events discarded",
            session.id,
            session.name,
            session.address,
            session.minor,
            if session.is_ending() { " ends" } else { "" },
            counts.streams,
            counts.packets,
            counts.packet_bytes,
            counts.events_discarded,
        );
    }
    page.0
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, name: &str, value: &dyn std::fmt::Display) {
        // Writing into a string cannot fail.
        let _ = writeln!(self.0, "{name:<18}{value}");
    }
}
