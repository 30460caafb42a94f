//! Waiting for something to become true, with a deadline.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long anything may take that should take milliseconds. Long, because the machine may be busy; less than a test
/// may take, so that it is told what did not happen.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Asks `ready` until it gives a value; an error that says `what` was awaited after [`DEADLINE`].
pub fn eventually<T>(what: &str, mut ready: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(value) = ready()? {
            return Ok(value);
        }
        if Instant::now() >= end {
            bail!("{what}: still not so after {DEADLINE:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The clock of user space traces: nanoseconds since the machine started.
pub fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let [seconds, nanoseconds] =
        [now.tv_sec, now.tv_nsec].map(|part| u64::try_from(part).unwrap_or(0));
    seconds * 1_000_000_000 + nanoseconds
}

/// Waits until `measure` gives the same for half a second.
pub fn steady<T: PartialEq>(what: &str, mut measure: impl FnMut() -> Result<T>) -> Result<T> {
    let mut since = (measure()?, Instant::now());
    eventually(what, || {
        let now = measure()?;
        if now != since.0 {
            since = (now, Instant::now());
            return Ok(None);
        }
        Ok((since.1.elapsed() > Duration::from_millis(500)).then_some(now))
    })
}
