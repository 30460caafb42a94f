//! A traced program that emits numbers, and what a trace has of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds the program; tests of several processes may do so at once.
pub(crate) fn build() -> PathBuf {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/apps/counter.c");
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let own = directory.join(format!("counter-{}", std::process::id()));
    let output = Command::new("gcc")
        .args(["-Wall", "-Werror", "-O1", "-o"])
        .arg(&own)
        .arg(source)
        .args(["-llttng-ust", "-ldl"])
        .output()
        .expect("gcc is missing: install gcc");
    assert!(
        output.status.success(),
        "building the counter needs liblttng-ust-dev: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let program = directory.join("counter");
    fs::rename(own, &program).unwrap();
    program
}

/// What the reader of traces shows of a number.
const SED: &str = "sed -n 's/.* msg = \"\\([0-9]*\\)\".*/\\1/p'";

/// A shell command that prints the numbers of each trace below the directories, one trace after the other;
/// what the reader has to say besides is on stderr.
pub(crate) fn numbers(directories: &str) -> String {
    format!(
        "for trace in $(find {directories} -name metadata -printf '%h\\n' | sort); do babeltrace2 $trace | {SED}; done"
    )
}

/// The same for all directories read at once: the reader joins the parts of a session, and would tell of
/// packets that are in none of them.
pub(crate) fn joined(directories: &str) -> String {
    format!("babeltrace2 {directories} | {SED}")
}

/// What [`numbers`] printed.
pub(crate) fn parse(text: &str) -> Vec<u64> {
    text.lines().map(|line| line.parse().unwrap()).collect()
}
