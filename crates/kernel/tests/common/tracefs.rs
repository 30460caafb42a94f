//! The files of the running kernel's tracefs, read in a mount namespace where it certainly is mounted.

use std::collections::BTreeMap;
use std::process::Command;

use kernel::format::{EventFormat, PageHeader};
use kernel::machine::Machine;
use kernel::schema::EventSchema;

/// All `format` files and `events/header_page`.
pub(crate) struct Formats {
    /// Text by subsystem and event.
    pub(crate) texts: BTreeMap<(String, String), String>,
    pub(crate) machine: Machine,
}

impl Formats {
    /// Those of the running kernel. Needs root.
    pub(crate) fn running() -> Self {
        let script = "mount -t tracefs nodev \"$1\" && cd \"$1\" && grep -H '' events/header_page && \
            grep -rH '' --include=format events";
        let dir = env!("CARGO_TARGET_TMPDIR");
        let output = Command::new("unshare")
            .args(["--mount", "sh", "-c", script, "sh", dir])
            .output()
            .expect("unshare is not installed");
        assert!(
            output.status.success(),
            "tracefs cannot be read (these tests need root): {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout).expect("text");
        let mut files: BTreeMap<&str, String> = BTreeMap::new();
        for line in text.lines() {
            let (path, line) = line.split_once(':').expect("PATH:LINE");
            let file = files.entry(path).or_default();
            file.push_str(line);
            file.push('\n');
        }
        let header = files.remove("events/header_page").expect("header_page");
        let header = PageHeader::parse(&header).expect("header_page");
        let texts = files.into_iter().map(|(path, text)| {
            let mut parts = path.split('/').skip(1);
            let mut part = || parts.next().expect("events/SUBSYSTEM/EVENT").to_owned();
            ((part(), part()), text)
        });
        Self {
            texts: texts.collect(),
            machine: Machine::native(&header),
        }
    }

    /// Event schemas of all.
    pub(crate) fn schemas(&self) -> Vec<EventSchema> {
        let schema = |((subsystem, event), text): (&(String, String), &String)| {
            let format = EventFormat::parse(text)
                .unwrap_or_else(|error| panic!("{subsystem}:{event}: {error}"));
            EventSchema::new(&format, subsystem, &self.machine)
                .unwrap_or_else(|error| panic!("{subsystem}:{event}: {error}"))
        };
        self.texts.iter().map(schema).collect()
    }
}
