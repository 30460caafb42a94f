//! Commands with their output, and what /proc says about processes.

use std::ffi::OsStr;
use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// What a command printed and how it ended.
#[derive(Debug, Clone)]
pub struct Output {
    /// The command line, for messages.
    pub command: String,
    /// Exit status; 128 + N if killed by signal N.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// The output, or an error with all of it if the exit status is not 0.
    pub fn ok(self) -> Result<Self> {
        self.code(0)
    }

    /// The output, or an error with all of it if the exit status is not `expected`.
    pub fn code(self, expected: i32) -> Result<Self> {
        if self.code != expected {
            bail!("exit status {}, expected {expected}\n{self}", self.code);
        }
        Ok(self)
    }

    /// Fails unless `text` is somewhere on standard error.
    pub fn says(self, text: &str) -> Result<Self> {
        if !self.stderr.contains(text) {
            bail!("expected {text:?} on standard error\n{self}");
        }
        Ok(self)
    }

    /// Fails unless `text` is somewhere on standard output.
    pub fn shows(self, text: &str) -> Result<Self> {
        if !self.stdout.contains(text) {
            bail!("expected {text:?} on standard output\n{self}");
        }
        Ok(self)
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "$ {} (status {})", self.command, self.code)?;
        for line in self.stdout.lines() {
            writeln!(f, "1| {line}")?;
        }
        for line in self.stderr.lines() {
            writeln!(f, "2| {line}")?;
        }
        Ok(())
    }
}

/// Runs `command` to its end with no input.
pub fn run(command: &mut Command) -> Result<Output> {
    use std::os::unix::process::ExitStatusExt;

    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let text = words
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ");
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("run {text}"))?;
    let status = output.status;
    Ok(Output {
        command: text,
        code: status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Sends `signal` to process `pid`.
pub fn signal(pid: u32, signal: Signal) -> Result<()> {
    let pid = Pid::from_raw(pid.try_into()?).context("pid 0")?;
    kill_process(pid, signal).with_context(|| format!("signal {signal:?} to {pid:?}"))
}

/// The fields of `/proc/PID/stat` after the command name, from the state on.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after) = text.rsplit_once(')')?;
    Some(after.split_whitespace().map(str::to_owned).collect())
}

/// The state letter of process `pid`; `None` if there is none such. `Z` is dead but not yet reaped.
pub fn process_state(pid: u32) -> Option<char> {
    stat(pid)?.first()?.chars().next()
}

/// How many threads process `pid` has; 0 if there is none.
pub(crate) fn thread_count(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count)
}

/// CPU seconds, user and system, that the threads of process `pid` and its reaped children used so far. Of
/// threads to the nanosecond, if none has ended; of ended ones and of children to the clock tick.
pub fn cpu_seconds(pid: u32) -> f64 {
    let Some(fields) = stat(pid) else { return 0.0 };
    let number = |text: &String| text.parse::<u64>().ok();
    let ticks = |from| {
        fields
            .iter()
            .skip(from)
            .take(2)
            .filter_map(number)
            .sum::<u64>() as f64
    };
    let (all, children) = (ticks(11), ticks(13));
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten();
    let threads: u64 = tasks
        .flatten()
        .filter_map(|task| {
            let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        })
        .sum();
    let per_second = rustix::param::clock_ticks_per_second() as f64;
    (threads as f64 / 1e9).max((all - 1.0) / per_second) + children / per_second
}

/// The largest resident set that process `pid` had so far, in KiB.
pub fn peak_rss_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|value| value.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// The processes whose parent, grandparent, ... is `pid`.
pub fn descendants(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut parents = vec![pid];
    while let Some(parent) = parents.pop() {
        let Ok(tasks) = fs::read_dir(format!("/proc/{parent}/task")) else {
            continue;
        };
        for task in tasks.flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            let children = children
                .split_whitespace()
                .filter_map(|c| c.parse::<u32>().ok());
            for child in children {
                found.push(child);
                parents.push(child);
            }
        }
    }
    found
}
