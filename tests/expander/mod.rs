//! When a schedule runs, worked out a second time, the slow way: what the wall clock of the zone shows is watched, and
//! each time it shows is held against the cron line. It knows the rules of *Time* and nothing of the scheduler: not its
//! trigger, not its patterns, not its way of walking through a zone. Tests take from here what must happen.
//!
//! Shared by the test binaries: `#[path = "../expander/mod.rs"] mod expander;`

// Each test binary uses a part of it.
#![allow(dead_code)]

mod clock;
mod cron;

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use nightcall::sched::trigger::{DstGap, DstOverlap, Rhythm, TriggerSpec};

pub(crate) use self::clock::Clock;
use self::clock::Even;
use self::cron::Cron;

const DAY: i64 = 86_400;

/// How far before and after a window the clock is watched: no clock since 1970 was turned by more than a day.
const AROUND: i64 = 2 * DAY;

/// One nominal time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Nominal {
    /// Where it is placed.
    pub(crate) instant: Timestamp,
    /// The wall time that it is named by.
    pub(crate) civil: DateTime,
    /// Whether the clock shows that wall time for the second time.
    pub(crate) second: bool,
    pub(crate) kind: Kind,
}

/// Why it is where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The clock shows its wall time.
    Shown,
    /// The clock leaps over its wall time: it runs right after the leap.
    Missing,
    /// The clock leaps over its whole day: it is recorded and does not run.
    NoSuchDay,
}

/// The nominal instants in (after, upto], without jitter, of what runs and of what is recorded as *no such day*.
/// Panics at a specification that is not right, and at `H`.
pub(crate) fn occurrences(
    spec: &TriggerSpec,
    zone: &TimeZone,
    after: Timestamp,
    upto: Timestamp,
) -> Vec<Timestamp> {
    let nominals = expand(spec, zone, after, upto);
    nominals.iter().map(|nominal| nominal.instant).collect()
}

/// The same with their names and kinds.
pub(crate) fn expand(
    spec: &TriggerSpec,
    zone: &TimeZone,
    after: Timestamp,
    upto: Timestamp,
) -> Vec<Nominal> {
    let clock = watch_around(zone, after, upto);
    expand_by(&clock, spec, zone, after, upto)
}

/// The clock as [`expand_by`] wants it, to be used for several schedules.
pub(crate) fn watch_around(zone: &TimeZone, after: Timestamp, upto: Timestamp) -> Clock {
    Clock::watch(zone, after.as_second() - AROUND, upto.as_second() + AROUND)
}

/// The nominal times in (after, upto], by a clock that was watched from well before to well after.
pub(crate) fn expand_by(
    clock: &Clock,
    spec: &TriggerSpec,
    zone: &TimeZone,
    after: Timestamp,
    upto: Timestamp,
) -> Vec<Nominal> {
    let bounds = Bounds::of(spec, zone);
    let window = (after.as_second(), upto.as_second() + 1);
    let mut found = match &spec.rhythm {
        Rhythm::Every(period) => {
            let period = i64::try_from(period.as_secs()).unwrap();
            every(clock, &bounds, period, window)
        }
        Rhythm::Cron(lines) => {
            let crons = lines.iter().map(|line| Cron::read(line));
            crons
                .flat_map(|cron| match cron.interval_like() {
                    true => every_showing(clock, &bounds, &cron, window),
                    false => once_each(clock, &bounds, &cron, spec, window),
                })
                .collect()
        }
    };
    // One for each instant: what the clock shows gives the name, else the earliest that is missing.
    found.sort_by_key(|nominal| (nominal.instant, nominal.kind, nominal.civil));
    found.dedup_by_key(|nominal| nominal.instant);
    found.retain(|nominal| after < nominal.instant && nominal.instant <= upto);
    found
}

/// Whether a line names all 24 hours, and so goes by elapsed time.
pub(crate) fn interval_like(line: &str) -> bool {
    Cron::read(line).interval_like()
}

/// What `from`, `until` and `exclude` leave.
struct Bounds<'a> {
    /// As wall times.
    from: i64,
    until: i64,
    /// As the instants at which the clock first shows them.
    from_instant: i64,
    until_instant: i64,
    exclude: &'a [Date],
}

impl<'a> Bounds<'a> {
    fn of(spec: &'a TriggerSpec, zone: &TimeZone) -> Self {
        let whole = |t: DateTime| wall(t) + i64::from(t.subsec_nanosecond() > 0);
        let (from, until) = (spec.from.map(whole), spec.until.map(whole));
        let first_showing = |wall: i64| {
            let clock = Clock::watch(zone, wall - AROUND, wall + AROUND);
            clock
                .first_showing(wall)
                .expect("a clock comes to every time")
        };
        Self {
            from: from.unwrap_or(i64::MIN),
            until: until.unwrap_or(i64::MAX),
            from_instant: from.map_or(i64::MIN, first_showing),
            until_instant: until.map_or(i64::MAX, first_showing),
            exclude: &spec.exclude,
        }
    }

    fn has_date(&self, wall: i64) -> bool {
        self.exclude.is_empty() || !self.exclude.contains(&civil(wall).date())
    }

    /// For what is bounded by its wall time.
    fn has_wall(&self, wall: i64) -> bool {
        self.from <= wall && wall < self.until && self.has_date(wall)
    }

    /// For what is bounded by its instant.
    fn has_instant(&self, instant: i64, wall: i64) -> bool {
        let inside = self.from_instant <= instant && instant < self.until_instant;
        inside && self.has_date(wall)
    }
}

/// Multiples of the period since the epoch, whatever the clock does.
fn every(clock: &Clock, bounds: &Bounds<'_>, period: i64, window: (i64, i64)) -> Vec<Nominal> {
    let (first, last) = (window.0.div_euclid(period), window.1.div_euclid(period));
    let mut found = Vec::new();
    for instant in (first..=last).map(|n| n * period) {
        let within = |even: &Even| (even.start..even.end).contains(&instant);
        let Some(at) = clock.0.iter().position(within) else {
            continue;
        };
        let wall = instant + clock.0[at].ahead;
        if bounds.has_instant(instant, wall) {
            found.push(shown(clock, at, wall));
        }
    }
    found
}

/// Every instant at which the clock shows a matching time.
fn every_showing(
    clock: &Clock,
    bounds: &Bounds<'_>,
    cron: &Cron,
    window: (i64, i64),
) -> Vec<Nominal> {
    let mut found = Vec::new();
    for (at, even) in clock.0.iter().enumerate() {
        for wall in shown_matches(cron, even, window) {
            if bounds.has_instant(wall - even.ahead, wall) {
                found.push(shown(clock, at, wall));
            }
        }
    }
    found
}

/// Every matching wall time once, as the policies of the schedule say.
fn once_each(
    clock: &Clock,
    bounds: &Bounds<'_>,
    cron: &Cron,
    spec: &TriggerSpec,
    window: (i64, i64),
) -> Vec<Nominal> {
    let mut found = Vec::new();
    for (at, even) in clock.0.iter().enumerate() {
        if at > 0 && window.0 <= even.start && even.start <= window.1 {
            found.extend(at_leap(clock, at, bounds, cron, spec));
        }
        for wall in shown_matches(cron, even, window) {
            let counts = match spec.dst_overlap {
                DstOverlap::First => !shown_before(clock, at, wall),
                DstOverlap::Last => !shown_after(clock, at, wall),
                DstOverlap::Both => true,
            };
            if counts && bounds.has_wall(wall) {
                found.push(shown(clock, at, wall));
            }
        }
    }
    found
}

/// What happens for the matching times that the clock leaves out when it comes to this piece.
fn at_leap(
    clock: &Clock,
    at: usize,
    bounds: &Bounds<'_>,
    cron: &Cron,
    spec: &TriggerSpec,
) -> Vec<Nominal> {
    let before = at - 1;
    let leap = (clock.0[before].shows_until(), clock.0[at].shows());
    let elsewhere = |wall| match spec.dst_overlap {
        DstOverlap::Last => shown_after(clock, before, wall),
        DstOverlap::First | DstOverlap::Both => shown_before(clock, at, wall),
    };
    let missing: Vec<i64> = matches(cron, leap.0, leap.1)
        .into_iter()
        .filter(|wall| bounds.has_wall(*wall) && !elsewhere(*wall))
        .collect();
    leapt_over(leap, clock.0[at].start, &missing, spec.dst_gap)
}

/// One run for all of them; or a record for each day, when the leap is a day or longer.
fn leapt_over(leap: (i64, i64), instant: i64, missing: &[i64], gap: DstGap) -> Vec<Nominal> {
    let nominal = |instant, wall, kind| Nominal {
        instant,
        civil: civil(wall),
        second: false,
        kind,
    };
    if leap.1 - leap.0 < DAY {
        let runs = missing.first().filter(|_| gap == DstGap::Run);
        let one = runs.map(|wall| nominal(seconds(instant), *wall, Kind::Missing));
        return one.into_iter().collect();
    }
    // One for each day, by its first time, whole milliseconds before the leap in the order of the days.
    let mut days = BTreeMap::new();
    for wall in missing {
        days.entry(wall.div_euclid(DAY)).or_insert(*wall);
    }
    let last_day = (leap.1 - 1).div_euclid(DAY);
    let recorded = days.into_iter().map(|(day, wall)| {
        let before = last_day - day + 1;
        let at = Timestamp::from_millisecond(instant * 1000 - before).unwrap();
        nominal(at, wall, Kind::NoSuchDay)
    });
    recorded.collect()
}

fn shown(clock: &Clock, at: usize, wall: i64) -> Nominal {
    Nominal {
        instant: seconds(wall - clock.0[at].ahead),
        civil: civil(wall),
        second: shown_before(clock, at, wall),
        kind: Kind::Shown,
    }
}

/// Whether the clock has shown a wall time in the pieces before this one.
fn shown_before(clock: &Clock, at: usize, wall: i64) -> bool {
    clock.0[..at].iter().any(|even| even.has(wall))
}

/// Whether the clock shows a wall time in the pieces after this one.
fn shown_after(clock: &Clock, at: usize, wall: i64) -> bool {
    clock.0[at + 1..].iter().any(|even| even.has(wall))
}

/// The matching wall times that the clock shows in a piece and in a window of instants.
fn shown_matches(cron: &Cron, even: &Even, window: (i64, i64)) -> Vec<i64> {
    let (start, end) = (even.start.max(window.0), even.end.min(window.1));
    matches(cron, start + even.ahead, end + even.ahead)
}

/// The matching wall times from one up to but without another. Days, hours and minutes that do not match are passed as
/// a whole.
fn matches(cron: &Cron, from: i64, end: i64) -> Vec<i64> {
    let mut found = Vec::new();
    let mut wall = from;
    while wall < end {
        let in_day = wall.rem_euclid(DAY);
        let to_next = |unit: i64| unit - wall.rem_euclid(unit);
        let whole_day = in_day == 0 || wall == from;
        wall += if whole_day && !cron.has_date(civil(wall).date()) {
            to_next(DAY)
        } else if !cron.has_hour(in_day / 3600) {
            to_next(3600)
        } else if !cron.has_minute(in_day / 60 % 60) {
            to_next(60)
        } else {
            if cron.has_second(in_day % 60) {
                found.push(wall);
            }
            1
        };
    }
    found
}

/// The seconds of a wall time as if it were UTC; parts of a second are dropped.
fn wall(t: DateTime) -> i64 {
    let midnight = DateTime::from_parts(t.date(), Time::midnight());
    let days = Offset::UTC.to_timestamp(midnight).unwrap().as_second();
    days + i64::from(t.hour()) * 3600 + i64::from(t.minute()) * 60 + i64::from(t.second())
}

fn civil(wall: i64) -> DateTime {
    Offset::UTC.to_datetime(seconds(wall))
}

fn seconds(instant: i64) -> Timestamp {
    Timestamp::from_second(instant).expect("within the calendar")
}
