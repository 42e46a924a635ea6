//! Which runs of other schedules a run waits for, and what follows from how they ended.
//!
//! A run looks at one civil date of each predecessor ([`date_in`]) and there at the runs that are due by its own due
//! time. Of several generations of an occurrence the newest counts, so that what was mended by hand counts as mended.
//! Occurrences that were passed over when they were decided (missed, paused, busy) are nothing to wait for; only when
//! none was planned that day do they count, as an end that is not well.
//!
//! Invariant: with `on = "success"` nothing starts unless each predecessor has a run of that date, and all that were
//! planned succeeded.

use std::collections::BTreeMap;

use crate::sched::id::{RunId, RunKind, ScheduleName, SeriesId, SetName};
use crate::sched::outcome::{Outcome, SkipReason};
use crate::sched::run::Run;
use crate::sched::time::{TimeZone, Timestamp, civil};

/// So many runs of one date that did not end well are told apart; of more it is known that they are there.
const TOLD_APART: usize = 1_000;

/// How the runs of the predecessors must have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum On {
    /// All of them well.
    #[default]
    Success,
    /// All of them, however.
    Any,
    /// All of them, and at least one not well.
    Failure,
}

impl On {
    /// Every choice with the configuration's word.
    pub const ALL: [(Self, &'static str); 3] = [
        (Self::Success, "success"),
        (Self::Any, "any"),
        (Self::Failure, "failure"),
    ];

    /// The configuration's word.
    pub fn word(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(on, _)| *on == self)
            .map_or("success", |(_, word)| word)
    }
}

/// What the runs of a series wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct After {
    /// The predecessors, in the order in which they are written; at least one, each once.
    pub schedules: Vec<ScheduleName>,
    /// How their runs must have ended.
    pub on: On,
}

/// The sets of a predecessor that count for a set: the one of the same name, else all.
pub fn sets_for<'s>(own: &SetName, of_predecessor: &'s [SetName]) -> &'s [SetName] {
    match of_predecessor.iter().position(|set| set == own) {
        Some(index) => &of_predecessor[index..=index],
        None => of_predecessor,
    }
}

/// The civil date on which a run looks for those of a predecessor, in the predecessor's zone: its own nominal date when
/// the zones are the same, else the date that the clocks there show at its instant.
pub fn date_in(
    (zone_name, zone): (&str, &TimeZone),
    own_zone: &str,
    civil: civil::DateTime,
    instant: Timestamp,
) -> civil::Date {
    match zone_name == own_zone {
        true => civil.date(),
        false => instant.to_zoned(zone.clone()).date(),
    }
}

/// What is on record of one series for one of its nominal dates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Day {
    /// Runs that were planned and have not ended well, by instant.
    open: BTreeMap<Timestamp, Open>,
    /// When the earliest was due that ended well.
    well: Option<Timestamp>,
    /// When the earliest was due that was passed over.
    passed: Option<Timestamp>,
    /// When the earliest was due of those that did not end well and are not told apart any more.
    more: Option<Timestamp>,
}

/// The newest generation of an occurrence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Open {
    due: Timestamp,
    generation: u32,
    /// `None` while it is live.
    outcome: Option<Outcome>,
}

impl Day {
    /// Takes in a run of this date as it stands now. Runs by hand are no occurrences.
    pub fn note(&mut self, run: &Run) {
        let RunKind::Generation(generation) = run.id.kind else {
            return;
        };
        let instant = run.id.instant;
        let before = self.open.get(&instant).copied();
        if before.is_some_and(|open| open.generation > generation) {
            return;
        }
        // A later generation is due when somebody asked for it; what counts is when its occurrence was.
        let due = match before {
            Some(open) => open.due.min(run.due),
            None if generation == 0 => run.due,
            None => instant,
        };
        match run.ended_as() {
            Some(Outcome::Skipped(reason)) if reason.is_for_want_of_work() => {
                self.open.remove(&instant);
            }
            Some(Outcome::Skipped(reason)) if reason.passes_over() => self.pass(due),
            Some(Outcome::Succeeded) => {
                self.open.remove(&instant);
                self.well = earliest(self.well, due);
            }
            outcome => {
                let open = Open {
                    due,
                    generation,
                    outcome,
                };
                self.open.insert(instant, open);
                self.shorten();
            }
        }
    }

    /// An occurrence that was due then was passed over.
    pub fn pass(&mut self, due: Timestamp) {
        self.passed = earliest(self.passed, due);
    }

    fn shorten(&mut self) {
        if self.open.len() <= TOLD_APART {
            return;
        }
        let ended = self.open.iter().find(|(_, open)| open.outcome.is_some());
        if let Some((instant, open)) = ended.map(|(instant, open)| (*instant, *open)) {
            self.open.remove(&instant);
            self.more = earliest(self.more, open.due);
        }
    }

    /// Adds to a standing what of this date is due by then.
    fn add_to(&self, standing: &mut Standing, series: &SeriesId, due: Timestamp) {
        let is_due = |at: Option<Timestamp>| at.is_some_and(|at| at <= due);
        standing.well |= is_due(self.well);
        standing.passed |= is_due(self.passed);
        standing.unwell_unnamed |= is_due(self.more);
        for (instant, open) in self.open.iter().filter(|(_, open)| open.due <= due) {
            let id = || RunId {
                series: series.clone(),
                instant: *instant,
                kind: RunKind::Generation(open.generation),
            };
            match open.outcome {
                None if standing.live.is_none() => standing.live = Some(id()),
                Some(outcome) if standing.unwell.is_none() => {
                    standing.unwell = Some((id(), outcome));
                }
                _ => {}
            }
        }
    }
}

fn earliest(known: Option<Timestamp>, due: Timestamp) -> Option<Timestamp> {
    Some(known.map_or(due, |known| known.min(due)))
}

/// How the runs of one predecessor stand that a run waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The predecessor.
    pub schedule: ScheduleName,
    well: bool,
    passed: bool,
    unwell_unnamed: bool,
    live: Option<RunId>,
    unwell: Option<(RunId, Outcome)>,
}

impl Standing {
    /// Of a predecessor of which nothing is on record yet.
    pub fn of(schedule: &ScheduleName) -> Self {
        Self {
            schedule: schedule.clone(),
            well: false,
            passed: false,
            unwell_unnamed: false,
            live: None,
            unwell: None,
        }
    }

    /// With what of a date of one of its series is due by then.
    pub fn with(mut self, series: &SeriesId, day: &Day, due: Timestamp) -> Self {
        day.add_to(&mut self, series, due);
        self
    }

    /// Whether the predecessor has nothing on that date.
    fn is_empty(&self) -> bool {
        let planned = self.well || self.live.is_some() || self.is_unwell();
        !planned && !self.passed
    }

    fn is_unwell(&self) -> bool {
        self.unwell.is_some() || self.unwell_unnamed
    }

    /// Why what ended is not all well, if it is not.
    fn stuck(&self) -> Option<Stuck> {
        let only_passed = self.passed && !self.well;
        (self.is_unwell() || only_passed).then(|| Stuck {
            schedule: self.schedule.clone(),
            run: self.unwell.clone(),
        })
    }
}

/// What keeps a run from starting, although nothing of its predecessors is live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// The predecessor.
    pub schedule: ScheduleName,
    /// Its run that did not end well; `None` when all of that date were passed over.
    pub run: Option<(RunId, Outcome)>,
}

impl Stuck {
    /// What is wrong with it: `ingest/default@2026-02-03T01:00:00Z failed`.
    pub fn words(&self) -> String {
        match &self.run {
            Some((run, outcome)) => format!("{run} {}", ended(*outcome)),
            None => format!("no run of {} was made that day", self.schedule),
        }
    }
}

fn ended(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::Failed => "failed",
        Outcome::TimedOut => "timed out",
        Outcome::Cancelled => "was cancelled",
        Outcome::Skipped(_) => "did not start in time",
        Outcome::Lost => "is lost",
    }
}

/// What becomes of a run whose predecessors stand like this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may start.
    Start,
    /// It waits for this run.
    Wait(RunId),
    /// Everything ended, and not as wanted: it waits for a person until its start deadline.
    Stuck(Stuck),
    /// It is passed over: this predecessor has nothing on that date.
    NoPredecessor(ScheduleName),
    /// It is passed over: it is for failures, and there was none.
    AllWell,
}

impl After {
    /// Judges how all predecessors stand.
    pub fn decide(&self, standings: &[Standing]) -> Verdict {
        if let Some(none) = standings.iter().find(|standing| standing.is_empty()) {
            return Verdict::NoPredecessor(none.schedule.clone());
        }
        if let Some(live) = standings.iter().find_map(|standing| standing.live.clone()) {
            return Verdict::Wait(live);
        }
        let stuck = standings.iter().find_map(Standing::stuck);
        match (self.on, stuck) {
            (On::Success, Some(stuck)) => Verdict::Stuck(stuck),
            (On::Failure, None) => Verdict::AllWell,
            (On::Success, None) | (On::Any, _) | (On::Failure, Some(_)) => Verdict::Start,
        }
    }
}

impl SkipReason {
    /// Whether it was passed over when it was decided, so that no run was planned. The others were to run and could not.
    pub fn passes_over(self) -> bool {
        match self {
            Self::Busy
            | Self::BufferFull
            | Self::PredecessorUnknown
            | Self::Missed
            | Self::NoSuchDay
            | Self::Observed
            | Self::Blocked
            | Self::Paused
            | Self::Asked => true,
            Self::StartDeadline
            | Self::NoPredecessor
            | Self::PredecessorSucceeded
            | Self::PredecessorAwaited => false,
        }
    }

    /// Whether there was nothing to do for it: whoever comes after it has no predecessor then.
    fn is_for_want_of_work(self) -> bool {
        matches!(self, Self::NoPredecessor | Self::PredecessorSucceeded)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
