//! What matches on the civil time line: against a search that looks at one day after another, and against croner, which
//! reads the same expressions in its own way.

use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::{Date, DateTime, Weekday, date};
use proptest::prelude::*;
use proptest::sample::select;

use super::super::dialect::{Days, Expression};
use super::super::field::{Field, Special};
use super::super::pattern::Pattern;

const SEED: &str = "store-clusters";

fn list(of: impl Strategy<Value = String> + 'static) -> BoxedStrategy<String> {
    let some = proptest::collection::vec(of, 1..4).prop_map(|items| items.join(","));
    prop_oneof![1 => Just("*".to_owned()), 3 => some].boxed()
}

fn number(from: u32, upto: u32) -> BoxedStrategy<String> {
    prop_oneof![
        4 => (from..=upto).prop_map(|n| n.to_string()),
        1 => (from..=upto, from..=upto).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
        1 => (2..=upto / 2).prop_map(|n| format!("*/{n}")),
    ]
    .boxed()
}

/// Six fields, most of which are an expression.
fn line() -> impl Strategy<Value = String> {
    let day = prop_oneof![
        4 => number(1, 31),
        1 => Just("L".to_owned()),
        1 => Just("LW".to_owned()),
        2 => (1..=31_u32).prop_map(|day| format!("{day}W")),
    ];
    let weekday = prop_oneof![
        4 => number(0, 7),
        2 => (0..=7_u32).prop_map(|day| format!("{day}L")),
        2 => (0..=7_u32, 1..=5_u32).prop_map(|(day, n)| format!("{day}#{n}")),
    ];
    let fields = (
        list(number(0, 59)),
        list(number(0, 59)),
        list(number(0, 23)),
        list(day),
        list(number(1, 12)),
        list(weekday),
    );
    fields.prop_map(|(second, minute, hour, day, month, weekday)| {
        format!("{second} {minute} {hour} {day} {month} {weekday}")
    })
}

/// Any time of these centuries, often at the end of a month or a day.
fn moment() -> impl Strategy<Value = DateTime> {
    let day = prop_oneof![1_i8..=28, Just(31)];
    let hour = prop_oneof![0_i8..24, Just(23)];
    let rest = select(vec![(0, 0), (0, 1), (29, 59), (59, 59)]);
    (1890_i16..2110, 1_i8..=12, day, hour, rest).prop_map(
        |(year, month, day, hour, (minute, second))| {
            let last = date(year, month, 1).days_in_month();
            date(year, month, day.min(last)).at(hour, minute, second, 0)
        },
    )
}

// ---- one day after another ------------------------------------------------------------------------------------------

fn day_matches(e: &Expression<'_>, day: Date) -> bool {
    let workday = |day: &Date| !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
    let month = || day.first_of_month().series(jiff::Span::new().days(1));
    let month = || month().take_while(|other| other.month() == day.month());
    let from_sunday = day.weekday().to_sunday_zero_offset();
    let special = |special: &Special| match *special {
        Special::LastDay => month().last() == Some(day),
        Special::LastWorkday => month().filter(workday).last() == Some(day),
        Special::Nearest(of) => {
            let distance = |other: &Date| (i64::from(other.day()) - i64::from(of)).abs();
            i64::from(of) <= i64::from(day.days_in_month())
                && month().filter(workday).min_by_key(distance) == Some(day)
        }
        Special::Last(weekday) => {
            let same = month().filter(|other| other.weekday() == day.weekday());
            i64::from(weekday) == i64::from(from_sunday) && same.last() == Some(day)
        }
        Special::Nth(weekday, n) => {
            let mut same = month().filter(|other| other.weekday() == day.weekday());
            i64::from(weekday) == i64::from(from_sunday) && same.nth(n as usize - 1) == Some(day)
        }
    };
    let in_field = |field: &Field<'_>, value: i8| {
        field
            .list()
            .iter()
            .any(|n| i64::from(*n) == i64::from(value))
            || field.specials.iter().any(special)
    };
    let by_day = in_field(&e.day, day.day());
    let by_weekday = in_field(&e.weekday, from_sunday);
    in_field(&e.month, day.month())
        && match e.days() {
            Days::Open => true,
            Days::One if e.day.is_open() => by_weekday,
            Days::One => by_day,
            Days::Either => by_day || by_weekday,
            Days::Both => by_day && by_weekday,
        }
}

fn searched(e: &Expression<'_>, from: DateTime) -> DateTime {
    let mut days = from.date().series(jiff::Span::new().days(1));
    let times = |day: Date| {
        let (hours, minutes, seconds) = (e.hour.list(), e.minute.list(), e.second.list());
        let mut all = Vec::new();
        for hour in hours {
            for minute in &minutes {
                for second in &seconds {
                    all.push(day.at(hour as i8, *minute as i8, *second as i8, 0));
                }
            }
        }
        all.into_iter().filter(|time| *time >= from).min()
    };
    days.find_map(|day| day_matches(e, day).then(|| times(day)).flatten())
        .unwrap()
}

// ---- croner ---------------------------------------------------------------------------------------------------------

/// The expression in croner's own words: all fields by their values, and a `+` where both day rules count.
fn plain(e: &Expression<'_>) -> String {
    let plus = if e.days() == Days::Both { "+" } else { "" };
    let [second, minute, hour, day, month, weekday] = e.fields().map(Field::plain);
    format!("{second} {minute} {hour} {day} {month} {plus}{weekday}")
}

/// It reads `L` beside a `15W` as `LW`.
fn is_misread(e: &Expression<'_>) -> bool {
    let special = |wanted: fn(&Special) -> bool| e.day.specials.iter().any(wanted);
    special(|s| matches!(s, Special::LastDay | Special::LastWorkday))
        && special(|s| matches!(s, Special::Nearest(_)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_next_match_is_that_of_a_search_and_of_croner(line in line(), from in moment()) {
        let Ok(expression) = Expression::parse(&line, SEED) else {
            return Ok(());
        };
        let Ok(pattern) = Pattern::of(&expression) else {
            return Ok(());
        };
        let parser = CronParser::builder()
            .seconds(Seconds::Required)
            .year(Year::Disallowed)
            .build();
        let croner = parser.parse(&plain(&expression)).unwrap();
        let mut from = from;
        for _ in 0..4 {
            let next = pattern.next(from).unwrap();
            prop_assert_eq!(next, searched(&expression, from), "{} from {}", line, from);
            if !is_misread(&expression) {
                let theirs = croner.find_next_occurrence(&from, true).unwrap();
                prop_assert_eq!(next, theirs, "{} from {}", line, from);
            }
            from = next + jiff::Span::new().seconds(1);
        }
    }
}
