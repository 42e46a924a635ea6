//! What an expression matches on the civil time line, where there is no zone and every time exists once: a set of bits
//! for each field, since all is checked and resolved when it is read. Patterns that (almost) never match are refused.

use jiff::civil::{Date, DateTime, Time, date};

use super::dialect::{Days, Expression};
use super::field::Special;
use super::kind::Kind;
use super::piece::Fault;

/// The longest wait for a match: from 29 February 2096 to that of 2104.
const LONGEST_GAP_YEARS: i16 = 8;

/// Every seventh bit.
const WEEKLY: u64 = 1 | 1 << 7 | 1 << 14 | 1 << 21 | 1 << 28;

/// A pattern with its class. Bit n of a field is its value n; weekdays count from Sunday.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pattern {
    seconds: u64,
    minutes: u64,
    hours: u64,
    months: u64,
    /// Either of the next two is enough; else both must match, and a field that is left open matches every day.
    either: bool,
    by_day: ByDay,
    by_weekday: ByWeekday,
    /// All 24 hours: it counts elapsed time, not the clock on the wall.
    pub(super) interval_like: bool,
}

/// What the day field matches.
#[derive(Clone, Copy, Debug, Default)]
struct ByDay {
    days: u64,
    last: bool,
    last_workday: bool,
    /// Days whose nearest workday is meant.
    nearest: u64,
}

/// What the weekday field matches.
#[derive(Clone, Copy, Debug, Default)]
struct ByWeekday {
    weekdays: u64,
    /// The last of these in a month.
    last: u64,
    /// The first to fifth of these in a month.
    nth: [u8; 5],
}

impl Pattern {
    /// Whether it matches one time of day only.
    pub(super) fn names_one_time(&self) -> bool {
        let one = |bits: u64| bits.count_ones() == 1;
        one(self.seconds) && one(self.minutes) && one(self.hours)
    }

    /// The pattern of a checked expression.
    pub(super) fn of(expression: &Expression<'_>) -> Result<Self, Fault> {
        let mut by_day = ByDay {
            days: expression.day.values,
            ..ByDay::default()
        };
        let mut by_weekday = ByWeekday {
            weekdays: expression.weekday.values,
            ..ByWeekday::default()
        };
        let fields = [&expression.day, &expression.weekday];
        for special in fields.into_iter().flat_map(|field| &field.specials) {
            match *special {
                Special::LastDay => by_day.last = true,
                Special::LastWorkday => by_day.last_workday = true,
                Special::Nearest(day) => by_day.nearest |= 1 << day,
                Special::Last(weekday) => by_weekday.last |= 1 << weekday,
                Special::Nth(weekday, n) => by_weekday.nth[n as usize - 1] |= 1 << weekday,
            }
        }
        let pattern = Self {
            seconds: expression.second.values,
            minutes: expression.minute.values,
            hours: expression.hour.values,
            months: expression.month.values,
            either: expression.days() == Days::Either,
            by_day,
            by_weekday,
            interval_like: expression.hour.is_full(),
        };
        pattern.refuse_rare(expression)?;
        Ok(pattern)
    }

    /// The first match at or after a civil time; `None` when the calendar ends before it. Some hundred months are
    /// looked at in the worst case, since rare patterns are refused.
    pub(super) fn next(&self, from: DateTime) -> Option<DateTime> {
        let mut date = self.date_from(from.date())?;
        if date == from.date() {
            if let Some(time) = self.time_from(from.time()) {
                return Some(date.to_datetime(time));
            }
            date = self.date_from(date.tomorrow().ok()?)?;
        }
        Some(date.to_datetime(self.time_from(Time::midnight())?))
    }

    /// The first time of a day at or after this one.
    fn time_from(&self, from: Time) -> Option<Time> {
        let at = |hour: i8, minute: i8, second: i8| Time::new(hour, minute, second, 0).ok();
        let (hour, minute) = (from.hour(), from.minute());
        if has(self.hours, hour) {
            if has(self.minutes, minute)
                && let Some(second) = first(self.seconds, from.second())
            {
                return at(hour, minute, second);
            }
            if let Some(minute) = first(self.minutes, minute + 1) {
                return at(hour, minute, first(self.seconds, 0)?);
            }
        }
        let hour = first(self.hours, hour + 1)?;
        at(hour, first(self.minutes, 0)?, first(self.seconds, 0)?)
    }

    /// The first matching date at or after this one.
    fn date_from(&self, from: Date) -> Option<Date> {
        let mut begin = from;
        loop {
            if let Some(day) = first(self.days_of(begin), begin.day()) {
                return Date::new(begin.year(), begin.month(), day).ok();
            }
            begin = begin.last_of_month().tomorrow().ok()?;
        }
    }

    /// The matching days of the month in which a date lies.
    fn days_of(&self, date: Date) -> u64 {
        if !has(self.months, date.month()) {
            return 0;
        }
        let month = Month {
            // 35 is five weeks, so that nothing is below zero.
            begins_on: (date.weekday().to_sunday_zero_offset() + 35 - (date.day() - 1)) % 7,
            length: date.days_in_month(),
        };
        let (by_day, by_weekday) = (self.by_day.of(&month), self.by_weekday.of(&month));
        match self.either {
            true => by_day | by_weekday,
            false => by_day & by_weekday,
        }
    }

    /// Refuses patterns that do not match at least once in eight years.
    fn refuse_rare(&self, expression: &Expression<'_>) -> Result<(), Fault> {
        // Within 28 years a year begins on each weekday, with a leap day and without.
        if (2000..2028).all(|year| self.matches_in(year)) {
            return Ok(());
        }
        match self.longest_gap_years() {
            Some(gap) if gap <= LONGEST_GAP_YEARS => Ok(()),
            gap => Err(rare(expression, gap)),
        }
    }

    /// The longest wait between two years with a match, over the 400 years after which the calendar repeats; `None`
    /// when no year has one.
    fn longest_gap_years(&self) -> Option<i16> {
        let years: Vec<i16> = (2000..2400).filter(|&year| self.matches_in(year)).collect();
        let (first, last) = (years.first()?, years.last()?);
        let around = first + 400 - last;
        let gaps = years.windows(2).map(|pair| pair[1] - pair[0]);
        gaps.chain([around]).max()
    }

    fn matches_in(&self, year: i16) -> bool {
        (1..=12).any(|month| self.days_of(date(year, month, 1)) != 0)
    }
}

/// A month of the calendar.
struct Month {
    /// A weekday, from Sunday.
    begins_on: i8,
    length: i8,
}

impl Month {
    fn days(&self) -> u64 {
        (1 << (self.length + 1)) - 2
    }

    /// All days with this weekday.
    fn each(&self, weekday: i8) -> u64 {
        let first = 1 + (7 + weekday - self.begins_on) % 7;
        (WEEKLY << first) & self.days()
    }

    /// The day from Monday to Friday of this month that is nearest to one of its days.
    fn nearest_workday(&self, day: i8) -> i8 {
        match (self.begins_on + day - 1) % 7 {
            6 if day == 1 => 3,
            6 => day - 1,
            0 if day == self.length => day - 2,
            0 => day + 1,
            _ => day,
        }
    }
}

impl ByDay {
    fn of(&self, month: &Month) -> u64 {
        let mut days = self.days & month.days();
        if self.last {
            days |= 1 << month.length;
        }
        if self.last_workday {
            days |= 1 << month.nearest_workday(month.length);
        }
        for day in bits(self.nearest & month.days()) {
            days |= 1 << month.nearest_workday(day);
        }
        days
    }
}

impl ByWeekday {
    fn of(&self, month: &Month) -> u64 {
        if self.weekdays == Kind::Weekday.all() {
            return month.days();
        }
        let mut days = 0;
        for weekday in 0..7 {
            let each = month.each(weekday);
            if has(self.weekdays, weekday) {
                days |= each;
            }
            if has(self.last, weekday) {
                days |= 1 << each.ilog2();
            }
            for (day, weekdays) in bits(each).zip(self.nth) {
                if has(weekdays.into(), weekday) {
                    days |= 1 << day;
                }
            }
        }
        days
    }
}

fn has(set: u64, value: i8) -> bool {
    set >> value & 1 == 1
}

/// The first value of a set at or after this one, which is at most 63.
fn first(set: u64, from: i8) -> Option<i8> {
    let rest = set & (u64::MAX << from);
    (rest != 0).then_some(rest.trailing_zeros() as i8)
}

fn bits(set: u64) -> impl Iterator<Item = i8> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let value = first(set, from)?;
        from = value + 1;
        Some(value)
    })
}

fn rare(expression: &Expression<'_>, gap: Option<i16>) -> Fault {
    let message = match gap {
        None => "no date ever matches: these days do not occur in these months".to_owned(),
        Some(years) => format!("years pass without a matching date, up to {years} in a row"),
    };
    let (field, hint) = if expression.day.is_open() {
        (
            &expression.weekday,
            "write for example `5L` for the last Friday of the month",
        )
    } else {
        (&expression.day, "write `L` for the last day of the month")
    };
    field.piece.fault(message, Some(hint.to_owned()))
}
