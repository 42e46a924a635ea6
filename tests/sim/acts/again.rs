//! Runs that somebody wants again.

use nightcall::sched::act::{Act, Again, SkipWhat};
use nightcall::sched::outcome::{Outcome, SkipReason};
use nightcall::sched::run::Origin;

use super::{SUCCEEDED, later, outcome_of, restart};
use crate::setup::{
    Config, With, at, cron, hourly, hours, mins, permanent, run_id, secs, unreachable,
};
use crate::sim::{Sim, again, by_hand, denied, done, made};
use crate::vendor::Life;

/// A daily run of 01:00 that failed for good.
fn failed() -> Sim {
    let mut sim = Sim::new(Config::of([cron("a", "0 1 * * *")]));
    sim.vendor
        .lives
        .push_back(Life::fails(secs(20), permanent()));
    sim.run_to("01:30");
    assert_eq!(sim.outcome("a", "01:00"), Some(Outcome::Failed));
    sim
}

#[test]
fn a_failed_run_is_retried_as_the_next_generation_under_the_present_definition() {
    let mut sim = failed();
    sim.stop();
    sim.config.definitions[0].query = "CALL mended()".into();
    sim.start();
    let again = later("a", "01:00", 1);
    let made = done(sim.retry("a", "01:00"));
    assert_eq!(made, std::slice::from_ref(&again));
    sim.run_to("02:00");
    let row = &sim.store.runs[&again];
    assert_eq!(
        (row.run.outcome(), row.run.origin),
        (SUCCEEDED, Origin::Retried)
    );
    assert_eq!(row.run.civil, sim.run("a", "01:00").civil);
    let why = row.records[0].why.as_deref().unwrap();
    assert!(why.contains("a/default@2026-02-03T01:00:00Z") && why.contains("uid 1000: because"));
    assert_eq!(sim.vendor.jobs.last().unwrap().query, "CALL mended()");
    assert_eq!(
        sim.outcome("a", "01:00"),
        Some(Outcome::Failed),
        "what was stays"
    );
    sim.store.check_coverage();
}

#[test]
fn asking_twice_for_a_retry_makes_one_run_also_over_a_restart() {
    let mut sim = failed();
    sim.vendor.usual = Some(Life::succeeds(mins(20)));
    let first = done(sim.retry("a", "01:00"));
    assert_eq!(done(sim.retry("a", "01:00")), first);
    restart(&mut sim);
    assert_eq!(done(sim.retry("a", "01:00")), first);
    sim.run_to("02:30");
    let answer = denied(sim.retry("a", "01:00"));
    assert!(
        answer.contains("was run again already") && answer.contains("+1"),
        "{answer}"
    );
    assert_eq!(sim.vendor.jobs.len(), 2);
}

#[test]
fn a_retry_that_fails_is_retried_in_its_turn() {
    let mut sim = failed();
    sim.vendor
        .lives
        .push_back(Life::fails(secs(20), permanent()));
    let first = done(sim.retry("a", "01:00"));
    sim.run_to("01:50");
    let second = done(sim.act(Act::Again(again(first[0].clone()))));
    assert_eq!(second, [later("a", "01:00", 2)]);
    sim.run_to("02:10");
    assert_eq!(outcome_of(&sim, &second[0]), SUCCEEDED);
}

#[test]
fn only_what_did_not_end_well_is_retried() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    done(sim.skip("a", SkipWhat::At(at("02:00"))));
    sim.vendor.usual = Some(Life::succeeds(mins(20)));
    sim.run_to("01:10");
    assert!(denied(sim.retry("a", "01:00")).contains("has not ended: it is running"));
    sim.run_to("02:30");
    assert!(denied(sim.retry("a", "01:00")).contains("succeeded"));
    assert!(denied(sim.retry("a", "02:00")).contains("did not run"));
    assert!(denied(sim.retry("a", "07:00")).contains("there is no run"));
    let by_hand = made(sim.fire(by_hand("a", "k")));
    assert!(denied(sim.act(Act::Again(again(by_hand)))).contains("by hand"));
}

#[test]
fn a_cancelled_and_a_timed_out_run_are_retried() {
    let config = Config::of([hourly("a").with(|d| d.timeout = mins(10))]);
    let mut sim = Sim::with_vendor(config, |v| {
        v.lives.push_back(Life::endless());
        v.lives.push_back(Life::endless());
    });
    sim.run_to("01:30");
    assert_eq!(sim.outcome("a", "01:00"), Some(Outcome::TimedOut));
    let id = done(sim.retry("a", "01:00"));
    sim.run_to("01:35");
    done(sim.cancel(id[0].clone()));
    sim.run_to("01:40");
    let id = done(sim.act(Act::Again(again(id[0].clone()))));
    sim.run_to("01:50");
    assert_eq!(outcome_of(&sim, &id[0]), SUCCEEDED);
}

#[test]
fn a_lost_run_is_retried_when_its_job_cannot_live_any_more_or_somebody_insists() {
    let config = Config::of([cron("a", "0 1 * * *").with(|d| d.timeout = hours(2))]);
    let lost = || {
        let mut sim = Sim::new(config.clone());
        sim.vendor
            .lives
            .push_back(Life::endless().gone(mins(3), mins(600)));
        sim.run_to("01:30");
        assert_eq!(sim.outcome("a", "01:00"), Some(Outcome::Lost));
        sim
    };
    let mut sim = lost();
    let answer = denied(sim.retry("a", "01:00"));
    assert!(
        answer.contains("may live until") && answer.contains("--anyway"),
        "{answer}"
    );
    sim.run_to("03:10");
    done(sim.retry("a", "01:00"));
    let mut sim = lost();
    let anyway = Again {
        anyway: true,
        ..again(run_id("a", "01:00"))
    };
    done(sim.act(Act::Again(anyway)));
}

#[test]
fn a_busy_series_refuses_a_retry_unless_it_waits_or_runs_beside() {
    let mut sim = Sim::new(Config::of([hourly("a")]));
    sim.vendor
        .lives
        .push_back(Life::fails(secs(20), permanent()));
    sim.vendor.usual = Some(Life::succeeds(mins(20)));
    sim.run_to("02:10");
    let answer = denied(sim.retry("a", "01:00"));
    assert!(answer.contains("busy"), "{answer}");
    let queued = Again {
        queue: true,
        ..again(run_id("a", "01:00"))
    };
    let id = done(sim.act(Act::Again(queued)));
    sim.run_to("02:50");
    let run = &sim.store.runs[&id[0]].run;
    assert_eq!(run.outcome(), SUCCEEDED);
    assert!(run.submitted >= sim.run("a", "02:00").finished);
}

#[test]
fn a_retry_waits_for_nothing_that_was_paused_unless_told() {
    let mut sim = failed();
    done(sim.pause("a", None));
    assert!(denied(sim.retry("a", "01:00")).contains("paused"));
    let even = Again {
        even_paused: true,
        ..again(run_id("a", "01:00"))
    };
    let id = done(sim.act(Act::Again(even)));
    sim.run_to("02:00");
    assert_eq!(outcome_of(&sim, &id[0]), SUCCEEDED);
}

#[test]
fn a_retry_of_a_schedule_that_is_gone_is_refused() {
    let mut sim = failed();
    sim.stop();
    sim.config = Config::of([hourly("b")]);
    sim.start();
    assert!(denied(sim.retry("a", "01:00")).contains("no longer in the configuration"));
}

#[test]
fn a_job_of_a_retry_that_an_older_database_does_not_know_is_taken_in() {
    let mut sim = failed();
    sim.vendor.usual = Some(Life::succeeds(mins(30)));
    let copy = sim.store.clone();
    let id = done(sim.retry("a", "01:00"));
    sim.run_to("01:40");
    sim.stop();
    sim.restore(copy);
    sim.start();
    sim.run_to("01:41");
    assert_eq!(sim.store.runs[&id[0]].run.origin, Origin::Adopted);
    assert_eq!(
        done(sim.retry("a", "01:00")),
        id,
        "nothing is submitted twice"
    );
    sim.run_to("02:30");
    assert_eq!(sim.vendor.jobs_of(&id[0]).len(), 1);
    assert_eq!(outcome_of(&sim, &id[0]), SUCCEEDED);
}

#[test]
fn a_retry_of_a_run_that_an_older_database_never_planned_is_taken_in_and_the_run_is_on_record() {
    let mut sim = Sim::new(Config::of([hourly("a"), hourly("b")]));
    sim.vendor.usual = Some(Life::succeeds(mins(30)));
    sim.run_to("01:50");
    let copy = sim.store.clone();
    sim.vendor.down(unreachable());
    sim.run_to("02:05");
    done(sim.cancel(run_id("a", "02:00")));
    sim.vendor.up();
    sim.run_to("02:06");
    let id = done(sim.retry("a", "02:00"));
    sim.run_to("02:10");
    sim.stop();
    sim.restore(copy);
    sim.start();
    sim.run_to("02:50");
    assert_eq!(sim.vendor.jobs_of(&id[0]).len(), 1);
    assert_eq!(outcome_of(&sim, &id[0]), SUCCEEDED);
    let missed = Some(Outcome::Skipped(SkipReason::Missed));
    assert_eq!(
        (sim.outcome("a", "02:00"), sim.jobs("a", "02:00")),
        (missed, 0)
    );
    sim.store.check_coverage();
}
