//! A cron matcher of its own: reads a line and says whether a date, an hour, a minute, a second is in it. It shares
//! nothing with the scheduler's dialect, so that a misreading there is not repeated here.

use jiff::civil::{Date, Weekday};

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// A line, as the values of its fields in bits and its rules for days.
pub(crate) struct Cron {
    seconds: u64,
    minutes: u64,
    hours: u64,
    months: u64,
    days: Vec<DayRule>,
    weekdays: Vec<DayRule>,
    /// One of the two day fields begins with `*`: then a day must be in both, else in either.
    both: bool,
}

/// One item of a day field.
enum DayRule {
    DayOfMonth(u64),
    LastDay,
    LastWorkday,
    NearestWorkday(i8),
    Weekday(u64),
    LastWeekday(i8),
    NthWeekday(i8, i8),
}

impl Cron {
    /// Reads a line that is known to be right; panics at anything else, and at `H`, which needs a name.
    pub(crate) fn read(line: &str) -> Self {
        let line = line.trim().to_ascii_lowercase();
        let plain = match line.as_str() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            other => other,
        };
        let mut words: Vec<&str> = plain.split_whitespace().collect();
        if words.len() == 5 {
            words.insert(0, "0");
        }
        let [second, minute, hour, day, month, weekday] = words[..] else {
            panic!("the expander takes five or six fields: {line}");
        };
        let open = |word: &str| word.starts_with(['*', '?']);
        Self {
            seconds: values(second, 0, 59, &[]),
            minutes: values(minute, 0, 59, &[]),
            hours: values(hour, 0, 23, &[]),
            months: values(month, 1, 12, &MONTHS),
            days: day.split(',').map(day_of_month).collect(),
            weekdays: weekday.split(',').map(day_of_week).collect(),
            both: open(day) || open(weekday),
        }
    }

    /// Whether it names all 24 hours.
    pub(crate) fn interval_like(&self) -> bool {
        self.hours.count_ones() == 24
    }

    pub(crate) fn has_date(&self, date: Date) -> bool {
        let has = |rules: &[DayRule]| rules.iter().any(|rule| rule.has(date));
        let (day, weekday) = (has(&self.days), has(&self.weekdays));
        let in_days = if self.both {
            day && weekday
        } else {
            day || weekday
        };
        in_days && contains(self.months, date.month())
    }

    pub(crate) fn has_hour(&self, hour: i64) -> bool {
        self.hours & (1 << hour) != 0
    }

    pub(crate) fn has_minute(&self, minute: i64) -> bool {
        self.minutes & (1 << minute) != 0
    }

    pub(crate) fn has_second(&self, second: i64) -> bool {
        self.seconds & (1 << second) != 0
    }
}

impl DayRule {
    fn has(&self, date: Date) -> bool {
        let (day, last) = (date.day(), date.days_in_month());
        let weekday = date.weekday().to_sunday_zero_offset();
        match *self {
            Self::DayOfMonth(days) => contains(days, day),
            Self::LastDay => day == last,
            Self::LastWorkday => nearest_of((1..=last).rev(), date) == Some(day),
            Self::NearestWorkday(to) if to > last => false,
            Self::NearestWorkday(to) => {
                nearest_of([to, to - 1, to + 1, to - 2, to + 2], date) == Some(day)
            }
            Self::Weekday(days) => contains(days, weekday),
            Self::LastWeekday(which) => weekday == which && day + 7 > last,
            Self::NthWeekday(which, nth) => weekday == which && (day - 1) / 7 + 1 == nth,
        }
    }
}

/// The first of these days of the date's month that is one of Monday to Friday.
fn nearest_of(days: impl IntoIterator<Item = i8>, date: Date) -> Option<i8> {
    let workday = |day: &i8| {
        let date = Date::new(date.year(), date.month(), *day).ok();
        date.is_some_and(|d| !matches!(d.weekday(), Weekday::Saturday | Weekday::Sunday))
    };
    days.into_iter().find(workday)
}

fn contains(bits: u64, value: i8) -> bool {
    bits & (1 << value) != 0
}

fn day_of_month(item: &str) -> DayRule {
    match item {
        "l" => DayRule::LastDay,
        "lw" | "wl" => DayRule::LastWorkday,
        "?" => DayRule::DayOfMonth(values("*", 1, 31, &[])),
        _ => match item.strip_suffix('w') {
            Some(day) => DayRule::NearestWorkday(number(day)),
            None => DayRule::DayOfMonth(values(item, 1, 31, &[])),
        },
    }
}

fn day_of_week(item: &str) -> DayRule {
    if let Some((day, nth)) = item.split_once('#') {
        return DayRule::NthWeekday(weekday(day), number(nth));
    }
    if let Some(day) = item.strip_suffix('l') {
        return DayRule::LastWeekday(weekday(day));
    }
    // 0 and 7 are Sunday, and a range may end with it: `fri-sun`.
    let ends_with_sunday = item.ends_with("-sun") || item.ends_with("-0");
    let item = match item.rsplit_once('-') {
        Some((first, _)) if ends_with_sunday && !matches!(first, "sun" | "0") => {
            format!("{first}-7")
        }
        _ if item == "?" => "*".to_owned(),
        _ => item.to_owned(),
    };
    let high = if item.starts_with('*') { 6 } else { 7 };
    let days = values(&item, 0, high, &WEEKDAYS);
    DayRule::Weekday(days & 0x7f | days >> 7)
}

fn weekday(text: &str) -> i8 {
    let days = values(text, 0, 7, &WEEKDAYS);
    i8::try_from(days.trailing_zeros() % 7).unwrap()
}

/// The values of a list, as bits.
fn values(list: &str, low: i8, high: i8, names: &[&str]) -> u64 {
    let value = |text: &str| {
        let named = names.iter().position(|name| *name == text);
        named.map_or_else(|| number(text), |at| low + i8::try_from(at).unwrap())
    };
    let mut bits = 0;
    for item in list.split(',') {
        assert!(
            !item.starts_with('h'),
            "the expander does not know `H`: it needs a name"
        );
        let (range, step) = item.split_once('/').unwrap_or((item, "1"));
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (low, high),
            Some((first, last)) => (value(first), value(last)),
            None => (value(range), value(range)),
        };
        let inside = low <= first && first <= last && last <= high;
        assert!(inside, "the expander cannot read `{item}` of `{list}`");
        let step: usize = step.parse().unwrap();
        (first..=last)
            .step_by(step)
            .for_each(|value| bits |= 1 << value);
    }
    bits
}

fn number(text: &str) -> i8 {
    text.parse()
        .unwrap_or_else(|_| panic!("the expander cannot read `{text}`"))
}
