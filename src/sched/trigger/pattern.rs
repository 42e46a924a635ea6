//! What an expression matches on the civil time line, where there is no zone and every time exists once. The matching
//! is croner's; this file keeps its patterns, each only once, and refuses those that (almost) never match.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use croner::parser::{CronParser, Seconds, Year};
use croner::{Cron, Weekday};
use jiff::civil::DateTime;

use super::dialect::{Days, Expression};
use super::field::Special;
use super::piece::Fault;

/// The years that croner knows end here.
const LAST_YEAR: i16 = 4999;

/// The longest wait for a match: from 29 February 2096 to that of 2104.
const LONGEST_GAP_YEARS: i32 = 8;

/// A pattern with its class.
#[derive(Debug)]
pub(super) struct Pattern {
    cron: Cron,
    /// All 24 hours: it counts elapsed time, not the clock on the wall.
    pub(super) interval_like: bool,
}

/// Every pattern in use, by its plain text: a pattern takes 6 KB and some 20 us to read, and thousands of schedules
/// share a few hundred of them. A memo only: the same text always gives an equal pattern.
static IN_USE: LazyLock<Mutex<HashMap<String, Weak<Pattern>>>> = LazyLock::new(Mutex::default);

impl Pattern {
    /// The pattern of a checked expression.
    pub(super) fn of(expression: &Expression<'_>) -> Result<Arc<Self>, Fault> {
        let text = expression.plain();
        let mut in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = in_use.get(&text).and_then(Weak::upgrade) {
            return Ok(known);
        }
        let pattern = Arc::new(Self::read(&text, expression)?);
        if in_use.len() == in_use.capacity() {
            in_use.retain(|_, pattern| pattern.strong_count() > 0);
        }
        in_use.insert(text, Arc::downgrade(&pattern));
        Ok(pattern)
    }

    fn read(text: &str, expression: &Expression<'_>) -> Result<Self, Fault> {
        let parser = CronParser::builder()
            .seconds(Seconds::Required)
            .year(Year::Disallowed)
            .build();
        // The dialect lets nothing through that this refuses; should it happen, it is the user's line that is refused.
        let cron = parser.parse(text).map_err(|e| Fault {
            span: None,
            message: format!("the expression is not understood: {e}"),
            hint: None,
        })?;
        let pattern = Self {
            cron,
            interval_like: expression.hour.is_full(),
        };
        pattern.refuse_rare(expression)?;
        Ok(pattern)
    }

    /// The first match at or after a civil time; `None` when there is none in the years that are known.
    pub(super) fn next(&self, from: DateTime) -> Option<DateTime> {
        let first = DateTime::constant(1, 1, 1, 0, 0, 0, 0);
        if from.year() > LAST_YEAR {
            return None;
        }
        self.cron.find_next_occurrence(&from.max(first), true).ok()
    }

    /// Refuses patterns that do not match at least once in eight years, from the sets and never by a search.
    fn refuse_rare(&self, expression: &Expression<'_>) -> Result<(), Fault> {
        if matches_often(expression) {
            return Ok(());
        }
        match self.longest_gap_years(&expression.month.list()) {
            Some(gap) if gap <= LONGEST_GAP_YEARS => Ok(()),
            gap => Err(rare(expression, gap)),
        }
    }

    /// The longest wait between two years with a match in these months, over the 400 years after which the calendar
    /// repeats; `None` when no year has one.
    fn longest_gap_years(&self, months: &[u32]) -> Option<i32> {
        // A year's calendar is known by the weekday of its first day and by its length: fourteen kinds.
        let mut kinds = [[None; 2]; 7];
        let mut matches = |year: i16| {
            let new_year = jiff::civil::date(year, 1, 1);
            let kind = &mut kinds
                [new_year.weekday().to_monday_zero_offset().unsigned_abs() as usize]
                [usize::from(new_year.in_leap_year())];
            *kind.get_or_insert_with(|| months.iter().any(|&month| self.month_matches(year, month)))
        };
        let years: Vec<i32> = (2000..2400_i16)
            .filter(|&year| matches(year))
            .map(i32::from)
            .collect();
        let (first, last) = (years.first()?, years.last()?);
        let around = first + 400 - last;
        years
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .chain([around])
            .max()
    }

    fn month_matches(&self, year: i16, month: u32) -> bool {
        let month8 = i8::try_from(month).unwrap_or(1);
        let first = jiff::civil::date(year, month8, 1);
        let before = first.weekday().to_sunday_zero_offset();
        (1..=first.days_in_month()).any(|day| {
            let weekday = u32::from((before + day - 1).unsigned_abs()) % 7;
            let weekday = Weekday::from_days_from_sunday(weekday);
            let day = u32::from(day.unsigned_abs());
            self.cron
                .pattern
                .day_match(i32::from(year), month, day, weekday)
                .unwrap_or(false)
        })
    }
}

/// Whether the sets alone show that some day matches at least once a year.
fn matches_often(expression: &Expression<'_>) -> bool {
    let early = |day: &u32| *day <= 28;
    let by_day = || {
        let special = |s: &Special| match s {
            Special::Nearest(day) => early(day),
            _ => true,
        };
        expression.day.list().iter().any(early) || expression.day.specials.iter().any(special)
    };
    let by_weekday = || {
        let special = |s: &Special| !matches!(s, Special::Nth(_, 5));
        expression.weekday.values != 0 || expression.weekday.specials.iter().any(special)
    };
    match expression.days() {
        Days::Open => true,
        Days::One if expression.weekday.is_open() => by_day(),
        Days::One => by_weekday(),
        Days::Either => by_day() || by_weekday(),
        Days::Both => false,
    }
}

fn rare(expression: &Expression<'_>, gap: Option<i32>) -> Fault {
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
