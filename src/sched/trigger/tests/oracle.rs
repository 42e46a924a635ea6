//! The rules once more, done the slow way: minute by minute through real time, looking at the wall clock, with a cron
//! matcher of its own. It knows nothing of spans, offsets or croner; what it says must be what a [`Trigger`] says.

use std::collections::HashMap;

use jiff::civil::{DateTime, Time};
use jiff::{SignedDuration, ToSpan};

use super::*;
use crate::sched::trigger::{Fold, Shape};

const SECOND: SignedDuration = SignedDuration::from_secs(1);
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// Five fields, each as the bits of its values.
struct Cron {
    fields: Vec<u64>,
    days_open: bool,
    weekdays_open: bool,
}

impl Cron {
    fn read(line: &str) -> Self {
        let ranges = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)];
        let words: Vec<&str> = line.split(' ').collect();
        let fields = words
            .iter()
            .zip(ranges)
            .map(|(word, range)| values(word, range))
            .collect();
        Self {
            fields,
            days_open: words[2] == "*",
            weekdays_open: words[4] == "*",
        }
    }

    fn matches(&self, t: DateTime) -> bool {
        let has = |field: usize, value: i8| self.fields[field] & (1 << value) != 0;
        let day = has(2, t.day());
        let weekday = has(4, t.weekday().to_sunday_zero_offset());
        let date = match (self.days_open, self.weekdays_open) {
            (false, false) => day || weekday,
            _ => day && weekday,
        };
        has(0, t.minute()) && has(1, t.hour()) && has(3, t.month()) && date
    }

    fn interval_like(&self) -> bool {
        self.fields[1].count_ones() == 24
    }
}

fn values(word: &str, (low, high): (i8, i8)) -> u64 {
    let mut all = 0;
    for item in word.split(',') {
        let (range, step) = item.split_once('/').unwrap_or((item, "1"));
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (first.parse().unwrap(), last.parse().unwrap()),
            None if range == "*" => (low, high),
            None => (range.parse().unwrap(), range.parse().unwrap()),
        };
        (first..=last)
            .step_by(step.parse().unwrap())
            .for_each(|value| all |= 1 << value);
    }
    all
}

/// A minute of real time.
struct Minute {
    instant: Timestamp,
    /// What the wall clock shows.
    shown: DateTime,
    /// Whether it shows that for the first time, and for the last.
    first: bool,
    last: bool,
}

/// The minutes of a window, in a zone.
struct Walk(Vec<Minute>);

impl Walk {
    fn over(zone: &TimeZone, from: Timestamp, until: Timestamp) -> Self {
        let instants = std::iter::successors(Some(from), |t| Some(*t + MINUTE));
        let mut minutes: Vec<Minute> = Vec::new();
        let mut latest = HashMap::new();
        for instant in instants.take_while(|t| *t <= until) {
            let shown = zone.to_datetime(instant);
            let before: Option<usize> = latest.insert(shown, minutes.len());
            minutes.push(Minute {
                instant,
                shown,
                first: before.is_none(),
                last: true,
            });
            if let Some(before) = before {
                minutes[before].last = false;
            }
        }
        Self(minutes)
    }

    fn occurrences(&self, cron: &Cron, gap: DstGap, overlap: DstOverlap) -> Vec<Occurrence> {
        let mut found = Vec::new();
        let interval_like = cron.interval_like();
        for pair in self.0.windows(2) {
            let (
                before,
                Minute {
                    instant,
                    shown,
                    first,
                    last,
                },
            ) = (pair[0].shown, &pair[1]);
            let counts = interval_like
                || match overlap {
                    DstOverlap::First => *first,
                    DstOverlap::Last => *last,
                    DstOverlap::Both => true,
                };
            let occurrence = |civil, fold, shape| Occurrence {
                instant: *instant,
                civil,
                fold,
                shape,
                clock_like: !interval_like,
            };
            if counts && cron.matches(*shown) {
                let fold = if *first { Fold::First } else { Fold::Second };
                found.push(occurrence(*shown, fold, Shape::Plain));
            } else if !interval_like && gap == DstGap::Run && *shown > before + MINUTE {
                let missing = std::iter::successors(Some(before + MINUTE), |m| Some(*m + MINUTE));
                let named = missing.take_while(|m| m < shown).find(|m| cron.matches(*m));
                found.extend(named.map(|civil| occurrence(civil, Fold::First, Shape::Gap)));
            }
        }
        found
    }
}

const ZONES: [&str; 36] = [
    "Africa/Cairo",
    "Africa/Casablanca",
    "Africa/Juba",
    "America/Asuncion",
    "America/Havana",
    "America/Los_Angeles",
    "America/Mexico_City",
    "America/Miquelon",
    "America/New_York",
    "America/Nuuk",
    "America/Santiago",
    "America/Scoresbysund",
    "America/St_Johns",
    "America/Vancouver",
    "Antarctica/Casey",
    "Antarctica/Troll",
    "Antarctica/Vostok",
    "Asia/Almaty",
    "Asia/Amman",
    "Asia/Beirut",
    "Asia/Damascus",
    "Asia/Gaza",
    "Asia/Jerusalem",
    "Asia/Kolkata",
    "Asia/Tehran",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
    "Australia/Sydney",
    "Europe/Chisinau",
    "Europe/Dublin",
    "Europe/Madrid",
    "Europe/Volgograd",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Easter",
    "Pacific/Norfolk",
];

const LINES: [&str; 16] = [
    "15 2 * * *",
    "*/15 2 * * *",
    "0 0 * * *",
    "59 0 * * *",
    "30 0-3 * * *",
    "0,30 2,3 * * *",
    "0 */4 * * *",
    "45 1-23/2 * * *",
    "30 23,1 * * *",
    "0 3 * * *",
    "10 0,1,2 * * 0",
    "20 1 1-7 * 0",
    "*/10 0-22 * * *",
    "0 * * * *",
    "*/15 * * * *",
    "7,52 0-23 * 3-11 *",
];

fn compare(name: &str, from: Timestamp, until: Timestamp, lines: &[&str]) {
    let zone = zone(name);
    let crons: Vec<Cron> = lines.iter().map(|line| Cron::read(line)).collect();
    let changes = zone.following(from).map(|change| change.timestamp());
    for (count, change) in changes.take_while(|change| *change < until).enumerate() {
        let shown = zone.to_datetime(change);
        // Changes of the past may lie on any second; the walk goes by whole minutes. It knows no missing days.
        let turn = shown.duration_since(zone.to_datetime(change - 1.second())) - SECOND;
        if change.as_second() % 60 != 0 || shown.second() != 0 || turn.as_hours() >= 24 {
            continue;
        }
        let (start, end) = (
            change - turn.abs() - 4.hours(),
            change + turn.abs() + 4.hours(),
        );
        let walk = Walk::over(&zone, start, end);
        for (n, (line, cron)) in lines.iter().zip(&crons).enumerate() {
            let gap = [DstGap::Run, DstGap::Run, DstGap::Skip][(count + n) % 3];
            let overlap =
                [DstOverlap::First, DstOverlap::Last, DstOverlap::Both][(count / 2 + n) % 3];
            let spec = TriggerSpec {
                dst_gap: gap,
                dst_overlap: overlap,
                ..spec(&[line], name)
            };
            let trigger =
                Trigger::new(&spec, zone.clone(), &ScheduleName::new("a").unwrap()).unwrap();
            let expected = walk.occurrences(cron, gap, overlap);
            let place = format!("{line} {name} {change} {gap:?} {overlap:?}");
            assert_eq!(between(&trigger, start, end), expected, "{place}");
            // Asked in the middle of it all, as after a restart.
            for minutes in [-61, -1, 0, 17, 59, 60] {
                let asked = change + minutes.minutes() + 500.milliseconds();
                let next = expected.iter().find(|o| o.instant > asked);
                let told = trigger.after(asked).filter(|o| o.instant <= end);
                assert_eq!(told.as_ref(), next, "{place} asked {asked}");
            }
        }
    }
}

fn compare_from_2020_to_2040(zones: &[&str]) {
    let (from, until) = (at("2020-01-01T00:00:00Z"), at("2041-01-01T00:00:00Z"));
    zones
        .iter()
        .for_each(|name| compare(name, from, until, &LINES));
}

// In two halves, so that they run side by side.

#[test]
fn every_change_of_zones_from_cairo_to_almaty_is_as_the_slow_walk_says() {
    compare_from_2020_to_2040(&ZONES[..18]);
}

#[test]
fn every_change_of_zones_from_amman_to_norfolk_is_as_the_slow_walk_says() {
    compare_from_2020_to_2040(&ZONES[18..]);
}

/// A few zones; with `NIGHTCALL_ALL_ZONES=1` all of them, which takes minutes in a debug build.
#[test]
fn every_change_since_1970_is_as_the_slow_walk_says() {
    let each = match option_env!("NIGHTCALL_ALL_ZONES") {
        Some(_) => 1,
        None => 97,
    };
    for name in TimeZoneDatabase::bundled().available().step_by(each) {
        compare(
            name.as_str(),
            at("1970-01-01T00:00:00Z"),
            at("2038-01-01T00:00:00Z"),
            &LINES,
        );
    }
}

#[test]
fn the_slow_walk_itself_knows_the_night_of_madrid() {
    let walk = Walk::over(
        &zone("Europe/Madrid"),
        at("2027-03-27T22:00:00Z"),
        at("2027-03-28T04:00:00Z"),
    );
    let cron = Cron::read("15 2 * * *");
    let [only] = walk.occurrences(&cron, DstGap::Run, DstOverlap::First)[..] else {
        panic!()
    };
    assert_eq!(only.instant, at("2027-03-28T01:00:00Z"));
    assert_eq!(only.civil.time(), Time::constant(2, 15, 0, 0));
    assert!(
        walk.occurrences(&cron, DstGap::Skip, DstOverlap::First)
            .is_empty()
    );
}
