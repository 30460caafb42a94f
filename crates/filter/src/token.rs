//! Text to tokens.

use crate::error::{ParseError, Problem};
use crate::number::{self, Number};

/// One token and where it starts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token<'a> {
    pub(crate) offset: usize,
    pub(crate) what: What<'a>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What<'a> {
    /// `name`, `provider:name`, or `$name`.
    Name(&'a str),
    Number(Number, &'a str),
    /// The bytes between the quotes, escapes kept.
    String(&'a str),
    /// Operators and brackets, as written.
    Sign(&'static str),
    End,
}

impl What<'_> {
    /// For messages.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Name(name) => format!("`{name}`"),
            Self::Number(_, text) => format!("`{text}`"),
            Self::String(text) => format!("the string \"{text}\""),
            Self::Sign(sign) => format!("`{sign}`"),
            Self::End => "the end of the expression".into(),
        }
    }
}

/// Longest first: the first that fits wins.
const SIGNS: [&str; 26] = [
    "->", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "(", ")", "[", "]", ".", "<", ">", "&",
    "|", "^", "!", "~", "+", "-", "*", "/", "%",
];

pub(crate) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(crate) fn error(&self, offset: usize, problem: Problem) -> ParseError {
        ParseError::new(self.text, offset, problem)
    }

    pub(crate) fn next(&mut self) -> Result<Token<'a>, ParseError> {
        self.skip_blanks()?;
        let offset = self.at;
        let rest = &self.text[offset..];
        let Some(first) = rest.chars().next() else {
            return Ok(Token {
                offset,
                what: What::End,
            });
        };
        let what = if first == '"' || first == '\'' {
            self.string(offset, first)?
        } else if let Some(quote) = rest
            .strip_prefix('L')
            .and_then(|rest| rest.chars().next())
            .filter(|quote| matches!(quote, '"' | '\''))
        {
            self.at += 1;
            self.string(offset, quote)?
        } else if starts_number(rest) {
            self.number(offset)?
        } else if starts_name(rest) {
            let end = rest[1..]
                .find(|c| !in_name(c))
                .map_or(rest.len(), |n| n + 1);
            self.at += end;
            What::Name(&rest[..end])
        } else if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            self.at += sign.len();
            What::Sign(sign)
        } else if first == '=' {
            return Err(self.error(offset, Problem::Assignment));
        } else {
            return Err(self.error(offset, Problem::Character(first)));
        };
        Ok(Token { offset, what })
    }

    fn skip_blanks(&mut self) -> Result<(), ParseError> {
        loop {
            let rest = &self.text[self.at..];
            let blank = rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
            self.at += blank;
            let rest = &rest[blank..];
            if let Some(comment) = rest.strip_prefix("//") {
                self.at += 2 + comment.find('\n').unwrap_or(comment.len());
            } else if let Some(comment) = rest.strip_prefix("/*") {
                let length = comment
                    .find("*/")
                    .ok_or_else(|| self.error(self.at, Problem::OpenComment))?;
                self.at += 2 + length + 2;
            } else if blank == 0 {
                return Ok(());
            }
        }
    }

    /// A string from the quote at the current place. No escape can hide the closing quote, as in LTTng 2.13.
    fn string(&mut self, start: usize, quote: char) -> Result<What<'a>, ParseError> {
        let from = self.at + 1;
        let length = self.text[from..]
            .find(quote)
            .ok_or_else(|| self.error(start, Problem::OpenString(quote)))?;
        let inside = &self.text[from..from + length];
        self.at = from + length + 1;
        let mut chars = inside.char_indices();
        while let Some((index, c)) = chars.next() {
            if c == '\0' {
                return Err(self.error(from + index, Problem::Character(c)));
            }
            if c != '\\' {
                continue;
            }
            match chars.next() {
                Some((_, '*' | '\\')) => {}
                Some((_, other)) => {
                    return Err(self.error(from + index, Problem::Escape(other.to_string())));
                }
                None => return Err(self.error(from + index, Problem::Escape(quote.to_string()))),
            }
        }
        Ok(What::String(inside))
    }

    fn number(&mut self, start: usize) -> Result<What<'a>, ParseError> {
        let rest = &self.text[start..];
        let hex = rest.starts_with("0x") || rest.starts_with("0X");
        let mut previous = ' ';
        let end = rest
            .find(|c: char| {
                let exponent = matches!((hex, previous), (false, 'e' | 'E') | (true, 'p' | 'P'));
                let inside = c == '.'
                    || c == '_'
                    || c.is_ascii_alphanumeric()
                    || (exponent && matches!(c, '+' | '-'));
                previous = c;
                !inside
            })
            .unwrap_or(rest.len());
        let token = &rest[..end];
        self.at = start + end;
        let number =
            number::parse(token).ok_or_else(|| self.error(start, Problem::Number(token.into())))?;
        Ok(What::Number(number, token))
    }
}

fn starts_number(rest: &str) -> bool {
    let mut bytes = rest.bytes();
    match bytes.next() {
        Some(b'.') => bytes.next().is_some_and(|b| b.is_ascii_digit()),
        Some(first) => first.is_ascii_digit(),
        None => false,
    }
}

fn starts_name(rest: &str) -> bool {
    let rest = rest.strip_prefix('$').unwrap_or(rest);
    rest.starts_with(|c: char| in_name(c) && !c.is_ascii_digit())
}

fn in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | ':')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<String> {
        let mut lexer = Lexer::new(text);
        let mut all = Vec::new();
        loop {
            let token = lexer.next().unwrap();
            if token.what == What::End {
                return all;
            }
            all.push(token.what.describe());
        }
    }

    #[test]
    fn signs_are_taken_longest_first() {
        assert_eq!(
            tokens("a<<b->c/* x */!='y'//z"),
            [
                "`a`",
                "`<<`",
                "`b`",
                "`->`",
                "`c`",
                "`!=`",
                "the string \"y\""
            ]
        );
    }

    #[test]
    fn a_dot_before_a_digit_starts_a_number() {
        assert_eq!(tokens("a.1"), ["`a`", "`.1`"]);
        assert_eq!(tokens("a.b"), ["`a`", "`.`", "`b`"]);
    }

    #[test]
    fn no_escape_hides_a_quote() {
        let error = Lexer::new(r#""a\" == b"#).next().unwrap_err();
        assert_eq!(error.problem, Problem::Escape("\"".into()));
        assert_eq!(error.column, 3);
    }
}
