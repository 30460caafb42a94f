//! Arbitrary text is answered, never by a panic, and however deep it nests.

use filter::{BytecodeError, Expression, MAX_BYTES, Problem, exclusion, glob};
use proptest::prelude::*;

/// Text made of what expressions are made of.
fn scraps() -> impl Strategy<Value = String> {
    let scrap = prop_oneof![
        Just("a"),
        Just("$ctx.b"),
        Just("$app.p:c"),
        Just(".x"),
        Just("->y"),
        Just("[1]"),
        Just("1"),
        Just("0x1F"),
        Just("1.5"),
        Just("\"s*t\""),
        Just("'u*'"),
        Just("("),
        Just(")"),
        Just("&&"),
        Just("||"),
        Just("=="),
        Just("<"),
        Just(">>"),
        Just("&"),
        Just("!"),
        Just("~"),
        Just("-"),
        Just("+"),
        Just("\\"),
        Just("\""),
        Just("/*"),
        Just("*/"),
        Just("//"),
        Just("\n"),
        Just("é"),
    ];
    prop::collection::vec(scrap, 0..40).prop_map(|scraps| scraps.join(" "))
}

/// Well-formed expressions.
fn conditions() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("a".to_owned()),
        Just("1".into()),
        Just("b[2].c".into()),
        Just("$ctx.d".into())
    ];
    leaf.prop_recursive(8, 64, 2, |inner| {
        let operator = prop::sample::select(vec!["&&", "||", "==", "<", "&", "^", "<<", "!="]);
        prop_oneof![
            (inner.clone(), operator, inner.clone())
                .prop_map(|(a, op, b)| format!("({a}) {op} ({b})")),
            inner.prop_map(|a| format!("!({a})")),
        ]
    })
}

fn check(text: &str) {
    match Expression::parse(text) {
        Ok(expression) => {
            if let Ok(bytecode) = expression.to_bytecode() {
                assert!(bytecode.code_and_relocs.len() <= MAX_BYTES);
                assert_eq!(
                    bytecode.code_and_relocs[bytecode.reloc_offset as usize - 1],
                    1
                );
            }
        }
        Err(error) => {
            assert!(error.offset <= text.len());
            assert!(error.to_string().starts_with("column "));
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_answered(text in ".*") {
        check(&text);
    }

    #[test]
    fn any_scraps_are_answered(text in scraps()) {
        check(&text);
    }

    #[test]
    fn a_well_formed_expression_has_a_program(text in conditions()) {
        let expression = Expression::parse(&text).unwrap();
        prop_assert!(expression.to_bytecode().is_ok());
    }

    #[test]
    fn globs_agree_with_the_textbook(pattern in "[ab*\\\\]{0,8}", name in "[ab*]{0,8}") {
        prop_assert_eq!(glob::matches(&pattern, &name), textbook(&pattern, &name));
    }

    #[test]
    fn a_normal_glob_matches_the_same(pattern in "[ab*\\\\]{0,8}", name in "[ab*]{0,8}") {
        prop_assert_eq!(
            glob::matches(&pattern, &name),
            glob::matches(&glob::normalize(&pattern), &name)
        );
    }

    /// If an exclusion is said to take everything or nothing, it does.
    #[test]
    fn exclusions_do_what_is_said(prefix in "[ab]{0,3}", excluded in "[ab*]{1,4}", name in "[ab]{0,6}") {
        let pattern = format!("{prefix}*");
        let exclusions = [excluded.clone()];
        prop_assume!(glob::matches(&pattern, &name));
        match exclusion::validate(&pattern, &exclusions) {
            Err(_) => prop_assert!(glob::matches(&excluded, &name)),
            Ok(useless) if !useless.is_empty() => prop_assert!(!glob::matches(&excluded, &name)),
            Ok(_) => {}
        }
    }
}

/// Slow and obviously right.
fn textbook(pattern: &str, name: &str) -> bool {
    let mut chars = pattern.chars();
    match chars.next() {
        None => name.is_empty(),
        Some('*') => (0..=name.len()).any(|at| textbook(chars.as_str(), &name[at..])),
        Some(c) => {
            let c = if c == '\\' {
                chars.next().unwrap_or(c)
            } else {
                c
            };
            name.strip_prefix(c)
                .is_some_and(|rest| textbook(chars.as_str(), rest))
        }
    }
}

#[test]
fn depth_is_bounded_by_length_only() {
    for (before, after) in [("(", ")"), ("!", ""), ("a && (", ")"), ("a == -(", ")")] {
        let depth = 7000;
        let text = format!("{}a{}", before.repeat(depth), after.repeat(depth));
        let expression = Expression::parse(&text);
        if let Ok(expression) = expression {
            check(expression.text());
        } else {
            panic!("{before}: {expression:?}");
        }
    }
}

#[test]
fn limits_are_limits() {
    let text = "a".repeat(MAX_BYTES + 1);
    assert_eq!(
        Expression::parse(&text).unwrap_err().problem,
        Problem::TooLong
    );
    // Seven bytes of code and four of relocation each, and no branch at the first.
    let fits = format!("a{}", " && a".repeat(5956));
    assert!(Expression::parse(&fits).unwrap().to_bytecode().is_ok());
    let too_large = format!("a{}", " && a".repeat(5958));
    let expression = Expression::parse(&too_large).unwrap();
    assert_eq!(expression.to_bytecode(), Err(BytecodeError::TooLarge));
}

#[test]
fn messages_say_what_and_where() {
    for (text, message) in [
        ("", "column 1: the expression is empty"),
        (
            "a = 1",
            "column 3: `=` is not an operator; compare with `==`",
        ),
        ("é == 1", "column 1: unexpected character 'é'"),
        ("s == \"é\" && (a", "column 13: this `(` is never closed"),
        ("a == 1)", "column 7: this `)` closes nothing"),
        (
            "a ==",
            "column 5: expected a field, a constant or `(`, found the end of the expression",
        ),
        ("a b", "column 3: expected an operator, found `b`"),
        (
            "a[i] == 1",
            "column 3: an index must be a constant integer that is not negative",
        ),
        ("x && \"s\"", "column 3: `&&` cannot be applied to a string"),
        (
            "x > \"a*b\"",
            "column 3: a pattern with `*` can be compared with `==` and `!=` only, not with `>`",
        ),
        ("x == 08", "column 6: `08` is not a number"),
    ] {
        assert_eq!(Expression::parse(text).unwrap_err().to_string(), message);
    }
}
