//! What the daemons wrote into their logs.

/// Lines that stock daemons always write in a private, unprivileged place; they mean nothing.
const NOISE: &[&str] = &[
    "failed to set open files limit",
    "Failed to load kmod library resources",
    "No kernel tracer available",
    "Failed to set directory",
];

/// The lines of `log` in which a daemon complains.
pub fn complaints(log: &str) -> Vec<&str> {
    let is_complaint = |line: &str| {
        [
            "Error:", "PERROR", "Warning:", " ERROR ", " WARN ", "panicked", "BUG",
        ]
        .iter()
        .any(|mark| line.contains(mark))
    };
    log.lines()
        .filter(|line| is_complaint(line) && !NOISE.iter().any(|noise| line.contains(noise)))
        .collect()
}
