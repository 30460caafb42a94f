//! Log levels of user space tracepoints.

/// Number and name, without the prefix `TRACE_`.
const LEVELS: [(i32, &str); 15] = [
    (0, "EMERG"),
    (1, "ALERT"),
    (2, "CRIT"),
    (3, "ERR"),
    (4, "WARNING"),
    (5, "NOTICE"),
    (6, "INFO"),
    (7, "DEBUG_SYSTEM"),
    (8, "DEBUG_PROGRAM"),
    (9, "DEBUG_PROCESS"),
    (10, "DEBUG_MODULE"),
    (11, "DEBUG_UNIT"),
    (12, "DEBUG_FUNCTION"),
    (13, "DEBUG_LINE"),
    (14, "DEBUG"),
];

/// The number of a level: any case, with or without `TRACE_`; the `DEBUG_` of the finer ones may be left out.
pub(crate) fn parse(name: &str) -> Option<i32> {
    let name = name.to_ascii_uppercase();
    let name = name.strip_prefix("TRACE_").unwrap_or(&name);
    LEVELS
        .iter()
        .find(|(_, level)| *level == name || level.strip_prefix("DEBUG_") == Some(name))
        .map(|(number, _)| *number)
}

/// The full name, `UNKNOWN` for a number that has none.
pub(crate) fn name(number: i32) -> String {
    match LEVELS.iter().find(|(level, _)| *level == number) {
        Some((_, name)) => format!("TRACE_{name}"),
        None => "UNKNOWN".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_all_spellings() {
        for (text, level) in [
            ("EMERG", 0),
            ("trace_warning", 4),
            ("Info", 6),
            ("LINE", 13),
            ("debug_line", 13),
            ("TRACE_SYSTEM", 7),
            ("DEBUG", 14),
        ] {
            assert_eq!(parse(text), Some(level), "{text}");
        }
        for text in ["", "BOGUS", "TRACE_", "DEBUG_", "DEBUG_INFO", "3"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn names_are_printed_in_full() {
        assert_eq!(name(13), "TRACE_DEBUG_LINE");
        assert_eq!(name(99), "UNKNOWN");
    }
}
