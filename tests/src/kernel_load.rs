//! A thread that makes numbered system calls, each of which the kernel's events tell from all others.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::{Target, Trace, tracefs};

/// The thread, which waits to be told to go on. Its calls are `umask` with numbers from 0 on. It stays on one CPU, and is
/// known in here by another number than to the kernel: it closes a file that it does not have.
#[derive(Debug)]
pub struct KernelLoad {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    calls: i64,
}

impl KernelLoad {
    /// Starts it; it has made no call yet.
    pub fn start() -> Result<Self> {
        let mark = tracefs::mark()?;
        let script = format!(
            "import os, sys\n\
             os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}})\n\
             try: os.close({mark})\n\
             except OSError: pass\n\
             print('done', flush=True)\n\
             n = 0\n\
             for line in sys.stdin:\n \
                for n in range(n, n + int(line)): os.umask(n)\n \
                n += 1\n \
                print('done', flush=True)"
        );
        let mut child = Command::new("python3")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().context("no input")?;
        let output = BufReader::new(child.stdout.take().context("no output")?);
        let mut load = Self {
            child,
            input,
            output,
            calls: 0,
        };
        load.end()?;
        Ok(load)
    }

    /// Creates session `s`, which does not record yet, with this channel, called `c`, and nothing in it but loads: what
    /// the rest of the machine does has no place in its buffers.
    pub fn session(target: &Target, create: &str, channel: &str) -> Result<()> {
        target.script(&format!(
            "create s {create}
             enable-channel -k c {channel}
             enable-event -k -c c --syscall umask"
        ))?;
        let mark = format!("--filter=fd == {}", tracefs::mark()?);
        let args = ["enable-event", "-k", "-c", "c", "--syscall", "close", &mark];
        target.lttng_args(&args)?.ok().map(drop)
    }

    /// Lets it make so many calls.
    pub fn begin(&mut self, calls: i64) -> Result<()> {
        self.calls += calls;
        Ok(writeln!(self.input, "{calls}")?)
    }

    /// Waits until it has made them.
    pub fn end(&mut self) -> Result<()> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        ensure!(line == "done\n", "the load says {line:?}");
        Ok(())
    }

    /// Lets it make so many calls, and waits until it has.
    pub fn round(&mut self, calls: i64) -> Result<()> {
        self.begin(calls)?;
        self.end()
    }

    /// How many calls it has made.
    pub fn calls(&self) -> i64 {
        self.calls
    }

    /// Lets it end.
    pub fn finish(self) -> Result<()> {
        let Self {
            mut child, input, ..
        } = self;
        drop(input);
        ensure!(child.wait()?.success());
        Ok(())
    }

    /// Its thread, as the kernel knows it, by a trace that has its beginning.
    pub fn thread<'t>(traces: impl IntoIterator<Item = &'t Trace>) -> Result<i64> {
        let mark = tracefs::mark()?;
        let mut events = traces.into_iter().flat_map(|trace| &trace.events);
        let marked = events
            .find(|event| event.name == "syscall_entry_close" && event.number("fd") == Some(mark));
        let tid = marked.and_then(|event| event.number("tid"));
        tid.context("no thread was marked")
    }

    /// The numbers of its calls in a trace, in the order of time.
    pub fn numbers(trace: &Trace, thread: i64) -> Vec<i64> {
        let own = trace.events.iter().filter(|event| {
            event.name == "syscall_entry_umask" && event.number("tid") == Some(thread)
        });
        own.filter_map(|event| event.number("mask")).collect()
    }
}
