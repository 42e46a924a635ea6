//! The memory store with a mood: a test says what becomes of its commits and of its lease, the rest it does as ever.

use std::time::Duration;

use nightcall::sched::act::Deed;
use nightcall::sched::id::{RunId, SeriesId};
use nightcall::sched::run::Run;
use nightcall::sched::step::{Change, Missed, Saved};
use nightcall::sched::time::{TimeRange, Timestamp};
use nightcall::store::{Chore, Holder, Lease, Reply, RunQuery, Store, Story};

use super::memory_store::MemoryStore;

/// What a store does otherwise.
pub(crate) trait Mood: Send + Sync {
    fn commit<'a>(
        &'a self,
        store: &'a MemoryStore,
        lease: Lease,
        changes: Vec<Change>,
    ) -> Reply<'a, Vec<Change>>;

    fn renew<'a>(
        &'a self,
        store: &'a MemoryStore,
        lease: Lease,
        trust: Duration,
        now: Timestamp,
    ) -> Reply<'a, Lease> {
        store.renew(lease, trust, now)
    }
}

/// A store in a mood.
#[derive(Default)]
pub(crate) struct Moody<M> {
    store: MemoryStore,
    pub(crate) mood: M,
}

impl<M> Moody<M> {
    pub(crate) fn new(mood: M) -> Self {
        Self {
            store: MemoryStore::default(),
            mood,
        }
    }
}

impl<M: Mood> Store for Moody<M> {
    fn instance(&self, wanted: Option<String>) -> Reply<'_, String> {
        self.store.instance(wanted)
    }
    fn acquire(&self, holder: Holder, trust: Duration, now: Timestamp) -> Reply<'_, Lease> {
        self.store.acquire(holder, trust, now)
    }
    fn renew(&self, lease: Lease, trust: Duration, now: Timestamp) -> Reply<'_, Lease> {
        self.mood.renew(&self.store, lease, trust, now)
    }
    fn release(&self, lease: Lease) -> Reply<'_, ()> {
        self.store.release(lease)
    }
    fn load(&self) -> Reply<'_, Saved> {
        self.store.load()
    }
    fn commit(&self, lease: Lease, changes: Vec<Change>) -> Reply<'_, Vec<Change>> {
        self.mood.commit(&self.store, lease, changes)
    }
    fn runs(&self, query: RunQuery) -> Reply<'_, Vec<Run>> {
        self.store.runs(query)
    }
    fn story(&self, run: RunId) -> Reply<'_, Option<Story>> {
        self.store.story(run)
    }
    fn missed(&self, series: Option<SeriesId>, range: TimeRange) -> Reply<'_, Vec<Missed>> {
        self.store.missed(series, range)
    }
    fn deeds(&self, range: TimeRange) -> Reply<'_, Vec<Deed>> {
        self.store.deeds(range)
    }
    fn maintain(&self, chore: Chore) -> Reply<'_, u64> {
        self.store.maintain(chore)
    }
}
