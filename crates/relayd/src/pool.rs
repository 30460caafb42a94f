//! The open files of all streams. There are never more than there is room for: sockets come first, for they
//! cannot be closed and opened again, and files get what is left. When a file needs room, another one is put on
//! the [shelf](crate::shelf), and from then on gets a descriptor for as long as it is needed, when no other is
//! free. Where there is no shelf it is closed, and opened again when it is needed.
//!
//! Which one: some are looked at, in no order, and one that was not used since it was last looked at goes.
//! Closing the one that was not used for longest would be worst for a relay daemon: many targets that send
//! in turn would each find their file closed just before.

use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::budget::Descriptors;
use crate::output::Result;
use crate::shelf::{Shelf, Shelved};

/// How many files are looked at before one that was used is closed.
const LOOKS: usize = 4;
/// Files of the shelf that have a descriptor for a moment, beyond those that are counted: some of the descriptors
/// that are set aside.
const MOST_BRIEF: usize = 16;
/// From this number of places on those of closed streams are looked for.
const FIRST_PURGE: usize = 1024;

/// See the module.
#[derive(Debug)]
pub(crate) struct FilePool {
    limits: Descriptors,
    /// How many there are of each kind of [`Holder`]. Grows behind the lock, so that no two see each other's
    /// attempts and both go.
    holders: [AtomicUsize; Holder::KINDS],
    entrance: Mutex<()>,
    open: AtomicUsize,
    brief: AtomicUsize,
    shelf: Shelf,
    places: Mutex<Places>,
    /// For choices in no order.
    random: AtomicU64,
}

/// What keeps its descriptors, unlike files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// A control connection. It keeps a place for its data connection, which comes later: a target that got in with
    /// one only could not send anything.
    Control,
    Data,
    Viewer,
    Pipe,
}

impl Holder {
    const ALL: [Self; Self::KINDS] = [Self::Control, Self::Data, Self::Viewer, Self::Pipe];
    const KINDS: usize = 4;

    fn descriptors(self) -> usize {
        match self {
            Self::Control | Self::Data => 1,
            Self::Viewer | Self::Pipe => 2,
        }
    }
}

#[derive(Debug)]
struct Places {
    /// Those that may hold an open file.
    list: Vec<Weak<Place>>,
    purge_at: usize,
}

/// A file that is open, or not at the moment.
#[derive(Debug)]
pub(crate) struct Place {
    pool: Arc<FilePool>,
    file: Mutex<Kept>,
    used: AtomicBool,
}

#[derive(Debug, Default)]
struct Kept {
    open: Option<OpenFile>,
    shelved: Option<Shelved>,
}

/// An open file; it stays open as long as somebody has this.
pub(crate) type OpenFile = Arc<Counted>;

/// See [`OpenFile`].
#[derive(Debug)]
pub(crate) struct Counted {
    file: File,
    pool: Arc<FilePool>,
    is_brief: bool,
}

impl FilePool {
    pub(crate) fn new(limits: Descriptors) -> Arc<Self> {
        Arc::new(Self {
            limits,
            holders: Default::default(),
            entrance: Mutex::default(),
            open: AtomicUsize::new(0),
            brief: AtomicUsize::new(0),
            shelf: Shelf::new(limits.usable),
            places: Mutex::new(Places {
                list: Vec::new(),
                purge_at: FIRST_PURGE,
            }),
            random: AtomicU64::new(0x9e37_79b9_7f4a_7c15),
        })
    }

    /// Somebody wants to come in; `false`: there is no room. Files make room for it.
    pub(crate) fn admit(&self, holder: Holder) -> bool {
        let entrance = lock(&self.entrance);
        if !self.has_room(holder) {
            return false;
        }
        self.holders[holder as usize].fetch_add(1, Ordering::SeqCst);
        drop(entrance);
        self.make_room();
        true
    }

    /// Who was admitted is gone.
    pub(crate) fn left(&self, holder: Holder) {
        self.holders[holder as usize].fetch_sub(1, Ordering::SeqCst);
    }

    /// It would be admitted.
    pub(crate) fn has_room(&self, holder: Holder) -> bool {
        let kept = match holder {
            Holder::Data => 0,
            Holder::Control => self.awaited_by(self.count(Holder::Control) + 1),
            Holder::Viewer | Holder::Pipe => self.awaited_by(self.count(Holder::Control)),
        };
        self.not_files() + kept + holder.descriptors() <= self.limits.connections
    }

    fn count(&self, holder: Holder) -> usize {
        self.holders[holder as usize].load(Ordering::SeqCst)
    }

    /// Data connections that are still to come when there are so many control connections.
    fn awaited_by(&self, controls: usize) -> usize {
        controls.saturating_sub(self.count(Holder::Data))
    }

    fn not_files(&self) -> usize {
        let held = Holder::ALL.map(|holder| self.count(holder) * holder.descriptors());
        held.iter().sum()
    }

    /// Descriptors of connections at present.
    pub(crate) fn sockets(&self) -> usize {
        self.not_files()
            .saturating_sub(self.count(Holder::Pipe) * Holder::Pipe.descriptors())
    }

    /// Open files at present.
    pub(crate) fn open_files(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Files that may be open at present.
    pub(crate) fn most_files(&self) -> usize {
        let Descriptors {
            usable,
            connections,
        } = self.limits;
        usable - self.not_files().min(connections)
    }

    /// A place for a file, which is not open yet.
    pub(crate) fn place(self: &Arc<Self>) -> Arc<Place> {
        Arc::new(Place {
            pool: Arc::clone(self),
            file: Mutex::default(),
            used: AtomicBool::new(false),
        })
    }

    /// Opens a file, for which another may have to be closed.
    pub(crate) fn open(self: &Arc<Self>, open: impl FnOnce() -> Result<File>) -> Result<OpenFile> {
        // Counted first, so that others who open see it.
        self.open.fetch_add(1, Ordering::SeqCst);
        self.make_room();
        match open() {
            Ok(file) => Ok(Arc::new(Counted {
                file,
                pool: Arc::clone(self),
                is_brief: false,
            })),
            Err(error) => {
                self.open.fetch_sub(1, Ordering::SeqCst);
                Err(error)
            }
        }
    }

    fn make_room(&self) {
        while self.open_files() > self.most_files() {
            let Some(file) = self.choose() else {
                return;
            };
            // Outside of all locks: closing may take long, on a network file system for instance.
            drop(file);
        }
    }

    /// Takes an open file out of its place.
    fn choose(&self) -> Option<OpenFile> {
        let mut places = lock(&self.places);
        let mut looks = 0;
        while !places.list.is_empty() {
            let at = self.random_below(places.list.len());
            let Some(place) = places.list[at].upgrade() else {
                places.list.swap_remove(at);
                continue;
            };
            looks += 1;
            if looks < LOOKS && place.used.swap(false, Ordering::Relaxed) {
                continue;
            }
            places.list.swap_remove(at);
            let mut kept = lock(&place.file);
            if let Some(file) = kept.open.take() {
                if kept.shelved.is_none() {
                    kept.shelved = self.shelf.put(&file);
                }
                return Some(file);
            }
        }
        None
    }

    /// A file of the shelf, with a descriptor that it has only for now, if there is none to keep.
    fn take_out(self: &Arc<Self>, shelved: &Shelved) -> Option<OpenFile> {
        let is_full = self.open_files() >= self.most_files();
        if !is_full || self.brief.fetch_add(1, Ordering::SeqCst) >= MOST_BRIEF {
            if is_full {
                self.brief.fetch_sub(1, Ordering::SeqCst);
            }
            return None;
        }
        let pool = Arc::clone(self);
        match shelved.take_out() {
            Ok(file) => Some(Arc::new(Counted {
                file,
                pool,
                is_brief: true,
            })),
            Err(_) => {
                self.brief.fetch_sub(1, Ordering::SeqCst);
                None
            }
        }
    }

    fn keep(&self, place: &Arc<Place>) {
        let mut places = lock(&self.places);
        places.list.push(Arc::downgrade(place));
        if places.list.len() >= places.purge_at {
            places.list.retain(|place| place.strong_count() > 0);
            places.purge_at = (places.list.len() * 2).max(FIRST_PURGE);
        }
    }

    fn random_below(&self, end: usize) -> usize {
        // A linear congruential step: its upper bits are good enough to choose by.
        let state = self.random.load(Ordering::Relaxed);
        let next = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.random.store(next, Ordering::Relaxed);
        usize::try_from(next >> 33).unwrap_or(0) % end
    }
}

impl Place {
    /// The file, if it is open.
    pub(crate) fn get(&self) -> Option<OpenFile> {
        let kept = lock(&self.file);
        let Some(file) = &kept.open else {
            return self.pool.take_out(kept.shelved.as_ref()?);
        };
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
        Some(Arc::clone(file))
    }

    /// The file, opened if it is not open.
    pub(crate) fn get_or(
        self: &Arc<Self>,
        open: impl FnOnce() -> Result<File>,
    ) -> Result<OpenFile> {
        if let Some(file) = self.get() {
            return Ok(file);
        }
        let file = self.pool.open(|| match self.take_out() {
            Some(file) => Ok(file),
            None => open(),
        })?;
        let mut kept = lock(&self.file);
        if let Some(other) = &kept.open {
            // Two opened it at once.
            return Ok(Arc::clone(other));
        }
        kept.open = Some(Arc::clone(&file));
        drop(kept);
        self.pool.keep(self);
        Ok(file)
    }

    /// The file, if it is on the shelf.
    fn take_out(&self) -> Option<File> {
        lock(&self.file).shelved.as_ref()?.take_out().ok()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let count = match self.is_brief {
            true => &self.pool.brief,
            false => &self.pool.open,
        };
        count.fetch_sub(1, Ordering::SeqCst);
    }
}

impl std::ops::Deref for Counted {
    type Target = File;

    fn deref(&self) -> &File {
        &self.file
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// They have descriptors of their own.
    fn kept(places: &[Arc<Place>]) -> usize {
        let is_kept = |place: &&Arc<Place>| lock(&place.file).open.is_some();
        places.iter().filter(is_kept).count()
    }

    fn null() -> Result<File> {
        Ok(File::open("/dev/null").expect("/dev/null"))
    }

    #[test]
    fn there_are_never_more_files_than_room() {
        let pool = FilePool::new(Descriptors::new(160));
        let places: Vec<_> = (0..1000).map(|_| pool.place()).collect();
        for _ in 0..3 {
            for place in &places {
                place.get_or(null).unwrap();
                assert!(pool.open_files() <= 160);
            }
        }
        assert!(kept(&places) <= 160);
        drop(places);
        assert_eq!(pool.open_files(), 0);
    }

    #[test]
    fn sockets_push_files_out_but_not_all() {
        let pool = FilePool::new(Descriptors::new(160));
        let places: Vec<_> = (0..160).map(|_| pool.place()).collect();
        for place in &places {
            place.get_or(null).unwrap();
        }
        let mut admitted = 0;
        while pool.admit(Holder::Data) {
            admitted += 1;
            assert!(pool.open_files() + admitted <= 160);
        }
        assert_eq!(admitted, 150);
        assert!(pool.open_files() > 0);
        pool.left(Holder::Data);
        assert!(pool.admit(Holder::Data));
        assert!(!pool.admit(Holder::Data));
    }

    #[test]
    fn control_connections_keep_room_for_those_of_data() {
        let pool = FilePool::new(Descriptors::new(160));
        let mut admitted = 0;
        while pool.admit(Holder::Control) {
            admitted += 1;
        }
        assert_eq!(admitted, 75);
        for holder in [Holder::Viewer, Holder::Pipe] {
            assert!(!pool.admit(holder), "{holder:?}");
        }
        for _ in 0..admitted {
            assert!(pool.admit(Holder::Data));
        }
        assert!(!pool.admit(Holder::Data));
        // A target that comes back needs both again, in any order.
        pool.left(Holder::Data);
        assert!(!pool.admit(Holder::Control));
        pool.left(Holder::Control);
        assert!(pool.admit(Holder::Data));
        assert!(!pool.admit(Holder::Viewer));
        assert!(pool.admit(Holder::Control));
    }

    #[test]
    fn files_are_open_without_descriptors() {
        let pool = FilePool::new(Descriptors::new(160));
        let places: Vec<_> = (0..500).map(|_| pool.place()).collect();
        for place in &places {
            place.get_or(null).unwrap();
        }
        // All at once, but a few only for the moment.
        for place in &places {
            assert!(place.get().is_some());
            assert!(pool.open_files() <= 160);
        }
        let held: Vec<_> = places.iter().filter_map(|place| place.get()).collect();
        assert_eq!(held.len(), pool.open_files() + MOST_BRIEF);
        drop(held);
        drop(places);
        assert_eq!(pool.brief.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn a_file_in_use_stays_open_for_its_user() {
        let pool = FilePool::new(Descriptors::new(160));
        let first = pool.place();
        let file = first.get_or(null).unwrap();
        let others: Vec<_> = (0..500).map(|_| pool.place()).collect();
        for place in &others {
            place.get_or(null).unwrap();
        }
        assert!(file.metadata().is_ok());
    }

    #[test]
    fn files_that_are_not_used_go_first() {
        let pool = FilePool::new(Descriptors::new(1600));
        let idle: Vec<_> = (0..800).map(|_| pool.place()).collect();
        let busy: Vec<_> = (0..800).map(|_| pool.place()).collect();
        for place in idle.iter().chain(&busy) {
            place.get_or(null).unwrap();
        }
        let more: Vec<_> = (0..400).map(|_| pool.place()).collect();
        for place in &more {
            place.get_or(null).unwrap();
            for place in &busy {
                place.get();
            }
        }
        assert!(kept(&busy) > kept(&idle), "{} {}", kept(&busy), kept(&idle));
    }
}
