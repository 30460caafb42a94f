//! Names and text inside TSDL.
//!
//! Names come from traced applications, which are not trusted: whatever they send, the result is an
//! identifier or the inside of a string literal, and never other text of the metadata.

/// `name` with everything that TSDL does not allow in an identifier replaced by `_`.
///
/// Stock replaces `.`, `$` and `:`, the only ones that occur in practice (application contexts).
pub(super) fn identifier(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '_' {
                c
            } else {
                '_'
            }
        })
        .collect()
}

/// The identifier of a field: `_` and the sanitised name.
pub(super) fn field_identifier(name: &str) -> String {
    format!("_{}", identifier(name))
}

/// `text` for use between double quotes, on one line.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\\' | '"' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_application_contexts_become_identifiers() {
        assert_eq!(field_identifier("$app.prov:ctx_tag"), "__app_prov_ctx_tag");
        assert_eq!(field_identifier("plain_1"), "_plain_1");
    }

    #[test]
    fn hostile_names_stay_inside_their_place() {
        assert_eq!(identifier("x; } event {"), "x____event__");
        assert_eq!(escaped("a\"; }\n\\"), "a\\\"; }\\n\\\\");
    }
}
