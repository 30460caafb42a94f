//! Traced applications: the emitter of `tests/apps`, started in several ways.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};

use crate::peers::require;
use crate::process::{run, signal};
use crate::toolchain::target_directory;
use crate::wait::DEADLINE;
use crate::{Signal, Who, World};

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/apps");

/// The directory of the applications; builds them first, unless they are up to date.
pub(crate) fn built() -> Result<PathBuf> {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    if let Some(out) = BUILT.get() {
        return Ok(out.clone());
    }
    let out = build()?;
    Ok(BUILT.get_or_init(|| out).clone())
}

fn build() -> Result<PathBuf> {
    let out = target_directory()?.join("system-test-apps");
    fs::create_dir_all(&out)?;
    // Tests of several processes may get here at once.
    let lock = File::options()
        .create(true)
        .append(true)
        .open(out.join("lock"))?;
    flock(&lock, FlockOperation::LockExclusive)?;
    for program in ["gcc", "make", "pkg-config"] {
        require(program)?;
    }
    run(Command::new("make")
        .arg("-s")
        .arg("-C")
        .arg(SOURCES)
        .arg(format!("OUT={}", out.display())))?
    .ok()
    .context("build the traced applications (they need `apt-get install liblttng-ust-dev`)")?;
    Ok(out)
}

/// The shared object with the `late` provider, for the emitter's `load` command.
pub fn provider_object() -> Result<PathBuf> {
    Ok(built()?.join("liblate.so"))
}

/// The distribution's library that traces malloc and its kin in a program that knows nothing of LTTng.
pub fn libc_wrapper() -> Result<PathBuf> {
    installed_library("liblttng-ust-libc-wrapper.so.1", "liblttng-ust1")
}

fn installed_library(name: &str, package: &str) -> Result<PathBuf> {
    let out = run(Command::new("sh").args(["-c", "/sbin/ldconfig -p"]))?.ok()?;
    let line = out
        .stdout
        .lines()
        .find(|line| line.trim_start().starts_with(&format!("{name} ")));
    let path = line.and_then(|line| line.split(" => ").nth(1));
    path.map(PathBuf::from)
        .with_context(|| format!("{name} is not installed; `apt-get install {package}`"))
}

/// How to start an emitter.
#[derive(Debug, Clone)]
pub struct AppBuilder {
    who: Who,
    args: Vec<String>,
    environment: Vec<(String, String)>,
}

impl AppBuilder {
    /// Adds arguments, cut at white space.
    pub fn args(mut self, line: &str) -> Self {
        self.args.extend(line.split_whitespace().map(str::to_owned));
        self
    }

    /// Sets an environment variable of the application.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Lets writers wait for space in channels with a blocking timeout.
    pub fn blocking(self) -> Self {
        self.env("LTTNG_UST_ALLOW_BLOCKING", "1")
    }

    /// Preloads the library that keeps tracing going in forked children.
    pub fn traced_forks(self) -> Result<Self> {
        let library = installed_library("liblttng-ust-fork.so.1", "liblttng-ust1")?;
        Ok(self.env("LD_PRELOAD", &library.to_string_lossy()))
    }

    /// Runs as `who` instead of root.
    pub fn as_user(mut self, who: &Who) -> Self {
        self.who = who.clone();
        self
    }

    /// Starts it and waits until its `main` runs; it then waits for [`App::round`] and its kin.
    pub fn start(self) -> Result<App> {
        let mut app = self.launch()?;
        app.wait_for("ready")?;
        Ok(app)
    }

    /// Starts it on one CPU: the events of each channel are in one stream.
    pub fn start_on_one_cpu(self) -> Result<App> {
        let app = self.start()?;
        app.pin()?;
        Ok(app)
    }

    /// Starts it and returns at once, before it has registered.
    pub fn launch(self) -> Result<App> {
        App::spawn(self.command()?.arg("--stdin"))
    }

    /// The command that runs it to its end without input: one round.
    pub fn command(&self) -> Result<Command> {
        let mut command = self.who.command(&built()?.join("emitter"))?;
        command
            // Its `main` begins when it is traced, however busy the session daemon is.
            .env("LTTNG_UST_REGISTER_TIMEOUT", "-1")
            .args(&self.args)
            .envs(self.environment.iter().map(|(k, v)| (k, v)));
        Ok(command)
    }

    /// Lets it emit one round and end.
    pub fn run_once(self) -> Result<Round> {
        let mut app = self.start()?;
        let round = app.round()?;
        app.finish()?;
        Ok(round)
    }
}

impl World {
    /// An emitter with `args` (see `tests/apps/emitter.c`), run by root.
    pub fn app(&self, args: &str) -> AppBuilder {
        AppBuilder {
            who: Who::root(self.home()),
            args: Vec::new(),
            environment: Vec::new(),
        }
        .args(args)
    }
}

/// What one round of events was.
#[derive(Debug, Clone, Default)]
pub struct Round {
    /// The events as babeltrace2 should show them: `PROVIDER:NAME: { FIELDS }`; empty with `--quiet`.
    pub lines: Vec<String>,
    /// Turns of the emitter's loop, over all threads; one event each, for kinds of one event.
    pub loops: u64,
    /// How long the round took.
    pub wall: Duration,
    /// CPU time of the process since its start.
    pub cpu: Duration,
}

/// A running emitter. Killed when dropped.
#[derive(Debug)]
pub struct App {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
    round: Round,
}

impl App {
    fn spawn(command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start the emitter")?;
        let stdout = child.stdout.take().context("no stdout")?;
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                let Ok(line) = line else { break };
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let stdin = child.stdin.take();
        Ok(Self {
            child,
            stdin,
            lines,
            round: Round::default(),
        })
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets it and all its threads run on one CPU only, so that all events are in one stream.
    pub fn pin(&self) -> Result<()> {
        let status = fs::read_to_string("/proc/self/status")?;
        let allowed = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        let cpu = allowed
            .and_then(|list| list.trim().split([',', '-']).next())
            .context("no Cpus_allowed_list in /proc/self/status")?;
        let pid = self.pid().to_string();
        run(Command::new(require("taskset")?).args(["-a", "-c", "-p", cpu, &pid]))?.ok()?;
        Ok(())
    }

    /// Waits for the line `word` (or one that begins with `word` and a space) of its output.
    pub fn wait_for(&mut self, word: &str) -> Result<String> {
        self.wait_for_within(word, DEADLINE)
    }

    fn wait_for_within(&mut self, word: &str, limit: Duration) -> Result<String> {
        let end = Instant::now() + limit;
        loop {
            match self
                .lines
                .recv_timeout(end.saturating_duration_since(Instant::now()))
            {
                Ok(line)
                    if line == word
                        || line
                            .strip_prefix(word)
                            .is_some_and(|rest| rest.starts_with(' ')) =>
                {
                    return Ok(line);
                }
                Ok(line) => self.round.lines.push(line),
                Err(RecvTimeoutError::Timeout) => {
                    bail!("the emitter did not say {word:?} within {limit:?}")
                }
                Err(RecvTimeoutError::Disconnected) => {
                    bail!(
                        "the emitter ended ({}) before it said {word:?}",
                        self.child.wait()?
                    )
                }
            }
        }
    }

    /// Sends one command line (see `tests/apps/emitter.c`).
    pub fn send(&mut self, line: &str) -> Result<()> {
        let stdin = self
            .stdin
            .as_mut()
            .context("the emitter's input is closed")?;
        writeln!(stdin, "{line}").context("write to the emitter")
    }

    /// Lets it emit one round and waits for the end of it.
    pub fn round(&mut self) -> Result<Round> {
        self.begin_round()?;
        self.end_round(DEADLINE)
    }

    /// Lets it begin a round and returns at once.
    pub fn begin_round(&mut self) -> Result<()> {
        self.send("go")
    }

    /// Waits for the end of a round.
    pub fn end_round(&mut self, limit: Duration) -> Result<Round> {
        let line = self.wait_for_within("round", limit)?;
        let number = |key: &str| -> Result<u64> {
            let word = line
                .split(' ')
                .find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
            word.and_then(|value| value.parse().ok())
                .with_context(|| format!("no {key} in {line:?}"))
        };
        self.round.loops = number("loops")?;
        self.round.wall = Duration::from_nanos(number("wall_ns")?);
        self.round.cpu = Duration::from_nanos(number("cpu_ns")?);
        Ok(std::mem::take(&mut self.round))
    }

    /// Lets it emit, with `--until-told`, for as long as `work` takes.
    pub fn round_beside(&mut self, work: impl FnOnce() -> Result<()>) -> Result<Round> {
        self.begin_round()?;
        work()?;
        self.signal(Signal::USR1)?;
        self.end_round(DEADLINE)
    }

    /// Sends `command`, waits for `answer`, and gives the events emitted meanwhile.
    pub fn ask(&mut self, command: &str, answer: &str) -> Result<Vec<String>> {
        self.send(command)?;
        self.wait_for(answer)?;
        Ok(std::mem::take(&mut self.round).lines)
    }

    /// Loads the provider at `path`.
    pub fn load(&mut self, path: &Path) -> Result<()> {
        self.ask(&format!("load {}", path.display()), "loaded")
            .map(drop)
    }

    /// Sends a signal.
    pub fn signal(&self, which: Signal) -> Result<()> {
        signal(self.pid(), which)
    }

    /// Kills it, in the middle of whatever it does.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Kills it once it has printed `lines` events; gives every event it printed before it died.
    pub fn kill_after(&mut self, lines: usize) -> Result<Vec<String>> {
        let mut printed = std::mem::take(&mut self.round).lines;
        while printed.len() < lines {
            printed.push(
                self.lines
                    .recv_timeout(DEADLINE)
                    .context("no more events")?,
            );
        }
        self.kill()?;
        // Ends when the reading thread has seen the end of the pipe.
        printed.extend(self.lines.iter().filter(|line| line.ends_with('}')));
        Ok(printed)
    }

    /// Lets it end, and fails if it does not end well.
    pub fn finish(mut self) -> Result<()> {
        self.stdin = None;
        let end = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return well(status);
            }
            if Instant::now() >= end {
                bail!("the emitter did not end within {DEADLINE:?}");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn well(status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("the emitter ended with {status}");
    }
    Ok(())
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
