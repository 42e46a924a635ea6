//! Clock changes: what a schedule does at every change of every zone, against an expander that works it out the slow way,
//! and against what people expect (once a day, evenly spaced, always forward). `docs/dst.md` tells the result.
//!
//! `cargo test --test dst` looks at every zone name with a part of the cases, at some with all. Everything, with progress:
//! `DST_ALL=1 cargo test --test dst -- --nocapture`. With `UPDATE_DOCS=1` the page is written anew.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

#[path = "../expander/mod.rs"]
mod expander;

mod by_hand;
mod checks;
mod classes;
mod named;
mod page;
mod report;
mod sweep;
mod years;
mod zones;

use std::collections::BTreeSet;
use std::time::Duration;

use nightcall::zones::Zones;

use sweep::{Days, Found, Part, Whole};
use zones::{Alike, Zone};

/// An answer costs microseconds; this is what even a slow machine's debug build stays below.
const DEAR: Duration = Duration::from_millis(20);

/// Zones with few changes and strange ones: these are always looked at with all cases.
const STRANGE: [&str; 12] = [
    "Africa/Monrovia",
    "America/Caracas",
    "Antarctica/Casey",
    "Antarctica/Vostok",
    "Asia/Almaty",
    "Asia/Kathmandu",
    "Asia/Pyongyang",
    "Asia/Singapore",
    "Pacific/Apia",
    "Pacific/Fakaofo",
    "Pacific/Kiritimati",
    "Pacific/Kwajalein",
];

/// So many of the different clocks are looked at with every change when not all are.
const SOME: usize = 3;

fn everything() -> bool {
    std::env::var_os("DST_ALL").is_some()
}

fn silent(_: &str) {}

fn assert_good(found: &Found) {
    let count = found.faults.len();
    assert!(count == 0, "{}\n{count} faults", found.faults.join("\n"));
    let dearest = found.tally.dearest;
    assert!(dearest < DEAR, "a trigger took {dearest:?} for an answer");
}

#[test]
fn every_name_keeps_its_promises_at_some_changes() {
    let (bundled, machine) = (zones::bundled(), zones::of_the_machine());
    assert!(
        bundled.len() > 590,
        "{} names are compiled in",
        bundled.len()
    );
    let zones: Vec<&Zone> = bundled.iter().chain(machine).collect();
    let found = sweep::sweep(&zones, &Part(2), &silent);
    assert_good(&found);
    assert!(found.tally.cases >= 6 * u64::try_from(zones.len()).unwrap());
}

#[test]
fn strange_zones_keep_their_promises_at_every_change() {
    let zones = zones::bundled();
    let strange = |zone: &&Zone| STRANGE.contains(&zone.name.as_str());
    let zones: Vec<&Zone> = zones.iter().filter(strange).collect();
    assert_eq!(zones.len(), STRANGE.len());
    assert_good(&sweep::sweep(&zones, &Whole::EachCase, &silent));
}

#[test]
fn every_name_of_either_copy_is_known_and_behaves_as_one_of_them_says() {
    let (bundled, machine) = (zones::bundled(), zones::of_the_machine());
    let known = Zones::load();
    let names: BTreeSet<&str> = bundled
        .iter()
        .chain(machine)
        .map(|z| z.name.as_str())
        .collect();
    for name in names {
        let data = known
            .get(name)
            .unwrap_or_else(|| panic!("{name} is not known"));
        let here = Zone::new(name, data);
        let copies = bundled
            .iter()
            .chain(machine)
            .filter(|zone| zone.name == name);
        let agree = copies.into_iter().any(|zone| zone.changes == here.changes);
        assert!(
            agree,
            "{name} has other changes than either copy of the data"
        );
    }
}

#[test]
fn what_the_page_says_of_the_famous_changes_is_true() {
    page::hold("famous", &page::famous());
}

#[test]
fn what_the_page_says_of_the_data_is_true() {
    let zones = zones::bundled();
    page::hold("data", &page::data(zones.len(), &zones::grouped(zones)));
}

#[test]
fn what_the_page_says_beside_other_schedulers_is_true() {
    page::hold("beside others", &report::beside_others(zones::bundled()));
}

#[test]
fn a_nightly_schedule_runs_on_every_day_of_130_years() {
    let zones = zones::bundled();
    for name in ["Pacific/Apia", "Africa/Casablanca"] {
        let zone = zones.iter().find(|zone| zone.name == name).unwrap();
        let years = years::walk(zone, "30 2 * * *").unwrap_or_else(|fault| panic!("{fault}"));
        // From 1 January 1970 to 31 December 2099 there are 47,482 dates.
        assert!(
            (47_481..=47_483).contains(&(years.runs + years.no_such_day)),
            "{}",
            years.runs
        );
    }
}

/// Clocks at every change with a case of each class, and through every day of their 130 years.
fn at_every_change(clocks: &[&Zone], tell: &(impl Fn(&str) + Sync)) -> (Found, Days) {
    let found = sweep::sweep(clocks, &Whole::EachClass, tell);
    assert_good(&found);
    let changes: usize = clocks.iter().map(|zone| zone.changes.len()).sum();
    assert_eq!(found.changes, changes as u64);
    let years = sweep::years(clocks, "30 2 * * *", tell);
    assert!(years.faults.is_empty(), "{}", years.faults.join("\n"));
    assert_eq!(years.clocks, clocks.len());
    (found, years)
}

/// Some clocks from all parts of the list; with `DST_ALL=1` all that differ, first by the data that is compiled in, then
/// what the machine's own copy has besides.
#[test]
fn clocks_keep_their_promises_at_every_change_and_on_every_day() {
    let bundled = zones::bundled();
    let groups = zones::grouped(bundled);
    let clocks: Vec<&Zone> = groups.iter().map(|group| &group.zone).collect();
    if !everything() {
        let some = clocks.iter().step_by(clocks.len() / SOME).take(SOME);
        let some: Vec<&Zone> = some.copied().collect();
        assert_eq!(some.len(), SOME);
        at_every_change(&some, &silent);
        return;
    }
    let tell = |line: &str| eprintln!("{line}");
    let (found, years) = at_every_change(&clocks, &tell);
    page::hold("sweep", &report::sweep(&found, &years));

    let machine = zones::of_the_machine();
    let other = zones::grouped(machine);
    let only_there = |group: &&Alike| !groups.iter().any(|g| g.zone.behaves_like(&group.zone));
    let other: Vec<&Zone> = other.iter().filter(only_there).map(|g| &g.zone).collect();
    let besides = sweep::sweep(&other, &Whole::EachClass, &tell);
    assert_good(&besides);
    let run = report::run(&found, machine, &besides);
    eprintln!("{run}");
    if page::updating() {
        page::hold("run", &run);
    }
}
