//! When: occurrences of a schedule. (Types only here; the rules follow.)

use std::time::Duration;

use jiff::civil;

/// What the configuration says of the times of a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TriggerSpec {
    /// Cron expressions or a period.
    pub rhythm: Rhythm,
    /// IANA zone.
    pub zone: String,
    /// Inclusive, civil.
    pub from: Option<civil::DateTime>,
    /// Exclusive, civil.
    pub until: Option<civil::DateTime>,
    /// Civil dates on which nothing runs.
    pub exclude: Vec<civil::Date>,
    /// The widest fixed offset.
    pub jitter: Duration,
    /// What to do with times that a gap swallows.
    pub dst_gap: DstGap,
    /// What to do with times that occur twice.
    pub dst_overlap: DstOverlap,
}

/// Cron expressions or a period.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Rhythm {
    /// One or several cron expressions.
    Cron(Vec<String>),
    /// A period, anchored to the epoch.
    Every(Duration),
}

/// What to do with times that a gap swallows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DstGap {
    /// Run once, at the first valid instant after the gap.
    #[default]
    Run,
    /// Do not run.
    Skip,
}

/// What to do with times that occur twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DstOverlap {
    /// The first.
    #[default]
    First,
    /// The last.
    Last,
    /// Both.
    Both,
}

/// Which of two equal wall times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fold {
    /// The only or the first.
    #[default]
    First,
    /// The second.
    Second,
}
