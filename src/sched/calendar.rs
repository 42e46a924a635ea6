//! Which coming times find a run of each schedule that they come after, by the calendar alone: before anything happens.
//!
//! What the calendar cannot know (pauses, wishes to skip, times that are missed) is left out.

use std::collections::HashMap;
use std::sync::Arc;

use super::id::{ScheduleName, SeriesId, SetName};
use super::policy::after::{date_in, sets_for};
use super::schedule::Definition;
use super::time::{Timestamp, civil, earlier};
use super::trigger::{Occurrence, Shape, Trigger};

/// So many occurrences of a schedule are looked at.
const LOOKED_AT: usize = 2_000;
/// So many occurrences of a predecessor are looked at for one date.
const OF_A_DATE: usize = 1_000;
/// Chains that are longer are taken for whole.
const DEEPEST: u32 = 100;

/// Schedules that are planned, by name.
#[derive(Debug, Default)]
pub struct Calendar<'a> {
    schedules: HashMap<&'a ScheduleName, (&'a [Arc<Definition>], &'a Trigger)>,
    /// Whether an occurrence of a series that itself comes after others finds these.
    known: HashMap<(&'a SeriesId, Timestamp), bool>,
}

/// A time that finds no run of a schedule that it comes after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// The time.
    pub occurrence: Occurrence,
    /// The first schedule that has none.
    pub schedule: ScheduleName,
    /// On which date, in that schedule's zone.
    pub date: Option<civil::Date>,
}

/// The coming times of a series that find no predecessor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lacking {
    /// They, in order.
    pub times: Vec<Lack>,
    /// Of so many coming times.
    pub of: usize,
}

impl<'a> Calendar<'a> {
    /// The calendar of these schedules: name, series, times.
    pub fn of(
        schedules: impl IntoIterator<Item = (&'a ScheduleName, &'a [Arc<Definition>], &'a Trigger)>,
    ) -> Self {
        let schedules = schedules.into_iter();
        Self {
            schedules: schedules.map(|(name, d, t)| (name, (d, t))).collect(),
            known: HashMap::new(),
        }
    }

    /// The times of a series after `from` and up to `until` that find no predecessor.
    pub fn lacking(
        &mut self,
        series: &'a Definition,
        trigger: &Trigger,
        from: Timestamp,
        until: Timestamp,
    ) -> Lacking {
        let mut lacking = Lacking::default();
        if series.after.is_none() {
            return lacking;
        }
        for occurrence in coming(trigger, from, until) {
            lacking.of += 1;
            lacking
                .times
                .extend(self.lack(series, trigger, &occurrence, 0));
        }
        lacking
    }

    /// Whether any of the times of a series in a span finds its predecessors; also when it has no time there.
    pub fn ever_finds(
        &mut self,
        series: &'a Definition,
        trigger: &Trigger,
        from: Timestamp,
        until: Timestamp,
    ) -> bool {
        let mut times = coming(trigger, from, until).peekable();
        times.peek().is_none() || times.any(|o| self.lack(series, trigger, &o, 0).is_none())
    }

    fn lack(
        &mut self,
        series: &'a Definition,
        trigger: &Trigger,
        occurrence: &Occurrence,
        depth: u32,
    ) -> Option<Lack> {
        let after = series.after.as_deref()?;
        let due = trigger.due(&series.series, occurrence);
        for schedule in &after.schedules {
            let planned = self.schedules.get(schedule).copied();
            let zone = planned.map(|(_, t)| (t.spec().zone.as_str(), t.zone()));
            let own = series.trigger.zone.as_str();
            let date = zone.map(|zone| date_in(zone, own, occurrence.civil, occurrence.instant));
            let found = match (planned, date) {
                (Some((definitions, trigger)), Some(date)) => {
                    let set = &series.series.set;
                    let of_date = (date, due);
                    self.has_run(for_set(set, definitions), trigger, of_date, depth)
                }
                _ => false,
            };
            if !found {
                return Some(Lack {
                    occurrence: *occurrence,
                    schedule: schedule.clone(),
                    date,
                });
            }
        }
        None
    }

    /// Whether any of these series has a run of that date that is due by then.
    fn has_run(
        &mut self,
        series: Vec<&'a Definition>,
        trigger: &Trigger,
        (date, due): (civil::Date, Timestamp),
        depth: u32,
    ) -> bool {
        let Ok(begins) = date.to_zoned(trigger.zone().clone()) else {
            return false;
        };
        let before = earlier(begins.timestamp(), std::time::Duration::from_nanos(1));
        let of_date = coming(trigger, before, due)
            .take(OF_A_DATE)
            .take_while(|o| o.civil.date() <= date)
            .filter(|o| o.civil.date() == date);
        for occurrence in of_date {
            for definition in &series {
                let in_time = trigger.due(&definition.series, &occurrence) <= due;
                if in_time && self.finds(definition, trigger, &occurrence, depth) {
                    return true;
                }
            }
        }
        false
    }

    /// Whether an occurrence of a predecessor runs as far as its own predecessors go.
    fn finds(
        &mut self,
        series: &'a Definition,
        trigger: &Trigger,
        occurrence: &Occurrence,
        depth: u32,
    ) -> bool {
        if series.after.is_none() || depth >= DEEPEST {
            return true;
        }
        let key = (&series.series, occurrence.instant);
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let found = self.lack(series, trigger, occurrence, depth + 1).is_none();
        self.known.insert(key, found);
        found
    }
}

/// The series of a predecessor that count for a set.
fn for_set<'a>(set: &SetName, definitions: &'a [Arc<Definition>]) -> Vec<&'a Definition> {
    let sets: Vec<SetName> = definitions.iter().map(|d| d.series.set.clone()).collect();
    let chosen = sets_for(set, &sets);
    let definitions = definitions.iter().map(|d| &**d);
    definitions
        .filter(|d| chosen.contains(&d.series.set))
        .collect()
}

/// The occurrences after `from` and up to `until` that run, by the calendar.
fn coming(
    trigger: &Trigger,
    from: Timestamp,
    until: Timestamp,
) -> impl Iterator<Item = Occurrence> {
    let following = |o: &Occurrence| trigger.after(o.instant);
    std::iter::successors(trigger.after(from), following)
        .take(LOOKED_AT)
        .take_while(move |o| o.instant <= until)
        .filter(|o| o.shape != Shape::NoSuchDay)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
