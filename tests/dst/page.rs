//! The parts of `docs/dst.md` that are made by tests: written with `UPDATE_DOCS=1`, otherwise compared.

use std::path::PathBuf;
use std::sync::Mutex;

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use nightcall::sched::trigger::{Fold, Occurrence, Shape};

use super::named::{NAMED, Named};
use super::zones::{Alike, Change, bundled_version};

/// Tests run side by side; each writes its own part.
static PAGE: Mutex<()> = Mutex::new(());

pub(crate) fn updating() -> bool {
    std::env::var_os("UPDATE_DOCS").is_some()
}

/// Holds a part of the page against what has just been found, or writes it.
pub(crate) fn hold(part: &str, text: &str) {
    let _alone = PAGE.lock().unwrap();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/dst.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = (
        format!("<!-- made: {part} -->\n"),
        format!("<!-- end: {part} -->"),
    );
    let start = page
        .find(&begin)
        .unwrap_or_else(|| panic!("no part {part}"))
        + begin.len();
    let length = page[start..]
        .find(&end)
        .unwrap_or_else(|| panic!("no end of {part}"));
    let now = &page[start..start + length];
    if updating() {
        let page = [&page[..start], text, &page[start + length..]].concat();
        std::fs::write(&path, page).unwrap();
    } else {
        let remedy = "run UPDATE_DOCS=1 cargo test --test dst and look at the difference";
        assert_eq!(now, text, "docs/dst.md is not up to date: {remedy}");
    }
}

/// The famous changes and what happens there, as the trigger tells it.
pub(crate) fn famous() -> String {
    let mut text = "| zone | its clock | schedule | what happens |\n|---|---|---|---|\n".to_owned();
    for case in NAMED {
        let happens: Vec<String> = case.found().iter().map(|o| told(o, &case.data())).collect();
        let (zone, change) = (case.zone, case.change);
        let (schedule, happens) = (written(case), happens.join("<br>"));
        text.push_str(&format!("| {zone} | {change} | {schedule} | {happens} |\n"));
    }
    text
}

/// The schedule as code, with its policies in words.
fn written(case: &Named) -> String {
    let Some((when, policies)) = case.when.split_once(" | ") else {
        return format!("`{}`", case.when);
    };
    let policy = match policies.split_once(' ').unwrap() {
        ("skip", _) => "dst_gap = \"skip\"".to_owned(),
        (_, overlap) => format!("dst_overlap = \"{overlap}\""),
    };
    format!("`{when}`, `{policy}`")
}

fn told(o: &Occurrence, zone: &TimeZone) -> String {
    let clock = |t: DateTime| {
        let form = if t.second() == 0 { "%H:%M" } else { "%H:%M:%S" };
        t.strftime(form).to_string()
    };
    let ahead = offset(zone.to_offset(o.instant));
    let (date, time) = (o.civil.date(), clock(o.civil));
    match (o.shape, o.fold) {
        (Shape::Plain, Fold::First) => format!("{date} {time} ({ahead})"),
        (Shape::Plain, Fold::Second) => format!("{date} {time} the second time ({ahead})"),
        (Shape::Gap, _) => {
            let runs = clock(zone.to_datetime(o.instant));
            format!("{date} {time} is missing: runs at {runs} ({ahead})")
        }
        (Shape::NoSuchDay, _) => format!("{date} is missing: recorded as *no such day*"),
    }
}

/// `+05:45`
fn offset(offset: Offset) -> String {
    let seconds = offset.seconds().abs();
    let sign = if offset.is_negative() { '-' } else { '+' };
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match seconds % 60 {
        0 => format!("{sign}{hours:02}:{minutes:02}"),
        rest => format!("{sign}{hours:02}:{minutes:02}:{rest:02}"),
    }
}

/// How many names, and how their clocks turn.
pub(crate) fn data(names: usize, groups: &[Alike]) -> String {
    let all: Vec<Change> = groups.iter().flat_map(|g| g.zone.changes.clone()).collect();
    let midnight = |change: &&Change| {
        let gap = (change.at + change.before, change.at + change.after);
        change.turn() > 0
            && (gap.0.rem_euclid(86_400) == 0 || gap.0 / 86_400 < (gap.1 - 1) / 86_400)
    };
    let (version, count) = (bundled_version(), grouped_digits(all.len()));
    let differ = groups.len();
    let mut text = format!(
        "Zone data {version}, as compiled in: {names} names, {differ} different clocks, {count} changes from 1970 to \
         2100. {} of the changes leave out a midnight.\n\n| by | forward | back |\n|---|---|---|\n",
        grouped_digits(all.iter().filter(midnight).count())
    );
    for (name, low, high) in SIZES {
        let sized = |sign: i64| {
            let turns = all.iter().map(|change| change.turn() * sign);
            grouped_digits(turns.filter(|turn| (low..high).contains(turn)).count())
        };
        text.push_str(&format!("| {name} | {} | {} |\n", sized(1), sized(-1)));
    }
    text
}

const SIZES: [(&str, i64, i64); 6] = [
    ("less than 30 min", 1, 1800),
    ("30 min", 1800, 1801),
    ("30 to 60 min", 1801, 3600),
    ("1 h", 3600, 3601),
    ("1 to 12 h", 3601, 43_200),
    ("a day", 43_200, 200_000),
];

/// `29,891`
pub(crate) fn grouped_digits(number: impl ToString) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
