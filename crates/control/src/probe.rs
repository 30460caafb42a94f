//! Places in programs, as users write them.

use std::fmt;

/// Where a user space probe is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeLocation {
    /// `[elf:]PATH:SYMBOL`: the entry of a function.
    Symbol {
        /// The program or library.
        path: String,
        /// The function.
        symbol: String,
    },
    /// `sdt:PATH:PROVIDER:NAME`: a probe that the author of the program put in.
    Sdt {
        /// The program or library.
        path: String,
        /// The first half of its name.
        provider: String,
        /// The second half.
        name: String,
    },
}

/// A text is no place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no place of a probe: write [elf:]PATH:SYMBOL or sdt:PATH:PROVIDER:NAME, `\\:` for a colon"
)]
pub struct ProbeLocationError(String);

impl ProbeLocation {
    /// Reads what a user wrote. `\:` and `\\` stand for themselves.
    pub fn parse(text: &str) -> Result<Self, ProbeLocationError> {
        let parts = split(text);
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        if parts.iter().any(|part| part.is_empty()) {
            return Err(ProbeLocationError(text.to_owned()));
        }
        match parts[..] {
            ["sdt", path, provider, name] => Ok(Self::Sdt {
                path: path.into(),
                provider: provider.into(),
                name: name.into(),
            }),
            ["elf", path, symbol] => Ok(Self::Symbol {
                path: path.into(),
                symbol: symbol.into(),
            }),
            [path, symbol] => Ok(Self::Symbol {
                path: path.into(),
                symbol: symbol.into(),
            }),
            _ => Err(ProbeLocationError(text.to_owned())),
        }
    }

    /// The program or library.
    pub fn path(&self) -> &str {
        match self {
            Self::Symbol { path, .. } | Self::Sdt { path, .. } => path,
        }
    }

    /// The same place in another file.
    pub fn in_file(&self, path: &str) -> Self {
        let mut place = self.clone();
        match &mut place {
            Self::Symbol { path: place, .. } | Self::Sdt { path: place, .. } => {
                *place = path.to_owned();
            }
        }
        place
    }
}

impl fmt::Display for ProbeLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Symbol { path, symbol } => write!(f, "elf:{}:{}", escaped(path), escaped(symbol)),
            Self::Sdt {
                path,
                provider,
                name,
            } => write!(
                f,
                "sdt:{}:{}:{}",
                escaped(path),
                escaped(provider),
                escaped(name)
            ),
        }
    }
}

fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let end = parts.len() - 1;
        match c {
            ':' => parts.push(String::new()),
            '\\' => parts[end].extend(chars.next()),
            c => parts[end].push(c),
        }
    }
    parts
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace(':', "\\:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_written() {
        for (text, written) in [
            ("/bin/ls:main", "elf:/bin/ls:main"),
            ("elf:/bin/ls:main", "elf:/bin/ls:main"),
            ("sdt:/lib/x.so:p:n", "sdt:/lib/x.so:p:n"),
            (r"elf:/a\:b:f", r"elf:/a\:b:f"),
        ] {
            let place = ProbeLocation::parse(text).unwrap();
            assert_eq!(place.to_string(), written);
            assert_eq!(ProbeLocation::parse(written), Ok(place));
        }
        for bad in [
            "",
            "main",
            "sdt:/x:p",
            "elf::main",
            "a:b:c:d",
            "xyz:/bin/ls:main",
        ] {
            assert!(ProbeLocation::parse(bad).is_err(), "{bad}");
        }
    }
}
