//! The language by example, and by chance against a second way of working it out: jiff's own `strftime`, and dates that
//! are found by walking from day to day.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::str::FromStr;

use jiff::civil::{Date, DateTime, Weekday};
use jiff::fmt::strtime;
use jiff::tz::TimeZoneDatabase;
use jiff::{SignedDuration, ToSpan};
use proptest::prelude::*;

use super::date::{EDGES, FIRST, LAST, UNITS};
use super::*;

fn zone(name: &str) -> TimeZone {
    TimeZoneDatabase::bundled().get(name).unwrap()
}

fn run() -> RunId {
    RunId::from_str("store-clusters/hyper@2026-02-03T01:15:00Z").unwrap()
}

/// What a template gives at a wall time in a zone.
fn at(text: &str, civil: &str, fold: Fold, zone: &TimeZone) -> String {
    let template = Template::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    template.render(&Occasion {
        run: &run(),
        civil: civil.parse().unwrap(),
        fold,
        zone,
    })
}

/// The same in Madrid.
fn madrid(text: &str, civil: &str) -> String {
    at(text, civil, Fold::First, &zone("Europe/Madrid"))
}

#[test]
fn every_example_gives_what_is_said_of_it() {
    let table = [
        ("{{ date }}", "2026-02-03"),
        ("{{date}}", "2026-02-03"),
        ("{{ date - 1d }}", "2026-02-02"),
        ("{{ date-1d }}", "2026-02-02"),
        ("{{\tdate\n-  1 d }}", "2026-02-02"),
        ("{{ date + 2w }}", "2026-02-17"),
        ("{{ date - 1mo }}", "2026-01-03"),
        ("{{ date - 1y + 1d }}", "2025-02-04"),
        ("{{ date - 2wd }}", "2026-01-30"),
        ("{{ date | month_start }}", "2026-02-01"),
        ("{{ date - 1mo | month_end }}", "2026-01-31"),
        ("{{ date | month_start - 1d }}", "2026-01-31"),
        ("{{ date | month_end | week_start }}", "2026-02-23"),
        (
            "{{ date | week_start }} {{ date | week_end }}",
            "2026-02-02 2026-02-08",
        ),
        (
            "{{ date | quarter_start }} {{ date | quarter_end }}",
            "2026-01-01 2026-03-31",
        ),
        (
            "{{ date | year_start }} {{ date | year_end }}",
            "2026-01-01 2026-12-31",
        ),
        ("{{ date | month_start | format(\"%Y%m\") }}", "202602"),
        ("events_{{ date | format('%Y%m%d') }}", "events_20260203"),
        ("{{ date | format('%d/%m/%Y, %A') }}", "03/02/2026, Tuesday"),
        ("{{ date | format('%-d.%-m. 100%%') }}", "3.2. 100%"),
        ("{{ nominal }}", "2026-02-03T02:15:00+01:00"),
        ("{{ nominal - 1h }}", "2026-02-03T01:15:00+01:00"),
        ("{{ nominal - 3h | format('%F %R') }}", "2026-02-02 23:15"),
        ("{{ nominal + 30min - 1d }}", "2026-02-02T02:45:00+01:00"),
        ("{{ nominal | month_start }}", "2026-02-01"),
        ("{{ nominal | format('%s') }}", "1770081300"),
        ("{{ schedule }}/{{ set }}", "store-clusters/hyper"),
        ("{{ run }}", "store-clusters/hyper@2026-02-03T01:15:00Z"),
        ("a {{ '{{' }} b }} c", "a {{ b }} c"),
        ("{{ '{{' }}{{ \"}}\" }}", "{{}}"),
        ("{\"d\":\"{{ date }}\"}", "{\"d\":\"2026-02-03\"}"),
        ("{{ date | format('}}') }}", "}}"),
        ("no template", "no template"),
        ("", ""),
    ];
    for (text, wanted) in table {
        assert_eq!(madrid(text, "2026-02-03T02:15:00"), wanted, "{text}");
    }
}

#[test]
fn months_and_years_are_cut_to_the_days_that_there_are() {
    let table = [
        ("2026-03-31T00:00:00", "{{ date - 1mo }}", "2026-02-28"),
        ("2028-03-31T00:00:00", "{{ date - 1mo }}", "2028-02-29"),
        ("2028-02-29T00:00:00", "{{ date + 1y }}", "2029-02-28"),
        (
            "2026-01-31T00:00:00",
            "{{ date + 1mo + 1mo }}",
            "2026-03-28",
        ),
        ("2026-01-31T00:00:00", "{{ date + 2mo }}", "2026-03-31"),
        (
            "2028-02-10T00:00:00",
            "{{ date | month_end }}",
            "2028-02-29",
        ),
    ];
    for (civil, text, wanted) in table {
        assert_eq!(madrid(text, civil), wanted, "{text} at {civil}");
    }
}

#[test]
fn working_days_pass_over_weekends() {
    // Friday 30 January, Saturday, Sunday, Monday 2 February
    let table = [
        ("2026-01-30", "+ 1wd", "2026-02-02"),
        ("2026-01-30", "- 1wd", "2026-01-29"),
        ("2026-01-31", "+ 1wd", "2026-02-02"),
        ("2026-01-31", "- 1wd", "2026-01-30"),
        ("2026-02-01", "+ 1wd", "2026-02-02"),
        ("2026-02-01", "- 1wd", "2026-01-30"),
        ("2026-02-02", "- 1wd", "2026-01-30"),
        ("2026-02-02", "- 6wd", "2026-01-23"),
        ("2026-01-31", "+ 0wd", "2026-02-02"),
        ("2026-02-01", "- 0wd", "2026-01-30"),
        ("2026-02-02", "- 0wd", "2026-02-02"),
    ];
    for (day, shift, wanted) in table {
        let text = format!("{{{{ date {shift} }}}}");
        assert_eq!(
            madrid(&text, &format!("{day}T00:00:00")),
            wanted,
            "{day} {shift}"
        );
    }
}

#[test]
fn the_nominal_time_of_a_clock_change_keeps_its_date_and_offset() {
    // missing: 02:15 on 29 March; twice: 02:30 on 25 October
    assert_eq!(
        madrid("{{ date }} {{ nominal }}", "2026-03-29T02:15:00"),
        "2026-03-29 2026-03-29T02:15:00+01:00"
    );
    let twice = |fold, text| at(text, "2026-10-25T02:30:00", fold, &zone("Europe/Madrid"));
    assert_eq!(
        twice(Fold::First, "{{ nominal }}"),
        "2026-10-25T02:30:00+02:00"
    );
    assert_eq!(
        twice(Fold::Second, "{{ nominal }}"),
        "2026-10-25T02:30:00+01:00"
    );
    // an hour is a real one, a day one of the calendar
    assert_eq!(
        twice(Fold::Second, "{{ nominal - 1h }}"),
        "2026-10-25T02:30:00+02:00"
    );
    assert_eq!(
        madrid(
            "{{ nominal - 1h }} {{ nominal - 1d }}",
            "2026-03-29T03:30:00"
        ),
        "2026-03-29T01:30:00+01:00 2026-03-28T03:30:00+01:00"
    );
    // midnight itself is missing in Havana
    let havana = at(
        "{{ date }} {{ nominal }}",
        "2026-03-08T00:15:00",
        Fold::First,
        &zone("America/Havana"),
    );
    assert_eq!(havana, "2026-03-08 2026-03-08T00:15:00-05:00");
}

#[test]
fn what_is_wrong_is_told_at_its_place() {
    let table = [
        ("{{ date", "{{", "this {{ is not closed"),
        ("a }} {{ dat }}", "dat", "there is no such name"),
        ("{{ }}", "{{ }}", "names nothing"),
        ("{{{ date }}}", "{", "a name must stand here"),
        ("{{ 1d }}", "1", "a name must stand here"),
        ("{{ date 1d }}", "1", "one of + - | }} must stand here"),
        ("{{ date - }}", "- }}", "a number must follow the sign"),
        ("{{ date - 1 }}", "1", "the number has no unit"),
        ("{{ date - 1m }}", "m", "there is no such unit"),
        ("{{ date - 10000d }}", "10000", "an offset is at most 9999"),
        (
            "{{ date - 99999999999d }}",
            "99999999999",
            "an offset is at most 9999",
        ),
        ("{{ date - 1h }}", "1h", "a date has no hours and minutes"),
        (
            "{{ nominal | month_end - 1h }}",
            "1h",
            "a date has no hours and minutes",
        ),
        (
            "{{ date | month_ende }}",
            "month_ende",
            "there is no such step",
        ),
        ("{{ date | }}", "}}", "a word must follow the |"),
        (
            "{{ date | format }}",
            "}}",
            "a format is written format('%Y%m%d')",
        ),
        (
            "{{ date | format(%Y) }}",
            "%",
            "a format is written format('%Y%m%d')",
        ),
        (
            "{{ date | format('%Y' }}",
            "}}",
            "a format is written format('%Y%m%d')",
        ),
        ("{{ date | format('%Y) }}", "'", "this quote is not closed"),
        ("{{ date | format('') }}", "", "a format must not be empty"),
        (
            "{{ date | format('%Y-%Q') }}",
            "%Q",
            "there is no such letter for dates",
        ),
        (
            "{{ date | format('ü%é') }}",
            "%é",
            "there is no such letter for dates",
        ),
        (
            "{{ date | format('%') }}",
            "%",
            "a letter must follow the percent sign",
        ),
        (
            "{{ date | format('%-') }}",
            "%-",
            "a letter must follow the percent sign",
        ),
        (
            "{{ date | format('%-%') }}",
            "%-%",
            "there is no such letter for dates",
        ),
        (
            "{{ date | format('%-B') }}",
            "%-B",
            "only a number can be without zeros",
        ),
        (
            "{{ date | format('%d %H') }}",
            "%H",
            "a date has no time of day",
        ),
        (
            "{{ date | format('%T') }}",
            "%T",
            "a date has no time of day",
        ),
        (
            "{{ nominal | year_end | format('%H') }}",
            "%H",
            "a date has no time of day",
        ),
        ("{{ date | format('%Y') - 1d }}", "-", "format comes last"),
        (
            "{{ set | format('%Y') }}",
            "|",
            "this is a name and no date, so nothing may follow it",
        ),
        ("{{ '{{' + 1d }}", "+", "nothing may follow a quoted text"),
    ];
    for (text, place, message) in table {
        let error = Template::parse(text).unwrap_err();
        assert_eq!(error.message, message, "{text}");
        assert_eq!(&text[error.span], place, "{text}");
        assert!(!error.hint.is_empty());
    }
}

#[test]
fn what_is_large_is_refused() {
    let many = "{{ date }}".repeat(101);
    assert!(
        Template::parse(&many)
            .unwrap_err()
            .message
            .contains("more than 100")
    );
    let long = format!("{{{{ date {} }}}}", "+ 1d ".repeat(21));
    assert!(
        Template::parse(&long)
            .unwrap_err()
            .message
            .contains("more than 20")
    );
    assert!(Template::parse(&format!("{{{{ date {} }}}}", "+ 1d ".repeat(20))).is_ok());
}

#[test]
fn a_number_is_proven_to_be_one() {
    let table = [
        ("{{ date | format('%Y%m%d') }}", Some(20_260_203)),
        ("{{ date | format('%d') }}", Some(3)),
        ("{{ date | format('%-d') }}", Some(3)),
        ("{{ nominal | format('%s') }}", Some(1_770_081_300)),
        (
            "1{{ date | format('%y') }}{{ date | format('%j') }}",
            Some(126_034),
        ),
        (
            "{{ nominal | format('%Y%m%d%H%M%S') }}",
            Some(20_260_203_021_500),
        ),
        ("{{ date }}", None),
        ("{{ set }}", None),
        ("-{{ date | format('%d') }}", None),
        ("{{ date | format('%Y.%m') }}", None),
        ("{{ date | format('%b') }}", None),
        ("{{ nominal | format('%z') }}", None),
        ("1{{ nominal | format('%s') }}", None),
        ("{{ nominal | format('%Y%s') }}", None),
        ("{{ date | format('%Y%Y%Y%Y') }}", None),
        ("{{ '' }}", None),
    ];
    for (text, wanted) in table {
        let template = Template::parse(text).unwrap();
        assert_eq!(template.always_number().is_ok(), wanted.is_some(), "{text}");
        let occasion = Occasion {
            run: &run(),
            civil: "2026-02-03T02:15:00".parse().unwrap(),
            fold: Fold::First,
            zone: &zone("Europe/Madrid"),
        };
        if let Some(wanted) = wanted {
            assert_eq!(template.number(&occasion), wanted, "{text}");
        }
    }
}

#[test]
fn beyond_the_calendar_is_its_first_or_last_day() {
    let utc = TimeZone::UTC;
    let table = [
        ("-009999-01-01T00:00:00", "{{ date }}", "0001-01-01"),
        ("0000-06-01T00:00:00", "{{ date - 1d }}", "0001-01-01"),
        ("0001-01-02T00:00:00", "{{ date - 9999y }}", "0001-01-01"),
        ("9999-12-31T23:00:00", "{{ date + 1d }}", "9999-12-31"),
        (
            "9999-12-31T23:00:00",
            "{{ date + 9999mo | week_end }}",
            "9999-12-31",
        ),
        ("9999-12-31T23:00:00", "{{ date + 3wd }}", "9999-12-31"),
        (
            "0001-01-01T00:00:00",
            "{{ nominal - 1d }}",
            "0001-01-01T00:00:00+00:00",
        ),
    ];
    for (civil, text, wanted) in table {
        assert_eq!(
            at(text, civil, Fold::First, &utc),
            wanted,
            "{text} at {civil}"
        );
    }
    assert_eq!(FIRST.weekday(), Weekday::Monday);
    assert_eq!(LAST.weekday(), Weekday::Friday);
}

// ---- by chance ------------------------------------------------------------------------------------------------------

const ZONES: [&str; 6] = [
    "UTC",
    "Europe/Madrid",
    "America/Havana",
    "Pacific/Apia",
    "Australia/Lord_Howe",
    "Africa/Monrovia",
];

/// Any day of jiff's calendar, seldom far away.
fn day() -> impl Strategy<Value = Date> {
    let range = |from: Date, to: Date| {
        let days = (to - from).get_days();
        (0..=days).prop_map(move |n| from.checked_add(n.days()).unwrap())
    };
    prop_oneof![
        8 => range(jiff::civil::date(1960, 1, 1), jiff::civil::date(2060, 1, 1)),
        1 => range(Date::MIN, Date::MAX),
        1 => prop_oneof![Just(Date::MIN), Just(Date::MAX), Just(FIRST), Just(LAST)],
    ]
}

fn wall_time() -> impl Strategy<Value = DateTime> {
    (day(), 0..24_i8, 0..60_i8, 0..60_i8).prop_map(|(day, h, m, s)| day.at(h, m, s, 0))
}

fn fold() -> impl Strategy<Value = Fold> {
    prop_oneof![Just(Fold::First), Just(Fold::Second)]
}

/// Pieces of templates, put together at random: many are right.
fn piece() -> impl Strategy<Value = String> {
    let step = prop_oneof![
        (any::<bool>(), 0..10_000_u32, 0..UNITS.len()).prop_map(|(back, n, unit)| {
            let sign = if back { '-' } else { '+' };
            format!(" {sign} {n}{}", UNITS[unit].0)
        }),
        (0..EDGES.len()).prop_map(|edge| format!(" | {}", EDGES[edge].0)),
    ];
    let letters: Vec<String> = format::letters().collect();
    let letter = prop::sample::select(letters);
    let format = prop::collection::vec(prop_oneof![3 => letter, 1 => "[ -~&&[^'%]]{0,3}"], 1..6)
        .prop_map(|parts| format!(" | format('{}')", parts.concat()));
    let dated = (
        prop_oneof![Just("date"), Just("nominal")],
        prop::collection::vec(step, 0..5),
        prop::option::of(format),
    )
        .prop_map(|(name, steps, format)| {
            format!(
                "{{{{ {name}{}{} }}}}",
                steps.concat(),
                format.unwrap_or_default()
            )
        });
    prop_oneof![
        6 => dated,
        1 => prop::sample::select(vec!["{{ set }}", "{{ run }}", "{{ '{{' }}", "}}", "é", "7"])
            .prop_map(str::to_owned),
        1 => "[ -~]{0,12}",
        1 => "[{}' a-z|+%0-9-]{0,12}",
    ]
}

fn some_zone() -> impl Strategy<Value = TimeZone> {
    prop::sample::select(ZONES.to_vec()).prop_map(zone)
}

/// The date that so many steps of one day lead to, counting only the days that count; `None` beyond the calendar.
fn walked(mut date: Date, back: bool, mut n: u32, counts: fn(Date) -> bool) -> Option<Date> {
    while n > 0 {
        date = match back {
            true => date.yesterday().ok()?,
            false => date.tomorrow().ok()?,
        };
        n -= u32::from(counts(date));
    }
    Some(date)
}

fn is_working(date: Date) -> bool {
    !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)
}

fn rendered(text: &str, day: Date) -> Date {
    let occasion = Occasion {
        run: &run(),
        civil: day.at(12, 0, 0, 0),
        fold: Fold::First,
        zone: &TimeZone::UTC,
    };
    Template::parse(text)
        .unwrap()
        .render(&occasion)
        .parse()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_is_taken_renders_for_every_occurrence(
        pieces in prop::collection::vec(piece(), 0..4), civil in wall_time(), fold in fold(), zone in some_zone(),
    ) {
        let text = pieces.concat();
        match Template::parse(&text) {
            Ok(template) => {
                let run = run();
                let occasion = Occasion { run: &run, civil, fold, zone: &zone };
                let once = template.render(&occasion);
                prop_assert_eq!(&once, &template.render(&occasion));
                if !is_template(&text) {
                    prop_assert_eq!(&once, &text);
                }
                if template.always_number().is_ok() {
                    prop_assert!(once.parse::<i64>().is_ok(), "{} gave {}", text, once);
                    prop_assert!(once.trim_start_matches('-').len() <= DIGITS);
                    prop_assert_eq!(once.parse::<i64>().unwrap(), template.number(&occasion));
                }
            }
            Err(error) => {
                prop_assert!(text.get(error.span.clone()).is_some(), "{}: {:?}", text, error);
                prop_assert!(error.message.len() < 200 && error.hint.len() < 400);
            }
        }
    }

    #[test]
    fn working_days_are_what_somebody_finds_who_turns_the_pages(day in day(), back: bool, n in 1..40_u32) {
        let text = format!("{{{{ date {} {n}wd }}}}", if back { '-' } else { '+' });
        let found = rendered(&text, day);
        prop_assert!(is_working(found), "{} from {}", found, day);
        let wanted = walked(day.clamp(FIRST, LAST), back, n, is_working);
        prop_assert_eq!(found, wanted.map_or(if back { FIRST } else { LAST }, |d| d.clamp(FIRST, LAST)));
    }

    #[test]
    fn edges_are_what_somebody_finds_who_turns_the_pages(day in day()) {
        let day = day.clamp(FIRST, LAST);
        let month = |d: Date| (d.year(), d.month());
        let quarter = |d: Date| (d.year(), (d.month() + 2) / 3);
        let week = |d: Date| (d.iso_week_date().year(), d.iso_week_date().week());
        // a span ends where the next day is of another
        let last = |same: &dyn Fn(Date) -> bool| {
            let mut d = day;
            while d < LAST && same(d.tomorrow().unwrap()) { d = d.tomorrow().unwrap(); }
            d
        };
        let first = |same: &dyn Fn(Date) -> bool| {
            let mut d = day;
            while d > FIRST && same(d.yesterday().unwrap()) { d = d.yesterday().unwrap(); }
            d
        };
        let edges: [(&str, Date); 8] = [
            ("week_start", first(&|d| week(d) == week(day))),
            ("week_end", last(&|d| week(d) == week(day))),
            ("month_start", first(&|d| month(d) == month(day))),
            ("month_end", last(&|d| month(d) == month(day))),
            ("quarter_start", first(&|d| quarter(d) == quarter(day))),
            ("quarter_end", last(&|d| quarter(d) == quarter(day))),
            ("year_start", first(&|d| d.year() == day.year())),
            ("year_end", last(&|d| d.year() == day.year())),
        ];
        for (edge, wanted) in edges {
            prop_assert_eq!(rendered(&format!("{{{{ date | {edge} }}}}"), day), wanted, "{} of {}", edge, day);
        }
    }

    #[test]
    fn days_are_what_somebody_finds_who_turns_the_pages(day in day(), back: bool, n in 0..800_u32) {
        let text = format!("{{{{ date {} {n}d }}}}", if back { '-' } else { '+' });
        let wanted = walked(day.clamp(FIRST, LAST), back, n, |_| true);
        let beyond = if back { FIRST } else { LAST };
        prop_assert_eq!(rendered(&text, day), wanted.map_or(beyond, |d| d.clamp(FIRST, LAST)));
    }

    #[test]
    fn letters_are_those_of_jiff(civil in wall_time(), zone in some_zone()) {
        let civil = DateTime::from_parts(civil.date().clamp(FIRST, LAST), civil.time());
        // there jiff has no instant in every zone
        prop_assume!((2..9999).contains(&civil.year()));
        let placed = zone.to_ambiguous_zoned(civil).compatible().unwrap();
        // seconds of an offset, which no zone has had since 1972, are shown by jiff and by no RFC
        prop_assume!(placed.offset().seconds() % 60 == 0);
        for letter in format::letters().chain(["%-d", "%-m", "%-j", "%-H", "%-I"].map(str::to_owned)) {
            let text = format!("{{{{ nominal | format('<{letter}>') }}}}");
            let shown = placed.datetime().to_string();
            let fold = match zone.to_ambiguous_timestamp(placed.datetime()).offset() {
                jiff::tz::AmbiguousOffset::Fold { after, .. } if after == placed.offset() => Fold::Second,
                _ => Fold::First,
            };
            let wanted = strtime::format(format!("<{letter}>"), &placed).unwrap();
            prop_assert_eq!(at(&text, &shown, fold, &zone), wanted, "{} at {}", letter, placed);
        }
    }

    #[test]
    fn an_hour_is_a_real_one_and_a_nominal_time_names_its_instant(
        civil in wall_time(), zone in some_zone(), back: bool, n in 0..100_i64,
    ) {
        prop_assume!((1973..2100).contains(&civil.year()));
        let placed = zone.to_ambiguous_zoned(civil).compatible().unwrap();
        let sign = if back { '-' } else { '+' };
        let text = format!("{{{{ nominal {sign} {n}h }}}}");
        let found = at(&text, &placed.datetime().to_string(), Fold::First, &zone);
        let by = SignedDuration::from_hours(if back { -n } else { n });
        let first = zone.to_ambiguous_zoned(placed.datetime()).earlier().unwrap();
        let wanted = first.timestamp().checked_add(by).unwrap();
        prop_assert_eq!(found.parse::<jiff::Timestamp>().unwrap(), wanted, "{}", found);
    }
}
