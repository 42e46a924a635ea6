//! Expressions that are right and yet seldom meant, with the better line to write.

use super::dialect::{Days, Expression};
use super::field::Field;
use super::kind::Kind;

/// A message and a hint for each thing that is worth a second look.
pub(super) fn of(expression: &Expression<'_>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    found.extend(every_minute_of_an_hour(expression));
    found.extend(every_second(expression));
    found.extend(short_months(expression));
    found.extend(both_days(expression));
    for field in expression.fields() {
        found.extend(
            field
                .steps
                .iter()
                .filter_map(|&step| uneven(expression, field, step)),
        );
    }
    found
}

/// `* 2 * * *`
fn every_minute_of_an_hour(expression: &Expression<'_>) -> Option<(String, String)> {
    if !expression.minute.is_open() || expression.hour.is_full() {
        return None;
    }
    let (times, pace, better) = if expression.second.is_open() {
        let better = expression.with(&[(Kind::Second, "0"), (Kind::Minute, "0")]);
        (3600, "second", better)
    } else {
        (60, "minute", expression.with(&[(Kind::Minute, "0")]))
    };
    let hours = match expression.hour.list().len() {
        1 => "that hour".to_owned(),
        hours => format!("each of {hours} hours"),
    };
    let text = format!("it runs {times} times in {hours}, once a {pace}");
    Some((text, format!("to run once in the hour, write `{better}`")))
}

/// `* 15 2 * * *`
fn every_second(expression: &Expression<'_>) -> Option<(String, String)> {
    let meant = expression.second.is_open() && !expression.minute.is_full();
    meant.then(|| {
        let better = expression.with(&[(Kind::Second, "0")]);
        let text = "it runs 60 times in a minute: six fields begin with the seconds".to_owned();
        (text, format!("to run once in the minute, write `{better}`"))
    })
}

/// `0 2 31 * *`
fn short_months(expression: &Expression<'_>) -> Option<(String, String)> {
    let day = &expression.day;
    let months = expression.month.list();
    let shortest = |month: u32| match month {
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let skipped = |day: u32| {
        months
            .iter()
            .filter(move |&&month| shortest(month) < day)
            .count()
    };
    let last = day
        .numbers
        .iter()
        .copied()
        .filter(|&day| skipped(day) > 0)
        .max()?;
    let text = match (last, skipped(last)) {
        (29, _) => "February has a 29th only in leap years".to_owned(),
        (_, 1) => format!("one of the months has no day {last}, nothing runs in it"),
        (_, n) => format!("{n} of the months have no day {last}, nothing runs in them"),
    };
    let better = expression.with(&[(Kind::Day, "L")]);
    Some((
        text,
        format!("for the last day of the month write `{better}`"),
    ))
}

/// `0 2 13 * FRI`
fn both_days(expression: &Expression<'_>) -> Option<(String, String)> {
    let days = expression.day.piece.text;
    let weekdays = expression.weekday.piece.text;
    match expression.days() {
        Days::Open | Days::One => None,
        Days::Either => Some((
            format!(
                "day `{days}` and weekday `{weekdays}` are both given: it runs when either matches"
            ),
            "write `*` for one of them; the second Friday of a month is `* * FRI#2`".to_owned(),
        )),
        Days::Both => Some((
            format!(
                "day `{days}` and weekday `{weekdays}` are both given, one with a step over `*`: it runs only when \
                 both match, as in Vixie cron"
            ),
            "write `*` for one of them".to_owned(),
        )),
    }
}

/// `*/7`, `*/70`
fn uneven(expression: &Expression<'_>, field: &Field<'_>, step: u32) -> Option<(String, String)> {
    let (size, name) = (field.kind.size(), field.kind.name());
    if step >= size {
        let single = expression.with(&[(field.kind, &field.plain())]);
        let text =
            format!("a step of {step} is more than all {size} {name}s: only one value is left");
        return Some((text, format!("write `{single}`")));
    }
    // Months differ in length, so steps over days are never even.
    if step == 1 || (field.size_is_multiple_of(step) && field.kind != Kind::Day) {
        return None;
    }
    let round = match field.kind {
        Kind::Second => "minute",
        Kind::Minute => "hour",
        Kind::Hour => "day",
        Kind::Day => "month",
        Kind::Month => "year",
        Kind::Weekday => "week",
    };
    let hint = match field.kind {
        Kind::Second => format!("for even steps write every = \"{step}s\""),
        Kind::Minute => format!("for even steps write every = \"{step}m\""),
        Kind::Hour => format!("for even steps write every = \"{step}h\""),
        _ => "write the values that are meant, as a list".to_owned(),
    };
    Some((
        format!("steps of {step} {name}s begin anew each {round}, so the last one is shorter"),
        hint,
    ))
}
