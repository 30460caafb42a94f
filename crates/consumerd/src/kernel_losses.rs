//! Events that the kernel could not record.

use std::os::fd::OwnedFd;

use kernel::tracefs::Stats;

/// Of one buffer; see the module.
#[derive(Debug)]
pub(crate) struct Losses {
    stats: OwnedFd,
    overwrite: bool,
    /// After so many events of the buffer, so many were lost in all.
    gaps: Vec<(u64, u64)>,
}

impl Losses {
    /// By the kernel's `stats` of the buffer.
    pub(crate) fn new(stats: OwnedFd, overwrite: bool) -> Self {
        Self {
            stats,
            overwrite,
            gaps: Vec::new(),
        }
    }

    /// How many more were lost than `counted` before what has been read. Where the oldest events are
    /// overwritten the pages tell, and only the total is compared when everything is read.
    pub(crate) fn lost(&mut self, counted: u64) -> u64 {
        let Some(stats) = self.read() else { return 0 };
        let total = stats.lost();
        if self.overwrite {
            return match stats.entries {
                0 => total.saturating_sub(counted),
                _ => 0,
            };
        }
        // Events are dropped when the buffer is full: behind all that is in it now.
        let known = self.gaps.last().map_or(counted, |gap| gap.1);
        if total > known {
            self.gaps.push((stats.read + stats.entries, total));
        }
        let passed = self
            .gaps
            .iter()
            .take_while(|gap| gap.0 <= stats.read)
            .count();
        let last = self.gaps.drain(..passed).next_back();
        last.map_or(0, |(_, total)| total.saturating_sub(counted))
    }

    /// Nothing is in the kernel's buffer.
    pub(crate) fn nothing_to_read(&self) -> bool {
        self.read().is_some_and(|stats| stats.entries == 0)
    }

    fn read(&self) -> Option<Stats> {
        let mut text = [0; 1024];
        let got = rustix::io::pread(&self.stats, &mut text, 0).ok()?;
        Some(Stats::parse(&String::from_utf8_lossy(&text[..got])))
    }
}
