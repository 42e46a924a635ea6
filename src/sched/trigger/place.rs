//! The daylight-saving rules: the matches of one expression, placed in a zone.
//!
//! Interval-like patterns match every real instant whose wall clock matches. Clock-like patterns name a time of day,
//! which must happen once: what a gap swallows runs once at the first instant after it, and what the clock shows twice
//! runs the first time (or as the schedule says). A gap of a day and more swallows whole dates; those are told as *no
//! such day*, each at an instant of its own: whole milliseconds before the change, in the order of the dates. All other
//! occurrences lie on whole seconds, so they cannot collide.
//!
//! Invariant: the instants of successive answers are strictly increasing, whatever the zone does.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::civil::{self, DAY, Matches};
use super::spec::{DstGap, DstOverlap};
use super::zone::{REACH, Span, timestamp};
use super::{Fold, Occurrence, Shape};

/// The wall times from the first up to but without the second, as civil seconds.
pub(super) type CivilRange = (i64, i64);

/// The part of a span whose wall times count.
#[derive(Clone, Copy, Debug)]
struct Window {
    first: i64,
    end: i64,
    /// Wall times before this one have been shown before.
    repeated: i64,
}

/// A pattern in a zone, with the policies of its schedule.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) matches: Matches,
    pub(super) gap: DstGap,
    pub(super) overlap: DstOverlap,
}

impl Placed {
    /// The first occurrence after `t`.
    pub(super) fn after(&self, zone: &TimeZone, t: Timestamp) -> Option<Occurrence> {
        let asked = self.not_before_from(zone, civil::whole_seconds(t));
        let t = t.max(timestamp(asked));
        let mut span = Span::at(zone, asked);
        let mut low = asked + span.offset + 1;
        // One turn for each span, up to that of the next match; what bounds them is that patterns match within years
        // (`pattern.rs`), that a list of excluded dates ends, and that the calendar ends.
        loop {
            let window = self.window(zone, span, low);
            let found = self.matches.next(low.max(window.first));
            match found {
                Some(civil) if civil < window.end => return self.plain(zone, span, window, civil),
                None if span.end.is_none_or(|end| end > asked + REACH) => return None,
                _ => {}
            }
            let next = span.next(zone)?;
            if let Some(missed) = self.at_change(zone, span, next, t) {
                return Some(missed);
            }
            (span, low) = (next, i64::MIN);
        }
    }

    /// Leaps to the neighbourhood of `from`, so that a far beginning costs no walk.
    fn not_before_from(&self, zone: &TimeZone, asked: i64) -> i64 {
        match self.matches.bounds.from {
            None => asked,
            Some(from) if self.interval_like() => asked.max(instant_of(zone, from) - 1),
            Some(from) => asked.max(from - REACH),
        }
    }

    fn interval_like(&self) -> bool {
        self.matches.pattern.interval_like
    }

    /// The wall times of a span that count, for one who asks from `low` on.
    fn window(&self, zone: &TimeZone, span: Span, low: i64) -> Window {
        let (mut first, mut end) = (span.civil_start(), span.civil_end());
        // Far behind the span's beginning nothing is shown a second time; looking it up is what costs.
        let near = low <= first.saturating_add(REACH);
        let repeated = if near {
            span.shown_before(zone)
        } else {
            i64::MIN
        };
        if !self.interval_like() {
            match self.overlap {
                DstOverlap::Both => {}
                DstOverlap::First => first = first.max(repeated),
                DstOverlap::Last => end = end.min(span.shown_after(zone)),
            }
        }
        Window {
            first,
            end,
            repeated,
        }
    }

    fn plain(&self, zone: &TimeZone, span: Span, window: Window, civil: i64) -> Option<Occurrence> {
        let instant = civil - span.offset;
        if self.interval_like()
            && let Some(until) = self.matches.bounds.until
            && instant >= instant_of(zone, until)
        {
            return None;
        }
        let second = civil < window.repeated;
        Some(Occurrence {
            instant: Timestamp::from_second(instant).ok()?,
            civil: civil::datetime(civil)?,
            fold: if second { Fold::Second } else { Fold::First },
            shape: Shape::Plain,
            clock_like: !self.interval_like(),
        })
    }

    /// The wall times that the change between two spans swallows, when it does.
    pub(super) fn swallowed(&self, zone: &TimeZone, span: Span, next: Span) -> Option<CivilRange> {
        let first = match self.overlap {
            // A time that was left to a later showing and is swallowed there must still run.
            DstOverlap::Last => span.civil_end(),
            DstOverlap::First | DstOverlap::Both => next.shown_before(zone),
        };
        (first < next.civil_start()).then_some((first, next.civil_start()))
    }

    /// What happens at the change between two spans after `t`, besides the ordinary times of either.
    fn at_change(
        &self,
        zone: &TimeZone,
        span: Span,
        next: Span,
        t: Timestamp,
    ) -> Option<Occurrence> {
        if self.interval_like() || next.civil_start() <= span.civil_end() {
            return None;
        }
        let (first, end) = self.swallowed(zone, span, next)?;
        if end - span.civil_end() >= DAY {
            return self
                .no_such_days((first, end), next.start?)
                .find(|missed| missed.instant > t);
        }
        let civil = self.matches.next(first).filter(|&civil| civil < end)?;
        // An ordinary time at the first instant after the gap is the same occurrence, and gives it its name.
        let ordinary = || {
            let window = self.window(zone, next, end);
            window.first <= end && end < window.end && self.matches.next(end) == Some(end)
        };
        if self.gap == DstGap::Skip || ordinary() {
            return None;
        }
        Some(Occurrence {
            instant: Timestamp::from_second(next.start?).ok()?,
            civil: civil::datetime(civil)?,
            fold: Fold::First,
            shape: Shape::Gap,
            clock_like: true,
        })
    }

    /// One occurrence for each swallowed date that would have had one.
    fn no_such_days(
        &self,
        (first, end): CivilRange,
        change: i64,
    ) -> impl Iterator<Item = Occurrence> {
        let last_day = (end - 1).div_euclid(DAY);
        (first.div_euclid(DAY)..=last_day).filter_map(move |day| {
            let civil = self.matches.next(first.max(day * DAY))?;
            let before_change = last_day - day + 1;
            (civil < end.min((day + 1) * DAY)).then_some(Occurrence {
                instant: Timestamp::from_millisecond(change * 1000 - before_change).ok()?,
                civil: civil::datetime(civil)?,
                fold: Fold::First,
                shape: Shape::NoSuchDay,
                clock_like: true,
            })
        })
    }
}

/// The first instant at which a zone's clocks show this wall time or, when they never do, a later one.
pub(super) fn instant_of(zone: &TimeZone, civil: i64) -> i64 {
    let mut span = Span::at(zone, civil - REACH);
    while span.civil_end() <= civil
        && let Some(next) = span.next(zone)
    {
        span = next;
    }
    (civil.max(span.civil_start())) - span.offset
}
