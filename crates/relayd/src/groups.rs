//! Which recording session has which directory: no two share one, whatever they are called.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use relay::SessionKey;
use relay::server::ChunkSet;
use relay::server::names::RelativePath;

use crate::group::Group;
use crate::journal::Journal;
use crate::output::{Output, Result};

/// The session, and the directory it wants.
type GroupKey = (SessionKey, String);

/// How many sessions that are over are remembered, so that they find their directory again when they come
/// back. The others get a new one.
const MAX_REMEMBERED: usize = 1 << 14;

/// Who may have had the directory before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nobody: the name of the session and its time are in it.
    Fresh,
    /// Nobody but this session: the user has named it.
    Named,
    /// Anybody but sessions that are known: each snapshot has a directory of its own in it.
    Snapshots,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Groups {
    output: Arc<Output>,
    journal: Arc<Journal>,
    slots: Mutex<HashMap<GroupKey, Arc<Mutex<Slot>>>>,
    /// Directories that somebody has, or had.
    taken: Mutex<HashMap<String, Owner>>,
}

/// Whose a directory is.
#[derive(Clone, Debug)]
enum Owner {
    /// Somebody looks whether it can be theirs.
    Looking,
    /// That session's, or was until somebody removed what it had there.
    Of(Weak<Group>),
}

impl Owner {
    fn is_gone(&self) -> bool {
        matches!(self, Self::Of(group) if group.strong_count() == 0)
    }

    fn is(&self, group: &Weak<Group>) -> bool {
        matches!(self, Self::Of(owner) if owner.ptr_eq(group))
    }
}

/// A session's group, and where it is or was. Locked while a directory is made, so that the connections of
/// one session wait for each other, and no others.
#[derive(Debug, Default)]
struct Slot {
    group: Weak<Group>,
    directory: Option<RelativePath>,
}

impl Groups {
    pub(crate) fn new(output: Arc<Output>, journal: Journal) -> Self {
        Self {
            output,
            journal: Arc::new(journal),
            slots: Mutex::default(),
            taken: Mutex::default(),
        }
    }

    /// The group of this session: that of its other connections, or a new one. Where `wanted` is somebody
    /// else's (of a target that has the same name, say), the session gets a number behind it.
    pub(crate) fn get(
        &self,
        key: SessionKey,
        wanted: &RelativePath,
        place: Place,
    ) -> Result<Arc<Group>> {
        let slot = self.slot((key, wanted.as_str().to_owned()));
        let mut slot = lock(&slot);
        if let Some(group) = slot.group.upgrade() {
            return Ok(group);
        }
        let still_ours = |directory: &RelativePath| {
            let taken = lock(&self.taken);
            let owner = taken.get(directory.as_str());
            owner.is_some_and(|owner| owner.is(&slot.group))
        };
        let directory = match slot.directory.clone().filter(still_ours) {
            Some(directory) => {
                self.output.make_directory(directory.as_str())?;
                directory
            }
            None => self.choose(wanted, place)?,
        };
        let group = Arc::new(Group::new(
            Arc::clone(&self.output),
            ChunkSet::new(&directory),
            directory.as_str(),
            Some(self.journal.enter(directory.as_str())),
        ));
        slot.group = Arc::downgrade(&group);
        if place != Place::Fresh {
            let owner = Owner::Of(Arc::downgrade(&group));
            lock(&self.taken).insert(directory.as_str().to_owned(), owner);
            slot.directory = Some(directory);
        }
        Ok(group)
    }

    fn choose(&self, wanted: &RelativePath, place: Place) -> Result<RelativePath> {
        if place == Place::Fresh {
            return self.output.make_fresh_directory(wanted);
        }
        self.output.make_numbered_directory(wanted, |directory| {
            let name = directory.as_str();
            // Claimed before the disk is asked, which may take long.
            let before = {
                let mut taken = lock(&self.taken);
                match taken.get(name) {
                    // Who makes snapshots may come back for the next.
                    Some(owner) if place == Place::Snapshots || !owner.is_gone() => {
                        return Ok(false);
                    }
                    _ => taken.insert(name.to_owned(), Owner::Looking),
                }
            };
            let made = self.output.make_directory(name);
            let usable = made.and_then(|()| {
                // One that was removed is free again.
                if place == Place::Named || before.is_some() {
                    self.output.is_empty(name)
                } else {
                    Ok(true)
                }
            });
            if !matches!(usable, Ok(true)) {
                let mut taken = lock(&self.taken);
                match before {
                    Some(owner) => taken.insert(name.to_owned(), owner),
                    None => taken.remove(name),
                };
            }
            usable
        })
    }

    fn slot(&self, key: GroupKey) -> Arc<Mutex<Slot>> {
        let mut slots = lock(&self.slots);
        if slots.len().is_power_of_two() {
            let keep_all = slots.len() < MAX_REMEMBERED;
            slots.retain(|_, slot| {
                // Who has a slot in hand may be about to fill it.
                if Arc::strong_count(slot) > 1 {
                    return true;
                }
                let slot = lock(slot);
                let forget =
                    slot.group.strong_count() == 0 && (slot.directory.is_none() || !keep_all);
                if forget && let Some(directory) = &slot.directory {
                    let mut taken = lock(&self.taken);
                    if let Some(owner) = taken.get(directory.as_str())
                        && owner.is(&slot.group)
                    {
                        taken.remove(directory.as_str());
                    }
                }
                !forget
            });
        }
        Arc::clone(slots.entry(key).or_default())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
