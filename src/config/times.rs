//! When a schedule runs: cron expressions or a period, bounds, excluded days; and the caret inside an expression.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use toml::de::DeValue;

use super::problem::Problem;
use super::read::{Found, Item, Table};
use super::settings::Said;
use super::source::Place;
use crate::sched::id::ScheduleName;
use crate::sched::time::{TimeZone, civil};
use crate::sched::trigger::{Rhythm, Trigger, TriggerError, TriggerSpec};

/// The most cron expressions of one schedule.
const MOST_EXPRESSIONS: usize = 100;

/// The most dates of `exclude`; each series is stored with its own copy.
const MOST_DATES: usize = 2_000;

/// A checked trigger, and where its expressions stand.
#[derive(Debug)]
pub(super) struct Times<'a> {
    /// What the configuration says, checked.
    pub(super) trigger: Arc<Trigger>,
    /// Each cron expression, or the period.
    pub(super) at: Vec<Item<'a>>,
}

/// The trigger of a schedule; `None` when something is wrong with it.
pub(super) fn times<'a>(
    table: &Table<'a>,
    said: &Said<'_>,
    name: &ScheduleName,
    found: &mut Found,
) -> Option<Times<'a>> {
    let (rhythm, at) = rhythm(table, found)?;
    // with an unknown zone the expressions are still worth checking
    let zone = said.zone.clone().unwrap_or_else(|| Some(utc()));
    let known = zone.is_some();
    let (zone_name, zone) = zone.unwrap_or_else(utc);
    let spec = TriggerSpec {
        rhythm,
        zone: zone_name,
        from: said.from,
        until: said.until,
        exclude: said.exclude.clone().unwrap_or_default(),
        jitter: said.jitter.unwrap_or_default(),
        dst_gap: said.dst_gap.unwrap_or_default(),
        dst_overlap: said.dst_overlap.unwrap_or_default(),
    };
    if spec.from.is_some() && spec.until.is_some() && spec.from >= spec.until {
        return None; // told by `Said::check`
    }
    match Trigger::new(&spec, zone, name) {
        Ok(trigger) => known.then(|| Times {
            trigger: Arc::new(trigger),
            at,
        }),
        Err(error) => {
            if let Some(item) = at.get(error.expression).or(at.first()) {
                found.wrong(blame(item, &error));
            }
            None
        }
    }
}

fn utc() -> (String, TimeZone) {
    ("UTC".to_owned(), TimeZone::UTC)
}

/// Exactly one of `cron` and `every`.
fn rhythm<'a>(table: &Table<'a>, found: &mut Found) -> Option<(Rhythm, Vec<Item<'a>>)> {
    match (table.get("cron"), table.get("every")) {
        (Some(cron), None) => expressions(cron, found),
        (None, Some(every)) => {
            let period = every.duration(Duration::from_secs(1), found)?;
            Some((Rhythm::Every(period), vec![every.clone()]))
        }
        (Some(_), Some(every)) => {
            found.wrong(
                every
                    .key_problem("a schedule has cron or every, not both")
                    .with_hint("keep one of them"),
            );
            None
        }
        (None, None) => {
            found.wrong(
                table
                    .at
                    .problem(&table.path, "says no time: neither cron nor every")
                    .with_hint("add cron = \"15 2 * * *\" (at 02:15) or every = \"6h\""),
            );
            None
        }
    }
}

fn expressions<'a>(item: &Item<'a>, found: &mut Found) -> Option<(Rhythm, Vec<Item<'a>>)> {
    let before = found.problems.len();
    let items = item.one_or_more(found);
    let texts: Vec<String> = items
        .iter()
        .filter_map(|item| item.text(found).map(str::to_owned))
        .collect();
    if found.problems.len() > before {
        return None;
    }
    if texts.is_empty() {
        let hint = format!("write {} = \"15 2 * * *\"", item.key);
        found.wrong(item.problem("names no time").with_hint(hint));
        return None;
    }
    if texts.len() > MOST_EXPRESSIONS {
        let message = format!("has more than {MOST_EXPRESSIONS} expressions");
        found.wrong(item.problem(message));
        return None;
    }
    Some((Rhythm::Cron(texts), items))
}

/// The problem of a trigger, at the bytes of the expression that it names.
fn blame(item: &Item<'_>, error: &TriggerError) -> Problem {
    let at = error
        .span
        .and_then(|(start, end)| inside(item, start..end))
        .unwrap_or(item.at);
    let mut problem = at.problem(&item.path, error.message.clone());
    problem.hint.clone_from(&error.hint);
    problem
}

/// The place of some bytes of a text inside its quotes; `None` when the text is not written in one line.
pub(super) fn inside<'a>(item: &Item<'a>, span: Range<usize>) -> Option<Place<'a>> {
    let raw = item.at.text();
    let quote = match raw.as_bytes() {
        [b'"', b'"', b'"', ..] | [b'\'', b'\'', b'\'', ..] => 3,
        [b'"', ..] | [b'\'', ..] => 1,
        _ => return None,
    };
    let body = raw.get(quote..raw.len().checked_sub(quote)?)?;
    if body.contains('\n') {
        return None;
    }
    let escapes = raw.starts_with('"');
    let start = written(body, span.start, escapes)?;
    let end = written(body, span.end.max(span.start), escapes)?;
    let base = item.at.start + quote;
    Some(Place::new(item.at.source, base + start..base + end))
}

/// Where byte `wanted` of the decoded text is written in the body of a one-line TOML string.
fn written(body: &str, wanted: usize, escapes: bool) -> Option<usize> {
    let (mut decoded, mut at) = (0, 0);
    while at < body.len() {
        if decoded >= wanted {
            return Some(at);
        }
        let rest = &body[at..];
        let first = rest.chars().next()?;
        if first != '\\' || !escapes {
            at += first.len_utf8();
            decoded += first.len_utf8();
            continue;
        }
        let kind = rest[1..].chars().next()?;
        let digits = match kind {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        at += 1 + kind.len_utf8() + digits;
        decoded += match digits {
            0 => 1,
            _ => {
                let code = u32::from_str_radix(rest.get(2..2 + digits)?, 16).ok()?;
                char::from_u32(code)?.len_utf8()
            }
        };
    }
    (decoded >= wanted).then_some(at)
}

/// A civil time or date without offset, as TOML value or as text; a date alone is its midnight.
pub(super) fn civil_time(item: &Item<'_>, found: &mut Found) -> Option<civil::DateTime> {
    let text = match item.value {
        DeValue::String(text) => text.trim(),
        DeValue::Datetime(_) => item.at.text(),
        _ => "",
    };
    let offset = match item.value {
        DeValue::Datetime(time) => time.offset.is_some(),
        // the reader of civil times would pass over an offset in silence
        _ => text
            .get(10..)
            .is_some_and(|time| time.contains(['Z', 'z', '+', '-', '['])),
    };
    let read = match text.len() {
        10 => text.parse::<civil::Date>().ok().map(|d| d.at(0, 0, 0, 0)),
        _ if offset => None,
        _ => text.parse::<civil::DateTime>().ok(),
    };
    if read.is_none() {
        let message = if offset {
            "is a wall time in the schedule's zone and has no offset"
        } else {
            "must be a date, or a date with a time"
        };
        let hint = format!("write {} = 2027-03-01T00:00:00", item.key);
        found.wrong(item.problem(message).with_hint(hint));
    }
    read
}

/// A list of civil dates, as TOML values or as text.
pub(super) fn dates(item: &Item<'_>, found: &mut Found) -> Vec<civil::Date> {
    let mut dates = Vec::new();
    let elements = item.list("a list of dates", found);
    if elements.len() > MOST_DATES {
        let message = format!("there are more than {MOST_DATES} dates");
        found.wrong(
            item.problem(message)
                .with_hint("leave out those that are long past"),
        );
        return dates;
    }
    for element in elements {
        let text = match element.value {
            DeValue::String(text) => text.trim(),
            DeValue::Datetime(time) if time.time.is_none() => element.at.text(),
            _ => "",
        };
        match text.parse::<civil::Date>() {
            Ok(date) if text.len() == 10 => dates.push(date),
            _ => found.wrong(
                element
                    .problem("must be a date")
                    .with_hint("write for example 2027-12-25"),
            ),
        }
    }
    dates
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::config::source::Source;
    use toml::de::DeTable;

    /// What the caret underlines when bytes of the decoded text are blamed.
    fn underlined(text: &str, span: Range<usize>) -> Option<String> {
        let source = Source::new("/a.toml".into(), "a.toml".into(), format!("a = {text}"));
        let parsed = DeTable::parse(&source.text).unwrap();
        let table = Table::of_file(&source, parsed.get_ref());
        inside(&table.items[0], span).map(|place| place.text().to_owned())
    }

    #[test]
    fn the_caret_finds_bytes_inside_every_form_of_string() {
        let table = [
            (r#""0 25 * * *""#, "25"),
            (r"'0 25 * * *'", "25"),
            (r#""0\t25 * * *""#, "25"),
            (r#""0\u002025 * * *""#, "25"),
            (r#""0 \u0032\u0035 * * *""#, r"\u0032\u0035"),
            (r#""""0 25 * * *""""#, "25"),
            (r"'''0 25 * * *'''", "25"),
        ];
        for (text, caret) in table {
            assert_eq!(underlined(text, 2..4).as_deref(), Some(caret), "{text}");
        }
    }

    #[test]
    fn a_text_of_several_lines_is_blamed_as_a_whole() {
        assert_eq!(underlined("\"\"\"0\n25 * * *\"\"\"", 2..4), None);
    }

    #[test]
    fn spans_at_and_beyond_the_end_do_no_harm() {
        assert_eq!(underlined("'abc'", 3..3).as_deref(), Some(""));
        assert_eq!(underlined("'abc'", 2..9), None);
    }

    #[test]
    fn civil_times_are_read_from_values_and_texts() {
        let read = |text: &str| {
            let source = Source::new("/a.toml".into(), "a.toml".into(), format!("a = {text}"));
            let parsed = DeTable::parse(&source.text).unwrap();
            let table = Table::of_file(&source, parsed.get_ref());
            let mut found = Found::default();
            civil_time(&table.items[0], &mut found).ok_or_else(|| found.problems.remove(0).message)
        };
        let noon = civil::date(2027, 3, 1).at(12, 0, 0, 0);
        for text in [
            "2027-03-01T12:00:00",
            "2027-03-01 12:00:00",
            "'2027-03-01T12:00'",
            "'2027-03-01 12:00:00'",
        ] {
            assert_eq!(read(text), Ok(noon), "{text}");
        }
        let midnight = civil::date(2027, 3, 1).at(0, 0, 0, 0);
        assert_eq!(read("2027-03-01"), Ok(midnight));
        for text in [
            "2027-03-01T12:00:00Z",
            "'2027-03-01T12:00:00Z'",
            "'2027-03-01T12:00:00+01:00'",
        ] {
            assert!(read(text).unwrap_err().contains("no offset"), "{text}");
        }
        for text in ["12:00:00", "'soon'", "5", "'2027-02-30'"] {
            assert!(read(text).unwrap_err().contains("must be a date"), "{text}");
        }
    }
}
