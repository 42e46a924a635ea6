//! The occurrences that a written time names, and those around it.

use std::time::Duration;

use jiff::ToSpan;
use jiff::tz::TimeZone;

use super::Case;
use crate::cli::select::when::{Place, When};
use crate::sched::time::{Timestamp, earlier, later};
use crate::sched::trigger::{Occurrence, Trigger};

/// The most occurrences that are looked at for one answer: every second of two days and more.
const WALK: usize = 200_000;

/// The most occurrences that an answer can use.
const KEPT: usize = 1000;

/// How many days back a time of day is looked for.
const DAYS: i64 = 400;

/// How far back the occurrence before a time is looked for, one span after the other.
const BACK: [u64; 5] = [
    3600,
    2 * 86_400,
    62 * 86_400,
    800 * 86_400,
    9 * 366 * 86_400,
];

impl Case<'_> {
    /// The occurrences that a time names, as the schedule is configured now.
    pub(super) fn named(&self, when: &When) -> Vec<Occurrence> {
        match self.schedule {
            Some(schedule) => named(&schedule.trigger, when, self.now()),
            None => Vec::new(),
        }
    }

    /// The last occurrence that is not later than now.
    pub(super) fn last_occurrence(&self) -> Option<Occurrence> {
        let schedule = self.schedule.filter(|_| self.definition.is_some())?;
        before(&schedule.trigger, self.now())
    }
}

/// The occurrences of a trigger that a time names, in order; of a time of day those of the last day that has any.
pub(super) fn named(trigger: &Trigger, when: &When, now: Timestamp) -> Vec<Occurrence> {
    let zone = trigger.zone();
    if let When::Clock(time, precision) = when {
        let today = now.to_zoned(zone.clone()).date();
        let on_day = |back: i64| {
            let date = today.saturating_sub(back.days());
            let at = When::Civil(date.to_datetime(*time), *precision);
            let mut found = named(trigger, &at, now);
            found.retain(|o| o.instant <= now);
            found
        };
        let mut days = (0..=DAYS).map(on_day);
        return days.find(|found| !found.is_empty()).unwrap_or_default();
    }
    let Some((first, last)) = span(when, zone, now) else {
        return Vec::new();
    };
    let place = |o: &Occurrence| Place {
        instant: o.instant,
        civil: o.civil,
    };
    within(trigger, first, last)
        .filter(|o| when.names(place(o), zone, now))
        .take(KEPT)
        .collect()
}

/// The instants between which everything that a time names lies in this zone, closely.
fn span(when: &When, zone: &TimeZone, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let When::Civil(civil, _) = when else {
        return when.window(zone, now);
    };
    // both readings of a repeated time; of a missing one those by the offsets before and after the gap
    let placed = zone.to_ambiguous_timestamp(*civil);
    let (one, other) = (placed.earlier().ok()?, placed.later().ok()?);
    let minute = Duration::from_secs(60);
    Some((
        earlier(one.min(other), minute),
        later(one.max(other), minute),
    ))
}

/// The occurrences from one instant to another, both included.
fn within(
    trigger: &Trigger,
    first: Timestamp,
    last: Timestamp,
) -> impl Iterator<Item = Occurrence> {
    let start = trigger.after(earlier(first, Duration::from_nanos(1)));
    let following = |o: &Occurrence| trigger.after(o.instant).filter(|n| n.instant > o.instant);
    std::iter::successors(start, following)
        .take(WALK)
        .take_while(move |o| o.instant <= last)
}

/// The last occurrence that is not later than `t`.
pub(super) fn before(trigger: &Trigger, t: Timestamp) -> Option<Occurrence> {
    BACK.iter().find_map(|back| {
        let first = earlier(t, Duration::from_secs(*back));
        within(trigger, first, t).last()
    })
}
