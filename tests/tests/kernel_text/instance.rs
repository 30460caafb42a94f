//! A trace instance of the test's own.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use kernel::format::{EventFormat, PageHeader};
use kernel::machine::Machine;
use kernel::schema::EventSchema;
use system_tests::run;
use system_tests::tracefs::reserve;

/// Removed when dropped.
pub(crate) struct Instance {
    tracefs: PathBuf,
    dir: PathBuf,
    /// As long as this is open, nobody can remove the instance.
    in_use: Option<File>,
}

/// What the names of these instances begin with.
const PREFIX: &str = "lttng-rs-test-";

/// Every event there is.
pub(crate) struct Catalogue {
    pub(crate) machine: Machine,
    /// Subsystem and format.
    pub(crate) formats: Vec<(String, EventFormat)>,
}

/// Events of a CPU since the buffer exists.
#[derive(Debug)]
pub(crate) struct Statistics {
    entries: u64,
    overrun: u64,
    read: u64,
    dropped: u64,
}

impl Statistics {
    /// Everything that was to be recorded.
    pub(crate) fn all(&self) -> u64 {
        self.entries + self.overrun + self.read + self.dropped
    }
}

impl Catalogue {
    pub(crate) fn schemas(&self) -> Vec<EventSchema> {
        let schema = |(subsystem, format): &(String, EventFormat)| {
            EventSchema::new(format, subsystem, &self.machine).expect("a schema")
        };
        self.formats.iter().map(schema).collect()
    }
}

impl Instance {
    /// An instance that does not record yet.
    pub(crate) fn new() -> Result<Self> {
        reserve()?;
        // Private, and not in the directory whose files are listed when the test fails.
        let tracefs = PathBuf::from("/run/tracefs");
        fs::create_dir_all(&tracefs)?;
        run(Command::new("mount")
            .args(["-t", "tracefs", "nodev"])
            .arg(&tracefs))?
        .ok()?;
        let instances = tracefs.join("instances");
        remove_abandoned(&instances)?;
        // Other tests and other users of tracefs have theirs.
        let unique = fs::read_to_string("/proc/sys/kernel/random/uuid")?;
        let dir = instances.join(format!("{PREFIX}{}", unique.trim()));
        fs::create_dir(&dir).with_context(|| format!("create {}", dir.display()))?;
        let in_use = File::open(dir.join("trace_pipe")).context("open an instance of our own")?;
        let instance = Self {
            tracefs,
            dir,
            in_use: Some(in_use),
        };
        instance.write("tracing_on", "0")?;
        // A clock that is no nanoseconds is printed as it is, all its digits.
        let clocks = instance.read("trace_clock")?;
        let clock = if clocks.contains("x86-tsc") {
            "x86-tsc"
        } else {
            "counter"
        };
        instance.write("trace_clock", clock)?;
        instance.write("options/fields", "1")?;
        instance.write("options/hash-ptr", "0")?;
        instance.write("options/overwrite", "0")?;
        instance.write("buffer_size_kb", "8192")?;
        Ok(instance)
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.dir.join(file);
        // Some of these files must not be truncated.
        let mut file = OpenOptions::new()
            .write(true)
            .open(&path)
            .with_context(|| format!("open {}", path.display()))?;
        file.write_all(text.as_bytes())
            .with_context(|| format!("write {text:?} to {}", path.display()))
    }

    fn read(&self, file: &str) -> Result<String> {
        let path = self.dir.join(file);
        let mut bytes = Vec::new();
        File::open(&path)?
            .read_to_end(&mut bytes)
            .with_context(|| format!("read {}", path.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Records only what this thread and its descendants do.
    pub(crate) fn follow_this_thread(&self) -> Result<()> {
        // Its number in the first pid namespace, which is what the kernel compares and prints.
        self.write("tracing_on", "1")?;
        self.mark("who is it")?;
        self.write("tracing_on", "0")?;
        let text = self.read("trace")?;
        let line = text.lines().find(|line| !line.starts_with('#'));
        let pid = line
            .and_then(|line| line.split(" [").next()?.trim_end().rsplit('-').next())
            .with_context(|| format!("no thread in {text}"))?
            .to_owned();
        self.clear()?;
        self.write("options/event-fork", "1")?;
        self.write("set_event_pid", &pid)
    }

    /// Empties the buffer.
    fn clear(&self) -> Result<()> {
        File::create(self.dir.join("trace"))?;
        Ok(())
    }

    pub(crate) fn enable_all(&self) -> Result<()> {
        self.write("events/enable", "1")
    }

    /// Enables all events of a subsystem, if the kernel has it.
    pub(crate) fn enable(&self, subsystem: &str) -> Result<()> {
        if self.dir.join("events").join(subsystem).exists() {
            self.write(&format!("events/{subsystem}/enable"), "1")?;
        }
        Ok(())
    }

    pub(crate) fn start(&self) -> Result<()> {
        self.write("tracing_on", "1")
    }

    pub(crate) fn pause(&self) -> Result<()> {
        self.write("tracing_on", "0")
    }

    /// Larger pages, where the kernel has them (Linux 6.8).
    pub(crate) fn set_page_size(&self, bytes: usize) -> Result<()> {
        if self.dir.join("buffer_subbuf_size_kb").exists() {
            self.write("buffer_subbuf_size_kb", &(bytes >> 10).to_string())?;
        }
        Ok(())
    }

    fn page_size(&self) -> Result<usize> {
        match self.read("buffer_subbuf_size_kb") {
            Ok(text) => Ok(text.trim().parse::<usize>()? << 10),
            Err(_) => Ok(rustix::param::page_size()),
        }
    }

    /// A buffer of that size for each CPU, in which the oldest events are overwritten.
    pub(crate) fn overwrite(&self, size_kib: u32) -> Result<()> {
        self.write("options/overwrite", "1")?;
        self.write("buffer_size_kb", &size_kib.to_string())
    }

    /// What the kernel counts.
    pub(crate) fn statistics(&self, cpu: u32) -> Result<Statistics> {
        let text = self.read(&format!("per_cpu/cpu{cpu}/stats"))?;
        let number = |name: &str| -> Result<u64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.trim_start_matches(':').trim().parse().ok())
                .with_context(|| format!("no {name:?} in {text}"))
        };
        Ok(Statistics {
            entries: number("entries")?,
            overrun: number("overrun")?,
            read: number("read events")?,
            dropped: number("dropped events")?,
        })
    }

    /// Something for the event of `trace_marker`.
    pub(crate) fn mark(&self, text: &str) -> Result<()> {
        self.write("trace_marker", text)
    }

    /// CPUs that have a buffer.
    pub(crate) fn cpus(&self) -> Result<Vec<u32>> {
        let mut cpus = Vec::new();
        for entry in fs::read_dir(self.dir.join("per_cpu"))? {
            let name = entry?.file_name();
            let number = name.to_string_lossy();
            cpus.push(number.trim_start_matches("cpu").parse()?);
        }
        cpus.sort_unstable();
        Ok(cpus)
    }

    /// What the kernel prints of a buffer, which stays as it is.
    pub(crate) fn text(&self, cpu: u32) -> Result<String> {
        self.read(&format!("per_cpu/cpu{cpu}/trace"))
    }

    /// Takes the pages out of a buffer.
    pub(crate) fn raw_pages(&self, cpu: u32) -> Result<Vec<Vec<u8>>> {
        let path = self.dir.join(format!("per_cpu/cpu{cpu}/trace_pipe_raw"));
        let nonblock = rustix::fs::OFlags::NONBLOCK.bits() as i32;
        let mut pipe = OpenOptions::new()
            .read(true)
            .custom_flags(nonblock)
            .open(path)?;
        let page_size = self.page_size()?;
        let mut pages = Vec::new();
        loop {
            let mut page = vec![0; page_size];
            match pipe.read(&mut page) {
                Ok(0) => return Ok(pages),
                Ok(length) => {
                    page.truncate(length);
                    pages.push(page);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(pages),
                Err(error) => return Err(error.into()),
            }
        }
    }

    pub(crate) fn catalogue(&self) -> Result<Catalogue> {
        let events = self.tracefs.join("events");
        // This file gives all its text to the first read, and nothing to a second one.
        let mut header = vec![0; 4096];
        let length = File::open(events.join("header_page"))?.read(&mut header)?;
        let header = PageHeader::parse(std::str::from_utf8(&header[..length])?)?;
        let mut formats = Vec::new();
        for subsystem in fs::read_dir(&events)? {
            let subsystem = subsystem?;
            if !subsystem.file_type()?.is_dir() {
                continue;
            }
            for event in fs::read_dir(subsystem.path())? {
                let Ok(text) = fs::read_to_string(event?.path().join("format")) else {
                    continue;
                };
                let name = subsystem.file_name().to_string_lossy().into_owned();
                formats.push((name, EventFormat::parse(&text)?));
            }
        }
        Ok(Catalogue {
            machine: Machine::native(&header),
            formats,
        })
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.write("events/enable", "0");
        self.in_use = None;
        if let Err(error) = fs::remove_dir(&self.dir) {
            eprintln!("cannot remove {}: {error}", self.dir.display());
        }
    }
}

/// Removes instances of tests that were killed; those in use refuse.
fn remove_abandoned(instances: &Path) -> Result<()> {
    for entry in fs::read_dir(instances)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            let _ = fs::remove_dir(entry.path());
        }
    }
    Ok(())
}
