//! Where the code of the running kernel is.

use std::io::{self, BufRead, BufReader};
use std::ops::RangeInclusive;

/// From the first to the last symbol of code in `/proc/kallsyms`, modules included. `None` if the kernel
/// does not tell, which is its administrator's choice (`kernel.kptr_restrict`).
///
/// The kernel takes a probe at an address where it knows no code, in case a module brings some: who mistypes an
/// address would never hear of it.
pub fn code_range() -> io::Result<Option<RangeInclusive<u64>>> {
    range(BufReader::new(std::fs::File::open("/proc/kallsyms")?))
}

/// Lines are `ADDRESS KIND NAME [MODULE]`.
fn range(symbols: impl BufRead) -> io::Result<Option<RangeInclusive<u64>>> {
    let mut found: Option<RangeInclusive<u64>> = None;
    for line in symbols.lines() {
        let line = line?;
        let mut words = line.split_ascii_whitespace();
        let (address, kind) = (words.next(), words.next());
        let Some(address) = address.and_then(|word| u64::from_str_radix(word, 16).ok()) else {
            continue;
        };
        if address == 0 || !matches!(kind, Some("t" | "T" | "w" | "W")) {
            continue;
        }
        found = Some(match found {
            None => address..=address,
            Some(range) => address.min(*range.start())..=address.max(*range.end()),
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_between_its_symbols() {
        let text = "0000000000000000 A fixed\n\
                    ffffffff81000000 T _stext\n\
                    ffffffff82000000 D data\n\
                    ffffffff81000100 t f\n\
                    ffffffffc0000010 t g\t[nfs]\n";
        assert_eq!(
            range(text.as_bytes()).unwrap(),
            Some(0xffff_ffff_8100_0000..=0xffff_ffff_c000_0010)
        );
        let hidden = "0000000000000000 T _stext\n0000000000000000 t f\n";
        assert_eq!(range(hidden.as_bytes()).unwrap(), None);
    }
}
