//! Places in user space programs.

use std::path::PathBuf;

use super::ProbeArgumentError;

/// A place in a program.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UprobeSite {
    /// The executable or library, absolute.
    pub path: PathBuf,
    /// In the file, bytes.
    pub offset: u64,
    /// In the file: the counter that tells the program that somebody traces it (SDT semaphore).
    pub semaphore: Option<u64>,
}

impl UprobeSite {
    /// As the kernel wants to read it.
    pub(super) fn text(&self) -> Result<String, ProbeArgumentError> {
        let path = self.path.to_string_lossy();
        let unusable = |c: char| c.is_whitespace() || c.is_control() || c == ':';
        if path.contains(unusable) {
            return Err(ProbeArgumentError::Path(path.into_owned()));
        }
        let semaphore = self.semaphore.map(|offset| format!("({offset:#x})"));
        Ok(format!(
            "{path}:{:#x}{}",
            self.offset,
            semaphore.unwrap_or_default()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_are_written_as_the_kernel_reads_them() {
        let mut site = UprobeSite {
            path: "/bin/ls".into(),
            offset: 0x1234,
            semaphore: None,
        };
        assert_eq!(site.text().unwrap(), "/bin/ls:0x1234");
        site.semaphore = Some(0x20);
        assert_eq!(site.text().unwrap(), "/bin/ls:0x1234(0x20)");
        site.path = "/a b".into();
        assert!(site.text().is_err());
    }
}
