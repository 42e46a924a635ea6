//! What the configuration says of the times of a schedule, before and apart from any zone data.

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

impl TriggerSpec {
    /// All times of a rhythm in a zone, with the defaults for everything else.
    pub fn new(rhythm: Rhythm, zone: &str) -> Self {
        Self {
            rhythm,
            zone: zone.to_owned(),
            from: None,
            until: None,
            exclude: Vec::new(),
            jitter: Duration::ZERO,
            dst_gap: DstGap::default(),
            dst_overlap: DstOverlap::default(),
        }
    }
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

/// A trigger cannot be made of a specification: one sentence, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TriggerError {
    /// Which of several cron expressions, from 0; 0 for other faults.
    pub expression: usize,
    /// The bytes of that expression that are wrong, when they can be told.
    pub span: Option<(usize, usize)>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl TriggerError {
    /// A fault of the specification as a whole.
    pub(super) fn of_spec(message: &str, hint: &str) -> Self {
        Self {
            expression: 0,
            span: None,
            message: message.to_owned(),
            hint: Some(hint.to_owned()),
        }
    }
}
