//! babeltrace2 as a live viewer.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail};

use crate::peers::require;
use crate::trace::parse_event;
use crate::wait::DEADLINE;
use crate::{Event, Relay, Viewer, World, eventually, signal};

/// babeltrace2 was ended by a signal: version 2.0.4 is now and then, when streams or metadata come while it
/// reads, with any relay daemon. It writes beyond its memory when later metadata declare more than the first, and
/// fails an assertion when the first declare no stream.
#[derive(Debug, Clone, Copy)]
pub struct ReaderCrashed(pub i32);

impl std::fmt::Display for ReaderCrashed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "babeltrace2 was ended by signal {}", self.0)
    }
}

impl std::error::Error for ReaderCrashed {}

/// babeltrace2 gave up: version 2.0.4 does when streams come while it reads, and what it was told of the others took it
/// past their beginning, or they came before their part of the metadata. The first packet of a stream begins when its
/// buffer is made, and the stream is announced later: whether a tick of the live timer comes in between is chance.
#[derive(Debug, Clone)]
pub struct ReaderWasAhead(String);

impl std::fmt::Display for ReaderWasAhead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "babeltrace2 gave up: {}", self.0)
    }
}

impl std::error::Error for ReaderWasAhead {}

/// Runs a test again, up to five times, if babeltrace2 crashed in it.
pub fn unless_crashed(w: &mut World, body: fn(&mut World) -> Result<()>) -> Result<()> {
    unless(w, body, |error| error.is::<ReaderCrashed>())
}

/// The same for a test in which streams come while babeltrace2 reads: also if it was ahead of them.
pub fn unless_ahead(w: &mut World, body: fn(&mut World) -> Result<()>) -> Result<()> {
    unless(w, body, |error| {
        error.is::<ReaderCrashed>() || error.is::<ReaderWasAhead>()
    })
}

fn unless(
    w: &mut World,
    body: fn(&mut World) -> Result<()>,
    again: fn(&anyhow::Error) -> bool,
) -> Result<()> {
    for _ in 0..4 {
        match body(w) {
            Err(error) if again(&error) => {
                eprintln!("{error:#}; again");
                w.end_daemons()?;
            }
            other => return other,
        }
    }
    body(w)
}

/// A running babeltrace2 that shows a session while it is received. Killed when dropped.
#[derive(Debug)]
pub struct LiveReader {
    child: Child,
    lines: mpsc::Receiver<Line>,
    /// The events shown so far.
    pub events: Vec<Event>,
    /// How long after it was emitted each of them was shown.
    pub delays: Vec<Duration>,
    /// What it said besides.
    pub said: Vec<String>,
}

#[derive(Debug)]
enum Line {
    Out(String, SystemTime),
    Err(String),
}

impl LiveReader {
    /// Reads session `session` of host `target` from now on, however often it has to look for it.
    pub fn start(relay: &Relay, session: &str) -> Result<Self> {
        let url = format!("{}/host/target/{session}", relay.live_url());
        // The source ends by itself only with the other action; this one waits for a session to appear.
        Self::spawn(&["--input-format=lttng-live", &url])
    }

    /// Waits for the session, starts reading it as its `nth` viewer, and waits until it is attached.
    pub fn attached(relay: &Relay, session: &str, nth: u32) -> Result<Self> {
        let mut viewer = Viewer::new(relay.ports()[2])?;
        viewer.wait_for_session(session)?;
        let mut reader = Self::start(relay, session)?;
        eventually("babeltrace2 is attached", || {
            if reader.child.try_wait()?.is_some() {
                return Err(reader.failure()?);
            }
            Ok((viewer.clients(session)? == Some(nth)).then_some(()))
        })?;
        Ok(reader)
    }

    /// As [`LiveReader::start`], but babeltrace2 keeps back what it writes, as it does into a pipe.
    pub fn start_keeping(relay: &Relay, session: &str) -> Result<Self> {
        let url = format!("{}/host/target/{session}", relay.live_url());
        let program = Command::new(require("babeltrace2")?);
        Self::run(program, &["--input-format=lttng-live", &url])
    }

    /// As [`LiveReader::start_keeping`], with the options that `lttng view` gives it.
    pub fn start_like_view(relay: &Relay, session: &str) -> Result<Self> {
        let url = format!("{}/host/target/{session}", relay.live_url());
        let program = Command::new(require("babeltrace2")?);
        let input = "--input-format=lttng-live";
        Self::run(program, &["--retry-duration=5000", input, &url])
    }

    /// Runs babeltrace2 with these arguments.
    pub fn spawn(args: &[&str]) -> Result<Self> {
        // Its output is a pipe, so it would keep it back.
        let mut program = Command::new(require("stdbuf")?);
        program.arg("-oL").arg(require("babeltrace2")?);
        Self::run(program, args)
    }

    fn run(mut program: Command, args: &[&str]) -> Result<Self> {
        let mut child = program
            .args(["--clock-seconds", "--no-delta"])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("start babeltrace2")?;
        let (sender, lines) = mpsc::channel();
        let stdout = child.stdout.take().context("no stdout")?;
        let stderr = child.stderr.take().context("no stderr")?;
        let other = sender.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(Line::Out(line, SystemTime::now()));
            }
        });
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = other.send(Line::Err(line));
            }
        });
        Ok(Self {
            child,
            lines,
            events: Vec::new(),
            delays: Vec::new(),
            said: Vec::new(),
        })
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has shown so many events, from its start.
    pub fn wait_for(&mut self, count: usize) -> Result<()> {
        let end = Instant::now() + DEADLINE;
        while self.events.len() < count {
            if !self.take_line(end.saturating_duration_since(Instant::now()))? {
                let shown = self.events.len();
                if Instant::now() < end {
                    let what = format!("babeltrace2 showed {shown} of {count} events");
                    return Err(self.failure()?.context(what));
                }
                bail!(
                    "babeltrace2 showed {shown} of {count} events; it said {:?}",
                    self.said
                );
            }
        }
        Ok(())
    }

    /// Takes in what it has shown by now.
    pub fn poll(&mut self) -> Result<()> {
        while self.take_line(Duration::ZERO)? {}
        Ok(())
    }

    /// Waits until it ends by itself, successfully.
    pub fn wait_for_end(&mut self) -> Result<()> {
        match self.wait_for_status()?.success() {
            true => Ok(()),
            false => Err(self.failure()?),
        }
    }

    /// Why it ended, which it has or is about to.
    fn failure(&mut self) -> Result<anyhow::Error> {
        let status = self.wait_for_status()?;
        if let Some(signal) = status.signal() {
            return Ok(ReaderCrashed(signal).into());
        }
        const AHEAD: [&str; 2] = [
            // Of the time that it has told last of a stream of which it has told none.
            "value overflows the signed 64-bit integer range",
            "No stream class with ID",
        ];
        let said = self.said.join("\n");
        Ok(match AHEAD.iter().any(|text| said.contains(text)) {
            true => ReaderWasAhead(said).into(),
            false => anyhow!("babeltrace2 ended with {status}: {said}"),
        })
    }

    /// Waits until it ends by itself, in whatever way.
    pub fn wait_for_status(&mut self) -> Result<ExitStatus> {
        let end = Instant::now() + DEADLINE;
        let status = loop {
            self.poll()?;
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if Instant::now() >= end {
                bail!(
                    "babeltrace2 has not ended after {DEADLINE:?}; {} events, it said {:?}",
                    self.events.len(),
                    self.said
                );
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        // Until both pipes are read to their ends.
        while self.take_line(DEADLINE)? {}
        Ok(status)
    }

    /// The events shown so far as [`Event::line`], in their order.
    pub fn shown(&self) -> Vec<String> {
        self.events.iter().map(Event::line).collect()
    }

    /// Fails if it said anything besides the events that is worth a word.
    pub fn assert_clean(&self) -> Result<()> {
        // Of several streams that begin in one moment.
        const IDENTICAL: &str = "they have identical next messages";
        let said: Vec<_> = self
            .said
            .iter()
            .filter(|line| !line.contains(IDENTICAL))
            .map(String::as_str)
            .collect();
        if !said.is_empty() {
            bail!("babeltrace2 says: {}", said.join("\n"));
        }
        Ok(())
    }

    /// Sends a signal.
    pub fn signal(&self, which: crate::Signal) -> Result<()> {
        signal(self.pid(), which)
    }

    /// `false` when nothing more comes, or not in time.
    fn take_line(&mut self, limit: Duration) -> Result<bool> {
        match self.lines.recv_timeout(limit) {
            Ok(Line::Out(line, when)) => {
                let event = parse_event(&line);
                let event = event.with_context(|| format!("babeltrace2 printed {line:?}"))?;
                let emitted = UNIX_EPOCH + Duration::from_nanos(event.time_ns);
                self.delays
                    .push(when.duration_since(emitted).unwrap_or_default());
                self.events.push(event);
                Ok(true)
            }
            Ok(Line::Err(line)) => {
                if !line.trim().is_empty() {
                    self.said.push(line);
                }
                Ok(true)
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Ok(false),
        }
    }
}

impl Drop for LiveReader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
