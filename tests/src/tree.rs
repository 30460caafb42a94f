//! The files below a directory, in a form that can be compared between runs and toolchains.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Every file below `dir` with its size, and every empty directory, sorted. Times in names are `TIME`, numbers of
/// CPUs are `N`, and the size of metadata, which nobody prescribes, is left out.
pub fn tree(dir: &Path) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    add(dir, "", &mut lines)?;
    lines.sort();
    Ok(lines)
}

fn add(dir: &Path, below: &str, lines: &mut Vec<String>) -> Result<()> {
    let entries = fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))?;
    let mut empty = true;
    for entry in entries {
        let entry = entry?;
        empty = false;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{below}/{}", without_times(&name));
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            add(&entry.path(), &path, lines)?;
        } else if name == "metadata" {
            lines.push(path);
        } else {
            lines.push(format!("{} {}", without_cpu(&path), metadata.len()));
        }
    }
    if empty {
        lines.push(format!("{below}/"));
    }
    Ok(())
}

/// Replaces `20261122T214901+0000` and `20261122-214901`.
fn without_times(name: &str) -> String {
    let mut out = String::new();
    let mut rest = name;
    while !rest.is_empty() {
        let digits = |text: &str, count| {
            text.len() >= count && text.bytes().take(count).all(|b| b.is_ascii_digit())
        };
        let is_time = digits(rest, 8)
            && matches!(rest.as_bytes().get(8), Some(b'T' | b'-'))
            && rest.is_char_boundary(9)
            && digits(&rest[9..], 6);
        if is_time {
            out.push_str("TIME");
            rest = &rest[15..];
            let zone = |text: &str| text.starts_with(['+', '-']) && digits(&text[1..], 4);
            if zone(rest) && name.contains('T') {
                rest = &rest[5..];
            }
        } else {
            let Some(c) = rest.chars().next() else { break };
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

/// `c_1` and `index/c_1.idx`, with the number of a file after the one of the CPU or without.
fn without_cpu(path: &str) -> String {
    let (stem, extension) = match path.strip_suffix(".idx") {
        Some(stem) => (stem, ".idx"),
        None => (path, ""),
    };
    let mut parts: Vec<&str> = stem.split('_').collect();
    if let Some(cpu) = parts
        .iter()
        .skip(1)
        .position(|part| part.parse::<u32>().is_ok())
    {
        parts[cpu + 1] = "N";
    }
    format!("{}{extension}", parts.join("_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_between_runs_is_left_out() {
        assert_eq!(without_times("20261122T214901+0000-3"), "TIME-3");
        assert_eq!(
            without_times("20261122T214901-0300-20261122T214902-0300-3"),
            "TIME-TIME-3"
        );
        assert_eq!(without_times("s-20261122-214901"), "s-TIME");
        assert_eq!(without_times("64-bit"), "64-bit");
        assert_eq!(without_cpu("/ust/c_1"), "/ust/c_N");
        assert_eq!(without_cpu("/ust/index/c_1_0.idx"), "/ust/index/c_N_0.idx");
    }
}
