//! The sweep itself: zones handed out to threads, cases checked, what was done added up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::checks::{Tally, check};
use super::classes::{self, Case};
use super::expander::watch_around;
use super::years;
use super::zones::{Change, Zone};

/// More faults than this are not told.
const TOLD: usize = 40;

/// What a sweep has found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) tally: Tally,
    pub(crate) classes: BTreeMap<&'static str, Tally>,
    /// The changes that were looked at.
    pub(crate) changes: u64,
    pub(crate) faults: Vec<String>,
}

/// Which changes of a zone are looked at, and with which cases.
pub(crate) trait Plan: Sync {
    /// `turn` counts the zones.
    fn changes(&self, zone: &Zone, turn: usize) -> Vec<(Change, usize)>;
    fn cases(&self, change: Change, turn: usize) -> Vec<Case>;
}

/// Every change with a case of each class; or with every case.
pub(crate) enum Whole {
    EachClass,
    EachCase,
}

impl Plan for Whole {
    fn changes(&self, zone: &Zone, turn: usize) -> Vec<(Change, usize)> {
        let numbered = zone.changes.iter().enumerate();
        numbered.map(|(n, change)| (*change, n + turn)).collect()
    }

    fn cases(&self, change: Change, turn: usize) -> Vec<Case> {
        match self {
            Self::EachClass => classes::of_each_class(change, turn),
            Self::EachCase => classes::all(change, turn),
        }
    }
}

/// So many changes of each zone, spread over the years, and a moment without one, with a few cases each.
pub(crate) struct Part(pub(crate) usize);

impl Plan for Part {
    fn changes(&self, zone: &Zone, turn: usize) -> Vec<(Change, usize)> {
        let count = zone.changes.len();
        let step = count / self.0 + 1;
        let picked: BTreeSet<usize> = (0..self.0)
            .filter(|_| count > 0)
            .map(|n| (turn * 7 + n * step) % count)
            .collect();
        let picked = picked.into_iter().map(|at| zone.changes[at]);
        let all = picked.chain([zone.unchanged(turn)]).enumerate();
        all.map(|(n, change)| (change, turn * self.0 + n)).collect()
    }

    fn cases(&self, change: Change, turn: usize) -> Vec<Case> {
        classes::some(change, turn)
    }
}

/// Checks the zones by a plan, on all processors; `tell` hears how far it is after each zone.
pub(crate) fn sweep(zones: &[&Zone], plan: &impl Plan, tell: &(impl Fn(&str) + Sync)) -> Found {
    let sum = Mutex::new(Found::default());
    on_all_processors(zones, tell, &|turn, zone| {
        let found = of_zone(zone, plan, turn);
        let mut sum = sum.lock().unwrap();
        sum.add(found);
        format!("{} cases, {} faults", sum.tally.cases, sum.faults.len())
    });
    sum.into_inner().unwrap()
}

/// What the walks through all the years have found.
#[derive(Debug, Default)]
pub(crate) struct Days {
    pub(crate) clocks: usize,
    pub(crate) runs: usize,
    pub(crate) no_such_day: usize,
    pub(crate) faults: Vec<String>,
}

/// Walks a nightly schedule through all the years of all zones.
pub(crate) fn years(zones: &[&Zone], line: &str, tell: &(impl Fn(&str) + Sync)) -> Days {
    let sum = Mutex::new(Days::default());
    on_all_processors(zones, tell, &|_, zone| {
        let walked = years::walk(zone, line);
        let mut sum = sum.lock().unwrap();
        sum.clocks += 1;
        match walked {
            Ok(years) => {
                sum.runs += years.runs;
                sum.no_such_day += years.no_such_day;
            }
            Err(fault) => sum.faults.push(fault),
        }
        format!("{} runs, {} faults", sum.runs, sum.faults.len())
    });
    sum.into_inner().unwrap()
}

/// Hands the zones out to as many threads as there are processors.
fn on_all_processors(
    zones: &[&Zone],
    tell: &(impl Fn(&str) + Sync),
    work: &(impl Fn(usize, &Zone) -> String + Sync),
) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (next, done, begun) = (AtomicUsize::new(0), AtomicUsize::new(0), Instant::now());
    let worker = || loop {
        let turn = next.fetch_add(1, Ordering::Relaxed);
        let Some(zone) = zones.get(turn) else {
            return;
        };
        let so_far = work(turn, zone);
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        let (count, seconds, name) = (zones.len(), begun.elapsed().as_secs(), &zone.name);
        tell(&format!(
            "{done} of {count} clocks, {so_far}, {seconds} s: {name}"
        ));
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(worker);
        }
    });
}

fn of_zone(zone: &Zone, plan: &impl Plan, turn: usize) -> Found {
    let mut found = Found::default();
    for (change, turn) in plan.changes(zone, turn) {
        let (from, until) = classes::watched(change);
        let clock = watch_around(&zone.data, from, until);
        found.changes += 1;
        for case in plan.cases(change, turn) {
            match check(&case, zone, &clock) {
                Ok(tally) => {
                    found.tally.add(&tally);
                    found.classes.entry(case.class).or_default().add(&tally);
                }
                Err(fault) => found.faults.push(fault),
            }
        }
    }
    found
}

impl Found {
    fn add(&mut self, other: Self) {
        self.tally.add(&other.tally);
        for (class, tally) in &other.classes {
            self.classes.entry(class).or_default().add(tally);
        }
        self.changes += other.changes;
        let room = TOLD.saturating_sub(self.faults.len());
        self.faults.extend(other.faults.into_iter().take(room));
    }
}
