//! What is known of series that others wait for, by nominal date, and who looks at which.
//!
//! Invariant: a date that a run looks at is not forgotten.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use crate::sched::id::{ScheduleName, SeriesId, SetName};
use crate::sched::policy::after::{After, Day, Standing, date_in, sets_for};
use crate::sched::run::Run;
use crate::sched::schedule::Definition;
use crate::sched::scheduler::{Setup, Slot};
use crate::sched::step::Missed;
use crate::sched::time::{TimeRange, TimeZone, Timestamp, civil, earlier};
use crate::sched::trigger::Trigger;

/// Nobody looks further back.
const LONGEST: Duration = Duration::from_secs(400 * 86_400);
/// A date begins at most so long before an instant that it holds somewhere.
const A_DATE: Duration = Duration::from_secs(2 * 86_400);

/// What the store knows of series that others wait for, as [`Setup::predecessors_since`] asks.
#[derive(Clone, Debug, Default)]
pub struct Predecessors {
    /// Their runs, by instant and generation.
    pub runs: Vec<Run>,
    /// What passed in bulk.
    pub missed: Vec<Missed>,
}

impl Setup {
    /// The series whose past must be known because others wait for their runs, each with the oldest instant that
    /// matters at that time.
    pub fn predecessors_since(&self, at: Timestamp) -> Vec<(SeriesId, Timestamp)> {
        let wanted = wanted(self.definitions.iter().map(|(d, _)| &**d));
        let since = |(series, span)| (series, earlier(at, span));
        let mut wanted: Vec<_> = wanted.into_iter().map(since).collect();
        wanted.sort();
        wanted
    }
}

/// How far back a successor may look at its predecessors: as old as an occurrence of it may be and still wait.
fn span(successor: &Definition) -> Duration {
    let waits = successor.start_deadline;
    let caught_up = successor.policies.misfire.window;
    let oldest = waits.saturating_add(caught_up).saturating_add(A_DATE);
    oldest.min(LONGEST)
}

/// The series that others wait for, with how far back these may look.
pub(super) fn wanted<'d>(
    definitions: impl Iterator<Item = &'d Definition> + Clone,
) -> HashMap<SeriesId, Duration> {
    let mut wanted: HashMap<SeriesId, Duration> = HashMap::new();
    if definitions.clone().all(|d| d.after.is_none()) {
        return wanted;
    }
    let sets = sets(definitions.clone());
    for successor in definitions {
        for series in predecessors(successor, &sets).into_iter().flatten() {
            let known = wanted.entry(series).or_default();
            *known = span(successor).max(*known);
        }
    }
    wanted
}

pub(super) type Sets = HashMap<ScheduleName, Vec<SetName>>;

/// The sets of the schedules that others name.
pub(super) fn sets<'d>(definitions: impl Iterator<Item = &'d Definition> + Clone) -> Sets {
    let named = definitions.clone().filter_map(|d| d.after.as_ref());
    let mut sets: Sets = named
        .flat_map(|after| &after.schedules)
        .map(|name| (name.clone(), Vec::new()))
        .collect();
    for SeriesId { schedule, set } in definitions.map(|d| &d.series) {
        if let Some(sets) = sets.get_mut(schedule) {
            sets.push(set.clone());
        }
    }
    sets
}

/// The series that a successor looks at, predecessor by predecessor; none of one that is switched off.
fn predecessors(successor: &Definition, sets: &Sets) -> Vec<Vec<SeriesId>> {
    let Some(after) = &successor.after else {
        return Vec::new();
    };
    let of = |name: &ScheduleName| {
        let all = sets.get(name).map_or(&[][..], Vec::as_slice);
        let series = |set: &SetName| SeriesId {
            schedule: name.clone(),
            set: set.clone(),
        };
        let chosen = sets_for(&successor.series.set, all);
        chosen.iter().map(series).collect()
    };
    after.schedules.iter().map(of).collect()
}

/// A series that others wait for.
#[derive(Debug)]
pub(super) struct Watched {
    zone: TimeZone,
    pub(super) zone_name: String,
    /// How far back others may look.
    span: Duration,
    pub(super) days: BTreeMap<civil::Date, Seen>,
}

/// A date of a series, with the runs that look at it.
#[derive(Debug, Default)]
pub(super) struct Seen {
    day: Day,
    pub(super) by: BTreeSet<Slot>,
}

impl Watched {
    pub(super) fn of(trigger: &Trigger, span: Duration) -> Self {
        Self {
            zone: trigger.zone().clone(),
            zone_name: trigger.spec().zone.clone(),
            span,
            days: BTreeMap::new(),
        }
    }

    /// The date on which a run looks here.
    pub(super) fn date_for(&self, run: &Run) -> civil::Date {
        let zone = (self.zone_name.as_str(), &self.zone);
        let own = &run.definition.trigger.zone;
        date_in(zone, own, run.civil, run.id.instant)
    }

    /// The place of a date; `None` for one that is too old for anybody to look at.
    fn date(&mut self, date: civil::Date) -> Option<&mut Seen> {
        if !self.days.contains_key(&date) {
            let newest = self
                .days
                .last_key_value()
                .map_or(date, |(newest, _)| *newest);
            let days = i64::try_from(self.span.as_secs() / 86_400).unwrap_or(i64::MAX);
            let oldest = newest
                .max(date)
                .saturating_sub(jiff::Span::new().days(days + 1));
            self.days
                .retain(|date, seen| *date >= oldest || !seen.by.is_empty());
            if date < oldest {
                return None;
            }
        }
        Some(self.days.entry(date).or_default())
    }
}

/// A run that waits.
#[derive(Debug, Default)]
pub(super) struct Wait {
    /// The dates that it looks at, once it was judged.
    looks_at: Vec<(SeriesId, civil::Date)>,
    /// It may start as far as the others go.
    pub(super) ready: bool,
    /// The last notice that a person must mend something.
    pub(super) told: Option<String>,
}

/// What is known of series that others wait for, and who waits.
#[derive(Debug, Default)]
pub(in super::super) struct Dependencies {
    pub(super) watched: HashMap<SeriesId, Watched>,
    pub(super) sets: Sets,
    pub(super) waits: HashMap<Slot, Wait>,
    /// To be judged as soon as everything up to their due time is decided.
    pub(super) unjudged: BTreeSet<Slot>,
}

impl Dependencies {
    /// Whether a run waits for those of others.
    pub(in super::super) fn holds(&self, slot: Slot) -> bool {
        self.waits.get(&slot).is_some_and(|wait| !wait.ready)
    }

    /// Whether a run comes after those of others, and has not left.
    pub(in super::super) fn looks(&self, slot: Slot) -> bool {
        self.waits.contains_key(&slot)
    }

    /// A run of those that wait is due.
    pub(in super::super) fn is_due(&mut self, slot: Slot) {
        if self.holds(slot) {
            self.unjudged.insert(slot);
        }
    }

    /// Takes in a run as it stands now, and has those judged anew that look at it.
    pub(in super::super) fn note(&mut self, run: &Run) {
        if let Some(watched) = self.watched.get_mut(&run.id.series)
            && let Some(seen) = watched.date(run.civil.date())
        {
            seen.day.note(run);
            self.unjudged.extend(&seen.by);
        }
    }

    /// Times of a series were passed over in bulk.
    pub(super) fn note_range(&mut self, series: &SeriesId, trigger: &Trigger, range: TimeRange) {
        let Some(watched) = self.watched.get_mut(series) else {
            return;
        };
        let mut at = range.after.max(earlier(range.upto, watched.span));
        // The earliest of a date is enough.
        while let Some(first) = trigger.after(at).filter(|o| o.instant <= range.upto) {
            let date = first.civil.date();
            if let Some(seen) = watched.date(date) {
                seen.day.pass(trigger.due(series, &first));
            }
            let next = date
                .tomorrow()
                .and_then(|date| date.to_zoned(watched.zone.clone()));
            let Ok(next) = next else { break };
            at = first
                .instant
                .max(earlier(next.timestamp(), Duration::from_nanos(1)));
        }
    }

    /// A run looks at nobody any more: it has left, or has ended.
    pub(in super::super) fn forget(&mut self, slot: Slot) {
        let Some(wait) = self.waits.remove(&slot) else {
            return;
        };
        self.unjudged.remove(&slot);
        self.look_away(slot, &wait);
    }

    fn look_away(&mut self, slot: Slot, wait: &Wait) {
        for (series, date) in &wait.looks_at {
            let watched = self.watched.get_mut(series);
            if let Some(seen) = watched.and_then(|w| w.days.get_mut(date)) {
                seen.by.remove(&slot);
            }
        }
    }

    /// How the predecessors of a run stand; from now on it is judged anew when that changes.
    pub(super) fn look(
        &mut self,
        slot: Slot,
        run: &Run,
        successor: &Definition,
        after: &After,
    ) -> Vec<Standing> {
        let mut looks_at = Vec::new();
        let mut standings = Vec::with_capacity(after.schedules.len());
        let all = predecessors(successor, &self.sets);
        for (name, series) in after.schedules.iter().zip(all) {
            let mut standing = Standing::of(name);
            for series in series {
                let Some(watched) = self.watched.get_mut(&series) else {
                    continue;
                };
                let date = watched.date_for(run);
                let seen = watched.days.entry(date).or_default();
                seen.by.insert(slot);
                standing = standing.with(&series, &seen.day, run.due);
                looks_at.push((series, date));
            }
            standings.push(standing);
        }
        // They stay the same until another configuration comes, which forgets all.
        if let Some(wait) = self.waits.get_mut(&slot) {
            wait.looks_at = looks_at;
        }
        standings
    }
}
