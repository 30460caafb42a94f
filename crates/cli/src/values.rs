//! Sizes, counts and durations on the command line.

/// A size in bytes: decimal, `0x` or `0` octal, with an optional suffix `k`, `K`, `M` or `G` (powers of 1024).
pub(crate) fn size(text: &str) -> Option<u64> {
    let text = text.trim_start_matches([' ', '\t']);
    let text = text.strip_prefix('+').unwrap_or(text);
    let (digits, factor) = match text.as_bytes().last()? {
        b'k' | b'K' => (&text[..text.len() - 1], 1 << 10),
        b'M' => (&text[..text.len() - 1], 1 << 20),
        b'G' => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    integer(digits)?.checked_mul(factor)
}

/// A duration in microseconds: decimal with an optional suffix `us`, `ms`, `s`, `m` or `h`.
pub(crate) fn duration_us(text: &str) -> Option<u64> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, suffix) = text.split_at(end);
    let factor = match suffix {
        "" | "us" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

/// A count: decimal, `0x` or `0` octal. Upstream reads `8k` as 8, which nobody means: it is refused here.
pub(crate) fn count(text: &str) -> Option<u64> {
    integer(text)
}

fn integer(text: &str) -> Option<u64> {
    let (digits, radix) =
        if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            (hex, 16)
        } else if text.len() > 1 && text.starts_with('0') {
            (&text[1..], 8)
        } else {
            (text, 10)
        };
    // The standard parser accepts a sign.
    if !digits.starts_with(|c: char| c.is_digit(radix)) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("4k", 4096),
            ("4K", 4096),
            ("1M", 1 << 20),
            ("2G", 2 << 30),
            ("0x1000", 4096),
            ("0x1000k", 4 << 20),
            ("010", 8),
            (" 4096", 4096),
            ("+4096", 4096),
        ] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size() {
        for text in [
            "",
            " ",
            "k",
            "abc",
            "1m",
            "16T",
            "4kB",
            "1.5k",
            "-1",
            "08",
            "0x",
            "0x+1",
            "++1",
            "1 k",
            "99999999999999999999",
            "99999999999G",
            "é",
        ] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn counts_have_no_suffix() {
        assert_eq!(count("8"), Some(8));
        assert_eq!(count("0x10"), Some(16));
        assert_eq!(count("8k"), None);
    }

    #[test]
    fn durations() {
        for (text, us) in [
            ("0", 0),
            ("010", 10),
            ("5us", 5),
            ("5ms", 5_000),
            ("1s", 1_000_000),
            ("1m", 60_000_000),
            ("2h", 7_200_000_000),
        ] {
            assert_eq!(duration_us(text), Some(us), "{text}");
        }
        for text in [
            "",
            "s",
            "1.5s",
            "-1",
            "+1",
            "0x10",
            "1 s",
            "1m30s",
            "99999999999999999999",
        ] {
            assert_eq!(duration_us(text), None, "{text}");
        }
    }
}
