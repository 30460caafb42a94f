//! The kernel's tracing file system in tests. It is one for the whole machine: what tests make there has names
//! that begin with the test's own identity, and is removed when the test ends, however it ends.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{FlockOperation, flock};

use crate::peers::require;
use crate::process::run;
use crate::{Output, World};

/// Says to a daemon, and to the code here, what the identity is.
pub const IDENTITY: &str = "LTTNG_RS_KERNEL_IDENTITY";
/// Where it is mounted.
pub const ROOT: &str = "/sys/kernel/tracing";
/// The list of all probes.
const PROBES: &str = "dynamic_events";

/// An identity that no other test has that runs now.
pub(crate) fn new_identity() -> String {
    format!("t{}", std::process::id())
}

/// Waits until no other test uses tracefs, whoever runs it, and keeps them away until this process ends: what
/// one lets the kernel do would be in the buffers of the other.
pub fn reserve() -> Result<()> {
    static RESERVED: Mutex<Option<File>> = Mutex::new(None);
    let mut reserved = RESERVED.lock().unwrap_or_else(PoisonError::into_inner);
    if reserved.is_none() {
        // One that is there before anybody mounts tracefs, and the same in every mount namespace.
        let place = File::open("/sys/kernel")?;
        flock(&place, FlockOperation::LockExclusive).context("wait for tracefs")?;
        *reserved = Some(place);
    }
    Ok(())
}

/// Removes what the test with this identity left, which failed. Where the tests were started tracefs need not be
/// mounted. An instance that somebody reads still cannot be removed: the last of the test's processes may be ending.
pub(crate) fn clean_up(identity: &str) {
    const SCRIPT: &str = r#"
        [ -e "$1/instances" ] || mount -t tracefs none "$1" || exit
        for instance in "$1/instances/lttng-rs-$2"[-x]*; do
            for try in $(seq 100); do
                [ -e "$instance" ] || break
                rmdir "$instance" 2>/dev/null || sleep 0.1
            done
        done
        list=$1/dynamic_events
        sed -n "s|^[^:]*:\(lttng_rs_$2x*/[^ ]*\) .*|-:\1|p" "$list" |
            while read -r remove; do echo "$remove" >>"$list"; done"#;
    let _ = Command::new("unshare")
        .args(["--mount", "sh", "-c", SCRIPT, "sh", ROOT, identity])
        .status();
}

/// Fails if the daemons of this test have left something, and they have all ended.
pub(crate) fn ensure_clean() -> Result<()> {
    if !Path::new(ROOT).join("instances").exists() {
        return Ok(());
    }
    let identity = identity()?;
    let instances = instances_of(&identity)?;
    ensure!(instances.is_empty(), "left in tracefs: {instances:?}");
    let probes = own_probes()?;
    ensure!(probes.is_empty(), "left in tracefs: {probes:?}");
    Ok(())
}

/// Adds a line to the list of all probes.
fn change_probes(line: &str) -> io::Result<()> {
    let list = Path::new(ROOT).join(PROBES);
    let mut list = OpenOptions::new().append(true).open(list)?;
    list.write_all(format!("{line}\n").as_bytes())
}

/// `p:group/name PLACE` to `group/name`.
fn probe_of(line: &str) -> Option<&str> {
    line.split_once(':')?.1.split(' ').next()
}

/// Whether the kernel has probes in itself.
pub fn has_kprobes() -> bool {
    Path::new(ROOT).join("kprobe_events").exists()
}

/// Whether the kernel has probes at other events. No file of the kernel tells.
pub fn has_event_probes(_: &World) -> Result<bool> {
    mount()?;
    let probe = format!("lttng_rs_{}x/trial", identity()?);
    let made = change_probes(&format!("e:{probe} syscalls/sys_enter_close fd=$fd:u32"));
    if made.is_ok() {
        change_probes(&format!("-:{probe}"))?;
    }
    Ok(made.is_ok())
}

/// Names of all probes of the machine, in programs, in the kernel and at other events, as `group/name`.
pub fn probes() -> Result<Vec<String>> {
    let text = fs::read_to_string(Path::new(ROOT).join(PROBES))?;
    Ok(text
        .lines()
        .filter_map(probe_of)
        .map(str::to_owned)
        .collect())
}

/// Those of this test's session daemons.
pub fn own_probes() -> Result<Vec<String>> {
    let group = format!("lttng_rs_{}/", identity()?);
    let mut probes = probes()?;
    probes.retain(|probe| probe.starts_with(&group));
    Ok(probes)
}

/// Reserves it, and mounts it if no daemon has done so.
fn mount() -> Result<()> {
    reserve()?;
    if !Path::new(ROOT).join("instances").exists() {
        run(Command::new("mount").args(["-t", "tracefs", "none", ROOT]))?.ok()?;
    }
    Ok(())
}

fn identity() -> Result<String> {
    std::env::var(IDENTITY).context("the test has no identity for tracefs")
}

/// A number that the loads of this test use, and nobody else: `close` of it marks their threads.
pub fn mark() -> Result<i64> {
    let number: i64 = identity()?.trim_start_matches('t').parse()?;
    Ok(1_000_000 + number)
}

/// Instances of this test's session daemons.
pub fn instances(_: &World) -> Result<Vec<PathBuf>> {
    instances_of(&identity()?)
}

fn instances_of(identity: &str) -> Result<Vec<PathBuf>> {
    let dir = Path::new(ROOT).join("instances");
    let prefix = format!("lttng-rs-{identity}-");
    let mut found = Vec::new();
    for entry in fs::read_dir(&dir).with_context(|| format!("list {}", dir.display()))? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// What the kernel says about events that were produced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Produced {
    /// Read by somebody.
    pub read: u64,
    /// Not to be read by anybody any more.
    pub lost: u64,
    /// Still there.
    pub left: u64,
}

impl Produced {
    /// What one or several `stats` files of the kernel say.
    fn of_stats(text: &str) -> Self {
        let mut produced = Self::default();
        for line in text.lines() {
            let Some((name, value)) = line.trim().split_once(": ") else {
                continue;
            };
            let value: u64 = value.trim().parse().unwrap_or(0);
            match name {
                "entries" => produced.left += value,
                "read events" => produced.read += value,
                "overrun" | "commit overrun" | "dropped events" => produced.lost += value,
                _ => {}
            }
        }
        produced
    }
}

/// The kernel's own counts, over all instances of this test's session daemons.
pub fn produced(w: &World) -> Result<Produced> {
    let stats: Result<String> = instances(w)?
        .iter()
        .map(|instance| stats(instance))
        .collect();
    Ok(Produced::of_stats(&stats?))
}

/// The `stats` of all CPUs of an instance.
fn stats(instance: &Path) -> Result<String> {
    let mut text = String::new();
    for cpu in fs::read_dir(instance.join("per_cpu"))? {
        text += &fs::read_to_string(cpu?.path().join("stats"))?;
    }
    Ok(text)
}

/// trace-cmd, with an instance of its own.
#[derive(Debug)]
pub struct TraceCmd {
    program: PathBuf,
    instance: String,
    file: PathBuf,
}

/// What trace-cmd recorded while a command ran.
#[derive(Debug)]
pub struct Recorded {
    /// Of the command.
    pub output: Output,
    lines: Vec<Line>,
}

/// One event as trace-cmd prints it.
#[derive(Debug)]
pub struct Line {
    /// Name of the thread, as trace-cmd knows it.
    pub comm: String,
    /// Thread.
    pub tid: i64,
    /// Name.
    pub name: String,
    /// The rest.
    pub text: String,
}

impl TraceCmd {
    /// It wants to write files that have nothing to do with events, and may be refused: it gets others in
    /// their places, and everybody else keeps theirs.
    pub fn prepare(w: &World) -> Result<Self> {
        let program = require("trace-cmd")?;
        mount()?;
        let instance = format!("lttng-rs-{}x-trace-cmd", identity()?);
        let directory = Path::new(ROOT).join("instances").join(&instance);
        fs::create_dir(&directory)?;
        let plain = w.path("plain");
        fs::write(&plain, "1\n")?;
        let files = ["set_ftrace_filter", "set_ftrace_notrace", "set_ftrace_pid"];
        let mut places: Vec<_> = files.iter().map(|file| directory.join(file)).collect();
        places.push("/proc/sys/kernel/ftrace_enabled".into());
        for place in places.iter().filter(|place| place.exists()) {
            run(Command::new("mount").arg("--bind").arg(&plain).arg(place))?.ok()?;
        }
        Ok(Self {
            program,
            instance,
            file: w.path("trace.dat"),
        })
    }

    /// `trace-cmd record` of these events, with `kib` KiB of memory for each CPU.
    pub fn command(&self, events: &[&str], kib: u64) -> Command {
        let mut record = Command::new(&self.program);
        record.args(["record", "-B", &self.instance]);
        for event in events {
            record.args(["-e", event]);
        }
        record.args(["-b", &kib.to_string()]);
        record
    }

    /// The kernel's own counts of its instance, which it removes at its end.
    pub fn produced(&self) -> Result<Produced> {
        let instance = Path::new(ROOT).join("instances").join(&self.instance);
        Ok(Produced::of_stats(&stats(&instance)?))
    }

    /// Whether it has begun.
    pub fn is_recording(&self) -> bool {
        let event = Path::new(ROOT)
            .join("instances")
            .join(&self.instance)
            .join("events/enable");
        fs::read_to_string(event).is_ok_and(|text| text.trim() != "0")
    }

    /// Records `events` while `command` runs; on a busy machine the command may run several times.
    pub fn record(w: &World, events: &[&str], command: &[&str]) -> Result<Recorded> {
        for _ in 0..5 {
            let recorded = Self::record_once(w, events, command)?;
            // Its readers are told to end when the command has, and write nothing if they have not begun by then.
            if !recorded.lines.is_empty() {
                return Ok(recorded);
            }
            eprintln!("trace-cmd has recorded nothing; again");
        }
        bail!("trace-cmd has recorded nothing five times")
    }

    fn record_once(w: &World, events: &[&str], command: &[&str]) -> Result<Recorded> {
        let this = Self::prepare(w)?;
        let mut record = this.command(events, 20_000);
        let record = record.args(["-q", "-o"]).arg(&this.file).args(command);
        let output = run(record.current_dir(w.path(".")))?.ok()?;
        let mut report = Command::new(&this.program);
        let report = run(report.arg("report").arg("-i").arg(&this.file))?.ok()?;
        ensure!(
            !report.stdout.contains("EVENTS DROPPED"),
            "trace-cmd lost events"
        );
        let lines = report.stdout.lines().filter_map(parse_line).collect();
        Ok(Recorded { output, lines })
    }
}

impl Recorded {
    /// All events, in the order of time.
    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter()
    }

    /// The events of that name.
    pub fn events(&self, name: &str) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(move |line| line.name == name)
    }
}

/// `trace-cmd-instance:   python3-123   [001] d... 12.345678: sys_enter_getppid:    text`
fn parse_line(line: &str) -> Option<Line> {
    let (before, rest) = line.split_once(" [")?;
    // With several CPUs in one instance, the instance comes first.
    let task = before
        .trim()
        .rsplit_once(": ")
        .map_or(before, |(_, task)| task);
    let (comm, tid) = task.trim().rsplit_once('-')?;
    let tid = tid.parse().ok()?;
    let (_, event) = rest.split_once(": ")?;
    let (name, text) = event.trim_start().split_once(':')?;
    Some(Line {
        comm: comm.to_owned(),
        tid,
        name: name.trim().to_owned(),
        text: text.trim().to_owned(),
    })
}

/// Somebody else who uses tracefs: an instance with an event, a clock and a filter of its own.
#[derive(Debug)]
pub struct Bystander {
    instance: PathBuf,
    settings: Vec<(PathBuf, String)>,
}

impl Bystander {
    /// Begins to use it. Comes before any daemon that would mount tracefs.
    pub fn new(_: &World) -> Result<Self> {
        mount()?;
        let name = format!("lttng-rs-{}x-bystander", identity()?);
        let instance = Path::new(ROOT).join("instances").join(name);
        fs::create_dir(&instance)?;
        fs::write(instance.join("trace_clock"), "boot")?;
        let event = instance.join("events/sched/sched_switch");
        fs::write(event.join("filter"), "next_pid == 1")?;
        fs::write(event.join("enable"), "1")?;
        let files = [
            "trace_clock",
            "tracing_on",
            "buffer_size_kb",
            "events/sched/sched_switch/enable",
            "events/sched/sched_switch/filter",
        ];
        let settings = files.into_iter().map(|file| {
            let path = instance.join(file);
            let text = fs::read_to_string(&path)?;
            Ok((path, text))
        });
        let settings = settings.collect::<Result<_>>()?;
        Ok(Self { instance, settings })
    }

    /// Fails if somebody has changed anything.
    pub fn assert_undisturbed(&self) -> Result<()> {
        for (path, before) in &self.settings {
            let now = fs::read_to_string(path)?;
            ensure!(
                now == *before,
                "{}: {before:?} became {now:?}",
                path.display()
            );
        }
        Ok(())
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = fs::write(self.instance.join("events/enable"), "0");
        let _ = fs::remove_dir(&self.instance);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_trace_cmd_are_read() {
        let line = "  python3-123   [001] ..... 12.345678: sys_enter_getppid:    ";
        let line = parse_line(line).unwrap();
        assert_eq!((line.tid, line.name.as_str()), (123, "sys_enter_getppid"));
        assert_eq!(line.comm, "python3");
        let line = "lttng-rs-x:  sh-9   [001] ..... 12.345678: sys_enter_getppid:    ";
        assert_eq!(parse_line(line).unwrap().comm, "sh");
    }
}
