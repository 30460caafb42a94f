//! Times in names of directories: local, as stock's.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Now.
pub(crate) fn now_unix_s() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or(0)
}

/// Of a session's directory: `20261122-214708`.
pub(crate) fn in_directory(unix_s: u64) -> String {
    format("%Y%m%d-%H%M%S", unix_s)
}

/// Of a trace chunk's directory: `20261122T214708+0000`.
pub(crate) fn in_chunk(unix_s: u64) -> String {
    format("%Y%m%dT%H%M%S%z", unix_s)
}

/// A peer may send any number: what is no time at all is shown as the number.
fn format(format: &str, unix_s: u64) -> String {
    let timestamp = i64::try_from(unix_s)
        .ok()
        .and_then(|s| Timestamp::from_second(s).ok());
    match timestamp {
        Some(timestamp) => timestamp
            .to_zoned(TimeZone::system())
            .strftime(format)
            .to_string(),
        None => unix_s.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn absurd_times_are_numbers() {
        assert_eq!(super::in_chunk(u64::MAX), u64::MAX.to_string());
    }
}
