//! Constants: decimal, octal and hexadecimal integers, decimal and hexadecimal floating point.

/// The value of a constant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Integer(u64),
    Float(f64),
}

/// Reads a whole token. Integers beyond 64 bits become the greatest one, as in LTTng 2.13.
pub(crate) fn parse(token: &str) -> Option<Number> {
    if let Some(hex) = token
        .strip_prefix("0x")
        .or_else(|| token.strip_prefix("0X"))
    {
        if hex.contains(['p', 'P']) {
            return hex_float(hex).map(Number::Float);
        }
        return integer(hex, 16);
    }
    if token.contains(['.', 'e', 'E']) {
        return decimal_float(token).map(Number::Float);
    }
    let digits = without_integer_suffix(token);
    let radix = if digits.len() > 1 && digits.starts_with('0') {
        8
    } else {
        10
    };
    integer(token, radix)
}

fn integer(token: &str, radix: u32) -> Option<Number> {
    let digits = without_integer_suffix(token);
    if digits.is_empty() {
        return None;
    }
    let mut value = 0u64;
    for digit in digits.chars() {
        let digit = u64::from(digit.to_digit(radix)?);
        value = value
            .checked_mul(u64::from(radix))
            .and_then(|value| value.checked_add(digit))
            .unwrap_or(u64::MAX);
    }
    Some(Number::Integer(value))
}

/// Cuts `u`, `l`, `ll` and their combinations.
fn without_integer_suffix(token: &str) -> &str {
    let cut_unsigned = |text: &'_ str| -> usize { usize::from(text.ends_with(['u', 'U'])) };
    let cut_long = |text: &'_ str| -> usize {
        if text.ends_with("ll") || text.ends_with("LL") {
            2
        } else {
            usize::from(text.ends_with(['l', 'L']))
        }
    };
    let rest = &token[..token.len() - cut_unsigned(token)];
    let had_unsigned = rest.len() < token.len();
    let rest = &rest[..rest.len() - cut_long(rest)];
    if had_unsigned {
        return rest;
    }
    &rest[..rest.len() - cut_unsigned(rest)]
}

fn without_float_suffix(token: &str) -> &str {
    token.strip_suffix(['f', 'F', 'l', 'L']).unwrap_or(token)
}

fn decimal_float(token: &str) -> Option<f64> {
    let token = without_float_suffix(token);
    // The standard parser knows words such as `inf` too; a number here starts with a digit or a point.
    let plain = token
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    if !plain {
        return None;
    }
    token.parse().ok()
}

/// `H.HpE`: the mantissa in base 16, the exponent a power of two in base 10.
fn hex_float(hex: &str) -> Option<f64> {
    let hex = without_float_suffix(hex);
    let (mantissa, exponent) = hex.split_once(['p', 'P'])?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value = 0f64;
    for digit in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(digit.to_digit(16)?);
    }
    let digits_after_point = i32::try_from(fraction.len()).ok()?;
    let exponent = exponent
        .parse::<i32>()
        .ok()?
        .checked_sub(digits_after_point.checked_mul(4)?)?;
    Some(value * 2f64.powi(exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_in_all_bases() {
        for (token, value) in [
            ("0", 0),
            ("10", 10),
            ("017", 15),
            ("00", 0),
            ("0x1F", 31),
            ("0X1f", 31),
            ("10uLL", 10),
            ("10LU", 10),
            ("0x1ull", 1),
            ("0L", 0),
            ("99999999999999999999999", u64::MAX),
            ("0xFFFFFFFFFFFFFFFFF", u64::MAX),
        ] {
            assert_eq!(parse(token), Some(Number::Integer(value)), "{token}");
        }
    }

    #[test]
    fn floats() {
        for (token, value) in [
            (".5", 0.5),
            ("5.", 5.0),
            ("5.e1", 50.0),
            ("1e3", 1000.0),
            ("1.5e+3f", 1500.0),
            ("09.5", 9.5),
            ("0x1p3", 8.0),
            ("0x1.8p3", 12.0),
            ("0x.8p1", 1.0),
            ("0x1p-3", 0.125),
        ] {
            assert_eq!(parse(token), Some(Number::Float(value)), "{token}");
        }
    }

    #[test]
    fn what_is_no_number() {
        for token in [
            "08",
            "0b11",
            "0x",
            "0xG",
            "1e",
            "1_000",
            "1f",
            "10lul",
            "1lL",
            "1.5.5",
            "1.5u",
            "0x1p",
            "0xp1",
            "u",
            "1e999999999999x",
        ] {
            assert_eq!(parse(token), None, "{token}");
        }
    }
}
