//! Headers, segments, sections and symbols.

use super::ElfError;

/// Most sections and segments that are looked at.
const MAX_TABLE: u64 = 65_536;
/// `sh_type` of symbol tables.
const SHT_SYMTAB: u32 = 2;
const SHT_DYNSYM: u32 = 11;
/// `sh_type` of what is not in the file.
const SHT_NOBITS: u32 = 8;
/// `p_type` of what is loaded.
const PT_LOAD: u32 = 1;

/// A file that begins as an ELF file does.
pub(super) struct ElfFile<'f> {
    pub(super) bytes: Bytes<'f>,
    sections: Vec<Section>,
    segments: Vec<Segment>,
    names: Section,
}

/// A part of the file with a name.
#[derive(Clone, Copy, Default)]
pub(super) struct Section {
    name: u32,
    kind: u32,
    pub(super) address: u64,
    offset: u64,
    size: u64,
    link: u32,
}

struct Segment {
    address: u64,
    offset: u64,
    size: u64,
}

/// One entry of a symbol table.
pub(super) struct Symbol<'f> {
    pub(super) name: &'f [u8],
    pub(super) kind: u8,
    pub(super) defined: bool,
    pub(super) value: u64,
}

/// Bytes with a byte order and a size of addresses.
#[derive(Clone, Copy)]
pub(super) struct Bytes<'f> {
    all: &'f [u8],
    wide: bool,
    big: bool,
}

impl<'f> Bytes<'f> {
    pub(super) fn with(self, all: &'f [u8]) -> Self {
        Self { all, ..self }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn part(&self, at: u64, len: u64) -> Option<&'f [u8]> {
        let at = usize::try_from(at).ok()?;
        self.all
            .get(at..at.checked_add(usize::try_from(len).ok()?)?)
    }

    fn number(&self, at: u64, len: usize) -> Option<u64> {
        let part = self.part(at, len as u64)?;
        let join = |sum, byte: &u8| (sum << 8) | u64::from(*byte);
        Some(if self.big {
            part.iter().fold(0, join)
        } else {
            part.iter().rev().fold(0, join)
        })
    }

    fn half(&self, at: u64) -> Option<u64> {
        self.number(at, 2)
    }

    pub(super) fn word(&self, at: u64) -> Option<u32> {
        self.number(at, 4).map(|number| number as u32)
    }

    /// An address.
    pub(super) fn address(&self, at: u64) -> Option<u64> {
        self.number(at, self.address_len() as usize)
    }

    pub(super) fn address_len(&self) -> u64 {
        if self.wide { 8 } else { 4 }
    }

    /// The text up to the next zero.
    pub(super) fn text(&self, at: u64) -> Option<&'f [u8]> {
        let rest = self.all.get(usize::try_from(at).ok()?..)?;
        rest.split(|byte| *byte == 0).next()
    }

    /// Offset of a member that comes after so many words and addresses.
    fn member(&self, words: u64, addresses: u64) -> u64 {
        words * 4 + addresses * self.address_len()
    }
}

impl<'f> ElfFile<'f> {
    pub(super) fn parse(all: &'f [u8]) -> Result<Self, ElfError> {
        let head = all.get(..16).ok_or(ElfError::Malformed("too short"))?;
        let (wide, big) = match (&head[..4], head[4], head[5]) {
            (b"\x7fELF", class @ 1..=2, order @ 1..=2) => (class == 2, order == 2),
            _ => return Err(ElfError::Malformed("no ELF header")),
        };
        let bytes = Bytes { all, wide, big };
        let mut elf = Self {
            bytes,
            sections: Vec::new(),
            segments: Vec::new(),
            names: Section::default(),
        };
        elf.read_tables()
            .ok_or(ElfError::Malformed("its tables end early"))?;
        Ok(elf)
    }

    fn read_tables(&mut self) -> Option<()> {
        let bytes = self.bytes;
        // After the identification: type, machine, version, entry, then the places of the two tables.
        let places = 16 + bytes.member(2, 1);
        let (segments, sections) = (
            bytes.address(places)?,
            bytes.address(places + bytes.address_len())?,
        );
        // Flags and the size of the header; then size and number of the entries of both.
        let sizes = places + bytes.member(1, 2) + 2;
        let [seg_len, seg_count, sec_len, sec_count, names] =
            [0, 2, 4, 6, 8].map(|at| bytes.half(sizes + at));
        let (seg_len, seg_count, sec_len, sec_count) = (seg_len?, seg_count?, sec_len?, sec_count?);
        for index in 0..seg_count.min(MAX_TABLE) {
            if let Some(segment) = self.segment(segments.checked_add(index * seg_len)?)? {
                self.segments.push(segment);
            }
        }
        for index in 0..sec_count.min(MAX_TABLE) {
            let section = self.section(sections.checked_add(index * sec_len)?)?;
            self.sections.push(section);
        }
        let names = self.sections.get(usize::try_from(names?).ok()?);
        self.names = names.copied().unwrap_or_default();
        Some(())
    }

    /// `None` in the option if it is not loaded.
    fn segment(&self, at: u64) -> Option<Option<Segment>> {
        let b = self.bytes;
        // The flags stand after the type in 64-bit files, and at the end in others.
        let first = if b.wide { 8 } else { 4 };
        let kind = b.word(at)?;
        let segment = Segment {
            offset: b.address(at + first)?,
            address: b.address(at + first + b.address_len())?,
            size: b.address(at + first + 3 * b.address_len())?,
        };
        Some((kind == PT_LOAD).then_some(segment))
    }

    fn section(&self, at: u64) -> Option<Section> {
        let b = self.bytes;
        Some(Section {
            name: b.word(at)?,
            kind: b.word(at + 4)?,
            address: b.address(at + b.member(2, 1))?,
            offset: b.address(at + b.member(2, 2))?,
            size: b.address(at + b.member(2, 3))?,
            link: b.word(at + b.member(2, 4))?,
        })
    }

    /// The section of that name.
    pub(super) fn section_named(&self, name: &[u8]) -> Option<Section> {
        let names = self.bytes.with(self.content(&self.names)?);
        let named = |section: &&Section| names.text(section.name.into()) == Some(name);
        self.sections.iter().find(named).copied()
    }

    /// The bytes of a section.
    pub(super) fn content(&self, section: &Section) -> Option<&'f [u8]> {
        match section.kind {
            SHT_NOBITS => None,
            _ => self.bytes.part(section.offset, section.size),
        }
    }

    /// The full table first, if the file has it.
    pub(super) fn symbol_tables(&self) -> impl Iterator<Item = impl Iterator<Item = Symbol<'f>>> {
        let of = |kind| self.sections.iter().filter(move |s| s.kind == kind);
        let tables = of(SHT_SYMTAB).chain(of(SHT_DYNSYM));
        tables.filter_map(|table| self.symbols(table))
    }

    fn symbols(&self, table: &Section) -> Option<impl Iterator<Item = Symbol<'f>> + use<'f>> {
        let b = self.bytes;
        let entries = b.with(self.content(table)?);
        let names = self.sections.get(table.link as usize)?;
        let names = b.with(self.content(names)?);
        let len = if b.wide { 24 } else { 16 };
        let count = entries.len() as u64 / len;
        Some((0..count).filter_map(move |index| {
            let at = index * len;
            // Name; then in 64-bit files info, other, section, value; in others value, size, info, ….
            let (info, section, value) = if b.wide {
                (at + 4, at + 6, at + 8)
            } else {
                (at + 12, at + 14, at + 4)
            };
            Some(Symbol {
                name: names.text(entries.word(at)?.into())?,
                kind: entries.part(info, 1)?[0] & 15,
                defined: entries.half(section)? != 0,
                value: entries.address(value)?,
            })
        }))
    }

    /// Where in the file an address is.
    pub(super) fn offset_of(&self, address: u64) -> Result<u64, ElfError> {
        let inside = |segment: &&Segment| {
            address
                .checked_sub(segment.address)
                .is_some_and(|distance| distance < segment.size)
        };
        let segment = self.segments.iter().find(inside);
        segment
            .and_then(|segment| (address - segment.address).checked_add(segment.offset))
            .ok_or(ElfError::NotLoaded(address))
    }
}
