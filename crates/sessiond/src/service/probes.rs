//! Rules about places: where those are in programs and in the kernel, and whether the kernel can have probes
//! there.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use control::{ErrorCode, KernelLocation, ProbeLocation, v1};
use kernel::elf;
use kernel::symbols;
use kernel::tracefs::{KprobeSite, ProbePlace, Tracefs, TracefsError, UprobeSite};
use rustix::io::Errno;

use crate::session::kernel::KernelDomain;
use crate::session::kernel::plan::{Probe, ProbeKind};
use crate::session::plan::Refusal;

/// Largest program that is searched for the place of a probe.
const MAX_PROGRAM_BYTES: u64 = 1 << 30;

/// What a kind of probe is called between programs.
pub(super) fn event_kind(kind: ProbeKind) -> v1::EventKind {
    match kind {
        ProbeKind::Userspace => v1::EventKind::UserspaceProbe,
        ProbeKind::Kernel => v1::EventKind::Probe,
        ProbeKind::Function => v1::EventKind::Function,
    }
}

/// The probe that a user asks for by `location`, after a trial.
pub(super) fn find(
    domain: &KernelDomain,
    tracefs: &Tracefs,
    kind: ProbeKind,
    location: &str,
) -> Result<Probe, Refusal> {
    let unsupported = |reason: &str| {
        Err(Refusal::new(
            ErrorCode::KERNEL_EVENT_KIND_UNSUPPORTED,
            reason,
        ))
    };
    match kind {
        ProbeKind::Userspace if !tracefs.has_uprobes() => {
            return unsupported(
                "this kernel has no probes in programs: it was built without CONFIG_UPROBE_EVENTS",
            );
        }
        ProbeKind::Kernel | ProbeKind::Function if !tracefs.has_kprobes() => {
            return unsupported(
                "this kernel has no probes in the kernel: it was built without CONFIG_KPROBE_EVENTS",
            );
        }
        _ => {}
    }
    let probe = match kind {
        ProbeKind::Userspace => in_program(location)?,
        ProbeKind::Kernel | ProbeKind::Function => in_kernel(kind, location)?,
    };
    for place in &probe.places {
        if let Err(error) = domain.try_probe(tracefs, place)? {
            return Err(refused(place, location, &error));
        }
    }
    Ok(probe)
}

fn in_kernel(kind: ProbeKind, location: &str) -> Result<Probe, Refusal> {
    let place = KernelLocation::parse(location)
        .map_err(|error| Refusal::new(ErrorCode::INVALID, error.to_string()))?;
    let written = place.to_string();
    let site = match place {
        KernelLocation::Symbol { name, offset } => KprobeSite::Symbol { name, offset },
        KernelLocation::Address(address) => {
            let code = symbols::code_range().ok().flatten();
            if code.is_some_and(|code| !code.contains(&address)) {
                return Err(without_code(location));
            }
            KprobeSite::Address(address)
        }
    };
    let places = match kind {
        ProbeKind::Function => vec![
            ProbePlace::FunctionExit(site.clone()),
            ProbePlace::FunctionEntry(site),
        ],
        ProbeKind::Kernel | ProbeKind::Userspace => vec![ProbePlace::Kernel(site)],
    };
    Ok(Probe {
        kind,
        location: written,
        places,
    })
}

fn in_program(location: &str) -> Result<Probe, Refusal> {
    let invalid = |error: &dyn Display| invalid(location, error);
    let place = ProbeLocation::parse(location).map_err(|error| invalid(&error))?;
    let path = PathBuf::from(place.path());
    let bytes = program(&path).map_err(|error| invalid(&error))?;
    let sites = match &place {
        ProbeLocation::Symbol { symbol, .. } => elf::symbol_offset(&bytes, symbol).map(|offset| {
            vec![UprobeSite {
                path: path.clone(),
                offset,
                semaphore: None,
            }]
        }),
        ProbeLocation::Sdt { provider, name, .. } => {
            elf::sdt_sites(&bytes, provider, name).map(|sites| {
                let site = |site: elf::SdtSite| UprobeSite {
                    path: path.clone(),
                    offset: site.offset,
                    semaphore: site.semaphore,
                };
                sites.into_iter().map(site).collect()
            })
        }
    };
    let sites = sites.map_err(|error| invalid(&error))?;
    Ok(Probe {
        kind: ProbeKind::Userspace,
        location: place.to_string(),
        places: sites.into_iter().map(ProbePlace::Program).collect(),
    })
}

fn program(path: &Path) -> Result<Vec<u8>, String> {
    if !path.is_absolute() {
        return Err("its path is not absolute".to_owned());
    }
    let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = opened.map_err(|error| error.to_string())?;
    let found = file.metadata().map_err(|error| error.to_string())?;
    if !found.is_file() {
        return Err("it is no regular file".to_owned());
    }
    if found.len() > MAX_PROGRAM_BYTES {
        return Err(format!("the file has {} bytes", found.len()));
    }
    // No more than that: files of /proc say that they are empty, and some never end.
    let mut bytes = Vec::new();
    let read = file.take(found.len()).read_to_end(&mut bytes);
    read.map_err(|error| error.to_string())?;
    Ok(bytes)
}

fn invalid(location: &str, error: &dyn Display) -> Refusal {
    let message = format!("there can be no probe at `{location}`: {error}");
    Refusal::new(ErrorCode::PROBE_LOCATION_INVALID, message)
}

/// What the kernel has against it. Of places in itself, the codes are upstream's.
fn refused(place: &ProbePlace, location: &str, error: &TracefsError) -> Refusal {
    let (site, returns) = match place {
        ProbePlace::Program(_) => return invalid(location, error),
        ProbePlace::Kernel(site) | ProbePlace::FunctionEntry(site) => (site, false),
        ProbePlace::FunctionExit(site) => (site, true),
    };
    let reason = match (error.errno(), site) {
        (Some(Errno::NOENT), KprobeSite::Symbol { name, .. }) => {
            format!("the kernel has no symbol `{name}`; /proc/kallsyms shows what it has")
        }
        (Some(Errno::ADDRNOTAVAIL), KprobeSite::Symbol { name, .. }) => {
            format!("the kernel has several symbols `{name}`: give an address")
        }
        (Some(Errno::ILSEQ), _) => "no instruction of the kernel begins there".to_owned(),
        (Some(Errno::INVAL), _) if returns => {
            "the kernel follows functions only from their first instruction, and not all of them"
                .to_owned()
        }
        (Some(Errno::INVAL), _) => return without_code(location),
        _ => error.to_string(),
    };
    let message = format!("there can be no probe at `{location}`: {reason}");
    Refusal::new(ErrorCode::KERNEL_ENABLE_FAILED, message)
}

fn without_code(location: &str) -> Refusal {
    Refusal::new(
        ErrorCode::KERNEL_ENABLE_FAILED,
        format!(
            "there can be no probe at `{location}`: the kernel has no code there, or none that can be probed"
        ),
    )
}
