//! One instance: ring buffers of its own, with the events that are enabled in it.

use std::fmt::Write;
use std::fs;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};

use super::files::{self, append, failed, list, number, open, read, write};
use super::{EventName, Stats, TracefsError};

/// How long somebody may still hold a file of an instance that is removed.
const BUSY_PATIENCE: Duration = Duration::from_secs(2);
/// Largest sub-buffer in KiB: the kernel needs each in one piece of memory.
const MAX_SUBBUF_KIB: u64 = 64;
/// Sub-buffers that a buffer should have at least, so that reading and writing do not meet.
const MIN_SUBBUFS: u64 = 8;

/// An instance of our own.
#[derive(Debug)]
pub struct Instance {
    path: PathBuf,
}

/// What a reader of the ring buffer of one CPU needs.
#[derive(Debug)]
pub struct RawStream {
    /// The CPU.
    pub cpu: u32,
    /// Its `trace_pipe_raw`, which does not block.
    pub pipe: OwnedFd,
    /// Its `stats`, to be read from the start.
    pub stats: OwnedFd,
}

impl Instance {
    /// Creates it, not tracing.
    pub(super) fn create(path: PathBuf) -> Result<Self, TracefsError> {
        fs::create_dir(&path).map_err(|source| failed("create the instance", &path, source))?;
        let instance = Self { path };
        match instance.set_tracing(false) {
            Ok(()) => Ok(instance),
            Err(error) => {
                // It is the caller's if it can be had, and nobody's otherwise.
                let _ = instance.remove();
                Err(error)
            }
        }
    }

    pub(super) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// The clock of the time stamps.
    pub fn set_clock(&self, name: &str) -> Result<(), TracefsError> {
        self.write("trace_clock", name)
    }

    /// Whether the oldest events make place for new ones; otherwise the newest are dropped.
    pub fn set_overwrite(&self, overwrite: bool) -> Result<(), TracefsError> {
        self.write("options/overwrite", flag(overwrite))
    }

    /// Sets the memory of each CPU's buffer, in sub-buffers that are as large as the kernel makes them,
    /// within the limits of a reasonable number of them.
    pub fn set_buffer_size(&self, bytes: u64) -> Result<(), TracefsError> {
        let wanted_kib = bytes.div_ceil(1024);
        let mut subbuf_kib = MAX_SUBBUF_KIB.min(prev_power_of_two(wanted_kib / MIN_SUBBUFS));
        let page_kib = rustix::param::page_size() as u64 / 1024;
        while subbuf_kib > page_kib && self.has("buffer_subbuf_size_kb") {
            // Kernels before 6.8 have pages only, and memory in large pieces may be short.
            if self
                .write("buffer_subbuf_size_kb", &subbuf_kib.to_string())
                .is_ok()
            {
                break;
            }
            subbuf_kib /= 2;
        }
        self.write("buffer_size_kb", &wanted_kib.to_string())
    }

    /// Sets the memory of each CPU's buffer, in sub-buffers as small as they can be: for events that are read a
    /// few at a time.
    pub fn set_small_buffer(&self, bytes: u64) -> Result<(), TracefsError> {
        self.write("buffer_size_kb", &bytes.div_ceil(1024).to_string())
    }

    /// Bytes of a sub-buffer, its header included: what one read can bring.
    pub fn subbuf_size(&self) -> u64 {
        number(&self.file("buffer_subbuf_size_kb"))
            .map_or(rustix::param::page_size() as u64, |kib| kib * 1024)
    }

    /// `events/header_page`: the layout of the sub-buffers of this instance.
    pub fn page_header(&self) -> Result<String, TracefsError> {
        // Only the instance knows its own size of a sub-buffer.
        read(&self.file("events/header_page"))
    }

    /// How full a buffer is when its reader is woken, in per cent.
    pub fn set_wakeup_level(&self, percent: u32) -> Result<(), TracefsError> {
        // Kernels before 5.0 wake the reader for each sub-buffer.
        if self.has("buffer_percent") {
            self.write("buffer_percent", &percent.to_string())?;
        }
        Ok(())
    }

    /// Records, or not.
    pub fn set_tracing(&self, on: bool) -> Result<(), TracefsError> {
        self.write("tracing_on", flag(on))
    }

    /// Enables or disables an event.
    pub fn set_event(&self, event: &EventName, on: bool) -> Result<(), TracefsError> {
        self.write(&format!("{}/enable", event.path()), flag(on))
    }

    /// Which events of its kind are recorded, in the kernel's language; `None`: all.
    pub fn set_filter(&self, event: &EventName, filter: Option<&str>) -> Result<(), TracefsError> {
        let file = format!("{}/filter", event.path());
        self.write(&file, filter.unwrap_or("0"))
    }

    /// Records only events of these threads and, as they come into being, of their children; `None`: of all.
    /// The instance pauses meanwhile: with half a list it would record what it should not.
    pub fn set_threads(&self, tids: Option<&[u32]>) -> Result<(), TracefsError> {
        let was_on = number(&self.file("tracing_on"))? != 0;
        self.set_tracing(false)?;
        self.write_threads(tids)?;
        self.set_tracing(was_on)
    }

    fn write_threads(&self, tids: Option<&[u32]>) -> Result<(), TracefsError> {
        let path = self.file("set_event_pid");
        self.write("options/event-fork", flag(tids.is_some()))?;
        write(&path, "")?;
        let Some(tids) = tids else {
            return Ok(());
        };
        if tids.is_empty() {
            // An empty list means all; no thread has this number.
            return append(&path, &(NO_THREAD.to_string() + "\n"));
        }
        for some in tids.chunks(256) {
            let mut text = String::new();
            for tid in some {
                let _ = write!(text, "{tid} ");
            }
            append(&path, &text)?;
        }
        Ok(())
    }

    /// The CPUs that have a buffer, in order.
    pub fn cpus(&self) -> Result<Vec<u32>, TracefsError> {
        let names = list(&self.file("per_cpu"))?;
        let number = |name: &String| name.strip_prefix("cpu")?.parse().ok();
        let mut cpus: Vec<u32> = names.iter().filter_map(number).collect();
        cpus.sort_unstable();
        Ok(cpus)
    }

    /// Opens what a reader of this CPU needs.
    pub fn open_raw(&self, cpu: u32) -> Result<RawStream, TracefsError> {
        let directory = self.file(&format!("per_cpu/cpu{cpu}"));
        let path = directory.join("trace_pipe_raw");
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let pipe = rustix::fs::open(&path, flags, Mode::empty())
            .map_err(|errno| failed("open", &path, errno.into()))?;
        Ok(RawStream {
            cpu,
            pipe,
            stats: open(&directory.join("stats"))?.into(),
        })
    }

    /// What the kernel has counted of this CPU's buffer.
    pub fn stats(&self, cpu: u32) -> Result<Stats, TracefsError> {
        let text = read(&self.file(&format!("per_cpu/cpu{cpu}/stats")))?;
        Ok(Stats::parse(&text))
    }

    /// Removes it with all that is in it. Waits a moment for readers that have not closed their files yet.
    pub fn remove(self) -> Result<(), TracefsError> {
        self.remove_in_steps(&|| {})
    }

    /// As [`Self::remove`]; `pause` comes before each of its steps. While the kernel removes an instance with all its
    /// events at once, nobody else on the machine can change any event, and that may take half a minute.
    pub fn remove_in_steps(self, pause: &dyn Fn()) -> Result<(), TracefsError> {
        self.disable_events(pause);
        pause();
        let end = Instant::now() + BUSY_PATIENCE;
        let mut pause = Duration::from_millis(1);
        loop {
            match fs::remove_dir(&self.path) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                Err(error) if is_busy(&error) && Instant::now() < end => {
                    thread::sleep(pause);
                    pause = (pause * 2).min(Duration::from_millis(50));
                }
                Err(error) => return Err(failed("remove the instance", &self.path, error)),
            }
        }
    }

    /// Event probes too: the kernel (6.1) does not free what they have in an instance that goes while they are enabled.
    fn disable_events(&self, pause: &dyn Fn()) {
        let enabled = read(&self.file("set_event")).unwrap_or_default();
        for event in enabled.lines().filter_map(EventName::parse) {
            pause();
            // What refuses to be disabled goes with the instance.
            let _ = self.set_event(&event, false);
        }
    }

    fn has(&self, file: &str) -> bool {
        self.file(file).exists()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn write(&self, name: &str, value: &str) -> Result<(), TracefsError> {
        files::write(&self.file(name), value)
    }
}

/// Above the largest that Linux gives.
const NO_THREAD: u32 = (1 << 22) - 1;

fn flag(on: bool) -> &'static str {
    if on { "1" } else { "0" }
}

fn is_busy(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::BUSY.raw_os_error())
}

fn prev_power_of_two(n: u64) -> u64 {
    match n {
        0 => 1,
        _ => 1 << n.ilog2(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sub_buffers_are_powers_of_two() {
        for (n, expected) in [(0, 1), (1, 1), (5, 4), (64, 64), (100, 64)] {
            assert_eq!(prev_power_of_two(n), expected);
        }
    }
}
