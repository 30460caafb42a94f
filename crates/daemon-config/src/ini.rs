//! Configuration files as LTTng reads them: `[section]`, `key=value` (or `key: value`), comments after
//! `;` or `#`.

/// One `key=value` of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    /// From 1.
    pub(crate) line: usize,
    pub(crate) key: &'a str,
    pub(crate) value: &'a str,
}

/// The number of a line of the section that is no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadLine(pub(crate) usize);

/// The entries of one section; what stands in other sections is not looked at, it belongs to other
/// programs.
pub(crate) fn entries<'a>(text: &'a str, section: &str) -> Result<Vec<Entry<'a>>, BadLine> {
    let mut entries = Vec::new();
    let mut ours = false;
    for (number, line) in text.lines().enumerate() {
        let number = number + 1;
        let line = without_comment(line).trim();
        if line.is_empty() {
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            ours = name.strip_suffix(']').map(str::trim) == Some(section);
            continue;
        }
        if !ours {
            continue;
        }
        let at = line.find(['=', ':']).ok_or(BadLine(number))?;
        let (key, value) = (line[..at].trim(), line[at + 1..].trim());
        if key.is_empty() {
            return Err(BadLine(number));
        }
        entries.push(Entry {
            line: number,
            key,
            value,
        });
    }
    Ok(entries)
}

/// A comment is a whole line, or stands behind a blank and `;`.
fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with(['#', ';']) {
        return "";
    }
    match line.find(" ;").or_else(|| line.find("\t;")) {
        Some(at) => &line[..at],
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_section_of_a_file_for_all_daemons() {
        let text = "; for all\nnonsense\n[sessiond]\nquiet = yes\n[relayd]\n\n# ports\n\
                    control-port=tcp://0.0.0.0:1 ; here\r\n disallow-clear : on\n[x]\noutput=/y\n";
        let found: Vec<_> = entries(text, "relayd")
            .unwrap()
            .into_iter()
            .map(|entry| (entry.line, entry.key, entry.value))
            .collect();
        assert_eq!(
            found,
            [
                (8, "control-port", "tcp://0.0.0.0:1"),
                (9, "disallow-clear", "on")
            ]
        );
        assert_eq!(entries("[relayd]\nwhat\n", "relayd"), Err(BadLine(2)));
        assert_eq!(entries("[relayd]\n=1\n", "relayd"), Err(BadLine(2)));
        assert_eq!(entries("[relayd", "relayd"), Ok(Vec::new()));
    }
}
