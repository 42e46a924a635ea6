//! Reruns and backfills: in numbers, in order, and never in the way of what is on time.

use nightcall::sched::act::{Act, Again, How};
use nightcall::sched::id::RunId;
use nightcall::sched::outcome::{Outcome, SkipReason};
use nightcall::sched::policy::OverlapPolicy;
use nightcall::sched::run::Origin;

use super::{ASKED, SUCCEEDED, later, outcome_of, restart};
use crate::setup::{Config, With, at, cron, hourly, mins, permanent, run_id};
use crate::sim::{Sim, again, by_hand, denied, done, made};
use crate::vendor::Life;

/// Asks for the generation after the planned run.
fn ask(sim: &mut Sim, how: How, name: &str, time: &str) -> RunId {
    let run = run_id(name, time);
    done(sim.act(Act::Again(Again { how, ..again(run) }))).remove(0)
}

fn refused(sim: &mut Sim, how: How, name: &str, time: &str) -> String {
    let run = run_id(name, time);
    denied(sim.act(Act::Again(Again { how, ..again(run) })))
}

fn submitted(sim: &Sim, id: &RunId) -> nightcall::sched::time::Timestamp {
    sim.store.runs[id].run.submitted.unwrap()
}

/// An hourly schedule whose runs of 01:00 to 04:00 passed in a pause; it is 04:10.
fn with_holes() -> Sim {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    done(sim.pause("a", None));
    sim.run_to("04:10");
    done(sim.resume("a", false));
    sim
}

#[test]
fn what_was_skipped_runs_one_at_a_time_in_the_order_of_asking() {
    let mut sim = with_holes();
    sim.vendor.usual = Some(Life::succeeds(mins(5)));
    let ids: Vec<RunId> = ["01:00", "02:00", "03:00"]
        .map(|time| ask(&mut sim, How::Backfill, "a", time))
        .to_vec();
    assert_eq!(ids[0], later("a", "01:00", 1));
    sim.run_to("04:50");
    for pair in ids.windows(2) {
        let before = sim.store.runs[&pair[0]].run.finished.unwrap();
        assert!(submitted(&sim, &pair[1]) >= before);
    }
    for id in &ids {
        assert_eq!(outcome_of(&sim, id), SUCCEEDED);
        assert_eq!(sim.store.runs[id].run.origin, Origin::Backfilled);
    }
    sim.store.check_coverage();
}

#[test]
fn what_is_on_time_goes_first_and_is_never_skipped_because_of_the_background() {
    for policy in [
        OverlapPolicy::Skip,
        OverlapPolicy::BufferOne,
        OverlapPolicy::CancelOther,
    ] {
        let config = Config::of([hourly("a").with(|d| d.policies.overlap = policy)]);
        let mut sim = Sim::new(config);
        done(sim.pause("a", None));
        sim.run_to("04:10");
        done(sim.resume("a", false));
        sim.vendor.usual = Some(Life::succeeds(mins(30)));
        let ids = ["01:00", "02:00", "03:00"].map(|time| ask(&mut sim, How::Backfill, "a", time));
        sim.run_to("05:45");
        // The second of them was at the vendor at 05:00: it is waited for, and the third waits for the planned one.
        let on_time = sim.run("a", "05:00").clone();
        assert_eq!(on_time.outcome(), SUCCEEDED, "{policy:?}");
        assert!(on_time.submitted >= sim.store.runs[&ids[1]].run.finished);
        assert_eq!(outcome_of(&sim, &ids[1]), SUCCEEDED, "{policy:?}");
        assert!(submitted(&sim, &ids[2]) >= on_time.finished.unwrap());
    }
}

#[test]
fn a_run_that_is_due_in_the_instant_in_which_the_background_has_its_turn_keeps_it_off() {
    let one = |sim: &mut Sim| sim.vendor.usual = Some(Life::succeeds(mins(20)));
    let mut config = Config::of([hourly("a"), cron("z", "0 4 * * *")]);
    config.connections[0].max_in_flight = 1;
    let mut sim = Sim::new(config);
    done(sim.pause("a", None));
    one(&mut sim);
    sim.run_to("04:10");
    done(sim.resume("a", false));
    // Its turn has come, and it waits for the one slot, which z has until 04:20; then a's planned run is made by hand.
    let background = ask(&mut sim, How::Backfill, "a", "01:00");
    let by_hand = made(sim.fire(by_hand("a", "k")));
    sim.run_to("05:00");
    assert!(submitted(&sim, &by_hand) < submitted(&sim, &background));
    assert!(submitted(&sim, &background) >= sim.store.runs[&by_hand].run.finished.unwrap());
}

#[test]
fn the_background_takes_at_most_a_quarter_of_a_connection() {
    let names: Vec<String> = (0..12).map(|n| format!("s{n}")).collect();
    let definitions = names.iter().map(|name| cron(name, "0 1 * * *"));
    let mut config = Config::of(definitions);
    config.connections[0].max_in_flight = 8;
    let mut sim = Sim::new(config);
    done(sim.pause("*", None));
    sim.run_to("01:10");
    done(sim.resume("*", false));
    sim.vendor.usual = Some(Life::succeeds(mins(10)));
    for name in &names {
        ask(&mut sim, How::Backfill, name, "01:00");
    }
    sim.run_to("01:15");
    let in_flight = sim.snapshot().connections[0].in_flight;
    assert_eq!(in_flight, 2);
    // Somebody in a hurry finds room.
    for name in &names[..6] {
        made(sim.fire(by_hand(name, name)));
    }
    sim.run_to("01:16");
    assert!(sim.snapshot().connections[0].in_flight >= 6);
    sim.run_to("03:30");
    let ran = |name: &String| outcome_of(&sim, &later(name, "01:00", 1));
    assert!(names.iter().all(|name| ran(name) == SUCCEEDED));
}

#[test]
fn the_background_waits_as_long_as_it_must_also_over_a_restart() {
    let config = Config::of([hourly("a").with(|d| d.start_deadline = mins(30))]);
    let mut sim = Sim::new(config);
    done(sim.pause("a", None));
    sim.run_to("04:10");
    done(sim.resume("a", false));
    sim.vendor.usual = Some(Life::succeeds(mins(50)));
    let first = ask(&mut sim, How::Backfill, "a", "01:00");
    let second = ask(&mut sim, How::Backfill, "a", "02:00");
    sim.run_to("04:20");
    restart(&mut sim);
    sim.vendor.usual = Some(Life::succeeds(mins(5)));
    sim.run_to("05:30");
    assert_eq!(outcome_of(&sim, &first), SUCCEEDED);
    assert_eq!(outcome_of(&sim, &second), SUCCEEDED);
    assert!(submitted(&sim, &second) > at("04:40") + mins(0));
}

#[test]
fn asking_again_changes_nothing_while_it_waits_and_after_it_has_run() {
    let mut sim = with_holes();
    let id = ask(&mut sim, How::Backfill, "a", "01:00");
    assert_eq!(ask(&mut sim, How::Backfill, "a", "01:00"), id);
    sim.run_to("04:30");
    assert_eq!(ask(&mut sim, How::Backfill, "a", "01:00"), id);
    assert_eq!(sim.vendor.jobs_of(&id).len(), 1);
    assert!(!sim.store.runs.contains_key(&later("a", "01:00", 2)));
}

#[test]
fn a_backfill_is_for_what_did_not_run_and_a_rerun_for_what_did() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    done(sim.skip("a", nightcall::sched::act::SkipWhat::At(at("02:00"))));
    sim.run_to("02:30");
    assert_eq!(
        (sim.outcome("a", "01:00"), sim.outcome("a", "02:00")),
        (SUCCEEDED, ASKED)
    );
    assert!(refused(&mut sim, How::Backfill, "a", "01:00").contains("nightcall rerun"));
    assert!(refused(&mut sim, How::Rerun, "a", "02:00").contains("nightcall backfill"));
    assert!(refused(&mut sim, How::Backfill, "a", "03:00").contains("has not come yet"));
    assert!(refused(&mut sim, How::Rerun, "a", "03:00").contains("there is no run"));
    let rerun = ask(&mut sim, How::Rerun, "a", "01:00");
    let filled = ask(&mut sim, How::Backfill, "a", "02:00");
    sim.run_to("02:50");
    assert_eq!(outcome_of(&sim, &rerun), SUCCEEDED);
    assert_eq!(sim.store.runs[&rerun].run.origin, Origin::Rerun);
    assert_eq!(outcome_of(&sim, &filled), SUCCEEDED);
    assert_eq!(sim.outcome("a", "02:00"), ASKED, "what was stays");
}

#[test]
fn a_time_without_a_record_runs_when_it_is_one_of_the_schedule() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.run_to("01:30");
    // Before the schedule was first seen.
    let before = "2026-02-02T13:00:00Z".parse().unwrap();
    let id = RunId::planned(run_id("a", "01:00").series, before);
    let act = |run: &RunId| {
        Act::Again(Again {
            how: How::Backfill,
            ..again(run.clone())
        })
    };
    let made = done(sim.act(act(&id))).remove(0);
    sim.run_to("01:50");
    assert_eq!(outcome_of(&sim, &made), SUCCEEDED);
    let crooked = RunId::planned(id.series.clone(), "2026-02-02T13:10:00Z".parse().unwrap());
    assert!(denied(sim.act(act(&crooked))).contains("has no time at"));
    assert!(!sim.store.runs.contains_key(&id), "it was never planned");
}

#[test]
fn a_time_older_than_what_is_kept_on_record_is_refused() {
    let mut config = Config::of([hourly("a")]);
    config.kept = mins(24 * 60);
    let mut sim = Sim::new(config);
    sim.run_to("01:30");
    let old = "2026-02-01T13:00:00Z".parse().unwrap();
    let id = RunId::planned(run_id("a", "01:00").series, old);
    let answer = denied(sim.act(Act::Again(Again {
        how: How::Backfill,
        ..again(id)
    })));
    assert!(answer.contains("may have run"), "{answer}");
}

#[test]
fn the_background_is_refused_while_its_schedule_is_paused_unless_told() {
    let mut sim = with_holes();
    done(sim.pause("a", None));
    assert!(refused(&mut sim, How::Backfill, "a", "01:00").contains("paused"));
    let even = Again {
        how: How::Backfill,
        even_paused: true,
        ..again(run_id("a", "01:00"))
    };
    let id = done(sim.act(Act::Again(even))).remove(0);
    sim.run_to("04:40");
    assert_eq!(outcome_of(&sim, &id), SUCCEEDED);
}

#[test]
fn a_failure_in_the_background_is_retried_by_a_person_as_any_other() {
    let mut sim = with_holes();
    sim.vendor
        .lives
        .push_back(Life::fails(mins(1), permanent()));
    let id = ask(&mut sim, How::Backfill, "a", "01:00");
    sim.run_to("04:20");
    assert_eq!(outcome_of(&sim, &id), Some(Outcome::Failed));
    let next = done(sim.act(Act::Again(again(id)))).remove(0);
    sim.run_to("04:40");
    assert_eq!(outcome_of(&sim, &next), SUCCEEDED);
    assert_eq!(sim.store.runs[&next].run.origin, Origin::Retried);
    let paused = Some(Outcome::Skipped(SkipReason::Paused));
    assert_eq!(sim.outcome("a", "01:00"), paused);
}
