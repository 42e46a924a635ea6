//! The matches of one expression on the civil time line, less what `from`, `until` and `exclude` take away.
//!
//! Times are handled as *civil seconds*: the seconds of a wall time as if it were UTC, so that placing it in a zone
//! is a subtraction.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;

use super::pattern::Pattern;
use super::spec::TriggerSpec;

/// A day in seconds.
pub(super) const DAY: i64 = 86_400;

/// The bounds that a schedule puts on all its expressions.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    /// Civil seconds, inclusive.
    pub(super) from: Option<i64>,
    /// Civil seconds, exclusive.
    pub(super) until: Option<i64>,
    /// Sorted.
    exclude: Vec<Date>,
}

impl Bounds {
    pub(super) fn of(spec: &TriggerSpec) -> Self {
        let mut exclude = spec.exclude.clone();
        exclude.sort_unstable();
        exclude.dedup();
        Self {
            from: spec.from.map(seconds_up),
            until: spec.until.map(seconds_up),
            exclude,
        }
    }

    /// Whether nothing runs on this civil date.
    pub(super) fn excludes(&self, date: Date) -> bool {
        self.exclude.binary_search(&date).is_ok()
    }
}

/// The matches of a pattern within bounds.
#[derive(Clone, Debug)]
pub(super) struct Matches {
    pub(super) pattern: Pattern,
    pub(super) bounds: Arc<Bounds>,
}

impl Matches {
    /// The first match at or after these civil seconds.
    ///
    /// `from` and `until` bound clock-like patterns here, by the wall time that they name. For an interval-like pattern
    /// they are instants, and bound it where it is placed: in a repeated hour its wall times go back.
    pub(super) fn next(&self, from: i64) -> Option<i64> {
        let clock_like = !self.pattern.interval_like;
        let low = if clock_like {
            from.max(self.bounds.from.unwrap_or(from))
        } else {
            from
        };
        // West of Greenwich the first wall times of the calendar have no civil seconds.
        let mut civil = datetime(low.max(Timestamp::MIN.as_second()))?;
        // Each turn but the last passes an excluded date, so there are at most as many turns as dates.
        loop {
            let found = self.pattern.next(civil)?;
            if clock_like
                && self
                    .bounds
                    .until
                    .is_some_and(|until| seconds(found) >= until)
            {
                return None;
            }
            if !self.bounds.excludes(found.date()) {
                // The last day of the calendar has no instants.
                return Offset::UTC.to_timestamp(found).ok().map(whole_seconds);
            }
            civil = found
                .date()
                .tomorrow()
                .ok()?
                .to_datetime(jiff::civil::Time::midnight());
        }
    }
}

/// The civil seconds of a wall time; parts of a second are dropped.
pub(super) fn seconds(civil: DateTime) -> i64 {
    match Offset::UTC.to_timestamp(civil) {
        Ok(as_if_utc) => whole_seconds(as_if_utc),
        // The very last day of the calendar has no instant in UTC.
        Err(_) if civil.year() > 0 => Timestamp::MAX.as_second(),
        Err(_) => Timestamp::MIN.as_second(),
    }
}

/// The same, rounded up, so that a bound holds for whole seconds.
fn seconds_up(civil: DateTime) -> i64 {
    seconds(civil) + i64::from(civil.subsec_nanosecond() > 0)
}

/// The wall time of civil seconds, `None` outside the calendar.
pub(super) fn datetime(seconds: i64) -> Option<DateTime> {
    Some(Offset::UTC.to_datetime(Timestamp::from_second(seconds).ok()?))
}

/// The last whole second at or before an instant.
pub(super) fn whole_seconds(t: Timestamp) -> i64 {
    t.as_second() - i64::from(t.subsec_nanosecond() < 0)
}
