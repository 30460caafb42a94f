//! The kind of a block request: letters in the kernel, flags in LTTng.

const WRITE: u32 = 1 << 0;
const DISCARD: u32 = 1 << 1;
const READ: u32 = 1 << 2;
const RAHEAD: u32 = 1 << 3;
const SYNC: u32 = 1 << 5;
const META: u32 = 1 << 6;
const SECURE: u32 = 1 << 7;
const FLUSH: u32 = 1 << 8;
const FUA: u32 = 1 << 9;
const PREFLUSH: u32 = 1 << 10;

/// LTTng's flags for the letters, which end with a zero byte.
///
/// The letters are `F` for a flush before, the operation (`R`, `W`, `D`, `DE`, `F`, `N` for none of these, `Z`
/// and a letter for a zone), and what goes with it: `F` forced unit access, `A` read-ahead, `S`, `M`.
pub fn rwbs_flags(letters: &[u8]) -> u32 {
    let end = letters.iter().position(|&letter| letter == 0);
    let letters = &letters[..end.unwrap_or(letters.len())];
    let (before, letters) = match letters {
        [b'F', rest @ ..]
            if matches!(rest, [b'R' | b'W' | b'D' | b'E' | b'F' | b'N' | b'Z', ..]) =>
        {
            (PREFLUSH, rest)
        }
        all => (0, all),
    };
    let (operation, letters) = match letters {
        [b'W', rest @ ..] => (WRITE, rest),
        [b'R', rest @ ..] => (READ, rest),
        [b'D', b'E', rest @ ..] | [b'E', rest @ ..] => (DISCARD | SECURE, rest),
        [b'D', rest @ ..] => (DISCARD, rest),
        [b'F', rest @ ..] => (FLUSH, rest),
        [b'Z', b'R', b'A', rest @ ..] | [b'Z', _, rest @ ..] | [b'N', rest @ ..] => (0, rest),
        rest => (0, rest),
    };
    let with = letters.iter().fold(0, |flags, letter| {
        flags
            | match letter {
                b'F' => FUA,
                b'A' => RAHEAD,
                b'S' => SYNC,
                b'M' => META,
                _ => 0,
            }
    });
    before | operation | with
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_become_flags() {
        for (letters, flags) in [
            ("R", READ),
            ("RAM", READ | RAHEAD | META),
            ("WS", WRITE | SYNC),
            ("WFS", WRITE | FUA | SYNC),
            ("FWFSM", PREFLUSH | WRITE | FUA | SYNC | META),
            ("FF", PREFLUSH | FLUSH),
            ("F", FLUSH),
            ("FS", FLUSH | SYNC),
            ("FN", PREFLUSH),
            ("D", DISCARD),
            ("DES", DISCARD | SECURE | SYNC),
            ("ZRA", 0),
            ("ZFS", SYNC),
            ("N", 0),
            ("", 0),
        ] {
            assert_eq!(rwbs_flags(letters.as_bytes()), flags, "{letters}");
        }
        assert_eq!(rwbs_flags(b"R\0SM\0\0\0\0"), READ);
    }
}
