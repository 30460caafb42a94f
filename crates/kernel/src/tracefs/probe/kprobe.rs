//! Places in the kernel.

use super::ProbeArgumentError;

/// A field for the return address that a function finds when it begins: on the stack or in a register, as
/// the machine has it. `None`: the machine is not known here, and the field is left out.
pub(super) const CALLER: Option<&str> = if cfg!(target_arch = "x86_64") {
    Some("parent_ip=$stack0:x64")
} else if cfg!(target_arch = "x86") {
    Some("parent_ip=$stack0:x32")
} else if cfg!(target_arch = "aarch64") {
    Some("parent_ip=%x30:x64")
} else if cfg!(target_arch = "riscv64") {
    Some("parent_ip=%ra:x64")
} else {
    None
};

/// A place in the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KprobeSite {
    /// So many bytes after a symbol.
    Symbol {
        /// As in `/proc/kallsyms`.
        name: String,
        /// Bytes.
        offset: u64,
    },
    /// There.
    Address(u64),
}

impl KprobeSite {
    /// As the kernel wants to read it.
    pub(super) fn text(&self) -> Result<String, ProbeArgumentError> {
        match self {
            Self::Address(address) => Ok(format!("{address:#x}")),
            Self::Symbol { name, offset } => {
                // Anything else could say more to the kernel than a place. A module's name may be in front.
                let usable =
                    |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$' | ':');
                let starts = |c: char| c.is_ascii_alphabetic() || c == '_';
                if !name.starts_with(starts) || !name.chars().all(usable) {
                    return Err(ProbeArgumentError::Symbol(name.clone()));
                }
                Ok(match offset {
                    0 => name.clone(),
                    offset => format!("{name}+{offset}"),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol(name: &str, offset: u64) -> KprobeSite {
        KprobeSite::Symbol {
            name: name.into(),
            offset,
        }
    }

    #[test]
    fn sites_are_written_as_the_kernel_reads_them() {
        assert_eq!(symbol("schedule", 0).text().unwrap(), "schedule");
        assert_eq!(symbol("schedule", 16).text().unwrap(), "schedule+16");
        assert_eq!(symbol("nfs:f.cold", 0).text().unwrap(), "nfs:f.cold");
        let address = KprobeSite::Address(0xffff_ffff_8100_0000);
        assert_eq!(address.text().unwrap(), "0xffffffff81000000");
    }

    #[test]
    fn a_symbol_cannot_say_more_than_a_name() {
        for bad in ["", "a b", "a\n-:x/y", "-a", "1a", "%ax", "a+1"] {
            assert!(symbol(bad, 0).text().is_err(), "{bad}");
        }
    }
}
