//! A trigger in words, for people who do not read cron.

use std::time::Duration;

use super::dialect::{Days, Expression};
use super::field::{Field, Special};
use super::kind::Kind;
use super::spec::{Rhythm, TriggerSpec};

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
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

/// The most times of day that are told one by one.
const FEW: usize = 6;

/// The whole trigger in words, with its zone and bounds.
pub(super) fn of(spec: &TriggerSpec, expressions: &[Expression<'_>]) -> String {
    let mut text = match &spec.rhythm {
        Rhythm::Every(period) => every(*period),
        Rhythm::Cron(_) => {
            let each: Vec<String> = expressions.iter().map(expression).collect();
            each.join("; and ")
        }
    };
    text.push_str(", ");
    text.push_str(&spec.zone);
    if let Some(from) = spec.from {
        text.push_str(&format!(", from {}", from.strftime("%Y-%m-%d %H:%M")));
    }
    if let Some(until) = spec.until {
        text.push_str(&format!(", until {}", until.strftime("%Y-%m-%d %H:%M")));
    }
    match spec.exclude[..] {
        [] => {}
        [date] => text.push_str(&format!(", not on {date}")),
        _ => text.push_str(&format!(", not on {} dates", spec.exclude.len())),
    }
    if !spec.jitter.is_zero() {
        text.push_str(&format!(", up to {} later", duration(spec.jitter)));
    }
    text
}

fn every(period: Duration) -> String {
    let anchor = if 86_400 % period.as_secs().max(1) == 0 {
        "counted from 00:00 UTC"
    } else {
        "counted from 1970-01-01 00:00 UTC"
    };
    format!("every {}, {anchor}", duration(period))
}

/// A duration as a configuration would have it: `6h`, `1h 30m`.
fn duration(d: Duration) -> String {
    let secs = d.as_secs();
    let parts = [
        (secs / 86_400, "d"),
        (secs / 3600 % 24, "h"),
        (secs / 60 % 60, "m"),
        (secs % 60, "s"),
        (u64::from(d.subsec_millis()), "ms"),
    ];
    let told: Vec<String> = parts
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, unit)| format!("{n}{unit}"))
        .collect();
    told.join(" ")
}

fn expression(e: &Expression<'_>) -> String {
    let mut text = time_of_day(e);
    let days = days(e);
    if !days.is_empty() {
        text.push(' ');
        text.push_str(&days);
    }
    if !e.month.is_full() {
        text.push_str(" in ");
        text.push_str(&listed(&e.month, |m| MONTHS[m as usize - 1].to_owned()));
    }
    text
}

fn time_of_day(e: &Expression<'_>) -> String {
    let (seconds, minutes, hours) = (e.second.list(), e.minute.list(), e.hour.list());
    if seconds.len() * minutes.len() * hours.len() <= FEW {
        let mut times = Vec::new();
        for (&hour, &minute) in hours
            .iter()
            .flat_map(|h| minutes.iter().map(move |m| (h, m)))
        {
            times.extend(seconds.iter().map(|&second| match seconds[..] {
                [0] => format!("{hour:02}:{minute:02}"),
                _ => format!("{hour:02}:{minute:02}:{second:02}"),
            }));
        }
        return format!("at {}", joined(&times));
    }
    let whole_minutes = seconds == [0];
    match (whole_minutes, e.minute.is_full(), e.hour.is_full()) {
        (true, true, true) => "every minute".to_owned(),
        (true, true, false) => format!("every minute of {}", counted(&e.hour)),
        (true, false, true) => match even_step(&e.minute) {
            Some(step) => format!("every {step} minutes"),
            None => format!("at {} of every hour", counted(&e.minute)),
        },
        (true, false, false) => format!("at {} of {}", counted(&e.minute), counted(&e.hour)),
        (false, true, true) => match even_step(&e.second) {
            Some(step) => format!("every {step} seconds"),
            None => format!("{} of every minute", at_seconds(&e.second)),
        },
        (false, ..) => {
            let minutes = counted(&e.minute);
            format!(
                "{} of {minutes} of {}",
                at_seconds(&e.second),
                counted(&e.hour)
            )
        }
    }
}

fn at_seconds(second: &Field<'_>) -> String {
    if second.is_full() {
        "every second".to_owned()
    } else {
        format!("at {}", counted(second))
    }
}

/// The `n` of `*/n` when it divides the round evenly.
fn even_step(field: &Field<'_>) -> Option<u32> {
    match field.steps[..] {
        [step] if step > 1 && field.size_is_multiple_of(step) => Some(step),
        _ => None,
    }
}

/// "minute 5", "hours 9 to 17", "every hour".
fn counted(field: &Field<'_>) -> String {
    let name = field.kind.name();
    match field.list()[..] {
        _ if field.is_full() => format!("every {name}"),
        [one] => format!("{name} {one}"),
        _ => format!("{name}s {}", listed(field, |n| n.to_string())),
    }
}

fn days(e: &Expression<'_>) -> String {
    match e.days() {
        Days::Open if e.hour.is_full() => String::new(),
        Days::Open => "every day".to_owned(),
        Days::One if e.day.is_open() => format!("on {}", weekdays(&e.weekday)),
        Days::One => format!("on {} of the month", month_days(&e.day)),
        Days::Either => {
            format!(
                "on {} of the month or on {}",
                month_days(&e.day),
                weekdays(&e.weekday)
            )
        }
        Days::Both => format!(
            "on {} of the month when it is also {}",
            month_days(&e.day),
            weekdays(&e.weekday)
        ),
    }
}

fn month_days(day: &Field<'_>) -> String {
    let mut parts = Vec::new();
    if day.values != 0 {
        parts.push(counted(day));
    }
    parts.extend(day.specials.iter().map(|special| match special {
        Special::LastWorkday => "the last workday".to_owned(),
        Special::Nearest(day) => format!("the workday nearest to day {day}"),
        _ => "the last day".to_owned(),
    }));
    joined(&parts)
}

fn weekdays(field: &Field<'_>) -> String {
    let name = |day: u32| WEEKDAYS[day as usize % 7].to_owned();
    let mut parts = Vec::new();
    if field.values != 0 {
        parts.push(listed(field, name));
    }
    parts.extend(field.specials.iter().map(|special| match *special {
        Special::Nth(day, n) => format!("the {} {} of the month", ordinal(n), name(day)),
        Special::Last(day) => format!("the last {} of the month", name(day)),
        _ => String::new(),
    }));
    joined(&parts)
}

fn ordinal(n: u32) -> &'static str {
    ["first", "second", "third", "fourth", "fifth"][(n as usize - 1).min(4)]
}

/// The values of a field, three and more in a row as a range.
fn listed(field: &Field<'_>, name: impl Fn(u32) -> String) -> String {
    if field.is_full() {
        let name = field.kind.name();
        return if field.kind == Kind::Weekday {
            "any day".to_owned()
        } else {
            format!("every {name}")
        };
    }
    let mut values = field.list();
    if let [first, second, third, .., last] = values[..]
        && values.len() >= FEW
        && second - first > 1
        && values
            .windows(2)
            .all(|pair| pair[1] - pair[0] == second - first)
    {
        return format!(
            "{}, {}, {} … {}",
            name(first),
            name(second),
            name(third),
            name(last)
        );
    }
    if field.kind == Kind::Weekday && values.first() == Some(&0) && values.contains(&6) {
        // A weekend reads better with Sunday last.
        values.rotate_left(1);
    }
    let mut parts: Vec<String> = Vec::new();
    for run in values.chunk_by(|a, b| a + 1 == *b) {
        match run {
            [first, _, .., last] => parts.push(format!("{} to {}", name(*first), name(*last))),
            _ => parts.extend(run.iter().map(|&n| name(n))),
        }
    }
    joined(&parts)
}

/// "a", "a and b", "a, b and c".
fn joined(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}
