//! The expander against tables written by hand: whoever judges must be judged first.

use std::time::Duration;

use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};
use nightcall::sched::trigger::{DstGap, DstOverlap, Rhythm, TriggerSpec};

use super::expander::{Clock, Kind, expand, occurrences};

fn zone(name: &str) -> TimeZone {
    TimeZoneDatabase::bundled().get(name).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn spec(lines: &[&str]) -> TriggerSpec {
    TriggerSpec::new(
        Rhythm::Cron(lines.iter().map(|&line| line.to_owned()).collect()),
        "",
    )
}

fn every(period: u64) -> TriggerSpec {
    TriggerSpec {
        rhythm: Rhythm::Every(Duration::from_secs(period)),
        ..spec(&[])
    }
}

/// The nominal times in a window: instant, name, and what is special.
fn told(spec: &TriggerSpec, name: &str, after: &str, upto: &str) -> Vec<String> {
    let nominals = expand(spec, &zone(name), at(after), at(upto));
    let line = nominals.iter().map(|n| {
        let second = if n.second { " second" } else { "" };
        let kind = match n.kind {
            Kind::Shown => "",
            Kind::Missing => " missing",
            Kind::NoSuchDay => " no such day",
        };
        let civil = n.civil.strftime("%Y-%m-%d %H:%M");
        format!("{} = {civil}{second}{kind}", n.instant)
    });
    line.collect()
}

/// The days of a month in UTC on which a line runs.
fn days(line: &str, month: &str) -> Vec<i8> {
    let first = at(&format!("{month}-01T00:00:00Z")) - SignedDuration::from_secs(1);
    let last = first + SignedDuration::from_hours(31 * 24);
    let in_month = |t: &Timestamp| t.to_string().starts_with(month);
    let found = occurrences(&spec(&[line]), &TimeZone::UTC, first, last);
    let days = found.iter().filter(|t| in_month(t));
    days.map(|t| TimeZone::UTC.to_datetime(*t).day()).collect()
}

#[test]
fn the_expander_reads_every_form_of_the_day_fields() {
    // February 2026 begins on a Sunday and has 28 days; August 2026 begins on a Saturday and ends on a Monday; May 2026
    // begins on a Friday and ends on a Sunday.
    let table: &[(&str, &str, &[i8])] = &[
        ("0 2 L * *", "2026-02", &[28]),
        ("0 2 L * *", "2028-02", &[29]),
        ("0 2 LW * *", "2026-02", &[27]),
        ("0 2 LW * *", "2026-05", &[29]),
        ("0 2 LW * *", "2026-08", &[31]),
        ("0 2 15W * *", "2026-02", &[16]),
        ("0 2 15W * *", "2026-08", &[14]),
        ("0 2 1W * *", "2026-02", &[2]),
        ("0 2 1W * *", "2026-08", &[3]),
        ("0 2 31W * *", "2026-05", &[29]),
        ("0 2 31W * *", "2026-06", &[]),
        ("0 2 * * 5L", "2026-05", &[29]),
        ("0 2 * * FRIL", "2026-02", &[27]),
        ("0 2 * * SUN#5", "2026-05", &[31]),
        ("0 2 * * 7#1", "2026-05", &[3]),
        ("0 2 * * 1#5", "2026-05", &[]),
        ("0 2 1,L * MON#2", "2026-08", &[1, 10, 31]),
        ("0 2 13 * FRI", "2026-02", &[6, 13, 20, 27]),
        (
            "0 2 1-7 * SUN",
            "2026-02",
            &[1, 2, 3, 4, 5, 6, 7, 8, 15, 22],
        ),
        ("0 2 */7 * SUN", "2026-02", &[1, 8, 15, 22]),
        ("0 2 1-7/3,28 * *", "2026-02", &[1, 4, 7, 28]),
        (
            "0 2 ? feb fri-sun",
            "2026-02",
            &[1, 6, 7, 8, 13, 14, 15, 20, 21, 22, 27, 28],
        ),
        ("0 2 ? JAN,MAR-DEC *", "2026-02", &[]),
        ("@monthly", "2026-02", &[1]),
        ("@Weekly", "2026-02", &[1, 8, 15, 22]),
    ];
    for (line, month, expected) in table {
        assert_eq!(days(line, month), *expected, "{line} in {month}");
    }
}

#[test]
fn the_expander_watches_the_clock_turn_to_the_second() {
    // Monrovia, 7 January 1972: 44 minutes and 30 seconds forward, at midnight.
    let turn = at("1972-01-07T00:44:30Z").as_second();
    let clock = Clock::watch(&zone("Africa/Monrovia"), turn - 100_000, turn + 100_000);
    let ahead: Vec<(i64, i64)> = clock.0.iter().map(|e| (e.start, e.ahead)).collect();
    assert_eq!(ahead, [(turn - 100_000, -2670), (turn, 0)]);
    assert_eq!(clock.0[1].end, turn + 100_000);
    let midnight = at("1972-01-07T00:00:00Z").as_second();
    assert_eq!(clock.first_showing(midnight), Some(turn));
    assert_eq!(clock.first_showing(midnight - 1), Some(turn - 1));
}

#[test]
fn the_expander_knows_the_two_nights_of_madrid() {
    let spring = ("2027-03-27T12:00:00Z", "2027-03-28T12:00:00Z");
    let autumn = ("2027-10-30T12:00:00Z", "2027-10-31T12:00:00Z");
    let madrid = |spec: &TriggerSpec, (after, upto)| told(spec, "Europe/Madrid", after, upto);
    let daily = spec(&["15 2 * * *"]);
    let missing = "2027-03-28T01:00:00Z = 2027-03-28 02:15 missing";
    assert_eq!(madrid(&daily, spring), [missing]);
    assert_eq!(madrid(&spec(&["15,45 2 * * *"]), spring), [missing]);
    let united = spec(&["15 2 * * *", "0 3 * * *"]);
    assert_eq!(
        madrid(&united, spring),
        ["2027-03-28T01:00:00Z = 2027-03-28 03:00"]
    );
    let skipping = TriggerSpec {
        dst_gap: DstGap::Skip,
        ..daily.clone()
    };
    assert!(madrid(&skipping, spring).is_empty());

    let one = "2027-10-31T00:15:00Z = 2027-10-31 02:15";
    let two = "2027-10-31T01:15:00Z = 2027-10-31 02:15 second";
    let with = |dst_overlap| TriggerSpec {
        dst_overlap,
        ..daily.clone()
    };
    assert_eq!(madrid(&daily, autumn), [one]);
    assert_eq!(madrid(&with(DstOverlap::Last), autumn), [two]);
    assert_eq!(madrid(&with(DstOverlap::Both), autumn), [one, two]);
}

#[test]
fn the_expander_keeps_hours_and_periods_in_real_time() {
    let madrid = |spec: &TriggerSpec, after, upto| told(spec, "Europe/Madrid", after, upto);
    assert_eq!(
        madrid(
            &spec(&["30 * * * *"]),
            "2027-10-30T23:30:00Z",
            "2027-10-31T02:30:00Z"
        ),
        [
            "2027-10-31T00:30:00Z = 2027-10-31 02:30",
            "2027-10-31T01:30:00Z = 2027-10-31 02:30 second",
            "2027-10-31T02:30:00Z = 2027-10-31 03:30",
        ]
    );
    assert_eq!(
        madrid(
            &spec(&["30 * * * *"]),
            "2027-03-27T23:30:00Z",
            "2027-03-28T01:30:00Z"
        ),
        [
            "2027-03-28T00:30:00Z = 2027-03-28 01:30",
            "2027-03-28T01:30:00Z = 2027-03-28 03:30"
        ]
    );
    assert_eq!(
        madrid(
            &every(6 * 3600),
            "2027-03-28T00:00:00Z",
            "2027-03-28T12:00:00Z"
        ),
        [
            "2027-03-28T06:00:00Z = 2027-03-28 08:00",
            "2027-03-28T12:00:00Z = 2027-03-28 14:00"
        ]
    );
    // Every fourth hour names six of 24 hours, so it goes by the clock on the wall.
    assert_eq!(
        madrid(
            &spec(&["0 */4 * * *"]),
            "2027-03-27T23:00:00Z",
            "2027-03-28T06:00:00Z"
        ),
        [
            "2027-03-28T02:00:00Z = 2027-03-28 04:00",
            "2027-03-28T06:00:00Z = 2027-03-28 08:00"
        ]
    );
}

#[test]
fn the_expander_records_a_day_that_does_not_exist() {
    let apia = |lines: &[&str]| {
        told(
            &spec(lines),
            "Pacific/Apia",
            "2011-12-30T04:00:00Z",
            "2011-12-30T20:00:00Z",
        )
    };
    assert_eq!(
        apia(&["0 9,17 * * *"]),
        [
            "2011-12-30T09:59:59.999Z = 2011-12-30 09:00 no such day",
            "2011-12-30T19:00:00Z = 2011-12-31 09:00",
        ]
    );
    let united = apia(&["0 */8 * * *", "0 * * * *"]);
    assert_eq!(united[4], "2011-12-30T09:00:00Z = 2011-12-29 23:00");
    assert_eq!(
        united[5],
        "2011-12-30T09:59:59.999Z = 2011-12-30 00:00 no such day"
    );
    assert_eq!(united[6], "2011-12-30T10:00:00Z = 2011-12-31 00:00");
}

#[test]
fn the_expander_heeds_seconds_bounds_and_excluded_dates() {
    let bounded = TriggerSpec {
        from: Some("2027-10-31T02:30:00".parse().unwrap()),
        until: Some("2027-10-31T03:00:00".parse().unwrap()),
        ..spec(&["*/30 * * * *"])
    };
    let autumn = |spec: &TriggerSpec| {
        told(
            spec,
            "Europe/Madrid",
            "2027-10-30T12:00:00Z",
            "2027-10-31T12:00:00Z",
        )
    };
    let all = [
        "00:30:00Z = 2027-10-31 02:30",
        "01:00:00Z = 2027-10-31 02:00 second",
        "01:30:00Z = 2027-10-31 02:30 second",
    ];
    assert_eq!(
        autumn(&bounded),
        all.map(|line| format!("2027-10-31T{line}"))
    );
    let clock_like = TriggerSpec {
        rhythm: spec(&["*/30 2 * * *"]).rhythm,
        ..bounded
    };
    assert_eq!(
        autumn(&clock_like),
        [all[0]].map(|line| format!("2027-10-31T{line}"))
    );
    let without = TriggerSpec {
        exclude: vec!["2027-10-31".parse().unwrap()],
        ..every(3 * 3600)
    };
    assert_eq!(
        autumn(&without),
        [
            "2027-10-30T15:00:00Z = 2027-10-30 17:00",
            "2027-10-30T18:00:00Z = 2027-10-30 20:00",
            "2027-10-30T21:00:00Z = 2027-10-30 23:00"
        ]
    );
    let seconds = spec(&["20,50 59 23 31 12 *"]);
    assert_eq!(
        occurrences(
            &seconds,
            &TimeZone::UTC,
            at("2027-12-31T23:59:20Z"),
            at("2028-12-31T23:59:20Z")
        ),
        [at("2027-12-31T23:59:50Z"), at("2028-12-31T23:59:20Z")]
    );
}

#[test]
#[should_panic(expected = "does not know `H`")]
fn the_expander_says_that_it_does_not_know_h() {
    occurrences(
        &spec(&["H 2 * * *"]),
        &TimeZone::UTC,
        at("2027-01-01T00:00:00Z"),
        at("2027-01-02T00:00:00Z"),
    );
}
