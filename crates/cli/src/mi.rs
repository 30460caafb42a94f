//! The machine interface: one XML document on stdout, schema 4.1 of LTTng 2.13.

use std::fmt::Write;

/// An element with either text or children.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Element {
    name: &'static str,
    content: Content,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    Text(String),
    Children(Vec<Element>),
}

impl Element {
    /// With children; written `<name/>` when there is none.
    pub(crate) fn new(name: &'static str, children: impl IntoIterator<Item = Element>) -> Self {
        Self {
            name,
            content: Content::Children(children.into_iter().collect()),
        }
    }

    /// With text; written `<name></name>` when it is empty.
    pub(crate) fn text(name: &'static str, text: impl ToString) -> Self {
        Self {
            name,
            content: Content::Text(text.to_string()),
        }
    }

    /// The same element with one more child.
    pub(crate) fn with(mut self, child: Element) -> Self {
        if let Content::Children(children) = &mut self.content {
            children.push(child);
        }
        self
    }

    fn write(&self, out: &mut String) {
        let name = self.name;
        match &self.content {
            Content::Children(children) if children.is_empty() => {
                let _ = write!(out, "<{name}/>");
            }
            Content::Children(children) => {
                let _ = write!(out, "<{name}>");
                for child in children {
                    child.write(out);
                }
                let _ = write!(out, "</{name}>");
            }
            Content::Text(text) => {
                let _ = write!(out, "<{name}>");
                escape(text, out);
                let _ = write!(out, "</{name}>");
            }
        }
    }
}

/// What a command prints: its name, its output, and whether it did what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Document {
    command: &'static str,
    output: Element,
    success: Option<bool>,
}

impl Document {
    pub(crate) fn new(
        command: &'static str,
        output: impl IntoIterator<Item = Element>,
        success: bool,
    ) -> Self {
        Self {
            success: Some(success),
            ..Self::without_success(command, output)
        }
    }

    /// For `list`, `status` and `version`.
    pub(crate) fn without_success(
        command: &'static str,
        output: impl IntoIterator<Item = Element>,
    ) -> Self {
        Self {
            command,
            output: Element::new("output", output),
            success: None,
        }
    }

    pub(crate) fn render(&self) -> String {
        let mut out = String::from(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <command xmlns=\"https://lttng.org/xml/ns/lttng-mi\" \
             xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
             xsi:schemaLocation=\"https://lttng.org/xml/ns/lttng-mi \
             https://lttng.org/xml/schemas/lttng-mi/4/lttng-mi-4.1.xsd\" schemaVersion=\"4.1\">",
        );
        Element::text("name", self.command).write(&mut out);
        self.output.write(&mut out);
        if let Some(success) = self.success {
            Element::text("success", success).write(&mut out);
        }
        out.push_str("</command>");
        out
    }
}

/// Characters that XML 1.0 cannot hold are replaced.
fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => out.push(c),
            c if c < ' ' || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_two_lines() {
        let sessions = Element::new("sessions", [Element::text("name", "a<\"&\">\u{1}")]);
        let text = Document::new("start", [sessions, Element::new("x", [])], true).render();
        assert!(text.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<command xmlns="));
        assert!(text.ends_with(
            "<name>start</name><output><sessions><name>a&lt;&quot;&amp;&quot;&gt;\u{fffd}</name></sessions><x/>\
             </output><success>true</success></command>"
        ));
    }
}
