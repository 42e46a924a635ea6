//! What is on record, held against what an expander that knows nothing of the code under test says should be there:
//! every occurrence of every configured series is decided once, nothing else is, and no cursor passes one that is not.
//!
//! It is told what was configured when (by the driver) and what was stored; it is copied with the database.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use nightcall::sched::id::{RunId, RunKind, SeriesId};
use nightcall::sched::outcome::Outcome;
use nightcall::sched::run::{Origin, Run, RunState};
use nightcall::sched::schedule::Definition;
use nightcall::sched::step::{Change, Missed};
use nightcall::sched::time::Timestamp;
use nightcall::sched::trigger::TriggerSpec;

use super::checks::hold;
use crate::expander;
use crate::setup::zone;

/// Occurrences are looked up for so long ahead at once.
const AHEAD: Duration = Duration::from_secs(18 * 3600);

/// What a series is planned with, from when to when, and which times that are.
#[derive(Clone, Debug)]
struct Span {
    trigger: Arc<TriggerSpec>,
    from: Timestamp,
    upto: Option<Timestamp>,
    /// All of its times up to here are on record.
    seen: Timestamp,
}

/// The account of one database.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    /// Nothing was planned before this.
    origin: Timestamp,
    spans: BTreeMap<SeriesId, Vec<Span>>,
    decided: HashMap<SeriesId, BTreeSet<Timestamp>>,
    ranges: Vec<Missed>,
    mark: Option<Timestamp>,
    times: HashMap<TriggerSpec, Times>,
    /// An old copy took its place: what the vendor tells of is more than it knows.
    pub(super) restored: bool,
}

/// Occurrences of a trigger within what was looked at so far.
#[derive(Clone, Debug)]
struct Times {
    upto: Timestamp,
    instants: Vec<Timestamp>,
}

impl Ledger {
    /// Of a new database.
    pub(super) fn new(begins: Timestamp) -> Self {
        Self {
            origin: begins - AHEAD,
            spans: BTreeMap::new(),
            decided: HashMap::new(),
            ranges: Vec::new(),
            mark: None,
            times: HashMap::new(),
            restored: false,
        }
    }

    /// All changes of one step, after they were stored. `configured` is what the daemon was started with.
    pub(super) fn stored(&mut self, changes: &[Change], configured: &[Definition]) {
        let mut marked = None;
        for change in changes {
            match change {
                Change::Run { run, .. } => self.run(run),
                Change::Missed(missed) => self.ranges.push(missed.clone()),
                Change::Cursor {
                    series,
                    upto,
                    definition,
                } => self.begins(series, *upto, &definition.trigger),
                Change::Closed { series, upto } => self.ends(series, *upto),
                Change::Mark(mark) => marked = Some(*mark),
                _ => {}
            }
        }
        if let Some(mark) = marked {
            self.mark = Some(mark);
            self.passes(mark);
            self.all_are_planned(configured, mark);
        }
    }

    fn run(&mut self, run: &Run) {
        if run.id.kind != RunKind::Generation(0) {
            return;
        }
        let (series, instant) = (&run.id.series, run.id.instant);
        let known = self.decided.entry(series.clone()).or_default();
        if !known.insert(instant) {
            return;
        }
        // What another life of the database planned is that one's affair.
        if run.origin == Origin::Adopted {
            return;
        }
        let trigger = self
            .spans
            .get(series)
            .and_then(|spans| spans.last())
            .map(|s| s.trigger.clone());
        let trigger = trigger.unwrap_or_else(|| run.definition.trigger.clone());
        let announced = self
            .times(&trigger, instant)
            .binary_search(&instant)
            .is_ok();
        let gap = Outcome::Skipped(nightcall::sched::outcome::SkipReason::NoSuchDay);
        let excused = run.state == RunState::Finished(gap);
        hold(6, announced || excused, || {
            format!("{} was made, and no schedule names this time", run.id)
        });
        let late = run.due.duration_since(instant);
        let widest = trigger.jitter.max(Duration::from_secs(1));
        let within = !late.is_negative() && late.unsigned_abs() < widest;
        hold(6, within, || format!("{} is due at {}", run.id, run.due));
    }

    /// From then on a series is planned with a trigger.
    fn begins(&mut self, series: &SeriesId, from: Timestamp, trigger: &Arc<TriggerSpec>) {
        let spans = self.spans.get(series);
        let born = spans.is_none_or(|spans| spans.iter().all(|span| span.upto.is_some()));
        // Everything up to the mark was decided without it.
        let has_past = born && self.mark.is_some_and(|mark| from < mark);
        hold(6, !has_past, || {
            format!("{series} is new, and planned from {from} on")
        });
        self.ends(series, from);
        self.spans.entry(series.clone()).or_default().push(Span {
            trigger: trigger.clone(),
            from,
            upto: None,
            seen: from,
        });
    }

    fn ends(&mut self, series: &SeriesId, upto: Timestamp) {
        let spans = self.spans.get_mut(series);
        let Some(index) = spans.and_then(|s| s.iter().position(|s| s.upto.is_none())) else {
            return;
        };
        self.covered(series, index, upto);
        if let Some(spans) = self.spans.get_mut(series) {
            spans[index].upto = Some(upto);
        }
    }

    /// The mark passes: everything up to it is on record.
    fn passes(&mut self, mark: Timestamp) {
        let open = self.spans.iter().filter_map(|(series, spans)| {
            let index = spans.iter().position(|span| span.upto.is_none())?;
            Some((series.clone(), index))
        });
        for (series, index) in open.collect::<Vec<_>>() {
            self.covered(&series, index, mark);
        }
    }

    fn covered(&mut self, series: &SeriesId, index: usize, upto: Timestamp) {
        let span = &self.spans[series][index];
        let (seen, trigger) = (span.seen, span.trigger.clone());
        if upto <= seen {
            return;
        }
        let times = self.times(&trigger, upto);
        let new: Vec<Timestamp> = {
            let from = times.partition_point(|t| *t <= seen);
            times[from..]
                .iter()
                .take_while(|t| **t <= upto)
                .copied()
                .collect()
        };
        for instant in new {
            let id = RunId::planned(series.clone(), instant);
            let single = self
                .decided
                .get(series)
                .is_some_and(|d| d.contains(&instant));
            let ranges = self.ranges_with(series, instant);
            let once = (single && ranges == 0) || (!single && ranges == 1);
            hold(1, once, || {
                format!("{id} passed by {upto}: a record {single}, ranges {ranges}")
            });
        }
        if let Some(spans) = self.spans.get_mut(series) {
            spans[index].seen = upto;
        }
    }

    fn ranges_with(&self, series: &SeriesId, t: Timestamp) -> usize {
        let with = |m: &&Missed| m.series == *series && t > m.range.after && t <= m.range.upto;
        self.ranges.iter().filter(with).count()
    }

    /// Every configured series has a cursor, and it is planned as configured.
    fn all_are_planned(&self, configured: &[Definition], mark: Timestamp) {
        for definition in configured {
            let spans = self.spans.get(&definition.series);
            let open = spans
                .and_then(|spans| spans.last())
                .filter(|s| s.upto.is_none());
            let planned = open.is_some_and(|span| span.trigger == definition.trigger);
            hold(5, planned, || {
                format!("{} is not planned by {mark}: {open:?}", definition.series)
            });
        }
    }

    /// At the end: what was missed in bulk counts what it covers.
    pub(super) fn check_counts(&mut self) {
        for missed in self.ranges.clone() {
            let spans = self.spans.get(&missed.series).cloned().unwrap_or_default();
            let mut count = 0;
            for span in spans {
                let upto = span
                    .upto
                    .unwrap_or(missed.range.upto)
                    .min(missed.range.upto);
                let from = span.from.max(missed.range.after);
                let times = self.times(&span.trigger, upto);
                let first = times.partition_point(|t| *t <= from);
                count += times[first..].iter().take_while(|t| **t <= upto).count() as u64;
            }
            hold(1, count == missed.count || self.restored, || {
                format!("{missed:?} covers {count}")
            });
        }
    }

    /// The occurrence that comes after so many others.
    pub(super) fn coming(
        &mut self,
        trigger: &TriggerSpec,
        now: Timestamp,
        nth: usize,
    ) -> Option<Timestamp> {
        let times = self.times(trigger, now + AHEAD);
        let next = times.partition_point(|t| *t <= now);
        times.get(next + nth).copied()
    }

    /// The occurrences of a trigger up to there, since before the night.
    fn times(&mut self, trigger: &TriggerSpec, upto: Timestamp) -> &[Timestamp] {
        let zone = zone(&trigger.zone).unwrap();
        let origin = self.origin;
        let times = self.times.entry(trigger.clone()).or_insert(Times {
            upto: origin,
            instants: Vec::new(),
        });
        if upto > times.upto {
            let until = upto.max(times.upto + AHEAD * 2);
            let more = expander::occurrences(trigger, &zone, times.upto, until);
            times.instants.extend(more);
            times.upto = until;
        }
        &times.instants
    }
}
