//! Where in a program or library something is: as much of ELF as a probe in user space needs.
//!
//! ```text
//! symbol --.symtab, .dynsym--> address --PT_LOAD--> offset in the file
//! SDT probe --.note.stapsdt--> address ------------------^
//! ```

mod file;
mod sdt;

pub use sdt::{SdtSite, sdt_sites};

use file::ElfFile;

/// `st_info`: a function, and one that is chosen when the program starts.
const STT_FUNC: u8 = 2;
const STT_GNU_IFUNC: u8 = 10;

/// Why nothing was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ElfError {
    /// Not an ELF file, or one that ends early.
    #[error("it is no complete ELF file: {0}")]
    Malformed(&'static str),
    /// No such function in the symbol tables.
    #[error("it has no function `{0}` in its symbol tables")]
    NoSymbol(String),
    /// No such probe in the notes.
    #[error("it has no SDT probe `{0}`")]
    NoProbe(String),
    /// The address is not in a part of the file that is loaded.
    #[error("the address {0:#x} is in no part of it that is loaded")]
    NotLoaded(u64),
}

/// Offset in the file of the first instruction of a function.
pub fn symbol_offset(bytes: &[u8], symbol: &str) -> Result<u64, ElfError> {
    let elf = ElfFile::parse(bytes)?;
    for table in elf.symbol_tables() {
        for entry in table {
            let function = matches!(entry.kind, STT_FUNC | STT_GNU_IFUNC);
            if function && entry.defined && entry.name == symbol.as_bytes() {
                return elf.offset_of(entry.value);
            }
        }
    }
    Err(ElfError::NoSymbol(symbol.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_has_its_functions_where_it_says() {
        let bytes = std::fs::read("/proc/self/exe").unwrap();
        let offset = symbol_offset(&bytes, "main").unwrap();
        assert!(offset > 0 && offset < bytes.len() as u64);
        assert_eq!(
            symbol_offset(&bytes, "no_such_function"),
            Err(ElfError::NoSymbol("no_such_function".into()))
        );
        assert_eq!(
            sdt_sites(&bytes, "no", "such"),
            Err(ElfError::NoProbe("no:such".into()))
        );
    }

    #[test]
    fn any_cut_or_flip_is_an_error_or_an_offset() {
        let bytes = std::fs::read("/proc/self/exe").unwrap();
        for len in [0, 3, 4, 16, 63, 64, 1000] {
            assert!(symbol_offset(&bytes[..len], "main").is_err());
        }
        let mut head = bytes[..4096].to_vec();
        for at in 0..64 {
            for value in [0, 0xff] {
                let was = std::mem::replace(&mut head[at], value);
                let _ = symbol_offset(&head, "main");
                let _ = sdt_sites(&head, "a", "b");
                head[at] = was;
            }
        }
    }
}
