//! How a run ended.

use std::fmt;

/// The end of a run; nothing changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The vendor said that the job succeeded.
    Succeeded,
    /// The last attempt failed for certain.
    Failed,
    /// The time limit passed and the stop was confirmed.
    TimedOut,
    /// Stopped by a person, by a newer run, or at the vendor.
    Cancelled,
    /// Not run, on purpose.
    Skipped(SkipReason),
    /// How it ended cannot be known; a job may still live.
    Lost,
}

/// Why an occurrence was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SkipReason {
    /// The run before it was still live (`overlap = "skip"`).
    Busy,
    /// One run was already waiting (`overlap = "buffer_one"`).
    BufferFull,
    /// The end of the run before it is unknown and its job may live.
    PredecessorUnknown,
    /// Its start deadline passed before it could be submitted.
    StartDeadline,
    /// It was missed while nobody watched and the misfire policy does not run it.
    Missed,
    /// The civil day does not exist in the zone.
    NoSuchDay,
    /// The daemon was started with `--observe`.
    Observed,
    /// The series was blocked after a state that must not occur.
    Blocked,
    /// Its schedule was paused.
    Paused,
    /// Somebody asked that it does not run.
    Asked,
    /// A schedule that it comes after has no run on that date.
    NoPredecessor,
    /// It comes after a failure, and there was none.
    PredecessorSucceeded,
    /// It waited for the schedules that it comes after until its start deadline.
    PredecessorAwaited,
}

macro_rules! words {
    ($type:ident { $($variant:path => $word:literal),+ $(,)? }) => {
        impl $type {
            /// The word used in the store, in JSON and in tables.
            pub fn word(self) -> &'static str {
                match self { $($variant => $word),+ }
            }

            /// Reads [`word`](Self::word) back.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some($variant),)+ _ => None }
            }
        }
    };
}

words!(SkipReason {
    SkipReason::Busy => "busy",
    SkipReason::BufferFull => "buffer_full",
    SkipReason::PredecessorUnknown => "predecessor_unknown",
    SkipReason::StartDeadline => "start_deadline",
    SkipReason::Missed => "missed",
    SkipReason::NoSuchDay => "no_such_day",
    SkipReason::Observed => "observed",
    SkipReason::Blocked => "blocked",
    SkipReason::Paused => "paused",
    SkipReason::Asked => "asked",
    SkipReason::NoPredecessor => "no_predecessor",
    SkipReason::PredecessorSucceeded => "predecessor_succeeded",
    SkipReason::PredecessorAwaited => "predecessor_awaited",
});

impl Outcome {
    /// The word used in the store, in JSON and in tables; the reason of a skip has its own word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Skipped(_) => "skipped",
            Self::Lost => "lost",
        }
    }

    /// Reads the words back; `reason` matters for a skip only.
    pub fn from_words(word: &str, reason: Option<&str>) -> Option<Self> {
        Some(match word {
            "succeeded" => Self::Succeeded,
            "failed" => Self::Failed,
            "timed_out" => Self::TimedOut,
            "cancelled" => Self::Cancelled,
            "lost" => Self::Lost,
            "skipped" => Self::Skipped(SkipReason::from_word(reason?)?),
            _ => return None,
        })
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "the run before it was still live",
            Self::BufferFull => "another run was already waiting",
            Self::PredecessorUnknown => {
                "the end of the run before it is unknown and its job may live"
            }
            Self::StartDeadline => "its start deadline passed before it could be submitted",
            Self::Missed => "it was missed and the misfire policy does not run it",
            Self::NoSuchDay => "its day does not exist in the time zone",
            Self::Observed => "the daemon only observes",
            Self::Blocked => "the series is blocked after an illegal transition",
            Self::Paused => "its schedule was paused",
            Self::Asked => "somebody asked to skip it",
            Self::NoPredecessor => "a schedule that it comes after has no run on that date",
            Self::PredecessorSucceeded => "it comes after a failure, and there was none",
            Self::PredecessorAwaited => {
                "it waited for the schedule that it comes after until its start deadline"
            }
        })
    }
}
