//! How a date or a time is written: the usual letters of `strftime`, read once into what cannot fail.
//!
//! Of our own, since a number must be proven to be one before any date is known: each letter says how many digits it
//! gives. The tests hold it against jiff's.

use std::fmt::Write;

use super::TemplateError;
use super::date::Moment;
use crate::sched::time::civil::{DateTime, Time};

/// A format that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Format(Box<[Part]>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    /// A letter; without leading zeros when `bare`.
    Field {
        field: Field,
        bare: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Year,
    ShortYear,
    Month,
    MonthName,
    ShortMonthName,
    Day,
    DayOfYear,
    Quarter,
    WeekYear,
    Week,
    Weekday,
    WeekdayName,
    ShortWeekdayName,
    Hour,
    Hour12,
    Half,
    Minute,
    Second,
    Offset,
    ColonOffset,
    Epoch,
}

/// The letters with what they are; the longer ones first.
const LETTERS: [(&str, Field); 22] = [
    (":z", Field::ColonOffset),
    ("Y", Field::Year),
    ("y", Field::ShortYear),
    ("m", Field::Month),
    ("B", Field::MonthName),
    ("b", Field::ShortMonthName),
    ("h", Field::ShortMonthName),
    ("d", Field::Day),
    ("j", Field::DayOfYear),
    ("q", Field::Quarter),
    ("G", Field::WeekYear),
    ("V", Field::Week),
    ("u", Field::Weekday),
    ("A", Field::WeekdayName),
    ("a", Field::ShortWeekdayName),
    ("H", Field::Hour),
    ("I", Field::Hour12),
    ("p", Field::Half),
    ("M", Field::Minute),
    ("S", Field::Second),
    ("z", Field::Offset),
    ("s", Field::Epoch),
];

/// Letters that are short for several.
const SHORT: [(char, &str); 3] = [('F', "%Y-%m-%d"), ('T', "%H:%M:%S"), ('R', "%H:%M")];

/// What a format may say.
const HINT: &str = "of a date %Y %y %m %d %j %q %G %V %u %B %b %A %a %F, of nominal also %H %I %p %M %S %T %R %z %:z %s; \
                    %-d is without zeros, %% a percent sign";

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const WEEKDAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

/// Every letter, with its percent sign.
pub(super) fn letters() -> impl Iterator<Item = String> {
    let long = LETTERS.iter().map(|(letter, _)| format!("%{letter}"));
    long.chain(SHORT.iter().map(|(letter, _)| format!("%{letter}")))
}

impl Format {
    /// Reads a format that stands at byte `base` of the template, for a date or for what has a time of day.
    pub(super) fn parse(text: &str, base: usize, timed: bool) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut at = 0;
        while let Some(found) = text[at..].find('%') {
            push_text(&mut parts, &text[at..at + found]);
            at += found;
            at += letter(&text[at..], base + at, timed, &mut parts)?;
        }
        push_text(&mut parts, &text[at..]);
        if parts.is_empty() {
            let message = "a format must not be empty";
            return Err(TemplateError::new(base..base, message, HINT));
        }
        Ok(Self(parts.into()))
    }

    pub(super) fn write(&self, moment: Moment, out: &mut String) {
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Field { field, bare } => field.write(moment, *bare, out),
            }
        }
    }

    /// How many digits it gives at most; `None` when it may give anything else. The first may have a sign.
    pub(super) fn digits(&self, first: bool) -> Option<usize> {
        let mut count = 0;
        for (index, part) in self.0.iter().enumerate() {
            count += match part {
                Part::Text(text) => all_digits(text)?,
                Part::Field {
                    field: Field::Epoch,
                    ..
                } if index > 0 || !first => return None,
                Part::Field { field, .. } => field.width()?,
            };
        }
        Some(count)
    }
}

/// How many characters a text has that is digits alone.
pub(super) fn all_digits(text: &str) -> Option<usize> {
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then_some(text.len())
}

/// One letter behind a percent sign; gives back how many bytes it takes.
fn letter(
    rest: &str,
    base: usize,
    timed: bool,
    parts: &mut Vec<Part>,
) -> Result<usize, TemplateError> {
    let behind = &rest[1..];
    let bare = behind.starts_with('-');
    let word = &behind[usize::from(bare)..];
    let first = word.chars().next();
    let known = LETTERS.iter().find(|(letter, _)| word.starts_with(letter));
    let wrong =
        |message: &str, length: usize| Err(TemplateError::new(base..base + length, message, HINT));
    match (known, first) {
        (Some((letter, field)), _) => {
            let length = 1 + usize::from(bare) + letter.len();
            if field.is_timed() && !timed {
                let message = "a date has no time of day";
                let hint = "write {{ nominal | format(…) }}, which has one";
                return Err(TemplateError::new(base..base + length, message, hint));
            }
            if bare && field.width().is_none() {
                return wrong("only a number can be without zeros", length);
            }
            let field = *field;
            parts.push(Part::Field { field, bare });
            Ok(length)
        }
        (None, Some('%')) if !bare => {
            push_text(parts, "%");
            Ok(2)
        }
        (None, Some(letter)) => {
            let length = 1 + usize::from(bare) + letter.len_utf8();
            match SHORT.iter().find(|(short, _)| *short == letter && !bare) {
                Some((_, long)) => {
                    let inner =
                        Format::parse(long, base, timed).map_err(|error| TemplateError {
                            span: base..base + length,
                            ..error
                        })?;
                    parts.extend(inner.0);
                    Ok(length)
                }
                None => wrong("there is no such letter for dates", length),
            }
        }
        (None, None) => wrong("a letter must follow the percent sign", rest.len()),
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    if !text.is_empty() {
        parts.push(Part::Text(text.into()));
    }
}

/// A date as `2027-03-01`, a time as `2027-03-01T02:15:00+01:00`.
pub(super) fn write_plain(moment: Moment, out: &mut String) {
    let bare = false;
    let mut put = |between: &str, field: Field| {
        out.push_str(between);
        field.write(moment, bare, out);
    };
    put("", Field::Year);
    put("-", Field::Month);
    put("-", Field::Day);
    if matches!(moment, Moment::Time(..)) {
        put("T", Field::Hour);
        put(":", Field::Minute);
        put(":", Field::Second);
        put("", Field::ColonOffset);
    }
}

impl Field {
    fn is_timed(self) -> bool {
        matches!(
            self,
            Self::Hour
                | Self::Hour12
                | Self::Half
                | Self::Minute
                | Self::Second
                | Self::Offset
                | Self::ColonOffset
                | Self::Epoch
        )
    }

    /// How many digits it has at most; `None` of what is no number.
    fn width(self) -> Option<usize> {
        match self {
            Self::Year | Self::WeekYear => Some(4),
            Self::DayOfYear => Some(3),
            Self::ShortYear
            | Self::Month
            | Self::Day
            | Self::Week
            | Self::Hour
            | Self::Hour12
            | Self::Minute
            | Self::Second => Some(2),
            Self::Quarter | Self::Weekday => Some(1),
            // to the year 9999
            Self::Epoch => Some(12),
            Self::MonthName
            | Self::ShortMonthName
            | Self::WeekdayName
            | Self::ShortWeekdayName
            | Self::Half
            | Self::Offset
            | Self::ColonOffset => None,
        }
    }

    fn write(self, moment: Moment, bare: bool, out: &mut String) {
        match self.number(moment) {
            // what is written to a text does not fail
            Some(n) if bare || self == Self::Epoch => {
                let _ = write!(out, "{n}");
            }
            Some(n) => {
                let _ = write!(out, "{n:00$}", self.width().unwrap_or_default());
            }
            None => self.write_word(moment, out),
        }
    }

    fn number(self, moment: Moment) -> Option<i64> {
        let date = moment.date();
        let time = match moment {
            Moment::Day(_) => Time::midnight(),
            Moment::Time(civil, _) => civil.time(),
        };
        Some(match self {
            Self::Year => date.year().into(),
            Self::ShortYear => i64::from(date.year()).rem_euclid(100),
            Self::Month => date.month().into(),
            Self::Day => date.day().into(),
            Self::DayOfYear => date.day_of_year().into(),
            Self::Quarter => i64::from((date.month() - 1) / 3 + 1),
            Self::WeekYear => date.iso_week_date().year().into(),
            Self::Week => date.iso_week_date().week().into(),
            Self::Weekday => date.weekday().to_monday_one_offset().into(),
            Self::Hour => time.hour().into(),
            Self::Hour12 => i64::from((time.hour() + 11) % 12 + 1),
            Self::Minute => time.minute().into(),
            Self::Second => time.second().into(),
            Self::Epoch => moment.instant().as_second(),
            _ => return None,
        })
    }

    fn write_word(self, moment: Moment, out: &mut String) {
        let date = moment.date();
        let month = || usize::try_from(date.month() - 1).unwrap_or_default();
        let weekday =
            || usize::try_from(date.weekday().to_monday_zero_offset()).unwrap_or_default();
        let name = |names: &'static [&str], index: usize| names.get(index).copied().unwrap_or("");
        match self {
            Self::MonthName => out.push_str(name(&MONTHS, month())),
            Self::ShortMonthName => out.extend(name(&MONTHS, month()).chars().take(3)),
            Self::WeekdayName => out.push_str(name(&WEEKDAYS, weekday())),
            Self::ShortWeekdayName => out.extend(name(&WEEKDAYS, weekday()).chars().take(3)),
            Self::Half => out.push_str(match moment {
                Moment::Time(civil, _) if is_afternoon(civil) => "PM",
                _ => "AM",
            }),
            Self::Offset => write_offset(moment, "", out),
            Self::ColonOffset => write_offset(moment, ":", out),
            // the others are numbers
            _ => {}
        }
    }
}

fn is_afternoon(civil: DateTime) -> bool {
    civil.hour() >= 12
}

/// `+01:00`; seconds, which no zone has had for a long time, are left out as in RFC 3339.
fn write_offset(moment: Moment, colon: &str, out: &mut String) {
    let seconds = match moment {
        Moment::Day(_) => 0,
        Moment::Time(_, offset) => offset.seconds(),
    };
    let minutes = seconds.abs() / 60;
    let sign = if seconds < 0 { '-' } else { '+' };
    let _ = write!(out, "{sign}{:02}{colon}{:02}", minutes / 60, minutes % 60);
}
