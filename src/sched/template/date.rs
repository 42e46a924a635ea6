//! Dates and wall times as templates have them, and what can be done with them.
//!
//! Invariant: nothing here fails. What would leave the years 1 to 9999 stays at their first or last day.

use jiff::tz::{AmbiguousOffset, Offset};
use jiff::{SignedDuration, Span, Timestamp};

use crate::sched::time::TimeZone;
use crate::sched::time::civil::{Date, DateTime, date};
use crate::sched::trigger::Fold;

/// The first day; a Monday.
pub(super) const FIRST: Date = date(1, 1, 1);

/// The last day; a Friday.
pub(super) const LAST: Date = date(9999, 12, 31);

/// A unit of an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Day,
    WorkingDay,
    Week,
    Month,
    Year,
    Hour,
    Minute,
}

/// The units with their words.
pub(super) const UNITS: [(&str, Unit); 7] = [
    ("d", Unit::Day),
    ("wd", Unit::WorkingDay),
    ("w", Unit::Week),
    ("mo", Unit::Month),
    ("y", Unit::Year),
    ("h", Unit::Hour),
    ("min", Unit::Minute),
];

impl Unit {
    /// Whether it needs a time of day.
    pub(super) fn is_timed(self) -> bool {
        matches!(self, Self::Hour | Self::Minute)
    }
}

/// The first or last day of the span that holds a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edge {
    WeekStart,
    WeekEnd,
    MonthStart,
    MonthEnd,
    QuarterStart,
    QuarterEnd,
    YearStart,
    YearEnd,
}

/// The edges with their words.
pub(super) const EDGES: [(&str, Edge); 8] = [
    ("week_start", Edge::WeekStart),
    ("week_end", Edge::WeekEnd),
    ("month_start", Edge::MonthStart),
    ("month_end", Edge::MonthEnd),
    ("quarter_start", Edge::QuarterStart),
    ("quarter_end", Edge::QuarterEnd),
    ("year_start", Edge::YearStart),
    ("year_end", Edge::YearEnd),
];

/// One thing that is done with a date or a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// So many units later, or earlier.
    Shift { back: bool, count: u16, unit: Unit },
    /// To a first or last day; a time of day is dropped.
    To(Edge),
}

/// A date, or a wall time with its offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Day(Date),
    Time(DateTime, Offset),
}

impl Moment {
    pub(super) fn day(date: Date) -> Self {
        Self::Day(within(date))
    }

    /// A wall time in a zone: in a gap with the offset before it.
    pub(super) fn time(civil: DateTime, fold: Fold, zone: &TimeZone) -> Self {
        let civil = DateTime::from_parts(within(civil.date()), civil.time());
        let offset = match zone.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Gap { before, .. } => before,
            AmbiguousOffset::Fold { before, after } => match fold {
                Fold::First => before,
                Fold::Second => after,
            },
        };
        Self::Time(civil, offset)
    }

    pub(super) fn date(self) -> Date {
        match self {
            Self::Day(date) => date,
            Self::Time(civil, _) => civil.date(),
        }
    }

    /// The instant; of a date its midnight in UTC.
    pub(super) fn instant(self) -> Timestamp {
        let (civil, offset) = match self {
            Self::Day(date) => (date.to_datetime(Default::default()), Offset::UTC),
            Self::Time(civil, offset) => (civil, offset),
        };
        let outside = || match civil.date() < date(5000, 1, 1) {
            true => Timestamp::MIN,
            false => Timestamp::MAX,
        };
        offset.to_timestamp(civil).unwrap_or_else(|_| outside())
    }

    /// After one step. Days and more are counted on the calendar and leave the wall time alone; hours and minutes are
    /// real ones.
    pub(super) fn moved(self, step: &Step, zone: &TimeZone) -> Self {
        match (*step, self) {
            (Step::To(edge), _) => Self::day(edge.of(self.date())),
            (Step::Shift { back, count, unit }, Self::Day(date)) => {
                Self::Day(shifted(date, back, count, unit))
            }
            (Step::Shift { back, count, unit }, Self::Time(civil, _)) => match seconds(unit) {
                Some(seconds) => self.later(signed(back, count) * seconds, zone),
                None => {
                    let date = shifted(civil.date(), back, count, unit);
                    let civil = DateTime::from_parts(date, civil.time());
                    Self::time(civil, Fold::First, zone)
                }
            },
        }
    }

    /// So many real seconds later.
    fn later(self, seconds: i64, zone: &TimeZone) -> Self {
        let far = match seconds < 0 {
            true => Timestamp::MIN,
            false => Timestamp::MAX,
        };
        let moved = self
            .instant()
            .checked_add(SignedDuration::from_secs(seconds));
        let instant = moved.unwrap_or(far);
        let offset = zone.to_offset(instant);
        let civil = offset.to_datetime(instant);
        Self::Time(
            DateTime::from_parts(within(civil.date()), civil.time()),
            offset,
        )
    }
}

fn signed(back: bool, count: u16) -> i64 {
    match back {
        true => -i64::from(count),
        false => i64::from(count),
    }
}

fn seconds(unit: Unit) -> Option<i64> {
    match unit {
        Unit::Hour => Some(3600),
        Unit::Minute => Some(60),
        _ => None,
    }
}

/// The date itself, or the nearest that templates have.
fn within(date: Date) -> Date {
    date.clamp(FIRST, LAST)
}

fn shifted(date: Date, back: bool, count: u16, unit: Unit) -> Date {
    let n = signed(back, count);
    let span = Span::new();
    let span = match unit {
        Unit::Day => span.days(n),
        Unit::Week => span.weeks(n),
        // a day that the month does not have becomes its last
        Unit::Month => span.months(n),
        Unit::Year => span.years(n),
        Unit::WorkingDay => return working(date, back, n),
        // a date has none, as is checked when the template is read
        Unit::Hour | Unit::Minute => span,
    };
    within(date.saturating_add(span))
}

fn days_later(date: Date, days: i64) -> Date {
    within(date.saturating_add(Span::new().days(days)))
}

/// Days from Monday, 0 to 6.
fn weekday(date: Date) -> i64 {
    i64::from(date.weekday().to_monday_zero_offset())
}

/// So many working days later, Monday to Friday; of a weekend the next one is Monday, the one before Friday. No working
/// day at all: the day itself or, of a weekend, the nearest in the direction of the sign.
fn working(date: Date, back: bool, n: i64) -> Date {
    let today = weekday(date);
    // counted from the working day before a weekend, or behind it, so that the first step is the nearest
    let from_start = match (today > 4, n == 0, back) {
        (false, ..) => 0,
        (true, false, false) | (true, true, true) => 4 - today,
        (true, false, true) | (true, true, false) => 7 - today,
    };
    let start = (today + from_start) % 7;
    let steps = start + n;
    let days = steps.div_euclid(5) * 7 + steps.rem_euclid(5) - start;
    days_later(date, from_start + days)
}

impl Edge {
    fn of(self, date: Date) -> Date {
        let quarter = (date.month() - 1) / 3 * 3 + 1;
        match self {
            Self::WeekStart => days_later(date, -weekday(date)),
            Self::WeekEnd => days_later(date, 6 - weekday(date)),
            Self::MonthStart => date.first_of_month(),
            Self::MonthEnd => date.last_of_month(),
            Self::QuarterStart => month(date, quarter).first_of_month(),
            Self::QuarterEnd => month(date, quarter + 2).last_of_month(),
            Self::YearStart => date.first_of_year(),
            Self::YearEnd => date.last_of_year(),
        }
    }
}

/// The first day of another month of the same year.
fn month(date: Date, number: i8) -> Date {
    let first = date.first_of_month();
    let by = i64::from(number - first.month());
    first.saturating_add(Span::new().months(by))
}
