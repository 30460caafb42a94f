//! The little of XML that session files need: elements with text or children, no attributes, and processing
//! instructions.

use std::borrow::Cow;
use std::fmt::Write;

use quick_xml::Reader;
use quick_xml::escape::{partial_escape, resolve_predefined_entity};
use quick_xml::events::Event;

use crate::ReadError;

/// Deeper than any session file.
const MAX_DEPTH: usize = 32;

/// An element of a document that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) name: String,
    /// From 1.
    pub(crate) line: usize,
    /// All text directly in it.
    pub(crate) text: String,
    pub(crate) children: Vec<Node>,
    /// What follows the target of its processing instructions, by target.
    pub(crate) instructions: Vec<(String, String)>,
}

impl Node {
    /// The root element of a document.
    pub(crate) fn parse(document: &str) -> Result<Self, ReadError> {
        let mut reader = Reader::from_str(document);
        let mut lines = Lines::of(document);
        let mut open = vec![Self::default()];
        loop {
            let line = lines.until(reader.buffer_position());
            let event = reader.read_event().map_err(|error| {
                let line = lines.until(reader.error_position());
                ReadError::new(line, error)
            })?;
            match event {
                Event::Start(start) => {
                    if open.len() > MAX_DEPTH {
                        return Err(ReadError::new(line, "too many elements inside of another"));
                    }
                    open.push(Self::opened(line, start.name().as_ref()));
                }
                Event::Empty(empty) => {
                    let node = Self::opened(line, empty.name().as_ref());
                    last(&mut open).children.push(node);
                }
                Event::End(_) => {
                    // The reader checks that the names match.
                    if let Some(node) = open.pop() {
                        last(&mut open).children.push(node);
                    }
                }
                Event::Text(text) => last(&mut open).text.push_str(&text),
                Event::CData(data) => last(&mut open).text.push_str(&data),
                Event::GeneralRef(reference) => {
                    let character = reference
                        .resolve_char_ref()
                        .map_err(|error| ReadError::new(line, error))?;
                    let name: &str = &reference;
                    let text = &mut last(&mut open).text;
                    match (character, resolve_predefined_entity(name)) {
                        (Some(character), _) => text.push(character),
                        (None, Some(known)) => text.push_str(known),
                        (None, None) => {
                            let message = format!("the entity `&{name};` is not known");
                            return Err(ReadError::new(line, message));
                        }
                    }
                }
                Event::PI(instruction) => {
                    let all: &str = &instruction;
                    let (target, rest) = all.split_once(char::is_whitespace).unwrap_or((all, ""));
                    let pair = (target.to_owned(), rest.trim().to_owned());
                    last(&mut open).instructions.push(pair);
                }
                Event::Decl(_) | Event::Comment(_) | Event::DocType(_) => {}
                Event::Eof => break,
            }
        }
        let end = lines.until(document.len() as u64);
        if open.len() > 1 {
            let name = open.pop().unwrap_or_default().name;
            return Err(ReadError::new(end, format!("<{name}> is not closed")));
        }
        let mut roots = open.pop().unwrap_or_default().children;
        match (roots.pop(), roots.pop()) {
            (Some(root), None) => Ok(root),
            (Some(second), Some(_)) => Err(ReadError::new(second.line, "a second root element")),
            (None, _) => Err(ReadError::new(1, "there is no element in it")),
        }
    }

    fn opened(line: usize, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            line,
            ..Self::default()
        }
    }
}

fn last(open: &mut [Node]) -> &mut Node {
    // There is always the document itself.
    let end = open.len() - 1;
    &mut open[end]
}

/// Counts the lines up to positions that grow.
struct Lines<'a> {
    rest: &'a [u8],
    position: u64,
    line: usize,
}

impl<'a> Lines<'a> {
    fn of(document: &'a str) -> Self {
        Self {
            rest: document.as_bytes(),
            position: 0,
            line: 1,
        }
    }

    fn until(&mut self, position: u64) -> usize {
        let ahead = usize::try_from(position.saturating_sub(self.position)).unwrap_or(usize::MAX);
        let (before, rest) = self.rest.split_at(ahead.min(self.rest.len()));
        self.line += before.iter().filter(|byte| **byte == b'\n').count();
        self.rest = rest;
        self.position += before.len() as u64;
        self.line
    }
}

/// Writes a document, indented as stock does.
#[derive(Debug)]
pub(crate) struct Writer {
    out: String,
    depth: usize,
}

impl Writer {
    pub(crate) fn new() -> Self {
        Self {
            out: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".into(),
            depth: 0,
        }
    }

    /// An element with what `inside` writes; `<name/>` if that is nothing.
    pub(crate) fn element(&mut self, name: &str, inside: impl FnOnce(&mut Self)) {
        let start = self.out.len();
        self.line(format_args!("<{name}>"));
        let empty = self.out.len();
        self.depth += 1;
        inside(self);
        self.depth -= 1;
        if self.out.len() == empty {
            self.out.truncate(start);
            self.line(format_args!("<{name}/>"));
        } else {
            self.line(format_args!("</{name}>"));
        }
    }

    /// An element with text.
    pub(crate) fn text(&mut self, name: &str, text: impl ToString) {
        let text = text.to_string();
        let text = escaped(&text);
        self.line(format_args!("<{name}>{text}</{name}>"));
    }

    /// A processing instruction: other readers pass over it.
    pub(crate) fn instruction(&mut self, target: &str, text: &str) {
        self.line(format_args!("<?{target} {text}?>"));
    }

    pub(crate) fn finish(self) -> String {
        self.out
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        for _ in 0..self.depth {
            self.out.push('\t');
        }
        // Writing to a string does not fail.
        let _ = writeln!(self.out, "{text}");
    }
}

/// XML 1.0 cannot hold most control characters, not even escaped: they become U+FFFD.
fn escaped(text: &str) -> Cow<'_, str> {
    let bad = |c: char| c < ' ' && !matches!(c, '\t' | '\n' | '\r');
    let text = match text.contains(bad) {
        true => Cow::Owned(text.replace(bad, "\u{fffd}")),
        false => Cow::Borrowed(text),
    };
    match text.contains(['<', '>', '&', '"', '\r']) {
        true => {
            let escaped = partial_escape(text).replace('"', "&quot;");
            Cow::Owned(escaped.replace('\r', "&#13;"))
        }
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut writer = Writer::new();
        writer.element("a", |writer| {
            writer.text("b", "x > 2 && y == \"\u{e9}<\r\n>\"");
            writer.element("c", |_| {});
            writer.text("d", "");
            writer.instruction("target", "k=\"v\"");
        });
        let text = writer.finish();
        let root = Node::parse(&text).unwrap();
        assert_eq!(root.name, "a");
        assert_eq!(
            root.instructions,
            [("target".to_owned(), "k=\"v\"".to_owned())]
        );
        let children: Vec<_> = root
            .children
            .iter()
            .map(|child| (child.name.as_str(), child.text.as_str()))
            .collect();
        assert_eq!(
            children,
            [
                ("b", "x > 2 && y == \"\u{e9}<\r\n>\""),
                ("c", ""),
                ("d", "")
            ]
        );
        assert!(text.contains("\n\t<c/>\n\t<d></d>\n"), "{text}");
    }

    #[test]
    fn mistakes_have_a_line() {
        for (text, line) in [
            ("", 1),
            ("nope", 1),
            ("<a>\n<b>\n</a>", 3),
            ("<a>\n&bogus;</a>", 2),
            ("<a>\n", 2),
            ("<a/>\n<b/>", 2),
        ] {
            let error = Node::parse(text).unwrap_err();
            assert_eq!(error.line, line, "{text:?}: {error}");
        }
        let deep = "<a>".repeat(100);
        assert!(Node::parse(&deep).is_err());
    }
}
