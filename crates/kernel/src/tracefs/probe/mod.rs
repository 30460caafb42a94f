//! Events of our own: places in programs (`uprobe_events`) and in the kernel (`kprobe_events`), and other events
//! with what they point to (`dynamic_events`).

mod eprobe;
mod kprobe;
mod uprobe;

pub use eprobe::EventProbe;
pub use kprobe::KprobeSite;
pub use uprobe::UprobeSite;

use std::io;
use std::path::Path;

use super::files::{append, read};
use super::{EventName, Owner, Tracefs, TracefsError};

/// The lists of all probes of the machine.
const UPROBES: &str = "uprobe_events";
const KPROBES: &str = "kprobe_events";
/// Has those of the other lists too.
const EPROBES: &str = "dynamic_events";
const FILES: [&str; 3] = [UPROBES, KPROBES, EPROBES];

/// What an event of ours happens at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ProbePlace {
    /// An instruction of a program.
    Program(UprobeSite),
    /// An instruction of the kernel.
    Kernel(KprobeSite),
    /// The start of a function of the kernel; tells who called it.
    FunctionEntry(KprobeSite),
    /// The return of a function of the kernel. Of a pair this comes first: the kernel puts the newest probe of
    /// an address in front, and the return address is only at its place until this one has taken it.
    FunctionExit(KprobeSite),
}

/// A place cannot be written down in the kernel's language.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProbeArgumentError {
    /// A path that the kernel would misread.
    #[error(
        "the kernel cannot probe a file whose path has a space, a `:` or a control character: `{0}`"
    )]
    Path(String),
    /// A symbol that no function can have.
    #[error("`{0}` is no name of a symbol of the kernel")]
    Symbol(String),
}

impl ProbePlace {
    /// The list that it belongs in.
    fn file(&self) -> &'static str {
        match self {
            Self::Program(_) => UPROBES,
            Self::Kernel(_) | Self::FunctionEntry(_) | Self::FunctionExit(_) => KPROBES,
        }
    }

    /// The line that makes `event` of it.
    fn line(&self, event: &EventName) -> Result<String, ProbeArgumentError> {
        let (kind, place, argument) = match self {
            Self::Program(site) => ('p', site.text()?, None),
            Self::Kernel(site) => ('p', site.text()?, None),
            Self::FunctionEntry(site) => ('p', site.text()?, kprobe::CALLER),
            Self::FunctionExit(site) => ('r', site.text()?, None),
        };
        let argument = argument.map(|argument| format!(" {argument}"));
        Ok(format!(
            "{kind}:{}/{} {place}{}\n",
            event.subsystem,
            event.name,
            argument.unwrap_or_default()
        ))
    }
}

impl Tracefs {
    /// Whether the kernel has probes in user space programs.
    pub fn has_uprobes(&self) -> bool {
        self.has(UPROBES)
    }

    /// Whether the kernel has probes in itself.
    pub fn has_kprobes(&self) -> bool {
        self.has(KPROBES)
    }

    /// Adds an event `name` of this owner that happens at the place; disabled, in all instances.
    pub fn add_probe(
        &self,
        owner: &Owner,
        name: &str,
        place: &ProbePlace,
    ) -> Result<EventName, TracefsError> {
        let event = own_event(owner, name)?;
        let line = place.line(&event)?;
        append(&self.root().join(place.file()), &line)?;
        Ok(event)
    }

    /// Removes an event that [`Self::add_probe`] made. No instance may have it enabled.
    pub fn remove_probe(&self, event: &EventName, place: &ProbePlace) -> Result<(), TracefsError> {
        remove(&self.root().join(place.file()), event)
    }

    /// Adds an event `name` of this owner that happens with another one; disabled, in all instances. It can be
    /// enabled in one instance: the kernel (6.1) forgets the others.
    ///
    /// A kernel without event probes (before 5.15, or without `CONFIG_EPROBE_EVENTS`) refuses it as invalid.
    pub fn add_event_probe(
        &self,
        owner: &Owner,
        name: &str,
        probe: &EventProbe,
    ) -> Result<EventName, TracefsError> {
        let event = own_event(owner, name)?;
        append(&self.root().join(EPROBES), &probe.line(&event))?;
        Ok(event)
    }

    /// Removes an event that [`Self::add_event_probe`] made. No instance may have it enabled.
    pub fn remove_event_probe(&self, event: &EventName) -> Result<(), TracefsError> {
        remove(&self.root().join(EPROBES), event)
    }

    /// Removes all probes of this owner but those whose names begin with `except`, and tells how many
    /// there were. One that cannot be removed is told when the others are gone.
    pub(super) fn remove_probes(&self, owner: &Owner, except: &str) -> Result<usize, TracefsError> {
        let group = owner.probe_group();
        let (mut removed, mut failure) = (0, None);
        for file in FILES.iter().filter(|file| self.has(file)) {
            let list = self.root().join(file);
            for event in read(&list)?.lines().filter_map(event_of_line) {
                if event.subsystem == group && !event.name.starts_with(except) {
                    match remove(&list, &event) {
                        Ok(()) => removed += 1,
                        Err(error) => failure = Some(error),
                    }
                }
            }
        }
        failure.map_or(Ok(removed), Err)
    }
}

/// The name of a probe of this owner.
fn own_event(owner: &Owner, name: &str) -> Result<EventName, TracefsError> {
    let identifier = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    match identifier {
        true => Ok(EventName::new(owner.probe_group(), name)),
        false => Err(TracefsError::BadName(name.to_owned())),
    }
}

fn remove(list: &Path, event: &EventName) -> Result<(), TracefsError> {
    let line = format!("-:{}/{}\n", event.subsystem, event.name);
    match append(list, &line) {
        // A module that was unloaded took it along.
        Err(error) if error.kind() == Some(io::ErrorKind::NotFound) => Ok(()),
        done => done,
    }
}

/// `p:group/name /path:0x123` or `r4:group/name symbol` to the event.
fn event_of_line(line: &str) -> Option<EventName> {
    let (_, rest) = line.split_once(':')?;
    let (subsystem, name) = rest.split_whitespace().next()?.split_once('/')?;
    Some(EventName::new(subsystem, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_lists_name_their_event() {
        for line in [
            "p:lttng_rs_a1/u0_1 /bin/ls:0x0000000000001234",
            "p:lttng_rs_a1/u0_1 schedule+4",
            "r4:lttng_rs_a1/u0_1 schedule",
            "e:lttng_rs_a1/u0_1 syscalls.sys_enter_chdir filename=$filename:x64",
        ] {
            assert_eq!(
                event_of_line(line),
                Some(EventName::new("lttng_rs_a1", "u0_1")),
                "{line}"
            );
        }
        assert_eq!(event_of_line("nonsense"), None);
    }

    #[test]
    fn a_place_makes_one_line() {
        let event = EventName::new("g", "n");
        let site = KprobeSite::Symbol {
            name: "schedule".into(),
            offset: 0,
        };
        assert_eq!(
            ProbePlace::Kernel(site.clone()).line(&event).unwrap(),
            "p:g/n schedule\n"
        );
        assert_eq!(
            ProbePlace::FunctionExit(site).line(&event).unwrap(),
            "r:g/n schedule\n"
        );
    }
}
