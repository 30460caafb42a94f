//! The text that system calls are given, beside what strace shows of the same calls: on kernels with event probes it
//! is in the trace, on others its address is. The distribution's kernel has event probes.
#![cfg(target_arch = "x86_64")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use system_tests::{Event, Trace, World, booted, eventually, here, isolated, run, tracefs};

/// The calls that are looked at, whose texts strace shows before anything that the kernel wrote.
const CALLS: &str = "openat,mkdir,rename,unlink,symlink,chdir,truncate,rmdir,chmod,access";
/// The flags with which a file is made that another program shall not have: `O_CREAT | O_RDWR | O_CLOEXEC`.
const CREATE: i64 = 0x80042;
/// Files of each kind.
const FILES: usize = 50;

fn out(w: &World) -> PathBuf {
    w.path("traces/s")
}

fn create(w: &World) -> String {
    format!("create s --output={}", out(w).display())
}

/// Tells the thread that runs to readers of the trace: in here it is known by another number than to the kernel.
fn mark() -> Result<String> {
    let mark = tracefs::mark()?;
    Ok(format!(
        "import os\ntry: os.close({mark})\nexcept OSError: pass\n"
    ))
}

/// A program that gives numbered names to the kernel, of files in the directory it runs in. No other test has the
/// same.
fn program() -> Result<String> {
    let own = tracefs::mark()?;
    Ok(mark()?
        + &format!(
            r#"
def attempt(call, *arguments):
    try: call(*arguments)
    except OSError: pass
for n in range({FILES}):
    os.close(os.open('file{own}-%d' % n, os.O_CREAT | os.O_RDWR))
    attempt(os.open, 'missing \\ "%d" \u00e4' % n, os.O_RDONLY)
    os.rename('file{own}-%d' % n, 'renamed-%d' % n)
    os.truncate('renamed-%d' % n, n)
    os.chmod('renamed-%d' % n, 0o600)
    os.symlink('to\tnowhere-%d' % n, 'link-%d' % n)
    os.unlink('renamed-%d' % n)
    attempt(os.mkdir, '')
    attempt(os.rmdir, 'long-' + str(n) * 1000)
"#
        ))
}

fn python(w: &World, script: &str) -> Result<Command> {
    let directory = w.path("files");
    fs::create_dir_all(&directory)?;
    let mut command = Command::new("python3");
    command.args(["-c", script]).current_dir(directory);
    Ok(command)
}

/// A call with the texts it was given.
type Call = (String, Vec<String>);

/// Runs the program; what strace says of it.
fn straced(w: &World) -> Result<Vec<Call>> {
    let log = w.path("strace");
    let script = program()?;
    let python = python(w, &script)?;
    let mut strace = Command::new("strace");
    strace
        .args(["-qq", "-xx", "-s", "65536", "-e"])
        .arg(format!("trace={CALLS}"))
        .arg("-o")
        .arg(&log)
        .arg(python.get_program())
        .args(python.get_args())
        .current_dir(w.path("files"));
    run(&mut strace)?.ok()?;
    let text = fs::read_to_string(log)?;
    let is_call = |line: &&str| !line.starts_with("---");
    let calls = text.lines().filter(is_call).map(|line| {
        let (name, arguments) = line.split_once('(').with_context(|| line.to_owned())?;
        let texts = arguments.split('"').skip(1).step_by(2).map(from_hex);
        Ok((name.to_owned(), texts.collect::<Result<_>>()?))
    });
    calls.collect()
}

/// `\x61\x62` to `ab`.
fn from_hex(text: &str) -> Result<String> {
    let bytes = text.split("\\x").skip(1);
    let bytes = bytes.map(|digits| Ok(u8::from_str_radix(digits, 16)?));
    Ok(String::from_utf8(bytes.collect::<Result<_>>()?)?)
}

/// All calls of the thread that was marked, entries and exits.
fn marked(trace: &Trace) -> Result<Vec<&Event>> {
    let mark = tracefs::mark()?;
    let is_mark =
        |event: &&Event| event.name == "syscall_entry_close" && event.number("fd") == Some(mark);
    let tid = trace.events.iter().find(is_mark).context("no mark")?;
    let tid = tid.number("tid");
    let own = trace
        .events
        .iter()
        .filter(|event| event.number("tid") == tid);
    Ok(own.collect())
}

/// The fields of an event with their values; text in its quotation marks.
fn fields(event: &Event) -> Vec<(&str, &str)> {
    let mut rest = event.fields.trim_start_matches("{ ").trim_end_matches(" }");
    let mut found = Vec::new();
    while let Some((name, value)) = rest.split_once(" = ") {
        let mut quoted = false;
        let mut escaped = false;
        let end = value.find(|c| {
            let ends = !quoted && c == ',';
            quoted ^= c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let (value, more) = value.split_at(end.unwrap_or(value.len()));
        found.push((name, value));
        rest = more.trim_start_matches(", ");
    }
    found
}

/// The text of a field as babeltrace2 prints it.
fn unquoted(value: &str) -> Option<String> {
    let inner = value.strip_prefix('"')?.strip_suffix('"')?;
    Some(
        inner
            .replace("\\t", "\t")
            .replace("\\\"", "\"")
            .replace("\\\\", "\\"),
    )
}

/// The calls of these events as strace would show them.
fn as_strace(events: &[&Event]) -> Vec<Call> {
    let looked_at: Vec<&str> = CALLS.split(',').collect();
    let calls = events.iter().filter_map(|event| {
        let name = event.name.strip_prefix("syscall_entry_")?;
        let texts = fields(event)
            .into_iter()
            .filter_map(|(_, value)| unquoted(value));
        looked_at
            .contains(&name)
            .then(|| (name.to_owned(), texts.collect()))
    });
    calls.collect()
}

/// Babeltrace2 before 2.0.5 shows an earlier text in the place of an empty one.
fn forget_empty(recorded: &mut Call, shown: &mut Call) {
    for (recorded, shown) in recorded.1.iter_mut().zip(&mut shown.1) {
        if shown.is_empty() {
            recorded.clear();
        }
    }
}

/// Each entry has its exit behind it, and there is nothing twice.
fn entries_and_exits_alternate(events: &[&Event]) -> Result<()> {
    let mut calls = events
        .iter()
        .filter(|event| event.name.starts_with("syscall_"));
    while let Some(entry) = calls.next() {
        let call = entry.name.strip_prefix("syscall_entry_");
        let call = call.with_context(|| format!("{entry:?} comes without an entry"))?;
        // The program ends inside its last one.
        let Some(exit) = calls.next() else {
            break;
        };
        ensure!(
            exit.name == format!("syscall_exit_{call}"),
            "{entry:?} {exit:?}"
        );
    }
    Ok(())
}

/// Somebody else who records the same call, in an instance of his own.
struct Neighbour {
    instance: PathBuf,
}

impl Neighbour {
    fn new() -> Result<Self> {
        let name = format!("lttng-rs-{}x-neighbour", std::env::var(tracefs::IDENTITY)?);
        let instance = Path::new(tracefs::ROOT).join("instances").join(name);
        fs::create_dir(&instance)?;
        // All files that the whole machine opens meanwhile.
        fs::write(instance.join("buffer_size_kb"), "16384")?;
        fs::write(
            instance.join("events/syscalls/sys_enter_openat/enable"),
            "1",
        )?;
        Ok(Self { instance })
    }

    /// How many calls with these flags it has recorded, and nothing else.
    fn calls(&self, flags: i64) -> Result<usize> {
        let text = fs::read_to_string(self.instance.join("trace"))?;
        let mut calls = 0;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            ensure!(line.contains("sys_openat("), "{line}");
            let (_, found) = line.split_once("flags: ").context("no flags")?;
            let digits = found.split(',').next().unwrap_or_default();
            let found = i64::from_str_radix(digits.trim_start_matches("0x"), 16)?;
            calls += usize::from(found == flags);
        }
        Ok(calls)
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.instance);
    }
}

fn every_text_is_as_strace_shows_it(w: &mut World) -> Result<()> {
    let has_event_probes = tracefs::has_event_probes(w)?;
    let target = w.kernel_target()?;
    let neighbour = Neighbour::new()?;
    // Buffers that hold what the whole machine does meanwhile, whenever they are read.
    target.script(&format!(
        "{}
         enable-channel -k c --subbuf-size=1M --num-subbuf=32
         enable-event -k -c c --syscall {CALLS},close
         start",
        create(w)
    ))?;
    let shown = straced(w)?;
    target.script("stop\n destroy")?;
    w.tracefs_emptied()?;
    // What others have recorded stays when the probes go.
    ensure!(neighbour.calls(CREATE)? >= FILES);

    let trace = Trace::read(&out(w))?;
    trace.assert_clean()?;
    let events = marked(&trace)?;
    entries_and_exits_alternate(&events)?;
    let recorded = as_strace(&events);
    ensure!(recorded.len() == shown.len(), "{recorded:#?} {shown:#?}");
    let numbered = |calls: &[Call]| {
        let numbered = calls.iter().flat_map(|(_, texts)| texts);
        numbered.filter(|text| text.contains('-')).count()
    };
    ensure!(numbered(&shown) >= 9 * FILES, "{shown:#?}");
    for (mut recorded, mut shown) in recorded.into_iter().zip(shown) {
        match has_event_probes {
            true => {
                forget_empty(&mut recorded, &mut shown);
                ensure!(recorded == shown, "{recorded:?} {shown:?}");
            }
            false => ensure!(recorded.0 == shown.0 && recorded.1.is_empty()),
        }
    }
    let open = events
        .iter()
        .find(|event| event.name == "syscall_entry_openat");
    let names = open.map(|event| fields(event).into_iter().map(|(name, _)| name).collect());
    let names: Vec<&str> = names.unwrap_or_default();
    ensure!(names == ["dfd", "filename", "flags", "mode"], "{names:?}");
    Ok(())
}

#[test]
fn every_text_is_as_strace_shows_it_on_this_kernel() {
    isolated(here!(), every_text_is_as_strace_shows_it);
}

#[test]
fn every_text_is_as_strace_shows_it_with_event_probes() {
    booted(here!(), |w| {
        ensure!(tracefs::has_event_probes(w)?, "the kernel has none");
        every_text_is_as_strace_shows_it(w)
    });
}

/// The texts of the openat calls of a trace.
fn opened(trace: &Trace) -> Vec<String> {
    let calls = trace
        .events
        .iter()
        .filter(|event| event.name == "syscall_entry_openat");
    let texts = calls.flat_map(|event| fields(event).into_iter().map(|(_, value)| value));
    texts.filter_map(unquoted).collect()
}

fn the_kernel_filters_by_text(w: &mut World) -> Result<()> {
    let has_event_probes = tracefs::has_event_probes(w)?;
    let target = w.kernel_target()?;
    target.lttng(&create(w))?.ok()?;
    let own = format!("file{}-", tracefs::mark()?);
    for (call, filter) in [
        (
            "openat",
            format!("filename == \"{own}7\" || filename == \"{own}1*\""),
        ),
        (
            "rename",
            format!("oldname == \"{own}*\" && newname != \"*-1*\""),
        ),
    ] {
        let rule = ["enable-event", "-k", "--syscall", call, "--filter", &filter];
        target.lttng_args(&rule)?.ok()?;
    }
    target.lttng("start")?.ok()?;
    run(&mut python(w, &program()?)?)?.ok()?;
    target.script("stop\n destroy")?;
    let trace = Trace::read(&out(w))?;
    trace.assert_clean()?;
    let numbers = || (0..FILES).map(|n| n.to_string());
    let expected: Vec<String> = numbers()
        .filter(|n| n == "7" || n.starts_with('1'))
        .map(|n| own.clone() + &n)
        .collect();
    let renamed = numbers().filter(|n| !n.starts_with('1')).count();
    ensure!(
        trace.count("syscall_entry_openat") == expected.len(),
        "{:#?}",
        trace.events
    );
    ensure!(
        trace.count("syscall_entry_rename") == renamed,
        "{:#?}",
        trace.events
    );
    if has_event_probes {
        ensure!(opened(&trace) == expected, "{:?}", opened(&trace));
    }
    Ok(())
}

#[test]
fn the_kernel_filters_by_text_on_this_kernel() {
    isolated(here!(), the_kernel_filters_by_text);
}

#[test]
fn the_kernel_filters_by_text_with_event_probes() {
    booted(here!(), the_kernel_filters_by_text);
}

/// A program that opens numbered files for each line it reads.
fn opener(w: &World, name: &str) -> Result<Child> {
    let script = format!(
        "import os, sys\nfor n in sys.stdin:\n try: os.open('{name}-' + n.strip(), 0)\n except OSError: pass"
    );
    let mut command = python(w, &script)?;
    Ok(command.stdin(Stdio::piped()).spawn()?)
}

fn open_files(mut opener: Child) -> Result<()> {
    use std::io::Write;

    let mut input = opener.stdin.take().context("no input")?;
    for n in 0..10 {
        writeln!(input, "{n}")?;
    }
    drop(input);
    ensure!(opener.wait()?.success());
    Ok(())
}

#[test]
fn text_is_in_every_channel_of_those_who_are_tracked() {
    booted(here!(), |w| {
        let target = w.kernel_target()?;
        let (own, other) = (opener(w, "own")?, opener(w, "other")?);
        let pid = own.id();
        for session in ["a", "b"] {
            target.script(&format!(
                "create {session} --output={out}
                 enable-channel -k one
                 enable-channel -k two
                 enable-event -k --syscall -c one openat
                 enable-event -k --syscall -c two *
                 track -k --pid={pid}
                 start",
                out = w.path(session).display()
            ))?;
        }
        open_files(own)?;
        open_files(other)?;
        // The first to go takes nothing from the other.
        target.script("destroy a\n stop b\n destroy b")?;
        w.tracefs_emptied()?;
        let mut expected: Vec<_> = (0..10).map(|n| format!("own-{n}")).collect();
        expected.extend(expected.clone());
        expected.sort();
        for session in ["a", "b"] {
            let trace = Trace::read(&w.path(session))?;
            trace.assert_clean()?;
            let mut opened = opened(&trace);
            opened.retain(|name| name.contains('-'));
            opened.sort();
            ensure!(opened == expected, "{session}: {opened:?}");
            ensure!(trace.count("syscall_exit_openat") >= 20);
        }
        Ok(())
    });
}

#[test]
fn text_that_is_not_in_memory_is_its_address() {
    booted(here!(), |w| {
        let target = w.kernel_target()?;
        let listed = target.lttng("list -k --syscall --fields")?.ok()?;
        let open = "openat (loglevel: TRACE_EMERG (0)) (type: syscall)";
        let (_, fields) = listed
            .stdout
            .split_once("      openat ")
            .with_context(|| open)?;
        let fields = fields.split("\n\n").next().unwrap_or_default();
        ensure!(fields.contains("filename (string)"), "{fields}");
        target.script(&format!(
            "{}
             enable-event -k --syscall chdir,close
             start",
            create(w)
        ))?;
        let script = mark()?
            + "import ctypes\n\
            c = ctypes.CDLL(None)\n\
            c.mmap.restype = ctypes.c_void_p\n\
            c.chdir.argtypes = [ctypes.c_void_p]\n\
            absent = c.mmap(None, 4096, 3, 0x22, -1, 0)\n\
            for address in absent, 0, 1 << 60: c.chdir(address)\n\
            print('%#x' % absent)";
        let printed = run(&mut python(w, &script)?)?.ok()?.stdout;
        target.script("stop\n destroy")?;
        let trace = Trace::read(&out(w))?;
        trace.assert_clean()?;
        let mut events = marked(&trace)?;
        events.retain(|event| event.name == "syscall_entry_chdir");
        // Before it was a program of its own it went where it shall run.
        let events = events.split_off(1);
        let found: Vec<&str> = events.iter().map(|event| event.fields.as_str()).collect();
        let text = |text: &str| format!("{{ filename = \"{text}\" }}");
        ensure!(
            found
                == [
                    text(printed.trim()),
                    text("0x0"),
                    text("0x1000000000000000")
                ],
            "{found:?} {printed}"
        );
        Ok(())
    });
}

#[test]
fn a_killed_daemon_leaves_its_probes_to_the_next() {
    booted(here!(), |w| {
        let target = w.kernel_target()?;
        target.script(&format!(
            "{}
             enable-event -k --syscall openat,unlink
             start",
            create(w)
        ))?;
        ensure!(
            tracefs::own_probes()?.len() == 2,
            "{:?}",
            tracefs::own_probes()?
        );
        target.daemon().kill()?;
        w.kernel_target()?;
        eventually("the probes are gone", || {
            Ok(tracefs::own_probes()?.is_empty().then_some(()))
        })?;
        ensure!(tracefs::instances(w)?.is_empty());
        Ok(())
    });
}

#[test]
fn a_probe_that_others_have_enabled_goes_with_the_next_session() {
    booted(here!(), |w| {
        let target = w.kernel_target()?;
        let session = |name: &str, then: &dyn Fn() -> Result<()>| {
            target.script(&format!(
                "create {name} --output={}
                 enable-event -k --syscall chdir
                 start",
                w.path(name).display()
            ))?;
            then()?;
            target.script("destroy")
        };
        let others = Neighbour::new()?;
        let all = others.instance.join("events/enable");
        session("a", &|| Ok(fs::write(&all, "1")?))?;
        let left = tracefs::own_probes()?;
        ensure!(left.len() == 1, "{left:?}");
        fs::write(&all, "0")?;
        session("b", &|| Ok(()))?;
        w.tracefs_emptied()
    });
}
