//! What people read: words, warnings, notes about clock changes.

use jiff::ToSpan;

use super::*;

#[test]
fn triggers_are_told_in_words() {
    let table = [
        ("15 2 * * *", "at 02:15 every day"),
        (
            "0 2,14 * * SAT,SUN",
            "at 02:00 and 14:00 on Saturday and Sunday",
        ),
        (
            "0 9-17 * * MON-FRI",
            "at minute 0 of hours 9 to 17 on Monday to Friday",
        ),
        ("* * * * *", "every minute"),
        ("*/15 * * * *", "every 15 minutes"),
        ("*/7 * * * *", "at minutes 0, 7, 14 … 56 of every hour"),
        ("5 * * * *", "at minute 5 of every hour"),
        ("* 2 * * *", "every minute of hour 2 every day"),
        ("*/10 * * * * *", "every 10 seconds"),
        ("30 15 2 * * *", "at 02:15:30 every day"),
        ("0 0 1,15 * *", "at 00:00 on days 1 and 15 of the month"),
        (
            "0 0 L 1-3,6 *",
            "at 00:00 on the last day of the month in January to March and June",
        ),
        ("0 0 LW * *", "at 00:00 on the last workday of the month"),
        (
            "0 0 15W * *",
            "at 00:00 on the workday nearest to day 15 of the month",
        ),
        (
            "0 3 * * FRI#2",
            "at 03:00 on the second Friday of the month",
        ),
        ("0 3 * * 5L", "at 03:00 on the last Friday of the month"),
        (
            "0 0 13 * FRI",
            "at 00:00 on day 13 of the month or on Friday",
        ),
        (
            "0 0 */2 * 1",
            "at 00:00 on days 1, 3, 5 … 31 of the month when it is also Monday",
        ),
        (
            "0 2 1 */6 *",
            "at 02:00 on day 1 of the month in January and July",
        ),
        ("@daily", "at 00:00 every day"),
    ];
    for (line, words) in table {
        let trigger = trigger(&spec(&[line], "Europe/Madrid"));
        assert_eq!(trigger.words(), format!("{words}, Europe/Madrid"), "{line}");
    }
}

#[test]
fn several_expressions_periods_and_bounds_are_told_too() {
    let two = trigger(&spec(&["0 2 * * *", "30 14 * * 1-5"], "UTC"));
    assert_eq!(
        two.words(),
        "at 02:00 every day; and at 14:30 on Monday to Friday, UTC"
    );
    let six = TriggerSpec {
        from: Some("2027-01-01T00:00:00".parse().unwrap()),
        until: Some("2028-01-01T06:30:00".parse().unwrap()),
        exclude: vec!["2027-12-25".parse().unwrap()],
        jitter: Duration::from_secs(90),
        ..every(Duration::from_secs(6 * 3600), "UTC")
    };
    assert_eq!(
        trigger(&six).words(),
        "every 6h, counted from 00:00 UTC, UTC, from 2027-01-01 00:00, until 2028-01-01 06:30, not on 2027-12-25, \
         up to 1m 30s later"
    );
    let odd = trigger(&every(Duration::from_secs(7 * 3600 + 60), "UTC"));
    assert_eq!(
        odd.words(),
        "every 7h 1m, counted from 1970-01-01 00:00 UTC, UTC"
    );
}

#[test]
fn what_is_seldom_meant_is_warned_of_with_the_better_line() {
    let table = [
        ("* 2 * * *", "60 times in that hour", "write `0 2 * * *`"),
        (
            "* 2,3 * * *",
            "60 times in each of 2 hours",
            "write `0 2,3 * * *`",
        ),
        (
            "* * 2 * * *",
            "3600 times in that hour",
            "write `0 0 2 * * *`",
        ),
        (
            "* 15 2 * * *",
            "60 times in a minute",
            "write `0 15 2 * * *`",
        ),
        (
            "0 2 31 * *",
            "5 of the months have no day 31",
            "write `0 2 L * *`",
        ),
        (
            "0 2 30 * *",
            "one of the months has no day 30",
            "write `0 2 L * *`",
        ),
        ("0 2 29 * *", "only in leap years", "write `0 2 L * *`"),
        (
            "0 2 31 JAN,APR *",
            "one of the months has no day 31",
            "write `0 2 L JAN,APR *`",
        ),
        (
            "0 2 13 * FRI",
            "when either matches",
            "write `*` for one of them",
        ),
        (
            "0 2 */2 * FRI",
            "only when both match",
            "write `*` for one of them",
        ),
        (
            "*/70 * * * *",
            "only one value is left",
            "write `0 * * * *`",
        ),
        (
            "*/7 * * * *",
            "steps of 7 minutes begin anew each hour",
            "every = \"7m\"",
        ),
        (
            "0 */5 * * *",
            "steps of 5 hours begin anew each day",
            "every = \"5h\"",
        ),
        ("0 2 */2 * *", "begin anew each month", "as a list"),
    ];
    for (line, message, hint) in table {
        let warnings = trigger(&spec(&["0 1 * * *", line], "UTC")).warnings();
        let found = warnings.iter().find(|(_, text, _)| text.contains(message));
        let (expression, _, better) = found.unwrap_or_else(|| panic!("{line}: {warnings:?}"));
        assert!(better.contains(hint), "{line}: {better}");
        assert_eq!(*expression, 1, "{line}");
    }
}

#[test]
fn what_is_usual_is_not_warned_of() {
    let usual = [
        "15 2 * * *",
        "* * * * *",
        "*/15 * * * *",
        "0 */4 * * *",
        "0 9-17 * * MON-FRI",
        "0 2 L * *",
        "0 2 1 * *",
        "0 2 31 1,3 *",
        "0 2 1-31 * *",
        "0 0 1 */3 *",
        "@daily",
        "H H * * *",
        "*/10 * * * * *",
        "0 2 ? * 1",
    ];
    for line in usual {
        assert_eq!(trigger(&spec(&[line], "UTC")).warnings(), [], "{line}");
    }
}

fn notes(spec: &TriggerSpec, year: i16) -> Vec<String> {
    let from = at(&format!("{year}-01-01T00:00:00Z"));
    let found = trigger(spec).notes(from, from + 8760.hours());
    found.into_iter().map(|note| note.text).collect()
}

#[test]
fn clock_changes_that_touch_a_schedule_are_told_before() {
    assert_eq!(
        notes(&spec(&["15 2 * * *"], "Europe/Madrid"), 2027),
        [
            "Sun 28 Mar 2027 02:00 -> 03:00: 02:15 does not exist, runs at 03:00 +02:00",
            "Sun 31 Oct 2027 03:00 -> 02:00: 02:15 occurs twice, runs the first time (+02:00)",
        ]
    );
    assert_eq!(
        notes(&spec(&["*/10 2 * * *"], "America/New_York"), 2027)[0],
        "Sun 14 Mar 2027 02:00 -> 03:00: 02:00, 02:10, 02:20 and 3 more do not exist, run once at 03:00 -04:00"
    );
    assert_eq!(
        notes(&spec(&["0 2,3 * * *"], "Europe/Madrid"), 2027)[0],
        "Sun 28 Mar 2027 02:00 -> 03:00: 02:00 does not exist, the run at 03:00 +02:00 stands for it"
    );
    assert_eq!(
        notes(&spec(&["0 * * * *"], "Europe/Madrid"), 2027),
        [
            "Sun 28 Mar 2027 02:00 -> 03:00: 02:00 does not exist, the runs keep their distance",
            "Sun 31 Oct 2027 03:00 -> 02:00: 02:00 occurs twice, runs both times",
        ]
    );
    assert_eq!(
        notes(&spec(&["0 9,10 * * *"], "Pacific/Apia"), 2011),
        [
            "Fri 30 Dec 2011 00:00 -> Sat 31 Dec 00:00: Fri 30 Dec 2011 does not exist here: nothing runs, it is \
          recorded as no such day"
        ]
    );
}

#[test]
fn policies_and_several_expressions_show_in_the_notes() {
    let other = TriggerSpec {
        dst_gap: DstGap::Skip,
        dst_overlap: DstOverlap::Last,
        ..spec(&["15 2 * * *", "45 2 * * *", "0 5 * * *"], "Europe/Madrid")
    };
    assert_eq!(
        notes(&other, 2027),
        [
            "Sun 28 Mar 2027 02:00 -> 03:00: 02:15 does not exist, skipped (dst_gap = \"skip\"); 02:45 does not \
             exist, skipped (dst_gap = \"skip\")",
            "Sun 31 Oct 2027 03:00 -> 02:00: 02:15 occurs twice, runs the last time (+01:00); 02:45 occurs twice, \
             runs the last time (+01:00)",
        ]
    );
    let both = TriggerSpec {
        dst_overlap: DstOverlap::Both,
        ..spec(&["15 2 * * *"], "Europe/Madrid")
    };
    assert!(
        notes(&both, 2027)[1]
            .ends_with("02:15 occurs twice, runs both times (dst_overlap = \"both\")")
    );
}

#[test]
fn changes_that_touch_nothing_are_not_told() {
    assert!(notes(&spec(&["0 5 * * *"], "Europe/Madrid"), 2027).is_empty());
    assert!(notes(&spec(&["15 2 * * MON"], "Europe/Madrid"), 2027).is_empty());
    assert!(notes(&spec(&["15 2 * * *"], "UTC"), 2027).is_empty());
    assert!(notes(&every(Duration::from_secs(3600), "Europe/Madrid"), 2027).is_empty());
    let over = TriggerSpec {
        until: Some("2027-03-01T00:00:00".parse().unwrap()),
        ..spec(&["15 2 * * *", "0 * * * *"], "Europe/Madrid")
    };
    assert!(notes(&over, 2027).is_empty());
    let without = TriggerSpec {
        exclude: vec!["2027-03-28".parse().unwrap(), "2027-10-31".parse().unwrap()],
        ..spec(&["15 2 * * *", "0 * * * *"], "Europe/Madrid")
    };
    assert!(notes(&without, 2027).is_empty());
}
