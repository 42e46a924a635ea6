//! What was expected of a span against what is on record, series by series. Pure: it is handed what was read.
//!
//! What a series was expected to do comes from its trigger, from where it is planned with its present definition (the
//! cursor) up to where everything is decided (the mark, read before the runs). There each occurrence must be a run or
//! lie in a range of missed times; else it is *unexplained*. Before the cursor lie former definitions, and the record
//! does not say since when those were in force: there what is on record is what was expected. So these are not seen:
//!
//! - an occurrence without a record before a series was added, edited or retimed within the span;
//! - one of a series that was removed since;
//! - one that retention may have deleted, and one whose nominal time was decided under another zone;
//! - what lies beyond [`MOST`] occurrences in all.
//!
//! Occurrences after the mark are to come, however long ago they were due: a daemon that runs decides them. When it
//! should have done so they are *undecided*, which is wrong, but no hole in the record.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::counts::{Counts, End, Wrong};
use crate::sched::act::Ended;
use crate::sched::id::{RunId, RunKind, SeriesId};
use crate::sched::outcome::{Outcome, SkipReason};
use crate::sched::step::Missed;
use crate::sched::time::{TimeRange, TimeZone, Timestamp, between, civil, earlier};
use crate::sched::trigger::{Occurrence, Trigger};
use crate::store::Glance;

/// So many occurrences are worked out in all; what lies beyond is told as not checked.
pub(super) const MOST: u64 = 5_000_000;

/// So many occurrences without a record are kept, to be explained; more are unexplained at once.
const KEPT: usize = 10_000;

/// The mark is stored once a minute at least: what is due for longer should be decided.
pub(super) const GRACE: Duration = Duration::from_secs(5 * 60);

/// What is looked at.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    /// The first instant that belongs to it.
    pub(super) since: Timestamp,
    /// The first that does not.
    pub(super) until: Timestamp,
    /// When somebody looks.
    pub(super) now: Timestamp,
    /// Every occurrence up to here is decided; `None` before the first decision.
    pub(super) mark: Option<Timestamp>,
    /// In which days are told apart.
    pub(super) zone: TimeZone,
    /// Also count each day by itself.
    pub(super) by_day: bool,
    /// What finished before this may be deleted.
    pub(super) kept_since: Timestamp,
    /// Of each series at least so many of the newest runs are kept.
    pub(super) kept_runs: u64,
}

impl Scope {
    /// The same as a range.
    pub(super) fn range(&self) -> TimeRange {
        let before = |t| earlier(t, Duration::from_nanos(1));
        TimeRange {
            after: before(self.since),
            upto: before(self.until),
        }
    }
}

/// A series that is planned.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    /// With the present definition since then.
    pub(super) since: Timestamp,
    /// When it runs; `None` when its zone is not known here.
    pub(super) trigger: Option<Trigger>,
}

/// An occurrence that should be on record and is not.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Hole {
    /// Of which series.
    pub(super) series: SeriesId,
    /// Which.
    pub(super) occurrence: Occurrence,
}

/// What may explain a hole, as far as the database can say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Evidence {
    /// What lies before this may have been deleted, since there are newer runs enough.
    pub(super) kept_from: Option<Timestamp>,
    /// A run of the same nominal time is on record.
    pub(super) has_nominal: bool,
}

/// What is not counted, and so not checked either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// Occurrences that retention may have deleted.
    pub(super) deleted: u64,
    /// Occurrences whose nominal time was decided before the schedule had its present times.
    pub(super) decided_before: u64,
    /// Series whose times were not all worked out: too many, or their zone is not known here.
    pub(super) not_worked_out: u64,
    /// Series that are planned with their present definition for a part of the span only.
    pub(super) changed: u64,
}

/// The longest run of a series in the span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Long {
    /// Which.
    pub(super) run: RunId,
    /// From its last submission to its end.
    pub(super) took: Duration,
}

/// The sums, as far as the series are handed in.
#[derive(Debug)]
pub(super) struct Account {
    scope: Scope,
    /// Of all occurrences.
    pub(super) counts: Counts,
    /// Of each civil day, when asked for.
    pub(super) days: BTreeMap<civil::Date, Counts>,
    /// Of the runs that somebody asked for: none of them was expected by a trigger.
    pub(super) by_hand: Counts,
    /// Occurrences that should be decided and are not.
    pub(super) undecided: u64,
    /// The longest run of each series.
    pub(super) longest: Vec<Long>,
    /// What is not counted.
    pub(super) left_out: LeftOut,
    wrong: HashMap<(SeriesId, End), Wrong>,
    holes: Vec<Hole>,
    budget: u64,
}

/// All generations of an occurrence.
struct Generations<'g> {
    first: &'g Glance,
    newest: &'g Glance,
}

impl Account {
    /// Nothing is counted yet.
    pub(super) fn new(scope: Scope) -> Self {
        Self {
            scope,
            counts: Counts::default(),
            days: BTreeMap::new(),
            by_hand: Counts::default(),
            undecided: 0,
            longest: Vec::new(),
            left_out: LeftOut::default(),
            wrong: HashMap::new(),
            holes: Vec::new(),
            budget: MOST,
        }
    }

    /// The span.
    pub(super) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// One series: how it is planned, if it is; its runs of the span by instant, later generations after earlier ones;
    /// the ranges of its times that passed in bulk and overlap the span.
    pub(super) fn series(
        &mut self,
        series: &SeriesId,
        planned: Option<&Planned>,
        runs: &[Glance],
        missed: &[Missed],
    ) {
        let groups = generations(runs);
        let by_hand = runs.iter().filter(|run| is_by_hand(run));
        let good = by_hand
            .clone()
            .chain(groups.iter().map(|group| group.newest))
            .filter(|run| end(run) == End::Succeeded);
        let last_good = good.map(|run| run.instant).max();
        for run in by_hand {
            self.by_hand(series, run, last_good);
        }
        self.longest(series, runs);
        let checked = planned.and_then(|planned| self.checked(planned));
        let mut rest = groups.iter().peekable();
        let mut checked_upto = None;
        if let (Some(checked), Some(trigger)) = (checked, planned.and_then(|p| p.trigger.as_ref()))
        {
            let deleted_before = self.deleted_before(runs);
            let mut at = checked.after;
            while let Some(occurrence) = self.following(trigger, at, checked.upto) {
                at = occurrence.instant;
                while let Some(group) = rest.next_if(|group| group.newest.instant < at) {
                    self.settle(series, group, last_good);
                }
                if let Some(group) = rest.next_if(|group| group.newest.instant == at) {
                    self.settle(series, group, last_good);
                } else if let Some(range) = missed.iter().find(|m| holds(&m.range, at)) {
                    self.passed(series, range, 1, at, last_good);
                } else if at < deleted_before {
                    self.left_out.deleted += 1;
                } else {
                    self.hole(series, occurrence);
                }
            }
            checked_upto = Some(match self.budget {
                0 => at,
                _ => checked.upto,
            });
        }
        for group in rest {
            self.settle(series, group, last_good);
        }
        let span = self.scope.range();
        let verified = TimeRange {
            after: checked.map_or(span.upto, |checked| checked.after),
            upto: checked_upto.unwrap_or(span.upto),
        };
        let instants: Vec<Timestamp> = groups.iter().map(|group| group.newest.instant).collect();
        for range in missed {
            self.unverified(series, planned, range, verified, (&instants, last_good));
        }
        if let Some(planned) = planned {
            self.not_decided(planned);
        }
    }

    /// Where the trigger of a series says what is expected.
    fn checked(&mut self, planned: &Planned) -> Option<TimeRange> {
        let span = self.scope.range();
        if planned.since > span.after && planned.since <= span.upto {
            self.left_out.changed += 1;
        }
        if planned.trigger.is_none() || self.budget == 0 {
            self.left_out.not_worked_out += 1;
            return None;
        }
        let decided = self.scope.mark.unwrap_or(planned.since);
        let range = TimeRange {
            after: planned.since.max(span.after),
            upto: decided.min(span.upto),
        };
        (range.after < range.upto).then_some(range)
    }

    /// What lies before this may be deleted, as far as the runs of the span show.
    fn deleted_before(&self, runs: &[Glance]) -> Timestamp {
        let kept = usize::try_from(self.scope.kept_runs).unwrap_or(usize::MAX);
        let oldest_kept = runs.len().checked_sub(kept).and_then(|at| runs.get(at));
        let oldest_kept = oldest_kept.map_or(Timestamp::MIN, |run| run.instant);
        oldest_kept.max(self.scope.kept_since)
    }

    /// The occurrence that follows, within the range and the budget.
    fn following(
        &mut self,
        trigger: &Trigger,
        at: Timestamp,
        upto: Timestamp,
    ) -> Option<Occurrence> {
        if self.budget == 0 {
            return None;
        }
        // A trigger that does not advance must not keep us here.
        let next = trigger.after(at).filter(|next| next.instant > at);
        let next = next.filter(|next| next.instant <= upto)?;
        self.budget -= 1;
        if self.budget == 0 {
            self.left_out.not_worked_out += 1;
        }
        Some(next)
    }

    fn count(&mut self, at: Timestamp, count: impl Fn(&mut Counts)) {
        count(&mut self.counts);
        if self.scope.by_day {
            let day = at.to_zoned(self.scope.zone.clone()).date();
            count(self.days.entry(day).or_default());
        }
    }

    /// An occurrence that is on record: its newest generation says how it ended.
    fn settle(
        &mut self,
        series: &SeriesId,
        Generations { first, newest }: &Generations<'_>,
        last_good: Option<Timestamp>,
    ) {
        let end = end(newest);
        let again = newest.attempts > 1 || newest.kind != RunKind::Generation(0);
        let late = is_late(first);
        let resolved = end == End::Succeeded && newest.resolved.is_some();
        self.count(newest.instant, |counts| {
            counts.add(end, 1);
            counts.retried += u64::from(end == End::Succeeded && again);
            counts.resolved += u64::from(resolved);
            counts.late += u64::from(late);
        });
        if !is_fine(newest, end, last_good) {
            self.wrong(series, end, 1, newest.instant, Some(newest));
        }
    }

    fn by_hand(&mut self, series: &SeriesId, run: &Glance, last_good: Option<Timestamp>) {
        let end = end(run);
        self.by_hand.add(end, 1);
        let made_good = last_good > Some(run.instant);
        if !made_good && !is_fine(run, end, last_good) {
            self.wrong(series, end, 1, run.instant, Some(run));
        }
    }

    /// So many times that passed in bulk, the last of them at this one.
    fn passed(
        &mut self,
        series: &SeriesId,
        range: &Missed,
        count: u64,
        at: Timestamp,
        last_good: Option<Timestamp>,
    ) {
        let end = End::Skipped(range.reason);
        self.count(at, |counts| counts.add(end, count));
        if !is_wished(range.reason, at, last_good) {
            self.wrong(series, end, count, at, None);
        }
    }

    /// The part of a range that passed in bulk where no trigger says what lay in it: its own count, less what was run
    /// of it later. Of a range that reaches beyond the span a part is counted by the present trigger.
    fn unverified(
        &mut self,
        series: &SeriesId,
        planned: Option<&Planned>,
        range: &Missed,
        verified: TimeRange,
        (instants, last_good): (&[Timestamp], Option<Timestamp>),
    ) {
        let span = self.scope.range();
        let parts = [
            (span.after, verified.after),
            (verified.upto, span.upto.max(verified.upto)),
        ];
        for (after, upto) in parts {
            let part = TimeRange {
                after: range.range.after.max(after),
                upto: range.range.upto.min(upto).min(span.upto),
            };
            if part.after >= part.upto {
                continue;
            }
            let trigger = planned.and_then(|planned| planned.trigger.as_ref());
            let count = match trigger {
                Some(trigger) if part != range.range => self.within(trigger, part).min(range.count),
                _ => range.count,
            };
            let own = instants.iter().filter(|at| holds(&part, **at)).count() as u64;
            let count = count.saturating_sub(own);
            if count > 0 {
                self.passed(series, range, count, part.upto, last_good);
            }
        }
    }

    fn within(&mut self, trigger: &Trigger, range: TimeRange) -> u64 {
        let (mut at, mut count) = (range.after, 0);
        while let Some(next) = self.following(trigger, at, range.upto) {
            at = next.instant;
            count += 1;
        }
        count
    }

    /// What is due for longer than the mark may stay behind.
    fn not_decided(&mut self, planned: &Planned) {
        let span = self.scope.range();
        let decided = self.scope.mark.unwrap_or(planned.since).max(planned.since);
        let range = TimeRange {
            after: decided.max(span.after),
            upto: span.upto.min(earlier(self.scope.now, GRACE)),
        };
        if let Some(trigger) = planned
            .trigger
            .as_ref()
            .filter(|_| range.after < range.upto)
        {
            self.undecided += self.within(trigger, range);
        }
    }

    fn longest(&mut self, series: &SeriesId, runs: &[Glance]) {
        let took = |run: &&Glance| Some(between(run.submitted?, run.finished?));
        let succeeded = runs
            .iter()
            .filter(|run| run.outcome == Some(Outcome::Succeeded));
        let longest = succeeded.max_by_key(took);
        let longest = longest.and_then(|run| Some((run, took(&run)?)));
        self.longest.extend(longest.map(|(run, took)| Long {
            run: id(series, run),
            took,
        }));
    }

    // ---- what is wrong -------------------------------------------------------------------------------------------

    fn wrong(
        &mut self,
        series: &SeriesId,
        end: End,
        count: u64,
        at: Timestamp,
        run: Option<&Glance>,
    ) {
        let newest = Wrong {
            series: series.clone(),
            end,
            count,
            at,
            run: run.map(|run| id(series, run)),
            fault: run.and_then(|run| Some(run.fault.as_ref()?.to_string())),
        };
        let key = (series.clone(), end);
        let before = self.wrong.remove(&key);
        let told = match before {
            Some(before) if before.at > at => Wrong {
                count: before.count + count,
                ..before
            },
            Some(before) => Wrong {
                count: before.count + count,
                ..newest
            },
            None => newest,
        };
        self.wrong.insert(key, told);
    }

    fn hole(&mut self, series: &SeriesId, occurrence: Occurrence) {
        if self.holes.len() >= KEPT {
            return self.unexplained(&Hole {
                series: series.clone(),
                occurrence,
            });
        }
        self.holes.push(Hole {
            series: series.clone(),
            occurrence,
        });
    }

    fn unexplained(&mut self, hole: &Hole) {
        let at = hole.occurrence.instant;
        self.count(at, |counts| counts.add(End::Unexplained, 1));
        self.wrong(&hole.series, End::Unexplained, 1, at, None);
    }

    /// Judges what is not on record, with what the database says of each.
    pub(super) fn explain<E>(
        &mut self,
        mut evidence: impl FnMut(&Hole) -> Result<Evidence, E>,
    ) -> Result<(), E> {
        for hole in std::mem::take(&mut self.holes) {
            let found = evidence(&hole)?;
            let Occurrence {
                instant,
                clock_like,
                ..
            } = hole.occurrence;
            if found.kept_from.is_some_and(|from| instant < from) {
                self.left_out.deleted += 1;
            } else if clock_like && found.has_nominal {
                self.left_out.decided_before += 1;
            } else {
                self.unexplained(&hole);
            }
        }
        Ok(())
    }

    /// All that somebody should look at, the loudest first, then the newest.
    pub(super) fn all_wrong(&self) -> Vec<Wrong> {
        let mut all: Vec<Wrong> = self.wrong.values().cloned().collect();
        all.sort_by(|a, b| {
            let key = |w: &Wrong| (w.end.rank(), std::cmp::Reverse(w.at));
            key(a).cmp(&key(b)).then_with(|| a.series.cmp(&b.series))
        });
        all
    }
}

fn id(series: &SeriesId, run: &Glance) -> RunId {
    RunId {
        series: series.clone(),
        instant: run.instant,
        kind: run.kind.clone(),
    }
}

fn holds(range: &TimeRange, at: Timestamp) -> bool {
    range.after < at && at <= range.upto
}

fn is_by_hand(run: &Glance) -> bool {
    matches!(run.kind, RunKind::Manual(_))
}

/// The runs of triggers, by occurrence.
fn generations(runs: &[Glance]) -> Vec<Generations<'_>> {
    let mut all: Vec<Generations<'_>> = Vec::new();
    for run in runs.iter().filter(|run| !is_by_hand(run)) {
        match all.last_mut() {
            Some(last) if last.newest.instant == run.instant => last.newest = run,
            _ => all.push(Generations {
                first: run,
                newest: run,
            }),
        }
    }
    all
}

/// How a run ended; of a lost one a person may have said it.
fn end(run: &Glance) -> End {
    match (run.outcome, run.resolved) {
        (None, _) => End::Live,
        (Some(Outcome::Succeeded), _) | (Some(Outcome::Lost), Some(Ended::Succeeded)) => {
            End::Succeeded
        }
        (Some(Outcome::Failed), _) | (Some(Outcome::Lost), Some(Ended::Failed)) => End::Failed,
        (Some(Outcome::TimedOut), _) => End::TimedOut,
        (Some(Outcome::Cancelled), _) => End::Cancelled,
        (Some(Outcome::Lost), None) => End::Lost,
        (Some(Outcome::Skipped(reason)), _) => End::Skipped(reason),
    }
}

/// Whether its first attempt left later than its misfire policy tolerates. What waits for other schedules starts when
/// those have ended.
fn is_late(run: &Glance) -> bool {
    let (Some(started), Some(tolerance)) = (run.started, run.tolerance) else {
        return false;
    };
    between(run.due, started) > tolerance
}

/// Whether nobody needs to look at it.
fn is_fine(run: &Glance, end: End, last_good: Option<Timestamp>) -> bool {
    match end {
        End::Succeeded | End::Live => true,
        // A person, a newer run or the configuration stopped it. Without one of these somebody did at the vendor.
        End::Cancelled => run.cancel.is_some(),
        End::Skipped(reason) => is_wished(reason, run.instant, last_good),
        End::Failed | End::TimedOut | End::Lost | End::Unexplained => false,
    }
}

/// Whether a skip is what somebody wanted, or follows from the calendar. `overlap` is wanted: but only as long as a later run of the series succeeded, since
/// it is there for work that the next run makes good.
fn is_wished(reason: SkipReason, at: Timestamp, last_good: Option<Timestamp>) -> bool {
    match reason {
        SkipReason::Paused
        | SkipReason::Asked
        | SkipReason::Observed
        | SkipReason::NoSuchDay
        | SkipReason::NoPredecessor
        | SkipReason::PredecessorSucceeded => true,
        SkipReason::Busy | SkipReason::BufferFull => last_good > Some(at),
        SkipReason::PredecessorUnknown
        | SkipReason::StartDeadline
        | SkipReason::Missed
        | SkipReason::Blocked
        | SkipReason::PredecessorAwaited => false,
    }
}

#[cfg(test)]
mod tests;
