//! Probes that the author of a program put in (`sys/sdt.h`).

use super::ElfError;
use super::file::{Bytes, ElfFile};

/// Owner and type of their notes.
const OWNER: &[u8] = b"stapsdt\0";
const TYPE: u32 = 3;

/// One place of a probe; a function that was inlined has several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SdtSite {
    /// Offset of the instruction in the file.
    pub offset: u64,
    /// Offset in the file of the counter that says whether somebody looks, if there is one.
    pub semaphore: Option<u64>,
}

/// All places of the probe `name` of `provider`.
pub fn sdt_sites(bytes: &[u8], provider: &str, name: &str) -> Result<Vec<SdtSite>, ElfError> {
    let elf = ElfFile::parse(bytes)?;
    let missing = || ElfError::NoProbe(format!("{provider}:{name}"));
    let section = elf.section_named(b".note.stapsdt").ok_or_else(missing)?;
    let notes = elf.content(&section).ok_or_else(missing)?;
    // Where a prelinked file was moved to, compared with what the notes say.
    let base = elf.section_named(b".stapsdt.base").map(|base| base.address);
    let mut sites = Vec::new();
    let mut rest = elf.bytes.with(notes);
    while let Some((description, next)) = first_note(rest) {
        if let Some(description) = description
            && let Some(note) = read(description, provider.as_bytes(), name.as_bytes())
        {
            let moved = base.map_or(0, |base| base.wrapping_sub(note.base));
            let semaphore = match note.semaphore {
                0 => None,
                address => Some(elf.offset_of(address.wrapping_add(moved))?),
            };
            sites.push(SdtSite {
                offset: elf.offset_of(note.address.wrapping_add(moved))?,
                semaphore,
            });
        }
        rest = next;
    }
    if sites.is_empty() {
        return Err(missing());
    }
    Ok(sites)
}

struct Note {
    address: u64,
    base: u64,
    semaphore: u64,
}

/// The description of the first note, if it is one of those, and the rest.
fn first_note(notes: Bytes<'_>) -> Option<(Option<Bytes<'_>>, Bytes<'_>)> {
    let (name_len, len, kind) = (notes.word(0)?, notes.word(4)?, notes.word(8)?);
    let padded = |len: u32| u64::from(len).next_multiple_of(4);
    let start = 12 + padded(name_len);
    let owner = notes.part(12, name_len.into())?;
    let description = notes.part(start, len.into())?;
    let end = (start + padded(len)).min(notes.len() as u64);
    let rest = notes.part(end, notes.len() as u64 - end)?;
    let ours = owner == OWNER && kind == TYPE;
    Some((ours.then(|| notes.with(description)), notes.with(rest)))
}

/// `None` if it is another probe.
fn read(note: Bytes<'_>, provider: &[u8], name: &[u8]) -> Option<Note> {
    let step = note.address_len();
    let found = note.text(3 * step)?;
    if found != provider || note.text(3 * step + found.len() as u64 + 1)? != name {
        return None;
    }
    Some(Note {
        address: note.address(0)?,
        base: note.address(step)?,
        semaphore: note.address(2 * step)?,
    })
}
