//! The events of a kernel channel, which the session daemon appends to a memfd.

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::Context;
use kernel::format::PageHeader;
use kernel::machine::Machine;
use kernel::selection::Selection;
use kernel::transcode::Programs;

/// Longest text of one channel, in bytes. A session daemon that writes more is broken.
const MAX_TEXT_BYTES: u64 = 64 << 20;

/// Those of all channels of a trace, by their numbers.
#[derive(Debug, Default)]
pub(crate) struct ChannelFormats {
    by_channel: HashMap<u32, KernelFormats>,
}

impl ChannelFormats {
    /// The formats of a channel; all its streams come with the same text.
    pub(crate) fn of(&mut self, channel: u32, text: OwnedFd) -> anyhow::Result<KernelFormats> {
        Ok(match self.by_channel.entry(channel) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(new) => new.insert(KernelFormats::new(text)?).clone(),
        })
    }
}

/// Shared by the streams of a channel.
#[derive(Clone, Debug)]
pub(crate) struct KernelFormats {
    shared: Rc<RefCell<Shared>>,
}

#[derive(Debug)]
struct Shared {
    text: OwnedFd,
    taken: u64,
    selection: Selection,
    programs: Arc<Programs>,
}

impl KernelFormats {
    /// Reads what is there.
    pub(crate) fn new(text: OwnedFd) -> anyhow::Result<Self> {
        let mut shared = Shared {
            text,
            taken: 0,
            selection: Selection::default(),
            programs: Arc::new(Programs::new(&Machine::native(&PageHeader::LONG_64), [])),
        };
        shared.take()?;
        Ok(Self {
            shared: Rc::new(RefCell::new(shared)),
        })
    }

    /// How to read the pages that were there before this call: one `fstat` if nothing has changed.
    pub(crate) fn current(&self) -> anyhow::Result<Arc<Programs>> {
        let mut shared = self.shared.borrow_mut();
        shared.take()?;
        Ok(shared.programs.clone())
    }
}

impl Shared {
    fn take(&mut self) -> anyhow::Result<()> {
        let size = rustix::fs::fstat(&self.text)
            .map_err(io::Error::from)?
            .st_size as u64;
        anyhow::ensure!(
            size <= MAX_TEXT_BYTES,
            "the formats of a channel have {size} bytes, more than {MAX_TEXT_BYTES}"
        );
        if size <= self.taken {
            return Ok(());
        }
        let mut text = vec![0; (size - self.taken) as usize];
        let mut got = 0;
        while got < text.len() {
            match rustix::io::pread(&self.text, &mut text[got..], self.taken + got as u64) {
                Ok(0) => break,
                Ok(more) => got += more,
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(io::Error::from(errno)).context("cannot read formats"),
            }
        }
        self.taken += got as u64;
        let new = self.selection.add(&text[..got]);
        if new.context("the formats of a channel make no sense")?
            && let Some(machine) = self.selection.machine()
        {
            self.programs = Arc::new(Programs::new(machine, self.selection.events()));
        }
        Ok(())
    }
}
