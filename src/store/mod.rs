//! What must survive a crash: the one door to the store, in terms of changes and runs, not rows.
//!
//! Every store passes the suite in `tests/it/store_conformance.rs`. No implementation is named here.

pub mod outbox;
pub mod sqlite;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::sched::act::{Deed, Ended, Pause, Skip};
use crate::sched::fault::Fault;
use crate::sched::id::{RunId, RunKind, ScheduleName, SeriesId, SetName};
use crate::sched::notice::Notice;
use crate::sched::outcome::Outcome;
use crate::sched::run::{CancelWhy, Record, Run};
use crate::sched::step::{Change, Missed, Saved, SavedSeries};
use crate::sched::time::{TimeRange, Timestamp};

/// What a store gives back, some time later.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Why the store did not do it. The variants are decisions for the caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another daemon holds the lease: step down.
    #[error(
        "the store is held by another daemon: {holder}; stop it first (two daemons on one store never run)"
    )]
    Fenced {
        /// Who, with its pid.
        holder: String,
    },
    /// The store cannot be used now: wait, then recover.
    #[error("the store cannot be used: {0}")]
    Unavailable(String),
    /// The store holds what it must not hold, or is not ours: stop and let a person look.
    #[error("the store is damaged or is not a nightcall database: {0}")]
    Corrupt(String),
    /// The store was written by a newer nightcall.
    #[error(
        "the store has version {found}, this nightcall knows up to {known}: install the newer nightcall again"
    )]
    TooNew {
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },
}

/// Who wants to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// The machine.
    pub host: String,
    /// When it started.
    pub started: Timestamp,
}

/// The right to write the store and to act; one holder. Every commit is fenced by its epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Grows with each acquisition.
    pub epoch: u64,
    /// Until when it is trusted unless renewed.
    pub until: Timestamp,
}

/// Which runs to show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunQuery {
    /// Of this schedule.
    pub schedule: Option<ScheduleName>,
    /// Of this set.
    pub set: Option<SetName>,
    /// With an instant not before this.
    pub since: Option<Timestamp>,
    /// With an instant not after this.
    pub until: Option<Timestamp>,
    /// In this state or with this outcome, by its word (`running`, `failed`, …).
    pub state: Option<String>,
    /// At most so many, the newest kept.
    pub limit: Option<usize>,
}

/// One run with everything that is on record about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Story {
    /// Its present state.
    pub run: Run,
    /// What happened, oldest first.
    pub records: Vec<Record>,
    /// The notices that it caused.
    pub notices: Vec<Notice>,
}

/// What is planned now, and what holds: all that another configuration would meet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InForce {
    /// Every occurrence of every open series up to here is decided; `None` before the first decision.
    pub mark: Option<Timestamp>,
    /// Open series: own cursor and the definition they are planned with.
    pub series: Vec<SavedSeries>,
    /// Runs that are not finished.
    pub live: Vec<Run>,
    /// Pauses, by scope.
    pub pauses: Vec<Pause>,
    /// Wishes to skip, by series and key.
    pub skips: Vec<Skip>,
}

/// An outage of a connection that people were told of, and that is not known to have ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// Since when the connection does not work.
    pub since: Timestamp,
    /// When people were told.
    pub at: Timestamp,
    /// What is wrong with it.
    pub fault: String,
}

/// What a report needs of a run: how it ended and when, without its parameters and its story.
#[derive(Clone, Debug, PartialEq)]
pub struct Glance {
    /// Where its occurrence lies; of a run by hand, when it was asked for.
    pub instant: Timestamp,
    /// Its generation, or that somebody asked for it.
    pub kind: RunKind,
    /// When it might start.
    pub due: Timestamp,
    /// When it was decided.
    pub planned: Timestamp,
    /// How late it may be by its misfire policy and still be on time; `None` when it waits for other schedules.
    pub tolerance: Option<Duration>,
    /// How it ended; `None` while it is live.
    pub outcome: Option<Outcome>,
    /// What a person says of a lost run.
    pub resolved: Option<Ended>,
    /// Why it was, or is to be, stopped.
    pub cancel: Option<CancelWhy>,
    /// Submissions.
    pub attempts: u32,
    /// When its first attempt was handed to the vendor.
    pub started: Option<Timestamp>,
    /// When its last attempt was.
    pub submitted: Option<Timestamp>,
    /// When it finished.
    pub finished: Option<Timestamp>,
    /// The last fault of a run that did not succeed.
    pub fault: Option<Fault>,
}

/// Work on the store that is not part of any decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chore {
    /// Delete one small step of what retention allows; says how much was deleted.
    Prune {
        /// Runs finished before this.
        before: Timestamp,
        /// Of each series keep at most so many finished runs.
        per_series: u64,
        /// At most so many in this step.
        step: usize,
    },
    /// Move the write-ahead log into the database file.
    Checkpoint,
    /// Copy the database, consistently, to this file.
    Backup(std::path::PathBuf),
}

/// The door to the store.
pub trait Store: Send + Sync {
    /// The name of this installation, part of every marker: `wanted` when given, else made once and stored.
    fn instance(&self, wanted: Option<String>) -> Reply<'_, String>;
    /// Takes the right to write; [`StoreError::Fenced`] when another process has it.
    fn acquire(&self, holder: Holder, trust: Duration, now: Timestamp) -> Reply<'_, Lease>;
    /// Extends it.
    fn renew(&self, lease: Lease, trust: Duration, now: Timestamp) -> Reply<'_, Lease>;
    /// Gives it back.
    fn release(&self, lease: Lease) -> Reply<'_, ()>;
    /// Everything that the heart needs to go on.
    fn load(&self) -> Reply<'_, Saved>;
    /// Stores all changes or none, durably, if the lease still holds, and gives them back. An empty list is a probe.
    fn commit(&self, lease: Lease, changes: Vec<Change>) -> Reply<'_, Vec<Change>>;
    /// The runs that match, by instant, oldest first.
    fn runs(&self, query: RunQuery) -> Reply<'_, Vec<Run>>;
    /// One run with its records, `None` when there is none.
    fn story(&self, run: RunId) -> Reply<'_, Option<Story>>;
    /// What was missed in bulk: of a series (of all when `None`), overlapping the range.
    fn missed(&self, series: Option<SeriesId>, range: TimeRange) -> Reply<'_, Vec<Missed>>;
    /// What people did in a range of time, in order.
    fn deeds(&self, range: TimeRange) -> Reply<'_, Vec<Deed>>;
    /// Does one chore; gives back how many things it touched.
    fn maintain(&self, chore: Chore) -> Reply<'_, u64>;
}
