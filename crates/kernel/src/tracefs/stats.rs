//! What the kernel counts of one ring buffer.

/// The `stats` file of a CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Events in the buffer, not read yet.
    pub entries: u64,
    /// Events overwritten before they were read.
    pub overrun: u64,
    /// Events lost because they came while too many others were being written.
    pub commit_overrun: u64,
    /// Events dropped because the buffer was full.
    pub dropped: u64,
    /// Events read.
    pub read: u64,
}

impl Stats {
    /// Reads the text; a line that is not there counts as zero.
    pub fn parse(text: &str) -> Self {
        let mut stats = Self::default();
        for line in text.lines() {
            let Some((name, value)) = line.split_once(": ") else {
                continue;
            };
            let field = match name.trim() {
                "entries" => &mut stats.entries,
                "overrun" => &mut stats.overrun,
                "commit overrun" => &mut stats.commit_overrun,
                "dropped events" => &mut stats.dropped,
                "read events" => &mut stats.read,
                _ => continue,
            };
            *field = value.trim().parse().unwrap_or_default();
        }
        stats
    }

    /// Events that nobody will ever read.
    pub fn lost(&self) -> u64 {
        self.overrun + self.commit_overrun + self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_cpu_is_read() {
        let text = "entries: 3\noverrun: 1\ncommit overrun: 2\nbytes: 5140\n\
            oldest event ts:  2312.137400\nnow ts:  2312.177400\ndropped events: 7\nread events: 129\n";
        let stats = Stats::parse(text);
        assert_eq!((stats.entries, stats.read, stats.lost()), (3, 129, 10));
        assert_eq!(Stats::parse("nonsense"), Stats::default());
    }
}
