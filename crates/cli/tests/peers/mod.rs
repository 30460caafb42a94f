//! Runs the same shell lines against the stock tools and against ours, each in namespaces of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// Whose `lttng` and `lttng-sessiond`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Stock,
    Ours,
}

/// What a line of a script printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) line: String,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) status: String,
}

/// Most seconds for one script.
const LIMIT_SECONDS: &str = "300";

/// Mounts private directories, starts the session daemon if asked, and runs the lines one by one.
/// `$1` directory for results, `$2` directory of the programs, `$3` whether to start a daemon.
const PLAY: &str = r#"
set -eu
results=$1 programs=$2 daemon=$3
ip link set lo up
mkdir -p /run/lttng
mount -t tmpfs tmpfs /run/lttng
mount -t tmpfs tmpfs /dev/shm
mkdir -p "$results/home"
mount -t tmpfs tmpfs "$results/home"
unset LTTNG_SESSIOND_PATH LTTNG_CONSUMERD64_BIN
export HOME="$results/home" LTTNG_HOME="$results/home" PATH="$programs:$PATH" LC_ALL=C
cd "$HOME"
if [ "$daemon" = yes ]; then
    lttng-sessiond --no-kernel --daemonize >"$results/daemon.out" 2>"$results/daemon.err"
fi
set +e
number=0
while IFS= read -r line; do
    number=$((number + 1))
    ( eval "$line" ) >"$results/$number.out" 2>"$results/$number.err" </dev/null
    echo $? >"$results/$number.status"
done <"$results/script"
exit 0
"#;

/// Where the programs of this workspace are.
fn our_programs() -> PathBuf {
    let directory = match std::env::var_os("LTTNG_RS_BIN_DIR") {
        Some(directory) => PathBuf::from(directory),
        None => Path::new(env!("CARGO_BIN_EXE_lttng"))
            .parent()
            .unwrap()
            .into(),
    };
    for program in ["lttng", "lttng-sessiond", "lttng-consumerd", "lttng-relayd"] {
        let path = directory.join(program);
        assert!(
            path.is_file(),
            "{} is not there; build it with `cargo build --workspace --bins`",
            path.display()
        );
    }
    directory
}

fn stock_programs() -> PathBuf {
    for program in ["lttng", "lttng-sessiond"] {
        let path = Path::new("/usr/bin").join(program);
        assert!(
            path.is_file(),
            "{} is missing: install lttng-tools",
            path.display()
        );
    }
    "/usr/bin".into()
}

/// Runs a script: one shell line per line; empty lines and lines that start with `#` are skipped.
pub(crate) fn play(side: Side, name: &str, script: &str, with_daemon: bool) -> Vec<Run> {
    let lines: Vec<&str> = script
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    let programs = match side {
        Side::Stock => stock_programs(),
        Side::Ours => our_programs(),
    };
    let results = scratch(&format!("{name}-{side:?}"));
    fs::write(results.join("script"), lines.join("\n") + "\n").unwrap();
    let root = rustix::process::geteuid().is_root();
    let prefix: &[&str] = if root {
        &[]
    } else {
        &["sudo", "--non-interactive"]
    };
    let words = prefix.iter().chain(&[
        "timeout",
        "--kill-after=5",
        LIMIT_SECONDS,
        "unshare",
        "--mount",
        "--net",
        "--pid",
        "--fork",
        "--mount-proc",
        "--kill-child",
        "sh",
        "-c",
        PLAY,
        "sh",
    ]);
    let mut words = words.copied();
    let output = Command::new(words.next().unwrap())
        .args(words)
        .args([&results, &programs])
        .arg(if with_daemon { "yes" } else { "no" })
        .output()
        .unwrap();
    let said = |file: &str| fs::read_to_string(results.join(file)).unwrap_or_default();
    assert!(
        output.status.success(),
        "{name} against {side:?}: {}\n{}{}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr),
        said("daemon.out"),
        said("daemon.err"),
    );
    let home = results.join("home").display().to_string();
    let tidy = |text: String| normalize(&text.replace(&home, "HOME"));
    let runs = lines.iter().enumerate().map(|(index, line)| {
        let read = |what: &str| said(&format!("{}.{what}", index + 1));
        Run {
            line: (*line).to_owned(),
            stdout: tidy(read("out")),
            stderr: tidy(read("err")),
            status: read("status").trim().into(),
        }
    });
    let runs = runs.collect();
    let _ = fs::remove_dir_all(&results);
    runs
}

fn scratch(name: &str) -> PathBuf {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    // Below the target directory: tmpfs mounts of the script do not hide it.
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{now}"));
    fs::create_dir_all(&directory).unwrap();
    directory
}

/// Dates and process ids are different at each run.
fn normalize(text: &str) -> String {
    let mut out = Vec::new();
    for line in text.lines() {
        let line = match line.split_once("PID: ") {
            Some((before, after)) => {
                let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
                format!("{before}PID: N{rest}")
            }
            None => line.to_owned(),
        };
        out.push(mask_dates(&line));
    }
    out.join("\n")
}

/// Replaces `YYYYmmdd-HHMMSS` and `YYYYmmddTHHMMSS+0000`.
fn mask_dates(line: &str) -> String {
    mask(&mask(line, b"dddddddd-dddddd"), b"ddddddddTdddddd+dddd")
}

/// Replaces what has a shape of digits.
fn mask(line: &str, shape: &[u8]) -> String {
    let bytes = line.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let fits = bytes.len() - at >= shape.len()
            && shape
                .iter()
                .zip(&bytes[at..])
                .all(|(shape, byte)| match shape {
                    b'd' => byte.is_ascii_digit(),
                    other => other == byte,
                });
        if fits {
            out.extend(b"DATE");
            at += shape.len();
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(out).unwrap()
}
