//! What may be written, what it means, and what is said about the rest.

use super::*;

/// The nominal times after the beginning of 2027 in UTC.
fn meaning(line: &str, count: usize) -> Vec<String> {
    let trigger = attempt(&spec(&[line], "UTC")).unwrap_or_else(|e| panic!("{line}: {e}"));
    let next = |o: &Occurrence| trigger.after(o.instant);
    std::iter::successors(trigger.after(at("2026-12-31T23:59:59Z")), next)
        .take(count)
        .map(|o| o.civil.strftime("%m-%d %H:%M").to_string())
        .collect()
}

#[test]
fn expressions_mean_what_crontab_says() {
    // 1 January 2027 is a Friday.
    let table: [(&str, &[&str]); 27] = [
        ("@hourly", &["01-01 00:00", "01-01 01:00"]),
        ("@daily", &["01-01 00:00", "01-02 00:00"]),
        ("@Midnight", &["01-01 00:00", "01-02 00:00"]),
        ("@weekly", &["01-03 00:00", "01-10 00:00"]),
        ("@monthly", &["01-01 00:00", "02-01 00:00"]),
        ("@yearly", &["01-01 00:00", "01-01 00:00"]),
        ("@annually", &["01-01 00:00", "01-01 00:00"]),
        ("  15   2 * * *  ", &["01-01 02:15", "01-02 02:15"]),
        (
            "*/20 1 * * *",
            &["01-01 01:00", "01-01 01:20", "01-01 01:40", "01-02 01:00"],
        ),
        (
            "5-10/5,30 1 * * *",
            &["01-01 01:05", "01-01 01:10", "01-01 01:30"],
        ),
        ("0 2 * * mon", &["01-04 02:00", "01-11 02:00"]),
        ("0 2 * * 7", &["01-03 02:00", "01-10 02:00"]),
        (
            "0 2 * * SAT-SUN",
            &["01-02 02:00", "01-03 02:00", "01-09 02:00"],
        ),
        (
            "0 2 * * 5-7",
            &["01-01 02:00", "01-02 02:00", "01-03 02:00", "01-08 02:00"],
        ),
        ("0 2 1 Feb,DEC *", &["02-01 02:00", "12-01 02:00"]),
        ("0 2 L * *", &["01-31 02:00", "02-28 02:00", "03-31 02:00"]),
        ("0 2 LW * *", &["01-29 02:00", "02-26 02:00", "03-31 02:00"]),
        (
            "0 2 15W * *",
            &[
                "01-15 02:00",
                "02-15 02:00",
                "03-15 02:00",
                "04-15 02:00",
                "05-14 02:00",
            ],
        ),
        ("0 2 1W 5,8 *", &["05-03 02:00", "08-02 02:00"]),
        ("0 2 * * 5L", &["01-29 02:00", "02-26 02:00"]),
        ("0 2 * * friL", &["01-29 02:00", "02-26 02:00"]),
        ("0 2 * * TUE#2", &["01-12 02:00", "02-09 02:00"]),
        (
            "0 2 * * 7#1,3L",
            &["01-03 02:00", "01-27 02:00", "02-07 02:00"],
        ),
        // Both restricted: either matches.
        (
            "0 2 13 * FRI",
            &["01-01 02:00", "01-08 02:00", "01-13 02:00", "01-15 02:00"],
        ),
        // A step over `*` does not restrict by itself: both must match, as in Vixie cron.
        (
            "0 2 */2 * FRI",
            &["01-01 02:00", "01-15 02:00", "01-29 02:00"],
        ),
        ("0 2 ? * 1", &["01-04 02:00", "01-11 02:00"]),
        ("0 2 1 * ?", &["01-01 02:00", "02-01 02:00"]),
    ];
    for (line, expected) in table {
        assert_eq!(meaning(line, expected.len()), expected, "{line}");
    }
}

#[test]
fn six_fields_begin_with_the_seconds() {
    let trigger = trigger(&spec(&["30 15 2 * * *"], "UTC"));
    let next = trigger.after(at("2027-01-01T02:15:00Z")).unwrap();
    assert_eq!(next.instant, at("2027-01-01T02:15:30Z"));
}

#[test]
fn mistakes_are_shown_at_their_place_with_the_text_to_write() {
    let table = [
        (
            "0 25 * * *",
            "25",
            "hour 25 is out of range, hours go from 0 to 23",
            "",
        ),
        (
            "60 2 * * *",
            "60",
            "minute 60 is out of range, minutes go from 0 to 59",
            "",
        ),
        (
            "0 2 0 * *",
            "0",
            "day 0 is out of range, days go from 1 to 31",
            "",
        ),
        ("0 2 1-40 * *", "40", "day 40 is out of range", ""),
        (
            "0 2 * 13 *",
            "13",
            "month 13 is out of range, months go from 1 to 12",
            "",
        ),
        (
            "0 2 * * 8",
            "8",
            "weekdays go from 0 to 7 (0 and 7 are Sunday)",
            "",
        ),
        (
            ", * * * *",
            ",",
            "the list of minutes has an empty item",
            "comma",
        ),
        (
            "0 2 1,,5 * *",
            "1,,5",
            "the list of days has an empty item",
            "comma",
        ),
        ("0, 30 2 * * *", "0,", "has an empty item", "without spaces"),
        (
            "0/5 * * * *",
            "0/5",
            "a step needs a range before it",
            "write `*/5`",
        ),
        (
            "7/5 * * * *",
            "7/5",
            "a step needs a range before it",
            "write `7-59/5`",
        ),
        (
            "/5 * * * *",
            "/5",
            "a step needs a range before it",
            "write `*/5`",
        ),
        ("*/0 * * * *", "*/0", "a step of 0", "1 or more"),
        ("*/x * * * *", "*/x", "is not a step", "*/15"),
        (
            "0 2 * * MONDAY",
            "MONDAY",
            "`MONDAY` is not a weekday",
            "write `MON`",
        ),
        (
            "0 2 * september *",
            "september",
            "`september` is not a month",
            "write `SEP`",
        ),
        (
            "0 2 * * Jan",
            "Jan",
            "`Jan` is not a weekday",
            "minute hour day month weekday",
        ),
        (
            "0 2 MON * *",
            "MON",
            "`MON` is not a day",
            "minute hour day month weekday",
        ),
        (
            "0 2 * * 1-FRIDAY",
            "FRIDAY",
            "`FRIDAY` is not a weekday",
            "write `FRI`",
        ),
        (
            "0 2 * * FRI-MON",
            "FRI-MON",
            "runs backwards",
            "write `5-6,0-1`",
        ),
        (
            "0 22-4 * * *",
            "22-4",
            "runs backwards",
            "write `22-23,0-4`",
        ),
        ("0 2 1- * *", "1-", "lacks an end", "1-5"),
        ("0 2 *,5 * *", "*", "in a list", "alone"),
        (
            "? 2 * * *",
            "?",
            "`?` has no meaning in the minute field",
            "write `*`",
        ),
        ("0 2 L-3 * *", "L-3", "not supported", "`L`"),
        ("0 2 L,LW * *", "L,LW", "one list", "two expressions"),
        ("0 2 5L * *", "5L", "is not a day", "weekday field"),
        ("0 2 W * *", "W", "needs a day", "15W"),
        ("0 2 32W * *", "32", "day 32 is out of range", ""),
        ("0 2 * * L", "L", "`L` alone is not a weekday", "5L"),
        ("0 2 * * 5#6", "5#6", "#1 to #5", "5L"),
        ("0 2 * * 9#1", "9", "weekday 9 is out of range", ""),
        ("H(0-29 2 * * *", "H(0-29", "parenthesis", "H(0-29)"),
        ("H(50-70) 2 * * *", "70", "minute 70 is out of range", ""),
        ("H2 2 * * *", "H2", "is not a minute", "from 0 to 59"),
        ("0 2 * * * * *", "*", "has 7 fields", "from and until"),
        (
            "0 2 * *",
            "0 2 * *",
            "has 4 of 5 fields",
            "minute hour day month weekday",
        ),
        ("", "", "is empty", "15 2 * * *"),
        (
            "TZ=UTC 0 2 * * *",
            "TZ=UTC",
            "names no zone",
            "timezone = \"UTC\"",
        ),
        (
            "CRON_TZ=Europe/Madrid 0 0 2 * * *",
            "CRON_TZ=Europe/Madrid",
            "names no zone",
            "timezone = \"Europe/Madrid\"",
        ),
        ("cron_tz= @daily", "cron_tz=", "names no zone", "timezone"),
        ("@noon", "@noon", "`@noon` is not a time", "@daily"),
        ("0 2 é * *", "é", "has no meaning", ""),
        ("0 2 30 2 *", "30", "no date ever matches", "`L`"),
        ("0 2 31 4,6,9,11 *", "31", "no date ever matches", "`L`"),
        ("0 2 30W FEB *", "30W", "no date ever matches", "`L`"),
        ("0 2 * 2 FRI#5", "FRI#5", "up to 40 in a row", "`5L`"),
        ("0 2 */31 * 1#5", "*/31", "no date ever matches", ""),
    ];
    for (line, place, message, hint) in table {
        let error = attempt(&spec(&["0 1 * * *", line], "UTC")).expect_err(line);
        let (start, end) = error.span.unwrap();
        assert_eq!(&line[start..end], place, "{line}");
        assert!(error.message.contains(message), "{line}: {}", error.message);
        let told = error.hint.unwrap_or_default();
        assert!(told.contains(hint), "{line}: {told}");
        assert_eq!(error.expression, 1, "{line}");
    }
}

#[test]
fn rare_dates_that_do_come_are_accepted() {
    for line in [
        "0 2 29 2 *",
        "0 2 29W 2 *",
        "0 2 * 4 FRI#5",
        "0 2 30 2 FRI",
        "0 2 L 2 *",
        "0 2 */30 * 1",
    ] {
        assert!(attempt(&spec(&[line], "UTC")).is_ok(), "{line}");
    }
    // The longest wait of all: no leap year in 2100.
    let leap = trigger(&spec(&["0 2 29 2 *"], "UTC"));
    let next = leap.after(at("2096-03-01T00:00:00Z")).unwrap();
    assert_eq!(next.instant, at("2104-02-29T02:00:00Z"));
}

#[test]
fn a_schedule_takes_one_to_a_hundred_expressions_of_bounded_length() {
    assert!(attempt(&spec(&[], "UTC")).is_err());
    assert!(attempt(&spec(&["0 1 * * *"; 100], "UTC")).is_ok());
    assert!(attempt(&spec(&["0 1 * * *"; 101], "UTC")).is_err());
    let long = format!("{} 1 * * *", vec!["1"; 300].join(","));
    assert!(
        attempt(&spec(&[&long], "UTC"))
            .unwrap_err()
            .message
            .contains("longer")
    );
}

/// The first minute and hour of an expression, for a schedule of this name.
fn hashed(line: &str, name: &str) -> (i8, i8) {
    let schedule = ScheduleName::new(name).unwrap();
    let trigger = Trigger::new(&spec(&[line], "UTC"), zone("UTC"), &schedule).unwrap();
    let first = trigger.after(at("2026-12-31T23:59:59Z")).unwrap().civil;
    (first.minute(), first.hour())
}

#[test]
fn h_is_decided_by_the_name_and_stays_for_ever() {
    assert_eq!(hashed("H H * * *", "store-clusters"), (27, 0));
    assert_eq!(hashed("H H * * *", "ingest-sales"), (49, 5));
    assert_eq!(hashed("0 H(1-5) * * *", "store-clusters").1, 1);
    assert_eq!(hashed("H(0-29)/10 1 * * *", "store-clusters").0, 4);
}

#[test]
fn h_spreads_schedules_within_its_range() {
    let mut seen = [0; 60];
    for n in 0..600 {
        let name = format!("schedule-{n}");
        let minute = hashed("H * * * *", &name).0;
        seen[minute as usize] += 1;
        assert!((10..20).contains(&hashed("H(10-19) 1 * * *", &name).0));
        assert!(hashed("H/15 1 * * *", &name).0 < 15);
        let all = trigger(&spec(&["0 0 H * *"], "UTC"));
        assert!(between(&all, at("2026-12-31T00:00:00Z"), at("2027-12-31T00:00:00Z")).len() == 12);
    }
    assert!(seen.iter().all(|&count| count > 0), "{seen:?}");
}
