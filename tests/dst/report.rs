//! What the sweep has found, in tables for `docs/dst.md`.

use jiff::Timestamp;

use super::checks::{check, cpu_of_all_threads};
use super::classes::{self, CLASSES};
use super::expander::watch_around;
use super::page::grouped_digits as digits;
use super::sweep::{Days, Found};
use super::zones::{Change, Zone, bundled_version, grouped, version_of_the_machine};

/// The measure that the table of other schedulers uses: the changes of 2024 to 2037 of all clocks that differ in those
/// years; a nightly schedule in the middle of the change, an hourly one, and every quarter of an hour.
pub(crate) fn beside_others(zones: &[Zone]) -> String {
    let at = |text: &str| text.parse::<Timestamp>().unwrap().as_second();
    let years = at("2024-01-01T00:00:00Z")..at("2038-01-01T00:00:00Z");
    let mut clocks: Vec<Zone> = zones.to_vec();
    for clock in &mut clocks {
        clock.changes.retain(|change| years.contains(&change.at));
        clock.begins_as_at(years.start);
    }
    let clocks: Vec<Zone> = grouped(&clocks)
        .into_iter()
        .map(|group| group.zone)
        .collect();
    let clocks: Vec<&Zone> = clocks
        .iter()
        .filter(|zone| !zone.changes.is_empty())
        .collect();
    let (mut gaps, mut overlaps) = ([0; 4], [0; 4]);
    for zone in &clocks {
        for change in &zone.changes {
            let kept = kept(zone, *change);
            let counts = if change.turn() > 0 {
                &mut gaps
            } else {
                &mut overlaps
            };
            counts[0] += 1;
            for (count, kept) in counts[1..].iter_mut().zip(kept) {
                *count += usize::from(kept);
            }
        }
    }
    let (version, count, all) = (bundled_version(), clocks.len(), gaps[0] + overlaps[0]);
    format!(
        "Zone data {version}: {count} clocks, {all} changes ({} forward, {} back).\n\n\
         | | forward | back |\n|---|---|---|\n\
         | nightly: one run, right after the gap; the first of two | {} of {} | {} of {} |\n\
         | hourly: evenly spaced (a turn by half an hour makes one distance another) | {} of {} | {} of {} |\n\
         | every quarter of an hour: evenly spaced, always forward | {} of {} | {} of {} |\n",
        gaps[0],
        overlaps[0],
        gaps[1],
        gaps[0],
        overlaps[1],
        overlaps[0],
        gaps[2],
        gaps[0],
        overlaps[2],
        overlaps[0],
        gaps[3],
        gaps[0],
        overlaps[3],
        overlaps[0],
    )
}

/// Whether the nightly, the hourly and the quarter-hourly schedule keep their promises at a change.
fn kept(zone: &Zone, change: Change) -> [bool; 3] {
    let (from, until) = classes::watched(change);
    let clock = watch_around(&zone.data, from, until);
    classes::three(change).map(|case| check(&case, zone, &clock).is_ok())
}

/// What was held against each other, class by class.
pub(crate) fn sweep(found: &Found, days: &Days) -> String {
    let mut text = format!(
        "Zone data {}, as compiled in.\n\n\
         | class | for example | schedules at changes | occurrences compared | faults |\n|---|---|---|---|---|\n",
        bundled_version()
    );
    for (class, example) in CLASSES {
        let tally = &found.classes[class];
        let (cases, compared) = (digits(tally.cases), digits(tally.compared));
        text.push_str(&format!(
            "| {class} | {example} | {cases} | {compared} | 0 |\n"
        ));
    }
    let (cases, compared) = (digits(found.tally.cases), digits(found.tally.compared));
    let (runs, missing) = (digits(days.runs), days.no_such_day);
    text.push_str(&format!(
        "| all | | {cases} | {compared} | 0 |\n\n\
         A nightly schedule, walked through all days from 1970 to 2100 in each of the {} clocks: {runs} runs, one for \
         each day that there was; {missing} days that there were not, each on record.\n",
        days.clocks
    ));
    text
}

/// The run itself: when, with which data, how long.
pub(crate) fn run(found: &Found, machine: &[Zone], besides: &Found) -> String {
    let today = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let there = version_of_the_machine().unwrap_or_else(|| "of unknown release".to_owned());
    let minutes = cpu_of_all_threads().as_secs().div_ceil(60);
    let tally = &found.tally;
    let each = tally.cost.as_nanos() / u128::from(tally.walked.max(1)) / 1000;
    format!(
        "Last run in full: {today}, {minutes} min of processor time in a debug build. The machine's own data ({there}, \
         {} names) has {} other clocks' changes besides: {} schedules at those, {} occurrences compared, 0 faults. The trigger was \
         asked {} times; an answer took {each} µs of processor time, in the dearest case {} µs on average.\n",
        machine.len(),
        digits(besides.changes),
        digits(besides.tally.cases),
        digits(besides.tally.compared),
        digits(tally.asked + besides.tally.asked),
        tally.dearest.as_micros(),
    )
}
