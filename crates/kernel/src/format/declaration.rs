//! The C declaration of a field: `unsigned long args[6]`, `__data_loc char[] name`,
//! `const char *const *argv`.

use super::event::Shape;

/// A declaration taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Declaration {
    pub(super) name: String,
    /// Type of the field, or of one element of an array.
    pub(super) ty: String,
    pub(super) shape: Shape,
}

/// Takes `text` apart; says what is missing.
pub(super) fn parse(text: &str) -> Result<Declaration, &'static str> {
    let (located, text) = match text.split_once(' ') {
        Some(("__data_loc", rest)) => (Some(Shape::DataLoc), rest),
        Some(("__rel_loc", rest)) => (Some(Shape::RelLoc), rest),
        _ => (None, text),
    };
    // What follows the name is a subscript; one that stands before it belongs to a located array.
    let (text, subscript) = subscript(text.trim_end())?;
    let at = text
        .rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .ok_or("type and name")?;
    let (ty, name) = text.split_at(at + 1);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("name");
    }
    let ty = ty.trim_end();
    let ty = ty.strip_suffix("[]").unwrap_or(ty);
    let shape = match (located, subscript) {
        (Some(shape), _) => shape,
        (None, None) => Shape::Value,
        (None, Some("")) => Shape::Rest,
        // A constant that the kernel did not expand: the size tells.
        (None, Some(count)) => Shape::Array(count.parse().unwrap_or(0)),
    };
    let ty = single_spaced(ty);
    if ty.is_empty() {
        return Err("type");
    }
    Ok(Declaration {
        name: name.to_owned(),
        ty,
        shape,
    })
}

/// Splits the subscripts off the end of a declaration. Several are no number: the elements are one row.
fn subscript(text: &str) -> Result<(&str, Option<&str>), &'static str> {
    if !text.ends_with(']') {
        return Ok((text, None));
    }
    let at = text.find('[').ok_or("`[`")?;
    let (declaration, subscripts) = text.split_at(at);
    let inner = &subscripts[1..subscripts.len() - 1];
    Ok((declaration.trim_end(), Some(inner.trim())))
}

/// The words of a C type with single spaces, and stars as words.
fn single_spaced(ty: &str) -> String {
    let stars_apart = ty.replace('*', " * ");
    stars_apart.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (String, String, Shape) {
        let declaration = parse(text).unwrap_or_else(|what| panic!("{text}: no {what}"));
        (declaration.ty, declaration.name, declaration.shape)
    }

    #[test]
    fn every_form_of_declaration_is_taken_apart() {
        for (text, ty, name, shape) in [
            (
                "unsigned short common_type",
                "unsigned short",
                "common_type",
                Shape::Value,
            ),
            ("unsigned nr", "unsigned", "nr", Shape::Value),
            ("char prev_comm[16]", "char", "prev_comm", Shape::Array(16)),
            (
                "unsigned long args[6]",
                "unsigned long",
                "args",
                Shape::Array(6),
            ),
            ("u8 mac[ETH_ALEN]", "u8", "mac", Shape::Array(0)),
            ("char buf[]", "char", "buf", Shape::Rest),
            ("__data_loc char[] name", "char", "name", Shape::DataLoc),
            (
                "__data_loc unsigned int[] lengths",
                "unsigned int",
                "lengths",
                Shape::DataLoc,
            ),
            (
                "__data_loc cpumask_t mask",
                "cpumask_t",
                "mask",
                Shape::DataLoc,
            ),
            ("__rel_loc char[] name", "char", "name", Shape::RelLoc),
            (
                "const char *const *argv",
                "const char * const *",
                "argv",
                Shape::Value,
            ),
            ("const void* ptr", "const void *", "ptr", Shape::Value),
            (
                "struct robust_list_head * * head_ptr",
                "struct robust_list_head * *",
                "head_ptr",
                Shape::Value,
            ),
            (
                "const struct landlock_ruleset_attr *const attr",
                "const struct landlock_ruleset_attr * const",
                "attr",
                Shape::Value,
            ),
            ("enum zone_type id", "enum zone_type", "id", Shape::Value),
            (
                "struct part parts[2][3]",
                "struct part",
                "parts",
                Shape::Array(0),
            ),
        ] {
            assert_eq!(
                parts(text),
                (ty.to_owned(), name.to_owned(), shape),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_declaration_is_refused() {
        for text in [
            "",
            "int",
            "int 3",
            "]",
            "[]",
            "x]",
            "int *",
            "__data_loc x",
            "é x]",
        ] {
            assert!(parse(text).is_err(), "{text}: {:?}", parse(text));
        }
    }
}
