//! Exclusions of an event rule: names that its pattern shall not match.

use crate::glob::{self, Class};

/// Most bytes of one exclusion.
pub const MAX_EXCLUSION_BYTES: usize = 255;

/// An exclusion that makes no sense with its pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExclusionError {
    /// The rule has no unescaped star.
    #[error("Exclusions can only be used with a globbing pattern")]
    NoPattern,
    /// Nothing would be left.
    #[error("{exclusion} excludes all events from {pattern}")]
    ExcludesAll {
        /// The exclusion.
        exclusion: String,
        /// The pattern of the rule.
        pattern: String,
    },
    /// Longer than the tracer takes.
    #[error(
        "the exclusion {exclusion} is longer than {MAX_EXCLUSION_BYTES} bytes; use a shorter pattern"
    )]
    TooLong {
        /// The exclusion.
        exclusion: String,
    },
}

/// Splits a list at its commas; `\,` is a comma inside a name.
pub fn split(list: &str) -> Vec<String> {
    let mut names = vec![String::new()];
    let mut chars = list.chars().peekable();
    while let Some(c) = chars.next() {
        let c = match c {
            ',' => {
                names.push(String::new());
                continue;
            }
            '\\' if chars.peek() == Some(&',') => chars.next().unwrap_or(c),
            c => c,
        };
        if let Some(last) = names.last_mut() {
            last.push(c);
        }
    }
    names
}

/// Checks the exclusions of a rule and returns those that cannot exclude anything.
///
/// # Errors
///
/// The first exclusion that cannot be used.
pub fn validate<'a>(
    pattern: &str,
    exclusions: &'a [String],
) -> Result<Vec<&'a str>, ExclusionError> {
    if exclusions.is_empty() {
        return Ok(Vec::new());
    }
    if !glob::is_pattern(pattern) {
        return Err(ExclusionError::NoPattern);
    }
    let mut useless = Vec::new();
    for exclusion in exclusions {
        if exclusion.len() > MAX_EXCLUSION_BYTES {
            return Err(ExclusionError::TooLong {
                exclusion: exclusion.clone(),
            });
        }
        match effect(pattern, exclusion) {
            Effect::Some => {}
            Effect::None => useless.push(exclusion.as_str()),
            Effect::All => {
                return Err(ExclusionError::ExcludesAll {
                    exclusion: exclusion.clone(),
                    pattern: pattern.into(),
                });
            }
        }
    }
    Ok(useless)
}

enum Effect {
    All,
    Some,
    None,
}

/// What an exclusion takes away from a pattern. Decided for patterns with one star at the end only; the
/// others are believed.
fn effect(pattern: &str, exclusion: &str) -> Effect {
    if glob::classify(pattern) != Class::StarAtEnd {
        return Effect::Some;
    }
    let prefix = &pattern[..pattern.len() - 1];
    let literal = &exclusion[..glob::first_star(exclusion).unwrap_or(exclusion.len())];
    let starts_with_star_only = glob::normalize(&exclusion[literal.len()..]) == "*";
    if starts_with_star_only && prefix.starts_with(literal) {
        Effect::All
    } else if literal.starts_with(prefix)
        || (literal.len() < exclusion.len() && prefix.starts_with(literal))
    {
        Effect::Some
    } else {
        Effect::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, exclusion: &str) -> Result<bool, ExclusionError> {
        let exclusions = [String::from(exclusion)];
        Ok(validate(pattern, &exclusions)?.is_empty())
    }

    #[test]
    fn escaped_commas_stay_in_the_name() {
        assert_eq!(split(r"a,b\,c,\d"), ["a", "b,c", r"\d"]);
        assert_eq!(split(""), [""]);
    }

    #[test]
    fn a_part_of_the_pattern_is_excluded() {
        for exclusion in ["ab", "ab*", "a", "a*b", "*x"] {
            assert_eq!(check("a*", exclusion), Ok(true), "{exclusion}");
        }
    }

    #[test]
    fn excluding_everything_is_an_error() {
        for (pattern, exclusion) in [("a*", "*"), ("a*", "a*"), ("abc*", "ab**"), ("*", "*")] {
            let error = check(pattern, exclusion).unwrap_err();
            assert!(matches!(error, ExclusionError::ExcludesAll { .. }));
        }
    }

    #[test]
    fn excluding_nothing_is_reported() {
        for (pattern, exclusion) in [("a*", "b*"), ("ab*", "a"), ("ab*", "ac*")] {
            assert_eq!(check(pattern, exclusion), Ok(false), "{exclusion}");
        }
    }

    #[test]
    fn a_name_has_nothing_to_exclude() {
        assert_eq!(check("foo", "f*"), Err(ExclusionError::NoPattern));
        assert_eq!(check(r"foo\*", "f*"), Err(ExclusionError::NoPattern));
    }
}
