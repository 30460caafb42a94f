//! Cuts TSDL text into tokens.

use super::error::{ErrorKind, TsdlError};

/// One token, with the text it borrows.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'t> {
    /// A name or keyword.
    Word(&'t str),
    /// A number without its sign.
    Number(u64),
    /// A string literal, unescaped.
    Text(String),
    /// `{`, `}`, `;` and so on; also `:=` and `...`.
    Punct(&'static str),
    /// Nothing more.
    End,
}

/// Longest first, so that `:=` is not read as `:`.
const PUNCTUATION: [&str; 19] = [
    ":=", "...", "->", "{", "}", "[", "]", "(", ")", "<", ">", ";", ":", ",", ".", "=", "-", "+",
    "*",
];

/// The tokens of a text, one ahead.
pub(super) struct Lexer<'t> {
    text: &'t str,
    /// Where the token after `next` starts.
    at: usize,
    /// Line of `at`, from 1.
    line: usize,
    next: Token<'t>,
    /// Line on which `next` starts.
    next_line: usize,
}

impl<'t> Lexer<'t> {
    /// Reads `text`, whose first line has the number `line`.
    pub(super) fn new(text: &'t str, line: usize) -> Result<Self, TsdlError> {
        let mut lexer = Self {
            text,
            at: 0,
            line,
            next: Token::End,
            next_line: line,
        };
        lexer.advance()?;
        Ok(lexer)
    }

    /// The next token, which stays.
    pub(super) fn peek(&self) -> &Token<'t> {
        &self.next
    }

    /// Takes the next token.
    pub(super) fn take(&mut self) -> Result<Token<'t>, TsdlError> {
        let token = std::mem::replace(&mut self.next, Token::End);
        self.advance()?;
        Ok(token)
    }

    /// An error at the next token.
    pub(super) fn error(&self, kind: ErrorKind) -> TsdlError {
        TsdlError {
            line: self.next_line,
            kind,
        }
    }

    fn advance(&mut self) -> Result<(), TsdlError> {
        // What cannot be cut into a token counts as an error at its own place.
        self.next = Token::End;
        self.skip_blank()?;
        self.next_line = self.line;
        self.next = self.token()?;
        Ok(())
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn skip(&mut self, len: usize) {
        self.line += self.text[self.at..self.at + len].matches('\n').count();
        self.at += len;
    }

    fn skip_blank(&mut self) -> Result<(), TsdlError> {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start().len();
            if blank > 0 {
                self.skip(blank);
            } else if let Some(comment) = rest.strip_prefix("/*") {
                let Some(end) = comment.find("*/") else {
                    self.next_line = self.line;
                    return Err(self.error(ErrorKind::Incomplete));
                };
                self.skip(end + 4);
            } else if rest.starts_with("//") {
                self.skip(rest.find('\n').unwrap_or(rest.len()));
            } else {
                return Ok(());
            }
        }
    }

    fn token(&mut self) -> Result<Token<'t>, TsdlError> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Ok(Token::End);
        };
        if first == '"' {
            return self.literal();
        }
        let word = rest.len()
            - rest
                .trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_')
                .len();
        if word > 0 {
            let word = &rest[..word];
            self.skip(word.len());
            if first.is_ascii_digit() {
                return match number(word) {
                    Some(number) => Ok(Token::Number(number)),
                    None => Err(self.error(ErrorKind::BadNumber(clip(word)))),
                };
            }
            return Ok(Token::Word(word));
        }
        match PUNCTUATION.iter().find(|punct| rest.starts_with(**punct)) {
            Some(punct) => {
                self.skip(punct.len());
                Ok(Token::Punct(punct))
            }
            None => Err(self.error(ErrorKind::BadCharacter(first))),
        }
    }

    /// A string literal with the escapes of C.
    fn literal(&mut self) -> Result<Token<'t>, TsdlError> {
        let mut text = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.skip(at + 1);
                    return Ok(Token::Text(text));
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, 'r')) => text.push('\r'),
                    Some((_, '0')) => text.push('\0'),
                    Some((_, other)) => text.push(other),
                    None => break,
                },
                _ => text.push(c),
            }
        }
        Err(self.error(ErrorKind::Incomplete))
    }
}

/// The length of the block that `text` starts with, up to and with the `;` that ends it; `None` while
/// there is no such `;`. Blanks and comments before a block count as part of it.
pub(super) fn block_len(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += match byte {
            b'"' => 2 + literal_len(&bytes[at + 1..])?,
            b'/' if bytes[at..].starts_with(b"/*") => 4 + text[at + 2..].find("*/")?,
            b'/' if bytes[at..].starts_with(b"//") => text[at..].find('\n')?,
            b'{' => {
                depth += 1;
                1
            }
            b'}' => {
                depth = depth.saturating_sub(1);
                1
            }
            b';' if depth == 0 => return Some(at + 1),
            _ => 1,
        };
    }
    None
}

/// Bytes before the quote that ends a literal.
fn literal_len(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// A C integer: decimal, `0x` hexadecimal or `0` octal, with an optional `u`/`l` suffix.
fn number(word: &str) -> Option<u64> {
    let digits = word.trim_end_matches(['u', 'U', 'l', 'L']);
    if let Some(hex) = digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"))
    {
        u64::from_str_radix(hex, 16).ok()
    } else if digits.len() > 1 && digits.starts_with('0') {
        u64::from_str_radix(digits, 8).ok()
    } else {
        digits.parse().ok()
    }
}

/// A piece of hostile text, short enough for a message.
pub(super) fn clip(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Result<Vec<Token<'_>>, TsdlError> {
        let mut lexer = Lexer::new(text, 1)?;
        let mut tokens = Vec::new();
        while *lexer.peek() != Token::End {
            tokens.push(lexer.take()?);
        }
        Ok(tokens)
    }

    #[test]
    fn the_pieces_of_a_declaration() {
        use Token::{Number, Punct, Text, Word};
        assert_eq!(
            tokens("a.b := 0x1F ... 017, /* x\n */ -3u; // end\n\"q\\\"\\\\\\n\"").unwrap(),
            [
                Word("a"),
                Punct("."),
                Word("b"),
                Punct(":="),
                Number(31),
                Punct("..."),
                Number(15),
                Punct(","),
                Punct("-"),
                Number(3),
                Punct(";"),
                Text("q\"\\\n".to_owned()),
            ]
        );
    }

    #[test]
    fn errors_tell_their_line() {
        let error = |text| tokens(text).unwrap_err();
        assert_eq!(
            error("a\n\n @"),
            TsdlError {
                line: 3,
                kind: ErrorKind::BadCharacter('@')
            }
        );
        assert_eq!(
            error("a\n\"open"),
            TsdlError {
                line: 2,
                kind: ErrorKind::Incomplete
            }
        );
        assert_eq!(
            error("a\n/* open"),
            TsdlError {
                line: 2,
                kind: ErrorKind::Incomplete
            }
        );
        assert_eq!(
            error("99999999999999999999"),
            TsdlError {
                line: 1,
                kind: ErrorKind::BadNumber("99999999999999999999".to_owned())
            }
        );
    }
}
