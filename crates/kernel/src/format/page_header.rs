//! `events/header_page`: where a ring-buffer page has what.

use super::{FormatError, field_line};

/// Layout of the start of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageHeader {
    /// Offset of the 64-bit time stamp.
    pub timestamp_offset: u32,
    /// Offset of the commit word: how much of the page is used, and flags.
    pub commit_offset: u32,
    /// Bytes of the commit word: those of the kernel's `long`, 4 or 8.
    pub commit_size: u32,
    /// Offset of the first record.
    pub data_offset: u32,
    /// Bytes for records in a page of the default size. Pages can be larger (`buffer_subbuf_size_kb`).
    pub data_size: u32,
}

impl PageHeader {
    /// What 64-bit kernels have.
    pub const LONG_64: Self = Self {
        timestamp_offset: 0,
        commit_offset: 8,
        commit_size: 8,
        data_offset: 16,
        data_size: 4080,
    };

    /// What 32-bit kernels have.
    pub const LONG_32: Self = Self {
        timestamp_offset: 0,
        commit_offset: 8,
        commit_size: 4,
        data_offset: 12,
        data_size: 4084,
    };

    /// Reads the text of `events/header_page`.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        if text.len() > super::MAX_TEXT {
            return Err(FormatError::TooLong(text.len()));
        }
        let (mut timestamp, mut commit, mut data) = (None, None, None);
        for (at, line) in text.lines().enumerate() {
            let Some(line) = field_line(at + 1, line) else {
                continue;
            };
            let line = line?;
            match line.declaration.rsplit(' ').next() {
                Some("timestamp") => timestamp = Some((line.offset, line.size)),
                Some("commit") => commit = Some((line.offset, line.size)),
                Some("data") => data = Some((line.offset, line.size)),
                _ => {}
            }
        }
        let (timestamp_offset, timestamp_size) =
            timestamp.ok_or(FormatError::Missing("timestamp"))?;
        let (commit_offset, commit_size) = commit.ok_or(FormatError::Missing("commit"))?;
        let (data_offset, data_size) = data.ok_or(FormatError::Missing("data"))?;
        let ends_before_data = |offset: u32, size: u32| {
            offset
                .checked_add(size)
                .is_some_and(|end| end <= data_offset)
        };
        if timestamp_size != 8 || !ends_before_data(timestamp_offset, 8) {
            return Err(FormatError::PageHeader("timestamp"));
        }
        if !matches!(commit_size, 4 | 8) || !ends_before_data(commit_offset, commit_size) {
            return Err(FormatError::PageHeader("commit"));
        }
        if data_offset > 64 {
            return Err(FormatError::PageHeader("data"));
        }
        Ok(Self {
            timestamp_offset,
            commit_offset,
            commit_size,
            data_offset,
            data_size,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(commit: u32, data: u32) -> String {
        format!(
            "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n\
            \tfield: local_t commit;\toffset:8;\tsize:{commit};\tsigned:1;\n\
            \tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n\
            \tfield: char data;\toffset:{data};\tsize:{};\tsigned:0;\n",
            4096 - data
        )
    }

    #[test]
    fn both_sizes_of_long_are_read() {
        assert_eq!(PageHeader::parse(&text(8, 16)), Ok(PageHeader::LONG_64));
        assert_eq!(PageHeader::parse(&text(4, 12)), Ok(PageHeader::LONG_32));
    }

    #[test]
    fn a_header_that_cannot_be_is_refused() {
        assert_eq!(
            PageHeader::parse(&text(8, 12)),
            Err(FormatError::PageHeader("commit"))
        );
        assert_eq!(
            PageHeader::parse(&text(8, 4000)),
            Err(FormatError::PageHeader("data"))
        );
        assert_eq!(
            PageHeader::parse(""),
            Err(FormatError::Missing("timestamp"))
        );
        let wild = text(8, 16).replace("offset:0", "offset:4294967295");
        assert_eq!(
            PageHeader::parse(&wild),
            Err(FormatError::PageHeader("timestamp"))
        );
    }
}
