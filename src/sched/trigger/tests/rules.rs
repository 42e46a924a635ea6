//! Each rule of *Time*, with expectations written by hand.

use super::*;
use crate::sched::trigger::{Fold, Shape};

/// An occurrence in a line: instant, nominal time, and what is special.
fn told(o: &Occurrence) -> String {
    let fold = if o.fold == Fold::Second {
        " second"
    } else {
        ""
    };
    let shape = match o.shape {
        Shape::Plain => "",
        Shape::Gap => " gap",
        Shape::NoSuchDay => " no such day",
    };
    format!(
        "{} = {}{fold}{shape}",
        o.instant,
        o.civil.strftime("%Y-%m-%d %H:%M")
    )
}

/// The occurrences of a trigger from a day's beginning (UTC) on.
fn first(spec: &TriggerSpec, after: &str, count: usize) -> Vec<String> {
    let trigger = trigger(spec);
    let next = |o: &Occurrence| trigger.after(o.instant);
    std::iter::successors(trigger.after(at(after)), next)
        .take(count)
        .map(|o| told(&o))
        .collect()
}

#[test]
fn a_missing_time_runs_once_after_the_gap_and_keeps_its_name() {
    assert_eq!(
        first(
            &spec(&["15 2 * * *"], "Europe/Madrid"),
            "2027-03-27T00:00:00Z",
            3
        ),
        [
            "2027-03-27T01:15:00Z = 2027-03-27 02:15",
            "2027-03-28T01:00:00Z = 2027-03-28 02:15 gap",
            "2027-03-29T00:15:00Z = 2027-03-29 02:15",
        ]
    );
}

/// The same with a policy for gaps and repeated hours.
fn with(lines: &[&str], zone: &str, gap: DstGap, overlap: DstOverlap) -> TriggerSpec {
    TriggerSpec {
        dst_gap: gap,
        dst_overlap: overlap,
        ..spec(lines, zone)
    }
}

#[test]
fn a_missing_time_is_left_out_when_the_schedule_says_so() {
    let skipping = with(
        &["15 2 * * *"],
        "Europe/Madrid",
        DstGap::Skip,
        DstOverlap::First,
    );
    assert_eq!(
        first(&skipping, "2027-03-27T12:00:00Z", 1),
        ["2027-03-29T00:15:00Z = 2027-03-29 02:15"]
    );
}

#[test]
fn a_repeated_time_runs_the_first_time_the_last_or_both() {
    let overlap = |policy| {
        let spec = with(&["15 2 * * *"], "Europe/Madrid", DstGap::Run, policy);
        first(&spec, "2027-10-30T12:00:00Z", 2)
    };
    let one = "2027-10-31T00:15:00Z = 2027-10-31 02:15";
    let two = "2027-10-31T01:15:00Z = 2027-10-31 02:15 second";
    let after = "2027-11-01T01:15:00Z = 2027-11-01 02:15";
    assert_eq!(overlap(DstOverlap::First), [one, after]);
    assert_eq!(overlap(DstOverlap::Last), [two, after]);
    assert_eq!(overlap(DstOverlap::Both), [one, two]);
}

#[test]
fn asked_inside_the_second_pass_a_daily_time_does_not_run_again() {
    let daily = trigger(&spec(&["15 2 * * *"], "Europe/Madrid"));
    let inside = daily.after(at("2027-10-31T01:05:00Z")).unwrap();
    assert_eq!(told(&inside), "2027-11-01T01:15:00Z = 2027-11-01 02:15");
    let quarters = trigger(&spec(&["*/15 * * * *"], "Europe/Madrid"));
    let inside = quarters.after(at("2027-10-31T01:05:00.5Z")).unwrap();
    assert_eq!(
        told(&inside),
        "2027-10-31T01:15:00Z = 2027-10-31 02:15 second"
    );
}

#[test]
fn hourly_runs_keep_their_distance_through_both_changes() {
    let hourly = spec(&["0 * * * *"], "Europe/Madrid");
    assert_eq!(
        first(&hourly, "2027-03-28T00:30:00Z", 2),
        [
            "2027-03-28T01:00:00Z = 2027-03-28 03:00",
            "2027-03-28T02:00:00Z = 2027-03-28 04:00"
        ]
    );
    assert_eq!(
        first(&hourly, "2027-10-30T23:30:00Z", 3),
        [
            "2027-10-31T00:00:00Z = 2027-10-31 02:00",
            "2027-10-31T01:00:00Z = 2027-10-31 02:00 second",
            "2027-10-31T02:00:00Z = 2027-10-31 03:00",
        ]
    );
}

#[test]
fn all_missing_times_are_one_run_and_an_ordinary_one_at_that_instant_is_the_same() {
    // 02:00, 02:15, 02:30 and 02:45 are missing.
    assert_eq!(
        first(
            &spec(&["*/15 2 * * *"], "America/New_York"),
            "2027-03-14T00:00:00Z",
            2
        ),
        [
            "2027-03-14T07:00:00Z = 2027-03-14 02:00 gap",
            "2027-03-15T06:00:00Z = 2027-03-15 02:00"
        ]
    );
    assert_eq!(
        first(
            &spec(&["0,30 2,3 * * *"], "America/New_York"),
            "2027-03-14T00:00:00Z",
            2
        ),
        [
            "2027-03-14T07:00:00Z = 2027-03-14 03:00",
            "2027-03-14T07:30:00Z = 2027-03-14 03:30"
        ]
    );
}

#[test]
fn several_expressions_are_placed_singly_and_united() {
    // The hourly one is interval-like, the nightly one is not; at 07:00Z the ordinary 03:00 gives the name.
    let both = spec(&["30 2 * * *", "0 * * * *"], "America/New_York");
    assert_eq!(
        first(&both, "2027-03-14T06:30:00Z", 2),
        [
            "2027-03-14T07:00:00Z = 2027-03-14 03:00",
            "2027-03-14T08:00:00Z = 2027-03-14 04:00"
        ]
    );
    // Two missing times at one instant: the earlier gives the name, whatever the order of the lines.
    let gaps = spec(&["45 2 * * *", "15 2 * * *"], "America/New_York");
    assert_eq!(
        first(&gaps, "2027-03-14T06:30:00Z", 2),
        [
            "2027-03-14T07:00:00Z = 2027-03-14 02:15 gap",
            "2027-03-15T06:15:00Z = 2027-03-15 02:15"
        ]
    );
    assert_eq!(
        first(
            &spec(&["30 1 * * *", "30 * * * *"], "America/New_York"),
            "2027-11-07T05:00:00Z",
            3
        ),
        [
            "2027-11-07T05:30:00Z = 2027-11-07 01:30",
            "2027-11-07T06:30:00Z = 2027-11-07 01:30 second",
            "2027-11-07T07:30:00Z = 2027-11-07 02:30",
        ]
    );
}

#[test]
fn the_order_of_the_lines_changes_nothing() {
    // At 02:00 two lines meet, one by the clock and one by elapsed time; the instant is the hourly one's anyway.
    let lines = ["0 2 * * *", "0 * * * *"];
    let there = spec(&lines, "Europe/Madrid");
    let back = spec(&[lines[1], lines[0]], "Europe/Madrid");
    let whole = |spec: &TriggerSpec| {
        let (after, upto) = (at("2027-10-30T20:00:00Z"), at("2027-10-31T08:00:00Z"));
        between(&trigger(spec), after, upto)
    };
    assert_eq!(whole(&there), whole(&back));
    assert!(whole(&there).iter().all(|o| !o.clock_like));
}

#[test]
fn hours_decide_the_class_not_the_spelling() {
    // Every fourth hour, from 02:00 on: clock-like, so the missing 02:00 is not lost.
    assert_eq!(
        first(
            &spec(&["0 2-23/4 * * *"], "America/New_York"),
            "2027-03-14T05:00:00Z",
            2
        ),
        [
            "2027-03-14T07:00:00Z = 2027-03-14 02:00 gap",
            "2027-03-14T10:00:00Z = 2027-03-14 06:00"
        ]
    );
    // All 24 hours spelled out: interval-like.
    assert_eq!(
        first(
            &spec(&["30 0-23 * * *"], "America/New_York"),
            "2027-03-14T06:00:00Z",
            2
        ),
        [
            "2027-03-14T06:30:00Z = 2027-03-14 01:30",
            "2027-03-14T07:30:00Z = 2027-03-14 03:30"
        ]
    );
}

#[test]
fn half_an_hour_is_a_gap_and_a_repetition_too() {
    let howe = |line| {
        first(
            &spec(&[line], "Australia/Lord_Howe"),
            "2027-10-02T13:00:00Z",
            1,
        )
    };
    assert_eq!(
        howe("0 2 * * *"),
        ["2027-10-02T15:30:00Z = 2027-10-03 02:00 gap"]
    );
    assert_eq!(
        howe("29 2 * * *"),
        ["2027-10-02T15:30:00Z = 2027-10-03 02:29 gap"]
    );
    assert_eq!(
        howe("30 2 * * *"),
        ["2027-10-02T15:30:00Z = 2027-10-03 02:30"]
    );
    assert_eq!(
        first(
            &spec(&["45 * * * *"], "Australia/Lord_Howe"),
            "2027-04-03T13:00:00Z",
            4
        ),
        [
            "2027-04-03T13:45:00Z = 2027-04-04 00:45",
            "2027-04-03T14:45:00Z = 2027-04-04 01:45",
            "2027-04-03T15:15:00Z = 2027-04-04 01:45 second",
            "2027-04-03T16:15:00Z = 2027-04-04 02:45",
        ]
    );
    assert_eq!(
        first(
            &spec(&["45 1 * * *"], "Australia/Lord_Howe"),
            "2027-04-03T13:00:00Z",
            2
        ),
        [
            "2027-04-03T14:45:00Z = 2027-04-04 01:45",
            "2027-04-04T15:15:00Z = 2027-04-05 01:45"
        ]
    );
}

#[test]
fn a_gap_of_two_hours_swallows_several_times_into_one_run() {
    let troll = spec(
        &["30 1 * * *", "30 2 * * *", "0 4 * * *"],
        "Antarctica/Troll",
    );
    assert_eq!(
        first(&troll, "2027-03-28T00:00:00Z", 2),
        [
            "2027-03-28T01:00:00Z = 2027-03-28 01:30 gap",
            "2027-03-28T02:00:00Z = 2027-03-28 04:00"
        ]
    );
    let last = with(
        &["30 2 * * *"],
        "Antarctica/Troll",
        DstGap::Run,
        DstOverlap::Last,
    );
    assert_eq!(
        first(&last, "2027-10-30T12:00:00Z", 1),
        ["2027-10-31T02:30:00Z = 2027-10-31 02:30 second"]
    );
}

#[test]
fn quarter_hours_of_newfoundland_and_winter_time_of_dublin() {
    assert_eq!(
        first(
            &spec(&["30 2 * * *"], "America/St_Johns"),
            "2027-03-14T00:00:00Z",
            2
        ),
        [
            "2027-03-14T05:30:00Z = 2027-03-14 02:30 gap",
            "2027-03-15T05:00:00Z = 2027-03-15 02:30"
        ]
    );
    assert_eq!(
        first(
            &spec(&["30 1 * * *"], "Europe/Dublin"),
            "2027-03-28T00:00:00Z",
            2
        ),
        [
            "2027-03-28T01:00:00Z = 2027-03-28 01:30 gap",
            "2027-03-29T00:30:00Z = 2027-03-29 01:30"
        ]
    );
    assert_eq!(
        first(
            &spec(&["30 1 * * *"], "Europe/Dublin"),
            "2027-10-31T00:00:00Z",
            2
        ),
        [
            "2027-10-31T00:30:00Z = 2027-10-31 01:30",
            "2027-11-01T01:30:00Z = 2027-11-01 01:30"
        ]
    );
}

#[test]
fn ramadan_changes_the_clock_of_casablanca_twice() {
    // 2024: back to UTC on 10 March at 03:00, forward again on 14 April at 02:00.
    let daily = spec(&["30 2 * * *"], "Africa/Casablanca");
    assert_eq!(
        first(&daily, "2024-03-09T12:00:00Z", 2),
        [
            "2024-03-10T01:30:00Z = 2024-03-10 02:30",
            "2024-03-11T02:30:00Z = 2024-03-11 02:30"
        ]
    );
    assert_eq!(
        first(&daily, "2024-04-13T12:00:00Z", 2),
        [
            "2024-04-14T02:00:00Z = 2024-04-14 02:30 gap",
            "2024-04-15T01:30:00Z = 2024-04-15 02:30"
        ]
    );
}

#[test]
fn a_gap_at_midnight_keeps_the_date_of_the_missing_time() {
    assert_eq!(
        first(
            &spec(&["0 0 * * *"], "America/Santiago"),
            "2027-09-04T12:00:00Z",
            2
        ),
        [
            "2027-09-05T04:00:00Z = 2027-09-05 00:00 gap",
            "2027-09-06T03:00:00Z = 2027-09-06 00:00"
        ]
    );
    // Cairo: Friday 30 April, from 00:00 to 01:00.
    assert_eq!(
        first(
            &spec(&["59 0 * * FRI"], "Africa/Cairo"),
            "2027-04-29T12:00:00Z",
            1
        ),
        ["2027-04-29T22:00:00Z = 2027-04-30 00:59 gap"]
    );
}

#[test]
fn a_zone_may_change_without_daylight_saving() {
    // Pyongyang, 4 May 2018: from 23:30 to midnight.
    assert_eq!(
        first(
            &spec(&["45 23 * * *"], "Asia/Pyongyang"),
            "2018-05-04T00:00:00Z",
            2
        ),
        [
            "2018-05-04T15:00:00Z = 2018-05-04 23:45 gap",
            "2018-05-05T14:45:00Z = 2018-05-05 23:45"
        ]
    );
    // Almaty, 1 March 2024: from midnight back to 23:00 of 29 February.
    let both = with(
        &["30 23 * * *"],
        "Asia/Almaty",
        DstGap::Run,
        DstOverlap::Both,
    );
    assert_eq!(
        first(&both, "2024-02-29T12:00:00Z", 3),
        [
            "2024-02-29T17:30:00Z = 2024-02-29 23:30",
            "2024-02-29T18:30:00Z = 2024-02-29 23:30 second",
            "2024-03-01T18:30:00Z = 2024-03-01 23:30",
        ]
    );
}

#[test]
fn a_day_that_does_not_exist_is_recorded_once_and_nothing_runs_for_it() {
    assert_eq!(
        first(
            &spec(&["0 9,17 * * *"], "Pacific/Apia"),
            "2011-12-30T00:00:00Z",
            3
        ),
        [
            "2011-12-30T03:00:00Z = 2011-12-29 17:00",
            "2011-12-30T09:59:59.999Z = 2011-12-30 09:00 no such day",
            "2011-12-30T19:00:00Z = 2011-12-31 09:00",
        ]
    );
    assert_eq!(
        first(
            &spec(&["0 12 * * *"], "Pacific/Kwajalein"),
            "1993-08-20T12:00:00Z",
            3
        ),
        [
            "1993-08-21T00:00:00Z = 1993-08-20 12:00",
            "1993-08-21T11:59:59.999Z = 1993-08-21 12:00 no such day",
            "1993-08-22T00:00:00Z = 1993-08-22 12:00",
        ]
    );
    // Every hour goes on in elapsed time.
    assert_eq!(
        first(
            &spec(&["0 * * * *"], "Pacific/Apia"),
            "2011-12-30T08:30:00Z",
            2
        ),
        [
            "2011-12-30T09:00:00Z = 2011-12-29 23:00",
            "2011-12-30T10:00:00Z = 2011-12-31 00:00"
        ]
    );
}

#[test]
fn a_day_that_does_not_exist_cannot_meet_an_ordinary_time() {
    // The last second before the change and the first after it, from two expressions.
    let lines = ["59 59 23 * * *", "0 0 0 * * *", "0 30 8 * * *"];
    assert_eq!(
        first(&spec(&lines, "Pacific/Apia"), "2011-12-30T09:30:00Z", 3),
        [
            "2011-12-30T09:59:59Z = 2011-12-29 23:59",
            "2011-12-30T09:59:59.999Z = 2011-12-30 00:00 no such day",
            "2011-12-30T10:00:00Z = 2011-12-31 00:00",
        ]
    );
    let missing = trigger(&spec(&["0 9 * * *"], "Pacific/Apia"));
    let after = |t| told(&missing.after(at(t)).unwrap());
    assert_eq!(
        after("2011-12-30T09:59:59.998999Z"),
        "2011-12-30T09:59:59.999Z = 2011-12-30 09:00 no such day"
    );
    assert_eq!(
        after("2011-12-30T09:59:59.999Z"),
        "2011-12-30T19:00:00Z = 2011-12-31 09:00"
    );
}

#[test]
fn a_period_is_counted_from_the_epoch_in_elapsed_time() {
    let six = every(Duration::from_secs(6 * 3600), "Europe/Madrid");
    assert_eq!(
        first(&six, "2027-03-27T23:00:00Z", 3),
        [
            "2027-03-28T00:00:00Z = 2027-03-28 01:00",
            "2027-03-28T06:00:00Z = 2027-03-28 08:00",
            "2027-03-28T12:00:00Z = 2027-03-28 14:00",
        ]
    );
    let half = every(Duration::from_secs(1800), "Europe/Madrid");
    assert_eq!(
        first(&half, "2027-10-31T01:00:00Z", 1),
        ["2027-10-31T01:30:00Z = 2027-10-31 02:30 second"]
    );
    for wrong in [
        Duration::ZERO,
        Duration::from_millis(999),
        Duration::from_millis(1500),
        Duration::MAX,
    ] {
        assert!(attempt(&every(wrong, "UTC")).is_err(), "{wrong:?}");
    }
}

#[test]
fn bounds_are_civil_the_first_inclusive_the_last_exclusive() {
    let bounded = |lines: &[&str], from: &str, until: &str| TriggerSpec {
        from: Some(from.parse().unwrap()),
        until: Some(until.parse().unwrap()),
        ..spec(lines, "Europe/Madrid")
    };
    let daily = bounded(
        &["15 2 * * *"],
        "2027-03-27T02:15:00",
        "2027-03-29T02:15:00",
    );
    assert_eq!(
        first(&daily, "1990-01-01T00:00:00Z", 9),
        [
            "2027-03-27T01:15:00Z = 2027-03-27 02:15",
            "2027-03-28T01:00:00Z = 2027-03-28 02:15 gap"
        ]
    );
    // A missing time that lies before `until` runs, though the instant at which it runs is called 03:00.
    let gap = bounded(
        &["15 2 * * *", "0 3 * * *"],
        "2027-03-28T00:00:00",
        "2027-03-28T03:00:00",
    );
    assert_eq!(
        first(&gap, "1990-01-01T00:00:00Z", 9),
        ["2027-03-28T01:00:00Z = 2027-03-28 02:15 gap"]
    );
    // An hourly schedule begins and ends once, also where the wall clock goes back.
    let hourly = bounded(
        &["*/30 * * * *"],
        "2027-10-31T02:30:00",
        "2027-10-31T03:00:00",
    );
    assert_eq!(
        first(&hourly, "1990-01-01T00:00:00Z", 9),
        [
            "2027-10-31T00:30:00Z = 2027-10-31 02:30",
            "2027-10-31T01:00:00Z = 2027-10-31 02:00 second",
            "2027-10-31T01:30:00Z = 2027-10-31 02:30 second",
        ]
    );
    let period = TriggerSpec {
        rhythm: Rhythm::Every(Duration::from_secs(86_400)),
        ..bounded(&[], "2027-06-01T02:00:00", "2027-06-03T02:00:00")
    };
    assert_eq!(
        first(&period, "1990-01-01T00:00:00Z", 9),
        [
            "2027-06-01T00:00:00Z = 2027-06-01 02:00",
            "2027-06-02T00:00:00Z = 2027-06-02 02:00"
        ]
    );
}

#[test]
fn an_end_inside_a_repeated_hour_leaves_the_second_showing_of_earlier_times() {
    let both = TriggerSpec {
        until: Some("2027-10-31T02:30:00".parse().unwrap()),
        ..with(
            &["15,45 2 * * *"],
            "Europe/Madrid",
            DstGap::Run,
            DstOverlap::Both,
        )
    };
    assert_eq!(
        first(&both, "2027-10-30T12:00:00Z", 9),
        [
            "2027-10-31T00:15:00Z = 2027-10-31 02:15",
            "2027-10-31T01:15:00Z = 2027-10-31 02:15 second",
        ]
    );
}

#[test]
fn an_until_before_its_from_is_refused() {
    let moment = Some("2027-06-01T00:00:00".parse().unwrap());
    let never = TriggerSpec {
        from: moment,
        until: moment,
        ..spec(&["0 2 * * *"], "UTC")
    };
    assert!(attempt(&never).unwrap_err().message.contains("until"));
}

#[test]
fn excluded_dates_are_those_of_the_nominal_time() {
    let without = |dates: &[&str], spec: TriggerSpec| TriggerSpec {
        exclude: dates.iter().map(|d| d.parse().unwrap()).collect(),
        ..spec
    };
    // The run for Sunday's missing 00:00 is Sunday's, though it happens at 01:00.
    let santiago = without(&["2027-09-05"], spec(&["0 0 * * *"], "America/Santiago"));
    assert_eq!(
        first(&santiago, "2027-09-04T12:00:00Z", 1),
        ["2027-09-06T03:00:00Z = 2027-09-06 00:00"]
    );
    let hourly = without(
        &["2027-10-31", "2027-11-01"],
        spec(&["0 * * * *"], "Europe/Madrid"),
    );
    assert_eq!(
        first(&hourly, "2027-10-30T20:30:00Z", 2),
        [
            "2027-10-30T21:00:00Z = 2027-10-30 23:00",
            "2027-11-01T23:00:00Z = 2027-11-02 00:00"
        ]
    );
    let often = without(
        &["2024-02-29"],
        every(Duration::from_secs(900), "Asia/Almaty"),
    );
    assert_eq!(
        first(&often, "2024-02-28T17:50:00Z", 2),
        // 29 February was 25 hours long.
        [
            "2024-02-29T19:00:00Z = 2024-03-01 00:00",
            "2024-02-29T19:15:00Z = 2024-03-01 00:15"
        ]
    );
    // And 28 March is 23 hours long: the next date begins an hour earlier.
    let often = without(
        &["2027-03-28"],
        every(Duration::from_secs(900), "Europe/Madrid"),
    );
    assert_eq!(
        first(&often, "2027-03-27T22:50:00Z", 1),
        ["2027-03-28T22:00:00Z = 2027-03-29 00:00"]
    );
}

#[test]
fn excluding_every_date_ends() {
    let until = "2029-01-01".parse().unwrap();
    let from: jiff::civil::Date = "2027-01-01".parse().unwrap();
    let dates = from
        .series(jiff::ToSpan::days(1))
        .take_while(|d| *d < until)
        .collect();
    let never = TriggerSpec {
        exclude: dates,
        from: Some("2027-01-01T00:00:00".parse().unwrap()),
        until: Some("2029-01-01T00:00:00".parse().unwrap()),
        ..spec(&["* * * * * *"], "Europe/Madrid")
    };
    assert_eq!(trigger(&never).after(at("2020-01-01T00:00:00Z")), None);
    let rhythm = Rhythm::Every(Duration::from_secs(1));
    let never = TriggerSpec { rhythm, ..never };
    assert_eq!(trigger(&never).after(at("2020-01-01T00:00:00Z")), None);
}

#[test]
fn the_ends_of_the_calendar_are_quiet() {
    let specs = [
        spec(&["0 2 * * *"], "Europe/Madrid"),
        spec(&["* * * * * *"], "Pacific/Apia"),
        spec(&["0 0 29 2 *"], "America/New_York"),
        every(Duration::from_secs(1), "Europe/Madrid"),
        every(Duration::from_secs(3660 * 86_400), "Pacific/Kiritimati"),
    ];
    for spec in &specs {
        let trigger = trigger(spec);
        assert_eq!(trigger.after(Timestamp::MAX), None, "{trigger:?}");
        for t in [
            "9999-12-29T00:00:00Z",
            "9999-12-30T01:00:00Z",
            "4999-12-31T23:00:00Z",
            "-009999-01-03T00:00:00Z",
        ] {
            let next = trigger.after(at(t));
            assert!(next.is_none_or(|o| o.instant > at(t)), "{trigger:?} {t}");
            let nightly = next.filter(|_| spec.rhythm == specs[0].rhythm);
            assert!(nightly.is_none_or(|o| o.civil.hour() == 2), "{next:?}");
        }
        let next = trigger.after(Timestamp::MIN);
        assert!(
            next.is_none_or(|o| o.instant > Timestamp::MIN),
            "{trigger:?}"
        );
    }
}

#[test]
fn parts_of_a_second_neither_repeat_nor_lose_a_run() {
    let each = trigger(&spec(&["* * * * * *"], "Europe/Madrid"));
    for (asked, next) in [
        ("2027-01-01T00:00:00Z", "2027-01-01T00:00:01Z"),
        ("2027-01-01T00:00:00.999999999Z", "2027-01-01T00:00:01Z"),
        ("1969-12-31T23:59:58.5Z", "1969-12-31T23:59:59Z"),
    ] {
        assert_eq!(each.after(at(asked)).unwrap().instant, at(next), "{asked}");
    }
}

#[test]
fn who_asks_at_the_beginning_of_the_calendar_hears_of_the_first_occurrence() {
    for name in ["Pacific/Niue", "UTC", "Pacific/Kiritimati"] {
        let trigger = trigger(&spec(&["0 0 1 1 *"], name));
        let first = trigger.after(Timestamp::MIN).unwrap();
        assert_eq!(first.civil.to_string(), "-009998-01-01T00:00:00", "{name}");
    }
}

#[test]
fn the_last_day_beside_a_nearest_workday_is_not_the_last_workday() {
    let trigger = trigger(&spec(&["0 0 L,15W * *"], "UTC"));
    let january = between(
        &trigger,
        at("2026-12-31T00:00:00Z"),
        at("2027-02-01T00:00:00Z"),
    );
    let days: Vec<i8> = january.iter().map(|o| o.civil.day()).collect();
    // The 31st is a Sunday, the 15th a Friday.
    assert_eq!(days, [15, 31]);
}

#[test]
fn what_is_daily_at_most_is_never_closer_than_twenty_hours() {
    let is_daily = |lines: &[&str], zone: &str| trigger(&spec(lines, zone)).is_daily_at_most();
    assert!(is_daily(&["15 2 * * *"], "Europe/Madrid"));
    assert!(is_daily(&["0 30 4 1 * MON"], "UTC"));
    for more in ["* 2 * * *", "0 2,3 * * *", "0 */6 * * *", "*/10 0 2 * * *"] {
        assert!(!is_daily(&[more], "UTC"), "{more}");
    }
    assert!(!is_daily(&["0 2 * * *", "30 2 * * *"], "UTC"));
    let both = TriggerSpec {
        dst_overlap: DstOverlap::Both,
        ..spec(&["30 2 * * *"], "Europe/Madrid")
    };
    assert!(!trigger(&both).is_daily_at_most());
    // Clock changes of an hour, of half an hour, of a whole day, and none.
    let zones = [
        "Europe/Madrid",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Asia/Kolkata",
    ];
    for name in zones {
        for line in ["30 2 * * *", "0 0 * * *", "59 23 * * *"] {
            let daily = trigger(&spec(&[line], name));
            let two_years = between(
                &daily,
                at("2011-01-01T00:00:00Z"),
                at("2013-01-01T00:00:00Z"),
            );
            // A date that does not exist is told and does not run.
            let runs = two_years.iter().filter(|o| o.shape != Shape::NoSuchDay);
            let runs: Vec<Timestamp> = runs.map(|o| o.instant).collect();
            for pair in runs.windows(2) {
                let gap = pair[1].duration_since(pair[0]).as_hours();
                assert!(gap >= 20, "{name} {line}: {gap} h before {}", pair[1]);
            }
        }
    }
}
