//! Durations as people write them: "90s", "2h", "1h 30m", "500ms", "1d"; and their error messages.

use std::time::Duration;

/// The longest duration that is believed: 100 years.
pub const LONGEST: Duration = Duration::from_secs(36_525 * 86_400);

/// Units with their length in milliseconds, the longest first.
const UNITS: [(&str, u64); 6] = [
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// A text is not a duration: one sentence, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadDuration {
    /// What is wrong: a lower-case fragment.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

fn bad(message: impl Into<String>, hint: impl Into<Option<String>>) -> BadDuration {
    BadDuration {
        message: message.into(),
        hint: hint.into(),
    }
}

/// Reads one or more whole numbers, each with its unit (`w d h m s ms`), white space as you like. Every unit at most
/// once, at most [`LONGEST`] in all.
pub fn parse(text: &str) -> Result<Duration, BadDuration> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(bad("the duration is empty", example()));
    }
    let mut total: u64 = 0;
    let mut seen = Vec::new();
    while !rest.is_empty() {
        let (number, tail) = split(rest, |c| c.is_ascii_digit());
        let (unit, tail) = split(tail.trim_start(), char::is_alphabetic);
        let length = unit_length(text, number, unit, tail)?;
        if seen.contains(&unit) {
            return Err(bad(format!("`{unit}` is said twice"), None));
        }
        seen.push(unit);
        total = number
            .parse::<u64>()
            .ok()
            .and_then(|n| n.checked_mul(length))
            .and_then(|ms| total.checked_add(ms))
            .filter(|ms| u128::from(*ms) <= LONGEST.as_millis())
            .ok_or_else(|| bad("the duration is longer than 100 years", None))?;
        rest = tail.trim_start();
    }
    Ok(Duration::from_millis(total))
}

/// The length of one unit in milliseconds, or what is wrong with this part of the text.
fn unit_length(text: &str, number: &str, unit: &str, tail: &str) -> Result<u64, BadDuration> {
    if number.is_empty() {
        let message = if text.trim_start().starts_with('-') {
            "a duration cannot be negative"
        } else {
            "a duration is a number with a unit"
        };
        return Err(bad(message, example()));
    }
    if unit.is_empty() {
        if tail.starts_with(['.', ',']) {
            let hint = "write whole numbers, as in \"1h 30m\" for an hour and a half".to_owned();
            return Err(bad("a duration has whole numbers only", hint));
        }
        return Err(bad(
            format!("{number} has no unit"),
            format!("write \"{number}s\" for seconds or \"{number}m\" for minutes"),
        ));
    }
    let known = UNITS.iter().find(|(name, _)| *name == unit);
    known.map(|(_, length)| *length).ok_or_else(|| {
        let unit: String = unit.chars().take(20).collect();
        bad(format!("`{unit}` is not a unit of time"), meant(&unit))
    })
}

/// What a spelled-out or misspelled unit probably stands for.
fn meant(unit: &str) -> String {
    let lower = unit.to_lowercase();
    let short = match lower.as_str() {
        "ms" | "msec" | "msecs" | "millis" | "millisecond" | "milliseconds" => "ms",
        "mo" | "month" | "months" | "y" | "yr" | "year" | "years" => {
            return "months and years differ in length: write days, as in \"30d\"".to_owned();
        }
        _ => match lower.chars().next() {
            Some('s') => "s",
            Some('m') => "m",
            Some('h') => "h",
            Some('d') => "d",
            Some('w') => "w",
            _ => return "the units are w, d, h, m, s and ms".to_owned(),
        },
    };
    format!("did you mean `{short}`? the units are w, d, h, m, s and ms")
}

fn example() -> Option<String> {
    Some("write for example \"90s\", \"2h\" or \"1h 30m\"".to_owned())
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

/// The duration as [`parse`] reads it: "1h 30m". Below a millisecond nothing is shown.
pub fn show(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut parts = Vec::new();
    // weeks are read but not written: "14d" says more than "2w"
    for (unit, length) in UNITS.iter().skip(1) {
        if rest >= *length {
            parts.push(format!("{}{unit}", rest / length));
            rest %= length;
        }
    }
    if parts.is_empty() {
        return "0s".to_owned();
    }
    parts.join(" ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_usual_forms_are_read() {
        let table = [
            ("90s", 90_000),
            ("2h", 7_200_000),
            ("1h 30m", 5_400_000),
            ("1h30m", 5_400_000),
            (" 1 h  30 m ", 5_400_000),
            ("500ms", 500),
            ("1d", 86_400_000),
            ("2w", 14 * 86_400_000),
            ("0s", 0),
        ];
        for (text, millis) in table {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_a_remedy() {
        let table = [
            ("", "the duration is empty", "write for example"),
            ("90", "90 has no unit", "write \"90s\" for seconds"),
            ("1h 30", "30 has no unit", "write \"30s\" for seconds"),
            ("1.5h", "a duration has whole numbers only", "1h 30m"),
            ("-5m", "a duration cannot be negative", "write for example"),
            (
                "5 minutes",
                "`minutes` is not a unit of time",
                "did you mean `m`?",
            ),
            ("3 months", "`months` is not a unit of time", "\"30d\""),
            ("5q", "`q` is not a unit of time", "w, d, h, m, s and ms"),
            (
                "soon",
                "a duration is a number with a unit",
                "write for example",
            ),
        ];
        for (text, message, hint) in table {
            let error = parse(text).unwrap_err();
            assert_eq!(error.message, message, "{text}");
            assert!(error.hint.unwrap().contains(hint), "{text}");
        }
        assert_eq!(parse("1h 2h").unwrap_err().message, "`h` is said twice");
    }

    #[test]
    fn durations_are_bounded_without_overflow() {
        for text in [
            "36526d",
            "99999999999999999999d",
            "18446744073709551615ms 1w",
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.message, "the duration is longer than 100 years");
        }
        assert_eq!(parse("36525d"), Ok(LONGEST));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*") {
            let _ = parse(&text);
        }

        #[test]
        fn what_is_shown_reads_back(millis in 0u64..3_155_760_000_000) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse(&show(duration)), Ok(duration));
        }
    }
}
