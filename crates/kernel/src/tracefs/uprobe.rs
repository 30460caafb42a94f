//! Probes in user space programs (`uprobe_events`).

use std::path::{Path, PathBuf};

use super::files::{append, read};
use super::{EventName, Owner, Tracefs, TracefsError};

/// The list of all probes of the machine.
const FILE: &str = "uprobe_events";

/// A place in a program.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UprobeSite {
    /// The executable or library, absolute.
    pub path: PathBuf,
    /// In the file, bytes.
    pub offset: u64,
    /// In the file: the counter that tells the program that somebody traces it (SDT semaphore).
    pub semaphore: Option<u64>,
}

/// A site cannot be written down in the kernel's language.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the kernel cannot probe a file whose path has a space, a `:` or a control character: `{0}`"
)]
pub struct ProbeArgumentError(String);

impl UprobeSite {
    /// As the kernel wants to read it.
    fn text(&self) -> Result<String, ProbeArgumentError> {
        let path = self.path.to_string_lossy();
        let unusable = |c: char| c.is_whitespace() || c.is_control() || c == ':';
        if path.contains(unusable) {
            return Err(ProbeArgumentError(path.into_owned()));
        }
        let semaphore = self.semaphore.map(|offset| format!("({offset:#x})"));
        Ok(format!(
            "{path}:{:#x}{}",
            self.offset,
            semaphore.unwrap_or_default()
        ))
    }
}

impl Tracefs {
    /// Whether the kernel has probes in user space programs.
    pub fn has_uprobes(&self) -> bool {
        self.has(FILE)
    }

    /// Adds an event `name` of this owner that happens at the site; disabled, in all instances.
    pub fn add_probe(
        &self,
        owner: &Owner,
        name: &str,
        site: &UprobeSite,
    ) -> Result<EventName, TracefsError> {
        let identifier = !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !identifier {
            return Err(TracefsError::BadName(name.to_owned()));
        }
        let event = EventName::new(owner.probe_group(), name);
        let place = site
            .text()
            .map_err(|error| TracefsError::BadName(error.to_string()))?;
        let line = format!("p:{}/{} {place}\n", event.subsystem, event.name);
        append(&self.probes(), &line)?;
        Ok(event)
    }

    /// Removes an event that [`Self::add_probe`] made. No instance may have it enabled.
    pub fn remove_probe(&self, event: &EventName) -> Result<(), TracefsError> {
        let line = format!("-:{}/{}\n", event.subsystem, event.name);
        append(&self.probes(), &line)
    }

    /// Removes all probes of this owner but those whose names begin with `except`, and tells how many
    /// there were.
    pub(super) fn remove_probes(&self, owner: &Owner, except: &str) -> Result<usize, TracefsError> {
        if !self.has_uprobes() {
            return Ok(0);
        }
        let group = owner.probe_group();
        let mut removed = 0;
        for event in read(&self.probes())?.lines().filter_map(event_of_line) {
            if event.subsystem == group && !event.name.starts_with(except) {
                self.remove_probe(&event)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    fn probes(&self) -> PathBuf {
        Path::join(self.root(), FILE)
    }
}

/// `p:group/name /path:0x123` to the event.
fn event_of_line(line: &str) -> Option<EventName> {
    let (_, rest) = line.split_once(':')?;
    let (subsystem, name) = rest.split_whitespace().next()?.split_once('/')?;
    Some(EventName::new(subsystem, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_are_written_as_the_kernel_reads_them() {
        let mut site = UprobeSite {
            path: "/bin/ls".into(),
            offset: 0x1234,
            semaphore: None,
        };
        assert_eq!(site.text().unwrap(), "/bin/ls:0x1234");
        site.semaphore = Some(0x20);
        assert_eq!(site.text().unwrap(), "/bin/ls:0x1234(0x20)");
        site.path = "/a b".into();
        assert!(site.text().is_err());
    }

    #[test]
    fn lines_of_the_list_name_their_event() {
        let line = "p:lttng_rs_a1/u0_1 /bin/ls:0x0000000000001234";
        assert_eq!(
            event_of_line(line),
            Some(EventName::new("lttng_rs_a1", "u0_1"))
        );
        assert_eq!(event_of_line("nonsense"), None);
    }
}
