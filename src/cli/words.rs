//! Times, durations and values as the reading commands show them.

use std::time::Duration;

use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{civil, fmt::strtime};
use serde_json::Value;

use crate::sched::act::Deed;
use crate::sched::call::Parameters;
use crate::sched::fault::bounded;
use crate::sched::id::{RunKind, SeriesId};
use crate::sched::policy::{After, On};
use crate::sched::run::Run;
use crate::sched::time::{self, Timestamp};
use crate::sched::trigger::Fold;

/// The longest value that is shown, in bytes.
const MAX_VALUE: usize = 80;

/// `store-clusters/hyper`; the set that stands for none is left out.
pub(super) fn series(series: &SeriesId) -> String {
    match series.set.as_str() {
        "default" => series.schedule.to_string(),
        _ => series.to_string(),
    }
}

/// The schedules that one comes after: `ingest, geo`.
pub(super) fn names(after: &After) -> String {
    let names: Vec<&str> = after.schedules.iter().map(|name| name.as_str()).collect();
    names.join(", ")
}

/// What a schedule comes after: `ingest, whose runs of that date must have succeeded`.
pub(super) fn after(after: &After) -> String {
    let ended = match after.on {
        On::Success => "must have succeeded",
        On::Any => "must have ended",
        On::Failure => "must have ended, one of them not well",
    };
    format!("{}, whose runs of that date {ended}", names(after))
}

/// The offset that belongs to a nominal time: of a time that a gap swallowed, the one before the gap.
pub(crate) fn nominal_offset(
    civil: civil::DateTime,
    instant: Timestamp,
    zone: &TimeZone,
) -> Offset {
    let placed = instant.to_zoned(zone.clone());
    if placed.datetime() == civil {
        return placed.offset();
    }
    zone.to_offset(time::earlier(instant, Duration::from_secs(1)))
}

/// The offset that is shown with the nominal time of a run.
pub(super) fn run_offset(run: &Run, zone: &TimeZone) -> Offset {
    match run.id.kind {
        RunKind::Manual(_) => {
            let placed = run.id.instant.to_zoned(zone.clone());
            if placed.datetime() == run.civil {
                return placed.offset();
            }
            // It is for another date, which may have another offset.
            let there = zone.to_ambiguous_zoned(run.civil).compatible();
            there.map_or(placed.offset(), |there| there.offset())
        }
        RunKind::Generation(_) => nominal_offset(run.civil, run.id.instant, zone),
    }
}

/// Which of two equal wall times it is; `None` when the clock shows it once.
pub(super) fn fold(civil: civil::DateTime, fold: Fold, zone: &TimeZone) -> Option<&'static str> {
    match zone.to_ambiguous_timestamp(civil).offset() {
        AmbiguousOffset::Fold { .. } if fold == Fold::Second => Some("second"),
        AmbiguousOffset::Fold { .. } => Some("first"),
        _ => None,
    }
}

/// `+01:00`
pub(super) fn offset(offset: Offset) -> String {
    let minutes = offset.seconds().abs() / 60;
    let sign = if offset.is_negative() { '-' } else { '+' };
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

/// RFC 3339 of a nominal time.
pub(super) fn rfc3339(civil: civil::DateTime, of: Offset) -> String {
    format!("{civil}{}", offset(of))
}

/// `Tue 3 Feb`, with the year when it is another than that of `now`.
pub(super) fn date(date: civil::Date, zone: &TimeZone, now: Timestamp) -> String {
    let this_year = now.to_zoned(zone.clone()).year();
    told(
        date.into(),
        if date.year() == this_year {
            "%a %-d %b"
        } else {
            "%a %-d %b %Y"
        },
    )
}

/// `02:15`, with the seconds when there are any.
pub(super) fn clock(time: civil::Time) -> String {
    let form = if time.second() == 0 {
        "%H:%M"
    } else {
        "%H:%M:%S"
    };
    time.strftime(form).to_string()
}

/// `Tue 3 Feb 02:15 +01:00`
pub(super) fn nominal(
    civil: civil::DateTime,
    of: Offset,
    zone: &TimeZone,
    now: Timestamp,
) -> String {
    format!(
        "{} {} {}",
        date(civil.date(), zone, now),
        clock(civil.time()),
        offset(of)
    )
}

/// An instant in a zone: `Tue 3 Feb 02:15 +01:00`.
pub(super) fn instant(at: Timestamp, zone: &TimeZone, now: Timestamp) -> String {
    let placed = at.to_zoned(zone.clone());
    nominal(placed.datetime(), placed.offset(), zone, now)
}

/// An instant in a zone to the second: `Tue 3 Feb 02:15:04 +01:00`.
pub(super) fn moment(at: Timestamp, zone: &TimeZone, now: Timestamp) -> String {
    let placed = at.to_zoned(zone.clone());
    format!(
        "{} {} {}",
        date(placed.date(), zone, now),
        second(at, zone),
        offset(placed.offset())
    )
}

/// A time of the API as [`moment`] shows it; what is no time is shown as it is.
pub(super) fn moment_of(text: &str, zone: &TimeZone, now: Timestamp) -> String {
    match text.parse() {
        Ok(at) => moment(at, zone, now),
        Err(_) => plain(text),
    }
}

/// The time of day of an instant, with seconds: `02:15:04`.
pub(super) fn second(at: Timestamp, zone: &TimeZone) -> String {
    told(at.to_zoned(zone.clone()).datetime(), "%H:%M:%S")
}

fn told(civil: civil::DateTime, form: &str) -> String {
    strtime::format(form, civil).unwrap_or_else(|_| civil.to_string())
}

/// How long something took: whole seconds from one second on.
pub(super) fn took(length: Duration) -> String {
    match length.as_secs() {
        0 => time::words(length),
        whole => time::words(Duration::from_secs(whole)),
    }
}

/// The text on one line, without characters that could move the cursor of a terminal.
pub(super) fn plain(text: &str) -> String {
    let swap = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(swap).collect::<String>().trim().to_owned()
}

/// A value as JSON, cut when it is long; text that looks like something else says that it is text.
pub(super) fn value(value: &Value) -> String {
    let shown = bounded(&value.to_string(), MAX_VALUE);
    match value {
        Value::String(text) if looks_like_no_text(text) => format!("{shown} (text)"),
        _ => shown,
    }
}

fn looks_like_no_text(text: &str) -> bool {
    let number = text.trim().parse::<f64>().is_ok();
    number || matches!(text.trim(), "true" | "false" | "null")
}

/// `number_of_clusters = 2, store_type = "Hypermarket"`; by position without names.
pub(super) fn parameters(parameters: &Parameters) -> String {
    let shown: Vec<String> = match parameters {
        Parameters::Named(map) => map
            .iter()
            .map(|(name, v)| format!("{name} = {}", value(v)))
            .collect(),
        Parameters::Positional(list) => list.iter().map(value).collect(),
    };
    match shown.is_empty() {
        true => "no parameters".to_owned(),
        false => shown.join(", "),
    }
}

/// "1 run", "7 runs".
pub(super) fn count(n: usize, one: &str) -> String {
    match n {
        1 => format!("1 {one}"),
        _ => format!("{n} {one}s"),
    }
}

/// "once", "twice", "3 times".
pub(super) fn times(n: u64) -> String {
    match n {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        _ => format!("{n} times"),
    }
}

/// `pause at 17:02 by ana (uid 1000): the load is frozen`
pub(super) fn deed(deed: &Deed, at: &str) -> String {
    let note = deed.by.note().map(|note| format!(": {}", plain(note)));
    let note = note.unwrap_or_default();
    format!("{} at {at} by {}{note}", deed.act, deed.by.who())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::zones::Zones;
    use serde_json::json;

    #[test]
    fn text_that_looks_like_a_number_says_that_it_is_text() {
        let table = [
            (json!("2"), "\"2\" (text)"),
            (json!("true"), "\"true\" (text)"),
            (json!("Hypermarket"), "\"Hypermarket\""),
            (json!(2), "2"),
            (json!(null), "null"),
            (json!([1, "2"]), "[1,\"2\"]"),
        ];
        for (given, wanted) in table {
            assert_eq!(value(&given), wanted);
        }
        assert!(value(&json!("x".repeat(5000))).len() <= MAX_VALUE);
    }

    #[test]
    fn times_are_shown_with_offset_and_the_year_only_when_it_is_another() {
        let madrid = Zones::load().get("Europe/Madrid").unwrap();
        let now = "2026-02-03T12:00:00Z".parse().unwrap();
        let shown = |text: &str| instant(text.parse().unwrap(), &madrid, now);
        assert_eq!(shown("2026-02-03T01:15:00Z"), "Tue 3 Feb 02:15 +01:00");
        assert_eq!(
            shown("2027-08-03T01:15:30Z"),
            "Tue 3 Aug 2027 03:15:30 +02:00"
        );
        let moment = |text: &str| moment_of(text, &madrid, now);
        assert_eq!(
            moment("2026-02-03T01:15:00.9Z"),
            "Tue 3 Feb 02:15:00 +01:00"
        );
        assert_eq!(
            moment("2025-02-03T01:15:03Z"),
            "Mon 3 Feb 2025 02:15:03 +01:00"
        );
        assert_eq!(moment("never\n"), "never");
    }

    #[test]
    fn a_repeated_time_says_which_and_a_missing_one_keeps_the_offset_before() {
        let madrid = Zones::load().get("Europe/Madrid").unwrap();
        let civil = |text: &str| text.parse::<civil::DateTime>().unwrap();
        let twice = civil("2026-10-25T02:30:00");
        assert_eq!(fold(twice, Fold::First, &madrid), Some("first"));
        assert_eq!(fold(twice, Fold::Second, &madrid), Some("second"));
        assert_eq!(
            fold(civil("2026-10-25T03:30:00"), Fold::First, &madrid),
            None
        );
        let missing = civil("2026-03-29T02:15:00");
        let placed = "2026-03-29T01:00:00Z".parse().unwrap();
        let of = nominal_offset(missing, placed, &madrid);
        assert_eq!(rfc3339(missing, of), "2026-03-29T02:15:00+01:00");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\nc\n"), "a [2Jb c");
    }
}
