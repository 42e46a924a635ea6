//! Many nights, each from a seed: that none of them breaks anything, that together they reach everything, and that what
//! is broken on purpose is found and made small.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nightcall::sandbox::Span;
use nightcall::sched::run::Run;

use super::bounds::calm_within;
use super::draw;
use super::plan::Night;
use super::planted::Planted;
use super::play::Play;
use super::shrink::{Failure, broken, shrunk};
use super::tally::{REACHED, Tally};

/// So many seeds unless `SIM_SEEDS` says otherwise.
const SEEDS: u64 = 200;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// A whole night: trouble, then calm until everything that was planned by then has ended.
pub(super) fn through(play: &mut Play<'_>) {
    play.start();
    play.run_to(play.night.trouble);
    play.calm_down();
    let (calm, within) = (play.true_now(), calm_within(play.night));
    let end = play.t + within;
    let left = |play: &Play<'_>| {
        // What runs in the background may wait for ever behind what is always busy.
        let busy = |run: &Run| {
            let mut others = play.store.live_rows().map(|row| &row.run);
            others.any(|o| {
                let same = o.definition.connection == run.definition.connection;
                same && !o.origin.is_background()
            })
        };
        let rows = play.store.live_rows().map(|row| &row.run);
        rows.filter(|run| run.planned < calm)
            .find(|run| !(run.origin.is_background() && busy(run)))
            .map(|run| run.id.clone())
    };
    while let Some(id) = left(play) {
        let row = &play.store.runs[&id];
        assert!(
            play.t < end,
            "liveness: {id} is {:?} after {within:?} of calm",
            row.run.state
        );
        play.run_to(play.t + Duration::from_secs(60));
    }
    assert!(play.runs(), "liveness: the daemon does not run");
    play.check_end();
    let asked = play.vendor.asked();
    play.tally.take_in(asked);
    play.tally.night(play.night);
}

/// What broke, with the night made small and its last events.
fn report(night: &Night, failure: &Failure) -> String {
    let small = shrunk(night, failure, through);
    let mut text = String::new();
    let _ = writeln!(
        text,
        "seed {} broke {}: {}",
        night.seed, failure.kind, failure.message
    );
    match broken(&small, true, through) {
        Err(again) => {
            let _ = writeln!(text, "shrunk to {} acts:\n{small}", small.acts.len());
            let _ = writeln!(text, "{}\nthe last events:", again.message);
            for line in again.trace {
                let _ = writeln!(text, "{line}");
            }
        }
        Ok(_) => text.push_str("and does not break again: something is taken from chance\n"),
    }
    let _ = write!(
        text,
        "again with: SIM_SEED={} cargo test --test sim nights",
        night.seed
    );
    text
}

/// Plays all these nights on all cores; what was reached, or the report of the first that broke.
fn play_all(seeds: std::ops::Range<u64>) -> Result<Tally, String> {
    let (next, tally, report_of) = (
        AtomicU64::new(seeds.start),
        Mutex::new(Tally::default()),
        Mutex::new(None),
    );
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let night = draw::night(seed);
            match broken(&night, false, through) {
                Ok(played) => tally.lock().unwrap().take_in(played.tally),
                Err(failure) => {
                    next.store(seeds.end, Ordering::Relaxed);
                    let text = report(&night, &failure);
                    report_of.lock().unwrap().get_or_insert(text);
                    return;
                }
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    match report_of.into_inner().unwrap() {
        Some(text) => Err(text),
        None => Ok(tally.into_inner().unwrap()),
    }
}

#[test]
fn nights_lose_nothing_double_nothing_and_leave_nothing_behind() {
    let begun = Instant::now();
    let (from, count) = match number("SIM_SEED") {
        Some(seed) => (seed, 1),
        None => (
            number("SIM_FROM").unwrap_or(0),
            number("SIM_SEEDS").unwrap_or(SEEDS),
        ),
    };
    let tally = play_all(from..from + count).unwrap_or_else(|report| panic!("{report}"));
    let missing = REACHED.iter().filter(|what| tally.of(what) == 0);
    let missing: Vec<_> = missing.filter(|_| count >= SEEDS).collect();
    assert!(missing.is_empty(), "never reached: {missing:?}\n{tally}");
    let took = begun.elapsed().as_secs_f64();
    eprintln!(
        "{count} nights from seed {from}, {:.1} a second, reached:\n{tally}",
        count as f64 / took
    );
}

#[test]
fn one_seed_is_one_story() {
    let story = || {
        let night = draw::night(7);
        let played = broken(&night, false, through).unwrap();
        format!("{:?}", played.store)
    };
    assert!(story() == story(), "the heart takes something from chance");
}

/// The first night of these seeds that breaks in this way with a fault planted into the driver, made small.
fn caught(planted: Planted, shows: &str, seeds: u64) -> (Night, Failure) {
    for seed in 0..seeds {
        let mut night = draw::night(seed);
        night.planted = planted;
        if planted == Planted::ListsLate {
            let lag = night.connections[0].list_lag;
            night.scenario.list.delay = Span::between(lag * 3, lag * 9);
        }
        if let Err(failure) = broken(&night, false, through)
            && failure.message.contains(shows)
        {
            let small = shrunk(&night, &failure, through);
            let again = broken(&small, true, through).unwrap_err();
            eprintln!(
                "{planted:?} found at seed {seed}: {}\n{small}",
                again.message
            );
            return (small, again);
        }
    }
    panic!("{planted:?} is not found in {seeds} nights");
}

#[test]
fn a_fault_that_is_planted_is_found_and_made_small() {
    // Which fault, as what it shows, and in how many acts at most.
    let table = [
        (Planted::ForgetsIntent, "goes from Pending to", 2),
        (Planted::ActsFirst, "invariant 3", 0),
        (Planted::ForgetsCursor, "invariant 5", 0),
        (Planted::ForgetsNotices, "invariant 8", 2),
        (Planted::ListsLate, "invariant 2", 2),
        // A process that wakes up writes or asks: whichever comes first.
        (Planted::NoFence, "", 2),
    ];
    for (planted, shows, acts) in table {
        let (night, failure) = caught(planted, shows, 60);
        let as_expected = failure.message.contains(shows);
        assert!(as_expected, "{planted:?}: {}", failure.message);
        assert!(night.acts.len() <= acts, "{planted:?}: {night}");
        assert!(night.definitions.len() <= 3, "{planted:?}: {night}");
    }
}
