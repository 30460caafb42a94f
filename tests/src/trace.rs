//! Traces as babeltrace2 reads them.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::check_indexes;
use crate::peers::require;
use crate::process::run;

/// One event of a trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Nanoseconds since the Unix epoch.
    pub time_ns: u64,
    /// Host name of the trace.
    pub host: String,
    /// `PROVIDER:NAME`.
    pub name: String,
    /// The brace groups before the payload, joined: packet context, stream context, event context.
    pub context: String,
    /// The payload, `{ ... }`.
    pub fields: String,
}

impl Event {
    /// `NAME: { FIELDS }`, as the emitter prints its events.
    pub fn line(&self) -> String {
        format!("{}: {}", self.name, self.fields)
    }

    /// The number in field `name` of the payload or the context.
    pub fn number(&self, name: &str) -> Option<i64> {
        let key = format!(" {name} = ");
        [&self.fields, &self.context].iter().find_map(|scope| {
            let (_, rest) = scope.split_once(&key)?;
            rest.split([',', ' ']).next()?.parse().ok()
        })
    }
}

/// A trace, read whole.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// In the order of time.
    pub events: Vec<Event>,
    /// Events that the trace says were discarded.
    pub discarded: u64,
    /// Streams that begin when events had been discarded already, as they do in places that a session went to
    /// later. How many these were, babeltrace2 cannot tell.
    pub discarded_before: u64,
    /// Packets that the trace says were lost.
    pub lost_packets: u64,
    /// Whatever else babeltrace2 had to say: there should be nothing.
    pub warnings: Vec<String>,
}

impl Trace {
    /// Reads everything below `dir`; fails if babeltrace2 does.
    pub fn read(dir: &Path) -> Result<Self> {
        let mut trace = Self::default();
        for tree in trees_with_metadata(dir)? {
            trace.add(&tree)?;
        }
        trace.events.sort_by_key(|event| event.time_ns);
        Ok(trace)
    }

    fn add(&mut self, tree: &Path) -> Result<()> {
        let output = run(Command::new(require("babeltrace2")?)
            .args(["--clock-seconds", "--no-delta"])
            .arg(tree))?
        .ok()?;
        for line in output.stdout.lines() {
            self.events
                .push(parse_event(line).with_context(|| format!("babeltrace2 printed {line:?}"))?);
        }
        for line in output.stderr.lines().filter(|line| !line.trim().is_empty()) {
            match parse_loss(line) {
                // The tracer's count may step back from one packet to the next (a writer that was preempted
                // closes its sub-buffer late); babeltrace2 then shows a difference of 2^64 - N. The sum of
                // the differences is right all the same.
                Some((count, "event")) => self.discarded = self.discarded.wrapping_add(count),
                Some((count, _)) => self.lost_packets += count,
                None if line.contains("Tracer may have discarded events") => {
                    self.discarded_before += 1;
                }
                None => self.warnings.push(line.to_owned()),
            }
        }
        Ok(())
    }

    /// Every event as [`Event::line`], sorted.
    pub fn sorted_lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.events.iter().map(Event::line).collect();
        lines.sort();
        lines
    }

    /// How many events are called `name`.
    pub fn count(&self, name: &str) -> usize {
        self.events
            .iter()
            .filter(|event| event.name == name)
            .count()
    }

    /// Fails if babeltrace2 had anything to say beyond the events.
    pub fn assert_clean(&self) -> Result<()> {
        self.assert_readable()?;
        ensure!(
            (self.discarded, self.discarded_before, self.lost_packets) == (0, 0, 0),
            "{} events discarded, and before {} streams began; {} packets lost",
            self.discarded,
            self.discarded_before,
            self.lost_packets
        );
        Ok(())
    }

    /// Fails unless so many events were discarded, as far as babeltrace2 can tell.
    pub fn assert_discarded(&self, events: u64) -> Result<()> {
        ensure!(
            self.discarded == events || self.discarded_before > 0 && self.discarded < events,
            "babeltrace2 says of {} events that they were discarded, and nothing of those before {} streams began; \
             they were {events}",
            self.discarded,
            self.discarded_before,
        );
        Ok(())
    }

    /// Fails if babeltrace2 had anything to say beyond the events and what was lost.
    pub fn assert_readable(&self) -> Result<()> {
        let warnings = self.warnings.join("\n");
        ensure!(warnings.is_empty(), "babeltrace2 says: {warnings}");
        Ok(())
    }

    /// Fails unless the events are exactly `lines` (any order), and says what differs.
    pub fn assert_lines(&self, lines: &[String]) -> Result<()> {
        let mut expected = lines.to_vec();
        expected.sort();
        let found = self.sorted_lines();
        if found == expected {
            return Ok(());
        }
        let missing: Vec<_> = expected
            .iter()
            .filter(|line| found.binary_search(line).is_err())
            .take(5)
            .collect();
        let extra: Vec<_> = found
            .iter()
            .filter(|line| expected.binary_search(line).is_err())
            .take(5)
            .collect();
        bail!(
            "{} events found, {} expected\nonly expected: {missing:#?}\nonly found: {extra:#?}",
            found.len(),
            expected.len()
        )
    }

    /// Fails unless each thread's events come in the order it emitted them.
    pub fn assert_in_order(&self) -> Result<()> {
        let mut last = std::collections::HashMap::new();
        for event in &self.events {
            let (Some(thread), Some(n)) = (event.number("thread"), event.number("n")) else {
                continue;
            };
            let previous = last.insert(thread, n);
            if previous.is_some_and(|previous| previous > n) {
                bail!("thread {thread}: event {n} comes after {previous:?}: {event:?}");
            }
        }
        Ok(())
    }
}

/// How many events are below `dir`; much faster than [`Trace::read`].
pub fn count_events(dir: &Path) -> Result<u64> {
    let mut total = 0;
    for tree in trees_with_metadata(dir)? {
        let output = run(Command::new(require("babeltrace2")?).arg(tree).args([
            "-c",
            "sink.utils.counter",
            "-p",
            "step=+0",
        ]))?
        .ok()?;
        let line = output
            .stdout
            .lines()
            .find(|line| line.contains("Event messages"));
        let number = line
            .and_then(|line| line.trim().split(' ').next())
            .map(|word| word.replace(',', ""));
        total += number
            .and_then(|word| word.parse::<u64>().ok())
            .with_context(|| format!("no count\n{output}"))?;
    }
    Ok(total)
}

/// The directories below `dir` that hold a trace: a `metadata` file with something in it. What is moved away
/// meanwhile, as the chunks of an active session are, may be left out.
pub fn trees_with_metadata(dir: &Path) -> Result<Vec<PathBuf>> {
    ensure!(dir.is_dir(), "{} is no directory", dir.display());
    let mut found = Vec::new();
    let mut todo = vec![dir.to_path_buf()];
    while let Some(dir) = todo.pop() {
        let listed = unless_moved(fs::read_dir(&dir));
        let listed = listed.with_context(|| format!("list {}", dir.display()))?;
        for entry in listed.into_iter().flatten() {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                todo.push(entry.path());
            } else if entry.file_name() == "metadata"
                && unless_moved(entry.metadata())?.is_some_and(|file| file.len() > 0)
            {
                found.push(dir.clone());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// `None` for what is not there.
fn unless_moved<T>(looked: io::Result<T>) -> io::Result<Option<T>> {
    match looked {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// `[SECONDS.NANOSECONDS] HOST NAME: { ... }, { ... }, { FIELDS }`
pub(crate) fn parse_event(line: &str) -> Option<Event> {
    let (time, rest) = line.strip_prefix('[')?.split_once("] ")?;
    let (seconds, nanoseconds) = time.split_once('.')?;
    let time_ns = seconds.parse::<u64>().ok()? * 1_000_000_000 + nanoseconds.parse::<u64>().ok()?;
    let (host, rest) = rest.split_once(' ')?;
    let (name, scopes) = rest.split_once(": {")?;
    let (context, fields) = split_last_scope(scopes)?;
    Some(Event {
        time_ns,
        host: host.into(),
        name: name.into(),
        context: format!("{{{context}"),
        fields: if context.is_empty() {
            format!("{{{fields}")
        } else {
            fields.into()
        },
    })
}

/// Cuts `... }, { ... }, { ... }`, whose first brace is gone, before the last scope. Braces in quotes and
/// inside a scope do not count.
fn split_last_scope(scopes: &str) -> Option<(&str, &str)> {
    let (mut depth, mut quoted, mut escaped, mut start) = (1, false, false, 0);
    for (at, c) in scopes.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '{' if !quoted => {
                if depth == 0 {
                    start = at;
                }
                depth += 1;
            }
            '}' if !quoted => depth -= 1,
            _ => {}
        }
    }
    (depth == 0).then(|| scopes.split_at(start))
}

/// `... discarded N event(s) ...` or `... N packet(s) ...`: the number, and "event" or "packet".
fn parse_loss(line: &str) -> Option<(u64, &'static str)> {
    let (_, rest) = line.split_once("Tracer discarded ")?;
    let mut words = rest.split(' ');
    let count = words.next()?.parse().ok()?;
    match words.next()? {
        "event" | "events" => Some((count, "event")),
        "packet" | "packets" => Some((count, "packet")),
        _ => None,
    }
}

/// The fields `n` of the events below `dir`; each tree is readable, and no number is there twice.
pub fn distinct_numbers(dir: &Path) -> Result<BTreeSet<i64>> {
    let mut numbers = BTreeSet::new();
    for tree in trees_with_metadata(dir)? {
        let trace = Trace::read(&tree)?;
        trace.assert_readable()?;
        check_indexes(&tree)?;
        for event in &trace.events {
            let n = event.number("n").context("no n")?;
            ensure!(numbers.insert(n), "event {n} is there twice");
        }
    }
    Ok(numbers)
}

/// How many events with fields `thread` and `n` there are in all `trees` together. Fails if one of them is there
/// twice, or if a tree is not a whole and readable trace by itself.
pub fn count_distinct(trees: &[PathBuf]) -> Result<u64> {
    let mut seen = HashSet::new();
    let mut twice = 0;
    for tree in trees {
        let trace = Trace::read(tree)?;
        trace
            .assert_readable()
            .with_context(|| tree.display().to_string())?;
        check_indexes(tree)?;
        for event in &trace.events {
            let number = |field| event.number(field).with_context(|| format!("no {field}"));
            twice += u64::from(!seen.insert((number("thread")?, number("n")?)));
        }
    }
    ensure!(twice == 0, "{twice} events are there twice");
    Ok(seen.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_cut_outside_quotes() {
        let line = r#"[12.000000034] host a:b: { cpu_id = 1 }, { s = "} { \" {", n = -3 }"#;
        let event = parse_event(line).unwrap();
        assert_eq!(event.time_ns, 12_000_000_034);
        assert_eq!(event.name, "a:b");
        assert_eq!(event.context, "{ cpu_id = 1 }, ");
        assert_eq!(event.fields, r#"{ s = "} { \" {", n = -3 }"#);
        assert_eq!(event.number("n"), Some(-3));
        assert_eq!(event.number("cpu_id"), Some(1));
    }

    #[test]
    fn losses_are_counted() {
        let line = "WARNING: Tracer discarded 1234 events between [1] and [2] in trace \"x\"";
        assert_eq!(parse_loss(line), Some((1234, "event")));
    }
}
