//! What a `print fmt` line tells about the fields: which are shown in hexadecimal, and which have names
//! for their values.
//!
//! ```text
//! "irq=%d %s flags=0x%lx", REC->irq, __print_symbolic(REC->vec, { 0, "HI" }, { 1, "TIMER" }), REC->flags
//! ```
//!
//! The line is C, of which this understands the forms above with casts and parentheses around them.
//! What it does not understand tells nothing; it never is an error.

/// What is known about the presentation of a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hints {
    fields: Vec<(String, Hint)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hint {
    /// Hexadecimal digits.
    Hex,
    /// Octal digits.
    Octal,
    /// Names of values, in the kernel's order.
    Symbols(Vec<(i128, String)>),
}

/// Most arguments that are looked at.
const MAX_ARGUMENTS: usize = 256;

impl Hints {
    /// Reads a `print fmt` line.
    pub(crate) fn parse(print_fmt: &str) -> Self {
        let mut hints = Self::default();
        let mut arguments = split(print_fmt).into_iter();
        let Some(format) = arguments.next().filter(|text| text.starts_with('"')) else {
            return hints;
        };
        let mut conversions = conversions(format).into_iter();
        for argument in arguments.take(MAX_ARGUMENTS) {
            let shown = conversions.next().flatten();
            hints.argument(argument, shown);
        }
        hints
    }

    /// The hint for `field`, if there is one.
    pub(crate) fn get(&self, field: &str) -> Option<&Hint> {
        self.fields
            .iter()
            .find(|(name, _)| name == field)
            .map(|(_, hint)| hint)
    }

    fn argument(&mut self, argument: &str, shown: Option<Hint>) {
        let argument = bare(argument);
        let inside = |function: &str| {
            let rest = argument.strip_prefix(function)?.trim_start();
            rest.strip_prefix('(')?.strip_suffix(')')
        };
        if let Some(inner) = inside("__print_symbolic").or_else(|| inside("__print_symbolic_u64")) {
            let parts = split(inner);
            if let Some(field) = parts.first().and_then(|text| field(text)) {
                let symbols: Vec<_> = parts[1..].iter().filter_map(|text| symbol(text)).collect();
                if !symbols.is_empty() {
                    self.add(field, Hint::Symbols(symbols));
                }
            }
        } else if let Some((_, flags)) = argument.split_once("__print_flags") {
            // Often one side of a condition.
            let inner = flags.trim_start_matches("_u64").trim_start();
            let inner = closing(inner).map_or("", |close| &inner[1..close]);
            if let Some(field) = split(inner).first().and_then(|text| field(text)) {
                self.add(field, Hint::Hex);
            }
        } else if let (Some(field), Some(hint)) = (field(argument), shown) {
            self.add(field, hint);
        }
    }

    /// The first that is said about a field holds, except that names are worth more than digits.
    fn add(&mut self, field: &str, hint: Hint) {
        match self.fields.iter_mut().find(|(name, _)| name == field) {
            Some((_, known)) => {
                if matches!(hint, Hint::Symbols(_)) && !matches!(known, Hint::Symbols(_)) {
                    *known = hint;
                }
            }
            None => self.fields.push((field.to_owned(), hint)),
        }
    }
}

/// Splits at the commas that are in no parentheses, braces or string.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        if quoted {
            quoted = escaped || byte != b'"';
            escaped = byte == b'\\' && !escaped;
            continue;
        }
        match byte {
            b'"' => quoted = true,
            b'(' | b'{' | b'[' => depth += 1,
            b')' | b'}' | b']' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

/// What each conversion of a format string shows; a `*` is an argument of its own.
fn conversions(format: &str) -> Vec<Option<Hint>> {
    let mut found = Vec::new();
    let mut bytes = format.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            continue;
        }
        for byte in bytes.by_ref() {
            match byte {
                b'%' => break,
                b'*' => found.push(None),
                b'x' | b'X' | b'p' => {
                    found.push(Some(Hint::Hex));
                    break;
                }
                b'o' => {
                    found.push(Some(Hint::Octal));
                    break;
                }
                b'd' | b'i' | b'u' | b's' | b'c' => {
                    found.push(None);
                    break;
                }
                _ => {}
            }
        }
    }
    found
}

/// An expression without the parentheses and casts around it.
fn bare(text: &str) -> &str {
    let mut text = text.trim();
    loop {
        let Some(close) = closing(text) else {
            return text;
        };
        let (inner, rest) = (&text[1..close], text[close + 1..].trim_start());
        if rest.is_empty() {
            text = inner.trim();
        } else if is_type(inner) && rest.starts_with(|c: char| c == '(' || c.is_alphabetic()) {
            text = rest;
        } else {
            return text;
        }
    }
}

/// Where the parenthesis that begins `text` is closed.
fn closing(text: &str) -> Option<usize> {
    if !text.starts_with('(') {
        return None;
    }
    let mut depth = 0usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

fn is_type(text: &str) -> bool {
    let mut chars = text.trim().chars();
    text.trim()
        .starts_with(|c: char| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || matches!(c, '_' | ' ' | '*'))
}

/// The field that `text` is the value of.
fn field(text: &str) -> Option<&str> {
    let name = bare(text).strip_prefix("REC->")?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_name.then_some(name)
}

/// `{ 0x1, "label" }`.
fn symbol(text: &str) -> Option<(i128, String)> {
    let inner = text.strip_prefix('{')?.strip_suffix('}')?;
    let (value, label) = inner.split_once(',')?;
    let label = label.trim().strip_prefix('"')?.strip_suffix('"')?;
    Some((number(value)?, label.replace("\\\"", "\"")))
}

/// A constant: digits, hexadecimal digits, a sign, a shift of one.
fn number(text: &str) -> Option<i128> {
    let text = bare(text);
    if let Some((base, shift)) = text.split_once("<<") {
        let shift = u32::try_from(number(shift)?).ok().filter(|by| *by < 64)?;
        return Some(number(base)? << shift);
    }
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest.trim_start()),
        None => (false, text),
    };
    let digits = text.trim_end_matches(['u', 'U', 'l', 'L']);
    let value = match digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"))
    {
        Some(hex) => u64::from_str_radix(hex, 16).ok()?,
        None => digits.parse::<u64>().ok()?,
    };
    let value = i128::from(value);
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_names_are_found_through_casts() {
        let hints = Hints::parse(
            "\"dev %d,%d flags=0x%lx %*s mode 0%o vec=%u [action=%s] 100%% %s %s\", \
            ((unsigned int) ((REC->dev) >> 20)), REC->minor, ((unsigned long)(REC->flags)), 3, REC->pad, \
            REC->mode, REC->vec, __print_symbolic(REC->vec, { 0, \"HI\" }, { (1 << 3), \"a, \\\"b\\\"\" }, \
            { NAME, \"skipped\" }, { -1, \"neg\" }), (REC->gfp) ? __print_flags((unsigned long)REC->gfp, \
            \"|\", { 0x1u, \"X\" }) : \"none\", __get_str(x)",
        );
        assert_eq!(hints.get("flags"), Some(&Hint::Hex));
        assert_eq!(hints.get("gfp"), Some(&Hint::Hex));
        assert_eq!(hints.get("mode"), Some(&Hint::Octal));
        for plain in ["dev", "minor", "pad"] {
            assert_eq!(hints.get(plain), None, "{plain}");
        }
        let names = [(0, "HI"), (8, "a, \"b\""), (-1, "neg")]
            .map(|(value, label)| (value, label.to_owned()));
        assert_eq!(hints.get("vec"), Some(&Hint::Symbols(names.to_vec())));
    }

    #[test]
    fn what_is_not_understood_tells_nothing() {
        for text in [
            "",
            "\"",
            "x",
            "\"%",
            "\"%x\", REC->",
            "\"%x\", ((((",
            "\"%x\", )))",
            "(REC->a",
        ] {
            assert_eq!(Hints::parse(text), Hints::default(), "{text}");
        }
    }
}
