//! A trace on disk, and babeltrace2 to read it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ctf::metadata::{Clock, EnvValue};
use ctf::units::Uuid;
use kernel::environment::{KernelEnvironment, trace_class};
use kernel::machine::Machine;
use kernel::schema::{EventSchema, stream_class};

pub(crate) const UUID: [u8; 16] = [7; 16];

/// A trace in a directory of its own below the build directory.
pub(crate) struct TraceDir(PathBuf);

impl TraceDir {
    /// An empty trace.
    pub(crate) fn new(name: &str) -> Self {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    pub(crate) fn metadata(&self, machine: &Machine, events: &[EventSchema]) {
        self.metadata_text(&metadata(machine, events));
    }

    pub(crate) fn metadata_text(&self, text: &str) {
        fs::write(self.0.join("metadata"), text).unwrap();
    }

    pub(crate) fn stream(&self, name: &str, packets: &[u8]) {
        fs::write(self.0.join(name), packets).unwrap();
    }

    /// The events as babeltrace2 prints them. Any warning fails, but the one that repeats what the
    /// packets say of discarded events; these are given back.
    pub(crate) fn babeltrace2(&self) -> (Vec<String>, Vec<String>) {
        let output = Command::new("babeltrace2")
            .args(["--clock-cycles", "--no-delta"])
            .arg(&self.0)
            .output()
            .expect("babeltrace2 is not installed");
        let stderr = String::from_utf8_lossy(&output.stderr);
        let (discarded, others): (Vec<&str>, Vec<&str>) = stderr
            .lines()
            .filter(|line| !line.is_empty())
            .partition(|line| line.contains("WARNING: Tracer discarded"));
        assert!(
            output.status.success() && others.is_empty(),
            "{}: {stderr}",
            self.0.display()
        );
        let stdout = String::from_utf8(output.stdout).expect("text");
        (
            stdout.lines().map(str::to_owned).collect(),
            discarded.into_iter().map(str::to_owned).collect(),
        )
    }
}

/// Metadata of a trace with one channel, number 0.
pub(crate) fn metadata(machine: &Machine, events: &[EventSchema]) -> String {
    let order = machine.byte_order;
    let mut text = preamble(machine);
    text.push_str(&ctf::tsdl::stream(&stream_class(0), order));
    for event in events {
        text.push_str(&ctf::tsdl::event(&event.class(0), order));
    }
    text
}

/// Metadata of a trace without channels.
pub(crate) fn preamble(machine: &Machine) -> String {
    let environment = KernelEnvironment {
        sysname: "Linux".into(),
        kernel_release: "6.18.0".into(),
        kernel_version: "#1 SMP \"quoted\"".into(),
        hostname: "target".into(),
        trace_name: "t".into(),
        trace_creation_datetime: "20261126T000000+0000".into(),
    };
    let env: Vec<(String, EnvValue)> = environment.entries();
    let clock = Clock {
        name: "monotonic".into(),
        uuid: None,
        description: "Monotonic Clock".into(),
        freq_hz: 1_000_000_000,
        offset: 0,
    };
    ctf::tsdl::preamble(&trace_class(Uuid(UUID), machine.byte_order, env, clock))
}
