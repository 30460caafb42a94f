//! The history of the kernel's tasks, for the context fields of a trace.
//!
//! What the kernel tells about tasks is read into a journal that outlives this process: a successor has the
//! same history. All of it is read after each page of events, so that it has what is in the page: see
//! [`kernel::tasks`].

use std::cell::{Cell, Ref, RefCell};
use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use anyhow::{Context, ensure};
use kernel::tasks::proc::Proc;
use kernel::tasks::{
    Change, JOURNAL_CHANGES, JOURNAL_PAGE, TaskEvents, Tasks, UNKNOWN_ID, changes, records,
};
use kernel::tracefs::Stats;
use ring_buffer::{Journal, monotonic_now};

use crate::kernel_source::WRITING_NS;
use crate::poller::Token;

/// The journal is written anew when it has twice what was left the last time, but not below this, bytes.
const MIN_JOURNAL: u64 = 4 << 20;
/// Largest page that is taken for possible, bytes.
const MAX_PAGE_BYTES: u64 = 16 << 20;
/// Most pages of a buffer at once: it may be filled faster than it is read.
const MAX_PAGES: usize = 4096;

/// Shared by the streams of a trace.
pub(crate) type SharedTasks = Rc<RefCell<KernelTasks>>;

/// See the module.
#[derive(Debug)]
pub(crate) struct KernelTasks {
    events: TaskEvents,
    journal: Journal,
    proc: Proc,
    buffers: Vec<Buffer>,
    /// The streams whose events need the history.
    readers: Vec<Reader>,
    table: Tasks,
    /// Write the journal anew when it has so many bytes.
    full_at: u64,
}

/// The buffer of one CPU.
#[derive(Debug)]
struct Buffer {
    cpu: u32,
    pipe: OwnedFd,
    page: Vec<u8>,
    token: Option<Token>,
}

#[derive(Debug)]
struct Reader {
    stats: OwnedFd,
    progress: Rc<Progress>,
}

/// How far a stream is.
#[derive(Debug, Default)]
struct Progress {
    /// Older times are not needed any more.
    read_until: Cell<u64>,
    /// It has pages that it took from the kernel.
    holds_pages: Cell<bool>,
}

/// The history as a stream sees it.
#[derive(Debug)]
pub(crate) struct HistoryReader {
    tasks: SharedTasks,
    progress: Rc<Progress>,
}

impl HistoryReader {
    /// For a new stream, whose statistics tell whether the kernel has something for it.
    pub(crate) fn begin(tasks: &SharedTasks, stats: &OwnedFd) -> io::Result<Self> {
        let progress = Rc::<Progress>::default();
        tasks.borrow_mut().readers.push(Reader {
            stats: stats.try_clone()?,
            progress: progress.clone(),
        });
        Ok(Self {
            tasks: tasks.clone(),
            progress,
        })
    }

    /// What it has of the kernel's is not older than `last`.
    pub(crate) fn reads_since(&self, last: u64) {
        self.progress.read_until.set(last);
        self.progress.holds_pages.set(true);
    }

    /// It has nothing of the kernel's, and what is to come is not older than `last`.
    pub(crate) fn has_read_until(&self, last: u64) {
        self.progress.read_until.set(last);
        self.progress.holds_pages.set(false);
    }

    /// Lets the history have all that is needed for what was read before.
    pub(crate) fn catch_up(&self) {
        if let Err(error) = self.tasks.borrow_mut().catch_up() {
            // The events are worth more than what their tasks were.
            tracing::error!("{error:#}; context fields may be wrong");
        }
    }

    /// The history.
    pub(crate) fn tasks(&self) -> Ref<'_, KernelTasks> {
        self.tasks.borrow()
    }
}

/// What the kernel's buffers told.
#[derive(Default)]
struct News {
    changes: Vec<Change>,
    /// Changes up to this time may be lost.
    lost_until: Option<u64>,
}

impl News {
    fn read(&mut self, events: &TaskEvents, page: &[u8]) -> anyhow::Result<()> {
        let before = self.changes.len();
        if events.read(page, &mut self.changes)? {
            let first = self.changes.get(before).map(|change| change.time);
            self.lost_until = self.lost_until.max(Some(first.unwrap_or(0)));
        }
        Ok(())
    }
}

impl KernelTasks {
    /// Goes on with what is in the journal. `formats` is the text of a [`kernel::selection`].
    pub(crate) fn new(formats: &str, journal: OwnedFd, proc: OwnedFd) -> anyhow::Result<Self> {
        let events = TaskEvents::parse(formats)?;
        let journal = Journal::map(journal).context("cannot map the journal of tasks")?;
        let mut this = Self {
            events,
            journal,
            proc: Proc::new(proc),
            buffers: Vec::new(),
            readers: Vec::new(),
            table: Tasks::default(),
            full_at: MIN_JOURNAL,
        };
        let mut news = News::default();
        for entry in this.journal.entries() {
            match entry.kind {
                JOURNAL_PAGE => news.read(&this.events, &entry.body)?,
                _ => news.changes.extend(changes(&entry.body)),
            }
        }
        this.take(news)?;
        this.table.loaded();
        Ok(this)
    }

    /// Reads the buffer of one more CPU.
    pub(crate) fn add_buffer(
        &mut self,
        cpu: u32,
        page_size: u64,
        pipe: OwnedFd,
        token: impl FnOnce(&OwnedFd) -> io::Result<Token>,
    ) -> anyhow::Result<()> {
        ensure!(
            (1..=MAX_PAGE_BYTES).contains(&page_size),
            "pages of {page_size} bytes are not possible"
        );
        let token = token(&pipe).context("cannot wait for the kernel's buffer")?;
        self.buffers.push(Buffer {
            cpu,
            pipe,
            page: vec![0; page_size as usize],
            token: Some(token),
        });
        Ok(())
    }

    /// The buffers are not waited for any more.
    pub(crate) fn let_go(&mut self, mut remove: impl FnMut(&OwnedFd, Token)) {
        for buffer in &mut self.buffers {
            if let Some(token) = buffer.token.take() {
                remove(&buffer.pipe, token);
            }
        }
    }

    /// The history.
    pub(crate) fn table(&self) -> &Tasks {
        &self.table
    }

    /// Reads all there is. Afterwards the history has what is needed for events that were read before.
    pub(crate) fn catch_up(&mut self) -> anyhow::Result<()> {
        let now = monotonic_now();
        let mut news = News::default();
        for at in 0..self.buffers.len() {
            for _ in 0..MAX_PAGES {
                if !self.read_page(at, &mut news)? {
                    break;
                }
            }
        }
        self.take(news)?;
        self.table.apply(now);
        self.find_parents()?;
        if self.journal.len() > self.full_at {
            self.write_anew()?;
        }
        Ok(())
    }

    /// Reads one page of a buffer, if it has one.
    fn read_page(&mut self, at: usize, news: &mut News) -> anyhow::Result<bool> {
        let read = |this: &mut Self| {
            let buffer = &mut this.buffers[at];
            let (cpu, page) = (buffer.cpu.into(), &mut buffer.page);
            let used = |page: &[u8]| this.events.used(page);
            this.journal
                .append_read(JOURNAL_PAGE, cpu, buffer.pipe.as_fd(), page, used)
        };
        let got = match read(self) {
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                self.take(std::mem::take(news))?;
                self.write_anew()?;
                read(self)
            }
            got => got,
        };
        let got = got.context("cannot read what the kernel tells about tasks")?;
        let Some(got) = got else { return Ok(false) };
        news.read(&self.events, &self.buffers[at].page[..got])?;
        Ok(true)
    }

    fn take(&mut self, news: News) -> anyhow::Result<()> {
        self.table.add(news.changes);
        if let Some(until) = news.lost_until {
            self.look_again(until)?;
        }
        Ok(())
    }

    /// Changes up to the time `until` were lost: from then on, what is found now.
    fn look_again(&mut self, until: u64) -> anyhow::Result<()> {
        tracing::warn!("the kernel had to drop changes of tasks: contexts may be wrong or unknown");
        let found = self.proc.tasks().context("cannot list the tasks")?;
        let alive: HashSet<u32> = found.iter().map(|task| task.tid).collect();
        let mut changes: Vec<Change> = found.iter().map(|task| task.seen(until, true)).collect();
        changes.extend(self.table.missing_from(&alive, until));
        self.note(&changes)?;
        self.table.add(changes);
        Ok(())
    }

    /// The kernel does not tell who gets the children of a process that has ended.
    fn find_parents(&mut self) -> anyhow::Result<()> {
        for orphan in self.table.orphans() {
            // Before it is looked up: if it has its old parent then, it had it until now.
            let now = monotonic_now();
            let parent = self.proc.parent(orphan.pid).unwrap_or(UNKNOWN_ID);
            if let Some(change) = self.table.adopt(orphan.pid, parent, now) {
                self.note(&[change])?;
            }
        }
        Ok(())
    }

    fn note(&mut self, changes: &[Change]) -> anyhow::Result<()> {
        let written = self.journal.append(JOURNAL_CHANGES, 0, &records(changes));
        written.context("cannot write to the journal of tasks")
    }

    /// Forgets what no stream needs any more.
    fn write_anew(&mut self) -> anyhow::Result<()> {
        let settled = self.readers.iter().map(Reader::settled);
        self.table.forget(settled.min().unwrap_or(0));
        let records = records(&self.table.changes());
        let written = self.journal.replace(JOURNAL_CHANGES, 0, &records);
        written.context("cannot write the journal of tasks anew")?;
        self.full_at = MIN_JOURNAL.max(self.journal.len() * 2);
        Ok(())
    }
}

impl Reader {
    /// All its events to come are younger.
    fn settled(&self) -> u64 {
        let (before, last) = (monotonic_now(), self.progress.read_until.get());
        if self.progress.holds_pages.get() {
            return last;
        }
        let mut text = [0; 1024];
        let got = rustix::io::pread(&self.stats, &mut text, 0);
        let stats = got.map(|got| Stats::parse(&String::from_utf8_lossy(&text[..got])));
        match stats {
            Ok(stats) if stats.entries == 0 => before.saturating_sub(WRITING_NS).max(last),
            _ => last,
        }
    }
}
