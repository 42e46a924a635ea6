//! What is counted of a span, and what of it is wrong.

use std::collections::BTreeMap;

use crate::sched::id::{RunId, SeriesId};
use crate::sched::outcome::SkipReason;
use crate::sched::time::Timestamp;

/// How the occurrences of a span ended. `expected` is the sum of `succeeded`, `failed`, `timed_out`, `cancelled`,
/// `lost`, `missed`, `skipped`, `live` and `unexplained`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Occurrences that are on record, or should be.
    pub(super) expected: u64,
    /// Ended well, by the vendor's word or by a person's.
    pub(super) succeeded: u64,
    /// Of these: after more than one attempt or generation.
    pub(super) retried: u64,
    /// Of these: lost, and a person said that they ended well.
    pub(super) resolved: u64,
    /// Started later after they were due than their misfire policy tolerates, however they ended.
    pub(super) late: u64,
    /// Failed for certain, or by a person's word.
    pub(super) failed: u64,
    /// Stopped at the time limit.
    pub(super) timed_out: u64,
    /// Stopped otherwise.
    pub(super) cancelled: u64,
    /// Nobody knows how they ended.
    pub(super) lost: u64,
    /// Passed while nobody watched.
    pub(super) missed: u64,
    /// Passed over for another reason, by its word.
    pub(super) skipped: BTreeMap<&'static str, u64>,
    /// Not ended yet.
    pub(super) live: u64,
    /// Should be on record and are not.
    pub(super) unexplained: u64,
}

impl Counts {
    /// Passed over for another reason than that nobody watched.
    pub(super) fn all_skipped(&self) -> u64 {
        self.skipped.values().sum()
    }

    /// Adds so many that end like this; all of them were expected.
    pub(super) fn add(&mut self, end: End, count: u64) {
        self.expected += count;
        let place = match end {
            End::Succeeded => &mut self.succeeded,
            End::Failed => &mut self.failed,
            End::TimedOut => &mut self.timed_out,
            End::Cancelled => &mut self.cancelled,
            End::Lost => &mut self.lost,
            End::Skipped(SkipReason::Missed) => &mut self.missed,
            End::Skipped(reason) => self.skipped.entry(reason.word()).or_default(),
            End::Live => &mut self.live,
            End::Unexplained => &mut self.unexplained,
        };
        *place += count;
    }
}

/// How an occurrence ended, as a report counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum End {
    /// Well.
    Succeeded,
    /// Failed.
    Failed,
    /// At its time limit.
    TimedOut,
    /// Stopped.
    Cancelled,
    /// Nobody knows.
    Lost,
    /// Passed over.
    Skipped(SkipReason),
    /// Not yet.
    Live,
    /// Nothing is on record.
    Unexplained,
}

impl End {
    /// The word that is shown, and used in JSON.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
            Self::Skipped(SkipReason::Missed) => "missed",
            Self::Skipped(_) => "skipped",
            Self::Live => "live",
            Self::Unexplained => "unexplained",
        }
    }

    /// The reason of a skip, by its word.
    pub(super) fn reason(self) -> Option<&'static str> {
        match self {
            Self::Skipped(SkipReason::Missed) => None,
            Self::Skipped(reason) => Some(reason.word()),
            _ => None,
        }
    }

    /// The loudest comes first.
    pub(super) fn rank(self) -> u8 {
        match self {
            Self::Unexplained => 0,
            Self::Lost => 1,
            Self::Failed => 2,
            Self::TimedOut => 3,
            Self::Skipped(SkipReason::Missed) => 4,
            Self::Skipped(_) => 5,
            Self::Cancelled => 6,
            Self::Live | Self::Succeeded => 7,
        }
    }
}

/// What somebody should look at: occurrences of one series that ended alike, told once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// Of which series.
    pub(super) series: SeriesId,
    /// How they ended.
    pub(super) end: End,
    /// How many.
    pub(super) count: u64,
    /// The newest of them.
    pub(super) at: Timestamp,
    /// Its run, when it has one.
    pub(super) run: Option<RunId>,
    /// What was wrong with it, in one line.
    pub(super) fault: Option<String>,
}
