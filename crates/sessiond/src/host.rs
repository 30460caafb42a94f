//! What this machine is: its name, its clock, its CPUs.

use std::fs;

use ctf::metadata::Clock;
use ctf::units::Uuid;
use rustix::time::{ClockId, clock_gettime};

/// Facts about the machine that do not change while the daemon runs.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    /// As the machine knows itself, made safe for a path.
    pub name: String,
    /// Highest possible CPU number + 1: as many streams has a channel.
    pub cpus: u32,
    /// Identity of this boot.
    boot_id: Option<Uuid>,
    /// Random; tells relay daemons this daemon from others.
    pub daemon_uuid: [u8; 16],
}

impl Host {
    /// Asks the system.
    pub(crate) fn discover() -> anyhow::Result<Self> {
        let name = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
        Ok(Self {
            name: safe_component(&name),
            cpus: ring_buffer::possible_cpus()?,
            boot_id: boot_id.and_then(|text| Uuid::parse(text.trim())),
            daemon_uuid: random_uuid()?,
        })
    }

    /// The monotonic clock, with its distance from the Epoch measured now.
    pub(crate) fn clock(&self) -> Clock {
        Clock {
            name: "monotonic".into(),
            uuid: self.boot_id,
            description: "Monotonic Clock".into(),
            freq_hz: 1_000_000_000,
            offset: realtime_offset_ns(),
        }
    }
}

/// A random (version 4) UUID.
pub(crate) fn random_uuid() -> std::io::Result<[u8; 16]> {
    let mut uuid = [0; 16];
    let mut filled = 0;
    while filled < uuid.len() {
        filled +=
            rustix::rand::getrandom(&mut uuid[filled..], rustix::rand::GetRandomFlags::empty())?;
    }
    uuid[6] = uuid[6] & 0x0f | 0x40;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    Ok(uuid)
}

/// Random hexadecimal digits.
pub(crate) fn random_text(digits: usize) -> std::io::Result<String> {
    let bytes = random_uuid()?;
    // The last bytes: two of the first have bits that say what kind of UUID it is.
    let text: String = bytes
        .iter()
        .rev()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(text.chars().take(digits).collect())
}

/// A name as one component of a path: no separator, no control characters, no leading dot, not empty.
pub(crate) fn safe_component(name: &str) -> String {
    let mut safe: String = name
        .chars()
        .map(|c| if c == '/' || c.is_control() { '_' } else { c })
        .collect();
    if safe.is_empty() || safe.starts_with('.') {
        safe.insert(0, '_');
    }
    safe
}

/// Realtime minus monotonic, in nanoseconds, from the tightest of some measurements: what lies between the two
/// reads of the monotonic clock is the error.
fn realtime_offset_ns() -> i64 {
    let ns = |clock| {
        let time = clock_gettime(clock);
        time.tv_sec * 1_000_000_000 + time.tv_nsec
    };
    let measure = |_| {
        let before = ns(ClockId::Monotonic);
        let real = ns(ClockId::Realtime);
        let after = ns(ClockId::Monotonic);
        (after - before, real - (before + (after - before) / 2))
    };
    (0..10).map(measure).min().map_or(0, |(_, offset)| offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_directory() {
        for (name, safe) in [("vm", "vm"), ("../x", "_.._x"), ("", "_"), ("a\nb", "a_b")] {
            assert_eq!(safe_component(name), safe);
        }
    }

    #[test]
    fn the_offset_leads_to_now() {
        const SECOND: i128 = 1_000_000_000;
        let now = || {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            since.unwrap().as_nanos() as i128
        };
        let before = now();
        let computed = ring_buffer::monotonic_now() as i128 + i128::from(realtime_offset_ns());
        let after = now();
        assert!((before - SECOND..after + SECOND).contains(&computed));
    }
}
