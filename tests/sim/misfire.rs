//! Times that passed while nobody watched.

use nightcall::sched::notice::NoticeKind;
use nightcall::sched::outcome::{Outcome, SkipReason};
use nightcall::sched::policy::{CatchUp, MisfirePolicy};
use nightcall::sched::run::Origin;

use crate::setup::{Config, With, at, catch_up, every, hourly, hours, mins, secs};
use crate::sim::Sim;
use crate::vendor::Life;

const SUCCEEDED: Option<Outcome> = Some(Outcome::Succeeded);
const MISSED: Option<Outcome> = Some(Outcome::Skipped(SkipReason::Missed));

/// Hourly; down from 01:30 to `until`, then up to `end`.
fn away(policy: MisfirePolicy, until: &str, end: &str) -> Sim {
    let mut sim = Sim::new(Config::of([
        hourly("a").with(|d| d.policies.misfire = policy)
    ]));
    sim.run_to("01:30");
    sim.stop();
    sim.run_to(until);
    sim.start();
    sim.run_to(end);
    sim.store.check_coverage();
    sim
}

#[test]
fn latest_runs_the_newest_of_what_was_missed_and_tells_of_the_rest_once() {
    let sim = away(catch_up(CatchUp::Latest, hours(12), 10), "05:30", "06:30");
    assert_eq!(
        sim.outcomes("a"),
        [SUCCEEDED, MISSED, MISSED, MISSED, SUCCEEDED, SUCCEEDED]
    );
    assert_eq!(sim.run("a", "05:00").origin, Origin::CaughtUp);
    assert_eq!(sim.run("a", "06:00").origin, Origin::Planned);
    let told = sim.notices(NoticeKind::Missed);
    assert_eq!(told.len(), 1);
    assert!(told[0].subject.contains("3 times"), "{}", told[0].subject);
}

#[test]
fn none_runs_nothing_of_what_was_missed() {
    let sim = away(catch_up(CatchUp::None, hours(12), 10), "05:30", "06:30");
    assert_eq!(
        sim.outcomes("a"),
        [SUCCEEDED, MISSED, MISSED, MISSED, MISSED, SUCCEEDED]
    );
}

#[test]
fn all_runs_everything_one_at_a_time_in_nominal_order() {
    let sim = away(catch_up(CatchUp::All, hours(12), 10), "05:30", "05:59");
    assert_eq!(sim.outcomes("a"), [SUCCEEDED; 5]);
    for pair in ["01:00", "02:00", "03:00", "04:00", "05:00"].windows(2) {
        let (before, after) = (sim.run("a", pair[0]), sim.run("a", pair[1]));
        assert!(after.submitted >= before.finished, "{pair:?}");
    }
}

#[test]
fn all_keeps_the_newest_when_they_are_too_many() {
    let sim = away(catch_up(CatchUp::All, hours(12), 2), "05:30", "05:59");
    assert_eq!(
        sim.outcomes("a"),
        [SUCCEEDED, MISSED, MISSED, SUCCEEDED, SUCCEEDED]
    );
}

#[test]
fn what_is_older_than_the_window_does_not_run() {
    let sim = away(catch_up(CatchUp::All, mins(120), 10), "05:30", "05:59");
    assert_eq!(
        sim.outcomes("a"),
        [SUCCEEDED, MISSED, MISSED, SUCCEEDED, SUCCEEDED]
    );
    let sim = away(catch_up(CatchUp::Latest, mins(10), 10), "05:30", "05:59");
    assert_eq!(
        sim.outcomes("a"),
        [SUCCEEDED, MISSED, MISSED, MISSED, MISSED]
    );
}

#[test]
fn within_the_tolerance_an_occurrence_is_on_time() {
    let policy = catch_up(CatchUp::None, hours(12), 10);
    let sim = away(policy, "03:01:00", "03:30");
    assert_eq!(sim.outcomes("a"), [SUCCEEDED, MISSED, SUCCEEDED]);
    assert_eq!(sim.run("a", "03:00").origin, Origin::Planned);
    let sim = away(policy, "03:01:01", "03:30");
    assert_eq!(sim.outcomes("a"), [SUCCEEDED, MISSED, MISSED]);
}

#[test]
fn times_on_time_are_judged_after_what_is_caught_up() {
    let sim = away(catch_up(CatchUp::All, hours(12), 10), "04:00:20", "04:59");
    let busy = Some(Outcome::Skipped(SkipReason::Busy));
    assert_eq!(sim.outcomes("a"), [SUCCEEDED, SUCCEEDED, SUCCEEDED, busy]);
}

#[test]
fn what_is_caught_up_is_exempt_from_skip_and_waits_for_the_live_run() {
    let policy = catch_up(CatchUp::All, hours(12), 10);
    let mut sim = Sim::new(Config::of([
        hourly("a").with(|d| d.policies.misfire = policy)
    ]));
    sim.vendor.lives.push_back(Life::succeeds(hours(3)));
    sim.run_to("01:30");
    sim.stop();
    sim.run_to("03:30");
    sim.start();
    sim.run_to("04:30");
    let busy = Some(Outcome::Skipped(SkipReason::Busy));
    assert_eq!(sim.outcomes("a"), [SUCCEEDED, SUCCEEDED, SUCCEEDED, busy]);
    assert!(sim.run("a", "02:00").submitted >= sim.run("a", "01:00").finished);
    assert!(sim.run("a", "03:00").submitted >= sim.run("a", "02:00").finished);
}

#[test]
fn times_that_passed_in_bulk_are_one_record_with_a_count_and_a_range() {
    let mut sim = Sim::new(Config::of([every("a", mins(1))]));
    sim.run_to("01:00:30");
    sim.stop();
    sim.run_to("09:00:30");
    sim.start();
    sim.run_to("09:10");
    let missed = &sim.store.missed;
    assert_eq!(missed.len(), 1);
    // 480 minutes, of which 08:59 is the newest late one and 09:00 on time.
    assert_eq!(missed[0].count, 478);
    assert_eq!(missed[0].range.upto, at("08:58"));
    assert_eq!(sim.run("a", "08:59").origin, Origin::CaughtUp);
    sim.store.check_coverage();
    assert_eq!(sim.notices(NoticeKind::Missed).len(), 1);
}

#[test]
fn a_year_of_every_second_is_passed_over_in_bounded_time() {
    let mut sim = Sim::new(Config::of([every("a", secs(1))]));
    sim.run_to("00:00:10");
    sim.stop();
    sim.run_for(hours(23) * 30);
    sim.stop();
    sim.start();
    let started = std::time::Instant::now();
    sim.synchronised();
    sim.run_for(secs(1));
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    assert!(sim.store.missed[0].count >= 100_000);
    sim.run_for(secs(5));
}

#[test]
fn a_caught_up_run_counts_its_start_deadline_from_when_that_was_decided() {
    // Down for longer than the start deadline, but within the window: the misfire policy says that it still runs.
    let config = Config::of([hourly("a").with(|d| {
        d.policies.misfire = catch_up(CatchUp::Latest, hours(12), 10);
        d.start_deadline = mins(20);
    })]);
    let mut sim = Sim::new(config);
    sim.run_to("01:30");
    sim.stop();
    sim.run_to("02:30");
    sim.start();
    sim.run_to("02:40");
    assert_eq!(sim.outcome("a", "02:00"), Some(Outcome::Succeeded));
}
