//! Star-globs: `*` matches any run of characters, `\` takes the next character literally.

use std::borrow::Cow;

/// What the stars of a pattern mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// No unescaped star.
    Literal,
    /// The first unescaped star is the last character.
    StarAtEnd,
    /// A star elsewhere.
    Pattern,
}

/// What kind of pattern this is.
pub fn classify(pattern: &str) -> Class {
    match first_star(pattern) {
        None => Class::Literal,
        Some(at) if at + 1 == pattern.len() => Class::StarAtEnd,
        Some(_) => Class::Pattern,
    }
}

/// Whether there is an unescaped star.
pub fn is_pattern(pattern: &str) -> bool {
    first_star(pattern).is_some()
}

/// Byte offset of the first unescaped star.
pub(crate) fn first_star(pattern: &str) -> Option<usize> {
    let mut escaped = false;
    pattern.bytes().position(|byte| {
        let star = byte == b'*' && !escaped;
        escaped = byte == b'\\' && !escaped;
        star
    })
}

/// The same pattern with each run of unescaped stars made one.
pub fn normalize(pattern: &str) -> Cow<'_, str> {
    if !pattern.contains("**") {
        return Cow::Borrowed(pattern);
    }
    let mut out = String::with_capacity(pattern.len());
    let (mut escaped, mut after_star) = (false, false);
    for c in pattern.chars() {
        let star = c == '*' && !escaped;
        if !(star && after_star) {
            out.push(c);
        }
        after_star = star;
        escaped = c == '\\' && !escaped;
    }
    Cow::Owned(out)
}

/// The literal pieces between the stars, with escapes resolved. One piece: no star.
fn pieces(pattern: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if c == '*' {
            pieces.push(String::new());
            continue;
        }
        // A backslash at the very end stands for itself.
        let c = if c == '\\' {
            chars.next().unwrap_or(c)
        } else {
            c
        };
        if let Some(last) = pieces.last_mut() {
            last.push(c);
        }
    }
    pieces
}

/// Whether the whole name matches the pattern. Time grows with the sum of the two lengths.
pub fn matches(pattern: &str, name: &str) -> bool {
    let pieces = pieces(pattern);
    let Some((first, rest)) = pieces.split_first() else {
        return name.is_empty();
    };
    let Some((last, middle)) = rest.split_last() else {
        return name == first;
    };
    let Some(mut name) = name.strip_prefix(first.as_str()) else {
        return false;
    };
    // The leftmost place is as good as any: it leaves most to the pieces that follow.
    for piece in middle {
        match name.find(piece.as_str()) {
            Some(at) => name = &name[at + piece.len()..],
            None => return false,
        }
    }
    name.ends_with(last.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_match_any_run() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("*", "a:b", true),
            ("", "", true),
            ("", "a", false),
            ("a*", "a", true),
            ("a*", "ba", false),
            ("*a", "ba", true),
            ("a*b", "ab", true),
            ("a*b", "axxb", true),
            ("a*b", "axxbc", false),
            ("a*a", "a", false),
            ("*x*", "axb", true),
            ("a**b", "ab", true),
            ("*ab*ab*", "abab", true),
            ("*ab*ab*", "aba", false),
            (r"a\*b", "a*b", true),
            (r"a\*b", "axb", false),
            (r"a\\*", r"a\xyz", true),
            ("é*é", "éxé", true),
            ("a?c", "abc", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} on {name}");
        }
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let pattern = "*a".repeat(20_000);
        assert!(!matches(&format!("{pattern}b"), &"a".repeat(60_000)));
    }

    #[test]
    fn escaped_stars_make_no_pattern() {
        assert!(!is_pattern(r"a\*"));
        assert!(is_pattern(r"a\\*"));
        assert_eq!(classify(r"a\\*"), Class::StarAtEnd);
        assert_eq!(classify("**"), Class::Pattern);
        assert_eq!(normalize(r"\***a**b"), r"\**a*b");
    }
}
